"""Puts the candidates of a pool in the order in which they are tried."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from ..accounting.cost import cost_of
from ..clock import Clock
from ..completion import Usage
from ..plugins import Plugins
from .gates import Gates, Visit
from .plan import Candidate, Place
from .strategies import Hint, Member, PoolContext, SessionAffinity, Strategy, strategy_for
from .strategies.names import GROUP

if TYPE_CHECKING:
    from ..config import GroupConfig, Pool
    from .costing import Costing

__all__ = ["Pools"]

_USUAL_ANSWER = 256
"""Tokens; what an answer is reckoned with where the call sets no longest one."""


class Pools:
    """The strategies of a router's pools, one each, made on first use.

    A conversation goes back to the member whose prompt cache is warm for it, while that pays; save
    in a pool by priority, whose order is somebody's word.

    Args:
        gates: What is known of the candidates.
        costing: Prices.
        clock: Time.
        draw: Random numbers.
    """

    def __init__(self, gates: Gates, costing: Costing, clock: Clock, draw: random.Random) -> None:
        self._gates = gates
        self._costing = costing
        self._clock = clock
        self._draw = draw
        self._plugins = Plugins(GROUP)
        self._affinity = SessionAffinity()
        # By the pool itself, which a configuration keeps for as long as it lives.
        self._strategies: dict[int, tuple[Pool, Strategy]] = {}

    def prepare(self, groups: Iterable[GroupConfig]) -> None:
        """Make the strategies of other packages, so that a broken one shows at the start.

        Raises:
            PluginError: It can't be imported, fails, or makes something else.
        """
        for group in groups:
            for pool in group.chain:
                if len(pool.candidates) > 1 and not self._plugins.is_own(pool.strategy):
                    self._strategy(pool)

    def order(
        self,
        pool: Pool,
        candidates: Sequence[Candidate],
        visit: Visit,
        conversation: Callable[[SessionAffinity], bytes],
    ) -> Sequence[Candidate]:
        """The candidates, the one to be tried first in front.

        Args:
            pool: Whose they are.
            candidates: Those that can serve the request.
            visit: The call.
            conversation: Gives the key of the conversation; asked only where it is needed.
        """
        if len(candidates) < 2 or pool.strategy == "priority":
            return candidates
        strategy = self._strategy(pool)
        context = PoolContext(
            now=self._clock.monotonic(),
            pool=f"{pool.group}:{id(pool)}",
            conversation=conversation(self._affinity),
            output_tokens=_answer(visit),
        )
        warm = self._affinity.warm_at(context) is not None
        needs = strategy.needs | self._affinity.needs if warm else strategy.needs
        members = [
            self._member(str(index), candidate, needs, visit)
            for index, candidate in enumerate(candidates)
        ]
        ordered = self._affinity.prefer(strategy.order(members, context), context)
        ordered = self._probe_first(ordered)
        return [
            msgspec.structs.replace(member.candidate, place=Place(context, member.name))
            for member in ordered
        ]

    def answered(self, candidate: Candidate, usage: Usage | None, *, began: float) -> None:
        """A conversation was answered there.

        Args:
            candidate: Who answered.
            usage: What it counted.
            began: When the attempt was sent, monotonic seconds.
        """
        place = candidate.place
        if place is not None and usage is not None:
            self._affinity.remember(place.context, place.member, usage, began=began)

    def _strategy(self, pool: Pool) -> Strategy:
        known = self._strategies.get(id(pool))
        if known is None:
            made = strategy_for(
                pool.strategy,
                self._draw,
                pool=pool.group,
                members=tuple(map(str, pool.candidates)),
                plugins=self._plugins,
            )
            known = self._strategies[id(pool)] = pool, made
        return known[1]

    def _member(
        self, name: str, candidate: Candidate, needs: frozenset[Hint], visit: Visit
    ) -> Member:
        gate = self._gates.of(candidate.name)
        entry = candidate.entry
        return Member(
            name=name,
            stats=gate.stats,
            weight=entry.weight,
            price=self._price(candidate, visit) if "price" in needs else None,
            saving=self._saving(candidate) if "saving" in needs else None,
            capacity=(self._gates.capacity(candidate) if "capacity" in needs else None),
            ready=gate.breaker.state in {"closed", "ramping"},
            model=candidate.name,
            candidate=candidate,
        )

    def _probe_first(self, ordered: Sequence[Member]) -> Sequence[Member]:
        """Let one that may be well again have this call.

        Whatever a strategy makes of its failures: put last, it would never be asked while a peer is
        well, and never come back.
        """
        for index, member in enumerate(ordered):
            if not member.ready and self._gates.of(member.candidate.name).breaker.wants_probe:
                return [member, *ordered[:index], *ordered[index + 1 :]]
        return ordered

    def _price(self, candidate: Candidate, visit: Visit) -> int | None:
        price = self._costing.price(candidate)
        if price is None:
            return None
        expected = Usage(input_tokens=visit.need.input_tokens, output_tokens=_answer(visit))
        return cost_of(expected, price)

    def _saving(self, candidate: Candidate) -> int | None:
        price = self._costing.price(candidate)
        if price is None:
            return None
        rates = price.rates_for(0)
        return max(0, rates.input - rates.cache_read)


def _answer(visit: Visit) -> int:
    return min(visit.need.output_tokens, _USUAL_ANSWER) or _USUAL_ANSWER
