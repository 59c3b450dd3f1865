"""As written."""

from __future__ import annotations

from .base import Member, Ordering, PoolContext

__all__ = ["Priority"]


class Priority(Ordering):
    """The order in which the pool is written; who is not ready comes last."""

    __slots__ = ()

    def _order(self, pool: list[Member], context: PoolContext) -> list[Member]:  # noqa: ARG002
        return pool
