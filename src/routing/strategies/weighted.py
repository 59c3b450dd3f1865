"""By fixed shares."""

from __future__ import annotations

from .base import Member, Ordering, PoolContext, StrategySettings

__all__ = ["Weighted"]


class Weighted(Ordering):
    """Each gets its share of the first attempts: smooth weighted round robin, as nginx has it.

    Not drawn by lot, because that is only right on average: here each member's count is less than
    the pool's size away from its exact share at every moment, and turns are spread evenly. The
    starting point is drawn, so that the processes of a fleet do not all begin with the same one.
    Shares hold among those who are ready; a turn that an affinity gives to another is not made up.

    Behind the first the others are drawn by lot, by weight, so that what a dead member would have
    had falls to the others in their proportions. Weight 0 comes last, in the order written.

    Args:
        settings: Where its random numbers come from.
    """

    __slots__ = ("_credits", "_draw")

    def __init__(self, settings: StrategySettings) -> None:
        self._draw = settings.draw
        # By name: weights of turns that each has coming. No larger than the pool.
        self._credits: dict[str, float] = {}

    def _order(self, pool: list[Member], context: PoolContext) -> list[Member]:  # noqa: ARG002
        shared = [member for member in pool if member.weight > 0]
        if not shared:
            return pool
        credit, total = self._credits, 0.0
        for member in shared:
            weight = member.weight
            if member.name not in credit:
                credit[member.name] = self._draw.random() * weight
            credit[member.name] += weight
            total += weight
        first = max(shared, key=lambda member: credit[member.name])
        credit[first.name] -= total
        rest = [member for member in shared if member is not first]
        if len(rest) > 1:
            rest = self._by_lot(rest)
        return [first, *rest, *(member for member in pool if not member.weight > 0)]

    def _by_lot(self, members: list[Member]) -> list[Member]:
        # Of exponential times at these rates, each is the smallest with its weight's probability.
        lots = [self._draw.expovariate(member.weight) for member in members]
        return [members[i] for i in sorted(range(len(members)), key=lots.__getitem__)]
