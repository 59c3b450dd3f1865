"""Rows to write down, and a store that can be away."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.store import Booked, Counted, Store
from switchgear.accounting.ledger.stores import open_store
from switchgear.completion import Usage
from switchgear.errors import LedgerError

__all__ = ["StubbornStore", "attempt_id", "begun", "booked", "ended", "sqlite_store"]

_numbers = itertools.count(1)


def attempt_id() -> bytes:
    """One that no other attempt of this process has."""
    return (1_790_000_000_000).to_bytes(6, "big") + next(_numbers).to_bytes(10, "big")


def begun(attempt: bytes | None = None, **fields: Any) -> Row:
    """A row as it is written before anything is sent."""
    attempt = attempt or attempt_id()
    known: dict[str, Any] = {
        "id": attempt,
        "call_id": attempt,
        "at": 1_790_000_000_000_000,
        "agent_id": "architect-1",
        "project_id": "syndarix",
        "provider": "anthropic",
        "plugin": "anthropic",
        "model": "claude-opus-5",
        "bound": 7_000_000_000,
    }
    return Row(**(known | fields))


def ended(attempt: bytes, **fields: Any) -> Row:
    """The same attempt, answered."""
    known: dict[str, Any] = {
        "outcome": "answered",
        "answered_model": "claude-opus-5-20261101",
        "usage": Usage(input_tokens=1200, output_tokens=300),
        "cost": 1_500_000_000,
        "bound": 1_500_000_000,
        "latency": 1_200_000,
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    }
    return begun(attempt, **(known | fields))


def booked(path: Path) -> dict[bytes, str]:
    """The attempts in a SQLite ledger, with what became of them. Fails if one is there twice."""
    store = open_store(f"sqlite:{path}")
    try:
        found: dict[bytes, str] = {}
        after = b""
        while rows := store.rows(0, 2**62, after=after, limit=1000):
            for row in rows:
                assert row.id not in found
                found[row.id] = row.outcome
            after = rows[-1].id
        return found
    finally:
        store.close()


def sqlite_store(path: Path) -> Callable[[], StubbornStore]:
    """Makes a real SQLite store that can be told to be away."""
    return lambda: StubbornStore(f"sqlite:{path}")


class StubbornStore:
    """A real store, which can be told to be away, or to wait."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: Store | None = None
        self.away = False
        self.batches: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def open(self) -> None:
        self._check()
        if self._store is None:
            self._store = open_store(self._url)

    def book(self, writer: str, upto: int, rows: Sequence[Row], ask: frozenset[Counted]) -> Booked:
        self._check()
        assert self._store is not None
        self.batches.append(len(rows))
        return self._store.book(writer, upto, rows, ask)

    def stop(self) -> None:
        # At any time, as a real one: also before it is open.
        if self._store is not None:
            self._store.stop()

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def _check(self) -> None:
        assert self.go.wait(20)
        if self.away:
            raise LedgerError("the database is away")

    def __getattr__(self, name: str) -> Any:
        self._check()
        return getattr(self._store, name)
