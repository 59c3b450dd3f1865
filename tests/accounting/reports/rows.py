"""Rows of a ledger for the tests of its reports, and the ledger that keeps them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.store import Store
from switchgear.accounting.ledger.stores import open_store
from switchgear.accounting.money import pico
from switchgear.completion import Usage

_numbers = itertools.count(1)


def at(text: str) -> int:
    """Microseconds since 1970 of an ISO time, of UTC where it says nothing else."""
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def row(
    when: str = "2026-11-23T12:00",
    dollars: str | None = "0.01",
    *,
    call: Row | None = None,
    tokens: tuple[int, int] | None = (1000, 100),
    **fields: Any,
) -> Row:
    """One attempt at Claude Haiku that cost a cent, or what is said instead."""
    start = at(when)
    number = next(_numbers)
    own = (start // 1000).to_bytes(6, "big") + number.to_bytes(10, "big")
    given: dict[str, Any] = {
        "id": own,
        "call_id": call.call_id if call is not None else own,
        "at": start,
        "provider": "anthropic",
        "plugin": "anthropic",
        "model": "claude-haiku-4-5",
        "answered_model": "claude-haiku-4-5-20251001",
        "outcome": "answered",
        "usage": Usage(input_tokens=tokens[0], output_tokens=tokens[1]) if tokens else None,
        "cost": None if dollars is None else pico(Decimal(dollars)),
        "bound": None if dollars is None else pico(Decimal(dollars)),
        "latency": 2_000_000,
    }
    return Row(**{**given, **fields})


def ledger(rows: Sequence[Row] = (), url: str = "memory:") -> Store:
    """A real ledger with these rows."""
    store = open_store(url)
    store.book("writer", 1, rows, frozenset())
    return store
