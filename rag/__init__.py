"""The core: embedders, indexes, retrievers, answerers and the library on disk."""
