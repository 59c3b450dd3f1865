"""What only PostgreSQL does: months as partitions, many writers, servers that come and go."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from switchgear.accounting.budgets.keys import counter_key
from switchgear.accounting.ledger.matching import between
from switchgear.accounting.ledger.months import Month
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.sql import SqlStore
from switchgear.accounting.ledger.store import Claim, Counted, Need, SpendQuery, Store
from switchgear.accounting.ledger.stores import open_store
from switchgear.errors import LedgerError

pytestmark = pytest.mark.xdist_group("pg")

NOBODY: frozenset[Any] = frozenset()
PRESENT = Month.at(time.time())
EVER = counter_key("global", "", "ever", "UTC", 0)


@pytest.fixture
def url(postgres: Any) -> str:
    return str(postgres.new())


def attempt(number: int, month: Month = PRESENT, day: int = 10, **fields: Any) -> Row:
    """On a day of a month, at noon."""
    start = dt.datetime(month.year, month.number, day, 12, tzinfo=dt.UTC).timestamp()
    identifier = int(start * 1000).to_bytes(6, "big") + number.to_bytes(10, "big")
    whole: dict[str, Any] = {"id": identifier, "call_id": identifier, "at": int(start * 10**6)}
    return Row(**whole | fields)


def book(store: Store, *rows: Row, numbers: Iterator[int] = itertools.count(1)) -> int:  # noqa: B008
    return store.book("w", next(numbers), rows, NOBODY).rows


def ask(store: Store, statement: str, *values: Any) -> list[Any]:
    assert isinstance(store, SqlStore)
    database: Any = store._db
    database.begin("read")
    try:
        found: list[Any] = database.query(statement, values)
        return found
    finally:
        database.rollback()


def tables(store: Store) -> dict[str, int]:
    """The partitions that hold rows, with how many."""
    found = ask(store, "SELECT tableoid::regclass::text, COUNT(*) FROM attempt GROUP BY 1")
    return dict(found)


def change(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def start_of(month: Month) -> int:
    return int.from_bytes(month.first, "big") * 1000


# --- months -------------------------------------------------------------------------------------


def test_the_last_and_the_first_id_of_a_month_are_in_different_ones() -> None:
    first = int(dt.datetime(2027, 1, 1, tzinfo=dt.UTC).timestamp()) * 1000
    before = (first - 1).to_bytes(6, "big") + b"\xff" * 10
    assert Month.of(before) == (2026, 12)
    assert Month.of(first.to_bytes(6, "big") + bytes(10)) == (2027, 1)
    assert before < Month(2027, 1).first <= first.to_bytes(6, "big") + bytes(10)
    assert Month(2026, 12).plus(1) == (2027, 1)
    assert Month(2026, 1).plus(-1) == (2025, 12)
    assert Month.of(b"\xff" * 16) == (9999, 12)


def test_each_month_has_a_partition_and_the_next_one_is_there_before_its_time(
    url: str, opened: Callable[[str], Store]
) -> None:
    store = opened(url)
    last = PRESENT.plus(-1)
    book(store, attempt(1, last), attempt(2))
    assert tables(store) == {last.table: 1, PRESENT.table: 1}
    found = ask(store, "SELECT relname FROM pg_class WHERE relname = ?", PRESENT.plus(1).table)
    assert found


def test_a_clock_that_is_years_off_makes_no_partitions(
    url: str, opened: Callable[[str], Store]
) -> None:
    store = opened(url)
    rows = [attempt(n, Month(year, 5)) for n, year in enumerate([1971, 1999, 2525, 9999])]
    assert book(store, *rows) == 4
    assert tables(store) == {"attempt_other": 4}
    assert store.rows(0, 2**62) == rows
    ((count,),) = ask(
        store, "SELECT COUNT(*) FROM pg_inherits WHERE inhparent = 'attempt'::regclass"
    )
    assert count == 1


def test_what_waited_for_its_month_moves_into_it(
    url: str, opened: Callable[[str], Store], caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(url)
    change(url, f"CREATE TABLE switchgear.{PRESENT.table} (id INTEGER)")
    assert book(store, attempt(1, cost=1)) == 1
    assert tables(store) == {"attempt_other": 1}
    assert "its attempts go to attempt_other" in caplog.text
    change(url, f"DROP TABLE switchgear.{PRESENT.table}")
    other = opened(url)
    assert book(other, attempt(1, cost=9), attempt(2, cost=2)) == 1
    assert tables(other) == {PRESENT.table: 2}
    assert [row.cost for row in other.rows(0, 2**62)] == [1, 2]


def test_many_that_need_a_month_at_once_make_it_once(
    url: str, opened: Callable[[str], Store]
) -> None:
    stores = [opened(url) for _ in range(6)]
    barrier = threading.Barrier(len(stores))
    booked: list[int] = []

    def work(store: Store, number: int) -> None:
        barrier.wait()
        for n in range(20):
            row = attempt(number * 100 + n, PRESENT.plus(-(n % 4)))
            booked.append(store.book(f"w{number}", n + 1, [row], NOBODY).rows)

    threads = [threading.Thread(target=work, args=(s, n)) for n, s in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(booked) == 120
    counts = tables(stores[0])
    assert sum(counts.values()) == 120
    # A loser of the race may have to wait its turn in attempt_other; nothing may fail.
    assert counts.get("attempt_other", 0) <= 20


@pytest.mark.parametrize("drift", [0, 5_000_000])
def test_only_the_months_asked_for_are_read(
    url: str, opened: Callable[[str], Store], drift: int
) -> None:
    store = opened(url)
    months = [PRESENT.plus(-n) for n in range(5)]
    book(store, *(attempt(n, month, day) for n, month in enumerate(months) for day in (1, 15, 28)))
    asked = PRESENT.plus(-2)
    where, values = between(start_of(asked), start_of(asked.plus(1)), drift)
    statement = f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT id FROM attempt WHERE {where}"
    plan = ask(store, statement, *values)
    read = dict(_scans(plan[0][0][0]["Plan"]))
    assert read.pop(asked.table) == 3
    # Ids may be a little earlier or later than what they stand for: there is nothing there.
    neighbours = {asked.plus(1).table, asked.plus(-1).table} if drift else {asked.plus(1).table}
    assert set(read) <= neighbours
    assert not any(read.values())


def _scans(node: dict[str, Any]) -> Iterator[tuple[str, int]]:
    if "Relation Name" in node:
        yield node["Relation Name"], int(node["Actual Rows"])
    for child in node.get("Plans", ()):
        yield from _scans(child)


# --- once and only once -------------------------------------------------------------------------


def test_an_attempt_is_booked_once_whoever_brings_it_and_however(
    url: str, opened: Callable[[str], Store]
) -> None:
    one, other = opened(url), opened(url)
    one.register([Counted("global", "", "ever", "UTC")], 0)
    row = attempt(1, bound=5000)
    moved = attempt(1, bound=5000, at=row.at + 86_400_000_000 * 40)
    assert one.book("a", 1, [row, row, moved], NOBODY).rows == 1
    assert one.book("a", 2, [moved, attempt(2, bound=1000)], NOBODY).rows == 1
    assert other.book("b", 1, [moved, row], NOBODY).rows == 0
    assert other.adopt("a", [row, moved, attempt(3, bound=1000)]) == 1
    assert other.adopt("a", [row, attempt(3, bound=1000)]) == 0
    assert [s.bound for s in one.standings([EVER], 0)] == [7]
    assert len(one.rows(0, 2**62)) == 3


def test_two_that_bring_the_same_attempts_at_once_book_them_once(
    url: str, opened: Callable[[str], Store]
) -> None:
    stores = [opened(url) for _ in range(4)]
    stores[0].register([Counted("global", "", "ever", "UTC")], 0)
    batches = [[attempt(n * 7 + m, bound=1000) for m in range(20)] for n in range(10)]
    barrier = threading.Barrier(len(stores))
    booked: list[int] = []

    def work(store: Store, writer: str) -> None:
        for n, batch in enumerate(batches):
            barrier.wait()
            booked.append(store.book(writer, n + 1, batch, NOBODY).rows)

    threads = [
        threading.Thread(target=work, args=(store, f"w{n}")) for n, store in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    different = len({row.id for batch in batches for row in batch})
    assert sum(booked) == different == len(stores[0].rows(0, 2**62))
    assert stores[0].standings([EVER], 0)[0].bound == different


# --- servers that come and go -------------------------------------------------------------------


def test_a_server_without_a_free_connection_says_what_to_do(url: str, postgres: Any) -> None:
    import psycopg

    store = open_store(url)
    store.book("w", 1, [attempt(1)], NOBODY)
    store.close()
    taken: list[psycopg.Connection] = []
    try:
        with pytest.raises(psycopg.OperationalError):
            while True:
                taken.append(psycopg.connect(url))
        with pytest.raises(LedgerError, match=r"max_connections.* pooler .*transaction mode"):
            open_store(url)
    finally:
        for connection in taken:
            connection.close()
    _until(lambda: open_store(url)).close()


def _until(attempt_once: Callable[[], Store]) -> Store:
    end = time.monotonic() + 30
    while True:
        try:
            return attempt_once()
        except LedgerError:
            # The server lets go of a connection a moment after its client did.
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_server_that_only_reads_is_left_for_one_that_writes(url: str) -> None:
    store = open_store(url)
    store.book("w", 1, [attempt(1)], NOBODY)
    database = url.partition("@/")[2].partition("?")[0]
    change(url, f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    reader = open_store(url)
    with pytest.raises(LedgerError, match="name the primary server"):
        reader.book("w", 2, [attempt(2)], NOBODY)
    assert len(reader.rows(0, 2**62)) == 1
    reading = open_store(url)
    change(url.replace(f"/{database}", "/postgres"), f"ALTER DATABASE {database} RESET ALL")
    with pytest.raises(LedgerError, match="name the primary server"):
        reading.claim("w", [Claim((Need(EVER, 10, 1),))], 0)
    assert reading.book("w", 2, [attempt(2)], NOBODY).rows == 1
    for each in (store, reader, reading):
        each.close()


def test_a_standby_is_read_and_after_its_promotion_written(
    url: str, postgres: Any, opened: Callable[[str], Store]
) -> None:
    store = opened(url)
    assert store.book("w", 1, [attempt(1)], NOBODY).rows == 1
    server = type(postgres)(standby_of=postgres)
    try:
        server.start()
        database = url.partition("@/")[2].partition("?")[0]
        standby = opened(server.url(database))
        assert standby.rows(0, 2**62) == [attempt(1)]
        with pytest.raises(LedgerError, match="name the primary server"):
            standby.book("w", 2, [attempt(2)], NOBODY)
        both = opened(f"{server.url(database)},{postgres.folder}")
        assert both.book("w", 2, [attempt(2)], NOBODY).rows == 1
        change(server.url(database), "SELECT pg_promote()")
        assert standby.book("x", 1, [attempt(3)], NOBODY).rows == 1
    finally:
        server.remove()


def test_nothing_is_kept_in_a_session(url: str, opened: Callable[[str], Store]) -> None:
    store = opened(url)
    for n in range(12):
        book(store, attempt(n))
        store.spend(SpendQuery(by=("day",), timezone="Europe/Berlin"))
        store.claim("w", [Claim((Need(EVER, 100, 1),))], 0)
    assert isinstance(store, SqlStore)
    connection = store._db._connection  # type: ignore[attr-defined]
    count = "SELECT COUNT(*) FROM "
    assert connection.execute(count + "pg_prepared_statements").fetchone() == (0,)
    # Reading a catalogue takes locks for as long as it is read, and pg_locks counts itself.
    held = connection.execute(count + "pg_locks WHERE locktype = 'advisory'").fetchone()
    assert held == (0,)
    assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)
    assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_a_transaction_that_others_keep_waiting_ends_and_says_so(
    url: str, opened: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    from switchgear.accounting.ledger import postgres

    store = opened(url)
    book(store, attempt(1))
    impatient = postgres._BEGIN["write"].replace("'30s'", "'50ms'")
    monkeypatch.setitem(postgres._BEGIN, "write", impatient)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE switchgear.writer")
        with pytest.raises(LedgerError, match="another transaction kept it waiting"):
            book(store, attempt(2))
    assert book(store, attempt(2)) == 1
