"""Letters that tell which of many rows are not separable: two rows that share a letter are not shown to differ.

The compact letter display of Piepho, Journal of Computational and Graphical Statistics 13 (2004).
"""

from collections.abc import Collection, Iterable, Sequence
from string import ascii_letters


def tie_groups(ranking: Sequence[int], separable: Iterable[tuple[int, int]]) -> tuple[frozenset[int], ...]:
    """Returns the largest groups of rows of which no two are separable, the group of the best row first.

    `ranking` holds the rows, best first; `separable` the pairs of them that differ.
    """
    groups: list[frozenset[int]] = [frozenset(ranking)] if ranking else []
    for a, b in separable:
        split = [part for group in groups for part in (_without(group, a, b) if {a, b} <= group else [group])]
        groups = _largest(split)
    place = {row: at for at, row in enumerate(ranking)}
    return tuple(sorted(groups, key=lambda group: sorted(place[row] for row in group)))


def letters(rows: int, groups: Sequence[Collection[int]]) -> tuple[str, ...]:
    """Returns the letters of each of so many rows, "" for a row in no group; the first group is a.

    >>> letters(3, [{0, 1}, {1, 2}])
    ('a', 'ab', 'b')
    """
    return tuple("".join(_letter(number) for number, group in enumerate(groups) if row in group) for row in range(rows))


def _without(group: frozenset[int], a: int, b: int) -> list[frozenset[int]]:
    return [group - {a}, group - {b}]


def _largest(groups: Iterable[frozenset[int]]) -> list[frozenset[int]]:
    """Returns the groups that no other one holds whole."""
    distinct = list(dict.fromkeys(groups))
    return [group for group in distinct if not any(group < other for other in distinct)]


def _letter(number: int) -> str:
    return ascii_letters[number] if number < len(ascii_letters) else chr(ord("α") + number - len(ascii_letters))
