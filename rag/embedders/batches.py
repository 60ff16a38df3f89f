"""Batches of texts for a model: equal lengths together, and no more tokens in one than a limit, padding included."""

from collections.abc import Sequence


def plan_batches(lengths: Sequence[int], most_tokens: int, multiple: int = 1) -> list[list[int]]:
    """Returns the rows of each batch, the longest texts first, so that little is padded.

    A batch is as wide as its longest text, rounded up to the `multiple`; it holds more than `most_tokens` only where a
    single text does.

    >>> plan_batches([3, 9, 4, 8], most_tokens=18)
    [[1, 3], [2, 0]]
    """
    batches: list[list[int]] = []
    width = 0
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if not batches or (len(batches[-1]) + 1) * width > most_tokens:
            batches.append([])
            width = padded(lengths[row], multiple)
        batches[-1].append(row)
    return batches


def padded(length: int, multiple: int) -> int:
    """Returns a length rounded up to the multiple.

    >>> padded(9, 8)
    16
    """
    return -(-length // multiple) * multiple
