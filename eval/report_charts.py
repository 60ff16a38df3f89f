"""Further drawings of the report: intervals in a table's cell, bars of differences, shares, and ranks across tasks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise

from eval.markup import Markup, element
from eval.report_plots import COLOURS, drawing, line, write

_MOST_BARS = 400
_PAGE = 990.0  # the width of the report's page

Place = Callable[[float], float]
"""Gives the coordinate of a value."""


def interval_bar(value: float, low: float | None, high: float | None, scale: tuple[float, float]) -> Markup:
    """Draws a value with its interval on a scale that all rows of the table share."""
    width, height = 140.0, 18.0
    first, last = scale

    def place(at: float) -> float:
        return 4 + (at - first) / ((last - first) or 1) * (width - 8)

    parts = [line(2, height / 2, width - 2, height / 2, "grid")]
    if low is not None and high is not None:
        left, right = place(low), place(high)
        parts.append(
            element("rect", x=left, y=6.0, width=max(right - left, 1.0), height=6.0, rx=3.0, class_="interval")
        )
    parts.append(element("circle", cx=place(value), cy=height / 2, r=3.5, class_="value"))
    spoken = f"{value:.3f}" if low is None or high is None else f"{value:.3f}, 95 % interval {low:.3f} to {high:.3f}"
    return drawing(width, height, spoken, *parts)


def difference_bars(differences: Sequence[float], name_a: str, name_b: str) -> Markup:
    """Draws the differences of two rows item by item, largest first; of very many every n-th stands for its like."""
    width, height, left, middle = 640.0, 190.0, 40.0, 95.0
    ordered = sorted(differences, reverse=True)
    n = len(ordered)
    shown = ordered if n <= _MOST_BARS else [ordered[at * n // _MOST_BARS] for at in range(_MOST_BARS)]
    reach = max(map(abs, ordered), default=0.0) or 1.0
    step = (width - left - 4) / len(shown)
    bars = {"better": "", "worse": ""}
    for at, value in enumerate(shown):
        if abs(value) > 1e-9:
            x, size = left + at * step, -value / reach * 76
            bars["better" if value > 0 else "worse"] += (
                f"M{x:.1f} {middle:g}h{step * 0.86:.2f}v{size:.1f}h-{step * 0.86:.2f}z"
            )
    wins, losses = sum(value > 1e-9 for value in ordered), sum(value < -1e-9 for value in ordered)
    parts = [element("path", d=path, class_=name) for name, path in bars.items() if path]
    parts += [
        line(left, middle, width, middle, "axis"),
        *(
            write(
                left - 6,
                middle - place * 76 + 4,
                f"{place * reach:+.2g}".replace("-", "−") if place else "0",
                "tick",
                "end",
            )
            for place in (1, 0, -1)
        ),
        write(left + 4, 12, f"{name_a} better on {wins:,}", "label strong", "start"),
        write(width - 4, height - 4, f"{name_b} better on {losses:,}", "label strong", "end"),
    ]
    summary = f"{name_a} is better on {wins}, {name_b} on {losses}, equal on {n - wins - losses}."
    return drawing(width, height, summary, *parts)


def shares_bar(shares: Sequence[tuple[str, float]]) -> Markup:
    """Draws shares of a whole side by side; the classes `s0`, `s1`... colour them."""
    width, height = 180.0, 14.0
    parts, left = [], 0.0
    for at, (name, share) in enumerate(shares):
        size = share * width
        about = element("title", f"{name}: {share:.0%}")
        parts.append(element("rect", about, x=left, y=1.0, width=size, height=12.0, class_=f"s{at}"))
        left += size
    return drawing(width, height, ", ".join(f"{name} {share:.0%}" for name, share in shares), *parts)


def rank_chart(
    tasks: Sequence[str],
    ranks: Mapping[str, Sequence[float | None]],
    reversed_pairs: Collection[tuple[str, str, int, int]] = (),
    series: Mapping[str, int] | None = None,
) -> Markup:
    """Draws how ranks change from task to task; a line that two share in turning over is marked.

    `ranks` gives each entry's rank by task, None where it has none there. `reversed_pairs` holds the significant
    reversals as names of two entries and positions of two tasks: where these tasks stand side by side the crossing is
    marked by a filled dot.
    """
    label = max((len(name) for name in ranks), default=4) * 6.8 + 22
    step = min(132.0, max(86.0, (_PAGE - 2 * label) / max(len(tasks) - 1, 1)))
    depth = max((rank for each in ranks.values() for rank in each if rank is not None), default=1)
    width = label * 2 + step * (len(tasks) - 1)
    height = 62 + (depth - 1) * 38 + 26
    x = [label + at * step for at in range(len(tasks))]

    def y(rank: float) -> float:
        return 62 + (rank - 1) * 38.0

    parts: list[Markup] = []
    for at, name in enumerate(tasks):
        parts.append(line(x[at], 44, x[at], height - 18, "grid"))
        parts.append(write(x[at], 18 if at % 2 == 0 else 34, _cut(name, 26), "tick strong", "middle"))
    colours = series or {name: at for at, name in enumerate(ranks)}
    for name, of_entry in ranks.items():
        parts += _rank_line(name, of_entry, x, y, f"c{colours[name] % COLOURS}")
    for one, other, first, second in reversed_pairs:
        if abs(first - second) == 1:
            parts += _crossing(ranks[one], ranks[other], min(first, second), x, y, f"{one} and {other}")
    spoken = "; ".join(
        f"{name}: {', '.join('none' if rank is None else f'{rank:g}' for rank in each)}" for name, each in ranks.items()
    )
    return drawing(width, height, f"Ranks in {', '.join(tasks)}. {spoken}.", *parts)


def _rank_line(name: str, ranks: Sequence[float | None], x: Sequence[float], y: Place, colour: str) -> list[Markup]:
    stops = [(at, x[at], y(rank), rank) for at, rank in enumerate(ranks) if rank is not None]
    parts = []
    for (before, left, top, _), (after, right, bottom, _) in pairwise(stops):
        parts.append(line(left, top, right, bottom, f"slope {colour}{'' if after == before + 1 else ' gap'}"))
    for _, left, top, rank in stops:
        parts.append(element("circle", cx=left, cy=top, r=11, class_=f"rank {colour}"))
        parts.append(write(left, top + 4, f"{rank:g}", "inside", "middle"))
    if stops:
        tone = f"label t{colour[1:]}"
        parts.append(write(stops[0][1] - 17, stops[0][2] + 4, name, tone, "end"))
    if len(stops) > 1:
        parts.append(write(stops[-1][1] + 17, stops[-1][2] + 4, name, tone, "start"))
    return parts


def _crossing(
    one: Sequence[float | None], other: Sequence[float | None], at: int, x: Sequence[float], y: Place, names: str
) -> list[Markup]:
    """Marks where the lines of two entries cross between a task and the next."""
    a, b, c, d = one[at], other[at], one[at + 1], other[at + 1]
    if a is None or b is None or c is None or d is None or (a - b) * (c - d) >= 0:
        return []
    share = (a - b) / ((a - b) - (c - d))
    left, top = x[at] + share * (x[at + 1] - x[at]), y(a + share * (c - a))
    return [element("circle", element("title", f"{names}: significant reversal"), cx=left, cy=top, r=5, class_="turn")]


def _cut(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
