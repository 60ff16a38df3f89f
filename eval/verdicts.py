"""An evaluation in words: who leads, whether that is more than chance, and what the figures rest on.

The terminal, the report and the tables for papers say the same sentences, because they take them from here.
"""

import math
from collections import Counter
from collections.abc import Sequence

from eval.comparisons import TOO_FEW, TaskComparisons
from eval.rows import EvalRow

ITEMS = {"retrieval": "queries", "spans": "queries", "sts": "pairs"}
"""What a task family scores, in the plural; texts where it is not told here."""


def items_of(family: str, count: int | None = None) -> str:
    """Returns the word for what a family scores, such as `queries`; `1 query` with a count."""
    word = ITEMS.get(family, "texts")
    if count is None:
        return word
    return f"{count:,} {word if count != 1 else item_of(family)}"


def item_of(family: str) -> str:
    """Returns the word for one of them."""
    return {"retrieval": "query", "spans": "query", "sts": "pair"}.get(family, "text")


def labels_of(rows: Sequence[EvalRow]) -> list[str]:
    """Names rows for a sentence; the chunker is told where names would be equal without it."""
    counts = Counter(row.label for row in rows)
    return [f"{row.label} ({row.chunker})" if counts[row.label] > 1 else row.label for row in rows]


def p_value(value: float) -> str:
    """Returns a p value as it is written in a sentence: `p = 0.031`, `p < 0.001`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}" if value < 0.995 else "p = 1"


def number(value: float | None, unknown: str = "-") -> str:
    """Returns a figure with three decimals."""
    return unknown if value is None or not math.isfinite(value) else f"{value:.3f}"


def signed(value: float) -> str:
    """Returns a difference with its sign and three decimals; what rounds to nothing has none."""
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")


def verdict(compared: TaskComparisons) -> str:
    """Says in one sentence who leads and whether that is more than chance, with the p values that decide it."""
    labels = labels_of(compared.rows)
    leader = compared.ranking[0]
    if len(compared.rows) == 1:
        return f"{labels[leader]} is the only row: there is nothing to compare it with."
    if len(compared.not_separable) == 1:
        [at] = compared.not_separable
        return f"{labels[leader]} leads; {labels[at]} is not separable from it ({_why_tied(compared, at)})."
    if compared.not_separable:
        tied = [f"{labels[at]} ({_why_tied(compared, at)})" for at in compared.not_separable]
        return f"{labels[leader]} leads; {', '.join(tied[:-1])} and {tied[-1]} are not separable from it."
    decided = [pair.p_holm for at in compared.ranking[1:] if (pair := compared.with_leader(at))]
    if not decided:
        return f"{labels[leader]} has the highest mean, but no other row can be compared with it."
    worst = p_value(max(decided))
    return f"{labels[leader]} leads and is better than every row it can be compared with ({worst}, Holm)."


def _why_tied(compared: TaskComparisons, at: int) -> str:
    pair = compared.with_leader(at)
    if pair is None or pair.verdict == TOO_FEW:
        return f"too few {items_of(compared.rows[at].family)} on which they differ"
    return f"{p_value(pair.p_holm)}, Holm"
