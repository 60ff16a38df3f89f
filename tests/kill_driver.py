"""The real command with a driver around it, to be killed: run as a script with LOG, STOP, CHANGES and the command.

It writes down every passage in the moment before it is handed to an embedder, and with STOP "finish" it waits for ever
after the last commit. CHANGES is a JSON object of constants: {"ingest.writing.GROUP_DOCUMENTS": 10}.
"""

import importlib
import json
import os
import signal
import sys

from rag.offline import go_quiet
from rag.passages import passage_key


def change_constants(changes):
    """Sets constants of our modules; of one that is a dictionary only the given keys."""
    for place, value in changes.items():
        module, name = place.rsplit(".", 1)
        if isinstance(value, dict):
            getattr(importlib.import_module(module), name).update(value)
        else:
            setattr(importlib.import_module(module), name, value)


class Logged:
    """An embedder that writes a line for each passage before it embeds it: fingerprint and key."""

    def __init__(self, embedder, log):
        self._embedder = embedder
        self._log = log
        self.spec = embedder.spec
        self.embed_queries = embedder.embed_queries
        self.count_tokens = embedder.count_tokens

    def embed_passages(self, passages):
        lines = [f"{self.spec.fingerprint} {passage_key(passage).hex()}\n" for passage in passages]
        os.write(self._log, "".join(lines).encode())
        return self._embedder.embed_passages(passages)


def main():
    go_quiet()
    path, stop, changes, *command = sys.argv[1:]
    change_constants(json.loads(changes))
    from ingest import targets
    from ui.cli import main as rag

    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    load, measure = targets.load_embedder, targets.measure_noise

    def stopping(*arguments):
        if stop == "finish":
            os.write(log, b"stopped\n")
            signal.pause()
        return measure(*arguments)

    targets.load_embedder = lambda *arguments: Logged(load(*arguments), log)
    targets.measure_noise = stopping
    rag(command)


if __name__ == "__main__":
    main()
