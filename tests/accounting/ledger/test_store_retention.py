"""Old months are let go of, and budgets still know what was spent in them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from switchgear.accounting.budgets.keys import counter_key
from switchgear.accounting.ledger.months import Month
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.sql import SqlStore
from switchgear.accounting.ledger.store import Counted
from switchgear.accounting.ledger.stores import open_store
from switchgear.errors import LedgerError

PRESENT = Month(2026, 11)
NOBODY: frozenset[Any] = frozenset()


def at(month: Month, day: int = 1) -> int:
    return int(dt.datetime(month.year, month.number, day, tzinfo=dt.UTC).timestamp()) * 10**6


NOW = at(PRESENT, 23)


def attempt(number: int, months_ago: int, **fields: Any) -> Row:
    start = at(PRESENT.plus(-months_ago), 10)
    identifier = (start // 1000).to_bytes(6, "big") + number.to_bytes(10, "big")
    whole: dict[str, Any] = {"id": identifier, "call_id": identifier, "at": start, "bound": 1000}
    return Row(**whole | fields)


@pytest.fixture
def books(url: str) -> Iterator[SqlStore]:
    store = open_store(url)
    assert isinstance(store, SqlStore)
    yield store
    store.close()


def book(store: SqlStore, *rows: Row, numbers: Iterator[int] = itertools.count(1)) -> int:  # noqa: B008
    return store.book("w", next(numbers), rows, NOBODY).rows


def test_whole_months_go_and_the_rest_stays(books: SqlStore) -> None:
    book(books, *(attempt(n, n) for n in range(6)), attempt(9, 600))
    kept = books.forget(at(PRESENT.plus(-3), 20), NOW)
    assert kept == at(PRESENT.plus(-3))
    assert [row.id[-1] for row in books.rows(0, 2**62)] == [3, 2, 1, 0]
    assert books.forget(at(PRESENT.plus(-3), 20), NOW) == kept
    assert book(books, attempt(7, 5)) == 1


def test_the_last_two_months_always_stay(books: SqlStore) -> None:
    book(books, attempt(1, 0), attempt(2, 1), attempt(3, 2))
    with pytest.raises(LedgerError, match="before the end of 2026-10"):
        books.forget(at(PRESENT), NOW)
    books.forget(at(PRESENT) - 1, NOW)
    assert [row.id[-1] for row in books.rows(0, 2**62)] == [2, 1]


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        (Counted("global", "", "ever", "UTC"), ("global", "", "ever")),
        (Counted("project", "*", "ever", "UTC"), ("project", "p", "ever")),
        (Counted("agent", "a", "ever", "UTC"), ("agent", "a", "ever")),
        (Counted("model", "*", "ever", "UTC"), ("model", "v/m", "ever")),
        (Counted("key", "*", "ever", "UTC"), ("key", "v", "ever")),
        (Counted("tag:t", "*", "ever", "UTC"), ("tag:t", "red", "ever")),
        (Counted("tag:u", "*", "ever", "UTC"), ("tag:u", "", "ever")),
        (Counted("project", "*", "run", "UTC"), ("project", "p", "run")),
        (Counted("api-key", "*", "run", "UTC"), ("api-key", "", "run")),
    ],
)
@pytest.mark.parametrize("looked", [True, False])
def test_a_budget_still_counts_what_was_spent_in_months_that_are_gone(
    books: SqlStore, rule: Counted, key: tuple[str, str, str], looked: bool
) -> None:
    labels: dict[str, Any] = {
        "project_id": "p",
        "agent_id": "a",
        "provider": "v",
        "model": "m",
        "run_id": "r",
        "tags": {"t": "red"},
    }
    name = counter_key(key[0], key[1], key[2], "UTC", 0, run_id="r")
    book(books, attempt(1, 8, **labels), attempt(2, 0, **labels), attempt(3, 8, run_id="x"))
    books.register([rule], NOW)
    before = books.standings([name], NOW) if looked else None
    books.forget(at(PRESENT.plus(-2)), NOW)
    (after,) = books.standings([name], NOW)
    assert after.bound >= 2
    assert before is None or before == [after]
    book(books, attempt(4, 0, **labels))
    assert books.standings([name], NOW)[0].bound == after.bound + 1


def test_nobody_has_to_stop_while_old_months_go(
    shared_url: str, opened: Callable[[str], Any]
) -> None:
    one, other = opened(shared_url), opened(shared_url)
    book(one, attempt(1, 9), attempt(2, 0))
    other.forget(at(PRESENT.plus(-2)), NOW)
    # Of a month that this one believes to be there still.
    assert book(one, attempt(3, 9), attempt(4, 0)) == 2
    assert [row.id[-1] for row in other.rows(0, 2**62)] == [3, 2, 4]
