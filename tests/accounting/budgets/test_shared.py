"""Hard budgets that a fleet's Redis decides about: what it costs, and whom to believe."""

from __future__ import annotations

import asyncio

import pytest

from switchgear.accounting.budgets.keys import Party
from switchgear.errors import BudgetBusyError, BudgetExceededError, LedgerError
from tests.accounting.budgets.desks import EPOCH, Desk, Office, hard
from tests.accounting.budgets.roads import Place, Road
from tests.state.server import RedisServer

pytestmark = pytest.mark.xdist_group("redis")

A, B = Party(project_id="a"), Party(project_id="b")
CENT = 10_000_000
EACH = hard("project:*", "0.01")
KEY = f'["project","a","day","UTC",{int(EPOCH)}]'


def road(desk: Desk) -> Road:
    assert desk.road is not None
    return desk.road


def total(office: Office) -> int:
    """What the database has for spent or leased."""
    return office.bounds()[KEY] + office.leased(KEY)


def test_a_decision_is_one_script_however_many_budgets_have_to_agree(fleet: Office) -> None:
    desk = fleet.desk(EACH, hard("global", "0.02"), hard("agent:*", "0.01"))

    async def calls() -> tuple[list[str], list[str]]:
        await desk.spend(CENT // 4, CENT // 4, A)
        await asyncio.sleep(1.0)
        first, road(desk).asked = road(desk).asked, []
        await desk.reserve(CENT // 2, A)
        return first, road(desk).asked

    first, second = fleet.run(calls())
    assert first[:3] == ["budget", "budget_seed", "budget"]  # the ledger is asked once
    assert second == ["budget"]


def test_small_attempts_are_served_out_of_a_slice(fleet: Office) -> None:
    desk = fleet.desk(EACH)

    async def calls() -> int:
        await desk.reserve(1000, A)
        road(desk).asked = []
        for _ in range(30):
            await desk.reserve(1000, A)
        return len(road(desk).asked)

    assert fleet.run(calls()) == 0


def test_with_the_shared_state_away_hard_budgets_fail_closed(fleet: Office, place: Place) -> None:
    desk = fleet.desk(EACH)

    async def calls() -> None:
        await desk.reserve(CENT // 100, A)
        place.away = True
        await desk.reserve(CENT // 100, A)  # leased before, and in the database
        with pytest.raises(LedgerError, match="hard budgets need the fleet's shared state"):
            await desk.reserve(CENT // 2, A)
        with pytest.raises(LedgerError):
            await desk.reserve(1, B)
        place.away = False
        await desk.reserve(CENT // 2, A)

    fleet.run(calls())


def test_with_the_database_away_nothing_new_is_leased(fleet: Office) -> None:
    desk = fleet.desk(EACH)

    async def calls() -> None:
        await desk.reserve(CENT // 2, A)
        desk.store.failing = ["before"] * 3
        with pytest.raises(LedgerError, match="away"):
            await desk.reserve(CENT // 2, A)
        desk.store.failing = []
        await desk.reserve(CENT // 2, A, timeout=30)

    fleet.run(calls())


@pytest.mark.parametrize("lost", ["everything", "what came last"])
def test_a_memory_that_was_lost_is_made_anew_from_the_ledger(
    fleet: Office, place: Place, lost: str
) -> None:
    one, two = fleet.desk(EACH), fleet.desk(EACH)

    async def calls() -> None:
        await one.spend(1000, 1000, A)
        place.keep()
        await one.spend(3 * CENT // 10, 3 * CENT // 10, A)
        await one.reserve(3 * CENT // 10, A)
        place.lose_all() if lost == "everything" else place.restart()
        with pytest.raises(BudgetBusyError):
            await two.reserve(CENT // 2, A, patient=False)
        with pytest.raises(BudgetExceededError):
            await two.reserve(8 * CENT // 10, A)
        await two.reserve(3 * CENT // 10, A)

    fleet.run(calls())
    assert total(fleet) <= CENT


def test_two_servers_by_mistake_can_not_give_the_same_money_twice(
    fleet: Office, redis_server: RedisServer
) -> None:
    one = fleet.desk(EACH)
    with redis_server.client() as client:
        client.select(1)
        client.flushdb()
        fleet.place = Place(client)
        fleet.place.now = fleet.loop.time
        two = fleet.desk(EACH)

        async def calls() -> list[object]:
            attempts = [desk.reserve(CENT // 4, A, timeout=20) for desk in (one, two) * 4]
            return await asyncio.gather(*attempts, return_exceptions=True)

        outcomes = fleet.run(calls())
        assert sum(not isinstance(each, Exception) for each in outcomes) == 4
        assert total(fleet) == CENT
        fleet.run(two.close())


def test_a_process_without_shared_state_can_not_give_it_twice_either(fleet: Office) -> None:
    one = fleet.desk(EACH)
    fleet.place = None
    alone = fleet.desk(EACH)

    async def calls() -> list[object]:
        await one.reserve(CENT // 4, A)
        await alone.reserve(CENT // 4, A)
        attempts = [desk.reserve(CENT // 4, A) for desk in (one, alone) * 2]
        return await asyncio.gather(*attempts, return_exceptions=True)

    outcomes = fleet.run(calls())
    assert sum(not isinstance(each, Exception) for each in outcomes) == 2
    assert total(fleet) == CENT


def test_what_a_dead_process_held_comes_back_once_its_books_are_closed(fleet: Office) -> None:
    dead, alive = fleet.desk(EACH), fleet.desk(EACH)
    fleet.run(dead.reserve(CENT // 2, A))
    fleet.run(alive.reserve(CENT // 10, A))
    dead.die()
    # The attempt under way is lost, and spent; what was leased beyond it is free.
    fleet.run(alive.reserve(4 * CENT // 10, A))
    assert fleet.bounds()[KEY] == CENT // 2
    with pytest.raises(BudgetExceededError):
        fleet.run(alive.reserve(CENT // 2 + 1, A))


def test_a_process_that_closes_leaves_nothing_behind_in_the_shared_state(
    fleet: Office, place: Place
) -> None:
    desk = fleet.desk(EACH)
    fleet.run(desk.spend(CENT // 2, CENT // 4, A))
    fleet.run(desk.close())
    assert place.believed()[KEY][1] == fleet.bounds()[KEY] == CENT // 4


def test_what_closed_a_budget_closes_it_for_all_and_opening_it_is_noticed(fleet: Office) -> None:
    one, two = fleet.desk(EACH), fleet.desk(EACH)

    async def calls() -> None:
        await two.reserve(CENT // 10, A)
        attempt = await one.reserve(CENT // 10, A)
        one.end(attempt, CENT // 10 + 1)
        await asyncio.sleep(1.0)
        with pytest.raises(BudgetExceededError, match="is closed"):
            await two.reserve(CENT // 2, A)
        fleet.store.shut([KEY], closed=False)
        await asyncio.sleep(1.0)

    fleet.run(calls())
    three = fleet.desk(EACH)
    fleet.run(three.reserve(CENT // 2, A))


def test_a_counter_that_nobody_uses_is_forgotten_by_the_shared_state(
    fleet: Office, place: Place
) -> None:
    desk = fleet.desk(EACH)
    fleet.run(desk.reserve(1, A))
    (name,) = place.keys()
    assert 0 < place.client.ttl(name) <= 86_400
    assert b"{budgets." in name


def test_amounts_that_no_double_holds_are_not_exceeded_either(fleet: Office) -> None:
    desk = fleet.desk(hard("project:*", "20000000.000000001"))
    limit = 20_000_000_000_000_001

    async def calls() -> int:
        given = 0
        for amount in (2**53 + 1, 2**53 + 1, limit - 2 * (2**53 + 1) - 500, 1, 501):
            try:
                await desk.spend(amount, amount, A)
            except BudgetExceededError:
                continue
            given += amount
            await desk.ledger.flush()
        return given

    given = fleet.run(calls())
    assert limit - 1000 <= given <= limit
