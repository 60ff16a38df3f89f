"""Each prefix of an entry reaches the model once, on its own side, whatever prompts the model's folder brings itself.

sentence-transformers 6.2 stores a prompt named "passage" beside an empty one named "document" and takes the empty one,
so that a model which calls it so loses its passages' prefix; and one that has prompts of its own would put them
before ours.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from rag.embedders.registry import find_spec, load_embedder
from tiny_model import DIMENSION, make_model

TEXT = "Sourdough bread rests overnight."
PROMPTS = {
    "none": {},
    "named otherwise than expected": {"query": "query: ", "passage": "passage: "},
    "as expected": {"query": "query: ", "document": "passage: "},
    "a default": {"any": "passage: ", "default_prompt_name": "any"},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The same small model, each time with other prompts saved in its folder."""
    folder = tmp_path_factory.mktemp("prompts")
    made = {}
    for number, (name, prompts) in enumerate(PROMPTS.items()):
        made[name] = make_model(folder / str(number))
        file = made[name] / "config_sentence_transformers.json"
        default = prompts.get("default_prompt_name")
        saved = {key: value for key, value in prompts.items() if key != "default_prompt_name"}
        file.write_text(json.dumps({**json.loads(file.read_text()), "prompts": saved, "default_prompt_name": default}))
    return made


@pytest.fixture(scope="module")
def bare(models):
    """What the model itself gives for whole strings, prompts of its folder left out."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(models["none"]), device="cpu")
    return lambda text: model.encode([text], prompt="", normalize_embeddings=True)[0]


@pytest.mark.parametrize("prompts", PROMPTS)
@pytest.mark.parametrize("name", ["e5-small-v2", "multilingual-e5-small", "nomic-embed-text-v1-5", "minilm"])
def test_each_prefix_is_there_once_on_its_own_side(models, bare, monkeypatch, tmp_path_factory, name, prompts):
    monkeypatch.setenv("RAG_MODELS", str(tmp_path_factory.getbasetemp() / "converted"))
    spec = replace(find_spec(name), name="tried", model=str(models[prompts]), revision="", dimension=DIMENSION)
    embedder = load_embedder("tried", {"tried": spec})
    sides = {
        "query": (embedder.embed_queries([TEXT])[0], spec.query_prefix),
        "passage": (embedder.embed_passages([TEXT])[0], spec.passage_prefix),
    }
    for side, (vector, prefix) in sides.items():
        assert float(vector @ bare(prefix + TEXT)) > 0.9999, side
        for wrong in {"", prefix + prefix, spec.query_prefix, spec.passage_prefix} - {prefix}:
            assert float(vector @ bare(wrong + TEXT)) < 0.999, f"the {side} is that of {wrong!r}"
    differs = spec.query_prefix != spec.passage_prefix
    assert np.allclose(sides["query"][0], sides["passage"][0], atol=1e-3) != differs
