"""From rounds to figures: medians, quartiles, percentiles, and ratios of the same round."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

__all__ = ["Figure", "figure", "percentile", "ratios"]


class Figure(msgspec.Struct, frozen=True):
    """A median of rounds and how far they spread.

    Attributes:
        median: Of all rounds.
        low: The first quartile.
        high: The third.
        rounds: Each, in order.
    """

    median: float
    low: float
    high: float
    rounds: tuple[float, ...]


def figure(rounds: Sequence[float]) -> Figure:
    """Sum up rounds, of which there is at least one."""
    if len(rounds) == 1:
        return Figure(rounds[0], rounds[0], rounds[0], tuple(rounds))
    low, median, high = statistics.quantiles(rounds, n=4, method="inclusive")
    return Figure(median, low, high, tuple(rounds))


def ratios(mine: Sequence[float], theirs: Sequence[float]) -> Figure:
    """Sum up how mine compare with theirs, round by round.

    A machine that is slower for a while is so for both of a round, which a ratio of two medians
    would not know.
    """
    return figure([one / other for one, other in zip(mine, theirs, strict=True)])


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all is not above: one of the values, by the nearest rank.

    Args:
        values: At least one, in any order.
        share: Above 0, up to 1.
    """
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(rank, 1) - 1]
