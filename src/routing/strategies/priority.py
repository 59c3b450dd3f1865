"""As written."""

from __future__ import annotations

from .base import Member, Ordering, PoolContext, StrategySettings

__all__ = ["Priority"]


class Priority(Ordering):
    """The order in which the pool is written; who is not ready comes last."""

    __slots__ = ()

    def __init__(self, settings: StrategySettings) -> None:
        """Nothing is set."""

    def _order(self, pool: list[Member], context: PoolContext) -> list[Member]:  # noqa: ARG002
        return pool
