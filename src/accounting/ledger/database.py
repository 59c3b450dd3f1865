"""What :class:`~switchgear.accounting.ledger.sql.SqlStore` asks of a database's driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias

from ...errors import LedgerError
from .row import Row

__all__ = ["Database", "Mode", "Values", "numbered"]

Mode: TypeAlias = Literal["read", "write", "alone", "roll"]
"""``read``: one view of everything, nothing is written. ``write``: what is read with
``for_update`` stays as it is until the end. ``alone``: nobody else writes at all. ``roll``: adds up
what nobody changes, for minutes, beside those who book."""

Values: TypeAlias = Sequence[Any]


class Database(Protocol):
    """A connection that speaks the common part of SQL, with ``?`` for values.

    Attributes:
        place: Where it is, for messages: never with a password.
        for_update: What ends a ``SELECT`` whose rows must not change until the transaction ends.
        unless_locked: The same as ``for_update``, without rows that somebody has locked already.
        one_writer: Whoever writes keeps everybody else from it.
    """

    place: str
    for_update: str
    unless_locked: str
    one_writer: bool

    def open(self) -> None:
        """Connect, unless connected, and bring the tables to this version."""

    def begin(self, mode: Mode) -> None:
        """Start a transaction."""

    def commit(self) -> None:
        """End it; all of it happened."""

    def rollback(self) -> None:
        """End it, if one is open; nothing of it happened. Never raises."""

    def query(self, sql: str, values: Values = ()) -> list[Any]:
        """The rows that a statement gives."""

    def change(self, sql: str, values: Values = ()) -> int:
        """How many rows a statement changed."""

    def change_each(self, sql: str, batch: Sequence[Values]) -> None:
        """The same statement for each of many values."""

    def make_room(self, rows: Sequence[Row]) -> None:
        """Prepare for these rows, before the transaction that inserts them."""

    def insert_rows(self, rows: Sequence[Row]) -> set[bytes]:
        """Write the rows whose ids are new; which these were."""

    def lock_tokens(self, keys: Sequence[str], *, shared: bool) -> None:
        """Keep the tokens of these counters from being moved, or from being relied on as well.

        First come, first served, until the transaction ends.
        """

    def set_counters(self, amounts: Sequence[tuple[int, int, str]]) -> None:
        """Bound and cost of counters, by key, which this transaction has locked."""

    def drop_rows(self, end: bytes, drift: int) -> bool:
        """Delete the rows whose ids are below the first one of a month, and that began before it.

        Answers whether these were all: it may be some of very many. ``drift``: microseconds by
        which the two times are apart at most.
        """

    def exact(self, expression: str) -> str:
        """Two columns: a sum's upper part, in units of 2³², and the rest of it, at any size."""

    def halves(self, expression: str) -> tuple[str, str]:
        """Two expressions: of a sum what one column holds, and the rest of it in units of 2³²."""

    def use_zone(self, timezone: str) -> None:
        """Let :meth:`local` mean this zone until the transaction ends."""

    def local(self, unit: str) -> str:
        """An expression: the label of the local ``hour``, ``day`` or ``month`` of a row."""

    def tag(self) -> str:
        """An expression with one value: a row's tag of that name, or ``NULL``."""

    def again(self, error: BaseException) -> bool:
        """Whether the transaction only met another one, and may be tried again as a whole."""

    def fault(self, error: BaseException) -> LedgerError:
        """What went wrong, and the way out."""

    def stop(self) -> None:
        """Break off the statement that another thread is waiting for, if any. Never raises."""

    def close(self) -> None:
        """Disconnect. Safe to call twice."""


def numbered(count: int) -> str:
    """Room for so many values: ``?, ?, ?``."""
    return ", ".join(["?"] * count)
