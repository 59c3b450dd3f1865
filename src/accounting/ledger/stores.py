"""A ledger's database by its URL."""

from __future__ import annotations

from ...errors import LedgerError
from .store import Store

__all__ = ["open_store"]


def open_store(url: str) -> Store:
    """The database that a URL names, connected and brought to this version.

    Args:
        url: ``sqlite:PATH``, ``memory:`` (nothing outlives this object) or ``postgresql://…``.

    Raises:
        LedgerError: No such kind of database, or it can't be opened.
    """
    from .sql import SqlStore

    scheme, _, rest = url.partition(":")
    if scheme == "memory":
        from .sqlite import SqliteDatabase

        store = SqlStore(SqliteDatabase(None))
    elif scheme == "sqlite" and rest:
        from .sqlite import SqliteDatabase

        store = SqlStore(SqliteDatabase(rest))
    elif scheme in {"postgresql", "postgres"}:
        from .postgres import PostgresDatabase

        store = SqlStore(PostgresDatabase(url))
    else:
        # Nothing of it is repeated: there may be a password anywhere in it.
        raise LedgerError(
            "a ledger's URL is not one that is understood: "
            "it is sqlite:PATH, memory: or postgresql://USER@HOST/DATABASE"
        )
    store.open()
    return store
