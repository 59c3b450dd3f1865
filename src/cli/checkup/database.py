"""The ledger's database, looked at without changing it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ...errors import LedgerError, SwitchgearError
from .files import can_make, size_of, this_user
from .values import Result, error, note, ok, warning

if TYPE_CHECKING:
    from ...accounting.ledger.place import Place
    from .case import Case

__all__ = ["LedgerLook", "database", "look_at_ledger"]

_CHECKED_WHOLE: Final = 64 << 20
"""SQLite looks a file of this size through in a fraction of a second."""
_SLOW_SECONDS: Final = 0.1
_CLOCK_SECONDS: Final = 5.0


class LedgerLook(msgspec.Struct, frozen=True, kw_only=True):
    """How a ledger's database is, looked at without changing it.

    Attributes:
        there: It exists.
        readable: It exists, and its tables are those of this version.
        results: What there is to say.
    """

    there: bool = False
    readable: bool = False
    results: tuple[Result, ...] = ()


async def database(case: Case) -> tuple[Result, ...]:
    """Whether the database is there and fit."""
    return (await case.ledger()).results


def look_at_ledger(case: Case) -> LedgerLook:
    """Look at the database; blocks."""
    from ...accounting.ledger.place import MEMORY

    try:
        place = case.place
    except SwitchgearError as exc:
        remedy = "write sqlite:PATH, postgresql://HOST/DATABASE or memory:"
        return LedgerLook(results=(error(exc.message, remedy=remedy),))
    if place.url == MEMORY:
        what = "in memory: what calls cost is forgotten when the process ends"
        hard = any(rule.hard for rule in case.config.budgets)
        if not hard:
            return LedgerLook(results=(note(what),))
        why = "hard budgets start anew with every process, and each process has its own"
        remedy = 'name a file or a server in [ledger] url ("sqlite:PATH", "postgresql://…")'
        return LedgerLook(results=(warning(what, why, remedy),))
    if place.local:
        return _look_at_file(place, case)
    known = place.url.startswith(("postgresql:", "postgres:"))
    return _look_at_server(place, case) if known else _look_at_other(place, case)


# A file


def _look_at_file(place: Place, case: Case) -> LedgerLook:
    path = Path(place.name)
    origin = _origin(case)
    if not path.exists():
        can = can_make(path)
        if can:
            return LedgerLook(results=(error(f"{path} can't be made", can, _ELSEWHERE),))
        return LedgerLook(results=(ok(f"{path}{origin}: not there yet, the first call makes it"),))
    if not path.is_file():
        return LedgerLook(results=(error(f"{path} is not a file", remedy=_ELSEWHERE),))
    results = [*_rights(path)]
    readable = False
    try:
        version, size = _inside(path)
    except LedgerError as exc:
        results.insert(0, error(f"{path}{origin} can't be used", exc.message, _ELSEWHERE))
    else:
        verdict = _version(f"{path}{origin}", version, f"{size_of(size)}, SQLite")
        results.insert(0, verdict)
        readable = verdict.level == "ok"
    return LedgerLook(there=True, readable=readable, results=tuple(results))


_ELSEWHERE: Final = 'mend that, or name another place in [ledger] url ("sqlite:PATH")'


def _origin(case: Case) -> str:
    if case.config.ledger.url:
        return ""
    return " (from SWITCHGEAR_LEDGER)" if case.environ.get("SWITCHGEAR_LEDGER") else ""


def _rights(path: Path) -> Iterator[Result]:
    # SQLite makes its -wal and -shm beside the file, so the folder counts as much.
    for place, rights in ((path, os.R_OK | os.W_OK), (path.parent, os.W_OK | os.X_OK)):
        if not os.access(place, rights):
            yield error(
                f"{place} can't be written",
                "calls can't be booked, and hard budgets refuse them",
                f"give the user that the process runs as the right to ({this_user()} here)",
            )
    if path.stat().st_mode & 0o077:
        yield note(
            f"{path} can be opened by other users of this machine",
            "it says who asked how much of which model",
            f"chmod 600 {path}",
        )


def _inside(path: Path) -> tuple[int, int]:
    """The version of the tables in a file, and its size with what waits in its ``-wal``."""
    import contextlib
    import sqlite3
    from urllib.parse import quote

    from ...accounting.ledger.sqlite import SqliteDatabase

    size = sum(
        each.stat().st_size for each in (path, path.with_name(path.name + "-wal")) if each.exists()
    )
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=2.0)
        ) as connection:
            ((version,),) = connection.execute("PRAGMA user_version")
            ((tables,),) = connection.execute("SELECT COUNT(*) FROM sqlite_master")
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if tables and "attempt" not in names:
                raise LedgerError("it is another program's database")
            if size <= _CHECKED_WHOLE:
                ((said,),) = connection.execute("PRAGMA quick_check(1)")
                if said != "ok":
                    raise LedgerError(f"it is damaged: {said}")
    except sqlite3.Error as exc:
        raise SqliteDatabase(str(path)).fault(exc) from exc
    return int(version), size


def _version(what: str, version: int, more: str) -> Result:
    from ...accounting.ledger.migrations import VERSION

    if version > VERSION:
        return error(
            f"{what} was made by a newer Switchgear",
            f"its tables are version {version}, this one knows {VERSION}",
            "update Switchgear, or name another ledger",
        )
    if version < VERSION:
        why = f"its tables are version {version}; the next router brings them to {VERSION}"
        return note(f"{what}: not used yet by this version", why)
    return ok(f"{what}: {more}, tables of version {version}")


# A server


def _look_at_server(place: Place, case: Case) -> LedgerLook:
    from ...accounting.ledger.postgres import PostgresDatabase

    if case.offline:
        return LedgerLook(results=(note(f"{place.name} was not asked", "--offline"),))
    try:
        known = PostgresDatabase(place.url)
    except LedgerError as exc:
        return LedgerLook(results=(error(exc.message),))
    try:
        return _asked(place, case)
    except Exception as exc:  # noqa: BLE001 - a driver's errors are of many kinds
        fault = known.fault(exc)
        return LedgerLook(results=(error(fault.message),))


def _asked(place: Place, case: Case) -> LedgerLook:
    import psycopg

    limit = max(2, int(case.timeout))
    started = time.perf_counter()
    with psycopg.connect(
        place.url,
        connect_timeout=limit,
        options=f"-c statement_timeout={limit * 1000}",
        autocommit=True,
    ) as connection:
        connected = time.perf_counter() - started
        started = time.perf_counter()
        ((now,),) = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        trip = time.perf_counter() - started
        ahead = case.clock.now() - trip / 2 - now
        ((replica, may_create, made),) = connection.execute(
            "SELECT pg_is_in_recovery(), has_database_privilege(current_database(), 'CREATE'),"
            " EXISTS (SELECT 1 FROM pg_catalog.pg_tables"
            " WHERE schemaname = 'switchgear' AND tablename = 'version')"
        )
        number = connection.info.server_version // 10_000
        version = 0
        if made:
            ((version,),) = connection.execute("SELECT number FROM switchgear.version")
    speed = f"PostgreSQL {number}, {trip * 1000:.1f} ms a question"
    speed += f", {connected * 1000:.0f} ms to connect"
    results: list[Result] = []
    if made:
        results.append(_version(place.name, version, speed))
    elif may_create:
        results.append(ok(f"{place.name}: {speed}; the first router makes its tables"))
    else:
        remedy = "GRANT CREATE ON DATABASE … TO the user, or make the schema switchgear for it"
        results.append(error(f"{place.name}: this user can't make the tables", remedy=remedy))
    readable = results[0].level == "ok" and bool(made)
    if replica:
        remedy = "name the primary in [ledger] url"
        results.append(error(f"{place.name} is a replica: it only reads", remedy=remedy))
    if trip > _SLOW_SECONDS:
        why = "every lease of a hard budget waits that long"
        results.append(warning(f"it is slow: {trip * 1000:.0f} ms a question", why))
    if abs(ahead) >= _CLOCK_SECONDS:
        results.append(
            warning(
                f"its clock and this machine's are {abs(ahead):.0f} s apart",
                remedy="keep both by NTP: budgets' periods begin by the clock",
            )
        )
    return LedgerLook(there=bool(made), readable=readable, results=tuple(results))


# Of another package


def _look_at_other(place: Place, case: Case) -> LedgerLook:
    """What a plugin serves can only be asked by opening it, which may make its tables."""
    from ...accounting.ledger.stores import open_store

    if case.offline:
        return LedgerLook(results=(note(f"{place.name} was not asked", "--offline"),))
    try:
        store = open_store(place.url)
    except LedgerError as exc:
        remedy = "`switchgear plugins` lists the plugins that are there"
        return LedgerLook(results=(error(exc.message, remedy=remedy),))
    store.close()
    return LedgerLook(there=True, readable=True, results=(ok(f"{place.name}: it opens"),))
