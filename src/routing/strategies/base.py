"""What a strategy is given, what it answers, and what all of them have in common."""

from __future__ import annotations

import abc
import random
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import msgspec

from ...accounting.money import Pico
from ..stats import CandidateStats

__all__ = [
    "Hint",
    "Member",
    "Ordering",
    "PoolContext",
    "Strategy",
    "StrategyFactory",
    "StrategySettings",
]

Hint: TypeAlias = Literal["price", "saving", "capacity"]
"""A field of :class:`Member` that costs something to fill in."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate of a pool, as far as choosing goes.

    Attributes:
        name: Tells it from the others of its pool.
        stats: Its recent past.
        weight: Its share where shares are asked for; 0 is for last resorts.
        price: Pico-dollars that this request is expected to cost there, nothing of its prompt
            cached; ``None`` where unknown.
        saving: Pico-dollars saved for each prompt token that is read from the provider's cache
            instead (the input rate less the cache-read rate); ``None`` where unknown.
        capacity: The part of its rate limit that is left, 0 to 1; ``None`` where no limit is known.
        ready: It would be admitted now: no open breaker, no cooldown. Only a hint, so that the
            others are put last; whoever sends must still ask.
        model: Who it is, ``provider/model``; empty where nobody said.
        candidate: What the member stands for; strategies leave it alone.
    """

    name: str
    stats: CandidateStats
    weight: float = 1.0
    price: Pico | None = None
    saving: Pico | None = None
    capacity: float | None = None
    ready: bool = True
    model: str = ""
    candidate: Any = None


class PoolContext(msgspec.Struct, frozen=True, kw_only=True):
    """The call for which a pool is put in order.

    Attributes:
        now: The clock's ``monotonic``, seconds.
        pool: The pool's name, the same for each call: a conversation's warm provider is remembered
            for each pool apart.
        conversation: The key that :class:`~.affinity.SessionAffinity` gave; ``None`` for none.
        output_tokens: The length of answer to reckon with, in tokens.
    """

    now: float
    pool: str = ""
    conversation: bytes | None = None
    output_tokens: int = 256


class StrategySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy is made from.

    Attributes:
        name: The strategy, as the configuration calls it.
        pool: The group in which the pool stands.
        members: Its candidates as they are written, ``provider/model`` each.
        draw: Random numbers: the router's own source, so that a seeded one repeats everything.
    """

    name: str
    pool: str = ""
    members: tuple[str, ...] = ()
    draw: random.Random


class Strategy(Protocol):
    """Puts a pool in the order in which it is tried. One instance serves one pool, for good.

    A strategy of another package is an entry point of the group ``switchgear.strategies``: a
    :data:`StrategyFactory`. Calls survive it: where it raises, or answers with anything but every
    member exactly once, the written order holds, and that is logged once for each pool.
    """

    @property
    def needs(self) -> frozenset[Hint]:
        """The hints that it reads; others may be left out. An attribute will do."""

    def order(self, pool: Sequence[Member], context: PoolContext) -> Sequence[Member]:
        """Every member exactly once, the one to be tried first in front.

        It does not wait, and it takes microseconds: this is on every call's way. The members that
        it is given may be fewer than the pool has: those that can serve the request.
        """


StrategyFactory: TypeAlias = Callable[[StrategySettings], Strategy]
"""Makes the strategy of one pool."""


class Ordering(abc.ABC):
    """A strategy that orders those who are ready, and leaves the rest behind them as written."""

    __slots__ = ()
    needs: ClassVar[frozenset[Hint]] = frozenset()

    def order(self, pool: Sequence[Member], context: PoolContext) -> Sequence[Member]:
        """Every member exactly once, the one to be tried first in front."""
        if len(pool) < 2:
            return pool
        ready = [member for member in pool if member.ready]
        if len(ready) == len(pool):
            return self._order(ready, context)
        rest = [member for member in pool if not member.ready]
        return [*(self._order(ready, context) if len(ready) > 1 else ready), *rest]

    @abc.abstractmethod
    def _order(self, pool: list[Member], context: PoolContext) -> list[Member]:
        """Two members or more, all ready. The list may be changed and given back."""
