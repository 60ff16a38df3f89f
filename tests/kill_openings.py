"""Opens a library three times, each time in a process of its own, and tells what every search finds there.

Run as a script with HOME and CHANGES (see `kill_driver`); prints one line of JSON for each opening. The processes are
forked from one that has only imported the packages: what Chroma remembers is on the disk and in whoever opens it.
"""

import importlib
import json
import os
import sys
import traceback
from collections import Counter
from itertools import chain

from kill_driver import change_constants
from rag.offline import go_quiet

OPENINGS = 3
NEIGHBOURS = 20
DEEP = 10_000
RECALL = 0.98
"""The graph may lose one vector in fifty: its neighbours are chosen at random, anew at each start."""


def main():
    go_quiet()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads would not outlive the fork
    home, changes = sys.argv[1:]
    change_constants(json.loads(changes))
    for package in ("bm25s", "chromadb", "rag.reader"):  # once, before the forks
        importlib.import_module(package)
    from rag.embedders.registry import load_embedder

    for name in ("hash", "wordllama"):
        load_embedder(name)
    for _ in range(OPENINGS):
        child = os.fork()
        if child == 0:
            open_once(home)
        _, status = os.waitpid(child, 0)
        if status:
            print(json.dumps({"crashed": os.waitstatus_to_exitcode(status)}), flush=True)


def open_once(home):
    """Looks at the library and ends the process."""
    status = 1
    try:
        print(json.dumps(look(home)), flush=True)
        status = 0
    except BaseException:  # told, and not raised into the parent's part of the program
        traceback.print_exc()
    finally:
        os._exit(status)


def look(home):
    """Returns the done sources with their hashes, those that are found under each embedder, and all that is wrong."""
    from rag.index import open_chroma
    from rag.library import Library
    from rag.lock import writer_lock
    from rag.reader import Reader
    from rag.settings import read_settings

    settings = read_settings(home)
    seen = {"done": {}, "found": {}, "problems": []}
    if not (settings.home / "library.db").exists():
        return seen
    library = Library(settings.home)
    with writer_lock(settings.home), open_chroma(library) as chroma:
        reader = Reader(library, settings, chroma)
        for corpus in library.corpora():  # one, or none yet
            done = [entry for entry in library.ledger.entries(corpus) if entry.status == "done"]
            seen["done"] = {entry.source: entry.content_hash for entry in done}
            if sorted(entry.source for entry in done) != sorted(library.sources(corpus)):
                seen["problems"].append("the ledger and the documents differ")
            if repeated := [path for path, n in Counter(entry.path for entry in done).items() if n > 1]:
                seen["problems"].append(f"twice in the ledger: {repeated}")
            for card in library.cards.all(corpus):
                seen["found"][card.embedder], wrong = search_all(reader, card)
                seen["problems"] += [f"{card.embedder}: {problem}" for problem in wrong]
    library.close()
    return seen


def search_all(reader, card):
    """Looks each document of an index up by its first passage; returns the sources that are found, and what is wrong.

    Exact search must find all. Chroma must hold all, each once, and nothing else, and find them but for its recall.
    """
    library = reader.library
    ids, vectors = library.vectors.of_index(card.corpus, card.chunker, card.fingerprint)
    everything = list(library.chunk_passages(card.corpus, card.chunker))
    indexed = [row for row in everything if row[0] in set(ids)]
    documents, count = library.cards.count(card)
    problems = [] if len(ids) == len(indexed) == count else [f"{len(ids)} vectors, {len(indexed)} chunks, {count} rows"]
    if not ids:
        return [], problems
    first = {source: (chunk, passage) for chunk, passage, source in reversed(indexed)}
    if len(first) != documents:
        problems.append(f"{len(first)} documents, {documents} counted")
    missed = {}
    for search in ("exact", "ann"):
        retriever = reader.open(card.corpus, card.embedder, "dense", card.chunker, search).retriever
        found = retriever.rank([passage for _, passage in first.values()], NEIGHBOURS)
        rankings = [[scored.chunk_id for scored in ranking] for ranking in found]
        missed[search] = {
            source
            for (source, (chunk, _)), ranking in zip(first.items(), rankings, strict=True)
            if chunk not in ranking
        }
        if any(len(ranking) != len(set(ranking)) for ranking in rankings):
            problems.append(f"{search} search finds a chunk twice")
        if not set(ids).issuperset(chain(*rankings)):
            problems.append(f"{search} search finds a chunk that is not there")
    if len(missed["ann"]) > (1 - RECALL) * documents:
        problems.append(f"Chroma does not find {len(missed['ann'])} of {documents} documents")
    problems += compare(reader.chroma, card, ids, vectors)
    problems += look_up_words(library, card, everything)
    return sorted(first.keys() - missed["exact"]), problems


def compare(chroma, card, ids, vectors):
    """Yields how a collection differs from the index that it is a cache of."""
    from rag.chroma_state import collection_name

    held = chroma._client.get_collection(collection_name(card), embedding_function=None).get(include=[])["ids"]
    if sorted(held) != ids:
        yield f"Chroma holds {len(held)} chunks, {len({*held} & {*ids})} of the {len(ids)} of the library"
    (deep,) = chroma.search(card, vectors[:1], DEEP)  # a torn graph answers small searches and fails this one
    if len({chunk for chunk, _ in deep}) < max(RECALL * len(ids), len(deep)):
        yield f"Chroma gives {len(deep)} of {len(ids)} chunks to a search for all"


def look_up_words(library, card, everything):
    """Yields which chunks BM25 does not find by their own words, some of them tried."""
    from rag.bm25 import open_lexical

    index = open_lexical(library, card.corpus, card.chunker)
    if len(index) != len(everything):
        yield f"BM25 holds {len(index)} of {len(everything)} chunks"
    for chunk, passage, source in everything[::5]:
        if chunk not in {scored.chunk_id for scored in index.rank(passage, NEIGHBOURS)}:
            yield f"BM25 does not find {source}"


if __name__ == "__main__":
    main()
