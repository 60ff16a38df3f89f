"""What a number of items can show: the smallest difference that a test would likely find, and the items it would take.

The differences of paired items are taken for about normal, which their mean is from some dozen items on; Cohen,
"Statistical Power Analysis for the Behavioral Sciences" (1988), chapter 2.
"""

import math

ALPHA = 0.05
POWER = 0.8
"""How likely the difference would be found: four times in five, Cohen's convention."""

MOST_ITEMS = 10_000_000
"""No more items than that are counted: who needs them has no difference to speak of."""


def effect_size(difference: float, deviation: float) -> float | None:
    """Returns Cohen's d_z, the difference in standard deviations of the items' differences; None for a deviation of 0.

    About 0.2 is small, 0.5 medium, 0.8 large.
    """
    return difference / deviation if deviation > 0 else None


def min_detectable(items: int, deviation: float, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """Returns the difference that a two-sided paired test of so many items finds with the given power.

    None below two items and for a deviation of 0, where nothing is known of how much items differ.
    """
    if items < 2 or deviation <= 0:
        return None
    return _in_errors(items, alpha, power) * deviation / math.sqrt(items)


def items_needed(difference: float, deviation: float, alpha: float = ALPHA, power: float = POWER) -> int | None:
    """Returns the least number of items with which a two-sided paired test finds the difference with the given power.

    None for a difference or a deviation of 0, and where it would take more than MOST_ITEMS.
    """
    if difference == 0 or deviation <= 0:
        return None

    def suffices(items: int) -> bool:
        return _in_errors(items, alpha, power) * deviation <= abs(difference) * math.sqrt(items)

    if not suffices(MOST_ITEMS):
        return None
    low, high = 1, MOST_ITEMS  # one item never suffices, and more suffice no less
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def _in_errors(items: int, alpha: float, power: float) -> float:
    """Returns the difference that is found, in standard errors, by the t test's noncentral distribution."""
    from scipy.special import nctdtrinc, stdtrit

    freedom = items - 1
    return float(nctdtrinc(freedom, 1 - power, stdtrit(freedom, 1 - alpha / 2)))
