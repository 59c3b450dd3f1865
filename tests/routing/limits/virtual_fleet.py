"""Replicas in virtual time, around a real Redis that goes by the same time.

What they use is as shipped, from the limiter to the scripts; only the link takes virtual time for
its round trips.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from switchgear.routing.limits import Lease, Limiter, LimitRule, Need, NoRoom
from switchgear.state import exchange
from switchgear.state.exchange import Fleet
from switchgear.testing.loop_clock import LoopClock
from tests.state.clocked import ClockedLink, ClockedScripts

if TYPE_CHECKING:
    import pytest

__all__ = ["ONE", "Replica", "ShiftedClock", "Stage"]

ONE = Need(1, 0)


class ShiftedClock(LoopClock):
    """A machine whose clocks are wrong, or run on while it stands still."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def monotonic(self) -> float:
        return super().monotonic() + self.by


class Replica:
    """One process of the fleet.

    Attributes:
        given: Tokens that its calls were let in with.
    """

    def __init__(self, link: ClockedLink, rules: Sequence[LimitRule], shift: float = 0.0) -> None:
        self.clock = ShiftedClock(shift)
        self.link = link
        self.fleet = Fleet(link, self.clock)
        self.limiter = Limiter(rules, self.clock, self.fleet)
        self.given = 0
        self._crowd: list[asyncio.Task[None]] = []
        self.fleet.start()

    async def call(self, need: Need = ONE, model: str = "m") -> Lease | NoRoom:
        """As the router does: ask where need be, then reserve."""
        asked = self.limiter.ask("p", model, need)
        if asked is not None:
            await asked
        return self.limiter.try_reserve("p", model, need)

    async def calls(self, most: int, need: Need = ONE) -> int:
        """How many are let in, one after the other, each over at once."""
        for number in range(most):
            got = await self.call(need)
            if isinstance(got, NoRoom):
                return number
            got.settle(None, None)
        return most

    async def wait(self, need: Need = ONE, timeout: float = 60.0) -> Lease:
        """A call that waits its turn."""
        lease = await self.limiter.reserve("p", "m", need, timeout=timeout)
        assert isinstance(lease, Lease)
        self.given += need.input_tokens
        return lease

    def crowd(self, tokens: int, callers: int = 5) -> None:
        """Calls without end, each over at once, and the next waits for its turn."""

        async def endless() -> None:
            while True:
                (await self.wait(Need(tokens, 0))).settle(None, None)
                await asyncio.sleep(0)

        self._crowd += [asyncio.create_task(endless()) for _ in range(callers)]

    def report_soon(self) -> None:
        """As where somebody begins to wait."""
        for account in self.limiter._accounts.values():
            assert account._shared is not None
            account._shared.soon()

    async def aclose(self) -> None:
        for task in self._crowd:
            task.cancel()
        await asyncio.gather(*self._crowd, return_exceptions=True)
        self.limiter.close()
        await self.fleet.aclose()


class Stage:
    """Where a fleet plays.

    Args:
        scripts: The shared state.
        seed: Of all chance there is: the jitter of reports, and how long they travel.
        patch: Puts the chance in its place.
    """

    def __init__(self, scripts: ClockedScripts, seed: int, patch: pytest.MonkeyPatch) -> None:
        self.scripts = scripts
        self._dice = random.Random(seed)
        patch.setattr(exchange, "random", self._dice)

    @contextlib.asynccontextmanager
    async def fleet(
        self, count: int, *rules: LimitRule, shifts: Sequence[float] = ()
    ) -> AsyncIterator[list[Replica]]:
        """So many replicas, each of which has been there for a moment."""

        def travel() -> float:
            return self._dice.uniform(0.0002, 0.002)

        links = [ClockedLink(self.scripts, f"r{n}", count, travel) for n in range(count)]
        found = [
            Replica(link, rules, shift)
            for link, shift in zip(links, shifts or (0.0,) * count, strict=True)
        ]
        for replica in found:
            asked = replica.limiter.ask("p", "m", ONE)
            assert asked is not None
            await asked
        try:
            yield found
        finally:
            for replica in found:
                await replica.aclose()
