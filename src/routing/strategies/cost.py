"""By price."""

from __future__ import annotations

import math

from .base import Hint, Member, Ordering, PoolContext, StrategySettings
from .least_busy import by_rank

__all__ = ["Cost"]


class Cost(Ordering):
    """The cheapest for this request first; who has no known price comes last.

    Equal prices (two free local servers) go by load, then by weight, then by lot.

    Args:
        settings: Where its random numbers come from, for ties.
    """

    __slots__ = ("_draw",)
    needs = frozenset[Hint]({"price"})

    def __init__(self, settings: StrategySettings) -> None:
        self._draw = settings.draw

    def _order(self, pool: list[Member], context: PoolContext) -> list[Member]:
        prices = [math.inf if member.price is None else member.price for member in pool]
        return by_rank(pool, prices, context, self._draw)
