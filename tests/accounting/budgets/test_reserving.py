"""What a call meets at its hard budgets."""

from __future__ import annotations

import asyncio
import datetime as dt
from decimal import Decimal

import pytest

from switchgear.accounting.budgets.keys import Party
from switchgear.errors import (
    BudgetBusyError,
    BudgetExceededError,
    LedgerError,
    LifecycleError,
    SwitchgearError,
)
from tests.accounting.budgets.desks import EPOCH, Attempt, Office, hard, soft
from tests.routing.cancelling import at_every_wait

A, B = Party(project_id="a"), Party(project_id="b")
CENT = 10_000_000
"""In the unit that everything is counted in."""


def key(value: str, kind: str = "project") -> str:
    return f'["{kind}","{value}","day","UTC",{int(EPOCH)}]'


def free_of(office: Office, value: str, limit: int = CENT, kind: str = "project") -> int:
    """What the database would still give."""
    name = key(value, kind)
    return limit - office.bounds().get(name, 0) - office.leased(name)


# --- refusals ---


def test_exceeded_names_the_budget_what_is_left_and_when_it_resets(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.01"))

    async def calls() -> BudgetExceededError:
        await desk.spend(7_000_000, 6_000_000, A)
        with pytest.raises(BudgetExceededError) as caught:
            await desk.reserve(4_000_001, A)
        return caught.value

    error = office.run(calls())
    assert error.budget == "project:a per day"
    assert (error.limit, error.left) == (Decimal("0.01"), Decimal("0.004"))
    assert error.needed == Decimal("0.004000001")
    assert error.resets_at == dt.datetime.fromtimestamp(EPOCH + 86_400, dt.UTC)
    assert error.retry_after == pytest.approx(86_400, abs=2)
    assert error.message == (
        "budget project:a per day: $0.004000000 of $0.01 are left, and this attempt could cost up "
        "to $0.004000001; it resets at 2026-11-24 00:00 UTC"
    )


def test_a_budget_for_ever_does_not_reset(office: Office) -> None:
    desk = office.desk(hard("global", "0.01", "ever"))
    with pytest.raises(BudgetExceededError, match="it does not reset") as caught:
        office.run(desk.reserve(CENT + 1))
    assert caught.value.resets_at is None
    assert caught.value.retry_after is None


def test_all_of_a_budget_can_be_spent_to_the_last_unit(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.01"))
    office.run(desk.spend(CENT, CENT, A))
    with pytest.raises(BudgetExceededError) as caught:
        office.run(desk.reserve(1, A))
    assert caught.value.left == 0


def test_with_reservations_in_the_way_it_waits_and_gets_what_they_leave(office: Office) -> None:
    desk, other = office.desk(hard("project:*", "0.01")), office.desk(hard("project:*", "0.01"))

    async def calls() -> Attempt:
        first = await desk.reserve(9_000_000, A)
        waiting = asyncio.ensure_future(other.reserve(2_000_000, A, timeout=60))
        await asyncio.sleep(30)
        assert not waiting.done()
        desk.end(first, 8_000_000)
        return await waiting

    assert office.run(calls()).holding.amount == 2_000_000
    assert office.loop.time() < 1000 + 31


def test_what_they_leave_may_be_too_little_and_then_it_is_exceeded(office: Office) -> None:
    desk, other = office.desk(hard("project:*", "0.01")), office.desk(hard("project:*", "0.01"))

    async def calls() -> None:
        first = await desk.reserve(9_000_000, A)
        waiting = asyncio.ensure_future(other.reserve(2_000_000, A, timeout=60))
        await asyncio.sleep(5)
        desk.end(first, 9_000_000)
        with pytest.raises(BudgetExceededError):
            await waiting

    office.run(calls())
    assert office.loop.time() < 1000 + 6


@pytest.mark.parametrize("patient", [True, False])
def test_busy_comes_when_the_time_is_over_or_at_once_for_the_impatient(
    office: Office, patient: bool
) -> None:
    desk = office.desk(hard("project:*", "0.01"))

    async def calls() -> BudgetBusyError:
        await desk.reserve(9_000_000, A)
        began = office.loop.time()
        with pytest.raises(BudgetBusyError) as caught:
            await desk.reserve(2_000_000, A, timeout=3.0, patient=patient)
        assert office.loop.time() - began == pytest.approx(3.0 if patient else 0.0, abs=0.1)
        return caught.value

    error = office.run(calls())
    assert error.budget == "project:a per day"
    assert (error.left, error.needed) == (Decimal("0.001"), Decimal("0.002"))
    assert error.retry_after == 0.0


def test_several_budgets_all_have_to_agree_and_a_refusal_leaves_nothing_leased(
    office: Office,
) -> None:
    desk = office.desk(hard("global", "1"), hard("project:*", "0.01"), hard("agent:*", "0.5"))
    with pytest.raises(BudgetExceededError) as caught:
        office.run(desk.reserve(CENT + 1, A))
    assert caught.value.budget == "project:a per day"
    assert office.leases() == {}


def test_the_tightest_of_two_rules_for_one_counter_holds(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.01"), hard("project:a", "0.002"))
    office.run(desk.reserve(CENT, B))
    with pytest.raises(BudgetExceededError) as caught:
        office.run(desk.reserve(2_000_001, A))
    assert caught.value.limit == Decimal("0.002")


def test_a_budget_that_is_spent_is_not_hidden_by_one_that_is_only_reserved(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.01"), hard("global", "0.012"))

    async def calls() -> None:
        await desk.spend(8_000_000, 8_000_000, B)
        await desk.reserve(4_000_000, A)
        with pytest.raises(BudgetExceededError, match="global"):
            await desk.reserve(7_000_000, A, timeout=20)

    office.run(calls())


# --- the queue ---


def test_a_large_attempt_does_not_starve_under_small_ones(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.01"))

    async def small() -> None:
        while True:
            attempt = await desk.reserve(1_000_000, A, timeout=600)
            await asyncio.sleep(1.0)
            desk.end(attempt, 0)

    async def calls() -> float:
        agents = [asyncio.ensure_future(small()) for _ in range(10)]
        await asyncio.sleep(0.5)
        began = office.loop.time()
        await desk.reserve(9_000_000, A, timeout=60)
        for agent in agents:
            agent.cancel()
        return office.loop.time() - began

    assert office.run(calls()) < 3


def test_a_project_without_room_does_not_stand_in_the_way_of_another(office: Office) -> None:
    desk = office.desk(hard("global", "1"), hard("project:*", "0.01"))

    async def calls() -> None:
        await desk.reserve(CENT, A)
        waiting = asyncio.ensure_future(desk.reserve(1, A, timeout=600))
        await asyncio.sleep(0.5)
        await desk.reserve(1_000_000, B, patient=False)
        assert not waiting.done()
        waiting.cancel()

    office.run(calls())


def test_what_is_free_goes_to_another_process_also_from_one_that_waits_elsewhere(
    office: Office,
) -> None:
    desk, other = office.desk(hard("project:*", "0.01")), office.desk(hard("project:*", "0.01"))

    async def calls() -> None:
        first = await desk.reserve(100_000, A)
        await desk.reserve(9_000_000, B)
        waiting = asyncio.ensure_future(desk.reserve(9_000_000, B, timeout=600))
        await asyncio.sleep(0.1)
        assert office.leased(key("a")) > 1_000_000
        desk.end(first, 1)
        await other.reserve(9_900_000, A, timeout=5)
        waiting.cancel()

    office.run(calls())


def test_what_is_free_goes_to_another_process_also_from_one_that_has_long_asked_for_nothing(
    office: Office,
) -> None:
    desk, other = office.desk(hard("project:*", "0.01")), office.desk(hard("project:*", "0.01"))

    async def keeps_calling() -> None:
        while True:
            desk.end(await desk.reserve(10_000, A), 10)
            await asyncio.sleep(0.1)

    async def calls() -> None:
        agent = asyncio.ensure_future(keeps_calling())
        await asyncio.sleep(70)
        try:
            await other.reserve(9_900_000, A, timeout=20)
        finally:
            agent.cancel()

    office.run(calls())


def test_a_slice_that_nobody_uses_goes_back(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.01"))
    office.run(desk.spend(100_000, 50_000, A))
    assert office.leased(key("a")) > 100_000
    office.wait(1.0)
    assert free_of(office, "a") == CENT - 50_000


# --- cancelled, and closed ---


@pytest.mark.parametrize("delay", [0.0, 0.01])
def test_a_call_that_is_cancelled_where_it_waits_leaves_nothing_reserved(
    office: Office, delay: float
) -> None:
    office.loop._executor_delay = delay
    desk = office.desk(hard("global", "1"), hard("project:*", "0.01"))
    kept: list[Attempt] = []

    async def call() -> None:
        kept.append(await desk.reserve(6_000_000, A, timeout=10))

    async def between() -> None:
        await asyncio.sleep(1.0)
        assert free_of(office, "a") == CENT

    office.run(desk.ledger.ready())
    assert office.run(at_every_wait(call, between)) >= 1
    desk.drop(kept.pop())
    office.wait(1.0)
    assert free_of(office, "a") == CENT


def test_a_call_that_is_cancelled_at_any_step_of_the_loop_leaves_nothing_reserved(
    office: Office,
) -> None:
    office.loop._executor_delay = office.delay = 0.0
    desk = office.desk(hard("global", "1"), hard("project:*", "0.01"))

    async def calls() -> tuple[int, int]:
        got = lost = 0
        for steps in range(60):
            call = asyncio.ensure_future(desk.reserve(6_000_000, A, timeout=10))
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
            (outcome,) = await asyncio.gather(call, return_exceptions=True)
            if isinstance(outcome, Attempt):
                got += 1
                desk.drop(outcome)
            else:
                lost += 1
            await asyncio.sleep(1.0)
            assert free_of(office, "a") == CENT, steps
            assert free_of(office, "", 10**9, "global") == 10**9
        return got, lost

    got, lost = office.run(calls())
    assert min(got, lost) > 3


def test_cancelled_at_any_instant_of_its_wait_it_leaves_nothing_reserved(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.01"))

    async def calls() -> None:
        for instant in range(40):
            first = await desk.reserve(9_000_000, A)
            waiting = asyncio.ensure_future(desk.reserve(2_000_000, A, timeout=60))
            await asyncio.sleep(0.1)
            desk.end(first, 0)
            await asyncio.sleep(instant * 0.002)
            waiting.cancel()
            outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
            if isinstance(outcome, Attempt):
                desk.drop(outcome)
            await asyncio.sleep(1.0)
            assert free_of(office, "a") == CENT, instant

    office.run(calls())


def test_closing_sends_those_who_wait_away_and_gives_everything_back(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.01"))

    async def calls() -> None:
        attempt = await desk.reserve(9_000_000, A)
        waiting = [asyncio.ensure_future(desk.reserve(2_000_000, A)) for _ in range(5)]
        await asyncio.sleep(0.2)
        desk.drop(attempt)
        await desk.close()
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(outcome, Attempt):
                continue
            assert isinstance(outcome, LifecycleError)
        with pytest.raises((LifecycleError, LedgerError)):
            await desk.reserve(1, A)

    office.run(calls())


def test_a_dead_holder_keeps_what_it_had_begun_and_nothing_else(office: Office) -> None:
    dead, heir = office.desk(hard("project:*", "0.01")), office.desk(hard("project:*", "0.01"))

    async def calls() -> None:
        await heir.ledger.ready()
        dead.end(await dead.reserve(1_000_000, A), 300_000)
        await dead.reserve(2_000_000, A)
        dead.die()
        # It was not booked yet, nor given back; whoever waits for it finds out what it is.
        await heir.reserve(7_700_000, A, timeout=5)
        with pytest.raises(BudgetBusyError):
            await heir.reserve(1, A, timeout=5)

    office.run(calls())
    assert office.bounds()[key("a")] == 2_300_000
    assert sorted(row.outcome for row in office.rows()) == ["answered", "lost"]


# --- a database that fails, or is slow ---


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(8))
def test_a_database_that_fails_once_refuses_and_never_promises_too_much(
    office: Office, when: str, number: int
) -> None:
    desk, other = office.desk(hard("project:*", "0.01")), office.desk(hard("project:*", "0.01"))

    async def calls() -> int:
        await desk.ledger.ready()
        desk.store.failing.extend([""] * number + [when])
        total = refused = 0
        for _ in range(30):
            try:
                desk.end(await desk.reserve(900_000, A, timeout=1), 200_000)
                total += 200_000
            except LedgerError:
                refused += 1
            except (BudgetExceededError, BudgetBusyError):
                break
            await asyncio.sleep(0.03)
        assert refused <= 1
        return total

    total = office.run(calls())
    office.wait(1.0)
    assert office.bounds()[key("a")] == total
    assert total + office.leased(key("a")) <= CENT
    office.run(desk.close())
    # What was in doubt is free again once its holder is gone.
    office.run(other.reserve(CENT - total, A, timeout=5))


def test_what_could_not_be_given_back_is_given_back_later(office: Office) -> None:
    desk, other = office.desk(hard("project:*", "0.01")), office.desk(hard("project:*", "0.01"))
    failed: list[str] = []

    def fail_once(name: str) -> None:
        if name == "give_back" and not failed:
            failed.append(name)
            desk.store.failing.append("before")

    async def calls() -> None:
        desk.store.on_call = fail_once
        await desk.spend(50_000, 10, A)
        await asyncio.sleep(1.0)
        assert failed
        await desk.spend(50_000, 10, A)
        await asyncio.sleep(5.0)
        await other.reserve(9_900_000, A, timeout=30)

    office.run(calls())


def test_a_database_that_does_not_answer_holds_nobody_past_his_time(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.01"))

    async def calls() -> BudgetBusyError:
        await desk.ledger.ready()
        office.loop._executor_delay = 8.0
        began = office.loop.time()
        with pytest.raises(BudgetBusyError, match="did not answer within 2 s") as caught:
            await desk.reserve(1_000_000, A, timeout=2.0)
        assert office.loop.time() - began == pytest.approx(2.0, abs=0.1)
        return caught.value

    error = office.run(calls())
    assert (error.budget, error.limit) == ("project:a per day", Decimal("0.01"))
    assert (error.left, error.needed) == (None, Decimal("0.001"))
    # What came after all is not lost.
    office.wait(60)
    assert free_of(office, "a") == CENT
    office.loop._executor_delay = 0.001


# --- clocks, and configurations that change ---


def test_what_is_set_aside_before_midnight_is_spent_of_the_old_day(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.01"))
    office.clock.shift = 86_395

    async def calls() -> None:
        attempt = await desk.reserve(9_000_000, A)
        await asyncio.sleep(10)
        await desk.reserve(9_000_000, A)
        desk.end(attempt, 8_000_000)

    office.run(calls())
    office.wait(1.0)
    assert office.bounds()[key("a")] == 8_000_000


def test_a_clock_that_is_set_back_opens_no_budget_twice(office: Office) -> None:
    desk = office.desk(hard("project:*", "0.01"))
    office.clock.shift = 43_200

    async def calls() -> None:
        await desk.spend(6_000_000, 6_000_000, A)
        for shift in (43_200 + 86_400, 43_200, 100):
            office.clock.shift = shift
            await desk.ledger.flush()
            amount = 6_000_000 if shift > 86_400 else 4_000_001
            if shift > 86_400:
                await desk.spend(amount, amount, A)
                continue
            with pytest.raises(BudgetExceededError):
                await desk.reserve(amount, A)

    office.run(calls())


def test_a_rule_that_comes_in_mid_period_counts_what_was_spent_before(office: Office) -> None:
    before = office.desk(hard("global", "1"))
    office.run(before.spend(6_000_000, 6_000_000, A))
    office.run(before.close())
    after = office.desk(hard("project:*", "0.01"))
    with pytest.raises(BudgetExceededError) as caught:
        office.run(after.reserve(4_000_001, A))
    assert caught.value.left == Decimal("0.004")


def test_a_limit_that_is_lowered_or_raised_counts_at_once(office: Office) -> None:
    first = office.desk(hard("project:*", "0.01"))
    office.run(first.spend(6_000_000, 6_000_000, A))
    office.run(first.close())
    lower = office.desk(hard("project:*", "0.005"))
    with pytest.raises(BudgetExceededError) as caught:
        office.run(lower.reserve(1, A))
    assert caught.value.left == 0
    higher = office.desk(hard("project:*", "0.02"))
    office.run(higher.reserve(14_000_000, A))


def test_a_process_without_the_rule_counts_for_those_who_have_it(office: Office) -> None:
    strict, loose = office.desk(hard("project:*", "0.01")), office.desk(soft("global", "1"))

    async def calls() -> None:
        await strict.ledger.ready()
        row = loose.row(A, office.clock.now(), None)
        await loose.ledger.ready()
        loose.ledger.begin(row)
        loose.end(Attempt(loose, row, loose.budgets._slices.hold((), 0)), 6_000_000)  # type: ignore[arg-type]
        await loose.ledger.flush()
        with pytest.raises(BudgetExceededError):
            await strict.reserve(4_000_001, A)

    office.run(calls())


# --- enough of it ---


@pytest.mark.parametrize(("desks", "agents"), [(1, 50), (5, 10)])
def test_fifty_agents_at_once_spend_95_percent_before_it_closes(
    office: Office, desks: int, agents: int
) -> None:
    """A reservation is a fiftieth of the budget, and what is spent of it a fifth of that."""
    limit, bound, cost = 100_000_000, 2_000_000, 400_000
    outcomes: list[SwitchgearError] = []
    longest = 0.0

    async def agent(number: int) -> None:
        nonlocal longest
        desk = office.desks[number % desks]
        while True:
            began = office.loop.time()
            try:
                attempt = await desk.reserve(bound, A, timeout=30.0)
            except SwitchgearError as exc:
                outcomes.append(exc)
                return
            finally:
                longest = max(longest, office.loop.time() - began)
            await asyncio.sleep(0.3 + number * 0.013)
            desk.end(attempt, cost)

    async def all_agents() -> None:
        await asyncio.gather(*(agent(number) for number in range(agents * desks)))

    for _ in range(desks):
        office.desk(hard("project:*", "0.1"))
    office.run(all_agents())
    office.wait(1.0)
    assert {type(outcome) for outcome in outcomes} == {BudgetExceededError}
    assert office.bounds()[key("a")] >= 0.95 * limit
    assert longest < 30.0
    assert free_of(office, "a", limit) == limit - office.bounds()[key("a")]
