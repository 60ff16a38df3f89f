"""The chat's HTML, read back by a browser's parser rules (lxml and Beautiful Soup)."""

import string
from dataclasses import replace
from datetime import UTC, datetime

from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.cards import IndexCard
from rag.chats import SavedChat
from rag.embedders.registry import table_specs
from rag.filters import Filter
from rag.schema import AnswerPart, Chunk, Citation, Hit, Leg, Usage
from ui.chats_html import chats_html
from ui.evidence_html import chunk_html, evidence_html
from ui.render import anchor, answer_html, escaped, question_html, status_html
from ui.turn_cost import Cost, cost_of
from ui.turns import ChatTurn, Choices, State

HOSTILE = (
    "<img src=x onerror=alert(1)> ![a](http://evil.test/x.png) <script>1</script> \"'><b>&amp; ${7*7} {{value}} $$x$$"
)
CHOICES = Choices("demo", "minilm", "hybrid", 8, 0.5, "rrf")
OUR_ATTRIBUTES = {"class", "id", "href", "title", "style", "dir", "open", "type", "role"}
OURS = {"div", "span", "details", "summary", "a", "b", "i", "q", "mark", "button"}


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
        assert {name for tag in tags for name in tag.attrs} <= OUR_ATTRIBUTES
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


def test_chips_tell_of_all_that_took_part_and_of_what_it_cost():
    choices = replace(
        CHOICES, retriever="dense", filter=Filter(type="pdf"), reranker="re", mmr=0.7, llm="openai:some-model"
    )
    asked = replace(turn(parts=[AnswerPart("Yes.")], cost=Cost(0.0123, "how")), choices=choices)
    chips = soup(answer_html(asked)).select(".rag-chips .rag-chip")
    told = ["minilm", "dense", "reranked by re", "MMR 0.70", "openai:some-model", "type pdf", "$0.0123"]
    assert [chip.get_text() for chip in chips] == told
    assert chips[-1]["title"] == "how"
    free = answer_html(turn(parts=[AnswerPart("Yes.")], cost=Cost(0.0, "")))
    assert "$" not in free and "price unknown" in answer_html(turn(parts=[], cost=Cost(None, "")))


def test_a_rewritten_question_is_told():
    asked = turn(parts=[AnswerPart("Yes.")], searched_for=f"What of {HOSTILE}?")
    assert soup(answer_html(asked)).select_one(".rag-searched q").get_text() == f"What of {HOSTILE}?"
    assert "Searched for" not in answer_html(turn(parts=[AnswerPart("Yes.")], searched_for="What?"))


def test_what_a_language_model_got_wrong_is_told():
    found = hit("As shown, it works.")
    weak = replace(cite(found, 1, 0, 19), weak=True)
    parts = [AnswerPart("Sure [1]", (weak,), dropped=2, notice="The stream broke."), AnswerPart("", dropped=1)]
    page = soup(answer_html(turn([found], parts)))
    assert "rag-weak" in page.select_one("a.rag-cite")["class"] and "shares no words" in page.a["title"]
    hints = [each.get_text() for each in page.select(".rag-hint")]
    assert hints == ["The stream broke.", "3 markers pointed to no chunk and were dropped."]


def test_only_a_finished_turn_can_be_acted_on():
    found = hit("Text.")
    running = turn([found], [AnswerPart("Yes.")], state=State.ANSWERING)
    assert "rag-running" in answer_html(running) and "<button" not in answer_html(running)
    done = soup(answer_html(turn([found], [AnswerPart("Yes.")])))
    assert [each.get_text() for each in done.select("button")] == ["Copy", "Evidence 1", "Replay under …"]
    abstained = soup(answer_html(turn([found], [AnswerPart("No.", abstained=True)])))
    assert [each.get_text() for each in abstained.select("button")] == ["Evidence 1", "Replay under …"]


def test_which_question_the_evidence_is_of():
    found = hit("Text.")
    pages = [soup(evidence_html(turn([found]), at)) for at in ((1, 3), (3, 3), (1, 1))]
    assert [page.select_one(".rag-place").get_text() for page in pages] == [
        "Question 1 of 3",
        "Question 3 of 3 · the latest",
        "Your question",
    ]


def test_conversations_are_listed_with_the_current_one_marked():
    now = datetime(2026, 3, 5, 12, tzinfo=UTC)
    chats = [
        SavedChat("a1", HOSTILE, "2026-03-05T11:00:00+00:00", "2026-03-05T11:59:59+00:00", 2),
        SavedChat("b2", "", "2026-01-05T11:00:00+00:00", "2026-02-27T11:00:00+00:00", 1),
    ]
    page = soup(chats_html(chats, "a1", "the disk is <full>", now))
    assert [row["id"] for row in page.select(".rag-chat")] == ["chat-a1", "chat-b2"]
    assert [row["id"] for row in page.select(".rag-current")] == ["chat-a1"]
    assert page.select_one("b").get_text() == HOSTILE and not page.find("img")
    facts = [each.get_text() for each in page.select("small")]
    assert facts == ["2 questions · just now", "1 question · 6 days ago"]
    assert page.select_one(".rag-unsaved")["title"] == "the disk is <full>"
    assert "saved here as they grow" in chats_html((), None)


def test_what_a_turn_costs_is_added_up():
    spec = table_specs()["minilm"]
    paid = replace(spec, name="paid", usd_per_million_tokens=1000.0)
    unknown = replace(spec, unconfirmed=("usd_per_million_tokens",), usd_per_million_tokens=0.0)
    usage = Usage(1000, 50, 0.25)
    assert cost_of("x" * 40, None, None) == cost_of("x" * 40, spec, None) == Cost(0.0, "")
    assert cost_of("x" * 40, paid, None) == Cost(0.01, "question: about 10 tokens embedded by paid")
    assert cost_of("x" * 40, paid, usage).usd == 0.26
    assert cost_of("x", spec, usage) == Cost(0.25, "answer: 1,000 tokens read, 50 written")
    assert cost_of("x", unknown, usage).usd is None
    assert cost_of("x", spec, replace(usage, usd=None, estimated=True)).usd is None


def test_an_index_that_lacks_documents_says_so():
    spec = table_specs()["minilm"]
    card = replace(IndexCard.blank("demo", "heading-800-100", spec), chunks=1412, documents=9)
    assert (
        soup(status_html(card, 9, "dense")).get_text("|") == "1,412 chunks| of 9 documents|embedded by minilm |(384-d)"
    )
    assert soup(status_html(card, 12, "hybrid")).em.get_text() == "covers 9 of 12 documents"
    assert "BM25" in status_html(card, 12, "lexical") and "covers" not in status_html(card, 12, "lexical")
