"""Who is told what of budgets."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec
import pytest

from switchgear.accounting.budgets.keys import Party
from switchgear.config.budgets import Downgrade
from tests.accounting.budgets.desks import Desk, Office, hard, soft

A = Party(project_id="a")


def told(*desks: Desk) -> list[tuple[str, float | None]]:
    return sorted((event.budget, event.threshold) for desk in desks for event in desk.events)


def test_each_threshold_is_told_once_over_all_processes(office: Office) -> None:
    rules = [hard("project:*", "0.01", thresholds=(0.5, 0.8, 1.0))]
    desks = [office.desk(*rules) for _ in range(3)]

    async def calls() -> None:
        for number in range(10):
            await desks[number % 3].spend(1_000_000, 1_000_000, A)
            await asyncio.sleep(0.2)

    office.run(calls())
    assert told(*desks) == [("project:a per day", each) for each in (0.5, 0.8, 1.0)]


def test_thresholds_that_are_passed_while_the_database_is_slow_are_all_told(office: Office) -> None:
    office.loop._executor_delay = 0.03
    desk = office.desk(hard("project:*", "0.001"))

    async def calls() -> None:
        for name in "abcdef":
            await desk.spend(900_000, 900_000, Party(project_id=name))
            await asyncio.sleep(0.055)
        await asyncio.sleep(1.0)

    office.run(calls())
    assert told(desk) == [(f"project:{name} per day", 0.8) for name in "abcdef"]


def test_a_program_that_ends_at_once_still_tells(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.001"))
    office.run(desk.spend(900_000, 900_000, A))
    office.run(desk.close())
    assert told(desk) == [("project:a per day", 0.8)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_database_that_fails_while_it_is_asked_costs_no_threshold(
    office: Office, when: str
) -> None:
    desk = office.desk(hard("project:*", "0.01"))

    def fail_telling(name: str) -> None:
        if name == "tell_once" and desk.store.calls.count(name) == 1:
            desk.store.failing.append(when)

    async def calls() -> None:
        desk.store.on_call = fail_telling
        await desk.spend(9_000_000, 9_000_000, A)
        await asyncio.sleep(0.5)
        await desk.spend(100_000, 100_000, A)
        await asyncio.sleep(0.5)

    office.run(calls())
    # Where its answer was lost, the mark is set, and it is not known whether anybody was told.
    assert told(desk) == ([("project:a per day", 0.8)] if when == "before" else [])


def test_the_next_period_has_thresholds_of_its_own(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.001"))

    async def calls() -> None:
        for _ in range(2):
            await desk.spend(900_000, 900_000, A)
            await asyncio.sleep(0.5)
            office.clock.shift += 86_400

    office.run(calls())
    assert told(desk) == [("project:a per day", 0.8)] * 2


def test_a_soft_budget_goes_by_cost_and_a_hard_one_by_bound(office: Office) -> None:
    desk = office.desk(soft("global", "0.001"), hard("project:*", "0.001"))

    async def calls() -> None:
        desk.end(await desk.reserve(900_000, A), 900_000, cost=10)
        await asyncio.sleep(0.5)

    office.run(calls())
    (event,) = desk.events
    assert (event.kind, event.budget, event.hard) == ("threshold", "project:a per day", True)
    assert (event.spent, event.limit) == (Decimal("0.0009"), Decimal("0.001"))


def test_a_usage_above_its_reservation_is_booked_and_raises_an_alarm(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.01", thresholds=()))

    async def calls() -> None:
        desk.end(await desk.reserve(1_000_000, A), 12_000_000)
        await asyncio.sleep(0.5)

    office.run(calls())
    (event,) = desk.events
    assert (event.kind, event.budget, event.threshold) == ("overrun", "project:a per day", None)
    (bound,) = office.bounds().values()
    assert bound == 12_000_000


def test_how_much_is_spent_is_asked_once_and_then_heard(office: Office) -> None:
    desk = office.desk(soft("project:*", "0.001"))
    (applied,) = desk.rules.applying(A, office.clock.now())

    async def calls() -> None:
        assert await desk.budgets.part_spent(applied, timeout=1) == 0.0
        asked = desk.store.calls.count("standings")
        row = desk.row(A, office.clock.now(), None)
        desk.ledger.begin(row)
        desk.ledger.end(msgspec.structs.replace(row, outcome="answered", cost=250_000_000))
        await asyncio.sleep(0.5)
        assert await desk.budgets.part_spent(applied, timeout=1) == 0.25
        assert desk.store.calls.count("standings") == asked

    office.run(calls())


def test_what_is_spent_here_counts_at_once_and_once(office: Office) -> None:
    cheaper = Downgrade(at=0.8, groups={"dear": "cheap"})
    desk = office.desk(soft("project:*", "0.001", downgrade=cheaper))
    (applied,) = desk.rules.applying(A, office.clock.now())

    async def calls() -> None:
        assert await desk.budgets.part_spent(applied, timeout=1) == 0.0
        asked = len(desk.store.calls)
        for number in (1, 2):
            row = desk.row(A, office.clock.now(), None)
            desk.ledger.begin(row)
            row = msgspec.structs.replace(row, outcome="answered", cost=250_000_000)
            desk.ledger.end(row)
            desk.budgets.settled(row, desk.ledger.position)
            assert await desk.budgets.part_spent(applied, timeout=1) == 0.25 * number
        assert len(desk.store.calls) == asked
        await asyncio.sleep(0.5)
        assert "book" in desk.store.calls[asked:]
        assert await desk.budgets.part_spent(applied, timeout=1) == 0.5

    office.run(calls())
