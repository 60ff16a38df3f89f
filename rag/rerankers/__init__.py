"""Rerankers: each provider in a file of its own, their facts in table.toml."""
