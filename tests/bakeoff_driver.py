"""The real command with a driver around it, to be killed: run as a script with LOG, STOP_AFTER and the command.

It writes down how many texts are handed to the bag-of-words embedder, on which side, before it embeds them, and waits
for ever before the cell after STOP_AFTER others is stored; with -1 it does not wait.
"""

import os
import signal
import sys

from rag.offline import go_quiet


def main():
    go_quiet()
    path, stop_after, *command = sys.argv[1:]
    from eval.cells import CellStore
    from rag.embedders.hashing import HashEmbedder
    from ui.cli import main as rag

    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    write, queries, passages = CellStore.write, HashEmbedder.embed_queries, HashEmbedder.embed_passages
    stored = 0

    def told(side, embed):
        def embedding(self, texts):
            os.write(log, f"{side} {len(texts)}\n".encode())
            return embed(self, texts)

        return embedding

    def stopping(self, *arguments):
        nonlocal stored
        if stored == int(stop_after):
            os.write(log, b"stopped 0\n")
            signal.pause()
        stored += 1
        return write(self, *arguments)

    HashEmbedder.embed_queries = told("queries", queries)
    HashEmbedder.embed_passages = told("passages", passages)
    CellStore.write = stopping
    rag(command)


if __name__ == "__main__":
    main()
