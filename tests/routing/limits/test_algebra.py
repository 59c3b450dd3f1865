"""Any sequence of calls, against a ledger that is replayed from its beginning every time."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from switchgear.routing.limits import Lease, Limiter, LimitRule, Need
from switchgear.routing.limits.measures import INPUT, OUTPUT, REQUESTS

from .virtual import FakeClock

LIMITS = {"rpm": 60.0, "itpm": 6000.0, "otpm": 1200.0}
MEASURES = {"rpm": REQUESTS, "itpm": INPUT, "otpm": OUTPUT}
LATE = 1.0  # a bucket that was full begins to refill so many seconds late
TINY = 1e-3


class Ledger:
    """What was taken and given back, and when."""

    def __init__(self, limit: float, began: float) -> None:
        self.limit = limit
        self.began = began
        self.entries: list[tuple[float, float]] = []

    def level(self, now: float) -> float:
        level, then = self.limit, self.began
        for moment, taken in [*self.entries, (now, 0.0)]:
            level = min(self.limit, level + (moment - then) * self.limit / 60)
            level = min(self.limit, level - taken)
            then = moment
        return level


class Calls(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.clock = FakeClock()
        numbers: dict[str, Any] = dict(LIMITS)
        self.limit = Limiter([LimitRule("p/*", **numbers)], self.clock)
        self.books = {name: Ledger(limit, self.clock.time) for name, limit in LIMITS.items()}
        self.leases: list[Lease] = []

    @rule(seconds=st.one_of(st.floats(0, 3), st.floats(0, 200)))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(tokens=st.integers(0, 7000), answer=st.integers(0, 1500))
    def reserve(self, tokens: int, answer: int) -> None:
        now = self.clock.time
        levels = {name: book.level(now) for name, book in self.books.items()}
        given = self.limit.try_reserve("p", "m", Need(tokens, answer))
        if isinstance(given, Lease):
            price = given.price
            assert levels["rpm"] >= 1 - TINY
            assert levels["itpm"] >= price[INPUT] - TINY
            assert levels["otpm"] >= min(1.0, price[OUTPUT]) - TINY
            for name, book in self.books.items():
                book.entries.append((now, price[MEASURES[name]]))
            self.leases.append(given)
        elif given.wait is None:
            assert tokens > LIMITS["itpm"] * 0.2  # only a prompt can be too much for ever
        else:
            # Something really is short, or would be, had it begun to refill a second later.
            late = {name: level - LIMITS[name] / 60 * LATE for name, level in levels.items()}
            price = self.limit._lane("p", "m", None).price(Need(tokens, answer))
            short = (
                late["rpm"] < 1
                or late["itpm"] < price[INPUT]
                or late["otpm"] < min(1.0, price[OUTPUT])
            )
            assert short
            # And the wait that was named is enough.
            self.clock.advance(given.wait + TINY)
            again = self.limit.try_reserve("p", "m", Need(tokens, answer))
            assert isinstance(again, Lease)
            again.cancel()

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), tokens=st.integers(0, 7000), answer=st.integers(0, 3000))
    def settle(self, data: st.DataObject, tokens: int, answer: int) -> None:
        lease = self._one(data)
        used = {"rpm": 1.0, "itpm": float(tokens), "otpm": float(answer)}
        lease.settle(tokens, answer)
        for name, book in self.books.items():
            book.entries.append((self.clock.time, used[name] - lease.price[MEASURES[name]]))

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        lease = self._one(data)
        lease.cancel()
        for name, book in self.books.items():
            book.entries.append((self.clock.time, -lease.price[MEASURES[name]]))

    def _one(self, data: st.DataObject) -> Lease:
        place = data.draw(st.integers(0, len(self.leases) - 1))
        return self.leases.pop(place)

    @invariant()
    def the_levels_agree(self) -> None:
        if not hasattr(self, "limit"):
            return
        for row in self.limit.health():
            name = row.limit.split(" ")[0]
            level = self.books[name].level(self.clock.time)
            assert row.remaining is not None
            assert row.remaining <= level + TINY
            assert row.remaining >= level - LATE * LIMITS[name] / 60 - TINY
            assert row.queued == 0


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
