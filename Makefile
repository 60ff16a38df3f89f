.DEFAULT_GOAL := help
.PHONY: help setup demo ui test check bench lock
PY := .venv/bin/python

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Install everything into .venv (does nothing when it is up to date)
	@PYTHON="$(PYTHON)" ./setup.sh

demo: setup  ## Open the chat on the demo corpus, offline and without a key
	@.venv/bin/rag ingest corpus/documents --corpus demo
	@.venv/bin/rag ui

test: setup  ## Run the tests
	@$(PY) -m pytest

check: setup  ## Lint, types and layers: ruff, mypy, import-linter
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports --no-logo

bench: setup  ## Measure ours against its peers, side by side
	@$(PY) -m benchmarks

lock:  ## Compile requirements.lock anew from pyproject.toml (needs uv)
	@uv pip compile --universal --python-version 3.11 --extra dev --quiet --no-header --no-annotate pyproject.toml | grep -vE '^(nvidia-|cuda-|triton)' > requirements.lock
