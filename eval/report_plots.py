"""Plots as inline SVG, drawn here and not in the browser; colours come from the style sheet (`plots.css`).

Classes: `plot` for the drawing, `axis`, `grid`, `tick`, `name` for its parts, `c0` to `c7` for the colour of a series.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from eval.markup import Markup, element

COLOURS = 8

_CHARACTER = 6.6  # mean width of a character of the labels, generously
_LINE = 15.0
_WIDTH, _HEIGHT = 640.0, 380.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 16.0, 16.0, 46.0

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """A labelled point; `low` and `high` bound `y`, `series` tells its colour, `shape` is circle, square or diamond."""

    label: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None
    series: int = 0
    shape: str = "circle"


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale from `low` to `high`, drawn between two coordinates; logarithmic where that is asked for."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Returns the coordinate of a value."""
        low, high, here = (math.log10(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (here - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Returns round values along the scale."""
        if self.logarithmic:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            factors = (1,) if last - first > 3 else (1, 3) if last - first > 1 else (1, 2, 5)
            values = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
            return [value for value in values if self.low <= value <= self.high]
        step = _round_step((self.high - self.low) / 5)
        first_at = math.ceil(self.low / step - 1e-9)
        return [round(at * step, 10) for at in range(first_at, math.floor(self.high / step + 1e-9) + 1)]


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Returns the points which no other beats: none is as cheap and better, nor as good and cheaper; cheapest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda each: (each.x, -each.y)):
        if not front or point.y > front[-1].y:
            front.append(point)
    return front


def quality_plot(points: Sequence[Point], x_name: str, y_name: str) -> Markup:
    """Draws quality against a cost with the Pareto front and the name of every point, none over another."""
    x = _cost_axis([point.x for point in points])
    bounds = [value for point in points for value in (point.y, point.low, point.high) if value is not None]
    y = _padded(min(bounds), max(bounds), _HEIGHT - _BOTTOM, _TOP)
    front = pareto_front(points)
    places = [(x.at(point.x), y.at(point.y)) for point in points]
    parts = [*_axes(x, y, x_name, y_name)]
    parts.append(_front_line(front, x, y))
    for point, (left, top) in zip(points, places, strict=True):
        parts.append(_whisker(point, left, y))
        parts.append(_marker(point, left, top, hollow=point not in front))
    parts += _labels(points, places)
    summary = f"{y_name} against {x_name}. On the Pareto front: {', '.join(point.label for point in front)}."
    return drawing(_WIDTH, _HEIGHT, summary, *parts)


def drawing(width: float, height: float, summary: str, *parts: object) -> Markup:
    """Returns an SVG element with a description for those who do not see it."""
    return element(
        "svg",
        element("title", summary),
        *parts,
        class_="plot",
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
        xmlns="http://www.w3.org/2000/svg",
    )


def _cost_axis(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    start, end = _LEFT, _WIDTH - _RIGHT
    if low > 0 and high / low > 12:
        return Axis(low / 1.5, high * 1.8, start, end, logarithmic=True)
    return Axis(min(0.0, low), high * 1.12 or 1.0, start, end)


def _padded(low: float, high: float, start: float, end: float) -> Axis:
    margin = (high - low) * 0.06 or 0.05
    return Axis(low - margin, high + margin, start, end)


def _axes(x: Axis, y: Axis, x_name: str, y_name: str) -> list[Markup]:
    bottom = _HEIGHT - _BOTTOM
    parts = []
    for value in y.ticks():
        top = y.at(value)
        parts.append(line(_LEFT, top, _WIDTH - _RIGHT, top, "grid"))
        parts.append(write(_LEFT - 8, top + 4, tick_text(value), "tick", "end"))
    for value in x.ticks():
        left = x.at(value)
        parts.append(line(left, _TOP, left, bottom, "grid"))
        parts.append(write(left, bottom + 17, tick_text(value), "tick", "middle"))
    parts.append(line(_LEFT, bottom, _WIDTH - _RIGHT, bottom, "axis"))
    parts.append(write((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, x_name, "name", "middle"))
    middle = (_TOP + bottom) / 2
    parts.append(
        element(
            "text",
            y_name,
            x=14.0,
            y=middle,
            class_="name",
            text_anchor="middle",
            transform=f"rotate(-90 14 {middle:g})",
        )
    )
    return parts


def _front_line(front: Sequence[Point], x: Axis, y: Axis) -> Markup:
    """Draws the front as the best quality that a cost buys: a staircase, since what lies between cannot be bought."""
    first = front[0]
    path = f"M{x.at(first.x):.1f} {y.start:.1f}V{y.at(first.y):.1f}"
    for _, after in pairwise(front):
        path += f"H{x.at(after.x):.1f}V{y.at(after.y):.1f}"
    return element("path", d=f"{path}H{x.end:.1f}", class_="front")


def _whisker(point: Point, left: float, y: Axis) -> Markup:
    if point.low is None or point.high is None:
        return Markup("")
    return line(left, y.at(point.low), left, y.at(point.high), f"whisker c{point.series % COLOURS}")


def _marker(point: Point, left: float, top: float, hollow: bool) -> Markup:
    kind = f"marker c{point.series % COLOURS}{' hollow' if hollow else ''}"
    about = element("title", f"{point.label}: {tick_text(point.x)}, {point.y:.3f}")
    if point.shape == "square":
        return element("rect", about, x=left - 5, y=top - 5, width=10, height=10, class_=kind)
    if point.shape == "diamond":
        return element("path", about, d=f"M{left:.1f} {top - 7:.1f}l7 7l-7 7l-7 -7z", class_=kind)
    return element("circle", about, cx=left, cy=top, r=5.5, class_=kind)


def _labels(points: Sequence[Point], places: Sequence[tuple[float, float]]) -> list[Markup]:
    """Writes every name where it hides neither a point nor another name; one that moved far is tied to its point."""
    taken: list[Box] = [(left - 8, top - 8, left + 8, top + 8) for left, top in places]
    parts = []
    for point, (left, top) in zip(points, places, strict=True):
        width = len(point.label) * _CHARACTER
        box, distance = _free_place(left, top, width, taken)
        taken.append(box)
        if distance > 26:
            near = box[0] if box[0] > left else box[2] if box[2] < left else left
            parts.append(line(left, top, near, (box[1] + box[3]) / 2, "tie"))
        parts.append(write(box[0], box[3] - 4, point.label, f"label t{point.series % COLOURS}", "start"))
    return parts


def _free_place(left: float, top: float, width: float, taken: Sequence[Box]) -> tuple[Box, float]:
    """Returns the nearest free place for a name, and how far it is from its point; the least crowded if none is."""
    candidates: list[tuple[float, Box]] = []
    for shift in range(9):
        for sign in (1, -1) if shift else (1,):
            offset = sign * shift * _LINE
            for start in (left + 11, left - 11 - width, left - width / 2):
                above = top + offset - _LINE / 2 if start != left - width / 2 else top + offset - _LINE - 9
                box = (start, above, start + width, above + _LINE)
                distance = math.hypot(max(box[0] - left, left - box[2], 0), (box[1] + box[3]) / 2 - top)
                candidates.append((distance, box))
    usable = sorted((each for each in candidates if _inside(each[1])), key=lambda each: each[0]) or candidates
    for distance, box in usable:
        if not any(_overlap(box, other) for other in taken):
            return box, distance
    distance, box = min(usable, key=lambda each: sum(_overlap(each[1], other) for other in taken))
    return box, distance


def _inside(box: Box) -> bool:
    return box[0] >= _LEFT and box[2] <= _WIDTH - 2 and box[1] >= 2 and box[3] <= _HEIGHT - _BOTTOM


def _overlap(one: Box, other: Box) -> float:
    """Returns the area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Draws a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def write(x: float, y: float, words: str, class_: str, anchor: str) -> Markup:
    """Writes words at a place; the anchor is start, middle or end."""
    return element("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def tick_text(value: float) -> str:
    """Writes a number of an axis: no digits that say nothing, thousands apart."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}".replace("-", "−")


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
