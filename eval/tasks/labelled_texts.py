"""Labelled texts, the material of classification, clustering and anomaly detection: `train.jsonl` and `test.jsonl`.

Each line is `{"text": ..., "label": ...}`, the form in which the Hugging Face hub and MTEB keep such sets; a line may
carry an "_id", else its number is its id. A label is a text or a number.
"""

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from eval.tasks.json_lines import Record, read_records
from rag.errors import UsageError

TRAIN = "train"


class Labelled(NamedTuple):
    """A text with its label."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class LabelledTask:
    """A task over labelled texts; `name` is the folder's name.

    `train` is what may be learned from, `test` what is scored, both by id. `classes` are the labels of both in their
    order, by value where all are whole numbers and else by name: class i is number i in `gold`. `normal` are the labels
    that count as normal, for anomaly detection only. `notes` are sentences about the data that a reader of its figures
    should know. `digest` covers what is learned from as well, for the same test texts are another task without it.
    """

    name: str
    family: str
    folder: Path
    split: str
    train: Mapping[str, Labelled]
    test: Mapping[str, Labelled]
    classes: tuple[str, ...]
    normal: tuple[str, ...]
    notes: tuple[str, ...]
    digest: str

    @property
    def items(self) -> Mapping[str, str]:
        """The texts that are scored."""
        return {item: labelled.text for item, labelled in self.test.items()}

    @property
    def gold(self) -> Mapping[str, float]:
        """The number of each text's class; for anomaly detection 1 for an anomaly and 0 for a normal text."""
        if self.normal:
            return {item: float(labelled.label not in self.normal) for item, labelled in self.test.items()}
        numbers = {label: float(number) for number, label in enumerate(self.classes)}
        return {item: numbers[labelled.label] for item, labelled in self.test.items()}

    @property
    def kinds(self) -> Mapping[str, str]:
        """The class of each text where a mean over one class says something, as in classification; else nothing."""
        named = self.family == "classification"
        return {item: labelled.label if named else "" for item, labelled in self.test.items()}


def load_labelled_task(folder: Path, split: str, family: str) -> LabelledTask:
    """Reads a task folder for a family.

    Raises UsageError for a missing file, a malformed line (with its file, number and content), an id that comes twice,
    and labels from which nothing can be scored, such as a single one.
    """
    if split == TRAIN:
        raise UsageError(f"{folder}: the texts of train.jsonl are learned from, so they cannot be the split to score.")
    train_file, test_file = folder / f"{TRAIN}.jsonl", folder / f"{split}.jsonl"
    if not test_file.is_file():
        splits = sorted(path.stem for path in folder.glob("*.jsonl") if path.stem != TRAIN)
        raise UsageError(
            f"{folder} has no split '{split}' ({split}.jsonl). Splits that are there: {', '.join(splits)}."
        )
    train, test = _read(train_file, family), _read(test_file, family)
    of_train, of_test = _labels(train), _labels(test)
    normal = _normal(folder, train, of_train) if family == "anomaly" else ()
    _check_labels(family, of_train, of_test, normal, train_file, test_file)
    return LabelledTask(
        name=folder.resolve().name,
        family=family,
        folder=folder,
        split=split,
        train=train,
        test=test,
        classes=in_order(of_train | of_test),
        normal=normal,
        notes=(*_overlap(train, test), *_unknown_labels(family, of_train, test)),
        digest=_digest(family, train if family != "clustering" else {}, test, normal),
    )


def in_order(labels: Collection[str]) -> tuple[str, ...]:
    """Sorts labels by value where all are whole numbers, else by name.

    >>> in_order({"10", "9"}), in_order({"10", "9", "none"})
    (('9', '10'), ('10', '9', 'none'))
    """
    try:
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    except ValueError:
        return tuple(sorted(labels))


def _read(path: Path, family: str) -> dict[str, Labelled]:
    labelled: dict[str, Labelled] = {}
    for record in read_records(path, f"A {family} task"):
        identifier = record.identifier()
        if identifier in labelled:
            raise record.error(f"The id '{identifier}' was used before; ids must be unique.")
        labelled[identifier] = Labelled(record.text("text"), _label(record))
    if not labelled:
        raise UsageError(f'{path} is empty. Each line must be {{"text": ..., "label": ...}}.')
    return labelled


def _label(record: Record) -> str:
    """Returns a label as a text; 1 and 1.0 are the same one, for JSON does not tell them apart."""
    value = record.fields.get("label")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        number = record.finite("label")
        return str(value) if isinstance(value, int) else str(int(number) if number.is_integer() else number)
    return record.text("label")


def _labels(labelled: Mapping[str, Labelled]) -> set[str]:
    return {each.label for each in labelled.values()}


def _normal(folder: Path, train: Mapping[str, Labelled], known: Collection[str]) -> tuple[str, ...]:
    """Returns the normal labels: those that task.toml names, else the most frequent one of the training texts."""
    settings = folder / "task.toml"
    named: object = None
    if settings.is_file():
        try:
            named = tomllib.loads(settings.read_text(encoding="utf-8")).get("normal")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{settings} is not TOML: {error}. Correct it.") from error
    if named is None:
        counts = Counter(each.label for each in train.values())
        return (min(counts, key=lambda label: (-counts[label], label)),)
    labels = [str(label) for label in (named if isinstance(named, list) else [named])]
    strange = sorted(set(labels).difference(known))
    if strange or not labels:
        listed = ", ".join(in_order(known))
        raise UsageError(
            f"{settings} names the normal label '{', '.join(strange)}', which no text of train.jsonl has. "
            f"Labels that are there: {listed}."
        )
    return in_order(set(labels))


def _check_labels(
    family: str,
    of_train: Collection[str],
    of_test: Collection[str],
    normal: Collection[str],
    train_file: Path,
    test_file: Path,
) -> None:
    """Raises UsageError where every embedder would get the same score."""
    if family == "classification" and len(of_train) < 2:
        raise UsageError(f"{train_file} has a single label, '{min(of_train)}'. A classifier needs two at least.")
    if family == "clustering" and len(of_test) < 2:
        raise UsageError(f"{test_file} has a single label, '{min(of_test)}'. Clustering needs two at least.")
    if family == "anomaly":
        anomalous = set(of_test).difference(normal)
        if not anomalous or len(anomalous) == len(of_test):
            lacking = "no normal text" if anomalous else "no anomaly"
            raise UsageError(
                f"{test_file} holds {lacking}; normal is '{', '.join(normal)}'. "
                'Both are needed. Another label is made the normal one by normal = "LABEL" in task.toml.'
            )


def _overlap(train: Mapping[str, Labelled], test: Mapping[str, Labelled]) -> list[str]:
    seen = {each.text for each in train.values()}
    shared = sum(each.text in seen for each in test.values())
    return [f"{shared} of {len(test)} scored texts are also in train.jsonl"] if shared else []


def _unknown_labels(family: str, of_train: Collection[str], test: Mapping[str, Labelled]) -> list[str]:
    """Says which labels a classifier cannot have learned; their texts count as wrong."""
    if family != "classification":
        return []
    unknown = [each.label for each in test.values() if each.label not in of_train]
    if not unknown:
        return []
    names = ", ".join(in_order(set(unknown)))
    return [f"{len(unknown)} scored texts have a label that train.jsonl lacks ({names}): they count as wrong"]


def _digest(family: str, train: Mapping[str, Labelled], test: Mapping[str, Labelled], normal: Sequence[str]) -> str:
    canonical = json.dumps({"family": family, "train": train, "test": test, "normal": normal}, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
