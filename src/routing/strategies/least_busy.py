"""By what is under way."""

from __future__ import annotations

import random

from .base import Member, Ordering, PoolContext, StrategySettings
from .expectation import with_failures

__all__ = ["LeastBusy", "by_rank"]


class LeastBusy(Ordering):
    """Fewest attempts in flight first; among equals the heavier, then by lot.

    Who fails at once has nothing in flight and would draw everybody, so failures count as load:
    see ``with_failures``.

    Args:
        settings: Where its random numbers come from, for ties.
    """

    __slots__ = ("_draw",)

    def __init__(self, settings: StrategySettings) -> None:
        self._draw = settings.draw

    def _order(self, pool: list[Member], context: PoolContext) -> list[Member]:
        return by_rank(pool, [0.0] * len(pool), context, self._draw)


def by_rank(
    pool: list[Member], ranks: list[float], context: PoolContext, draw: random.Random
) -> list[Member]:
    """The lowest rank first; equals by load, then by weight, then by lot."""
    loads = with_failures(pool, [float(member.stats.in_flight + 1) for member in pool], context)
    keys = [
        (rank, load, -member.weight, draw.random())
        for member, rank, load in zip(pool, ranks, loads, strict=True)
    ]
    return [pool[i] for i in sorted(range(len(pool)), key=keys.__getitem__)]
