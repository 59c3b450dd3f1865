"""A ledger file for the commands that read one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from switchgear.accounting.ledger.row import Row
from tests.accounting.reports import rows

__all__ = ["book", "hours_ago"]


def hours_ago(hours: float, **fields: Any) -> Row:
    """An attempt that long ago; what it was is as in the reports' tests."""
    when = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)
    return rows.row(when.isoformat(), **fields)


def book(path: Path, *booked: Row) -> str:
    """Write the rows into the ledger at ``path``; its URL."""
    url = f"sqlite:{path}"
    rows.ledger(booked, url).close()
    return url
