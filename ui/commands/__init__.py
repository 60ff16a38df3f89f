"""One file a command of `rag`; heavy packages are imported inside the functions that need them."""
