"""What is cut is counted, by the model's own tokens, and said with the way to avoid it."""

from dataclasses import replace

from file_builders import write
from ingest.pipeline import Ingest
from rag.coverage import coverage
from rag.embedders import registry
from rag.embedders.registry import find_spec, load_embedder
from rag.library import Library
from rag.passages import passage
from rag.settings import Settings


class Short:
    """The bag-of-words embedder with a limit of eight words, which it only claims to have."""

    def __init__(self):
        self.spec = replace(find_spec("hash"), name="short", model="short", max_tokens=8, languages=("en",))
        self.embed_queries = load_embedder("hash").embed_queries
        self.embed_passages = load_embedder("hash").embed_passages

    def count_tokens(self, passages):
        return [len(text.split()) for text in passages]


def test_cut_passages_are_counted_and_told(tmp_path, monkeypatch):
    embedder = Short()
    monkeypatch.setitem(registry._loaded, embedder.spec, embedder)
    for number in range(10):
        write(tmp_path / "docs", f"{number}.md", f"# Note {number}\n\n" + "word " * number)
    settings = Settings(tmp_path / "home", {"short": embedder.spec})
    library = Library(settings.home, create=True)
    report = Ingest(library, settings, "c", ["short"], "heading").run([tmp_path / "docs"])
    (covered,) = coverage(library, "c")
    documents = list(library.documents("c"))
    chunks = [chunk for document in documents for chunk in library.document_chunks(document.id, covered.card.chunker)]
    titles = {document.id: document.title for document in documents}
    texts = [passage(titles[chunk.document_id], chunk.heading, chunk.text) for chunk in chunks]
    expected = sum(len(text.split()) > 8 for text in texts)
    assert 0 < expected < 10
    assert (covered.cut, covered.uncounted, covered.cut_share) == (expected, 0, expected / 10)
    (sentences,) = report.warnings.values()
    assert sentences[0].startswith(f"{10 * expected} % of passages ({expected} of 10) are cut at 8 tokens by short.")
    assert "--chunker token-short" in sentences[0]
    library.close()
