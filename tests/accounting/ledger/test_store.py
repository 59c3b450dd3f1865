"""Counters and leases: what a hard budget rests on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from switchgear.accounting.budgets.keys import counter_key
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.store import (
    Booked,
    Claim,
    Counted,
    Grant,
    Need,
    Refused,
    Standing,
    Store,
)
from switchgear.errors import LedgerError

NOON = 1_795_348_800  # 2026-11-22T12:00:00Z
NOW = NOON * 10**6
SECOND = 10**6
NOBODY: frozenset[Any] = frozenset()
EACH_PROJECT = Counted("project", "*", "day", "UTC")
P1 = counter_key("project", "p1", "day", "UTC", NOON)
WHOLE = counter_key("global", "", "ever", "UTC", NOON)


def attempt(number: int, start: float = NOON, **fields: Any) -> Row:
    identifier = int(start * 1000).to_bytes(6, "big") + number.to_bytes(10, "big")
    at = int(start * 1_000_000)
    whole: dict[str, Any] = {"id": identifier, "call_id": identifier, "at": at, "project_id": "p1"}
    return Row(**whole | fields)


def book(store: Store, *rows: Row, numbers: Iterator[int] = itertools.count(1)) -> Booked:  # noqa: B008
    """Book a batch of its own."""
    return store.book("w", next(numbers), rows, NOBODY)


def claim(store: Store, holder: str, *needs: Need, now: int = NOW) -> Grant | Refused:
    (answer,) = store.claim(holder, [Claim(needs)], now)
    return answer


def standing(store: Store, key: str = P1, now: int = NOW) -> Standing:
    (found,) = store.standings([key], now)
    return found


# --- what counters start with -------------------------------------------------------------------


def test_a_counter_starts_with_the_rows_of_its_period_each_rounded_up(store: Store) -> None:
    book(
        store,
        attempt(1, bound=1, cost=1),
        attempt(2, bound=1_000),
        attempt(3, bound=1_001, cost=999),
        attempt(4, NOON - 86400, bound=10**6),
        attempt(5, NOON + 86400, bound=10**6),
        attempt(6, project_id="p2", bound=10**6),
    )
    store.register([EACH_PROJECT], NOW)
    assert standing(store) == Standing(P1, bound=1 + 1 + 2, cost=1 + 1, leased=0)


@pytest.mark.parametrize(
    ("counted", "value", "mine", "others"),
    [
        (Counted("global", "", "ever", "UTC"), "", {}, {"bound": None}),
        (Counted("agent", "*", "month", "UTC"), "a", {"agent_id": "a"}, {"agent_id": "b"}),
        (Counted("agent-type", "QA", "week", "UTC"), "QA", {"agent_type": "QA"}, {}),
        (Counted("run", "*", "run", "UTC"), "r", {"run_id": "r"}, {"run_id": "s"}),
        (
            Counted("agent", "*", "run", "UTC"),
            "a",
            {"run_id": "r", "agent_id": "a"},
            {"run_id": "s", "agent_id": "a"},
        ),
        (Counted("agent", "*", "run", "UTC"), "", {}, {"run_id": "s"}),
        (Counted("provider", "*", "hour", "Australia/Lord_Howe"), "v", {"provider": "v"}, {}),
        (
            Counted("model", "v/m", "day", "UTC"),
            "v/m",
            {"provider": "v", "model": "m"},
            {"provider": "v", "model": "n"},
        ),
        (
            Counted("key", "v", "ever", "UTC"),
            "v",
            {"provider": "v"},
            {"provider": "v", "own_key": True},
        ),
        (Counted("api-key", "*", "day", "UTC"), "k", {"api_key_id": "k"}, {}),
        (Counted("tag:t", "red", "day", "UTC"), "red", {"tags": {"t": "red"}}, {"tags": {"t": ""}}),
        (Counted("tag:t", "*", "day", "UTC"), "", {"tags": {"u": "red"}}, {"tags": {"t": "red"}}),
    ],
)
def test_rows_count_the_same_before_and_after_their_rule_is_registered(
    store: Store, counted: Counted, value: str, mine: dict[str, Any], others: dict[str, Any]
) -> None:
    key = counter_key(
        *(counted.kind, value, counted.period, counted.timezone, NOON),
        run_id=mine.get("run_id", ""),
    )
    book(store, attempt(1, **{"bound": 3000} | mine), attempt(2, **{"bound": 5000} | others))
    store.register([counted], NOW)
    book(store, attempt(3, **{"bound": 7000} | mine), attempt(4, **{"bound": 9000} | others))
    assert standing(store, key).bound == 10


def test_a_counter_made_by_a_batch_counts_its_rows_once(store: Store) -> None:
    book(store, attempt(1, bound=1000))
    store.register([EACH_PROJECT], NOW)
    store.book("x", 1, [attempt(1, bound=1000), attempt(2, bound=2000)], NOBODY)
    assert standing(store).bound == 3


def test_a_rule_that_was_registered_by_another_process_is_counted(
    shared_url: str, opened: Callable[[str], Store]
) -> None:
    one, other = opened(shared_url), opened(shared_url)
    book(one, attempt(1, bound=1000))
    other.register([EACH_PROJECT], NOW)
    assert standing(other).bound == 1
    book(one, attempt(2, bound=2000))
    assert standing(other).bound == 3


def test_a_counter_that_was_used_before_its_rule_was_registered_is_put_right(store: Store) -> None:
    assert claim(store, "h", Need(P1, 100, 10)) == Grant()
    book(store, attempt(1, bound=5000))
    assert standing(store).bound == 0
    book(store, attempt(2, bound=2000, budgets=(P1,), reserved=2))
    assert standing(store).bound == 2
    store.register([EACH_PROJECT], NOW)
    assert standing(store) == Standing(P1, bound=7, cost=0, leased=10)


def test_registering_again_changes_nothing_even_with_the_clock_set_back(store: Store) -> None:
    store.register([EACH_PROJECT], NOW)
    book(store, attempt(1, bound=1000))
    store.register([EACH_PROJECT], NOW - 10**12)
    store.register([EACH_PROJECT, Counted("global", "", "ever", "UTC")], NOW - 10**12)
    book(store, attempt(2, bound=1000))
    assert standing(store).bound == 2
    assert standing(store, counter_key("global", "", "ever", "UTC", 0)).bound == 2


def test_rows_before_a_rule_count_even_where_its_clock_was_behind(store: Store) -> None:
    book(store, attempt(1, NOON + 7200, bound=1000))
    store.register([Counted("project", "*", "hour", "UTC")], NOW)
    assert standing(store, counter_key("project", "p1", "hour", "UTC", NOON + 7200)).bound == 1


def test_a_rule_that_nobody_could_count_is_refused(store: Store) -> None:
    with pytest.raises(LedgerError, match="colour"):
        store.register([Counted("colour", "*", "day", "UTC")], NOW)
    with pytest.raises(LedgerError, match="Mars/Base"):
        store.register([Counted("project", "*", "day", "Mars/Base")], NOW)
    assert book(store, attempt(1)).rows == 1


def test_what_is_no_counter_is_refused_and_nothing_of_its_batch_is_booked(store: Store) -> None:
    with pytest.raises(LedgerError, match="not the key of a budget counter"):
        store.book("w", 1, [attempt(1), attempt(2, budgets=("nonsense",))], NOBODY)
    assert store.rows(0, 2**53) == []
    assert store.book("w", 1, [attempt(1)], NOBODY).rows == 1


# --- claims -------------------------------------------------------------------------------------


def test_a_claim_is_all_or_nothing(store: Store) -> None:
    day = counter_key("global", "", "day", "UTC", NOON)
    refused = claim(store, "h", Need(P1, 100, 60), Need(day, 50, 60))
    assert refused == Refused(Need(day, 50, 60), Standing(day, 0, 0, 0), busy=False)
    assert standing(store).leased == standing(store, day).leased == 0


def test_claims_are_granted_one_after_the_other(store: Store) -> None:
    amounts = [60, 50, 40]
    answers = store.claim("h", [Claim((Need(P1, 100, a),)) for a in amounts], NOW)
    wanted = Standing(P1, 0, 0, 60, wanted=True)
    assert answers == [Grant(), Refused(Need(P1, 100, 50), wanted, busy=True), Grant()]
    assert standing(store).leased == 100


def test_only_leases_in_the_way_is_busy_and_wanted_for_a_second(store: Store) -> None:
    claim(store, "other", Need(P1, 100, 70))
    refused = claim(store, "h", Need(P1, 100, 40))
    assert isinstance(refused, Refused)
    assert refused.busy
    assert standing(store, now=NOW + SECOND - 1).wanted
    assert not standing(store, now=NOW + SECOND).wanted


def test_spending_in_the_way_is_not_busy(store: Store) -> None:
    store.register([EACH_PROJECT], NOW)
    book(store, attempt(1, bound=70_000))
    refused = claim(store, "h", Need(P1, 100, 40))
    assert refused == Refused(Need(P1, 100, 40), Standing(P1, 70, 0, 0), busy=False)


def test_a_budget_that_is_overdrawn_gives_not_even_nothing(store: Store) -> None:
    store.register([EACH_PROJECT], NOW)
    book(store, attempt(1, bound=101_000))
    assert isinstance(claim(store, "h", Need(P1, 100, 0)), Refused)
    assert claim(store, "h", Need(P1, 101, 0)) == Grant()


def test_two_limits_of_one_counter_are_one_lease(store: Store) -> None:
    assert claim(store, "h", Need(P1, 100, 30), Need(P1, 40, 30)) == Grant()
    assert standing(store).leased == 30
    assert isinstance(claim(store, "h", Need(P1, 100, 30), Need(P1, 40, 30)), Refused)


# --- leases -------------------------------------------------------------------------------------


def test_booking_moves_what_was_spent_and_leaves_the_rest_leased(store: Store) -> None:
    store.register([EACH_PROJECT], NOW)
    claim(store, "w", Need(P1, 100, 50))
    book(store, attempt(1, bound=19_001, cost=5, reserved=30, budgets=(P1,)))
    assert standing(store) == Standing(P1, bound=20, cost=1, leased=30)
    store.give_back("w", {P1: 10})
    assert standing(store).leased == 20


def test_a_row_above_its_reservation_takes_no_more_than_that_from_the_lease(store: Store) -> None:
    claim(store, "w", Need(P1, 100, 50))
    book(store, attempt(1, bound=90_000, reserved=30, budgets=(P1, P1)))
    assert standing(store) == Standing(P1, bound=90, cost=0, leased=20)


def test_only_the_writers_lease_is_touched(store: Store) -> None:
    claim(store, "other", Need(P1, 100, 50))
    book(store, attempt(1, bound=30_000, reserved=30, budgets=(P1,)))
    store.give_back("w", {P1: 50})
    assert standing(store) == Standing(P1, bound=30, cost=0, leased=50)


def test_nothing_goes_below_nothing(store: Store) -> None:
    claim(store, "w", Need(P1, 100, 10))
    store.give_back("w", {P1: 1000, "never seen": 5})
    assert standing(store).leased == 0


def test_extending_gives_a_part_of_what_is_free(store: Store) -> None:
    assert store.extend("a", [Need(P1, 1000, 500)]) == {P1: 250}
    assert store.extend("b", [Need(P1, 1000, 500)]) == {P1: 93}
    assert store.extend("b", [Need(P1, 1000, 5)]) == {P1: 5}
    assert standing(store).leased == 348


def test_nothing_is_lent_of_a_counter_that_somebody_wants(
    shared_url: str, opened: Callable[[str], Store]
) -> None:
    one, other = opened(shared_url), opened(shared_url)
    claim(one, "one", Need(P1, 1000, 600))
    claim(other, "other", Need(P1, 1000, 500))
    assert one.extend("one", [Need(P1, 1000, 10)]) == {}
    one.standings([], NOW + 2 * SECOND)
    assert one.extend("one", [Need(P1, 1000, 10)]) == {P1: 10}


def test_the_books_of_a_dead_writer_are_closed_once(store: Store) -> None:
    claim(store, "w", Need(P1, 100, 80))
    book(store, attempt(1, bound=10_000, reserved=30, budgets=(P1,)))
    lost = attempt(2, bound=30_000, reserved=30, budgets=(P1,), outcome="lost")
    assert store.adopt("w", [attempt(1, bound=10_000), lost]) == 1
    assert standing(store) == Standing(P1, bound=40, cost=0, leased=0)
    assert store.adopt("w", [attempt(1, bound=10_000), lost]) == 0
    assert standing(store) == Standing(P1, bound=40, cost=0, leased=0)


# --- reports ------------------------------------------------------------------------------------


def test_booking_reports_on_what_was_asked_about(store: Store) -> None:
    hourly = Counted("global", "", "hour", "UTC")
    store.register([EACH_PROJECT, hourly], NOW)
    rows = [attempt(1, bound=1000, cost=1), attempt(2, bound=1000, project_id="p2")]
    booked = store.book("w", 1, rows, frozenset({EACH_PROJECT}))
    p2 = counter_key("project", "p2", "day", "UTC", NOON)
    assert booked == Booked(2, (Standing(P1, 1, 1, 0), Standing(p2, 1, 0, 0)))
    again = store.book("w", 1, rows, frozenset({EACH_PROJECT}))
    assert again == Booked(0, booked.standings)


def test_counters_of_rules_in_the_present_period(store: Store) -> None:
    runs = Counted("agent", "*", "run", "UTC")
    store.register([EACH_PROJECT, runs], NOW)
    book(store, attempt(1, bound=1000, run_id="r1"), attempt(2, bound=2000, project_id="p2"))
    book(store, attempt(3, NOON + 86400, bound=4000, run_id="r2"))
    found = {s.key: s.bound for s in store.counters([EACH_PROJECT], NOW)}
    assert found == {P1: 1, counter_key("project", "p2", "day", "UTC", NOON): 2}
    assert [s.bound for s in store.counters([Counted("project", "p1", "day", "UTC")], NOW)] == [1]
    assert sorted(s.bound for s in store.counters([runs], NOW)) == [1, 2, 4]
    assert store.counters([EACH_PROJECT], NOW - 86400 * SECOND) == []


def test_a_mark_is_told_once(store: Store) -> None:
    marks = [(P1, "0.8"), (P1, "0.8"), (P1, "1.0")]
    assert store.tell_once(marks[:2]) == [(P1, "0.8")]
    assert store.tell_once(marks) == [(P1, "1.0")]
    assert store.tell_once([]) == []


def test_leases_are_trimmed_to_what_their_holder_knows_of(store: Store) -> None:
    claim(store, "h", Need(P1, 100, 60))
    claim(store, "other", Need(P1, 100, 10))
    store.trim("h", {P1: 25})
    assert standing(store).leased == 35
    store.trim("h", {P1: 90})
    assert standing(store).leased == 35
    store.trim("h", {})
    assert standing(store).leased == 10


def test_nothing_is_leased_of_a_closed_counter_until_it_is_opened(store: Store) -> None:
    store.shut([P1])
    assert standing(store).closed
    refused = claim(store, "h", Need(P1, 100, 1))
    assert isinstance(refused, Refused)
    assert refused.standing.closed
    assert not refused.busy
    assert store.extend("h", [Need(P1, 100, 50)]) == {}
    store.shut([P1], closed=False)
    assert claim(store, "h", Need(P1, 100, 1)) == Grant()


def test_a_refusal_that_lasts_goes_before_one_for_leases(store: Store) -> None:
    store.register([EACH_PROJECT], NOW)
    claim(store, "other", Need(WHOLE, 100, 90))
    book(store, attempt(1, bound=95_000))
    refused = claim(store, "h", Need(WHOLE, 100, 20), Need(P1, 100, 20))
    assert isinstance(refused, Refused)
    assert refused.need.key == P1
    assert not refused.busy
