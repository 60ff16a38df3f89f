"""Runs every benchmark, one after the other: `make bench`, or `python -m benchmarks NAME... [OPTION...]` for some."""

import importlib
import sys

from rag.offline import go_quiet

NAMES = (
    "startup",
    "engines",
    "embed",
    "answers",
    "abstention",
    "ingest",
    "query",
    "fusion",
    "followups",
    "together",
    "votes",
    "evaluate",
    "thesis",
    "agreement",
)
WITH_OPTIONS = (
    "embed",
    "answers",
    "abstention",
    "ingest",
    "query",
    "fusion",
    "together",
    "evaluate",
    "thesis",
    "agreement",
)

if __name__ == "__main__":
    go_quiet()
    arguments = sys.argv[1:]
    first_option = next((place for place, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    names, options = arguments[:first_option], arguments[first_option:]
    if options and not (len(names) == 1 and names[0] in WITH_OPTIONS):
        sys.exit(f"Only {', '.join(WITH_OPTIONS)} take options, each alone: python -m benchmarks embed --help")
    for name in names or NAMES:
        run = importlib.import_module(f"benchmarks.{name}").run
        run(options) if options else run()
