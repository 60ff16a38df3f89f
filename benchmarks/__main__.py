"""Runs every benchmark, one after the other: `make bench`, or `python -m benchmarks NAME...` for some."""

import importlib
import sys

from rag.offline import go_quiet

NAMES = ("startup", "engines", "answers")

if __name__ == "__main__":
    go_quiet()
    for name in sys.argv[1:] or NAMES:
        importlib.import_module(f"benchmarks.{name}").run()
