"""Bradley-Terry strengths from votes: how likely each contestant is to be preferred to another.

P(a beats b) = 1 / (1 + exp(strength_b - strength_a)). Bradley and Terry, Biometrika 39 (1952); fitted by the
minorisation-maximisation steps of Hunter, Annals of Statistics 32 (2004), which raise the likelihood each time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from eval.statistics import CONFIDENCE

PRIOR = 1.0
"""Ties with an average contestant that everybody begins with.

Without them the strength of whoever has won, or lost, every vote is infinite, and contestants that no chain of votes
joins cannot be compared at all. One tie pulls all strengths a little together, and less with every vote.
"""

RESAMPLES = 1_000
STEPS = 10_000
CLOSE = 1e-9
"""The fit ends where no strength moves by more than this in a step."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ballot:
    """One vote: the contestants that were compared, and the one that was preferred, None for a tie."""

    contestants: tuple[str, ...]
    winner: str | None


@dataclass(frozen=True, slots=True)
class Rating:
    """A contestant's strength with its 95 % interval, 0 being the average one's, and its votes.

    `low` and `high` are None where there are too few votes to resample. `votes` are wins, losses and ties together.
    """

    name: str
    strength: float
    low: float | None
    high: float | None
    wins: int
    losses: int
    ties: int

    @property
    def votes(self) -> int:
        """How many votes it took part in."""
        return self.wins + self.losses + self.ties


def rate(ballots: Sequence[Ballot], seed: int, resamples: int = RESAMPLES, prior: float = PRIOR) -> list[Rating]:
    """Rates whoever took part in a vote, the strongest first.

    The winner among several has beaten each of the others; a tie is half a win and half a loss to each. Intervals are
    percentiles of seeded bootstrap samples of whole votes. With `prior` 0 the strengths are those of plain maximum
    likelihood, centred on 0, which exist only where chains of wins lead from everybody to everybody.
    """
    if not ballots:
        return []
    names = sorted({name for ballot in ballots for name in ballot.contestants})
    wins = _wins(ballots, names)
    strengths = fit(wins.sum(axis=0), prior)
    lows, highs = _intervals(wins, seed, resamples, prior)
    ratings = [
        Rating(
            name,
            float(strengths[position]),
            None if lows is None else float(lows[position]),
            None if highs is None else float(highs[position]),
            sum(ballot.winner == name for ballot in ballots),
            sum(name in ballot.contestants and ballot.winner not in (None, name) for ballot in ballots),
            sum(name in ballot.contestants and ballot.winner is None for ballot in ballots),
        )
        for position, name in enumerate(names)
    ]
    return sorted(ratings, key=lambda rating: (-rating.strength, rating.name))


def preference(strength: float, other: float = 0.0) -> float:
    """Returns the probability that a contestant is preferred to another one, by default to the average one.

    >>> preference(0.0), round(preference(1.0986), 3)
    (0.5, 0.75)
    """
    return float(1 / (1 + np.exp(other - strength)))


def fit(wins: Numbers, prior: float = PRIOR) -> Numbers:
    """Returns the strengths that suit tables of wins best.

    `wins` has the shape (..., n, n); wins[..., a, b] says how often a has beaten b, a tie counting half on both sides.
    The prior is a contestant of strength 0 with whom everybody has tied so often.
    """
    count = wins.shape[-1]
    games = wins + np.swapaxes(wins, -1, -2)
    won = wins.sum(axis=-1) + prior / 2
    odds = np.ones(wins.shape[:-1])
    for _ in range(STEPS):
        shares = (games / (odds[..., :, None] + odds[..., None, :])).sum(axis=-1) + prior / (odds + 1)
        fresh = won / shares
        fresh *= np.exp(_level(np.log(fresh), prior))
        moved = np.abs(np.log(fresh / odds)).max(initial=0.0)
        odds = fresh
        if moved < CLOSE:
            break
    return np.log(odds).reshape(*wins.shape[:-2], count)


def _level(strengths: Numbers, prior: float) -> Numbers:
    """Returns by how much all strengths have to rise together, which the votes say nothing about.

    With the prior it is a Newton step towards as much chance to win as to lose against the average contestant, which
    the fit's own steps approach slowly where votes are many; without it, the way to a mean of 0.
    """
    if not prior:
        return np.asarray(-strengths.mean(axis=-1, keepdims=True))
    chances = 1 / (1 + np.exp(-strengths))
    slope = (chances * (1 - chances)).sum(axis=-1, keepdims=True)
    return np.asarray(np.clip((0.5 - chances).sum(axis=-1, keepdims=True) / slope, -1, 1))


def _wins(ballots: Sequence[Ballot], names: Sequence[str]) -> Numbers:
    """Returns each vote's table of wins, (votes, n, n)."""
    place = {name: position for position, name in enumerate(names)}
    wins = np.zeros((len(ballots), len(names), len(names)))
    for table, ballot in zip(wins, ballots, strict=True):
        for one, other in combinations(ballot.contestants, 2):
            a, b = place[one], place[other]
            if ballot.winner is None:
                table[a, b] += 0.5
                table[b, a] += 0.5
            elif ballot.winner in (one, other):
                winner, loser = (a, b) if ballot.winner == one else (b, a)
                table[winner, loser] += 1
    return wins


def _intervals(wins: Numbers, seed: int, resamples: int, prior: float) -> tuple[Numbers | None, Numbers | None]:
    """Returns the bounds of every strength; nothing where one vote alone could be drawn, or plain likelihood fails."""
    votes, count, _ = wins.shape
    if votes < 2 or not prior:
        return None, None
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(votes, np.full(votes, 1 / votes), size=resamples)
    tables = (drawn.astype(np.float64) @ wins.reshape(votes, -1)).reshape(resamples, count, count)
    tail = (1 - CONFIDENCE) / 2
    lows, highs = np.quantile(fit(tables, prior), [tail, 1 - tail], axis=0)
    return lows, highs
