"""SetFit: an embedder fine-tuned on a few labelled texts before it classifies, the heavier row of classification.

Tunstall et al., "Efficient Few-Shot Learning Without Prompts", 2022: pairs of training texts are drawn, of one label or
of two, the model is trained to tell which, and logistic regression is fitted to what it then makes of the texts. The
settings are the paper's: twenty pairs of each kind a text, one epoch, batches of 16. It learns from the first of the
linear probe's draws, so that the two differ in nothing but the tuning.
"""

import importlib.util
import tempfile
import warnings
from pathlib import Path
from typing import Any

from eval.tasks.classification import draw
from eval.tasks.labelled_texts import LabelledTask
from rag.embedders.sentence_transformer import model_folder
from rag.embedders.spec import EmbedderSpec
from rag.embedders.torch import TorchModel, accelerator
from rag.errors import MissingDependencyError

PAIRS_PER_TEXT = 20
BATCH = 16


def why_not_tunable(spec: EmbedderSpec) -> str:
    """Returns why an embedder cannot be tuned here, "" where it can."""
    if spec.provider != "sentence-transformers":
        return f"not tuned: {spec.name} is no local sentence-transformers model"
    if spec.precision == "int8":
        return f"not tuned: {spec.name} has 8-bit weights, which cannot be trained"
    return ""


def score_setfit(task: LabelledTask, spec: EmbedderSpec, seed: int) -> dict[str, float]:
    """Returns for each item 1 where the tuned model gives the text its label, else 0; equal seeds give equal scores.

    Training is deterministic on one machine. Raises MissingDependencyError where setfit or the model's files are not
    there.
    """
    if importlib.util.find_spec("setfit") is None:
        raise MissingDependencyError("SetFit is not installed. Install it: pip install -e '.[setfit]'")
    numbers = {label: number for number, label in enumerate(task.classes)}
    texts = [spec.query_prefix + each.text for each in task.train.values()]
    labels = [numbers[each.label] for each in task.train.values()]
    sample = draw(labels)[0]
    model = _trained(model_folder(spec), spec, [texts[at] for at in sample], [labels[at] for at in sample], seed)
    scored = [spec.query_prefix + text for text in task.items.values()]
    said = model.predict(scored, as_numpy=True, show_progress_bar=False)
    wanted = [numbers[each.label] for each in task.test.values()]
    return {item: float(int(one) == other) for item, one, other in zip(task.test, said, wanted, strict=True)}


def _trained(folder: Path, spec: EmbedderSpec, texts: list[str], labels: list[int], seed: int) -> Any:
    """Fine-tunes the model in a folder, of which it changes nothing, and fits its head."""
    from datasets import Dataset, disable_progress_bars
    from setfit import SetFitModel, Trainer, TrainingArguments, logging
    from sklearn.linear_model import LogisticRegression
    from transformers import PrinterCallback

    logging.set_verbosity_error()
    disable_progress_bars()

    body = TorchModel(folder, spec.max_tokens, accelerator() or "cpu").trainable()
    model = SetFitModel(body, LogisticRegression(max_iter=100))
    with tempfile.TemporaryDirectory() as scratch:
        settings = TrainingArguments(
            output_dir=scratch,
            batch_size=BATCH,
            num_epochs=1,
            num_iterations=PAIRS_PER_TEXT,
            seed=seed,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            show_progress_bar=False,
        )
        # Trainer.evaluate() would ask a hub for its metric, so the scores are made from the predictions.
        trainer = Trainer(model, settings, train_dataset=Dataset.from_dict({"text": texts, "label": labels}))
        trainer.remove_callback(PrinterCallback)  # it prints to standard output, which may be one JSON document
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'pin_memory' argument is set as true", UserWarning)
            trainer.train()
    return model
