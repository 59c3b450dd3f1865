"""Sums by the hour: made beside those who book, kept when rows go, and never wrong."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from switchgear.accounting.ledger import gathering, rollup
from switchgear.accounting.ledger.rollup import GRACE
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.sql import SqlStore
from switchgear.accounting.ledger.store import SpendQuery, SpendSum, Store
from switchgear.accounting.ledger.stores import open_store
from switchgear.errors import LedgerError
from tests.accounting.ledger import rollup_worker as worker

HOUR = 3600 * 10**6
START = int(dt.datetime(2026, 8, 31, 22, tzinfo=dt.UTC).timestamp()) * 10**6
NOW = int(dt.datetime(2026, 11, 23, tzinfo=dt.UTC).timestamp()) * 10**6
NOBODY: frozenset[Any] = frozenset()
QUESTIONS = [
    SpendQuery(),
    SpendQuery(by=("project", "model")),
    SpendQuery(by=("hour",)),
    SpendQuery(by=("day", "outcome"), timezone="Europe/Berlin"),
    SpendQuery(by=("day",), timezone="Asia/Kolkata"),
    SpendQuery(by=("provider",), where={"project": ""}),
]


@pytest.fixture
def books(url: str) -> Iterator[SqlStore]:
    store = open_store(url)
    assert isinstance(store, SqlStore)
    yield store
    store.close()


def attempt(number: int, hour: float, **fields: Any) -> Row:
    start = START + int(hour * HOUR)
    identifier = (start // 1000).to_bytes(6, "big") + number.to_bytes(10, "big")
    whole: dict[str, Any] = {"id": identifier, "call_id": identifier, "at": start, "cost": 1}
    return Row(**whole | fields)


def book(store: Store, *rows: Row, numbers: Iterator[int] = itertools.count(1)) -> int:  # noqa: B008
    return store.book("w", next(numbers), rows, NOBODY).rows


def roll_up(store: Store, hour: float) -> int:
    """As at this hour; until nothing is left to do."""
    now = START + int(hour * HOUR)
    while (then := store.roll_up(now)) <= now:
        pass
    return then


def ask(store: SqlStore, statement: str) -> list[Any]:
    return store._run("read", lambda: store._db.query(statement))


def sums_of(store: SqlStore) -> int:
    """How many attempts the kept sums are of."""
    return int(ask(store, "SELECT COALESCE(SUM(attempts), 0) FROM hourly")[0][0])


# --- when ---------------------------------------------------------------------------------------


def test_an_hour_is_added_up_ten_minutes_after_its_end(books: SqlStore) -> None:
    book(books, attempt(1, 0.1), attempt(2, 0.9), attempt(3, 1.5))
    assert roll_up(books, 1.1) == START + HOUR + GRACE
    assert sums_of(books) == 0
    assert roll_up(books, 1.2) == START + 2 * HOUR + GRACE
    assert sums_of(books) == 2
    assert roll_up(books, 50) > START + 50 * HOUR
    assert sums_of(books) == 3


def test_one_step_adds_as_many_hours_as_it_can_and_at_least_one(
    books: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    book(books, *(attempt(n, n / 3) for n in range(12)))
    monkeypatch.setattr(rollup, "_MOST", 7)
    now = START + 100 * HOUR
    added = []
    while books.roll_up(now) == now:
        added.append(sums_of(books))
    assert added == [6, 12]


def test_nothing_is_closed_while_there_is_nothing_to_add(books: SqlStore) -> None:
    book(books, attempt(1, 0.5))
    roll_up(books, 5)
    marks = ask(books, "SELECT * FROM rolled")
    roll_up(books, 500)
    assert ask(books, "SELECT * FROM rolled") == marks


def test_what_is_booked_late_is_added_with_the_next_hour(books: SqlStore) -> None:
    book(books, attempt(1, 0.5))
    roll_up(books, 5)
    book(books, attempt(2, 0.6), attempt(3, 4))
    assert ask(books, "SELECT COUNT(*) FROM late") == [(1,)]
    (total,) = books.spend(SpendQuery())
    assert total.attempts == 3
    book(books, attempt(4, 6))
    roll_up(books, 9)
    assert ask(books, "SELECT COUNT(*) FROM late") == [(0,)]
    assert sums_of(books) == 4


def test_who_was_overtaken_closes_nothing(shared_url: str, opened: Callable[[str], Any]) -> None:
    one, other = opened(shared_url), opened(shared_url)
    book(one, attempt(1, 0), attempt(2, 3))
    last = START + HOUR
    seen, end = one._run("read", lambda: rollup._look(one._db, last))
    roll_up(other, 50)
    marks = ask(other, "SELECT * FROM rolled")
    one._run("alone", lambda: rollup._close(one._db, seen, end))
    assert ask(other, "SELECT * FROM rolled") == marks


# --- exactness ----------------------------------------------------------------------------------


def test_a_question_reads_no_rows_of_hours_that_have_sums(books: SqlStore) -> None:
    book(books, *(attempt(n, n / 4, project_id=f"p{n % 2}") for n in range(40)))
    before = books.spend(SpendQuery(by=("project", "day")))
    roll_up(books, 100)
    books._run("write", lambda: books._db.change("DELETE FROM attempt"))
    assert books.spend(SpendQuery(by=("project", "day"))) == before


def test_an_hour_that_a_question_cuts_is_added_up_from_rows(books: SqlStore) -> None:
    book(books, *(attempt(n, n / 4, cost=10**n) for n in range(12)))
    roll_up(books, 100)
    since, until = START + HOUR // 2, START + 2 * HOUR + 1
    (total,) = books.spend(SpendQuery(since=since, until=until))
    assert total.cost == 1_1111_1100
    by_day = books.spend(SpendQuery(by=("day",), timezone="Asia/Kathmandu"))
    # There a day begins at 18:15 UTC, and none here: the next one at 20:15 of these hours.
    assert [(each.keys, each.attempts) for each in by_day] == [(("2026-09-01",), 12)]


def test_a_new_row_of_an_hour_that_is_cut_counts_once(books: SqlStore) -> None:
    book(books, attempt(1, 0.7))
    roll_up(books, 1.2)
    # It began before its id was made, by an hour, and that has no sums yet.
    book(books, attempt(2, 1.7, at=START + int(0.7 * HOUR)))
    (total,) = books.spend(SpendQuery(since=START + HOUR // 2))
    assert total.attempts == 2
    (total,) = books.spend(SpendQuery(since=START + HOUR // 2, until=START + 3 * HOUR // 4))
    assert total.attempts == 2


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"])
@pytest.mark.parametrize("unit", ["hour", "day", "month"])
def test_a_zone_that_cuts_hours_gets_its_own_days(books: SqlStore, zone: str, unit: str) -> None:
    # Over the end of summer time on Lord Howe Island, which is half an hour there.
    first = dt.datetime(2026, 4, 3, tzinfo=dt.UTC).timestamp()
    hours = (first * 10**6 - START) / HOUR
    book(books, *(attempt(n, hours + n / 4, cost=n) for n in range(400)))
    before = books.spend(SpendQuery(by=(unit,), timezone=zone))
    roll_up(books, hours + 200)
    assert sums_of(books) == 400
    assert books.spend(SpendQuery(by=(unit,), timezone=zone)) == before


CALLS: list[tuple[str, list[Row]]] = [
    ("in one hour", [attempt(1, 0.1), attempt(2, 0.2, call_id=attempt(1, 0.1).id)]),
    ("over two hours", [attempt(1, 0.9), attempt(2, 1.1, call_id=attempt(1, 0.9).id)]),
    (
        "with other labels",
        [attempt(1, 0.1, model="m"), attempt(2, 0.2, model="n", call_id=attempt(1, 0.1).id)],
    ),
    (
        "of three attempts",
        [
            attempt(1, 0.1, model="m"),
            attempt(2, 0.2, model="n", call_id=attempt(1, 0.1).id),
            attempt(3, 0.3, model="n", call_id=attempt(1, 0.1).id),
        ],
    ),
    (
        "of three attempts, the last one in another hour",
        [
            attempt(1, 0.1, model="m", outcome="failed"),
            attempt(2, 0.2, model="n", outcome="failed", call_id=attempt(1, 0.1).id),
            attempt(3, 1.3, model="n", call_id=attempt(1, 0.1).id),
        ],
    ),
    (
        "with no label and an empty one",
        [attempt(1, 0.1), attempt(2, 0.2, agent_id="", call_id=attempt(1, 0.1).id)],
    ),
    (
        "without its first attempt",
        [attempt(2, 0.1, call_id=b"c" * 16), attempt(3, 1.2, call_id=b"c" * 16)],
    ),
]


@pytest.mark.parametrize("rows", [rows for _, rows in CALLS], ids=[name for name, _ in CALLS])
@pytest.mark.parametrize("late", [None, 0, 1, 2])
@pytest.mark.parametrize("forgotten", [False, True])
def test_a_call_is_one_call_however_its_attempts_are_kept(
    books: SqlStore, rows: list[Row], late: int | None, forgotten: bool
) -> None:
    at_first = [row for place, row in enumerate(rows) if place != late]
    book(books, *at_first, attempt(9, 3))
    roll_up(books, 50)
    book(books, *(row for row in rows if row not in at_first), attempt(8, 60))
    check_one_call(books, rows)
    roll_up(books, 90)
    check_one_call(books, rows)
    if forgotten:
        books.forget(START + 5 * HOUR, NOW)
        check_one_call(books, rows)
    else:
        cut = SpendQuery(since=START + 1, until=START + 2 * HOUR)
        assert [each.calls for each in books.spend(cut)] == [1]


def check_one_call(books: SqlStore, rows: list[Row]) -> None:
    end = START + 2 * HOUR
    assert [each.calls for each in books.spend(SpendQuery(until=end))] == [1]
    # An empty value in a question means rows with none, too.
    assert [each.calls for each in books.spend(SpendQuery(where={"agent": ""}, until=end))] == [1]
    by_model = books.spend(SpendQuery(by=("model",), until=end))
    assert [each.calls for each in by_model] == [1] * len({row.model for row in rows})
    by_hour = books.spend(SpendQuery(by=("hour",), until=end))
    assert [each.calls for each in by_hour] == [1] * len({row.at // HOUR for row in rows})


def test_a_second_attempt_of_a_call_that_was_added_before_it_began_counts_once(
    books: SqlStore,
) -> None:
    first = attempt(1, 3.1, model="m")
    # By a clock that was set back: its id says that it was made hours before its call.
    third = attempt(3, 0.5, at=START + int(3.3 * HOUR), model="n", call_id=first.id)
    book(books, third)
    roll_up(books, 1.2)
    book(books, first, attempt(2, 3.2, model="n", call_id=first.id))
    roll_up(books, 9)
    assert [each.calls for each in books.spend(SpendQuery(by=("model",)))] == [1, 1]


def test_sums_that_no_column_holds_stay_exact(books: SqlStore) -> None:
    most = 2**63 - 1
    book(books, *(attempt(n, n % 2, cost=most, bound=most - n, latency=7) for n in range(50)))
    before = books.spend(SpendQuery(by=("hour",)))
    roll_up(books, 10)
    assert sums_of(books) == 50
    assert books.spend(SpendQuery(by=("hour",))) == before
    (total,) = books.spend(SpendQuery())
    assert total.cost == 50 * most


def test_questions_about_runs_sessions_and_tags_are_answered_from_rows(books: SqlStore) -> None:
    book(books, attempt(1, 0, run_id="r", tags={"t": "red"}), attempt(2, 0, session_id="s"))
    roll_up(books, 10)
    for query in (
        SpendQuery(where={"run": "r"}),
        SpendQuery(where={"session": "s", "tag:t": ""}),
        SpendQuery(by=("day",), where={"tag:t": "red"}),
    ):
        assert [each.attempts for each in books.spend(query)] == [1]


# --- when rows are gone -------------------------------------------------------------------------


@pytest.fixture
def shortened(books: SqlStore) -> SqlStore:
    """Of rows until September those before it are gone: two hours of August, in two labels."""
    rows = [
        attempt(n, n / 8, project_id=f"p{n % 2}", run_id="r", cost=1, bound=2) for n in range(40)
    ]
    book(books, *rows)
    assert books.forget(START + 3 * HOUR, NOW) == START + 2 * HOUR
    return books


def test_sums_outlive_their_rows(shortened: SqlStore) -> None:
    assert len(shortened.rows(0, 2**62)) == 24
    by_month = shortened.spend(SpendQuery(by=("month", "project")))
    assert [(each.keys, each.attempts, each.bound) for each in by_month] == [
        (("2026-08", "p0"), 8, 16),
        (("2026-08", "p1"), 8, 16),
        (("2026-09", "p0"), 12, 24),
        (("2026-09", "p1"), 12, 24),
    ]
    # Hours of UTC are hours in Berlin.
    by_day = shortened.spend(SpendQuery(by=("day",), timezone="Europe/Berlin"))
    assert [each.attempts for each in by_day] == [40]
    (first,) = shortened.spend(SpendQuery(since=START, until=START + HOUR))
    assert (first.attempts, first.calls) == (8, 8)


@pytest.mark.parametrize(
    "query",
    [
        SpendQuery(by=("run",)),
        SpendQuery(where={"tag:t": "red"}),
        SpendQuery(where={"session": "s"}, since=START + HOUR),
        SpendQuery(since=START + 1),
        SpendQuery(until=START + HOUR + 1),
        SpendQuery(since=START + 5, until=START + 9),
        SpendQuery(by=("hour",), timezone="Asia/Kolkata"),
    ],
)
def test_what_sums_can_not_tell_is_refused(shortened: SqlStore, query: SpendQuery) -> None:
    with pytest.raises(LedgerError, match="keeps single attempts since 2026-09-01"):
        shortened.spend(query)


@pytest.mark.parametrize(
    "query",
    [
        SpendQuery(by=("run",), since=START + 2 * HOUR),
        SpendQuery(where={"run": "r"}, since=START + 2 * HOUR + 1),
        SpendQuery(by=("day",), timezone="Asia/Kolkata"),
        # There was nothing at all.
        SpendQuery(by=("run",), until=START - 5 * HOUR),
        SpendQuery(since=START - HOUR // 2),
    ],
)
def test_what_they_can_tell_is_told(shortened: SqlStore, query: SpendQuery) -> None:
    shortened.spend(query)


def test_rows_whose_month_is_gone_are_still_booked_and_added(shortened: SqlStore) -> None:
    assert book(shortened, attempt(99, 1, cost=5)) == 1
    (total,) = shortened.spend(SpendQuery())
    assert (total.attempts, total.cost) == (41, 45)
    shortened.forget(START + 3 * HOUR, NOW)
    (total,) = shortened.spend(SpendQuery())
    assert (total.attempts, total.cost) == (41, 45)
    assert len(shortened.rows(0, 2**62)) == 24


def test_an_attempt_that_began_in_a_month_that_is_kept_is_kept(books: SqlStore) -> None:
    # Its id was made a moment before it began, and in that moment the month did.
    border = attempt(1, 1.9999, at=START + 2 * HOUR, run_id="r")
    book(books, border, attempt(2, 0))
    books.forget(START + 3 * HOUR, NOW)
    assert books.rows(0, 2**62) == [border]
    (total,) = books.spend(SpendQuery(where={"run": "r"}, since=START + 2 * HOUR))
    assert total.attempts == 1
    (total,) = books.spend(SpendQuery())
    assert total.attempts == 2


# --- beside others ------------------------------------------------------------------------------

ROUNDS = 60


def answers(store: Store) -> list[list[SpendSum]]:
    return [store.spend(query) for query in QUESTIONS]


def expected(writers: int) -> list[list[SpendSum]]:
    """What a ledger says that keeps no sums."""
    plain = open_store("memory:")
    for writer in range(writers):
        for number, batch in enumerate(worker.rows_of(writer, ROUNDS), 1):
            plain.book(f"w{writer}", number, batch, NOBODY)
    try:
        return answers(plain)
    finally:
        plain.close()


@pytest.mark.timeout(180)
def test_processes_book_while_others_roll_up_and_are_killed_over_it(
    shared_url: str, opened: Callable[[str], Store]
) -> None:
    store = opened(shared_url)
    assert isinstance(store, SqlStore)
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=worker.book, args=(shared_url, n, ROUNDS)) for n in range(3)]
    rollers = [spawn.Process(target=worker.roll, args=(shared_url, n, n > 0)) for n in range(3)]
    for process in (*rollers, *writers):
        process.start()
    seen = 0
    while any(process.is_alive() for process in writers):
        (total,) = store.spend(SpendQuery())
        by_model = store.spend(SpendQuery(by=("model", "hour")))
        assert total.attempts >= seen
        assert sum(each.attempts for each in by_model) >= total.attempts
        seen = total.attempts
    assert [process.exitcode for process in writers] == [0, 0, 0]
    rollers[0].kill()
    for process in rollers:
        process.join()
    whole = expected(3)
    assert answers(store) == whole
    roll_up(store, 10_000)
    assert (
        sums_of(store) + int(ask(store, "SELECT COUNT(*) FROM late")[0][0]) == whole[0][0].attempts
    )
    assert answers(store) == whole


def test_a_later_attempt_is_in_the_sums_before_its_first_one(books: SqlStore) -> None:
    # By clocks that differ. In Kolkata a day begins at 18:30 UTC, between the two.
    first = attempt(1, 20.9)
    book(books, first, attempt(2, 18.2, call_id=first.id))
    before = books.spend(SpendQuery(by=("day",), timezone="Asia/Kolkata"))
    assert [each.calls for each in before] == [1, 1]
    roll_up(books, 20)
    assert sums_of(books) == 1
    assert books.spend(SpendQuery(by=("day",), timezone="Asia/Kolkata")) == before


def test_a_call_whose_first_attempt_is_noted_gets_a_third_one(books: SqlStore) -> None:
    first = attempt(1, 0.1, model="m")
    book(books, attempt(2, 0.2, model="n", call_id=first.id))
    # Booked between closing the hour and adding it up.
    seen, end = books._run("read", lambda: rollup._look(books._db, START + HOUR))
    assert end is not None
    books._run("alone", lambda: rollup._close(books._db, seen, end))
    book(books, first)
    rollup._add(books._db, books._run)
    assert ask(books, "SELECT COUNT(*) FROM late") == [(1,)]
    third = attempt(3, 0.3, model="n", call_id=first.id)
    book(books, third)
    by_model = SpendQuery(by=("model",))
    assert [each.calls for each in books.spend(by_model)] == [1, 1]
    book(books, attempt(4, 8))
    roll_up(books, 50)
    assert [each.calls for each in books.spend(by_model)] == [1, 1, 1]


def test_a_first_attempt_that_comes_while_its_second_one_is_added(
    shared_url: str, opened: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    roller, other = opened(shared_url), opened(shared_url)
    first = attempt(1, 0.1, model="m")
    book(other, attempt(2, 0.2, model="n", call_id=first.id))
    further_of = gathering.further_of

    def beside(batch: Any) -> Any:
        with contextlib.suppress(StopIteration):
            book(other, next(coming))
        return further_of(batch)

    coming = iter([first])
    monkeypatch.setattr(rollup, "further_of", beside)
    roll_up(roller, 5)
    assert sums_of(other) == 1
    (total,) = other.spend(SpendQuery(where={"model": "n"}))
    assert total.calls == 1
    book(other, attempt(3, 8))
    roll_up(roller, 50)
    assert sums_of(other) == 3
    assert [each.calls for each in other.spend(SpendQuery(by=("model",)))] == [1, 1, 1]
    (total,) = other.spend(SpendQuery())
    assert total.calls == 2


@pytest.mark.timeout(180)
def test_threads_book_while_several_roll_up(
    shared_url: str, opened: Callable[[str], Store]
) -> None:
    rollers = [opened(shared_url) for _ in range(2)]
    done = threading.Event()

    def roll(store: Store, first: int) -> None:
        for hour in itertools.cycle(range(first, worker.HOURS + 2)):
            if done.is_set():
                return
            store.roll_up(worker.START + hour * HOUR + GRACE)

    rolling = [threading.Thread(target=roll, args=(s, n)) for n, s in enumerate(rollers)]
    booking = [threading.Thread(target=worker.book, args=(shared_url, n, ROUNDS)) for n in range(2)]
    for thread in (*rolling, *booking):
        thread.start()
    for thread in booking:
        thread.join()
    done.set()
    for thread in rolling:
        thread.join()
    assert answers(opened(shared_url)) == expected(2)
