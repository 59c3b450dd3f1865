"""Several real processes at one database."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable

import pytest

from switchgear.accounting.ledger.store import Counted, SpendQuery, Store
from switchgear.accounting.ledger.stores import open_store
from tests.accounting.ledger.store_worker import LIMITS, START, keys_at, spend

pytestmark = pytest.mark.timeout(180)

ROUNDS = 150


def open_and_register(url: str, zones: list[str]) -> None:
    store = open_store(url)
    store.register([Counted("global", "", "day", zone) for zone in zones], START * 10**6)
    store.close()


def test_no_limit_is_exceeded_by_processes_that_spend_at_once_while_one_is_killed(
    shared_url: str, opened: Callable[[str], Store]
) -> None:
    spawn = multiprocessing.get_context("spawn")
    store = opened(shared_url)
    store.register(list(LIMITS), START * 10**6)
    processes = [
        spawn.Process(target=spend, args=(shared_url, f"h{n}", n, ROUNDS, n == 3)) for n in range(4)
    ]
    for process in processes:
        process.start()
    looks = 0
    while any(process.is_alive() for process in processes) or not looks:
        for standing in store.counters(list(LIMITS), START * 10**6):
            assert standing.bound + standing.leased <= limit_of(standing.key)
        every = [key for n in range(0, ROUNDS, 30) for key in keys_at(START + n * 120, "p1")]
        for standing in store.standings(every, START * 10**6):
            assert standing.bound + standing.leased <= limit_of(standing.key)
        looks += 1
    codes = [process.exitcode for process in processes]
    assert codes == [0, 0, 0, -signal.SIGKILL]
    for n in range(4):
        store.adopt(f"h{n}", [])
    rows = store.rows(0, 2**53, limit=10_000)
    assert len(rows) > ROUNDS
    for key in {key for row in rows for key in row.budgets}:
        (standing,) = store.standings([key], START * 10**6)
        own = [row for row in rows if key in row.budgets]
        assert standing.leased == 0
        assert standing.bound == sum(-(-(row.bound or 0) // 1000) for row in own)
        assert standing.cost == sum(-(-(row.cost or 0) // 1000) for row in own)
    (total,) = store.spend(SpendQuery())
    assert total.cost == sum(row.cost or 0 for row in rows)


def limit_of(key: str) -> int:
    return next(limit for rule, limit in LIMITS.items() if f'["{rule.kind}"' in key)


def test_an_empty_database_is_made_by_several_at_once(
    shared_url: str, opened: Callable[[str], Store]
) -> None:
    spawn = multiprocessing.get_context("spawn")
    zones = ["UTC", "Europe/Berlin"]
    processes = [
        spawn.Process(target=open_and_register, args=(shared_url, zones)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert opened(shared_url).rows(0, 1) == []
