"""By what rate limits leave."""

from __future__ import annotations

from .base import Hint, Member, Ordering, PoolContext, StrategySettings
from .least_busy import by_rank

__all__ = ["Usage"]


class Usage(Ordering):
    """The one with the largest part of its rate limit left first.

    Who has no known limit counts as having all of it. Equals go by load, then
    by weight, then by lot.

    Args:
        settings: Where its random numbers come from, for ties.
    """

    __slots__ = ("_draw",)
    needs = frozenset[Hint]({"capacity"})

    def __init__(self, settings: StrategySettings) -> None:
        self._draw = settings.draw

    def _order(self, pool: list[Member], context: PoolContext) -> list[Member]:
        spent = [0.0 if member.capacity is None else 1.0 - member.capacity for member in pool]
        return by_rank(pool, spent, context, self._draw)
