"""The chat's HTML, read back by a browser's parser rules (lxml and Beautiful Soup)."""

import string
from dataclasses import replace

from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.cards import IndexCard
from rag.embedders.registry import table_specs
from rag.schema import AnswerPart, Chunk, Citation, Hit, Leg
from ui.conversation import ChatTurn, Choices, State
from ui.render import anchor, answer_html, chunk_html, escaped, evidence_html, question_html, status_html

HOSTILE = (
    "<img src=x onerror=alert(1)> ![a](http://evil.test/x.png) <script>1</script> \"'><b>&amp; ${7*7} {{value}} $$x$$"
)
CHOICES = Choices("demo", "minilm", "hybrid", 8, 0.5, "rrf")
OURS = {"div", "span", "details", "summary", "a", "b", "i", "mark"}


def hit(text, rank=1, start=0, source="guide/a.md", heading="Guide > Weights", legs=None, chunk_id=None):
    chunk = Chunk(chunk_id or f"c{rank}", "d", start, start + len(text), None, heading, text)
    return Hit(chunk, source, "A", rank, 0.03, legs if legs is not None else {"dense": Leg(rank, 0.7)})


def cite(found, marker, start, end):
    chunk = found.chunk
    quote = chunk.text[start - chunk.start : end - chunk.start]
    return Citation(marker, chunk.id, chunk.document_id, found.source, chunk.page, start, end, quote)


def turn(hits=(), parts=(), state=State.DONE, question="What?", **fields):
    return ChatTurn(3, question, CHOICES, state, hits=tuple(hits), parts=tuple(parts), **fields)


def soup(markup):
    return BeautifulSoup(f"<main>{markup}</main>", "lxml")  # a parser drops the white space that begins a page


def shown(markup):
    """Returns the text of a chunk as a reader sees it, without what the fold controls say."""
    read = soup(markup)
    for extra in read.select("summary, .rag-cut"):
        extra.decompose()
    return read.get_text()


@settings(derandomize=True, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_escaped_text_reads_back_the_same_on_one_line(text):
    assert "\n" not in escaped(text)
    assert soup(f"<div>{escaped(text)}</div>").div.get_text() == text


def test_line_breaks_and_tabs_survive_and_control_characters_do_not():
    read = soup(f"<div>{escaped(chr(0) + 'a' + chr(10) + chr(9) + 'b' + chr(13) + chr(10) + chr(0xD800))}</div>")
    assert read.div.get_text() == "\ufffda\n\tb\n\ufffd"


@settings(derandomize=True, deadline=None)
@given(
    text=st.text(string.ascii_letters + " .<&\n", min_size=1, max_size=3000),
    origin=st.integers(0, 10_000),
    cuts=st.lists(st.tuples(st.integers(0, 2999), st.integers(1, 300)), max_size=4),
)
def test_every_mark_is_exactly_the_quoted_span_and_nothing_is_lost(text, origin, cuts):
    found = hit(text, start=origin)
    spans = [(min(a, len(text) - 1), min(a + n, len(text))) for a, n in cuts]
    citations = [cite(found, n, origin + a, origin + b) for n, (a, b) in enumerate(spans, start=1)]
    markup = chunk_html(found, citations, 3)
    assert shown(markup) == text
    covered = "".join(ch for i, ch in enumerate(text) if any(a <= i < b for a, b in spans))
    assert "".join(mark.get_text() for mark in soup(markup).find_all("mark")) == covered
    ids = [each["id"] for each in soup(markup).find_all("a")]
    assert sorted(ids) == sorted(anchor(3, citation.marker) for citation in citations)


def test_separate_quotations_are_one_mark_each_with_their_numbers():
    found = hit("One first. Two second. Three.", start=100)
    markup = chunk_html(found, [cite(found, 2, 100, 110), cite(found, 1, 111, 122)], 3)
    marks = soup(markup).find_all("mark")
    assert [mark.get_text() for mark in marks] == ["One first.", "Two second."]
    assert [mark["style"] for mark in marks] == ["--marker:'2'", "--marker:'1'"]


def test_long_text_is_folded_around_the_quotation_and_bounded():
    text = "word " * 20_000
    found = hit(text)
    markup = chunk_html(found, [cite(found, 1, 50_000, 50_004)], 3)
    folds = soup(markup).select("details.rag-fold")
    assert len(folds) == 2 and all("open" not in fold.attrs for fold in folds)
    assert len(markup) < 45_000 and "more characters are not shown" in markup
    assert "summary" not in chunk_html(hit("short"), [], 3)


def test_nothing_retrieved_becomes_markup():
    found = hit(HOSTILE, source=HOSTILE, heading=HOSTILE)
    part = AnswerPart(f"{HOSTILE} [1]", (cite(found, 1, 0, len(HOSTILE)),))
    asked = turn([found, hit(HOSTILE, 2, source=HOSTILE)], [part], question=HOSTILE, error=HOSTILE, notice=HOSTILE)
    for markup in (question_html(asked), answer_html(asked), evidence_html(asked)):
        assert markup.startswith("<div") and "\n" not in markup
        tags = soup(markup).main.find_all(True)
        assert {tag.name for tag in tags} <= OURS
        assert {name for tag in tags for name in tag.attrs} <= {"class", "id", "href", "title", "style", "dir", "open"}
        assert HOSTILE in soup(markup).get_text()


def test_the_answers_own_marker_is_linked_and_a_quoted_one_is_not():
    found = hit("As shown in [1], it works.")
    asked = turn([found], [AnswerPart("As shown in [1], it works. [1]", (cite(found, 1, 0, 26),))])
    links = soup(answer_html(asked)).select("a.rag-cite")
    assert [(link["href"], link.get_text()) for link in links] == [("#evidence-3-1", "[1]")]
    assert soup(answer_html(asked)).select_one(".rag-text").get_text() == "As shown in [1], it works.[1]"
    assert soup(evidence_html(asked)).find(id="evidence-3-1") is not None


def test_quoted_hits_come_first_and_open_with_the_legs_that_found_them():
    both = {"dense": Leg(2, 0.71), "lexical": Leg(1, 12.4)}
    hits = [hit("Not quoted.", 1), hit("Quoted text.", 2, legs=both)]
    asked = turn(hits, [AnswerPart("Quoted text. [1]", (cite(hits[1], 1, 0, 12),))])
    cards = soup(evidence_html(asked)).select("details.rag-card")
    assert [(card.select_one(".rag-rank").get_text(), "open" in card.attrs) for card in cards] == [
        ("2", True),
        ("1", False),
    ]
    assert [leg.get_text() for leg in cards[0].select(".rag-leg")] == ["dense #2 0.71", "lexical #1 12.4"]
    assert [leg.get_text() for leg in cards[1].select(".rag-leg")] == ["dense #1 0.70", "lexical –"]
    assert cards[1].select_one(".rag-leg")["style"] == "--share:99%"


def test_chips_say_how_the_turn_was_asked():
    asked = turn(parts=[AnswerPart("Yes.")], retrieval_seconds=0.042, seconds=1.26)
    text = " ".join(soup(answer_html(asked)).select_one(".rag-chips").get_text(" ").split())
    assert text == "minilm hybrid 42 ms demo k 8 rrf, dense weight 0.50 1.3 s in all"


def test_a_turn_tells_what_it_waits_for_why_it_failed_and_that_it_abstained():
    assert "Searching …" in answer_html(turn(state=State.SEARCHING))
    assert "Loading minilm …" in answer_html(turn(state=State.SEARCHING, notice="Loading minilm …"))
    failed = answer_html(turn(state=State.FAILED, parts=[AnswerPart("Half an answer.")], error="The disk is full."))
    assert "Half an answer." in failed and "The disk is full." in failed
    assert "rag-abstained" in answer_html(turn(parts=[AnswerPart("No.", abstained=True)]))
    assert "Stopped." in answer_html(turn(state=State.STOPPED))
    assert "Nothing was found" in evidence_html(turn())
    assert "appear here" in evidence_html(None)
    assert "appear here" in evidence_html(turn(state=State.FAILED, error="The disk is full."))


def test_an_index_that_lacks_documents_says_so():
    spec = table_specs()["minilm"]
    card = replace(IndexCard.blank("demo", "heading-800-100", spec), chunks=1412, documents=9)
    assert (
        soup(status_html(card, 9, "dense")).get_text("|") == "1,412 chunks| of 9 documents|embedded by minilm |(384-d)"
    )
    assert soup(status_html(card, 12, "hybrid")).em.get_text() == "covers 9 of 12 documents"
    assert "BM25" in status_html(card, 12, "lexical") and "covers" not in status_html(card, 12, "lexical")
