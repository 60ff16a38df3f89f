"""Documents removed by hand stay away until they are given by their own path, and an embedder is backfilled."""

import pytest

from cli_contract import one_line
from file_builders import write
from ingest.removal import remove
from pipeline_results import HASH, WORDLLAMA, ledger, reasons, statuses, texts_in
from rag.chats import ChatTable
from rag.coverage import chunk_lengths, coverage, languages
from rag.errors import UsageError
from rag.labels import LabelTable
from rag.library import Library
from ui.ingesting import backfill, ingest_paths


def test_a_removed_document_stays_away_until_it_is_given_itself(docs, ingest):
    made = ingest(docs)
    assert remove(made.library, "c", ["bread.txt"]) == 1
    assert ledger(made.library)["bread.txt"][0] == "removed"
    write(docs, "bread.txt", "Another text of the same name.")
    made = ingest(docs)
    assert statuses(made.report)["bread.txt"] == "skipped"
    assert "removed from the corpus by hand" in reasons(made.report)["bread.txt"]
    assert "bread.txt" not in made.library.sources("c")
    assert statuses(ingest(docs / "bread.txt").report) == {"bread.txt": "done"}
    assert statuses(ingest(docs).report)["bread.txt"] == "unchanged"
    (docs / "rivers.md").unlink()
    remove(made.library, "c", ["bread.txt"])
    (docs / "bread.txt").unlink()
    made = ingest(docs)
    assert list(ledger(made.library)) == ["sub/tea.txt"], "a file that is gone is not remembered"


def test_an_uploaded_file_goes_with_its_document(tmp_path, ingest):
    uploads = tmp_path / "home" / "uploads" / "c"
    write(uploads, "letters/aunt.txt", "Dear nephew, the roses bloom.")
    made = ingest(uploads)
    remove(made.library, "c", ["letters/aunt.txt"])
    assert not (uploads / "letters" / "aunt.txt").exists()
    assert ledger(made.library) == {}


def test_only_what_is_there_can_be_removed(docs, ingest):
    made = ingest(docs)
    with pytest.raises(UsageError, match=r"No document 'bred.txt' in the corpus 'c'. Did you mean 'bread.txt'"):
        remove(made.library, "c", ["rivers.md", "bred.txt"])
    assert len(made.library.sources("c")) == 3


def test_remove_on_the_command_line(rag, copied):
    home = copied()
    assert rag("--home", home, "search", "sourdough", "--retriever", "lexical").out.count("bread.txt")
    removed = rag("--home", home, "remove", "bread.txt", "capitals.csv")
    assert (removed.status, removed.out) == (0, "small: 2 documents removed\n")
    assert "bread.txt" not in rag("--home", home, "search", "sourdough", "--retriever", "lexical").out
    assert rag("--home", home, "doctor").status == 0
    one_line(rag("--home", home, "remove", "bread.txt"), 2, "No document 'bread.txt' in the corpus 'small'")


def test_remove_tells_what_else_keeps_the_passages(rag, copied):
    home = copied()
    library = Library(home)
    document = library.document(library.sources("small")["bread.txt"])
    chats = ChatTable(library.database)
    for shown in (document.id, document.id, "another"):
        chats.save("", chats.begin("", "Why?"), None, "small", "Why?", {"hits": [{"document_id": shown}]})
    LabelTable(library.database).judge("small", "Why?", "bread.txt", document.text[:20], 0, 1, "thumb", "")
    library.close()
    removed = rag("--home", home, "remove", "bread.txt")
    assert (removed.status, removed.out) == (0, "small: 1 documents removed\n")
    assert "note: 2 saved conversations" in removed.err and "note: 1 label " in removed.err
    assert "note:" not in rag("--home", home, "remove", "capitals.csv").err


def test_backfill_embeds_stored_documents_without_their_files(docs, ingest):
    made = ingest(docs)
    for path in docs.rglob("*.*"):
        path.unlink()
    (covered,) = coverage(made.library, "c")
    assert (covered.chunks, covered.total, covered.documents, covered.is_complete) == (5, 5, 3, True)
    report = backfill(made.library, made.settings, "c", ["hash", "wordllama"], "heading")
    assert report.counts() == {"done": 3, "unchanged": 0, "skipped": 0, "failed": 0, "deleted": 0}
    assert report.embedded == {"hash": 0, "wordllama": 5}
    assert texts_in(made.library, WORDLLAMA) == texts_in(made.library, HASH)
    again = backfill(made.library, made.settings, "c", ["hash", "wordllama"], "heading")
    assert again.counts()["unchanged"] == 3
    assert [each.is_complete for each in coverage(made.library, "c")] == [True, True]


def test_coverage_tells_what_an_embedder_lacks(docs, ingest):
    made = ingest(docs, embedders=["hash", "wordllama"])
    write(docs, "late.txt", "A late arrival.")
    made = ingest(docs, embedders=["hash"])
    hashed, llama = coverage(made.library, "c")
    assert (hashed.card.embedder, hashed.is_complete) == ("hash", True)
    assert (llama.chunks, llama.total, llama.documents, llama.total_documents) == (5, 6, 3, 4)
    assert not llama.is_complete
    assert sum(languages(made.library, "c").values()) == 4
    lengths = chunk_lengths(made.library, "c", hashed.card.chunker)
    assert lengths == sorted(len(text) for text in texts_in(made.library, HASH))


def test_backfill_on_the_command_line(rag, copied, small_folder):
    home = copied()
    one_line(rag("--home", home, "ingest", "--backfill"), 2, "--embedder NAME")
    one_line(rag("--home", home, "ingest", small_folder, "--backfill", "--embedder", "hash"), 2, "Leave PATH")
    one_line(rag("--home", home, "ingest", "--backfill", "--corpus", "smal", "--embedder", "hash"), 2, "'small'")
    done = rag("--home", home, "ingest", "--backfill", "--corpus", "small", "--embedder", "hash", "--chunker", "whole")
    assert done.status == 0
    assert "8 done" in done.out or "done" in done.out


def test_the_caches_follow_a_removal_and_a_backfill(docs, ingest):
    from rag.index import is_synced
    from ui.ingesting import remove_documents

    made = ingest(docs)
    ingest_paths(made.library, made.settings, [docs], "c", ["hash"], "heading")
    backfill(made.library, made.settings, "c", ["wordllama"], "heading")
    remove_documents(made.library, made.settings, "c", ["rivers.md"])
    assert all(is_synced(made.library, card) for card in made.library.cards.all("c"))
    assert {card.chunks for card in made.library.cards.all("c")} == {2}
