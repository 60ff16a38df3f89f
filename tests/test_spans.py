"""Span metrics against sets of characters counted one by one, and against Chroma's definitions written out."""

import json
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.comparisons import compare
from eval.spans import BUDGET, BUDGET_RECALL, DEPTH, SPAN_METRICS, Place, find_spans, locate, score_spans, within_budget
from eval.summaries import summarise
from eval.tasks.beir import ExpectedAnswer
from eval.tasks.registry import load_task
from rag.library import Library
from rag.settings import read_settings
from ui.evaluating import SEED, Evaluation

CHUNKING = Path(__file__).parents[2] / "shared" / "data" / "retrieval" / "chunking-eval"


def places(most):
    place = st.builds(
        lambda document, start, length: Place(document, start, start + length),
        st.sampled_from(["a", "b"]),
        st.integers(0, 60),
        st.integers(1, 40),
    )
    return st.lists(place, max_size=most)


def characters(found):
    return {(place.document, at) for place in found for at in range(place.start, place.end)}


def by_hand(golden, chunks):
    """Counts characters one by one; the denominators are Chroma's: every retrieved chunk counts in full."""
    wanted = characters(golden)
    hit = wanted & characters(chunks[:DEPTH])
    length = sum(len(characters([chunk])) for chunk in chunks[:DEPTH])
    read, left = set(), BUDGET
    for chunk in chunks:
        for at in range(chunk.start, chunk.end):
            if left:
                read.add((chunk.document, at))
                left -= 1
    return {
        BUDGET_RECALL: len(wanted & read) / len(wanted),
        "span_recall@5": len(hit) / len(wanted),
        "span_precision@5": len(hit) / length if length else 0.0,
        "span_iou@5": len(hit) / (length + len(wanted - hit)),
        "answer_hit@5": float(bool(hit)),
    }


@given(places(4).filter(bool), places(8))
def test_scores_are_those_of_sets_of_characters(golden, chunks):
    scores = score_spans({"q": golden}, {"q": chunks})
    assert list(scores) == list(SPAN_METRICS)
    assert {name: values["q"] for name, values in scores.items()} == pytest.approx(by_hand(golden, chunks))


@given(places(8), st.integers(0, 100))
def test_a_budget_is_filled_in_order_and_never_passed(chunks, budget):
    kept = within_budget(chunks, budget)
    assert sum(place.length for place in kept) == min(budget, sum(place.length for place in chunks))
    assert all(
        place.start == chunk.start and place.end <= chunk.end for place, chunk in zip(kept, chunks, strict=False)
    )


def test_a_query_for_which_nothing_was_found_scores_0():
    assert score_spans({"q": [Place("a", 0, 5)]}, {}) == {name: {"q": 0.0} for name in SPAN_METRICS}


def test_overlapping_chunks_cost_precision_and_count_once_in_recall():
    golden = {"q": [Place("a", 0, 10)]}
    once = score_spans(golden, {"q": [Place("a", 0, 10)]})
    twice = score_spans(golden, {"q": [Place("a", 0, 10), Place("a", 0, 10)]})
    assert once["span_precision@5"]["q"] == 1.0 and twice["span_precision@5"]["q"] == 0.5
    assert once["span_recall@5"] == twice["span_recall@5"] == {"q": 1.0}


@pytest.mark.parametrize(
    ("text", "span", "start", "found"),
    [
        ("one two one", "one", -1, "one"),
        ("a b\n\n c", "a b c", -1, "a b\n\n c"),
        ("ab c", "a b", -1, None),
        ("a  x a  b", "a b", -1, "a  b"),
        ("text", "absent", 0, None),
        ("short", "short", 400, "short"),
    ],
)
def test_a_span_is_found_word_for_word_or_with_other_white_space(text, span, start, found):
    place = locate(text, span, start)
    assert (text[slice(*place)] if place else None) == found


def test_of_several_places_the_nearest_is_meant():
    assert locate("5 and 5 and 5", "5", 7) == (6, 7)
    answers = [ExpectedAnswer("q", "a", ("5", "lost"), (12, 0)), ExpectedAnswer("r", "gone", ("5",))]
    golden = find_spans(answers, {"a": "5 and 5 and 5"}.get)
    assert golden.places == {"q": (Place("a", 12, 13),)}
    assert golden.lost == 2


# --- through the evaluation


WORDS = "heron owl swift wren crane stork robin finch".split()  # noqa: SIM905


@pytest.fixture
def task(tmp_path):
    """Two documents of many paragraphs, of which one answers each question."""
    folder = tmp_path / "birds"
    (folder / "corpora").mkdir(parents=True)
    questions = []
    for name, words in (("land", WORDS[:4]), ("water", WORDS[4:])):
        text = ""
        for word in words:
            span = f"The {word} is known by its call, which the {word} alone makes."
            start = len(text) + len("Filler. ")
            text += f"Filler. {span} {'More of the same text. ' * 30}\n\n"
            questions.append(
                {
                    "_id": word,
                    "text": f"What is the {word} known by?",
                    "corpus_id": name,
                    "spans": [{"content": span, "start_index": start, "end_index": start + len(span)}],
                }
            )
        (folder / "corpora" / f"{name}.md").write_text(text)
    (folder / "questions.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    return load_task(folder)


@pytest.fixture
def evaluation(tmp_path):
    library = Library(tmp_path / "home", create=True)
    yield Evaluation(library, read_settings(tmp_path / "home"), lambda line: None), library
    library.close()


def test_chunkers_are_ranked_by_what_of_an_answer_is_read(task, evaluation):
    evaluate, _ = evaluation
    rows = {
        chunker: evaluate.rows(task, ["hash"], ["lexical"], chunker, False)[0]
        for chunker in ("whole", "recursive-200-0")
    }
    assert {row.family for row in rows.values()} == {"spans"}
    whole, small = (fmean(rows[chunker].per_query["span_recall@5"].values()) for chunker in rows)
    assert whole == 1.0 >= small  # at a fixed number of chunks whole documents find everything
    assert all(set(row.per_query[BUDGET_RECALL]) == set(task.queries) for row in rows.values())
    assert fmean(rows["recursive-200-0"].per_query["span_iou@5"].values()) > fmean(
        rows["whole"].per_query["span_iou@5"].values()
    )
    compared = compare([rows["recursive-200-0"]], SEED)
    assert compared.metric == BUDGET_RECALL
    assert summarise(rows["whole"], task, SEED).metrics["span_recall@5"].attainable is None


def test_the_evaluation_places_chunks_where_they_stand(task, evaluation):
    """The same figures by hand: from the chunks that the library holds and a ranking of them."""
    evaluate, library = evaluation
    [row] = evaluate.rows(task, ["hash"], ["dense"], "recursive-200-0", False)
    from rag.reader import Reader

    corpus = library.corpora()[0]
    opened = Reader(library, read_settings(library.home)).open(corpus, "hash", "dense", "recursive-200-0")
    golden = find_spans(task.answers, lambda name: library.document(library.sources(corpus)[name]).text)
    for query, text in task.queries.items():
        hits = opened.retriever.retrieve(text, 100)
        chunks = [Place(hit.source, hit.chunk.start, hit.chunk.end) for hit in hits]
        wanted = by_hand(golden.places[query], chunks)
        assert {name: row.per_query[name][query] for name in SPAN_METRICS} == pytest.approx(wanted)
    assert row.provenance["answers_not_found"] == 0


@pytest.mark.shared
@pytest.mark.skipif(not CHUNKING.is_dir(), reason="the test material is not beside the checkout")
def test_every_published_span_is_found_where_it_is_said_to_be():
    task = load_task(CHUNKING, family="spans")
    texts = {path.name: path.read_text("utf-8") for path in (CHUNKING / "corpora").iterdir()}
    golden = find_spans(task.answers, texts.get)
    assert (len(task.queries), sum(map(len, golden.places.values())), golden.lost) == (472, 790, 0)
    given_starts = {answer.query_id: sorted(answer.starts) for answer in task.answers}
    assert {query: sorted(place.start for place in found) for query, found in golden.places.items()} == given_starts
