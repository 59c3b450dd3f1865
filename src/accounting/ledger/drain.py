"""The database's side of a ledger: a store that opens when it can, and batches booked into it.

All of it runs on one thread, the one that owns the store.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from ...errors import LedgerError
from .encoding import decode
from .journal import Batch, Mark
from .row import Row
from .segment import END
from .store import Booked, Counted, Store

__all__ = ["Drain", "Load", "Progress"]

_log = logging.getLogger("switchgear.accounting")

_T = TypeVar("_T")

_CHUNK: Final = 500
"""Rows of one transaction."""
_CHUNKS: Final = 4
"""Transactions in a row, before somebody else gets his turn."""


class Load(NamedTuple):
    """What is to be booked.

    Attributes:
        after: The number up to which everything is booked.
        limit: The number of the last record.
        mark: Where the unbooked part of the journal begins.
        batch: That part; ``None`` where there is none.
        kept: Rows that are in memory, with their numbers, ascending.
        ask: The rules whose counters to report on.
    """

    after: int
    limit: int
    mark: Mark
    batch: Batch | None
    kept: list[tuple[int, Row]]
    ask: frozenset[Counted]


class Progress(NamedTuple):
    """How far booking has come.

    Attributes:
        upto: The number up to which everything is booked now.
        mark: The same as a place in the journal.
        booked: What each transaction did.
        error: Why it went no further; ``None`` where it did not have to, or others have a turn.
    """

    upto: int
    mark: Mark
    booked: list[tuple[int, Booked]]
    error: LedgerError | None


class Drain:
    """A store that is opened when it is first needed, and again until that works.

    Args:
        make: Makes the store, which need not be open yet.
        writer: Whose journal is booked.
        rules: What is counted.
        name: The ledger's, for messages.

    Attributes:
        since: Microseconds since 1970 from which the rules count.
    """

    def __init__(
        self, make: Callable[[], Store], writer: str, rules: Sequence[Counted], name: str
    ) -> None:
        self.since = 0
        self._make = make
        self._writer = writer
        self._rules = rules
        self._name = name
        self._store: Store | None = None
        self._opened = False

    @property
    def opened(self) -> bool:
        """The store has been reached."""
        return self._opened

    def open(self) -> Store:
        """The store, connected.

        Raises:
            LedgerError: It can't be reached.
        """
        if self._store is None or not self._opened:
            try:
                self._store = self._opened_store()
            except LedgerError:
                raise
            except Exception as error:
                raise LedgerError(f"the ledger {self._name} can't be opened: {error}") from error
            self._opened = True
        return self._store

    def _opened_store(self) -> Store:
        store = self._make() if self._store is None else self._store
        store.open()
        if self._rules:
            store.register(self._rules, self.since)
        return store

    def run(self, operation: Callable[[Store], _T]) -> _T:
        """Do something with the store.

        Raises:
            LedgerError: It can't be reached.
        """
        return operation(self.open())

    def book(self, load: Load) -> Progress:
        """Book as much of a load as is one turn. Never raises."""
        upto, mark = load.after, load.mark
        booked: list[tuple[int, Booked]] = []
        rows: list[Row] = []
        number = load.after
        try:
            for number, row, here in _merged(load):
                rows.append(row)
                mark_now = here or mark
                if len(rows) == _CHUNK:
                    booked.append((number, self._book(number, rows, load.ask)))
                    upto, mark, rows = number, mark_now, []
                    if len(booked) == _CHUNKS:
                        return Progress(upto, mark, booked, None)
            if rows:
                booked.append((load.limit, self._book(load.limit, rows, load.ask)))
        except LedgerError as error:
            return Progress(upto, mark, booked, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rows must not be lost
            _log.exception("booking into %s failed", self._name)
            wrapped = LedgerError(f"the ledger {self._name} can't be written: {error!r}")
            wrapped.__cause__ = error
            return Progress(upto, mark, booked, wrapped)
        stop = load.batch.stop if load.batch is not None else mark
        return Progress(load.limit, stop, booked, None)

    def _book(self, upto: int, rows: Sequence[Row], ask: frozenset[Counted]) -> Booked:
        return self.open().book(self._writer, upto, rows, ask)

    def finish(self, clean: bool) -> bool:  # noqa: FBT001 - what it says is all it asks
        """Give back the leases of a writer that leaves nothing behind, and let go of the store.

        Answers whether the writer needs nobody to follow it.
        """
        try:
            if clean and self._opened:
                self.open().adopt(self._writer, ())
            self.close()
        except Exception as error:  # noqa: BLE001 - the journal is still to be closed
            _log.warning("the ledger %s did not close well: %s", self._name, error)
            return False
        return clean

    def close(self) -> None:
        """Let go of the store."""
        store, self._store, self._opened = self._store, None, False
        if store is not None:
            store.close()


def _merged(load: Load) -> Iterator[tuple[int, Row, Mark | None]]:
    """The rows of journal and memory by ascending number, each with its place in the journal."""
    kept = deque(load.kept)
    last = load.after
    for number, row, mark in _read(load):
        while kept and kept[0][0] < number:
            last = kept[0][0]
            yield *kept.popleft(), None
        if number > last:  # else a copy, written late, of one that came out of memory
            last = number
            yield number, row, mark
        if kept and kept[0][0] == number:
            kept.popleft()
    for number, row in kept:
        if number > last:
            yield number, row, None


def _read(load: Load) -> Iterator[tuple[int, Row, Mark]]:
    if load.batch is None:
        return
    for record, mark in load.batch.read():
        if record.kind == END:
            try:
                row = decode(record.payload)
            except msgspec.MsgspecError:
                _log.exception("a record can't be read again; its attempt is not booked")
                continue
            yield record.number, row, mark
