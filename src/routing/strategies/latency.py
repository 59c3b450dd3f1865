"""By speed."""

from __future__ import annotations

from .base import Member, Ordering, PoolContext, StrategySettings
from .expectation import expected_seconds, with_failures

__all__ = ["Latency", "scores_of"]


class Latency(Ordering):
    """The better of two that are drawn by lot comes first; the others behind it, best first.

    The score is the time that an answer is expected to take there, by peak EWMAs of the time to the
    first token and of the time for each, times the attempts in flight with this one, and failures
    on top (``expected_seconds``, ``with_failures``). Two drawn by lot, and not the best of all,
    because figures lag behind: everybody would run to yesterday's best. What is in flight is known
    at once, so among few members, where the lot decides little, it keeps a crowd apart.

    Weights have no part in it.

    Args:
        settings: Where its random numbers come from.
    """

    __slots__ = ("_draw",)

    def __init__(self, settings: StrategySettings) -> None:
        self._draw = settings.draw

    def _order(self, pool: list[Member], context: PoolContext) -> list[Member]:
        scores = scores_of(pool, context)
        # Two different ones, in random order, so that a tie is decided by lot as well.
        size = len(pool)
        one = int(self._draw.random() * size)
        other = int(self._draw.random() * (size - 1))
        other += other >= one
        head = one if scores[one] <= scores[other] else other
        ranked = sorted(range(size), key=scores.__getitem__)
        ranked.remove(head)
        return [pool[head], *(pool[i] for i in ranked)]


def scores_of(pool: list[Member], context: PoolContext) -> list[float]:
    """Seconds, times what is in flight, failures added; the lower the better."""
    seconds = expected_seconds(pool, context)
    busy = [each * (member.stats.in_flight + 1) for member, each in zip(pool, seconds, strict=True)]
    return with_failures(pool, busy, context)
