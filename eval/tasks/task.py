"""What tasks of every family have in common."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Task(Protocol):
    """A labelled task, read from its folder.

    `items` are what is scored, id -> text as a person would see it: queries, texts, or pairs of sentences. `gold` maps
    items to the number that a metric is computed against where it needs one (a class or cluster as 0, 1, 2..., 1 for an
    anomaly, a similarity score); it is empty for retrieval, whose judgements are qrels. `kinds` maps items to their
    kind, "" for none. `digest` identifies the scored items and their labels.
    """

    @property
    def name(self) -> str:
        """The folder's name."""
        ...

    @property
    def family(self) -> str:
        """The task family: retrieval, classification, clustering, anomaly or sts."""
        ...

    @property
    def folder(self) -> Path:
        """The folder that the task was read from."""
        ...

    @property
    def split(self) -> str:
        """The split that is scored."""
        ...

    @property
    def digest(self) -> str:
        """The sha256 of the scored items and their labels."""
        ...

    @property
    def items(self) -> Mapping[str, str]:
        """The scored items by id."""
        ...

    @property
    def gold(self) -> Mapping[str, float]:
        """The labels as numbers, by item."""
        ...

    @property
    def kinds(self) -> Mapping[str, str]:
        """The kinds of items."""
        ...
