"""Entries in a file of SQLite, which several processes may share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from ..clock import Clock
from ..errors import ConfigError
from .store import CacheStoreSettings, StoreRefusedError, StoreStats

__all__ = ["SqliteStore", "create"]

_T = TypeVar("_T")

_USUAL_BYTES: Final = 1024 * 1024 * 1024
_BUSY_SECONDS: Final = 2.0
_OURS: Final = 0x53574743
"""The application id in the file's head: ``SWGC``."""
_VERSION: Final = 1
_TOUCHES: Final = 64
_EACH: Final = 128
"""Bytes that an entry takes besides its own."""

# "used" counts uses in the file's own time, so that clocks of processes need not agree. The sums
# are kept by triggers: adding up a gigabyte of entries at every write would take seconds.
_SCHEMA: Final = f"""
CREATE TABLE entry (
    key BLOB PRIMARY KEY, value BLOB NOT NULL, size INTEGER NOT NULL,
    expires INTEGER NOT NULL, used INTEGER NOT NULL
);
CREATE INDEX entry_used ON entry (used);
CREATE INDEX entry_expires ON entry (expires);
CREATE TABLE total (bytes INTEGER NOT NULL, entries INTEGER NOT NULL, evicted INTEGER NOT NULL);
INSERT INTO total VALUES (0, 0, 0);
CREATE TRIGGER entry_in AFTER INSERT ON entry BEGIN
    UPDATE total SET bytes = bytes + new.size, entries = entries + 1;
END;
CREATE TRIGGER entry_out AFTER DELETE ON entry BEGIN
    UPDATE total SET bytes = bytes - old.size, entries = entries - 1;
END;
CREATE TRIGGER entry_other AFTER UPDATE OF size ON entry BEGIN
    UPDATE total SET bytes = bytes + new.size - old.size;
END;
PRAGMA application_id = {_OURS};
PRAGMA user_version = {_VERSION};
"""  # noqa: S608 - a constant
_NEXT: Final = "(SELECT COALESCE(MAX(used), 0) + 1 FROM entry)"
_PUT: Final = f"""
INSERT INTO entry (key, value, size, expires, used) VALUES (?, ?, ?, ?, {_NEXT})
ON CONFLICT (key) DO UPDATE SET
    value = excluded.value, size = excluded.size, expires = excluded.expires, used = excluded.used
"""  # noqa: S608 - a constant
_TOUCH: Final = f"UPDATE entry SET used = {_NEXT} WHERE key = ?"  # noqa: S608 - a constant


class SqliteStore:
    """Entries in a file, made with mode 0600; whichever was used least lately makes room.

    A thread of its own does the work, since a disk may stall. Uses are written down together, so
    that reading does not write; those of a process that was killed may be lost.

    Args:
        path: The file. Its folder is made where it is missing.
        clock: Time.
        max_bytes: What all entries may take; the file may be somewhat larger.
        max_entry_bytes: The largest that is read.
        max_entries: How many there may be; ``None``: as many as fit.
    """

    instant = False

    def __init__(
        self,
        path: str | Path,
        clock: Clock,
        max_bytes: int,
        max_entry_bytes: int,
        max_entries: int | None = None,
    ) -> None:
        self.place = str(path)
        self._path = Path(path).expanduser()
        self._clock = clock
        self._max_bytes = max_bytes
        self._max_entry = max_entry_bytes
        self._max_entries = max_entries
        self._connection: sqlite3.Connection | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._touched: dict[bytes, None] = {}
        self._known = StoreStats()
        self._closed = False

    async def open(self) -> None:
        """Open the file, and make it where it is missing."""
        await self._run(lambda _: None)

    async def get(self, key: bytes) -> bytes | None:
        """What stands under a key and has not expired."""
        return await self._run(lambda db: self._get(db, key))

    async def put(self, key: bytes, value: bytes, ttl: float) -> None:
        """Keep something for so many seconds."""
        await self._run(lambda db: self._put(db, key, value, ttl))

    async def delete(self, key: bytes) -> None:
        """Forget what stands under a key."""
        await self._run(lambda db: _delete(db, key))

    def stats(self) -> StoreStats:
        """How full it was when it was last opened or written to by this process."""
        return self._known

    async def aclose(self) -> None:
        """Write down the last uses and close the file."""
        if self._closed:
            return
        self._closed = True
        if self._executor is None:
            return
        executor, self._executor = self._executor, None
        closing = asyncio.get_running_loop().run_in_executor(executor, self._close)
        executor.shutdown(wait=False)
        await asyncio.shield(closing)

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._closed:
            raise RuntimeError("the store is closed")
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="switchgear-cache")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: work(self._open()))

    # --- in the thread --------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives its -wal and -shm the same mode.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare(connection, self.place)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            self._known = _stats(connection)
        return self._connection

    def _get(self, db: sqlite3.Connection, key: bytes) -> bytes | None:
        found = db.execute(
            "SELECT CASE WHEN length(value) <= ? THEN value END, expires FROM entry WHERE key = ?",
            (self._max_entry, key),
        ).fetchone()
        if found is None:
            return None
        value, expires = found
        if not isinstance(value, bytes) or expires <= self._now():
            return None
        self._touched.pop(key, None)
        self._touched[key] = None
        if len(self._touched) >= _TOUCHES:
            # Only the order of making room depends on it; it will be tried again.
            with contextlib.suppress(sqlite3.OperationalError), _writing(db):
                self._touch(db)
        return value

    def _put(self, db: sqlite3.Connection, key: bytes, value: bytes, ttl: float) -> None:
        size = len(value) + _EACH
        if len(value) > self._max_entry or size > self._max_bytes:
            _delete(db, key)
            return
        now = self._now()
        try:
            with _writing(db):
                self._touch(db)
                db.execute(_PUT, (key, value, size, now + int(ttl * 1000)))
                self._make_room(db, now)
                self._known = _stats(db)
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY):
                raise StoreRefusedError(str(exc)) from exc
            raise

    def _touch(self, db: sqlite3.Connection) -> None:
        db.executemany(_TOUCH, [(key,) for key in self._touched])
        self._touched.clear()

    def _make_room(self, db: sqlite3.Connection, now: int) -> None:
        if not self._too_full(db):
            return
        db.execute("DELETE FROM entry WHERE expires <= ?", (now,))
        while over := self._too_full(db):
            oldest = db.execute("SELECT key, size FROM entry ORDER BY used LIMIT 64").fetchall()
            too_many, too_large = over
            evicted = 0
            for key, size in oldest:
                if too_many <= 0 and too_large <= 0:
                    break
                db.execute("DELETE FROM entry WHERE key = ?", (key,))
                too_many, too_large, evicted = too_many - 1, too_large - size, evicted + 1
            db.execute("UPDATE total SET evicted = evicted + ?", (evicted,))

    def _too_full(self, db: sqlite3.Connection) -> tuple[int, int] | None:
        """By how many entries and bytes; ``None`` where it is not."""
        size, entries = db.execute("SELECT bytes, entries FROM total").fetchone()
        too_many = entries - self._max_entries if self._max_entries is not None else 0
        too_large = size - self._max_bytes
        return (too_many, too_large) if entries and (too_many > 0 or too_large > 0) else None

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            with contextlib.suppress(sqlite3.Error), _writing(connection):
                self._touch(connection)
        finally:
            connection.close()

    def _now(self) -> int:
        return int(self._clock.now() * 1000)


class _writing:  # noqa: N801 - reads as a statement
    """A transaction that may write, all of it or nothing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_rest: object) -> None:
        if kind is None:
            self._db.execute("COMMIT")
        elif self._db.in_transaction:  # a full disk has ended it already
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")


def _prepare(db: sqlite3.Connection, place: str) -> None:
    _write_ahead(db)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"PRAGMA journal_size_limit = {16 << 20}")
    if _is_ours(db, place):
        return
    with _writing(db):
        if _is_ours(db, place):  # another process was quicker
            return
        for statement in _statements(_SCHEMA):
            db.execute(statement)


def _write_ahead(db: sqlite3.Connection) -> None:
    # Several who open a new file at once disturb each other here, and SQLite's own waiting does
    # not cover this one statement.
    end = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _is_ours(db: sqlite3.Connection, place: str) -> bool:
    ((version,),) = db.execute("PRAGMA user_version")
    ((owner,),) = db.execute("PRAGMA application_id")
    ((tables,),) = db.execute("SELECT COUNT(*) FROM sqlite_master")
    if owner == _OURS and version == _VERSION:
        return True
    if owner == _OURS:
        raise RuntimeError(f"{place} is of another version: delete it, or name another file")
    if owner or version or tables:
        raise RuntimeError(f"{place} is another program's database: name another file")
    return False


def _statements(script: str) -> list[str]:
    statements, lines = [], ""
    for line in script.strip().splitlines():
        lines += line + "\n"
        if sqlite3.complete_statement(lines):
            statements.append(lines)
            lines = ""
    return statements


def _delete(db: sqlite3.Connection, key: bytes) -> None:
    db.execute("DELETE FROM entry WHERE key = ?", (key,))


def _stats(db: sqlite3.Connection) -> StoreStats:
    size, entries, evicted = db.execute("SELECT bytes, entries, evicted FROM total").fetchone()
    return StoreStats(entries, size, evicted)


def create(settings: CacheStoreSettings) -> SqliteStore:
    """The store of ``sqlite:PATH``.

    Raises:
        ConfigError: No path stands in it.
    """
    if not settings.rest:
        message = 'cache.url: the path of a file stands behind "sqlite:"'
        raise ConfigError(message, param="cache.url")
    return SqliteStore(
        settings.rest,
        settings.clock,
        settings.max_bytes or _USUAL_BYTES,
        settings.max_entry_bytes,
        settings.max_entries,
    )
