from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from switchgear.accounting.ledger.row import Row
from switchgear.accounting.ledger.store import Store
from tests.accounting.reports.rows import ledger


@pytest.fixture
def booked() -> Iterator[Callable[..., Store]]:
    """Makes a ledger in memory that holds the rows given."""
    opened = []

    def book(*rows: Row) -> Store:
        opened.append(ledger(rows))
        return opened[-1]

    yield book
    for store in opened:
        store.close()
