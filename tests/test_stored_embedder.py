"""Texts are computed once: looked up, stored in batches, kept apart by side, refused where other weights made them."""

import multiprocessing
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paid import Billed, Paid
from rag.cards import CANARY, IndexCard
from rag.embedders.registry import find_spec, load_embedder
from rag.embedders.spec import UnfinishedError, unit_rows
from rag.errors import IndexMismatchError, RagError
from rag.health import examine
from rag.library import Library
from rag.lock import writer_lock
from rag.passages import passage_key
from rag.stored_embedder import AT_ONCE, StoredEmbedder, query_fingerprint
from recording import Recording

TEXTS = ["amber", "birch", "cedar", "amber"]


class Other:
    """Other weights behind the entry of the hash embedder, of the same width."""

    def __init__(self, spec=None):
        self.spec = spec or find_spec("hash")

    def embed_passages(self, passages):
        rows = [np.random.default_rng(len(text)).standard_normal(self.spec.dimension) for text in passages]
        return unit_rows(np.array(rows))

    embed_queries = embed_passages

    def count_tokens(self, passages):
        return [1] * len(passages)


class Sided(Recording):
    """Gives a query another vector than the passage of the same text, as a vendor does."""

    def embed_queries(self, queries):
        return -super().embed_queries(queries)


@pytest.fixture
def library(tmp_path):
    library = Library(tmp_path / "home", create=True)
    yield library
    library.close()


def fingerprints(library):
    return dict(library.database.query("SELECT fingerprint, COUNT(*) FROM vectors GROUP BY fingerprint"))


@pytest.mark.parametrize("method", ["embed_queries", "embed_passages"])
def test_equal_texts_are_computed_once_and_found_ever_after(library, method):
    plain, first, second = load_embedder("hash"), Recording(), Recording()
    stored = StoredEmbedder(library, first)
    assert np.array_equal(getattr(stored, method)(TEXTS), getattr(plain, method)(TEXTS))
    assert sorted(first.asked) == ["amber", "birch", "cedar"]
    assert (stored.computed, stored.reused, stored.unstored) == (3, 0, 0)
    again = StoredEmbedder(Library(library.home), second)
    assert np.array_equal(
        getattr(again, method)(["cedar", "delta", "amber"]), plain.embed_passages(["cedar", "delta", "amber"])
    )
    assert second.asked == ["delta"]
    assert (again.computed, again.reused) == (1, 2)


def test_queries_and_passages_are_never_mixed(library):
    stored = StoredEmbedder(library, Sided())
    passages, queries = stored.embed_passages(TEXTS), stored.embed_queries(TEXTS)
    assert np.array_equal(queries, -passages)
    assert np.array_equal(StoredEmbedder(library, Sided()).embed_queries(TEXTS), queries)
    spec = find_spec("hash")
    assert fingerprints(library) == {spec.fingerprint: 3, query_fingerprint(spec): 3}
    assert query_fingerprint(replace(spec, query_prefix="q: ")) != query_fingerprint(spec)
    assert query_fingerprint(replace(spec, revision="2")) != query_fingerprint(spec)


def test_a_text_that_is_a_chunk_s_passage_shares_its_vector(library):
    spec = find_spec("hash")
    vector = load_embedder("hash").embed_passages(["amber"])
    library.vectors.add(spec.fingerprint, [passage_key("amber")], vector, [0])
    embedder = Recording()
    assert np.array_equal(StoredEmbedder(library, embedder).embed_passages(["amber"]), vector)
    assert embedder.asked == []


def test_no_texts_are_no_vectors(library):
    assert StoredEmbedder(library, Recording()).embed_queries([]).shape == (0, 512)


def test_what_was_stored_before_a_kill_is_not_computed_again(tmp_path):
    """The process is killed inside its third batch; two are there, and the rest is all that is computed afterwards."""
    script = f"""
        import os, signal, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from rag.library import Library
        from recording import Recording
        from rag.stored_embedder import StoredEmbedder, AT_ONCE

        class Dying(Recording):
            def embed_queries(self, queries):
                if len(self.asked) >= 2 * AT_ONCE:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().embed_queries(queries)

        library = Library(Path({str(tmp_path / "home")!r}), create=True)
        StoredEmbedder(library, Dying()).embed_queries([f"text {{n:04}}" for n in range(3 * AT_ONCE + 5)])
    """
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    for expected in (AT_ONCE + 5, 0):
        library, embedder = Library(tmp_path / "home"), Recording()
        vectors = StoredEmbedder(library, embedder).embed_queries([f"text {n:04}" for n in range(3 * AT_ONCE + 5)])
        assert len(embedder.asked) == expected
        assert np.array_equal(
            vectors, load_embedder("hash").embed_queries([f"text {n:04}" for n in range(3 * AT_ONCE + 5)])
        )
        library.close()


@pytest.mark.parametrize("method", ["embed_queries", "embed_passages"])
def test_other_weights_of_the_same_width_are_refused(library, method):
    getattr(StoredEmbedder(library, Recording()), method)(TEXTS)
    with pytest.raises(IndexMismatchError, match=r"made with other weights.*cosine [-0.]+\d+.*--home"):
        getattr(StoredEmbedder(library, Other()), method)(["birch"])
    assert set(fingerprints(library).values()) == {3}


def test_other_weights_are_refused_by_the_card_of_an_index(library):
    library.add_corpus("c")
    library.cards.begin(IndexCard.blank("c", "heading", find_spec("hash")), load_embedder("hash"))
    with pytest.raises(IndexMismatchError, match="other weights"):
        StoredEmbedder(library, Other()).embed_passages(TEXTS)
    StoredEmbedder(library, Recording()).embed_passages(TEXTS)


def test_an_index_by_other_weights_than_the_texts_is_not_begun(library):
    StoredEmbedder(library, Other()).embed_passages(TEXTS)
    library.add_corpus("c")
    with pytest.raises(IndexMismatchError, match="other weights"):
        library.cards.begin(IndexCard.blank("c", "heading", find_spec("hash")), load_embedder("hash"))
    assert library.cards.all() == []


def _hold(home, held, done):
    with writer_lock(home):
        held.set()
        done.wait(60)


def test_while_another_process_writes_vectors_are_computed_but_not_stored(library):
    spawn = multiprocessing.get_context("spawn")
    held, done = spawn.Event(), spawn.Event()
    holder = spawn.Process(target=_hold, args=(library.home, held, done))
    holder.start()
    try:
        assert held.wait(60)
        stored = StoredEmbedder(library, Recording())
        assert np.array_equal(stored.embed_queries(TEXTS), load_embedder("hash").embed_queries(TEXTS))
        assert (stored.computed, stored.unstored, fingerprints(library)) == (3, 3, {})
        assert stored.spent.passages == 3
    finally:
        done.set()
        holder.join()
    stored.embed_queries(TEXTS)
    assert (stored.computed, stored.unstored) == (6, 3)
    assert sum(fingerprints(library).values()) == 3


def test_the_process_that_is_the_writer_may_store(library):
    with writer_lock(library.home):
        StoredEmbedder(library, Recording()).embed_queries(TEXTS)
    assert sum(fingerprints(library).values()) == 3


def test_nothing_is_written_where_that_is_not_wanted(library):
    stored = StoredEmbedder(library, Recording(), store=False)
    stored.embed_passages(TEXTS)
    assert (fingerprints(library), stored.unstored) == ({}, 3)
    assert library.texts.canary(find_spec("hash").fingerprint) is None


def test_what_a_vendor_finished_is_stored_before_its_refusal_is_raised(library):
    stored = StoredEmbedder(library, Paid(refused=["cedar"]), purpose="t")
    with pytest.raises(UnfinishedError, match="cedar"):
        stored.embed_passages(TEXTS)
    words_of_canary = len(CANARY.split())
    assert stored.usd == pytest.approx(2 + words_of_canary)
    assert stored.spent.usd == pytest.approx(stored.usd)
    mended = Paid()
    again = StoredEmbedder(library, mended, purpose="t")
    again.embed_passages(TEXTS)
    assert mended.calls == [[], ["cedar"]]
    assert again.spent.usd == pytest.approx(3 + 2 * words_of_canary)
    assert again.spent.passages == 3


def test_what_a_vendor_counts_is_what_is_paid(library):
    stored = StoredEmbedder(library, Billed())
    stored.embed_passages(["amber birch"])
    assert stored.tokens == 2 * (2 + len(CANARY.split()))
    assert stored.usd == pytest.approx(stored.tokens)
    before = stored.spent
    stored.embed_anew(["delta"], as_queries=False)
    assert stored.spent.usd - before.usd == pytest.approx(2)
    assert (stored.spent.passages, stored.computed) == (1, 1)


def test_a_caller_may_stop_between_batches(library):
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 2:
            raise RagError("stopped")

    with pytest.raises(RagError, match="stopped"):
        StoredEmbedder(library, Recording(), check=check).embed_queries([f"t{n}" for n in range(AT_ONCE + 1)])
    assert sum(fingerprints(library).values()) == AT_ONCE


def test_doctor_and_garbage_collection_leave_vectors_of_texts_alone(library):
    library.add_corpus("c")
    StoredEmbedder(library, Recording()).embed_queries(TEXTS)
    assert all(finding.well for finding in examine(library, {"hash": find_spec("hash")}, True))
    assert library.vectors.empty_trash() == 0
    assert sum(fingerprints(library).values()) == 3
