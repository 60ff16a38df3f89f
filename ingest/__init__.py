"""Files to documents, chunks, vectors and indexes."""
