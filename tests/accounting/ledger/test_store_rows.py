"""Rows: what goes in comes out, once, and adds up exactly."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from msgspec.structs import replace

from switchgear.accounting.ledger.columns import COUNTS
from switchgear.accounting.ledger.row import BookedOutcome, Row
from switchgear.accounting.ledger.store import SpendQuery, SpendSum, Store
from switchgear.completion import Usage
from switchgear.errors import LedgerError

NOON = 1_795_348_800  # 2026-11-22T12:00:00Z
NOBODY: frozenset[Any] = frozenset()
MOST = 2**63 - 1


def attempt(number: int, start: float = NOON, **fields: Any) -> Row:
    identifier = int(start * 1000).to_bytes(6, "big") + number.to_bytes(10, "big")
    whole: dict[str, Any] = {
        "id": identifier,
        "call_id": identifier,
        "at": int(start * 1_000_000),
        "outcome": "answered",
    }
    return Row(**whole | fields)


def book(store: Store, *rows: Row, numbers: Iterator[int] = itertools.count(1)) -> int:  # noqa: B008
    """Book a batch of its own."""
    return store.book("w", next(numbers), rows, NOBODY).rows


# --- there and back -----------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
counts = st.integers(0, MOST)
maybe = st.none() | counts
usages = st.builds(Usage, **dict.fromkeys(COUNTS, counts), estimated=st.booleans())
rows = st.builds(
    Row,
    id=st.binary(min_size=16, max_size=16),
    call_id=st.binary(min_size=16, max_size=16),
    at=st.integers(0, 2**52),
    **dict.fromkeys(
        ("agent_id", "project_id", "agent_type", "run_id", "session_id", "api_key_id", "group"),
        st.none() | texts,
    ),
    **dict.fromkeys(("error", "code", "request_id"), st.none() | texts),
    **dict.fromkeys(("provider", "plugin", "model", "answered_model"), texts),
    **dict.fromkeys(("tier", "region", "price"), texts),
    tags=st.dictionaries(texts, texts, max_size=3),
    **dict.fromkeys(("own_key", "stream", "hedge"), st.booleans()),
    outcome=st.sampled_from(get_args(BookedOutcome)),
    status=st.none() | st.integers(100, 599),
    usage=st.none() | usages,
    **dict.fromkeys(("cost", "bound", "saved", "first_token"), maybe),
    **dict.fromkeys(("repeat", "latency", "waited", "reserved"), counts),
    budgets=st.lists(texts, max_size=3).map(
        lambda values: tuple(f'["project","{v.encode().hex()}","ever","UTC",0]' for v in values)
    ),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(batch=st.lists(rows, max_size=5, unique_by=lambda row: row.id))
def test_rows_come_back_as_they_were_booked(store: Store, batch: list[Row]) -> None:
    before = {row.id for row in store.rows(0, 2**53, limit=100_000)}
    book(store, *batch)
    found = {row.id: row for row in store.rows(0, 2**53, limit=100_000)}
    assert [found[row.id] for row in batch if row.id not in before] == [
        row for row in batch if row.id not in before
    ]


def test_a_row_is_written_once_and_stays_as_it_was(store: Store) -> None:
    first = attempt(1, cost=5)
    assert book(store, first, first) == 1
    assert book(store, attempt(1, cost=9), attempt(2)) == 1
    assert [row.cost for row in store.rows(0, MOST)] == [5, None]


@pytest.mark.parametrize("size", [1, 19, 20, 21, 39, 40, 41, 501])
def test_a_batch_of_any_size_is_booked_whole(store: Store, size: int) -> None:
    batch = [attempt(n, NOON + n, cost=n, agent_id=f"a{n % 3}") for n in range(size)]
    book(store, *batch[: size // 2])  # these are there already
    assert book(store, *batch) == size - size // 2
    assert store.rows(0, MOST) == batch


def test_a_batch_that_was_booked_is_not_booked_again(store: Store) -> None:
    assert store.book("w", 7, [attempt(1)], NOBODY).rows == 1
    assert store.book("w", 7, [attempt(2)], NOBODY).rows == 0
    assert store.book("w", 6, [attempt(3)], NOBODY).rows == 0
    assert store.book("other", 7, [attempt(4)], NOBODY).rows == 1
    assert len(store.rows(0, MOST)) == 2


def test_absurd_counts_are_booked_as_the_largest_that_fits(store: Store) -> None:
    book(store, attempt(1, cost=10**40, bound=10**40, usage=Usage(input_tokens=10**30)))
    (row,) = store.rows(0, MOST)
    assert row.cost == row.bound == MOST
    assert row.usage == Usage(input_tokens=MOST)


def test_a_nul_in_a_label_does_not_keep_a_batch_from_being_booked(store: Store, url: str) -> None:
    nul = attempt(1, agent_id="a\0b", model="\\u0000", tags={"k\0": "\\\0"})
    assert book(store, nul) == 1
    (row,) = store.rows(0, MOST)
    if url.startswith("postgresql"):
        assert (row.agent_id, row.model, row.tags) == ("a␀b", "\\u0000", {"k␀": "\\␀"})
    else:
        assert row == nul


def test_rows_are_found_by_when_they_began_and_come_in_pages(store: Store) -> None:
    batch = [attempt(n, NOON + n) for n in range(10)]
    book(store, *batch)
    since, until = (NOON + 2) * 10**6, (NOON + 7) * 10**6
    first = store.rows(since, until, limit=3)
    second = store.rows(since, until, after=first[-1].id, limit=3)
    assert first + second == batch[2:7]
    assert store.rows(since, until, after=second[-1].id, limit=3) == []


def test_rows_are_found_where_the_clock_jumped_between_id_and_start(store: Store) -> None:
    book(store, attempt(1, NOON), attempt(2, NOON - 3600))
    jumped = attempt(3, NOON - 90_000, at=NOON * 10**6)
    book(store, jumped)
    assert [row.id[-1] for row in store.rows(NOON * 10**6, (NOON + 1) * 10**6)] == [3, 1]
    (total,) = store.spend(SpendQuery(since=NOON * 10**6))
    assert total.attempts == 2


# --- sums ---------------------------------------------------------------------------------------


def test_sums_are_exact_beyond_64_bits(store: Store) -> None:
    odd = MOST - 12_345
    batch = [attempt(n, cost=odd, bound=MOST, usage=Usage(output_tokens=odd)) for n in range(40)]
    book(store, *batch)
    (total,) = store.spend(SpendQuery())
    assert total.cost == 40 * odd > 2**64
    assert total.bound == 40 * MOST
    assert total.usage["output_tokens"] == 40 * odd


def test_nothing_adds_up_to_nothing(store: Store) -> None:
    assert store.spend(SpendQuery()) == [SpendSum(usage=dict.fromkeys(COUNTS, 0))]
    assert store.spend(SpendQuery(by=("agent",))) == []


def test_a_sum_tells_what_kind_of_rows_it_holds(store: Store) -> None:
    call = b"c" * 16
    book(
        store,
        attempt(1, call_id=call, outcome="failed", latency=5),
        attempt(2, call_id=call, cost=3, bound=3, latency=7, usage=Usage(input_tokens=1)),
        attempt(3, outcome="cached", saved=9),
        attempt(4, usage=Usage(input_tokens=4, web_searches=2, estimated=True), bound=6),
        attempt(5, usage=Usage(), outcome="lost"),
    )
    (total,) = store.spend(SpendQuery())
    assert total == SpendSum(
        attempts=5,
        calls=4,
        failed=2,
        unpriced=1,
        estimated=1,
        cost=3,
        bound=9,
        saved=9,
        latency=12,
        usage=dict.fromkeys(COUNTS, 0) | {"input_tokens": 5, "web_searches": 2},
    )


def test_sums_by_every_label(store: Store) -> None:
    labels = {
        "agent": "agent_id",
        "project": "project_id",
        "agent_type": "agent_type",
        "run": "run_id",
        "session": "session_id",
        "api_key": "api_key_id",
        "group": "group",
        "provider": "provider",
        "model": "model",
        "outcome": "outcome",
    }
    fields: dict[str, Any] = {
        field: f"its {name}" for name, field in labels.items() if name != "outcome"
    }
    tags = {'a "quoted" $.name': "t", "0": "zero"}
    book(store, attempt(1, cost=1, **fields, tags=tags), attempt(2, cost=2, outcome="failed"))
    for name, field in labels.items():
        both = store.spend(SpendQuery(by=(name,)))
        value = fields.get(field, "answered")
        assert next(s.cost for s in both if s.keys == (value,)) == 1
        (one,) = store.spend(SpendQuery(where={name: value}))
        assert one.cost == 1
    for tag, value in tags.items():
        by_tag = store.spend(SpendQuery(by=(f"tag:{tag}",)))
        assert [(s.keys, s.cost) for s in by_tag] == [((None,), 2), ((value,), 1)]
        (one,) = store.spend(SpendQuery(where={f"tag:{tag}": value}))
        assert one.cost == 1
    (without,) = store.spend(SpendQuery(where={"agent": "", "tag:0": ""}))
    assert without.cost == 2
    pair = store.spend(SpendQuery(by=("tag:0", "agent", "tag:0")))
    assert [s.keys for s in pair] == [(None, None, None), ("zero", "its agent", "zero")]


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"]
)
def test_hours_days_and_months_begin_where_the_zone_says(store: Store, zone: str) -> None:
    # Around the end of summer time in Europe (2026-10-25) and a change of months.
    moments = [dt.datetime(2026, 10, 24, tzinfo=dt.UTC).timestamp() + 900 * n for n in range(200)]
    moments += [dt.datetime(2026, 10, 31, tzinfo=dt.UTC).timestamp() + 1800 * n for n in range(99)]
    book(store, *(attempt(n, at, cost=1) for n, at in enumerate(moments)))
    locals_ = [dt.datetime.fromtimestamp(at, ZoneInfo(zone)) for at in moments]
    labels: dict[str, Callable[[dt.datetime], str]] = {
        "hour": lambda t: t.replace(minute=0).isoformat(timespec="minutes"),
        "day": lambda t: t.date().isoformat(),
        "month": lambda t: t.strftime("%Y-%m"),
    }
    for unit, label in labels.items():
        expected: dict[str, int] = {}
        for local in locals_:
            expected[label(local)] = expected.get(label(local), 0) + 1
        sums = store.spend(SpendQuery(by=(unit,), timezone=zone))
        assert {str(s.keys[0]): s.cost for s in sums} == expected
        chosen = next(iter(expected))
        (one,) = store.spend(SpendQuery(where={unit: chosen}, timezone=zone))
        assert one.attempts == expected[chosen]


def test_a_call_across_a_quarter_of_an_hour_is_one_call_of_its_day(store: Store) -> None:
    call = b"c" * 16
    book(store, attempt(1, NOON + 899, call_id=call), attempt(2, NOON + 901, call_id=call))
    assert [s.calls for s in store.spend(SpendQuery(by=("day",)))] == [1]


def test_since_counts_and_until_does_not(store: Store) -> None:
    book(store, *(attempt(n, NOON + n, cost=10**n) for n in range(4)))
    (total,) = store.spend(SpendQuery(since=(NOON + 1) * 10**6, until=(NOON + 3) * 10**6))
    assert total.cost == 110


def test_what_does_not_exist_is_refused_by_name(store: Store) -> None:
    with pytest.raises(LedgerError, match="'colour', only by agent, "):
        store.spend(SpendQuery(by=("colour",)))
    with pytest.raises(LedgerError, match="Mars/Base"):
        store.spend(SpendQuery(by=("day",), timezone="Mars/Base"))
    assert book(store, attempt(1)) == 1


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.xdist_group("pg"))])
def postgres_or_memory(
    request: pytest.FixtureRequest, opened: Callable[[str], Store]
) -> Callable[[], Store]:
    """An empty store each time; PostgreSQL's is emptied, which is quicker than another database."""
    if request.param == "memory":
        return lambda: opened("memory:")
    store: Any = opened(request.getfixturevalue("postgres").new())

    def emptied() -> Store:
        store._db._connection.execute("TRUNCATE switchgear.attempt, switchgear.writer")
        found: Store = store
        return found

    return emptied


small = st.builds(
    dict[str, Any],
    call=st.integers(0, 5),
    own=st.booleans(),
    days=st.sampled_from([0, 1, 9, 31]),
    project_id=st.sampled_from([None, "", "p1"]),
    model=st.sampled_from(["m", "n"]),
    outcome=st.sampled_from(["answered", "failed", "cached"]),
    cost=st.none() | st.integers(0, MOST),
    usage=st.none() | st.builds(Usage, input_tokens=counts, estimated=st.booleans()),
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    drawn=st.lists(small, max_size=12),
    query=st.builds(
        SpendQuery,
        by=st.lists(st.sampled_from(["project", "model", "day", "month"]), unique=True).map(tuple),
        where=st.sampled_from([{}, {"model": "m"}, {"project": ""}, {"outcome": "answered"}]),
        since=st.none() | st.just(NOON * 10**6),
        until=st.none() | st.just((NOON + 86400) * 10**6),
        timezone=st.sampled_from(["UTC", "Asia/Kathmandu"]),
    ),
)
def test_sums_are_those_of_the_rows_one_by_one(
    postgres_or_memory: Callable[[], Store], drawn: list[dict[str, Any]], query: SpendQuery
) -> None:
    store = postgres_or_memory()
    rows = [made(number, **fields) for number, fields in enumerate(drawn)]
    book(store, *rows)
    found = {each.keys: each for each in store.spend(query)}
    groups: dict[tuple[str | None, ...], list[Row]] = {} if query.by else {(): []}
    for row in rows:
        labels = labels_of(row, query.timezone)
        if all((labels[name] or "") == value for name, value in query.where.items()) and (
            (query.since or 0) <= row.at < (query.until or MOST)
        ):
            groups.setdefault(tuple(labels[name] for name in query.by), []).append(row)
    assert found.keys() == groups.keys()
    for keys, own in groups.items():
        each = found[keys]
        assert each.attempts == len(own)
        assert each.calls == len({row.call_id for row in own})
        assert each.failed == sum(row.outcome == "failed" for row in own)
        assert each.cost == sum(row.cost or 0 for row in own)
        assert each.usage["input_tokens"] == sum(r.usage.input_tokens for r in own if r.usage)
        assert each.estimated == sum(bool(r.usage and r.usage.estimated) for r in own)


def made(number: int, call: int, days: int, *, own: bool, **fields: Any) -> Row:
    """A row of a call, of which it may be the first attempt."""
    row = attempt(number, NOON + days * 86400, **fields)
    first = attempt(call, NOON + days // 2 * 86400)
    return replace(row, call_id=row.id if own else first.id)


def labels_of(row: Row, zone: str) -> dict[str, str | None]:
    local = dt.datetime.fromtimestamp(row.at / 10**6, ZoneInfo(zone))
    return {
        "project": row.project_id,
        "model": row.model,
        "outcome": row.outcome,
        "day": local.date().isoformat(),
        "month": local.strftime("%Y-%m"),
    }
