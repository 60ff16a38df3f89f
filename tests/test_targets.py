"""A target embeds what is missing, keeps what was finished, and says when it is no use to go on."""

from dataclasses import replace

import pytest

from ingest.budget import Budget, BudgetError, dollars, sent_tokens
from ingest.report import Silence
from ingest.targets import MOST_REFUSALS, Target
from paid import Billed, Paid
from rag.embedders import registry
from rag.embedders.registry import find_spec, load_embedder
from rag.embedders.spec import UnfinishedError
from rag.errors import RagError
from rag.library import Library
from rag.passages import passage_key

WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord"]


@pytest.fixture
def library(tmp_path):
    library = Library(tmp_path / "home", create=True)
    library.add_corpus("c")
    yield library
    library.close()


@pytest.fixture
def target(library, monkeypatch):
    """Makes targets of an embedder."""

    def make(embedder, budget=0.0):
        monkeypatch.setitem(registry._loaded, embedder.spec, embedder)
        return Target(library, "c", "heading", embedder.spec, {embedder.spec.name: embedder.spec}, Budget(budget))

    return make


def embed(target, texts=WORDS):
    target.embed_missing(texts, Silence(), lambda: False)


def missing(library, embedder):
    lacking = library.vectors.missing(embedder.spec.fingerprint, [passage_key(word) for word in WORDS])
    return [word for word in WORDS if passage_key(word) in lacking]


def test_what_was_finished_is_stored_before_the_error_is_raised(library, target):
    embedder = Paid(refused=["cedar"])
    with pytest.raises(UnfinishedError, match="cedar"):
        embed(target(embedder))
    assert missing(library, embedder) == ["cedar"]
    again = Paid(refused=["cedar"])
    with pytest.raises(UnfinishedError):
        embed(target(again))
    assert [call for call in again.calls if call] == [["cedar"]]
    mended = Paid()
    embed(target(mended))
    assert (mended.passages, missing(library, mended)) == (["cedar"], [])
    vectors = load_embedder("hash").embed_passages(WORDS)
    stored = {
        row[0]: row[1]
        for row in library.database.query(
            "SELECT passage, vector FROM vectors WHERE fingerprint = ?", (embedder.spec.fingerprint,)
        )
    }
    assert stored == {passage_key(word): row.tobytes() for word, row in zip(WORDS, vectors, strict=True)}


def test_a_refused_passage_does_not_keep_later_slices_back(library, target, monkeypatch):
    monkeypatch.setattr("ingest.targets.FIRST_SLICE", 2)
    embedder = Paid(refused=["amber"])
    with pytest.raises(UnfinishedError):
        embed(made := target(embedder))
    assert missing(library, embedder) == ["amber"]
    assert not made.is_refused


def test_after_several_slices_in_vain_it_gives_up(library, target, monkeypatch):
    monkeypatch.setattr("ingest.targets.FIRST_SLICE", 1)
    embedder = Paid(refused=WORDS)
    with pytest.raises(UnfinishedError):
        embed(made := target(embedder))
    assert made.is_refused
    assert len([call for call in embedder.calls if call]) == MOST_REFUSALS
    assert missing(library, embedder) == WORDS


def test_an_error_of_another_kind_is_a_refusal_of_everything(library, target):
    class Revoked(Paid):
        def embed_passages(self, passages):
            if "amber" in passages:
                raise RagError("the key was revoked")
            return super().embed_passages(passages)

    with pytest.raises(UnfinishedError, match="revoked"):
        embed(made := target(Revoked()))
    assert made.is_refused


def test_the_budget_is_used_up_to_the_last_passage_that_fits(library, target):
    embedder = Paid()
    canary = embedder.count_tokens(["A canary sings the same song every morning: two plus two is four."])[0]
    with pytest.raises(BudgetError, match=r"\$2\.00 left|\$0 left"):
        embed(made := target(embedder, budget=canary + 4.0))
    assert (len(embedder.passages), made.spent) == (4, canary + 4.0)
    assert len(missing(library, embedder)) == 2
    embed(made := target(Paid(), budget=canary + 2.0))
    assert made.spent == canary + 2.0
    assert library.spending.under(embedder.spec.fingerprint).usd == 2 * canary + 6.0


def test_money_is_written_with_the_vectors(library, target, monkeypatch):
    """A run that dies between two slices leaves both or neither."""
    monkeypatch.setattr("ingest.targets.FIRST_SLICE", 2)
    monkeypatch.setattr("ingest.targets.LARGEST_SLICE", 2)
    seen = []

    class Looking(Silence):
        def embedded(self, embedder, vectors):
            seen.append((library.spending.under(spec.fingerprint).passages, len(missing(library, embedder_))))

    embedder_ = Paid()
    spec = embedder_.spec
    target(embedder_).embed_missing(WORDS, Looking(), lambda: False)
    assert seen == [(2, 4), (4, 2), (6, 0)]


def test_what_is_sent_is_cut_where_it_is_known_to_be():
    free, billed = load_embedder("hash"), Billed()
    assert sent_tokens(free, [3, 500]) == [3, 500]
    limited = Paid()
    limited.spec = replace(find_spec("hash"), max_tokens=10)
    assert sent_tokens(limited, [3, 500]) == [3, 10]
    billed.spec = limited.spec
    assert sent_tokens(billed, [3, 500]) == [3, 500]  # the vendor cuts, and nobody says whether it bills that
    billed.counts_exactly = True
    assert sent_tokens(billed, [3, 500]) == [3, 10]


def test_small_amounts_are_not_called_nothing():
    assert dollars(3.47e-9) == "$0.0000000035"
    assert [dollars(usd) for usd in (0.01, 0.999, 1234.5)] == ["$0.0100", "$0.9990", "$1,234.50"]
