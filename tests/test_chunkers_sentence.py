"""Sentences in many scripts, and windows of them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunker_documents import document, documents
from ingest.chunkers import SentenceChunker
from ingest.chunkers.sentence_spans import sentence_spans
from rag.schema import Heading


def sentences(text):
    return [text[start:end] for start, end in sentence_spans(text, 0, len(text))]


@pytest.mark.parametrize(
    "expected",
    [
        ["The first one.", "Is it?", "Yes!", '"Quoted."', "(Bracketed.)", "3 more…", "End"],
        ["See e.g. Smith et al. (2019) or Dr. Who.", "It costs 3.5 dollars.", "Version 2.0 is out."],
        ["Das kostet z.B. drei Euro.", "Übrigens: nichts.", "«Oui.»", "Non."],
        ["Это первое предложение.", "Второе?", "Да."],
        ["Αυτή είναι μία πρόταση.", "Και άλλη."],
        ["هذه جملة.", "هل هذه جملة؟", "نعم."],
        ["یہ پہلا جملہ ہے۔", "یہ دوسرا ہے۔"],
        ["यह पहला वाक्य है।", "यह दूसरा है।"],
        ["이것은 문장입니다.", "저것도 문장입니다."],
        ["ይህ ዓረፍተ ነገር ነው።", "ሌላ።"],
    ],
)
def test_sentences_of_scripts_with_blanks(expected):
    assert sentences(" ".join(expected)) == expected
    assert sentences("\n".join(expected)) == expected


def test_sentences_of_scripts_without_blanks():
    expected = ["这是第一句。", "他说：“好。”", "真的吗？！", "これは文です。", "「はい。」"]
    assert sentences("".join(expected)) == expected


def test_lines_that_stand_alone_end_a_sentence_and_soft_breaks_do_not():
    text = "# A title\nA sentence over\ntwo lines.\n- item one\n- item two,\n  continued\n1. first\n\nlast para"
    assert sentences(text) == [
        "# A title",
        "A sentence over\ntwo lines.",
        "- item one",
        "- item two,\n  continued",
        "1. first",
        "last para",
    ]


def test_what_holds_no_word_is_no_sentence():
    assert sentences("One.\n\n* * *\n\nTwo.\n\n----") == ["One.", "* * *\n\nTwo.\n\n----"]
    assert sentences("...\n\n!!!") == ["...\n\n!!!"]
    assert sentences(" \n ") == []


@given(documents(), st.data())
def test_sentences_lose_nothing_and_never_overlap(source, data):
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(source.text))] * 2)))
    spans = list(sentence_spans(source.text, start, end))
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    kept = "".join(source.text[first:last] for first, last in spans)
    assert "".join(kept.split()) == "".join(source.text[start:end].split())


NUMBERED = [f"This is sentence number {number}." for number in range(10, 22)]


@pytest.mark.parametrize(
    ("size", "overlap", "expected"),
    [(5, 1, [(0, 5), (4, 9), (8, 12)]), (4, 0, [(0, 4), (4, 8), (8, 12)]), (12, 11, [(0, 12)]), (1, 0, None)],
)
def test_windows_of_sentences(size, overlap, expected):
    expected = expected or [(place, place + 1) for place in range(12)]
    chunks = SentenceChunker(size, overlap).split(document(" ".join(NUMBERED)))
    assert [chunk.text for chunk in chunks] == [" ".join(NUMBERED[first:last]) for first, last in expected]


def test_windows_stop_at_headings_and_pages():
    text = "# A\n" + " ".join(NUMBERED[:3]) + "\n# B\n" + " ".join(NUMBERED[3:6]) + "\n" + " ".join(NUMBERED[6:])
    b, page = text.index("# B"), text.index(NUMBERED[6])
    chunks = SentenceChunker(20, 1).split(document(text, (0, page), (Heading(0, 1, "A"), Heading(b, 1, "B"))))
    assert [(chunk.heading, chunk.page, chunk.start) for chunk in chunks] == [("A", 1, 0), ("B", 1, b), ("B", 2, page)]


def test_a_sentence_without_end_is_cut():
    chunks = SentenceChunker(2, 0).split(document("word " * 1000 + "end. Short one."))
    assert len(chunks) > 2
    assert all(len(chunk.text) <= 2001 for chunk in chunks)
    assert chunks[-1].text.endswith("Short one.")
