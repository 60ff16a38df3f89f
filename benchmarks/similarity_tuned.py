"""An embedder tuned for sentence similarity: minilm after one epoch on STS-B's train split, to set beside its base.

CoSENT loss (https://kexue.fm/archives/8847) in sentence-transformers' own trainer, seeded; scores of the dev and test
splits are not read. About ten minutes on two processor cores.
"""

import json
from dataclasses import replace
from pathlib import Path

from rag.embedders.registry import table_specs
from rag.embedders.sentence_transformer import model_folder
from rag.embedders.spec import EmbedderSpec
from rag.embedders.torch import TorchModel, accelerator

NAME = "minilm-sts"
BASE = "minilm"
SEED = 13


def tuned_for_similarity(folder: Path, train: Path) -> EmbedderSpec:
    """Returns the tuned embedder's entry; trains it into the folder where that does not hold it yet."""
    base = table_specs()[BASE]
    if not (folder / "modules.json").is_file():
        _train(model_folder(base), base.max_tokens, folder, train)
    return replace(base, name=NAME, model=str(folder.resolve()), revision=f"stsb-{SEED}", made_for="similarity")


def _train(base: Path, max_tokens: int, folder: Path, train: Path) -> None:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import CoSENTLoss

    records = [json.loads(line) for line in train.read_text(encoding="utf-8").splitlines()]
    highest = max(record["score"] for record in records)
    pairs = Dataset.from_dict(
        {
            "sentence1": [record["sentence1"] for record in records],
            "sentence2": [record["sentence2"] for record in records],
            "score": [record["score"] / highest for record in records],
        }
    )
    model = TorchModel(base, max_tokens, accelerator() or "cpu").trainable()
    settings = SentenceTransformerTrainingArguments(
        output_dir=str(folder.with_name(f"{folder.name}.part")),
        num_train_epochs=1,
        per_device_train_batch_size=32,
        learning_rate=2e-5,
        warmup_steps=0.1,  # a share, below 1
        seed=SEED,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    SentenceTransformerTrainer(model=model, args=settings, train_dataset=pairs, loss=CoSENTLoss(model)).train()
    model.save_pretrained(str(folder), create_model_card=False)
