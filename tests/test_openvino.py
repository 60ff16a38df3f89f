"""Models that OpenVINO runs: the same vectors as sentence-transformers', safe among threads, and no torch."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag.embedders import openvino
from rag.embedders.conversion import Request, converted
from rag.embedders.files import locate
from rag.embedders.openvino import BATCH_TOKENS, OpenVINOModel, usable_threads
from rag.embedders.registry import find_spec, load_embedder

ROOT = Path(__file__).parents[1]
MINILM = str(locate(find_spec("minilm").model))

DOCUMENTS = sorted((ROOT / "corpus" / "documents").glob("*.md"))
PASSAGES = [path.read_text(encoding="utf-8")[start : start + 900] for path in DOCUMENTS for start in (0, 900)]
TEXTS = [*PASSAGES[:30], "", "?", " spaces \t ", "word " * 600, "Wie groß ist der Mond? 中文检索", "😀🚴"]


@pytest.fixture(scope="module")
def reference():
    """What sentence-transformers itself gives."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(MINILM, device="cpu")
    return lambda texts: model.encode(texts, normalize_embeddings=True)


@pytest.fixture(scope="module")
def model():
    return OpenVINOModel(converted(Request("minilm", MINILM, "bfloat16")), "bfloat16", 256)


def test_vectors_are_those_of_sentence_transformers(reference):
    embedder = load_embedder("minilm")
    assert embedder.backend.startswith("OpenVINO, ")
    cosines = (embedder.embed_passages(TEXTS) * reference(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.999


def test_float32_is_computed_where_it_is_asked_for(reference):
    exact = OpenVINOModel(converted(Request("minilm", MINILM, "bfloat16")), "float32", 256)
    assert exact.backend == "OpenVINO, f32"
    vectors = exact.vectors(TEXTS)
    assert ((vectors * reference(TEXTS)).sum(axis=1) > 0.99999).all()


def test_a_text_alone_and_among_others_gives_the_same(model):
    together = model.vectors(TEXTS)
    alone = np.vstack([model.vectors([text]) for text in TEXTS])
    assert (together * alone).sum(axis=1).min() > 0.9999
    assert model.vectors(TEXTS).tobytes() == together.tobytes()


def test_the_prefix_stands_before_every_text(model):
    prefixed = model.vectors(TEXTS, "passage: ")
    np.testing.assert_array_equal(prefixed, model.vectors(["passage: " + text for text in TEXTS]))
    assert not np.array_equal(prefixed, model.vectors(TEXTS))


def test_a_text_is_cut_at_the_limit_and_counted_whole():
    short = OpenVINOModel(converted(Request("minilm", MINILM, "bfloat16")), "bfloat16", 8)
    np.testing.assert_array_equal(
        short.vectors(["one two three four five six"]), short.vectors(["one two three four five six seven"])
    )
    assert short.counts(["one two three four five six seven", ""]) == [9, 2]


def test_more_tokens_than_there_are_positions_are_never_read():
    beyond = OpenVINOModel(converted(Request("minilm", MINILM, "bfloat16")), "bfloat16", 5000)
    long = "word " * 600
    assert np.isfinite(beyond.vectors([long])).all()
    np.testing.assert_array_equal(beyond.vectors([long]), beyond.vectors([long + "and more"]))


def test_threads_share_a_model(model):
    calls = [TEXTS[first : first + size] for first, size in ((0, 36), (3, 1), (5, 20), (9, 1), (2, 30), (7, 1))] * 3
    expected = [model.vectors(texts) for texts in calls]
    found: dict[int, np.ndarray] = {}

    def embed(number):
        found[number] = model.vectors(calls[number])

    threads = [threading.Thread(target=embed, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, vectors in enumerate(expected):
        np.testing.assert_array_equal(found[number], vectors)


def test_no_call_is_written_into_the_memory_of_another(model, monkeypatch):
    """A question's numbers were once overwritten while it was computed, and memory that was free already."""
    make_inputs, made = openvino._inputs, []

    def kept(*arguments):
        inputs = make_inputs(*arguments)
        made.append((inputs, {name: array.copy() for name, array in inputs.items()}))
        return inputs

    monkeypatch.setattr(openvino, "_inputs", kept)
    for text in PASSAGES[:20]:
        model.vectors([text])
        model.vectors(["a few", "short", "ones"])
    assert len(made) >= 40
    for inputs, copies in made:
        for name, array in inputs.items():
            np.testing.assert_array_equal(array, copies[name])


def test_a_question_does_not_wait_for_a_call_of_many(model):
    with model._queue_lock:  # as a long call holds it
        answered = threading.Thread(target=model.vectors, args=(["a question"],), daemon=True)
        answered.start()
        answered.join(timeout=20)
        assert not answered.is_alive()


def test_a_call_of_many_texts_is_worth_several_batches(model):
    tokens = sum(min(256, count) for count in model.counts(PASSAGES))
    assert tokens > 4 * BATCH_TOKENS
    assert model.vectors(PASSAGES).shape == (len(PASSAGES), 384)


@pytest.mark.parametrize(("variable", "threads"), [("1", 1), ("100000", None), ("", None), ("many", None), ("0", None)])
def test_threads_are_those_that_the_process_may_use(monkeypatch, variable, threads):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    most = usable_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert usable_threads() == (threads or most)


def test_a_dimension_is_cut_and_the_rows_are_of_unit_length():
    spec = replace(find_spec("minilm"), name="narrow", dimension=100)
    vectors = load_embedder("narrow", {"narrow": spec}).embed_passages(TEXTS)
    assert vectors.shape == (len(TEXTS), 100)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    whole = load_embedder("minilm").embed_passages(TEXTS)[:, :100]
    cosines = (vectors * whole).sum(axis=1) / np.linalg.norm(whole, axis=1)
    assert cosines.min() > 0.9999


SEARCH = """
import json, sys
from ui.cli import main
try:
    main(sys.argv[1:])
finally:
    heavy = {"torch", "transformers", "sentence_transformers", "openvino_telemetry", "nncf"}
    print(json.dumps(sorted(heavy & {name for name, module in sys.modules.items() if module})), file=sys.stderr)
"""


def test_a_cold_search_loads_no_torch(rag, tmp_path, docs):
    home = tmp_path / "home"
    assert rag("--home", home, "ingest", docs, "--corpus", "demo", "--embedder", "minilm").status == 0
    command = ["--home", str(home), "search", "green tea", "--corpus", "demo", "--embedder", "minilm", "--json"]
    ran = subprocess.run([sys.executable, "-c", SEARCH, *command], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["hits"][0]["source"] == "sub/tea.txt"
    assert ran.stderr.splitlines() == ["[]"]
