"""The ledger in a file of SQLite, or in memory."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
import sqlite3
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ...errors import LedgerError
from .columns import COLUMNS, to_columns
from .database import Mode, Values, numbered
from .matching import made_at
from .migrations import VERSION, pending
from .row import Row

__all__ = ["SqliteDatabase"]

_BUSY_SECONDS: Final = 10.0
_OURS: Final = 0x53574C47
"""The application id in the file's head: ``SWLG``."""

_CHUNK: Final = 500
_DROPPED: Final = 20_000
"""Rows that are deleted at once, while nobody else can write."""
_NAMES: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_INSERT: Final = f"INSERT INTO attempt ({_NAMES}) VALUES ({numbered(len(COLUMNS))})"  # noqa: S608
_TOGETHER: Final = 20
"""Rows of one statement: Python's lock is let go and taken again, and the loop's thread woken up,
once for each statement and not once for each row."""
_INSERT_SOME: Final = _INSERT + f", ({numbered(len(COLUMNS))})" * (_TOGETHER - 1)
_WAYS_OUT: Final = {
    sqlite3.SQLITE_FULL: "the disk is full: make room, or move the ledger ([ledger] url)",
    sqlite3.SQLITE_READONLY: "it can't be written: check the rights of the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened: check that its folder is there and may be used",
    sqlite3.SQLITE_BUSY: (
        f"another process kept it locked for {_BUSY_SECONDS:.0f} seconds: look for one that "
        "hangs, or use postgresql:// for many"
    ),
    sqlite3.SQLITE_CORRUPT: (
        "the file is damaged: put it aside (with its -wal and -shm) and restore a backup, or save "
        "what can be read with: sqlite3 FILE .recover"
    ),
    sqlite3.SQLITE_NOTADB: "the file is not a database: name another one ([ledger] url)",
    sqlite3.SQLITE_IOERR: "the disk failed: check it; network disks can't hold a ledger",
}


class SqliteDatabase:
    """One connection to a file, which is made with mode 0600; ``None`` for one in memory."""

    for_update = ""
    unless_locked = ""
    one_writer = True

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path).expanduser()
        self.place = "memory:" if self._path is None else str(self._path)
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Connect, unless connected, and bring the tables to this version."""
        if self._connection is not None:
            return
        if self._path is not None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives its -wal and -shm the same mode. Never opened where it is there already:
            # closing it would drop the locks that this process holds on it.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        self._connection = sqlite3.connect(
            ":memory:" if self._path is None else self._path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            # The ledger's thread is not the one that opens it.
            check_same_thread=False,
        )
        try:
            self._prepare(self._connection)
        except BaseException:
            self.close()
            raise

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self._write_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {64 << 20}")
        connection.create_function("local_label", 3, _label, deterministic=True)
        connection.create_function("tag_of", 2, _tag, deterministic=True)
        if self._version(connection) == VERSION:
            return
        self.begin("alone")
        try:
            for number, script in enumerate(
                pending("sqlite", version := self._version(connection), self.place), version + 1
            ):
                for statement in script:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(f"PRAGMA application_id = {_OURS}")
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def _version(self, connection: sqlite3.Connection) -> int:
        ((version,),) = connection.execute("PRAGMA user_version")
        ((owner,),) = connection.execute("PRAGMA application_id")
        ((tables,),) = connection.execute("SELECT COUNT(*) FROM sqlite_master")
        if owner != _OURS and (owner or version or tables):
            raise LedgerError(
                f"{self.place} is another program's database: name another file ([ledger] url)"
            )
        return int(version)

    @staticmethod
    def _write_ahead(connection: sqlite3.Connection) -> None:
        # Several who open a new file at once disturb each other here, and SQLite's own waiting
        # does not cover this one statement.
        end = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as exc:
                if _code(exc) != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.01)
            else:
                return

    def begin(self, mode: Mode) -> None:
        """Start a transaction. There is only one writer at a time."""
        self._open().execute("BEGIN" if mode == "read" else "BEGIN IMMEDIATE")

    def commit(self) -> None:
        """End it; all of it happened."""
        self._open().execute("COMMIT")

    def rollback(self) -> None:
        """End it, if one is open: a full disk has ended it already."""
        if self._connection is not None and self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def query(self, sql: str, values: Values = ()) -> list[Any]:
        """The rows that a statement gives."""
        return self._open().execute(sql, values).fetchall()

    def change(self, sql: str, values: Values = ()) -> int:
        """How many rows a statement changed."""
        return self._open().execute(sql, values).rowcount

    def change_each(self, sql: str, batch: Sequence[Values]) -> None:
        """The same statement for each of many values."""
        self._open().executemany(sql, batch)

    def make_room(self, rows: Sequence[Row]) -> None:
        """Nothing: a table grows by itself."""

    def insert_rows(self, rows: Sequence[Row]) -> set[bytes]:
        """Write the rows whose ids are new; which these were. Nobody else writes meanwhile."""
        new = {row.id: row for row in reversed(rows)}
        ids = list(new)
        for first in range(0, len(ids), _CHUNK):
            part = ids[first : first + _CHUNK]
            for (known,) in self.query(
                f"SELECT id FROM attempt WHERE id IN ({numbered(len(part))})",  # noqa: S608
                part,
            ):
                del new[known]
        batch = [to_columns(new[key]) for key in sorted(new)]
        whole = len(batch) - len(batch) % _TOGETHER
        for first in range(0, whole, _TOGETHER):
            self.change(_INSERT_SOME, list(chain(*batch[first : first + _TOGETHER])))
        self.change_each(_INSERT, batch[whole:])
        return set(new)

    def lock_tokens(self, keys: Sequence[str], *, shared: bool) -> None:
        """Nobody else writes meanwhile."""

    def set_counters(self, amounts: Sequence[tuple[int, int, str]]) -> None:
        """Bound and cost of counters, by key."""
        self.change_each("UPDATE counter SET bound = ?, cost = ? WHERE key = ?", amounts)

    def drop_rows(self, end: bytes, drift: int) -> bool:
        """Delete some of the rows whose ids are below this one, and that began before its time."""
        del drift
        start = made_at(end)
        chosen = "SELECT id FROM attempt WHERE id < ? AND at < ? ORDER BY id LIMIT ?"
        gone = self.change(f"DELETE FROM attempt WHERE id IN ({chosen})", (end, start, _DROPPED))  # noqa: S608
        return gone < _DROPPED

    def exact(self, expression: str) -> str:
        """Two columns: the sum of the upper halves and of the lower ones. A whole one overflows."""
        upper, lower = f"{expression} >> 32", f"{expression} & 4294967295"
        return f"COALESCE(SUM({upper}), 0), COALESCE(SUM({lower}), 0)"

    def halves(self, expression: str) -> tuple[str, str]:
        """Two expressions: of a sum what one column holds, and the rest of it in units of 2³²."""
        upper, lower = f"SUM({expression} >> 32)", f"COALESCE(SUM({expression} & 4294967295), 0)"
        fits = f"COALESCE({upper}, 0) < {2**29}"
        whole = f"(COALESCE({upper}, 0) << 32) + {lower}"
        return (
            f"CASE WHEN {fits} THEN {whole} ELSE {lower} END",
            f"CASE WHEN {fits} THEN 0 ELSE {upper} END",
        )

    def use_zone(self, timezone: str) -> None:
        """Check the zone, which :meth:`local` takes as a value."""
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise LedgerError(f"{timezone!r} is not the name of a time zone") from exc

    def local(self, unit: str) -> str:
        """An expression with the zone as its value: SQLite knows none, so Python tells it."""
        # Within a quarter of an hour nothing changes in any zone.
        return f"local_label('{unit}', ?, at / 900000000)"

    def tag(self) -> str:
        """An expression with one value: a row's tag of that name, or ``NULL``."""
        return "tag_of(tags, ?)"

    def again(self, error: BaseException) -> bool:
        """Never: one writer at a time meets nobody."""
        del error
        return False

    def fault(self, error: BaseException) -> LedgerError:
        """What went wrong, and the way out."""
        if isinstance(error, LedgerError):
            return error
        way_out = _WAYS_OUT.get(_code(error)) or str(error) or type(error).__name__
        return LedgerError(f"the ledger at {self.place}: {way_out}")

    def stop(self) -> None:
        """Break off the statement that another thread is waiting for, if any."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.interrupt()

    def close(self) -> None:
        """Disconnect. Safe to call twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise LedgerError(f"the ledger at {self.place} is closed")
        return self._connection


def _code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _tag(tags: str | None, name: str) -> str | None:
    return None if tags is None else msgspec.json.decode(tags, type=dict[str, str]).get(name)


@functools.lru_cache(maxsize=8192)
def _label(unit: str, timezone: str, quarter: int) -> str:
    local = dt.datetime.fromtimestamp(quarter * 900, ZoneInfo(timezone))
    if unit == "month":
        return f"{local:%Y-%m}"
    if unit == "day":
        return f"{local:%Y-%m-%d}"
    return local.replace(minute=0, second=0).isoformat(timespec="minutes")
