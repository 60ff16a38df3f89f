"""Labels in the library: kept by source and text, folded to documents, and written as a task that `rag eval` reads."""

import json
import threading
from pathlib import Path

import pytest

from eval.tasks.retrieval import load_retrieval_task
from file_builders import write
from rag.errors import UsageError
from rag.labels import Label, LabelTable, LabelTask, Query, plain_question, query_id_of, summarise
from rag.library import Library
from rag.lock import writer_lock
from rag.schema import content_id
from rag.task_folders import fold, folder_of, keep, task_files, write_folder, write_folders

QUESTION = "Where does the Nile run?"


@pytest.fixture
def made(ingest, docs):
    return ingest(docs)


@pytest.fixture
def table(made):
    return LabelTable(made.library.database)


def chunk_of(library, source, words):
    """Returns the text and the start of the chunk of a document that holds the words."""
    document = library.document(library.sources("c")[source])
    chunks = library.document_chunks(document.id, library.cards.all("c")[0].chunker)
    return next((chunk.text, chunk.start) for chunk in chunks if words in chunk.text)


def judge(table, library, words, grade, question=QUESTION, source="rivers.md", user=""):
    span, start = chunk_of(library, source, words)
    name = table.judge("c", question, source, span, start, grade, "thumb", user)
    return write_folder(library, name)


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def qrels_of(folder):
    lines = (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]
    return {tuple(line.split("\t")[:2]): int(line.split("\t")[2]) for line in lines}


def test_a_judgement_becomes_a_task_that_eval_loads(made, table):
    folder = judge(table, made.library, "It is long", 2)
    judge(table, made.library, "It is cold", 0)
    judge(table, made.library, "Sourdough", 0, source="bread.txt")
    assert folder == made.library.home / "tasks" / "c-labels"
    task = load_retrieval_task(folder)
    query = query_id_of(QUESTION)
    assert (task.name, task.corpus, task.queries) == ("c-labels", "c", {query: QUESTION})
    assert task.qrels == {query: {"rivers.md": 2, "bread.txt": 0}}  # the best grade of the document's passages
    text = made.library.document(made.library.sources("c")["rivers.md"]).text
    [answer] = task.answers
    assert answer.document == "rivers.md"
    assert [text[s : s + len(a)] for s, a in zip(answer.starts, answer.answers, strict=True)] == list(answer.answers)
    assert "It is long" in answer.answers[0]


def test_the_last_judgement_of_a_person_holds_and_undoing_takes_it_back(made, table):
    judge(table, made.library, "It is long", 2)
    folder = judge(table, made.library, "It is long", 0)
    assert [label.grade for label in table.labels("c-labels")] == [0]
    span, _ = chunk_of(made.library, "rivers.md", "It is long")
    table.undo("c", QUESTION, "rivers.md", span)
    write_folder(made.library, "c-labels")
    assert table.labels("c-labels") == [] and table.queries("c-labels") == {}
    assert (folder / "queries.jsonl").read_text() == ""
    assert qrels_of(folder) == {}
    table.undo("c", QUESTION, "rivers.md", span)  # what is not there is undone already


def test_a_question_is_the_same_however_its_words_are_spaced(made, table):
    judge(table, made.library, "It is long", 2)
    judge(table, made.library, "It is cold", 1, question=f"  {QUESTION.replace(' ', chr(10) + ' ')} ")
    assert list(table.queries("c-labels")) == [query_id_of(QUESTION)]
    assert len(table.of_question("c-labels", f"{QUESTION}\n")) == 2
    assert table.of_question("c-labels", "another one") == []
    with pytest.raises(UsageError, match="empty"):
        plain_question(" \n\t")


def test_persons_agree_by_the_lower_median_and_all_their_labels_are_kept(made, table):
    for user, grade in (("ann", 2), ("bob", 0)):
        folder = judge(table, made.library, "It is long", grade, user=user)
    assert set(qrels_of(folder).values()) == {0}
    judge(table, made.library, "It is long", 2, user="kim")
    assert set(qrels_of(folder).values()) == {2}
    assert {label.user for label in table.labels("c-labels")} == {"ann", "bob", "kim"}
    assert summarise(table.labels("c-labels")) == {0: 0, 1: 0, 2: 1}


# --- the corpus changes


def test_labels_outlive_new_versions_other_chunkers_and_the_document_itself(made, table, docs, ingest):
    folder = judge(table, made.library, "It is long", 2)
    write(docs, "rivers.md", "# Rivers\n\nA new beginning.\n\n## Nile\n\nIt is long.\n\n## Rhine\n\nIt is cold.\n")
    ingest(docs)
    write_folders(made.library)
    task = load_retrieval_task(folder)
    text = made.library.document(made.library.sources("c")["rivers.md"]).text
    [answer] = task.answers
    assert text[answer.starts[0] :].startswith("## Nile\n\nIt is long.")  # it has moved, and is found where it is now

    ingest(docs, chunker="whole")
    write_folders(made.library)
    assert load_retrieval_task(folder).answers == task.answers

    write(docs, "rivers.md", "# Rivers\n\n## Nile\n\nNobody knows how long it is.\n")
    ingest(docs)
    write_folders(made.library)
    assert qrels_of(folder) == {}  # nobody has judged what stands there now
    assert keep(made.library, "c", table.labels("c-labels")).gone == 1
    assert [json.loads(line)["span"] for line in (folder / "labels.jsonl").read_text().splitlines()] == [
        table.labels("c-labels")[0].span
    ]

    (docs / "rivers.md").unlink()
    ingest(docs)
    write_folders(made.library)
    assert "rivers.md" not in made.library.sources("c") and qrels_of(folder) == {}
    assert [label.grade for label in table.labels("c-labels")] == [2]

    write(docs, "rivers.md", "# Rivers\n\n## Nile\n\nIt is long.\n")
    ingest(docs)
    write_folders(made.library)
    assert qrels_of(folder) == {(query_id_of(QUESTION), "rivers.md"): 2}  # the passage is back, and so is the label


def test_other_space_between_the_words_is_no_other_passage(made, table, docs, ingest):
    folder = judge(table, made.library, "It is long", 2)
    write(docs, "rivers.md", "# Rivers\n\n##  Nile\n\nIt is\nlong.\n\n## Rhine\n\nIt is cold.\n")
    ingest(docs)
    write_folders(made.library)
    assert set(qrels_of(folder).values()) == {2}
    assert (folder / "answers.jsonl").read_text() == ""  # no verbatim span, so none is claimed


def test_a_corpus_that_is_gone_leaves_its_labels(made, table):
    judge(table, made.library, "It is long", 2)
    with made.library.database.transaction() as connection:
        connection.execute("DELETE FROM corpora WHERE name = 'c'")
    write_folders(made.library)
    assert len(table.labels("c-labels")) == 1


# --- the folder


def test_every_state_on_the_way_is_a_task(made, table, monkeypatch):
    """Whoever reads between two replacements, or after a kill there, finds qrels whose questions are all known."""
    judge(table, made.library, "It is long", 2)
    folder = judge(table, made.library, "It is cold", 1, question="What is cold?")
    real, seen = Path.replace, []

    def replace(self, target):
        real(self, target)
        seen.append(sorted(load_retrieval_task(folder).queries.values()))

    monkeypatch.setattr(Path, "replace", replace)
    judge(table, made.library, "Rivers run", 2, question="Where to?")
    span, _ = chunk_of(made.library, "rivers.md", "It is cold")
    table.undo("c", "What is cold?", "rivers.md", span)
    write_folder(made.library, "c-labels")
    assert len(seen) >= 6
    assert seen[-1] == ["Where does the Nile run?", "Where to?"]


def test_a_folder_that_was_spoilt_or_lost_is_written_again(made, table):
    folder = judge(table, made.library, "It is long", 2)
    before = files_of(folder)
    (folder / "qrels" / "test.tsv").write_text("nonsense")
    (folder / "queries.jsonl").write_text('{"_id": "torn\n[1]\n')
    (folder / "answers.jsonl").unlink()
    write_folder(made.library, "c-labels")
    assert files_of(folder) == before
    table.delete("c-labels")
    write_folder(made.library, "c-labels")
    assert not folder.exists()


def test_equal_labels_give_equal_bytes(made, table, ingest, docs, tmp_path):
    judge(table, made.library, "It is long", 2)
    folder = judge(table, made.library, "It is cold", 1)
    other = ingest(docs, home=tmp_path / "other")
    table = LabelTable(other.library.database)
    judge(table, other.library, "It is cold", 1)
    again = judge(table, other.library, "It is long", 2)
    ours, theirs = files_of(folder), files_of(again)
    for name in ("queries.jsonl", "qrels/test.tsv", "answers.jsonl", "task.toml"):
        assert ours[name] == theirs[name]


def test_a_file_name_with_a_tab_stays_out_of_the_qrels(made, table):
    span, start = chunk_of(made.library, "rivers.md", "It is long")
    table.judge("c", QUESTION, "rivers.md", span, start, 2, "thumb")
    with made.library.database.transaction() as connection:
        connection.execute("UPDATE documents SET source = 'a\tb.txt' WHERE source = 'bread.txt'")
    bread = "Sourdough bread rests overnight"
    table.judge("c", QUESTION, "a\tb.txt", bread, 0, 2, "thumb")
    folder = write_folder(made.library, "c-labels")
    assert qrels_of(folder) == {(query_id_of(QUESTION), "rivers.md"): 2}
    assert "a\\tb.txt" in (folder / "labels.jsonl").read_text()
    load_retrieval_task(folder)


# --- many at once


def test_who_is_not_the_writer_labels_beside_the_one_that_is(made, table, docs, ingest):
    with writer_lock(made.library.home):
        other = Library(made.library.home)
        judge(LabelTable(other.database), other, "It is long", 2)
        other.close()
    assert len(table.labels("c-labels")) == 1


def test_labels_of_many_threads_are_all_kept_and_the_folder_holds_the_last_state(made, table):
    spans = [chunk_of(made.library, "rivers.md", words) for words in ("It is long", "It is cold", "Rivers run")]

    def label(user):
        library = Library(made.library.home)
        mine = LabelTable(library.database)
        for number in range(8):
            span, start = spans[number % 3]
            mine.judge("c", f"Question {user} {number}?", "rivers.md", span, start, 2, "queue", user)
            write_folder(library, "c-labels")
        library.close()

    threads = [threading.Thread(target=label, args=(f"user{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(table.labels("c-labels")) == 32
    assert len(load_retrieval_task(folder_of(made.library.home, "c-labels")).queries) == 32


# --- tasks


def test_tasks_are_found_by_name_and_never_mixed(made, table):
    with pytest.raises(UsageError, match="none yet"):
        table.task(None)
    table.add(LabelTask("mine", "c"), [Query("1", "a?")], [Label("1", "bread.txt", "", 0, 3, "import", "", "2026")])
    assert table.task(None) == table.task("mine") == LabelTask("mine", "c")
    with pytest.raises(UsageError, match="Did you mean 'mine'"):
        table.task("mien")
    with pytest.raises(UsageError, match="judges documents of 'c', not of 'd'"):
        table.add(LabelTask("mine", "d"), [], [])
    for name in ("../evil", "", "a/b", ".hidden", "x" * 121):
        with pytest.raises(UsageError, match="cannot name a task"):
            table.add(LabelTask(name, "c"), [], [])
    table.judge("c", QUESTION, "bread.txt", "Sourdough", 0, 1, "thumb")
    with pytest.raises(UsageError, match=r"--task NAME. Known: c-labels, mine"):
        table.task(None)
    assert summarise(table.labels("mine")) == {0: 0, 1: 0, 2: 1}


@pytest.mark.parametrize(("grade", "origin"), [(3, "thumb"), (-1, "thumb"), (1, "guess")])
def test_unknown_grades_and_origins_are_refused(table, grade, origin):
    with pytest.raises(UsageError):
        table.judge("c", QUESTION, "bread.txt", "Sourdough", 0, grade, origin)
    assert table.tasks() == []


def test_a_label_for_the_whole_document_counts_as_long_as_the_document_is_there(made, table, docs, ingest):
    labels = [Label("1", source, "", 0, grade, "import", "", "") for source, grade in (("bread.txt", 1), ("no.txt", 2))]
    table.add(LabelTask("mine", "c"), [Query("1", "a?")], labels)
    assert qrels_of(write_folder(made.library, "mine")) == {("1", "bread.txt"): 1}


def test_folding_takes_the_best_grade():
    grades = {("q", "a", "x"): 0, ("q", "a", "y"): 2, ("q", "a", "z"): 1, ("q", "b", ""): 0, ("p", "a", ""): -1}
    assert fold(grades) == {"q": {"a": 2, "b": 0}, "p": {"a": -1}}


def test_ids_of_questions_are_those_of_every_library():
    assert query_id_of("Why?") == f"q-{content_id('Why?')[:12]}" == query_id_of(" Why? ")


def test_task_files_name_the_corpus(made, table):
    judge(table, made.library, "It is long", 2)
    assert 'corpus = "c"' in task_files(made.library, LabelTask("c-labels", "c"))["task.toml"]
