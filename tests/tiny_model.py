"""Makes sentence-transformers model folders that are small enough to be made in a test."""

import json
import shutil
from pathlib import Path

from rag.embedders.files import locate
from rag.embedders.registry import find_spec

DIMENSION = 32
TEACHER = Path(str(locate(find_spec("minilm").model)))
"""Lends its tokenizer and the description of its modules."""


def make_model(folder, seed=0, pooling=None, hidden=DIMENSION):
    """Writes a model of one layer with random weights; another seed gives other weights of the same shapes.

    `pooling` replaces entries of the pooling module's configuration, as {"pooling_mode_cls_token": True}.
    """
    import torch
    from transformers import BertConfig, BertModel

    shutil.copytree(TEACHER, folder, ignore=shutil.ignore_patterns("model.safetensors", "*.md", "data_config.json"))
    config = json.loads((TEACHER / "config.json").read_text())
    small = {"hidden_size": hidden, "intermediate_size": 2 * hidden, "num_hidden_layers": 1, "num_attention_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertModel(BertConfig(**{**config, **small})).save_pretrained(folder)
    file = folder / "1_Pooling" / "config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "word_embedding_dimension": hidden, **(pooling or {})}))
    return folder
