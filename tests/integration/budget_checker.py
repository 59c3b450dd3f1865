"""Replays a ledger against what really happened.

Reads the database with SQL of its own and the files of ``budget_child``; shares no code with what
it checks but the form of a row.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Query", "Replay", "check", "completed_of", "lines", "over_limit", "querying"]

Query = Callable[[str], list[Any]]
"""Asks the database, past everything that is checked."""

TOTALS = """
    SELECT counter.key, counter.bound, COALESCE(SUM(lease.amount), 0)
    FROM counter LEFT JOIN lease ON lease.key = counter.key GROUP BY counter.key
"""


class Replay(NamedTuple):
    """What a run came to; 10⁻⁹ USD."""

    rows: int
    completed: int
    billed: int
    spent: int
    cost: int


def lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; a line that a kill cut short says nothing."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def completed_of(folder: Path) -> list[str]:
    return [line["id"] for line in lines(folder / "completed")]


@contextlib.contextmanager
def querying(url: str) -> Iterator[Query]:
    """A connection of one's own to a ledger, which only reads."""
    if url.startswith("sqlite:"):
        path = url.removeprefix("sqlite:")
        file = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            yield lambda sql: file.execute(sql).fetchall()
        finally:
            file.close()
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as server:
        server.execute("SET search_path = switchgear")
        yield lambda sql: server.execute(sql.encode()).fetchall()


def over_limit(query: Query, limit: int) -> list[tuple[str, int, int]]:
    """Counters of which more is spent and leased than there is, as one look sees them."""
    return [found for found in query(TOTALS) if found[1] + found[2] > limit]


def check(folder: Path, url: str, limit: int) -> Replay:
    """Hold a ledger whose writers are all gone against its limit and the providers' bills.

    Args:
        folder: Where the children's files are.
        url: The ledger.
        limit: Of each of its counters, 10⁻⁹ USD.
    """
    with querying(url) as query:
        rows = query("SELECT id, request_id, outcome, cost, bound FROM attempt")
        totals = query(TOTALS)
        leases = query("SELECT * FROM lease")

    # Every row is there once, and all of them together are what the counters say.
    assert len({identifier for identifier, *_ in rows}) == len(rows)
    spent = sum(-(-bound // 1000) for *_, bound in rows)
    assert leases == []
    assert {(bound, leased) for _, bound, leased in totals} == {(spent, 0)}
    assert spent <= limit

    # Who was given an answer finds it once, at the price that the provider billed.
    bills = {line["id"]: line["pico"] for line in lines(folder / "billed")}
    answered: dict[str, list[int]] = {}
    for _, request, outcome, cost, _ in rows:
        if outcome == "answered":
            answered.setdefault(request, []).append(cost)
    for request in completed_of(folder):
        assert answered[request] == [bills[request]], request

    # What was really billed never went above the limit, whatever the ledger believes.
    assert -(-sum(bills.values()) // 1000) <= spent <= limit
    paid = [bound for *_, bound in rows if bound]
    assert len(bills) <= len(paid)
    for request, costs in answered.items():
        assert costs == [bills[request]], request
    cost = sum(-(-cost // 1000) for *_, cost, _ in rows if cost is not None)
    return Replay(len(rows), len(completed_of(folder)), len(bills), spent, cost)
