"""Example questions: made from titles and headings where they read well, and none else."""

import pytest

from file_builders import write
from ui.examples import examples, is_subject, is_title

LONG = "It matters how {word} are chosen, and the {word} are looked after with care. " * 4


@pytest.fixture
def corpus(ingest, tmp_path):
    folder = tmp_path / "docs"
    body = "# Bicycle repair\n\n## Introduction\n\n{a}\n\n## Brakes\n\n{b}\n\n## Titan\n\nshort\n"
    write(folder, "a.md", body.format(a=LONG.format(word="wheels"), b=LONG.format(word="brakes")))
    write(folder, "b.md", "# Große Küchen\n\n## Öfen\n\n" + "In der Küche stehen Öfen, die man gut pflegen muss. " * 8)
    write(folder, "c.md", "# Planets\n\n## Saturn\n\n" + "The rings of Saturn are bright, and Saturn is far away. " * 8)
    write(folder, "d_final-2.md", "## Notes\n\n" + LONG.format(word="notes"))
    return ingest(folder)


def test_they_ask_about_what_the_documents_speak_of(corpus):
    assert sorted(examples(corpus.library, "c")) == [
        "Was steht in „Große Küchen“ über Öfen?",
        "What does “Bicycle repair” say about brakes?",
        "What does “Planets” say about Saturn?",
    ]


def test_they_are_the_same_for_the_same_corpus_and_few(corpus):
    assert examples(corpus.library, "c") == examples(corpus.library, "c")
    assert len(examples(corpus.library, "c", most=2)) == 2


def test_a_corpus_without_headings_has_none(ingest, tmp_path):
    write(tmp_path / "docs", "a.txt", "Green tea is brewed at eighty degrees for two minutes.")
    assert examples(ingest(tmp_path / "docs").library, "c") == []


@pytest.mark.parametrize(
    "heading", ["How it works", "3.1 Setup", "Test it", "Overview", "Before you sign", "a > b", ""]
)
def test_what_one_cannot_ask_about(heading):
    assert not is_subject(heading)


@pytest.mark.parametrize("title", ["report_final-2.docx", "1.2", "<b>x</b>", "Is it so?", "A", "x" * 80])
def test_what_cannot_be_named(title):
    assert not is_title(title)
