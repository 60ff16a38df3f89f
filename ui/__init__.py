"""The faces: the `rag` command line and the Gradio application."""
