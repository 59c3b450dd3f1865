"""How far ahead is leased, and that those who wait do not hold up others for longer than needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from switchgear.accounting.budgets.ahead import Ahead
from switchgear.accounting.budgets.keys import Party
from switchgear.accounting.budgets.queue import Waiter
from switchgear.accounting.ledger.store import Claim, Need
from tests.accounting.budgets.desks import Desk, Office, hard

A = Party(project_id="a")
LIMIT = 10**12


class Clock:
    """Stands still."""

    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


def claims(count: int, key: str = "k", amount: int = 10) -> list[Claim]:
    return [Claim((Need(key, LIMIT, amount),)) for _ in range(count)]


def ahead_at(ahead: Ahead, clock: Clock, at: float, count: int = 1, amount: int = 10) -> int:
    clock.at = at
    (need,) = ahead.needs(claims(count, amount=amount))
    assert (need.key, need.limit) == ("k", LIMIT)
    return need.amount


def test_slices_grow_while_they_last_for_less_than_a_second_and_shrink_again() -> None:
    clock = Clock()
    ahead = Ahead(clock)
    assert ahead_at(ahead, clock, 0) == 320
    assert ahead_at(ahead, clock, 0.5) == 1280
    assert ahead_at(ahead, clock, 1.0) == 5120
    assert ahead_at(ahead, clock, 5.0) == 5120
    assert ahead_at(ahead, clock, 20.0) == 1280
    assert ahead_at(ahead, clock, 100.0) == 320
    assert ahead_at(ahead, clock, 1000.0) == 320


def test_a_slice_is_never_for_more_than_some_thousand_attempts() -> None:
    clock = Clock()
    ahead = Ahead(clock)
    amounts = [ahead_at(ahead, clock, number / 100) for number in range(20)]
    assert max(amounts) == amounts[-1] == 10 * 4096


def test_many_who_ask_at_once_are_leased_for_twice_as_many() -> None:
    clock = Clock()
    assert ahead_at(Ahead(clock), clock, 0, count=100) == 2000


def test_the_largest_attempt_counts() -> None:
    clock = Clock()
    ahead = Ahead(clock)
    (need,) = ahead.needs([*claims(1, amount=3), *claims(1, amount=7), *claims(1, amount=5)])
    assert need.amount == 7 * 32


def test_counters_that_were_not_asked_for_of_late_are_forgotten() -> None:
    clock = Clock()
    ahead = Ahead(clock)
    for number in range(5000):
        ahead.needs(claims(1, key=f"k{number}"))
    assert len(ahead._last) <= 1024


async def work(desk: Desk, calls: int, pause: float | None) -> None:
    for _ in range(calls):
        attempt = await desk.reserve(100, A)
        if pause is not None:
            await asyncio.sleep(pause)
        desk.end(attempt, 100)


def test_a_busy_process_asks_its_authority_rarely(office: Office) -> None:
    desk = office.desk(hard("project:*", "10"))
    pump, asked = desk.budgets._pump, []

    async def asking(operation: Awaitable[Any]) -> Any:
        asked.append(operation)
        return await operation

    pump._asked = asking

    async def calls() -> None:
        await asyncio.gather(*[work(desk, 50, 0.0005) for _ in range(64)])

    office.run(calls())
    assert 1 <= len(asked) <= 6  # for 3200 attempts
    office.wait(1)
    assert not any(office.leases().values())


def test_who_has_been_served_stands_in_nobodys_way(office: Office) -> None:
    desk = office.desk(hard("project:*", "10"))
    pump, waited = desk.budgets._pump, []
    add = pump.add

    def adding(waiter: Waiter) -> None:
        waited.append(waiter)
        add(waiter)

    pump.add = adding  # type: ignore[method-assign]

    async def calls() -> None:
        # All of them wait for the first slice. One that has come round makes its next attempt while
        # the others have what they need and have not come round yet.
        await asyncio.gather(*[work(desk, 3, None) for _ in range(20)])

    office.run(calls())
    assert len(waited) == 20  # for 60 attempts


def test_one_that_has_no_room_yet_is_not_overtaken(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.000001"))

    async def calls() -> None:
        first = await desk.reserve(900, A)
        waiting = asyncio.ensure_future(desk.reserve(500, A, timeout=60))
        await asyncio.sleep(1)
        applied = desk.rules.applying(A, office.clock.now(), hard=True)
        assert desk.budgets.hold((applied[0].key,), 50) is None
        desk.end(first, 100)
        desk.drop(await waiting)

    office.run(calls())
