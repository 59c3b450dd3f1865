"""A budget that an attempt closed by costing more than was reserved for it."""

from __future__ import annotations

import pytest

from switchgear.accounting.budgets.keys import Party
from switchgear.accounting.ledger.stores import open_store
from switchgear.errors import BudgetExceededError
from tests.accounting.budgets.desks import EPOCH, Office, hard

A, B = Party(project_id="a"), Party(project_id="b")


def key(value: str) -> str:
    return f'["project","{value}","day","UTC",{int(EPOCH)}]'


def test_it_is_booked_and_closes_the_budget_at_once(office: Office) -> None:
    desk = office.desk(hard("project:*", "1"))

    async def calls() -> BudgetExceededError:
        await desk.spend(1_000_000, 1_000_001, A)
        with pytest.raises(BudgetExceededError) as caught:
            await desk.reserve(1_000, A)
        await desk.spend(1_000_000, 900_000, B)
        return caught.value

    error = office.run(calls())
    assert "project:a per day is closed" in error.message
    assert "--reopen" in error.message
    assert error.left == 0
    assert error.retry_after is not None
    office.wait(1)
    assert office.bounds()[key("a")] == 1_000_001


def test_it_closes_for_every_process_and_leaves_others_alone(office: Office) -> None:
    one, other = office.desk(hard("project:*", "1")), office.desk(hard("project:*", "1"))

    async def overrun() -> None:
        await one.spend(1_000_000, 2_000_000, A)

    async def elsewhere() -> None:
        with pytest.raises(BudgetExceededError, match="is closed"):
            await other.reserve(1_000, A)
        await other.spend(1_000, 1_000, B)

    office.run(overrun())
    office.wait(1)
    office.run(elsewhere())


def test_a_process_with_a_slice_of_it_learns_that_with_its_next_booking(office: Office) -> None:
    one, other = office.desk(hard("project:*", "1")), office.desk(hard("project:*", "1"))

    async def both() -> None:
        await other.spend(1_000, 1_000, A)  # a slice that reaches further
        await one.spend(1_000_000, 2_000_000, A)

    async def later() -> None:
        await other.spend(1_000, 1_000, A)

    office.run(both())
    office.wait(0.3)
    office.run(later())
    office.wait(0.3)

    async def at_last() -> None:
        with pytest.raises(BudgetExceededError, match="is closed"):
            await other.reserve(1_000, A)

    office.run(at_last())


def test_it_can_be_opened_again(office: Office) -> None:
    desk = office.desk(hard("project:*", "1"))

    async def overrun() -> None:
        await desk.spend(1_000_000, 2_000_000, A)

    office.run(overrun())
    office.wait(1)
    store = open_store(office.url)
    store.open()
    store.shut([key("a")], closed=False)
    store.close()

    async def again() -> None:
        await desk.budgets.standings([key("a")])
        await desk.spend(1_000, 1_000, A)

    office.run(again())
