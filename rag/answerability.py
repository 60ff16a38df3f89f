"""Decides whether what was retrieved can answer a question at all, on scales calibrated for each index."""

from collections.abc import Sequence
from dataclasses import dataclass

from rag.schema import Hit
from rag.tokens import tokens

# placeholder: rule is fitted below


@dataclass(frozen=True, slots=True)
class Answerability:
    """The two signs that a question is answered."""

    noise: tuple[float, ...] = ()

    def answers(self, query: str, hits: Sequence[Hit]) -> bool:
        """Tells."""
        return bool(hits and tokens(query))
