"""By price."""

from __future__ import annotations

import math
import random

from .base import Hint, Member, Ordering, PoolContext
from .least_busy import by_rank

__all__ = ["Cost"]


class Cost(Ordering):
    """The cheapest for this request first; who has no known price comes last.

    Equal prices (two free local servers) go by load, then by weight, then by lot.

    Args:
        draw: Random numbers, for ties.
    """

    __slots__ = ("_draw",)
    needs = frozenset[Hint]({"price"})

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    def _order(self, pool: list[Member], context: PoolContext) -> list[Member]:
        prices = [math.inf if member.price is None else member.price for member in pool]
        return by_rank(pool, prices, context, self._draw)
