"""Files that change, fail, become empty or are deleted between two runs of the pipeline."""

import random

from file_builders import write
from pipeline_results import CHUNKER, HASH, WORDLLAMA, ledger, statuses, stored_vectors, texts_in
from rag.bm25 import open_lexical
from rag.embedders import registry
from rag.index import open_chroma
from rag.library import Library
from rag.settings import Settings
from ui.ingesting import ingest_paths


def test_a_changed_file_is_replaced_in_every_index_it_had(docs, ingest):
    ingest(docs, embedders=["hash", "wordllama"])
    ingest(docs, embedders=["wordllama"], chunker="whole")
    write(docs, "bread.txt", "Rye bread keeps for a week.")
    made = ingest(docs, embedders=["hash"])  # only one of the three is asked for
    for chunker, fingerprint in ((CHUNKER, HASH), (CHUNKER, WORDLLAMA), ("whole", WORDLLAMA)):
        texts = texts_in(made.library, fingerprint, chunker)
        assert "Rye bread keeps for a week." in texts
        assert not any("Sourdough" in text for text in texts)
    assert made.report.embedded == {"hash": 1, "wordllama": 1}  # both chunkers make the same passage of it
    assert len(made.library.sources("c")) == 3


def test_the_vectors_of_all_chunkers_are_counted(docs, ingest):
    ingest(docs, embedders=["hash"])
    made = ingest(docs, embedders=["hash"], chunker="whole")
    assert made.report.embedded == {"hash": 1}  # only rivers.md is another passage as a whole
    write(docs, "rivers.md", "# Rivers\n\nRivers dry up.\n\n## Nile\n\nIt is short.\n")
    made = ingest(docs, embedders=["hash"])
    assert made.report.embedded == {"hash": 3}  # two sections, and the whole


def test_a_deleted_file_leaves_every_index_and_every_table(tmp_path, docs):
    settings = Settings(tmp_path / "home", registry.table_specs())
    library = Library(settings.home, create=True)
    names = ["hash", "wordllama"]
    ingest_paths(library, settings, [docs], "c", names)
    (docs / "bread.txt").unlink()
    report = ingest_paths(library, settings, [docs], "c", names)

    assert statuses(report) == {"bread.txt": "deleted", "rivers.md": "unchanged", "sub/tea.txt": "unchanged"}
    assert set(library.sources("c")) == set(ledger(library)) == {"rivers.md", "sub/tea.txt"}
    assert [(card.documents, card.chunks) for card in report.cards] == [(2, 4), (2, 4)]
    assert stored_vectors(library) == {HASH: 4, WORDLLAMA: 4}
    assert open_lexical(library, "c", CHUNKER).rank("sourdough", 5) == []
    with open_chroma(library) as chroma:
        for card in report.cards:
            chroma.sync(card)
            assert chroma.count(card) == 4
    dump = "\n".join(library.database._connect().iterdump())
    assert "Sourdough" not in dump


def test_a_file_that_became_empty_leaves_the_corpus(docs, ingest):
    ingest(docs)
    write(docs, "bread.txt", "")
    made = ingest(docs)
    assert statuses(made.report)["bread.txt"] == "skipped"
    assert "empty" in ledger(made.library)["bread.txt"][1]
    assert set(made.library.sources("c")) == {"rivers.md", "sub/tea.txt"}


def test_a_version_that_fails_leaves_the_one_before_and_may_be_taken_back(docs, ingest):
    ingest(docs)
    good = (docs / "bread.txt").read_bytes()
    (docs / "bread.txt").write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 20)
    made = ingest(docs)
    status, reason = ledger(made.library)["bread.txt"]
    assert status == "failed"
    assert "the version of before stays in the corpus" in reason
    assert any("Sourdough" in text for text in texts_in(made.library, HASH))

    (docs / "bread.txt").write_bytes(good)
    made = ingest(docs)
    assert statuses(made.report)["bread.txt"] == "unchanged"
    assert ledger(made.library)["bread.txt"] == ("done", "")  # nothing is wrong with it any more


def test_many_changes_one_after_the_other_end_where_a_fresh_ingest_does(tmp_path, ingest):
    """After each round of edits the library equals one that is made anew from the folder as it is then."""
    chance = random.Random(5)
    folder, names = tmp_path / "docs", [f"{sub}{number}.md" for sub in ("", "sub/") for number in range(6)]
    topics = ["heron", "stork", "crane", "ibis"]

    def edit(name):
        sections = chance.sample(topics, chance.randint(1, 3))  # so that files share passages
        write(folder, name, "".join(f"# About the {topic}\n\nThe {topic} is a bird.\n\n" for topic in sections))

    def contents(library):
        ids, vectors = library.vectors.of_index("c", CHUNKER, HASH)
        passages = {row[0] for row in library.database.query("SELECT passage FROM vectors")}
        return library.sources("c"), ids, vectors.tobytes(), passages, sorted(ledger(library).items())

    for name in names:
        edit(name)
    for round_number in range(6):
        incremental = ingest(folder)
        fresh = ingest(folder, home=tmp_path / f"fresh{round_number}")
        assert contents(incremental.library) == contents(fresh.library)
        (card,), (fresh_card,) = incremental.report.cards, fresh.report.cards
        assert (card.documents, card.chunks, card.noise) == (fresh_card.documents, fresh_card.chunks, fresh_card.noise)
        for name in chance.sample(names, 5):
            if (folder / name).exists() and chance.random() < 0.5:
                (folder / name).unlink()
            else:
                edit(name)
