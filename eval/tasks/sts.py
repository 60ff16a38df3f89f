"""Sentence similarity: pairs of sentences that people have scored, `test.jsonl` with sentence1, sentence2 and score.

The form is that of the STS Benchmark (Cer et al., SemEval 2017). The main score is Spearman's rank correlation of the
cosine with people's scores, as in MTEB and after Reimers et al., "Task-Oriented Intrinsic Evaluation of Semantic
Textual Similarity", COLING 2016; the scores may be of any range.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval.metrics import PerQuery
from eval.tasks.classification import Embed
from eval.tasks.json_lines import read_records
from rag.errors import UsageError

BETWEEN = " | "
"""Stands between the sentences of a pair where people see it."""


class Pair(NamedTuple):
    """Two sentences, and how similar people find them."""

    sentence1: str
    sentence2: str
    score: float


@dataclass(frozen=True, slots=True)
class StsTask:
    """Scored pairs of sentences by id; `name` is the folder's name."""

    name: str
    folder: Path
    split: str
    pairs: Mapping[str, Pair]
    digest: str
    notes: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The task family."""
        return "sts"

    @property
    def items(self) -> Mapping[str, str]:
        """The pairs as a person would see them."""
        return {item: f"{pair.sentence1}{BETWEEN}{pair.sentence2}" for item, pair in self.pairs.items()}

    @property
    def gold(self) -> Mapping[str, float]:
        """People's scores."""
        return {item: pair.score for item, pair in self.pairs.items()}

    @property
    def kinds(self) -> Mapping[str, str]:
        """No kinds."""
        return dict.fromkeys(self.pairs, "")


def load_sts_task(folder: Path, split: str) -> StsTask:
    """Reads a sentence similarity task.

    Raises UsageError for a missing file, a malformed line (with its file, number and content), an id that comes twice,
    and scores that are all the same.
    """
    path = folder / f"{split}.jsonl"
    if not path.is_file():
        splits = ", ".join(sorted(each.stem for each in folder.glob("*.jsonl")))
        raise UsageError(f"{folder} has no split '{split}' ({split}.jsonl). Splits that are there: {splits}.")
    pairs: dict[str, Pair] = {}
    for record in read_records(path, "A sentence similarity task"):
        identifier = record.identifier()
        if identifier in pairs:
            raise record.error(f"The id '{identifier}' was used before; ids must be unique.")
        pairs[identifier] = Pair(record.text("sentence1"), record.text("sentence2"), record.finite("score"))
    if len({pair.score for pair in pairs.values()}) < 2:
        raise UsageError(f"{path} scores no two pairs differently, so no ranking of them can be right or wrong.")
    digest = hashlib.sha256(json.dumps(pairs, sort_keys=True).encode()).hexdigest()
    return StsTask(folder.resolve().name, folder, split, pairs, digest)


def score_sts(task: StsTask, embed: Embed) -> PerQuery:
    """Returns by metric, and by item, the cosine of the pair; both metrics are correlations of the same cosines."""
    first = embed([pair.sentence1 for pair in task.pairs.values()])
    second = embed([pair.sentence2 for pair in task.pairs.values()])
    cosines = {item: float(value) for item, value in zip(task.pairs, _cosines(first, second), strict=True)}
    return {"cosine_spearman": cosines, "cosine_pearson": dict(cosines)}


def _cosines(first: Any, second: Any) -> np.ndarray:
    """Returns the cosines of unit rows, pair by pair; of a row of zeros they are 0.

    By scikit-learn, as MTEB has it, to the last digit: pairs whose cosines differ by less decide the sixth decimal of a
    rank correlation.
    """
    from sklearn.metrics.pairwise import paired_cosine_distances

    empty = ~(abs(first).sum(axis=1) > 0) | ~(abs(second).sum(axis=1) > 0)
    return np.where(np.asarray(empty).ravel(), 0.0, 1 - paired_cosine_distances(first, second))
