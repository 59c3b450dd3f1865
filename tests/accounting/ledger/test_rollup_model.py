"""Sums beside the rows that they are of: every answer is the one that the rows alone give."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from switchgear.accounting.ledger import rollup
from switchgear.accounting.ledger.months import Month
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.sql import SqlStore
from switchgear.accounting.ledger.store import SpendQuery, SpendSum
from switchgear.accounting.ledger.stores import open_store
from switchgear.completion import Usage
from switchgear.errors import LedgerError

HOUR = 3600 * 10**6
# The last hour of a month, in which summer time ends on Lord Howe Island half a day before.
BASE = int(dt.datetime(2026, 3, 31, 22, tzinfo=dt.UTC).timestamp()) * 10**6
NOW = BASE + 130 * 24 * HOUR
MOST = 2**63 - 1
HOURS = [0, 0, 0, 1, 1, 1, 2, 3, 24, 25, 31 * 24, 61 * 24, 128 * 24]

labels = st.fixed_dictionaries(
    {
        "agent_id": st.sampled_from([None, None, "", "a1"]),
        "project_id": st.sampled_from(["p1", "p1", "p2"]),
        "agent_type": st.sampled_from([None, None, None, "t"]),
        "group": st.sampled_from([None, None, None, "g"]),
        "api_key_id": st.sampled_from([None, None, None, "k"]),
        "provider": st.sampled_from(["v", "v", "w"]),
        "model": st.sampled_from(["m", "m", "n"]),
        "outcome": st.sampled_from(["answered", "answered", "failed", "cached"]),
        "run_id": st.sampled_from([None, "r"]),
        "tags": st.sampled_from([{}, {"t": "red"}]),
        "cost": st.sampled_from([None, 0, 7, 10**12 + 1, MOST]),
        "bound": st.sampled_from([None, 9, MOST]),
        "latency": st.sampled_from([0, 5, MOST]),
        "usage": st.sampled_from(
            [
                None,
                Usage(),
                Usage(input_tokens=3, output_tokens=1, estimated=True),
                Usage(input_tokens=MOST, code_sessions=2),
            ]
        ),
    }
)
moments = st.tuples(st.sampled_from(HOURS), st.sampled_from([0, 1, 1800 * 10**6, HOUR - 1]))
apart = st.sampled_from([0, 0, 0, 1000, -1000, HOUR, -3 * HOUR])
bounds = st.none() | st.builds(
    lambda hour, part: BASE + hour * HOUR + part,
    st.sampled_from([*HOURS, -1, 5, 50, 3000]),
    st.sampled_from([0, 0, 1, 1800 * 10**6, HOUR - 1]),
)
names = st.lists(
    st.sampled_from(
        ["agent", "project", "agent_type", "group", "api_key", "provider", "model", "outcome"]
    ),
    unique=True,
    max_size=2,
)
detail = st.sampled_from([*[()] * 9, ("run",), ("tag:t",), ("session",)])
units = st.sampled_from([(), (), ("hour",), ("day",), ("month",), ("day", "month")])
queries = st.builds(
    SpendQuery,
    by=st.builds(lambda a, b, c: (*a, *b, *c), names, units, detail),
    where=st.sampled_from(
        [
            *({}, {}, {"project": "p1"}, {"agent": ""}, {"model": "m", "outcome": "answered"}),
            *({"run": "r"}, {"group": "g", "provider": "v"}, {"tag:t": ""}),
            {"month": "2026-04"},
        ]
    ),
    since=bounds,
    until=bounds,
    timezone=st.sampled_from(
        ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"]
    ),
)


class Sums(RuleBasedStateMachine):
    """Two ledgers with the same rows: one keeps sums, the other does not know how."""

    url = "memory:"
    forgets = False

    def __init__(self) -> None:
        super().__init__()
        store = open_store(self.url)
        plain = open_store("memory:")
        assert isinstance(store, SqlStore)
        assert isinstance(plain, SqlStore)
        self.store, self.plain = store, plain
        self.numbers = itertools.count(1)
        self.calls: list[bytes] = []
        self.first: dict[bytes, Row] = {}
        self.ids: dict[bytes, set[bytes]] = {}
        self.kept_since = 0
        self.torn = False

    def teardown(self) -> None:
        self.store.close()
        self.plain.close()

    @rule(
        drawn=st.lists(
            st.tuples(labels, moments, apart, st.integers(0, 8), st.booleans()),
            min_size=1,
            max_size=6,
        )
    )
    def book(self, drawn: list[tuple[dict[str, Any], tuple[int, int], int, int, bool]]) -> None:
        rows = []
        for fields, (hour, part), drift, call, usual in drawn:
            number = next(self.numbers)
            at = BASE + hour * HOUR + part
            if usual and call < len(self.calls):
                # Another attempt of the same call a moment later, at the same model or another.
                first = self.first[self.calls[-1 - call]]
                same = ("agent_id", "project_id", "agent_type", "group", "api_key_id")
                fields |= {name: getattr(first, name) for name in same}
                at = first.at + 1
            made = at if usual else at + drift
            own = (made // 1000).to_bytes(6, "big") + number.to_bytes(10, "big")
            row = Row(id=own, call_id=own, at=at, **fields)
            if call < len(self.calls):
                row = replace(row, call_id=self.calls[-1 - call])
            elif call == 8:
                # Of a call whose first attempt comes later, or never.
                following = (at // 1000).to_bytes(6, "big") + (number + 1).to_bytes(10, "big")
                row = replace(row, call_id=following)
            self.calls.append(row.call_id)
            self.first.setdefault(row.call_id, row)
            self.ids.setdefault(row.call_id, set()).add(row.id)
            self.torn |= min(self.ids[row.call_id] | {row.call_id}) < stamp(self.kept_since)
            rows.append(row)
        number = next(self.numbers)
        for store in (self.store, self.plain):
            store.book("w", number, rows, frozenset())

    @rule(hours=st.sampled_from([1, 2, 3, 26, 32 * 24, 3000]))
    def roll_up(self, hours: int) -> None:
        now = BASE + hours * HOUR + rollup.GRACE
        for _ in range(3):
            then = self.store.roll_up(now)
            assert then >= now

    @rule(hours=st.sampled_from([1, 3, 26, 3000]))
    def a_roller_is_killed_after_it_closed_an_hour(self, hours: int) -> None:
        db = self.store._db
        marks, end = self.store._run("read", lambda: rollup._look(db, BASE + hours * HOUR))
        if end is not None:
            self.store._run("alone", lambda: rollup._close(db, marks, end))

    @rule()
    def a_roller_is_killed_before_it_ends(self) -> None:
        # Whatever it has done is undone by its end.
        def work() -> None:
            if self.store._db.one_writer:
                batch, sums = rollup._added_up(self.store._db)
                rollup._put(self.store._db, batch, sums)
            else:
                rollup._add_at_once(self.store._db)
            raise _KilledError

        with pytest.raises(LedgerError):
            self.store._run("write" if self.store._db.one_writer else "roll", work)

    @rule(back=st.integers(2, 6))
    @precondition(lambda self: self.forgets)
    def forget(self, back: int) -> None:
        before = int.from_bytes(Month.at(NOW / 1e6).plus(-back).first, "big") * 1000
        assert self.store.forget(before, NOW) == before
        self.kept_since = max(self.kept_since, before)
        gone = stamp(self.kept_since)
        self.torn |= any(min(own) < gone < max(own) for own in self.ids.values())
        left = self.store.rows(0, 2**62, limit=10_000)
        assert not [row for row in left if row.at < before and row.id < stamp(before)]

    @rule(query=queries)
    def ask(self, query: SpendQuery) -> None:
        expected = self.plain.spend(query)
        found = self.answer(query)
        if found is None:
            assert query.since is None or query.since < self.kept_since
            assert not _whole(query)
            return
        if self.torn:
            # Of a call that began before single attempts are kept and went on after that, the
            # first attempt can be unknown; see the documentation.
            expected = [replace(each, calls=0) for each in expected]
            found = [replace(each, calls=0) for each in found]
        assert found == expected

    def answer(self, query: SpendQuery) -> list[SpendSum] | None:
        """What the sums and the rows say together, if they can."""
        try:
            return self.store.spend(query)
        except LedgerError as error:
            if "keeps single attempts since" not in str(error):
                raise
            return None


class _KilledError(RuntimeError):
    pass


def stamp(microseconds: int) -> bytes:
    """What ids of that moment begin with."""
    return (microseconds // 1000).to_bytes(6, "big")


def _whole(query: SpendQuery) -> bool:
    """Whether kept sums have an answer: whole hours of UTC, and none of what is not kept."""
    asked = {*query.by, *query.where}
    hours = all(at is None or at % HOUR == 0 for at in (query.since, query.until))
    timed = query.timezone != "UTC" and asked & {"hour", "day", "month"}
    return hours and not timed and not asked & {"run", "session", "tag:t"}


@pytest.mark.parametrize("forgetting", [False, True])
@pytest.mark.parametrize("most", [500_000, 2])
def test_sums_and_rows_answer_alike(
    monkeypatch: pytest.MonkeyPatch, most: int, forgetting: bool
) -> None:
    # What is done at once, so that with little of it there are many steps.
    monkeypatch.setattr(rollup, "_MOST", most)

    class OnSqlite(Sums):
        forgets = forgetting

    run_state_machine_as_test(
        OnSqlite, settings=settings(max_examples=40, stateful_step_count=25, deadline=None)
    )


@pytest.mark.xdist_group("pg")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("most", "forgetting"), [(2, False), (500_000, False), (3, True)])
def test_postgresql_answers_alike(
    postgres: Any, monkeypatch: pytest.MonkeyPatch, most: int, forgetting: bool
) -> None:
    monkeypatch.setattr(rollup, "_MOST", most)

    class OnPostgres(Sums):
        forgets = forgetting

        def __init__(self) -> None:
            self.url = postgres.new()
            super().__init__()

    run_state_machine_as_test(
        OnPostgres,
        settings=settings(
            max_examples=6,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


# --- calls of several attempts ------------------------------------------------------------------

QUARTERS = HOUR // 4
# Of two calls, one begins in the second hour's last quarter: some of its attempts are from before.
BEGAN = [BASE, BASE + HOUR + 3 * QUARTERS]
attempts = st.tuples(
    st.integers(0, 1),  # whose attempt it is
    st.booleans(),  # whether it began the call
    st.sampled_from(["m", "n"]),
    st.sampled_from(["answered", "failed"]),
    st.sampled_from([0, 0, 0, 3, 4, 4, 7, 8]),  # in which quarter of an hour
)
ABOUT_CALLS = [
    SpendQuery(by=by, since=since, until=until, timezone=zone)
    for zone, bys in {
        "UTC": ((), ("model",), ("outcome",), ("model", "outcome"), ("hour",), ("hour", "model")),
        "Asia/Kolkata": (("hour",), ("hour", "model")),
    }.items()
    for by in bys
    for since, until in ((None, None), (BASE, BASE + HOUR), (BASE + 2, None))
]


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.xdist_group("pg"))])
def emptied(request: pytest.FixtureRequest) -> Iterator[Callable[[], SqlStore]]:
    """An empty store each time; PostgreSQL's is emptied, which is quicker than another database."""
    memory = request.param == "memory"
    store = open_store("memory:" if memory else request.getfixturevalue("postgres").new())
    assert isinstance(store, SqlStore)
    tables = ("attempt", "writer", "hourly", "further", "late")

    def empty() -> SqlStore:
        for table in tables:
            store._run("alone", functools.partial(store._db.change, f"DELETE FROM {table}"))
        store._run("alone", lambda: store._db.change("UPDATE rolled SET upto = 0, closing = 0"))
        return store

    yield empty
    store.close()


def close(store: SqlStore, end: int) -> None:
    """Close the hours that are next; somebody else is to add them up, who has not begun."""
    marks, until = store._run("read", lambda: rollup._look(store._db, end))
    if until is not None:
        store._run("alone", lambda: rollup._close(store._db, marks, until))


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(
        st.lists(attempts, min_size=1, max_size=4)
        | st.sampled_from(["close one hour", "close two hours", "add", "roll up"]),
        max_size=10,
    )
)
def test_calls_are_counted_once_in_whatever_order_their_attempts_come(
    emptied: Callable[[], SqlStore], steps: list[Any]
) -> None:
    store, plain = emptied(), open_store("memory:")
    number = 9
    for batch, step in enumerate(steps, 1):
        if isinstance(step, str):
            if step == "roll up":
                # With an hour of its own, so that it adds what was booked late before.
                at = BASE + (batch + 9) * HOUR
                own = stamp(at) + bytes(10)
                for each in (store, plain):
                    each.book("w", batch, [Row(id=own, call_id=own, at=at)], frozenset())
                while store.roll_up(at + 2 * HOUR) <= at + 2 * HOUR:
                    pass
            elif step == "add":
                rollup._add(store._db, store._run)
            else:
                close(store, BASE + (1 if step == "close one hour" else 2) * HOUR)
            continue
        rows = []
        for call, begins, model, outcome, quarter in step:
            number += 1
            at = BEGAN[call] if begins else BASE + quarter * QUARTERS + number
            own = stamp(at) + (call if begins else number).to_bytes(10, "big")
            first = stamp(BEGAN[call]) + call.to_bytes(10, "big")
            row = Row(id=own, call_id=first, at=at, model=model, outcome=outcome)
            rows.append(row)
        for each in (store, plain):
            each.book("w", batch, rows, frozenset())
    for query in ABOUT_CALLS:
        assert store.spend(query) == plain.spend(query), query
    plain.close()
