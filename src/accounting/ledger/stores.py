"""A ledger's database by its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...config.hiding import without_password
from ...errors import LedgerError, PluginError
from ...plugins import OWN, Plugins
from .foreign import guarded
from .store import LedgerStoreSettings, Store

if TYPE_CHECKING:
    from .sql import SqlStore

__all__ = ["GROUP", "check_plugin", "open_store", "postgres_store", "sqlite_store"]

GROUP: Final = "switchgear.ledger_stores"

_URL: Final = "it is sqlite:PATH, memory: or postgresql://USER@HOST/DATABASE"
_REQUIRED: Final = tuple(name for name in vars(Store) if not name.startswith("_"))


def open_store(url: str, *, plugins: Plugins | None = None) -> Store:
    """The database that a URL names, connected and brought to this version.

    Args:
        url: ``sqlite:PATH``, ``memory:`` (nothing outlives this object), ``postgresql://…``, or one
            whose scheme a plugin serves.
        plugins: Where stores are found; the installed ones by default.

    Raises:
        LedgerError: No such kind of database, or it can't be opened.
    """
    plugins = plugins or Plugins(GROUP)
    scheme, colon, _ = url.partition(":")
    if not colon or scheme not in plugins:
        # Nothing of it is repeated: there may be a password anywhere in it.
        others = "".join(f", {name}:" for name in plugins.names() if name not in OWN[GROUP])
        raise LedgerError(f"a ledger's URL is not one that is understood: {_URL}{others}")
    settings = LedgerStoreSettings(url=url)
    try:
        store: Store = plugins.make(scheme, settings, requires=_REQUIRED, where="ledger.url")
    except PluginError as exc:
        raise LedgerError(exc.message) from exc
    if not plugins.is_own(scheme):
        store = guarded(store, without_password(url))
    store.open()
    return store


def check_plugin(url: str, *, plugins: Plugins | None = None) -> None:
    """Import the plugin that serves a URL, so that a broken one shows before the first call.

    Raises:
        PluginError: It can't be imported.
    """
    scheme = url.partition(":")[0]
    if scheme not in OWN[GROUP]:
        (plugins or Plugins(GROUP)).load(scheme, where="ledger.url")


def sqlite_store(settings: LedgerStoreSettings) -> SqlStore:
    """The store of ``sqlite:PATH`` or ``memory:``.

    Raises:
        LedgerError: No path stands in it, or one where none belongs.
    """
    from .sql import SqlStore
    from .sqlite import SqliteDatabase

    scheme = settings.url.partition(":")[0]
    if bool(settings.rest) == (scheme == "memory"):
        raise LedgerError(f"a ledger's URL is not one that is understood: {_URL}")
    return SqlStore(SqliteDatabase(settings.rest or None))


def postgres_store(settings: LedgerStoreSettings) -> SqlStore:
    """The store of ``postgresql://…``.

    Raises:
        LedgerError: The URL is none of PostgreSQL's, or its client is not installed.
    """
    from .postgres import PostgresDatabase
    from .sql import SqlStore

    return SqlStore(PostgresDatabase(settings.url))
