"""Tables of questions and sources: how columns, delimiters and encodings are told, and what each row finds."""

import io

import openpyxl
import pytest

from eval.tasks.retrieval import load_retrieval_task
from file_builders import make_pdf, write
from rag.errors import UsageError
from rag.labels import LabelTable, LabelTask, Query, query_id_of
from ui.question_files import read_rows
from ui.question_import import import_questions
from ui.source_matching import SourceMatcher

FILES = {
    "guide/rivers.md": "# Rivers\n\nRivers run to\nthe sea.\n\n## Nile\n\nIt is long.\n",
    "guide/README.md": "# About the guide\n\nRead me first.\n",
    "other/README.md": "# About the rest\n\nRead me last.\n",
    "Über uns.txt": "Wir sind viele.",
    "tea.txt": "Green tea is brewed at eighty degrees.",
}


@pytest.fixture
def library(ingest, tmp_path):
    for name, text in FILES.items():
        write(tmp_path / "docs", name, text)
    pages = ["The first page tells of herons.", "The second page tells of owls."]
    (tmp_path / "docs" / "birds.pdf").write_bytes(make_pdf(pages))
    return ingest(tmp_path / "docs").library


def taken(library, text, name="questions.csv", **options):
    data = text if isinstance(text, bytes) else text.encode()
    return import_questions(library, name, data, **options)


def labels_of(library, task="questions"):
    return LabelTable(library.database).labels(task)


# --- reading


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiter_encoding_and_line_ends_are_told(delimiter, encoding, end):
    lines = ["Query", "File name"], ["Wer sind wir – und „wo“?", "Über uns.txt"]
    text = end.join(delimiter.join(line) for line in lines) + end
    [row] = read_rows("x.csv", text.encode(encoding))
    assert (row.line, row.question, row.source) == (2, "Wer sind wir – und „wo“?", "Über uns.txt")


def test_columns_are_found_by_their_names_in_any_order():
    text = "Notes,PAGE,Reference,Document,User_Input,Quote,Relevance\nx,3,an answer,a.pdf,why,a quote,2\n"
    [row] = read_rows("x.csv", text.encode())
    assert (row.question, row.source, row.span, row.answer, row.page, row.grade) == (
        "why", "a.pdf", "a quote", "an answer", "3", "2",
    )  # fmt: skip


def test_lines_are_those_of_the_file_where_cells_hold_line_breaks():
    text = 'question,source\n\n"two\nlines",a\n,,\nlast,b\n'
    assert [(row.line, row.question) for row in read_rows("x.csv", text.encode())] == [(3, "two\nlines"), (6, "last")]


def test_a_workbook_is_a_table_too():
    book = openpyxl.Workbook()
    book.active.append(["Question", "Source", "Page"])
    book.active.append(["What of owls?", "birds.pdf", 2])
    data = io.BytesIO()
    book.save(data)
    [row] = read_rows("x.XLSX", data.getvalue())
    assert (row.line, row.question, row.source, row.page) == (2, "What of owls?", "birds.pdf", "2")
    with pytest.raises(UsageError, match=r"x\.xlsx is not a workbook that can be read"):
        read_rows("x.xlsx", b"PK\x03\x04 spoilt")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"question,notes\nx,y\n", "line 1: no column is named source. Found: question, notes"),
        (b"x,y\n1,2\n", "no column is named question or source"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x01\x02\x03\x04\x05" * 50, "not a table that can be read|no column is named"),
    ],
)
def test_what_is_no_table_of_questions_is_told(data, message):
    with pytest.raises(UsageError, match=message):
        read_rows("x.csv", data)


# --- matching


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("guide/rivers.md", "guide/rivers.md"),
        ("GUIDE\\Rivers.md", "guide/rivers.md"),
        ("rivers.md", "guide/rivers.md"),
        ("./rivers.md", "guide/rivers.md"),
        ("rivers", "guide/rivers.md"),
        ("/home/ann/docs/guide/rivers.md", "guide/rivers.md"),
        ("https://example.org/docs/guide/rivers.md?plain=1#nile", "guide/rivers.md"),
        ("file:///C:/docs/U%CC%88ber%20uns.txt", "Über uns.txt"),
        ("about the guide", "guide/README.md"),
        ("guide/readme.md", "guide/README.md"),
    ],
)
def test_a_document_is_found_by_what_people_call_it(library, name, source):
    assert SourceMatcher(library, "c").match(name).source == source


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("README.md", "may be 'guide/README.md', 'other/README.md'. Write the whole path."),
        ("rivrs.md", "holds no document 'rivrs.md'. Did you mean 'guide/rivers.md'?"),
        ("tea.pdf", "holds no document 'tea.pdf'. Did you mean 'tea.txt'?"),  # another file, though named alike
        ("something else", "holds no document 'something else'."),
        ("", "holds no document ''."),
    ],
)
def test_what_cannot_be_told_is_not_guessed(library, name, problem):
    match = SourceMatcher(library, "c").match(name)
    assert match.source == "" and match.problem.endswith(problem)


def test_a_cell_may_name_several_documents(library):
    done = taken(
        library, "question,source\nWhat is it?,tea.txt; rivers.md\nAnd this?,tea.txt; nothing.md\n", partial=True
    )
    assert {label.source for label in labels_of(library)} == {"tea.txt", "guide/rivers.md"}
    assert [problem.line for problem in done.problems] == [3]


# --- labels


def test_spans_are_taken_as_the_document_has_them(library):
    done = taken(
        library,
        "question,source,passage,grade\n"
        "Where do rivers run?,rivers.md,Rivers run to the sea.,2\n"
        "How is tea brewed?,tea,,\n"
        "Is tea long?,tea.txt,,0\n",
    )
    assert (done.task, done.questions, done.labels, done.problems) == (LabelTask("questions", "c"), 3, 3, ())
    text = FILES["guide/rivers.md"]
    span = "Rivers run to\nthe sea."
    assert {(label.source, label.span, label.start, label.grade, label.origin) for label in labels_of(library)} == {
        ("guide/rivers.md", span, text.index(span), 2, "import"),
        ("tea.txt", "", 0, 1, "import"),
        ("tea.txt", "", 0, 0, "import"),
    }
    task = load_retrieval_task(library.home / "tasks" / "questions")
    assert task.label_sources == {"import": 2}
    assert [answer.answers for answer in task.answers] == [(span,)]


def test_a_page_narrows_where_a_span_is_looked_for_or_is_one_itself(library):
    done = taken(
        library,
        "question,source,span,page\n"
        "What of owls?,birds.pdf,,2\n"
        "What of herons?,birds.pdf,herons,1\n"
        "What of both?,birds.pdf,herons,2\n"
        "What of none?,birds.pdf,,3\n"
        "What of tea?,tea.txt,,1\n",
        partial=True,
    )
    document = library.document(library.sources("c")["birds.pdf"])
    for label in labels_of(library):
        assert document.text.startswith(label.span, label.start)
    assert sorted(label.span.strip()[:15] for label in labels_of(library)) == ["The second page", "herons"]
    assert [(each.line, each.message) for each in done.problems] == [
        (4, "'birds.pdf', page 2, does not hold the passage 'herons'. Copy it from there."),
        (5, "'birds.pdf' has the pages 1 to 2, not '3'."),
        (6, "'tea.txt' has no pages. Leave the page empty."),
    ]


def test_an_answer_in_other_words_is_a_note_and_judges_the_document(library):
    done = taken(
        library, "question,source,answer\nHow hot?,tea.txt,At 80 C\nHow is it brewed?,tea.txt,eighty degrees\n"
    )
    assert done.problems == () and [note.line for note in done.notes] == [2]
    assert {label.span for label in labels_of(library)} == {"", "eighty degrees"}


def test_nothing_is_taken_where_a_row_cannot_be_used_unless_asked_to(library):
    text = "question,source,grade\nGood?,tea.txt,1\n,tea.txt,\nNo source?,,\nBad grade?,tea.txt,high\n"
    done = taken(library, text)
    assert (done.task, done.questions) == (None, 1)
    assert [(each.line, each.message.split(".")[0]) for each in done.problems] == [
        (3, "it has no question"), (4, "it has no source"), (5, "'high' is not a grade"),
    ]  # fmt: skip
    assert LabelTable(library.database).tasks() == []
    assert taken(library, text, partial=True).task is not None
    assert len(labels_of(library)) == 1


def test_repeated_rows_count_once_and_contradictions_are_told(library):
    rows = ["Hot?,tea.txt,1", "Hot?,TEA.txt,1", " Hot? ,tea,1.0", "Hot?,tea.txt,0"]
    done = taken(library, "\n".join(["question,source,grade", *rows]), partial=True)
    assert (done.questions, done.labels, done.repeated) == (1, 1, 2)
    [problem] = done.problems
    assert problem.line == 5 and "line 2 gives the same passage the grade 1" in problem.message


def test_a_question_that_the_task_has_keeps_its_id(library):
    LabelTable(library.database).add(LabelTask("mine", "c"), [Query("q7", "How hot is tea?")], [])
    taken(library, "question,source\nHow hot is  tea?,tea.txt\nNew one?,tea.txt\n", task="mine")
    assert {label.query for label in labels_of(library, "mine")} == {"q7", query_id_of("New one?")}


def test_importing_twice_changes_nothing(library):
    text = "question,source,passage\nHow hot?,tea.txt,eighty degrees\n"
    first = taken(library, text)
    kept = [(label.judged, label.grade) for label in labels_of(library)]
    assert taken(library, text) == first
    assert [(label.judged, label.grade) for label in labels_of(library)] == kept


def test_a_table_without_rows_and_a_name_that_cannot_be_are_told(library):
    with pytest.raises(UsageError, match="no rows"):
        taken(library, "question,source\n")
    with pytest.raises(UsageError, match="cannot name a task"):
        taken(library, "question,source\nHot?,tea.txt\n", task="../x")
    with pytest.raises(UsageError, match="No corpus 'd'"):
        taken(library, "question,source\nHot?,tea.txt\n", corpus="d")
