"""Static models in folders, as model2vec and sentence-transformers write them, and in the cache of the hub."""

import re
from dataclasses import replace

import numpy as np
import pytest

from rag.embedders.readiness import lacks
from rag.embedders.registry import find_spec
from rag.embedders.static import StaticEmbedder
from rag.errors import MissingDependencyError, RagError

WORDS = ["[UNK]", "river", "sea", "bread", "yeast", "tea", "green", "the"]
TABLE = np.random.default_rng(7).normal(size=(len(WORDS), 6)).astype(np.float32)
TEXTS = ["river sea", "the bread", "green green tea", "yeast"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make_tokenizer():
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


def lay(folder, tensors):
    """Writes a model of these tensors."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    make_tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text('{"normalize": true}')
    return folder


def load(model, **facts):
    spec = replace(find_spec("potion-base-8m"), name="tiny", model=str(model), **{"dimension": 6, **facts})
    return StaticEmbedder(spec)


def reference(tensors):
    """Embeds with sentence-transformers, which reads model2vec's tensors too, but does not leave unknown words out."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    folded = StaticEmbedding._fold_model2vec_weights(
        tensors["embeddings"], tensors.get("mapping"), tensors.get("weights")
    )
    model = SentenceTransformer(modules=[StaticEmbedding(make_tokenizer(), folded)], device="cpu")
    return model.encode(TEXTS, normalize_embeddings=True)


WEIGHTS = np.linspace(0.1, 2, len(WORDS)).astype(np.float32)
MAPPING = np.array([0, 1, 1, 2, 2, 3, 4, 5])


@pytest.mark.parametrize(
    "tensors",
    [
        {"embeddings": TABLE},
        {"embeddings": TABLE.astype(np.float16)},
        {"embeddings": TABLE, "weights": WEIGHTS.astype(np.float64)},
        {"embeddings": TABLE[:6], "mapping": MAPPING},
        {"embeddings": TABLE[:6], "mapping": MAPPING.astype(np.int32), "weights": WEIGHTS},
    ],
    ids=["plain", "half", "weighted", "mapped", "both"],
)
def test_a_folder_of_model2vec_equals_sentence_transformers(tensors, tmp_path):
    embedder = load(lay(tmp_path / "m2v", tensors))
    vectors = embedder.embed_passages(TEXTS)
    np.testing.assert_allclose(vectors, reference(tensors), atol=2e-3 if tensors["embeddings"].itemsize == 2 else 1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors.dtype == np.float32


def test_words_that_are_unknown_are_left_out_as_model2vec_does(tmp_path):
    embedder = load(lay(tmp_path / "m2v", {"embeddings": TABLE}))
    np.testing.assert_array_equal(embedder.embed_queries(["river zeppelin sea"]), embedder.embed_queries(["river sea"]))
    assert embedder.count_tokens(["river zeppelin sea", "zeppelin", ""]) == [2, 1, 1]
    assert np.linalg.norm(embedder.embed_queries(["zeppelin"])) == pytest.approx(1)


def test_a_folder_of_sentence_transformers_keeps_its_unknown_words(tmp_path):
    folder = tmp_path / "static"
    lay(folder / "0_StaticEmbedding", {"embedding.weight": TABLE})
    embedder = load(folder)
    np.testing.assert_allclose(
        embedder.embed_passages(["river zeppelin"])[0] * np.linalg.norm(TABLE[1] + TABLE[0]),
        TABLE[1] + TABLE[0],
        atol=1e-6,
    )
    assert embedder.count_tokens(["river zeppelin"]) == [2]


def test_a_model_in_the_cache_of_the_hub_needs_no_download(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    spec = replace(
        find_spec("potion-base-8m"), name="tiny", model="somebody/tiny", revision=COMMIT, dimension=6, languages=("en",)
    )
    assert "download" in lacks(spec)
    with pytest.raises(MissingDependencyError, match=r"'somebody/tiny'.*downloads are off.*HF_HUB_OFFLINE=0"):
        StaticEmbedder(spec)
    snapshot = tmp_path / "models--somebody--tiny" / "snapshots" / COMMIT
    folder = lay(snapshot, {"embeddings": TABLE})
    assert lacks(spec) == ""
    expected = load(folder).embed_passages(TEXTS)
    np.testing.assert_array_equal(StaticEmbedder(spec).embed_passages(TEXTS), expected)


def test_a_file_finds_the_tokenizer_beside_it(tmp_path):
    folder = lay(tmp_path / "m2v", {"embeddings": TABLE})
    by_file = load(folder / "model.safetensors")
    np.testing.assert_array_equal(by_file.embed_passages(TEXTS), load(folder).embed_passages(TEXTS))
    (folder / "tokenizer.json").unlink()
    for model in (folder, folder / "model.safetensors"):
        with pytest.raises(MissingDependencyError, match=r"Embedder 'tiny': no .*tokenizer"):
            load(model)


def test_a_narrower_width_is_cut_and_a_wider_refused(tmp_path):
    folder = lay(tmp_path / "m2v", {"embeddings": TABLE})
    narrow = load(folder, dimension=4).embed_passages(["sea"])
    np.testing.assert_allclose(narrow[0], TABLE[2, :4] / np.linalg.norm(TABLE[2, :4]), atol=1e-6)
    with pytest.raises(RagError, match=re.escape("holds {'embeddings': (8, 6)}, but one table of at least 7 columns")):
        load(folder, dimension=7)


def test_tensors_of_no_known_format_are_refused(tmp_path):
    folder = lay(tmp_path / "odd", {"first": TABLE, "second": TABLE})
    with pytest.raises(RagError, match="one table of at least 6 columns is needed"):
        load(folder)
