"""Where attempts are written down, booked, and counted against budgets.

What a ledger's database of another package is built with is here; the module ``store`` says what
each method does and what must hold. ``docs/extending.md`` shows one.
"""

from .row import BookedOutcome, Row
from .store import (
    Booked,
    Claim,
    Counted,
    Grant,
    HandedOver,
    LedgerStoreFactory,
    LedgerStoreSettings,
    Need,
    Refused,
    SpendQuery,
    SpendSum,
    Standing,
    Store,
)
from .stores import postgres_store, sqlite_store

__all__ = [
    "Booked",
    "BookedOutcome",
    "Claim",
    "Counted",
    "Grant",
    "HandedOver",
    "LedgerStoreFactory",
    "LedgerStoreSettings",
    "Need",
    "Refused",
    "Row",
    "SpendQuery",
    "SpendSum",
    "Standing",
    "Store",
    "postgres_store",
    "sqlite_store",
]
