"""Other weights behind an unchanged entry, as wide as those before: the index is refused, never silently wrong."""

import shutil

import pytest

from cli_contract import one_line
from rag.embedders import registry
from tiny_model import DIMENSION, make_model

ENTRY = """
ingest_with = ["mine", "hash"]
embedder = "mine"

[embedders.mine]
provider = "sentence-transformers"
model = "{model}"
revision = ""
dimension = {dimension}
max_tokens = 128
query_prefix = ""
passage_prefix = ""
usd_per_million_tokens = 0.0
languages = ["en"]
licence = "none"
source = "made in a test"
"""


@pytest.fixture
def restarted(monkeypatch, tmp_path):
    """Forgets loaded models, as a new process would; what is made of them stays with the test."""
    monkeypatch.setenv("RAG_MODELS", str(tmp_path / "models"))
    return lambda: monkeypatch.setattr(registry, "_loaded", {})


def test_a_model_folder_whose_weights_were_swapped_is_refused(rag, tmp_path, docs, restarted):
    home, model = tmp_path / "home", make_model(tmp_path / "model", seed=1)
    home.mkdir()
    (home / "rag.toml").write_text(ENTRY.format(model=model.as_posix(), dimension=DIMENSION))
    restarted()
    assert rag("--home", home, "ingest", docs, "--corpus", "c").status == 0
    restarted()
    search = ("--home", home, "search", "green tea", "--retriever", "dense", "--corpus", "c")
    before = rag(*search)
    assert (before.status, before.err) == (0, "")

    shutil.rmtree(model)
    make_model(model, seed=2)
    restarted()
    remedy = "rag ingest PATH --corpus c --embedder mine"
    one_line(rag(*search), 1, "was built with other weights", "where 1.000 was expected", "`revision`", remedy)
    one_line(
        rag("--home", home, "ask", "How hot is green tea?", "--corpus", "c"), 1, "was built with other weights", remedy
    )
    (docs / "new.txt").write_text("Something new.")
    one_line(rag("--home", home, "ingest", docs, "--corpus", "c"), 1, "was built with other weights", remedy)
    assert rag("--home", home, "search", "tea", "--embedder", "hash").status == 0, "the other index is as it was"

    other = ("--home", home, "ingest", docs, "--corpus", "other")  # corpora share vectors
    one_line(rag(*other), 1, "was built with other weights", "`revision`")

    written = (home / "rag.toml").read_text()
    (home / "rag.toml").write_text(written.replace('revision = ""', 'revision = "2"'))  # what the error advises
    restarted()
    one_line(rag(*search), 1, "but 'mine' now means", remedy)
    assert rag("--home", home, "ingest", docs, "--corpus", "c").status == 0
    after = rag(*search)
    assert (after.status, after.err) == (0, "")


def test_the_same_weights_in_a_folder_of_another_time_are_welcome(rag, tmp_path, docs, restarted):
    home, model = tmp_path / "home", make_model(tmp_path / "model", seed=1)
    home.mkdir()
    (home / "rag.toml").write_text(ENTRY.format(model=model.as_posix(), dimension=DIMENSION))
    restarted()
    assert rag("--home", home, "ingest", docs, "--corpus", "c").status == 0
    shutil.rmtree(model)
    make_model(model, seed=1)
    restarted()
    assert rag("--home", home, "search", "green tea", "--retriever", "dense").status == 0
