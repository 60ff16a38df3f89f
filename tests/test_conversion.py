"""Conversion for OpenVINO: faithful or refused, made once, found again by its content, and quiet."""

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag.embedders import conversion, conversion_worker
from rag.embedders.conversion import NotConvertedError, Request, converted
from rag.embedders.conversion_worker import convert
from rag.embedders.openvino import MODEL, RECORD, WEIGHTS, OpenVINOModel
from rag.embedders.registry import find_spec, load_embedder
from rag.embedders.sentence_transformer import SentenceTransformerEmbedder
from rag.embedders.spec import unit_rows
from rag.errors import MissingDependencyError, RagError
from tiny_model import DIMENSION, make_model

TEXTS = [
    "green tea",
    "",
    "A sourdough starter ferments flour and water with wild yeast. " * 5,
    "中文 and Deutsch, in one line",
    "word " * 700,
]
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def models(monkeypatch, tmp_path):
    """The cache of converted models, empty."""
    monkeypatch.setenv("RAG_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small model's folder, not to be changed."""
    return make_model(tmp_path_factory.mktemp("tiny") / "model", seed=1)


@pytest.fixture(scope="module")
def kept(tiny, tmp_path_factory):
    """A cache that holds the small model, made by two at once in two processes; with what each was given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_MODELS", str(tmp_path_factory.mktemp("kept")))
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(converted, [Request("tiny", str(tiny), "float32")] * 2))
    return found


def entry(folder, **facts):
    """The entry of a small model."""
    own = {"name": "tiny", "model": str(folder), "revision": "", "dimension": DIMENSION, "precision": "float32"}
    return replace(find_spec("minilm"), **{**own, **facts})


def original(folder, texts=TEXTS, **options):
    """What sentence-transformers itself makes of texts."""
    from sentence_transformers import SentenceTransformer

    return unit_rows(SentenceTransformer(str(folder), device="cpu").encode(texts, **options))


def convert_here(folder, draft, precision="float32"):
    """Converts in this process, where torch is loaded already, and returns the model."""
    draft.mkdir()
    convert(Request("tiny", str(folder), precision), draft)
    return OpenVINOModel(draft, precision, cache=False)


# --- faithful, or refused


POOLINGS = {
    "mean": {},
    "cls": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    "max": {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False},
    "last": {"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False},
    "two": {"pooling_mode_cls_token": True},
}


@pytest.mark.parametrize("pooling", POOLINGS)
def test_each_pooling_is_the_models_own(tmp_path, pooling):
    folder = make_model(tmp_path / "model", pooling=POOLINGS[pooling])
    found = unit_rows(convert_here(folder, tmp_path / "draft").vectors(TEXTS))
    expected = original(folder)
    assert found.shape == expected.shape == (len(TEXTS), DIMENSION * (1 + (pooling == "two")))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_poolings_differ(tmp_path):
    """Else the test before could not tell them apart."""
    folders = [make_model(tmp_path / name, pooling=POOLINGS[name]) for name in ("mean", "cls", "max", "last")]
    vectors = [original(folder)[2] for folder in folders]
    cosines = np.array(vectors) @ np.array(vectors).T
    assert (cosines - np.eye(4)).max() < 0.99


def test_dense_layers_and_missing_normalisation_are_the_models_own(tmp_path, tiny):
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense

    model = SentenceTransformer(str(tiny), device="cpu")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model[2] = Dense(DIMENSION, 24)  # in place of the normalisation
    model.save(str(tmp_path / "model"))
    vectors = convert_here(tmp_path / "model", tmp_path / "draft").vectors(TEXTS)
    assert vectors.shape == (len(TEXTS), 24)
    assert not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=0.01)
    np.testing.assert_allclose(unit_rows(vectors), original(tmp_path / "model"), atol=1e-4)


def test_what_comes_out_different_is_refused(tmp_path, tiny, monkeypatch):
    from sentence_transformers import SentenceTransformer

    other = SentenceTransformer(str(make_model(tmp_path / "other", seed=9)), device="cpu")
    traced = conversion_worker._traced
    monkeypatch.setattr(conversion_worker, "_traced", lambda model: traced(other))
    with pytest.raises(NotConvertedError, match=r"its vectors would differ \(cosine 0\.\d+, at least 0\.999 is"):
        convert_here(tiny, tmp_path / "draft")


def test_what_openvino_cannot_do_is_refused_with_its_words(tmp_path, tiny, monkeypatch):
    def fail(model):
        raise ValueError("no operation\nlike this")

    monkeypatch.setattr(conversion_worker, "_traced", fail)
    with pytest.raises(NotConvertedError, match=r"OpenVINO cannot convert it \(no operation\)"):
        convert_here(tiny, tmp_path / "draft")


def test_a_pooling_that_leaves_the_prefix_out_runs_in_torch(tmp_path, caplog):
    folder = make_model(tmp_path / "model", pooling={"include_prompt": False})
    embedder = SentenceTransformerEmbedder(entry(folder, passage_prefix="passage: "))
    assert embedder.backend == "torch, float32"
    assert "runs in torch, several times slower, because its pooling leaves the prefix out." in caplog.text
    expected = original(folder, prompt="passage: ")
    np.testing.assert_allclose(embedder.embed_passages(TEXTS), expected, atol=1e-5)


# --- made once


def test_two_at_once_get_the_same_and_it_is_whole(kept, tiny):
    assert kept[0] == kept[1]
    assert [path.name for path in kept[0].parent.iterdir()] == [kept[0].name], "no draft is left"
    model = OpenVINOModel(kept[0], "float32", cache=False)
    np.testing.assert_allclose(unit_rows(model.vectors(TEXTS)), original(tiny), atol=1e-4)


@pytest.fixture
def given(kept, models):
    """The cache with the small model in it, to be spoilt; returns its folder."""
    shutil.copytree(kept[0].parent, models)
    return models / kept[0].name


def test_what_is_there_is_not_made_again(given, tiny, monkeypatch, caplog):
    monkeypatch.setattr(conversion, "WORKER", "rag.no_such_module")
    assert converted(Request("another name", str(tiny), "float32")) == given
    assert caplog.text == ""


def test_what_is_damaged_is_made_again(given, tiny):
    (given / WEIGHTS).write_bytes((given / WEIGHTS).read_bytes()[:-1])
    assert converted(Request("tiny", str(tiny), "float32")) == given
    assert OpenVINOModel(given, "float32").vectors(TEXTS).shape == (len(TEXTS), DIMENSION)


def test_what_is_damaged_beyond_its_size_falls_back(given, tiny, caplog):
    (given / MODEL).write_bytes(b"x" * (given / MODEL).stat().st_size)
    embedder = SentenceTransformerEmbedder(entry(tiny))
    assert embedder.backend == "torch, float32"
    assert f"because the conversion in {given} cannot be read" in caplog.text
    np.testing.assert_allclose(embedder.embed_queries(TEXTS), original(tiny), atol=1e-5)


def test_the_line_that_it_begins_goes_to_the_log_once(tiny, monkeypatch, caplog):
    monkeypatch.setattr(conversion, "WORKER", "rag.no_such_module")
    with pytest.raises(NotConvertedError):
        converted(Request("tiny", str(tiny), "float32"))
    assert [record.getMessage() for record in caplog.records] == [
        "Converting tiny for this processor, once: about 10 s"
    ]


def test_drafts_of_killed_conversions_are_removed_after_a_day(tiny, models, monkeypatch):
    monkeypatch.setattr(conversion, "WORKER", "rag.no_such_module")
    old, young = models / "a.1.draft", models / "b.2.draft"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 2 * conversion.STALE_SECONDS,) * 2)
    with pytest.raises(NotConvertedError):
        converted(Request("tiny", str(tiny), "float32"))
    assert list(models.iterdir()) == [young]


def test_a_model_without_a_transformer_is_refused_at_once(tmp_path, models):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import BoW

    SentenceTransformer(modules=[BoW(vocab=["tea"])], device="cpu").save(str(tmp_path / "bow"))
    with pytest.raises(NotConvertedError, match="first module is no transformer"):
        converted(Request("bow", str(tmp_path / "bow"), "float32"))
    assert not models.exists()


def test_a_refusal_is_remembered(given, tiny, monkeypatch, caplog):
    monkeypatch.setattr(conversion, "WORKER", "rag.no_such_module")
    (given / RECORD).write_text(json.dumps({"refusal": "it is too odd", "sizes": {}}))
    for _ in range(2):
        assert SentenceTransformerEmbedder(entry(tiny)).backend == "torch, float32"
    assert caplog.text.count("because it is too odd.") == 2
    assert "Converting" not in caplog.text


# --- found by content


def test_the_key_changes_with_what_decides_on_vectors_and_with_nothing_else(tmp_path):
    folder = make_model(tmp_path / "model", seed=1)
    request = Request("tiny", str(folder), "float32")
    keys = {request.key}

    same = [Request("other", str(folder), "float32")]
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("More about it.")
    (tmp_path / "copy" / "onnx").mkdir()
    (tmp_path / "copy" / "onnx" / "model.onnx").write_bytes(b"the same once more")
    same.append(Request("tiny", str(tmp_path / "copy"), "float32"))
    assert {request.key for request in same} == keys

    keys.add(Request("tiny", str(folder), "bfloat16").key)
    keys.add(Request("tiny", str(folder), "int8").key)
    weights = tmp_path / "copy" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    keys.add(same[1].key)
    (tmp_path / "copy" / "1_Pooling" / "config.json").write_text("{}")
    keys.add(same[1].key)
    (tmp_path / "copy" / "vocab.txt").rename(tmp_path / "copy" / "words.txt")
    keys.add(same[1].key)
    assert len(keys) == 6


# --- what is missing or full


def test_a_cache_that_cannot_be_written_falls_back_and_says_so(tiny, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("RAG_MODELS", str(tmp_path / "file"))
    assert SentenceTransformerEmbedder(entry(tiny)).backend == "torch, float32"
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert "because" in caplog.text and "cannot be written" in caplog.text and "RAG_MODELS" in caplog.text


def test_a_conversion_that_dies_falls_back_and_is_tried_again(tiny, models, monkeypatch, caplog):
    monkeypatch.setattr(conversion, "WORKER", "rag.no_such_module")
    assert SentenceTransformerEmbedder(entry(tiny)).backend == "torch, float32"
    assert "because the conversion ended with status 1: " in caplog.text and "no_such_module" in caplog.text
    assert list(models.iterdir()) == []


def test_without_openvino_torch_takes_over(tiny, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert SentenceTransformerEmbedder(entry(tiny)).backend == "torch, float32"
    assert "because the package 'openvino' is not installed." in caplog.text


def test_without_nncf_8_bits_are_an_error_with_the_command(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingDependencyError, match=r"'tiny' needs the package 'nncf'.*pip install -e '\.\[int8\]'"):
        SentenceTransformerEmbedder(entry(tiny, precision="int8"))


def test_nothing_takes_the_place_of_8_bits(tiny, monkeypatch):
    monkeypatch.setattr(conversion, "WORKER", "rag.no_such_module")
    with pytest.raises(RagError, match=r"'tiny' needs 8-bit weights, which cannot be had because the conversion ended"):
        SentenceTransformerEmbedder(entry(tiny, precision="int8"))


# --- 8 bits, and quiet


WITNESS = """
import os, socket
def _note(*arguments, **_):
    with open(os.environ["WITNESS_LOG"], "a") as file:
        file.write(f"{arguments}\\n")
    raise OSError("no network in this test")
socket.getaddrinfo = socket.create_connection = _note
socket.socket.connect = lambda self, *arguments: _note(*arguments)
"""
ASK = """
import json, sys
from rag.embedders.conversion import Request, converted
from rag.embedders.openvino import OpenVINOModel
folder = converted(Request("tiny", sys.argv[1], "int8"))
model = OpenVINOModel(folder, "int8")
print(json.dumps({"folder": str(folder), "backend": model.backend, "vectors": model.vectors(sys.argv[2:]).tolist()}))
"""


def test_8_bits_are_near_and_nothing_is_sent_or_written_elsewhere(tmp_path, tiny, models):
    home, hooks = tmp_path / "user", tmp_path / "hooks"
    home.mkdir()
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(WITNESS)
    own = {"HOME": str(home), "USERPROFILE": str(home), "WITNESS_LOG": str(tmp_path / "log")}
    environment = {**os.environ, **own, "PYTHONPATH": str(hooks)}
    environment.pop("CI", None)  # which would keep the telemetry quiet by itself
    command = [sys.executable, "-c", ASK, str(tiny), *TEXTS]
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert not (tmp_path / "log").exists(), (tmp_path / "log").read_text()
    assert not (home / "intel").exists()

    told = json.loads(ran.stdout)  # the one line on standard output
    assert Path(told["folder"]).parent == models
    assert told["backend"].startswith("OpenVINO, int8 and ")
    cosines = (unit_rows(np.array(told["vectors"])) * original(tiny)).sum(axis=1)
    assert cosines.mean() > 0.98
    assert cosines.max() < 0.999999  # it is not the model of 32 bits

    again = tmp_path / "again"
    again.mkdir()
    convert(Request("tiny", str(tiny), "int8"), again)
    assert (again / WEIGHTS).read_bytes() == (Path(told["folder"]) / WEIGHTS).read_bytes()


def test_embedders_are_loaded_by_their_backend(kept, tiny, given):
    embedder = load_embedder("tiny", {"tiny": entry(tiny, revision="by backend")})
    assert embedder.backend == "OpenVINO, f32"
    np.testing.assert_allclose(embedder.embed_passages(TEXTS), original(tiny), atol=1e-4)
    assert embedder.count_tokens(["green tea"]) == [4]
