"""Whether a Chroma folder can be trusted: opened and searched in processes of their own, which a torn graph may crash.

With Chroma 1.5.9 a kill during a flush of its HNSW files left stores that opened once and crashed at the second and
third opening, that answered small queries and failed large ones, or that silently returned one row. So the folder is
opened twice, each time in another process, and each time every vector is read back and compared with library.db, the
graph is asked for a few neighbours and for very many. Run as `python -m rag.chroma_check HOME`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from rag.cards import IndexCard
from rag.chroma_state import FOUND_AGAIN, collection_name, finds_well, state_of
from rag.index import FOLDER, PROBES, SAME, open_client, share_found
from rag.library import Library
from rag.offline import go_quiet
from rag.schema import Vectors
from rag.vectors import Place

CHEAPER_TO_REBUILD = 5_000
"""Up to so many vectors in all, filling the cache anew takes no longer than the two checks."""

OPENINGS = 2
SECONDS_PER_VECTOR = 0.01
LEAST_SECONDS = 120
DEEP = 20_000
PAGE = 2_000


def is_trustworthy(library: Library) -> bool:
    """Tells whether a folder that was not closed may be used again; not where building it anew is cheaper."""
    total = sum(library.cards.count(card)[1] for card in library.cards.all())
    return total > CHEAPER_TO_REBUILD and not find_damage(library)


def find_damage(library: Library) -> str:
    """Opens the Chroma folder in other processes and says what is wrong with it; "" where nothing is."""
    total = sum(library.cards.count(card)[1] for card in library.cards.all())
    root = str(Path(__file__).resolve().parent.parent)
    for _ in range(OPENINGS):
        try:
            ran = subprocess.run(
                [sys.executable, "-P", "-m", "rag.chroma_check", str(library.home)],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=max(LEAST_SECONDS, OPENINGS * SECONDS_PER_VECTOR * total),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return f"it did not answer within {error.timeout:g} s"
        if ran.returncode < 0:
            return f"opening it crashed with signal {-ran.returncode}"
        try:
            damage: str = json.loads(ran.stdout)
        except ValueError:
            return f"opening it failed: {ran.stderr.decode(errors='replace').strip()[-200:]}"
        if damage:
            return damage
    return ""


def main() -> None:
    """Examines every collection that library.db knows of, and prints what is wrong as a JSON string."""
    go_quiet()
    library = Library(Path(sys.argv[1]))
    damage = ""
    try:
        client = open_client(library.home / FOLDER)
        there = {collection.name for collection in client.list_collections()}
        for card in library.cards.all():
            if state_of(library, card) is not None and not damage:
                name = collection_name(card)
                damage = "its collection is missing" if name not in there else _examine(library, card, client)
                damage = damage and f"index {card.corpus} / {card.embedder}: {damage}"
        client.close()
    except Exception as error:  # the one place: a damaged store raises anything at all
        damage = f"{type(error).__name__}: {error}"[:200]
    library.close()
    print(json.dumps(damage))  # noqa: T201 - the answer to the parent


def _examine(library: Library, card: IndexCard, client: Any) -> str:
    """Compares one collection with the library and probes its graph; returns what is wrong, "" where nothing is."""
    collection = client.get_collection(collection_name(card), embedding_function=None)
    added, _ = state_of(library, card) or (0, 0)
    count = collection.count()
    probes: list[Any] = []
    place = Place(0)
    # What was on its way when the process ended, after `added`, may be there or not.
    while rows := library.vectors.after(card.corpus, card.chunker, card.fingerprint, place, PAGE, added):
        place = rows.place
        stored = collection.get(ids=rows.ids, include=["embeddings"])
        ours = dict(zip(rows.ids, rows.vectors, strict=True))
        if len(stored["ids"]) != len(rows.ids):
            return f"{len(rows.ids) - len(stored['ids'])} chunks are missing"
        for chunk_id, vector in zip(stored["ids"], stored["embeddings"], strict=True):
            if not np.allclose(vector, ours[chunk_id], atol=SAME):
                return f"the vector of chunk {chunk_id} is not the one that was stored"
        probes += list(rows.vectors[:: PAGE // PROBES])
    if not probes:
        return ""
    doubt = _probe(collection, count, np.array(probes[:: max(1, len(probes) // PROBES)]))
    return doubt if finds_well(library, card) else ""  # it never found much, and searches do without it


def _probe(collection: Any, count: int, probes: Vectors) -> str:
    """Asks the graph for the nearest of some vectors, and for very many of one."""
    if (share := share_found(collection, probes)) < FOUND_AGAIN:
        return f"only {share:.0%} of {len(probes)} vectors find themselves"
    wanted = min(count, DEEP)
    # As many as there are would leave out what the graph holds and the collection does not: it is among the farthest.
    deep = collection.query(query_embeddings=probes[:1], n_results=DEEP, include=[])["ids"][0]
    return "" if len(deep) >= FOUND_AGAIN * wanted else f"a search for {wanted} chunks finds {len(deep)}"


if __name__ == "__main__":
    main()
