"""The store beside a model of it that a reader can check: sums of rows, and a table of leases."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from switchgear.accounting.budgets.keys import counter_key, party_of, value_of
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.store import Claim, Counted, Grant, Need, Refused, Store
from switchgear.accounting.ledger.stores import open_store

NOON = 1_795_348_800  # 2026-11-22T12:00:00Z
LIMITS = {
    Counted("global", "", "ever", "UTC"): 4000,
    Counted("project", "*", "day", "Europe/Berlin"): 1500,
    Counted("project", "p1", "day", "Europe/Berlin"): 1000,
    Counted("agent", "a1", "run", "UTC"): 700,
    Counted("tag:team", "*", "hour", "UTC"): 900,
}
LATE = Counted("agent", "*", "month", "UTC")
HOLDERS = ("h0", "h1", "h2")
LABELS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "project_id": st.sampled_from([None, "p1", "p2"]),
        "agent_id": st.sampled_from([None, "a1", "a2"]),
        "run_id": st.sampled_from([None, "r1", "r2"]),
        "tags": st.sampled_from([{}, {"team": "red"}]),
    }
)
HOURS = st.sampled_from([0, 1, 2, 11, 24])


def nano(amount: int | None) -> int:
    return 0 if amount is None else -(-amount // 1000)


def keys_of(row: Row, rules: dict[Counted, int]) -> dict[str, int]:
    """The row's counters and their limits, by the public definition of a key."""
    limits: dict[str, int] = {}
    for counted, limit in rules.items():
        value = value_of(counted.kind, party_of(row))
        if value is not None and counted.value in {"*", value}:
            key = counter_key(
                *(counted.kind, value, counted.period, counted.timezone, row.at // 10**6),
                run_id=row.run_id or "",
            )
            limits[key] = min(limit, limits.get(key, limit))
    return limits


class Ledger(RuleBasedStateMachine):
    url = "memory:"

    def __init__(self) -> None:
        super().__init__()
        self.store: Store = open_store(self.url)
        self.counted = dict(LIMITS)
        self.limits: dict[str, int] = {}
        self.rows: dict[bytes, Row] = {}
        self.leases: dict[tuple[str, str], int] = {}
        self.wanted: set[str] = set()
        self.under_way: dict[str, list[Row]] = {holder: [] for holder in HOLDERS}
        self.batches: dict[str, list[tuple[int, list[Row]]]] = {holder: [] for holder in HOLDERS}
        self.unreserved: set[str] = set()
        self.numbers = itertools.count(1)
        self.now = NOON * 10**6

    def teardown(self) -> None:
        self.store.close()

    # --- the model ---

    def bound(self, key: str) -> int:
        return sum(nano(row.bound) for row in self.rows.values() if self.belongs(row, key))

    def cost(self, key: str) -> int:
        return sum(nano(row.cost) for row in self.rows.values() if self.belongs(row, key))

    def belongs(self, row: Row, key: str) -> bool:
        return key in keys_of(row, self.counted) or key in row.budgets

    def leased(self, key: str) -> int:
        return sum(amount for (_, own), amount in self.leases.items() if own == key)

    def add(self, row: Row, writer: str) -> None:
        if row.id in self.rows:
            return
        self.rows[row.id] = row
        for key in row.budgets:
            self.lease(writer, key, -min(nano(row.bound), row.reserved))

    def lease(self, holder: str, key: str, amount: int) -> None:
        left = max(0, self.leases.get((holder, key), 0) + amount)
        self.leases[holder, key] = left
        if not left:
            del self.leases[holder, key]

    def new_row(self, labels: dict[str, Any], hours: int) -> Row:
        number = next(self.numbers)
        at = self.now + hours * 3600 * 10**6
        return Row(
            id=(at // 1000).to_bytes(6, "big") + number.to_bytes(10, "big"),
            call_id=b"\0" * 16,
            at=at,
            provider="p",
            **labels,
        )

    # --- what happens ---

    @initialize()
    def register(self) -> None:
        self.store.register(list(LIMITS), self.now)

    @rule(holder=st.sampled_from(HOLDERS), amount=st.integers(0, 600), labels=LABELS, hours=HOURS)
    def reserve(self, holder: str, amount: int, labels: dict[str, Any], hours: int) -> None:
        row = self.new_row(labels, hours)
        limits = keys_of(row, self.counted)
        self.limits |= limits
        needs = tuple(Need(key, limit, amount) for key, limit in limits.items())
        (answer,) = self.store.claim(holder, [Claim(needs)], self.now)
        short = [
            need
            for need in needs
            if amount > need.limit - self.bound(need.key) - self.leased(need.key)
        ]
        if not short:
            assert answer == Grant()
            for key in limits:
                self.lease(holder, key, amount)
            reserved = replace(row, reserved=amount, budgets=tuple(limits))
            self.under_way[holder].append(reserved)
            return
        assert isinstance(answer, Refused)
        lasting = [need for need in short if amount > need.limit - self.bound(need.key)]
        assert answer.need == (lasting or short)[0]
        assert answer.busy == (not lasting)
        if answer.busy:
            self.wanted.add(answer.need.key)
        assert answer.standing.wanted == (answer.need.key in self.wanted)

    @precondition(lambda self: any(self.under_way.values()))
    @rule(data=st.data(), over=st.booleans(), known=st.booleans(), back=st.booleans())
    def finish(self, data: st.DataObject, over: bool, known: bool, back: bool) -> None:
        holder = data.draw(st.sampled_from([h for h in HOLDERS if self.under_way[h]]))
        count = data.draw(st.integers(1, len(self.under_way[holder])))
        ended = []
        rest: dict[str, int] = {}
        for row in self.under_way[holder][:count]:
            bound = data.draw(st.integers(0, row.reserved * 1000))
            ended.append(replace(row, bound=bound, cost=bound // 2 if known else None))
            for key in row.budgets:
                rest[key] = rest.get(key, 0) + row.reserved - nano(bound)
        del self.under_way[holder][:count]
        upto = next(self.numbers)
        self.batches[holder].append((upto, ended))
        assert self.store.book(holder, upto, ended, frozenset()).rows == count
        for row in ended:
            self.add(row, holder)
        if back:
            self.store.give_back(holder, rest)
            for key, amount in rest.items():
                self.lease(holder, key, -amount)

    @rule(
        holder=st.sampled_from(HOLDERS), bound=st.integers(0, 400_000), labels=LABELS, hours=HOURS
    )
    def spend_without_asking(
        self, holder: str, bound: int, labels: dict[str, Any], hours: int
    ) -> None:
        row = replace(self.new_row(labels, hours), bound=bound)
        ask = frozenset(self.counted)
        booked = self.store.book(holder, next(self.numbers), [row, row], ask)
        self.add(row, holder)
        assert booked.rows == 1
        assert {s.key: s.bound for s in booked.standings} == {
            key: self.bound(key) for key in keys_of(row, self.counted)
        }
        self.unreserved |= keys_of(row, self.counted).keys()

    @precondition(lambda self: any(self.batches.values()))
    @rule(data=st.data(), renumbered=st.booleans())
    def book_once_more(self, data: st.DataObject, renumbered: bool) -> None:
        holder = data.draw(st.sampled_from([h for h in HOLDERS if self.batches[h]]))
        upto, rows = data.draw(st.sampled_from(self.batches[holder]))
        upto = next(self.numbers) if renumbered else upto
        writer = data.draw(st.sampled_from(HOLDERS)) if renumbered else holder
        assert self.store.book(writer, upto, rows, frozenset()).rows == 0

    @precondition(lambda self: self.limits)
    @rule(data=st.data(), holder=st.sampled_from(HOLDERS), amount=st.integers(0, 500))
    def extend(self, data: st.DataObject, holder: str, amount: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.limits)))
        limit = self.limits[key]
        given = self.store.extend(holder, [Need(key, limit, amount)]).get(key, 0)
        holders = {h for h, own in self.leases if own == key} | {holder}
        free = limit - self.bound(key) - self.leased(key)
        expected = 0 if key in self.wanted else max(0, min(amount, free // 4 // len(holders)))
        assert given == expected
        self.lease(holder, key, given)

    @rule()
    def two_seconds_pass(self) -> None:
        self.now += 2_000_000
        self.wanted.clear()
        self.store.standings([], self.now)

    @rule(holder=st.sampled_from(HOLDERS), twice=st.booleans())
    def die(self, holder: str, twice: bool) -> None:
        lost = [replace(row, bound=row.reserved * 1000) for row in self.under_way[holder]]
        already = [row for _, batch in self.batches[holder] for row in batch]
        assert self.store.adopt(holder, lost + already) == len(lost)
        for row in lost:
            self.add(row, holder)
        if twice:
            assert self.store.adopt(holder, lost + already) == 0
        self.leases = {k: v for k, v in self.leases.items() if k[0] != holder}
        self.under_way[holder] = []
        self.batches[holder] = []

    @precondition(lambda self: LATE not in self.counted)
    @rule()
    def register_late(self) -> None:
        self.counted[LATE] = 2500
        self.store.register([LATE], self.now)

    # --- what holds ---

    @invariant()
    def every_counter_is_the_sum_of_its_rows(self) -> None:
        keys = {key for row in self.rows.values() for key in keys_of(row, self.counted)}
        keys |= self.limits.keys()
        for standing in self.store.standings(sorted(keys), self.now):
            key = standing.key
            assert (standing.bound, standing.cost) == (self.bound(key), self.cost(key))
            assert standing.leased == self.leased(key)
            assert standing.wanted == (key in self.wanted)

    @invariant()
    def no_limit_is_exceeded_by_those_who_asked(self) -> None:
        for key, limit in self.limits.items():
            # A rule that came late counts attempts that had not asked for it.
            if key not in self.unreserved and '"month"' not in key:
                assert self.bound(key) + self.leased(key) <= limit


def test_the_store_does_what_the_model_does() -> None:
    run_state_machine_as_test(
        Ledger, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
    )


@pytest.mark.xdist_group("pg")
def test_postgresql_does_what_the_model_does(postgres: Any) -> None:
    class OnPostgres(Ledger):
        def __init__(self) -> None:
            self.url = postgres.new()
            super().__init__()

    run_state_machine_as_test(
        OnPostgres,
        settings=settings(
            max_examples=6,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
