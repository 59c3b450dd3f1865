"""The months in which PostgreSQL keeps attempts: one partition each, by the time in their ids.

By id and not by ``at``, so that an id is unique in the whole table: a primary key of a partitioned
table has to hold what it is partitioned by, and ``(id, at)`` would let one attempt in twice. The
two times are as far apart as the table ``drift`` says.

What fits no month lies in ``attempt_other``: attempts of a clock that is years off, and any whose
month could not be made just then. It is part of everything that is read, and what is found there
moves into its month when that is made.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import psycopg

__all__ = ["Month", "Months"]

_log = logging.getLogger("switchgear.accounting")

_LOCK: Final = 0x53574C4D
"""The advisory lock of whoever makes a month."""
_BACK: Final = 36
"""Months before the present one that are worth a partition when an attempt of then turns up."""
_RETRY: Final = 60.0
"""Seconds until a month that could not be made is tried again."""
_LATEST: Final = int(dt.datetime(9999, 12, 1, tzinfo=dt.UTC).timestamp()) * 1000

_BEGIN: Final = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL search_path = switchgear; "
    # Whoever waits for a lock here keeps others waiting behind it; the month can wait as well.
    "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '60s'; "
    f"SELECT pg_advisory_xact_lock({_LOCK})"
)
_TABLES: Final = (
    "SELECT c.relname FROM pg_catalog.pg_inherits i"
    " JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid"
    " JOIN pg_catalog.pg_class p ON p.oid = i.inhparent"
    " JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace"
    " WHERE p.relname = 'attempt' AND n.nspname = 'switchgear'"
)


class Month(NamedTuple):
    """A month of UTC."""

    year: int
    number: int

    @classmethod
    def of(cls, identifier: bytes) -> Month:
        """The month in which an attempt's id was made."""
        stamp = min(int.from_bytes(identifier[:6], "big"), _LATEST)
        return cls.at(stamp / 1000)

    @classmethod
    def at(cls, seconds: float) -> Month:
        """The month of a moment, seconds since 1970."""
        moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
        return cls(moment.year, moment.month)

    def plus(self, months: int) -> Month:
        """So many months later."""
        year, month = divmod(self.year * 12 + self.number - 1 + months, 12)
        return Month(year, month + 1)

    @property
    def first(self) -> bytes:
        """What the first ids of it begin with."""
        moment = dt.datetime(self.year, self.number, 1, tzinfo=dt.UTC)
        return (int(moment.timestamp()) * 1000).to_bytes(6, "big")

    @property
    def table(self) -> str:
        """Its partition's name."""
        return f"attempt_{self.year:04}_{self.number:02}"


class Months:
    """Makes the partitions of a table before they are needed: of each month, the next one too.

    What it remembers only saves questions. A month that is not there, or no longer, costs nothing
    but its order: the rows go to ``attempt_other``.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._ready: set[Month] = set()
        self._not_before = 0.0

    def make_room(self, connection: psycopg.Connection, ids: Sequence[bytes]) -> None:
        """Make the months of these attempts, where they are not there; outside a transaction.

        That it fails keeps nobody from booking. A connection that breaks over it raises.
        """
        if not ids:
            return
        first, last = Month.of(min(ids)), Month.of(max(ids))
        if first == last and first in self._ready:
            return
        months = {first, last} if last <= first.plus(1) else {Month.of(each) for each in ids}
        if months <= self._ready or time.monotonic() < self._not_before:
            return
        import psycopg

        try:
            self._make(connection, months)
            self._ready |= months
        except psycopg.Error as error:
            if connection.closed:
                raise
            connection.rollback()
            self._not_before = time.monotonic() + _RETRY
            reason = " ".join(str(error).split())
            _log.warning(
                "the ledger in %s could not make the partition of a month: %s; its attempts go to "
                "attempt_other until it can",
                self._place,
                reason,
            )

    def _make(self, connection: psycopg.Connection, months: Iterable[Month]) -> None:
        # By the server's clock: one machine's, years off, must not litter the database.
        (now,) = connection.execute("SELECT extract(epoch FROM now())").fetchone() or (0,)
        present = Month.at(float(now))
        earliest, latest = present.plus(-_BACK), present.plus(1)
        wanted = {each for month in months for each in (month, month.plus(1))}
        wanted = {month for month in wanted if earliest <= month <= latest}
        for month in sorted(wanted - partitions(connection)):
            connection.execute(_BEGIN.encode())
            # Looked at again, now that nobody else makes it.
            if month not in partitions(connection):
                for statement in _statements(month):
                    connection.execute(statement.encode())
            connection.commit()


def partitions(connection: psycopg.Connection) -> set[Month]:
    """The months that there are."""
    found = set()
    for (name,) in connection.execute(_TABLES):
        _, year, month = (*str(name).split("_"), "", "")[:3]
        if year.isdigit() and month.isdigit():
            found.add(Month(int(year), int(month)))
    return found


def _statements(month: Month) -> list[str]:
    first, end = (f"'\\x{each.first.hex()}'" for each in (month, month.plus(1)))
    table, these = month.table, f"id >= {first} AND id < {end}"
    taken = f"DELETE FROM attempt_other WHERE {these} RETURNING *"  # noqa: S608 - our own pieces
    return [
        "LOCK TABLE attempt_other IN ACCESS EXCLUSIVE MODE",
        f"CREATE TABLE {table} (LIKE attempt INCLUDING DEFAULTS)",
        f"WITH taken AS ({taken}) INSERT INTO {table} SELECT * FROM taken",  # noqa: S608
        f"ALTER TABLE attempt ATTACH PARTITION {table} FOR VALUES FROM ({first}) TO ({end})",
    ]
