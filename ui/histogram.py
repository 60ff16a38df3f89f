"""How long the chunks of a corpus are, as a drawing: inline SVG, so that nothing has to be loaded."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ui.render import escaped

WIDTH, HEIGHT, BASE = 320, 112, 92
BINS = 32
STEPS = (1, 2, 2.5, 5, 10)
CHARACTERS_PER_TOKEN = 4
"""What a token is taken for where no passage was cut, which would tell."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an embedder stops to read, in characters, and how to say so."""

    at: int
    label: str


def token_mark(lengths: Sequence[int], limit: int, cut: int, label: str) -> Mark:
    """Returns where a limit of tokens lies among the lengths (ascending): as many are longer as were cut."""
    if 0 < cut < len(lengths):
        return Mark(lengths[len(lengths) - cut - 1], label)
    return Mark(limit * CHARACTERS_PER_TOKEN, label)


def histogram_svg(lengths: Sequence[int], marks: Sequence[Mark] = ()) -> str:
    """Draws lengths (ascending, in characters) as columns, with a dashed line at each mark that lies among them."""
    if not lengths:
        return ""
    # The last hundredth may be a tail that would squeeze the rest into one column: it is counted in the last one.
    longest = max(lengths[round((len(lengths) - 1) * 0.99)], 1)
    top = _round_up(max(longest, *(mark.at for mark in marks if mark.at <= lengths[-1]), 1))
    edges = [top * number / BINS for number in range(BINS + 1)]
    counts = [bisect_left(lengths, right) - bisect_left(lengths, left) for left, right in pairwise(edges)]
    counts[-1] += len(lengths) - bisect_left(lengths, edges[-1])
    most = max(counts)
    step = WIDTH / BINS
    columns = "".join(
        f'<rect x="{number * step + 0.5:.1f}" y="{BASE - _tall(count, most):.1f}" width="{step - 1:.1f}" '
        f'height="{_tall(count, most):.1f}" rx="1.5"><title>{count:,} chunks of {edges[number]:,.0f} to '
        f"{edges[number + 1]:,.0f} characters</title></rect>"
        for number, count in enumerate(counts)
        if count
    )
    ticks = "".join(
        f'<text x="{WIDTH * share}" y="{HEIGHT - 4}" text-anchor="{anchor}">{top * share:,.0f}</text>'
        for share, anchor in ((0, "start"), (0.5, "middle"), (1, "end"))
    )
    median = lengths[len(lengths) // 2]
    told = f"Lengths of {len(lengths):,} chunks: from {lengths[0]:,} to {lengths[-1]:,}, median {median:,} characters."
    return (
        f'<svg class="lib-histogram" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escaped(told)}">{columns}'
        f'<line class="lib-axis" x1="0" x2="{WIDTH}" y1="{BASE + 0.5}" y2="{BASE + 0.5}"/>{ticks}'
        f"{_marks_svg(marks, top)}</svg>"
    )


def _tall(count: int, most: int) -> float:
    return max(1.5, (BASE - 22) * count / most)


def _marks_svg(marks: Sequence[Mark], top: float) -> str:
    drawn = []
    for mark in marks:
        if mark.at <= top:
            x = WIDTH * mark.at / top
            anchor, shift = ("end", -4) if x > WIDTH / 2 else ("start", 4)
            drawn.append(
                f'<line class="lib-mark" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{BASE}"/>'
                f'<text class="lib-mark-label" x="{x + shift:.1f}" y="12" text-anchor="{anchor}">'
                f"{escaped(mark.label)}</text>"
            )
    return "".join(drawn)


def _round_up(value: float) -> float:
    """Returns the next number that reads well on an axis.

    >>> _round_up(830), _round_up(41)
    (1000.0, 50.0)
    """
    scale = float(10 ** (len(str(int(value))) - 1))
    return next(step * scale for step in STEPS if step * scale >= value)
