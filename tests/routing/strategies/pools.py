"""A clock set by hand, and pools, for the tests of strategies and of what they rest on."""

from __future__ import annotations

from typing import Any

from switchgear.routing.stats import CandidateStats
from switchgear.routing.strategies import Member, PoolContext


class HandClock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        raise AssertionError("durations come from the monotonic clock")

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def advance(self, seconds: float) -> None:
        self.time += seconds

    def context(self, **fields: Any) -> PoolContext:
        return PoolContext(now=self.time, **fields)


def member(clock: HandClock, name: str, *, busy: int = 0, **fields: Any) -> Member:
    """A member without a past, with so many attempts in flight."""
    stats = CandidateStats(clock)
    for _ in range(busy):
        stats.begin(stream=False)
    return Member(name=name, stats=stats, **fields)


def pool_of(clock: HandClock, names: str) -> list[Member]:
    return [member(clock, name) for name in names]


def answered(
    clock: HandClock,
    who: Member,
    first: float,
    *,
    tokens: int = 100,
    each: float = 0.02,
    times: int = 1,
) -> None:
    """It answered streams, one after the other, at this pace."""
    for _ in range(times):
        flight = who.stats.begin(stream=True)
        clock.advance(first)
        flight.first_token()
        clock.advance(tokens * each)
        flight.succeed(tokens)


def failed(clock: HandClock, who: Member, *, after: float = 0.05, times: int = 1) -> None:
    for _ in range(times):
        flight = who.stats.begin(stream=True)
        clock.advance(after)
        flight.fail()


def names(ordered: Any) -> str:
    return "".join(each.name for each in ordered)
