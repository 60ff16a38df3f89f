"""Documents for the tests of chunkers: any text, with pages and headings anywhere."""

from hypothesis import strategies as st

from rag.schema import Document, Heading


def document(text, pages=(), headings=(), title="title"):
    return Document("id", "corpus", "source", title, text, "plain_text", "hash", pages, headings)


PIECES = ["word ", "a", "\n", "\n\n", " ", "ab. ", "Ab! ", "。", "，", "句", "x" * 70, "\t", "\u0301", "\x1d"]
PIECES += ["same same ", "😀", "- item\n", "# H\n", "ﷺ", "ก", "؟ "]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=80).map("".join)


@st.composite
def documents(draw, titles=None):
    text = draw(texts)
    inside = st.integers(0, max(0, len(text) - 1))
    pages = sorted(draw(st.sets(inside, max_size=5)) | {0}) if draw(st.booleans()) else []
    starts = sorted(draw(st.sets(inside, max_size=6))) if text else []
    headings = (Heading(start, draw(st.integers(1, 4)), f"H{start}") for start in starts)
    return document(text, tuple(pages), tuple(headings), "title" if titles is None else draw(titles))
