"""The Library tab's HTML over real libraries, read back by a parser as a browser would."""

import re
import time
from itertools import count

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from file_builders import write
from ingest.report import Outcome
from rag.catalogue import place_of
from rag.schema import Document, Heading
from ui.document_html import AROUND, document_html, text_html
from ui.histogram import BINS, Mark, histogram_svg, token_mark
from ui.job_html import MOST_ROWS, job_html
from ui.jobs import Job, Kind, Order, State
from ui.library_html import parts_html, shell_html
from ui.library_view import PAGE, Viewer
from ui.meter import Meter

HOSTILE = "<img src=x onerror=alert(1)> <script>1</script> \"'><b>&amp;"


def soup(markup):
    return BeautifulSoup(markup, "lxml")


def text_of(markup, selector):
    return [each.get_text(" ", strip=True) for each in soup(markup).select(selector)]


@pytest.fixture(scope="module")
def viewer(small_library):
    return Viewer(small_library.library, small_library.settings, local=True)


# --- a corpus


def test_a_corpus_is_told_with_its_documents_and_indexes(viewer):
    page = shell_html(viewer.look("small"), "")
    assert text_of(page, ".lib-head p") == ["7 documents · 10 chunks · 2 embedders"]
    assert text_of(page, ".lib-corpora a") == ["small 7"]
    assert len(text_of(page, ".lib-table tbody tr")) == 7
    assert text_of(page, ".lib-card-line") == ["10 of 10 chunks"] * 2
    assert "Backfill" not in page
    assert [box["value"] for box in soup(page).select("input[name=embedder][checked]")] == ["wordllama", "hash"]
    parts = {part["data-part"] for part in soup(parts_html(viewer.look("small"))).select("[data-part]")}
    assert parts == {part["data-part"] for part in soup(page).select("[data-part]")}


def test_a_corpus_that_is_not_there_yet_invites(viewer):
    page = shell_html(viewer.look("new-one"), "")
    assert "No documents yet: drop a folder here" in page
    assert text_of(page, ".lib-corpora a[aria-current]") == ["new-one new"]
    assert not soup(page).select("[data-part=list] *")
    assert "No documents yet" not in shell_html(viewer.look("new-one", busy="new-one"), "")


def test_only_a_page_of_this_machine_may_name_a_folder(small_library):
    for local in (True, False):
        view = Viewer(small_library.library, small_library.settings, local).look("small")
        assert bool(soup(shell_html(view, "")).select("form[data-action=folder]")) is local


def test_the_list_is_searched_and_paged(ingest, tmp_path):
    for number in range(PAGE + 5):
        write(tmp_path / "docs", f"note{number:02}.txt", f"Note number {number} stands here.")
    write(tmp_path / "docs", "empty.txt", "")
    made = ingest(tmp_path / "docs")
    viewer = Viewer(made.library, made.settings, local=True)
    first, second = (parts_html(viewer.look("c", page=page)) for page in (1, 2))
    names = text_of(first, ".lib-source") + text_of(second, ".lib-source")
    assert names == [f"note{number:02}.txt" for number in range(PAGE + 5)]
    assert text_of(first, ".lib-pager span") == [f"1 to {PAGE} of {PAGE + 5}"]
    assert soup(second).select_one(".lib-pager a")["href"] == "?tab=library&corpus=c"  # the first page has no number
    assert text_of(parts_html(viewer.look("c", words="NOTE 1 txt")), ".lib-source")[0] == "note01.txt"
    assert text_of(parts_html(viewer.look("c", words="no%te")), ".lib-empty") == ["Nothing has this name."]
    problems = parts_html(viewer.look("c", show="problems"))
    assert re.match("skipped empty.txt .*empty", text_of(problems, ".lib-refused li")[0])


def test_an_index_that_lacks_documents_offers_to_backfill(ingest, docs, tmp_path):
    ingest(docs, embedders=("hash", "wordllama"))
    write(tmp_path / "more", "more.txt", "More of the same.")
    made = ingest(tmp_path / "more", embedders=("hash",))
    page = parts_html(Viewer(made.library, made.settings, local=True).look("c"))
    (button,) = soup(page).select("button[data-action=backfill][data-chunker]:not(.lib-more *)")
    assert button["data-embedder"] == "wordllama"
    assert len(soup(page).select(".lib-partial")) == 1
    assert text_of(page, ".lib-more button") == ["+ minilm", "+ minilm-int8"]


def test_a_corpus_is_not_gathered_anew_at_every_commit_of_a_running_job(ingest, docs, tmp_path):
    made = ingest(docs)
    write(tmp_path / "more", "more.txt", "More of the same.")
    viewer = Viewer(made.library, made.settings, local=True, clock=count().__next__)  # gathering takes a second
    before = viewer.look("c", busy="c").about
    ingest(tmp_path / "more")
    assert viewer.look("c", busy="c").about == before
    assert viewer.look("c").about.coverage[0].documents == before.coverage[0].documents + 1


def test_names_and_reasons_are_text(ingest, tmp_path):
    name = HOSTILE.replace("/", "")
    write(tmp_path / "docs", f"{name}.md", f"# {HOSTILE}\n\nA text.")
    write(tmp_path / "docs", f"{name}.txt", "")
    made = ingest(tmp_path / "docs")
    viewer = Viewer(made.library, made.settings, local=True)
    for show in ("documents", "problems"):
        page = shell_html(viewer.look("c", show, words=""), "")
        assert not soup(page).select("img, script")
        assert name in soup(page).get_text()
    page = shell_html(viewer.look(HOSTILE, words=HOSTILE), "")
    assert not soup(page).select("img, script") and soup(page).select_one(".lib-search")["value"] == HOSTILE


# --- a job


def job(state=State.RUNNING, kind=Kind.INGEST, meter=None, **fields):
    return Job(1, Order(kind, "c", sources=("a.txt",)), meter or Meter(), state, **fields)


def test_thousands_of_files_are_counted_but_not_all_shown():
    meter = Meter()
    meter.start(5000, 5000)
    for number in range(5000):
        meter.item(Outcome(f"f{number}", f"/f{number}", "failed" if number % 10 == 0 else "done", HOSTILE), 1)
    page = job_html(job(meter=meter), problems_only=False)
    assert text_of(page, ".job-counts span") == ["4,500 done", "500 failed"]
    assert len(soup(page).select(".job-list li")) == MOST_ROWS + 1 and "and 4,900 more" in page
    page = job_html(job(meter=meter), problems_only=True)
    assert set(text_of(page, ".job-list .lib-status")) == {"failed"} and "and 400 more" in page
    assert not soup(page).select("img, script")


def test_each_embedder_has_its_progress():
    now = [0.0]
    meter = Meter(lambda: now[0])
    meter.start(4, 4_000_000)
    meter.planned("minilm", 100)
    now[0] = 10.0
    meter.embedded("minilm", 100)
    meter.item(Outcome("a", "/a", "done"), 1_000_000)
    page = job_html(job(meter=meter), problems_only=False)
    assert text_of(page, ".job-told") == ["1 of 4 files · 976.6 kB of 3.8 MB", "100 of about 400 vectors"]
    assert text_of(page, ".job-speed") == ["97.7 kB/s · 0:30 left", "10/s · about 0:30 left"]


@pytest.mark.parametrize(
    ("state", "buttons"),
    [
        (State.RUNNING, ["Cancel"]),
        (State.DONE, ["Close"]),
        (State.STOPPED, ["Resume", "Close"]),
        (State.INTERRUPTED, ["Resume", "Close"]),
        (State.FAILED, ["Try again", "Close"]),
    ],
)
def test_a_job_offers_what_can_be_done_about_it(state, buttons):
    for kind in Kind:
        page = job_html(job(state, kind, message=HOSTILE if state is State.FAILED else ""), problems_only=False)
        assert text_of(page, "button[data-action]") == buttons
        assert not soup(page).select("img")


# --- a document


DOCUMENTS = st.lists(st.sampled_from(["a", "<b>", "\n", " ", "&", "é", "文", "\t", '"']), min_size=1, max_size=80)


@given(DOCUMENTS, st.data())
def test_the_reader_shows_exactly_the_text_and_marks_exactly_the_chunk(pieces, data):
    text = "".join(pieces)
    offsets = st.integers(0, len(text) - 1)
    headings = tuple(Heading(at, 1, "h") for at in sorted(set(data.draw(st.lists(offsets, max_size=4)))))
    pages = tuple(sorted({0, *data.draw(st.lists(offsets, max_size=3))})) if data.draw(st.booleans()) else ()
    start = data.draw(offsets)
    end = data.draw(st.integers(start + 1, len(text)))
    document = Document("d", "c", "s", "t", text, "markdown", "", pages, headings)
    first = data.draw(st.integers(0, start))
    last = data.draw(st.integers(end, len(text)))
    place = type("Place", (), {"start": start, "end": end})()
    at = data.draw(st.none() | offsets)
    read = soup(f"<pre>|{text_html(document, place, first, last, at)}</pre>").pre  # where a parser keeps white space
    assert read.get_text() == "|" + text[first:last]
    assert "".join(mark.get_text() for mark in read.select("mark")) == text[start:end]
    assert len(read.select("#doc-at" if at == start else "#doc-chunk")) == 1


def test_a_book_is_shown_around_the_chunk_and_at_once():
    text = "\n".join(f"Line {number} of a very long book." for number in range(200_000))
    headings = tuple(Heading(at, 1, f"at {at}") for at in range(0, len(text), 1000))
    document = Document("d", "c", "book.txt", "", text, "plain_text", "", (), headings)
    started = time.perf_counter()
    page = document_html(document, None, len(text) // 2)
    assert time.perf_counter() - started < 1
    assert len(page) < 8 * AROUND and text_of(page, ".doc-move") == ["Earlier text", "Later text"]
    assert text_of(page, ".doc-marks [aria-current]")[0].startswith("at ")


def test_neighbours_lead_through_all_chunks_of_a_document(small_library):
    library = small_library.library
    document = library.document(library.sources("small")["planets.md"])
    place = place_of(library, document.id, None)
    seen = [place]
    while place.after:
        place = place_of(library, document.id, place.after)
        seen.append(place)
    assert [each.number for each in seen] == list(range(1, place.total + 1))
    assert [each.before for each in seen] == [None, *(each.chunk_id for each in seen[:-1])]
    assert [each.start for each in seen] == sorted(each.start for each in seen)
    assert place_of(library, document.id, "no-such-chunk") is None


# --- lengths


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=200))
def test_the_histogram_counts_every_chunk_once(lengths):
    drawn = soup(histogram_svg(sorted(lengths), [Mark(256, "64 tokens")])).select("rect title")
    counts = [int(re.match(r"[\d,]+", title.get_text()).group().replace(",", "")) for title in drawn]
    assert sum(counts) == len(lengths) and len(counts) <= BINS


def test_a_limit_of_tokens_stands_where_as_many_chunks_are_longer_as_were_cut():
    lengths = list(range(1, 101))
    assert sum(length > token_mark(lengths, 256, 7, "").at for length in lengths) == 7
    assert token_mark(lengths, 256, 0, "").at == 1024
