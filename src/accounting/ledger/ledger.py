"""The ledger as the event loop sees it.

An attempt is written down twice: ``begin`` before it is sent, ``end`` when it is over. Both go into
the journal, which survives the process; every 50 ms what ended is booked into the database, by a
thread, and whoever listens is told. What a killed process leaves in its journal is booked by the
next ledger that opens the same database, or by one that is open.

Threads of its own, each started when it is first needed: one owns the database, one makes and
removes files and writes while the disk is slow, one reads for reports. A database that hangs
therefore never stands in the way of the journal. A ledger in memory has none.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from ...clock import Clock
from ...config.ledger import LedgerConfig
from ...errors import LedgerError
from .drain import Drain
from .files import Files, RealFiles
from .intake import Intake
from .journal import Journal
from .pace import BookedListener, Pace
from .place import place_of
from .recovery import adopt_dead
from .row import Row
from .store import Counted, Store
from .stores import check_plugin, open_store

__all__ = ["BookedListener", "Ledger"]

_log = logging.getLogger("switchgear.accounting")

_T = TypeVar("_T")

_ADOPT_EVERY: Final = 5.0
"""Seconds between looks for writers that died."""
_PATIENCE: Final = 5.0
"""Seconds that opening waits for a database, and closing for everything."""
_ROLL_UP_EVERY: Final = 60.0
"""Seconds between looks for an hour whose sums are to be kept."""
_OPEN_AGAIN: Final = 1.0
"""Seconds until a ledger that could not be opened is tried again."""
_MB: Final = 1024 * 1024


class Ledger:
    """Writes down attempts, and books them.

    Belongs to the event loop on which it is opened, and to this process: a forked child needs one
    of its own.

    Args:
        config: The ``[ledger]`` table.
        clock: For when to try again what failed.
        base: The configuration's folder, for relative paths.
        ask: The rules whose counters listeners want to hear about.
        rules: What is counted; registered in the database when it is opened.
        store: Makes another store than the configuration's, which need not be open yet.
        files: Another file system.
        timer: Seconds, to measure the disk with; called from several threads.

    Attributes:
        holder: The name of this ledger's journal, under which budgets hold their leases.
        on_booked: Called after each transaction.
        opened: ``ready`` has nothing to do any more.

    Raises:
        ConfigError: The configuration's URL names no ledger.
        PluginError: The plugin that serves it can't be imported.
    """

    def __init__(
        self,
        config: LedgerConfig,
        *,
        clock: Clock,
        base: Path | None = None,
        ask: Callable[[], frozenset[Counted]] | None = None,
        rules: Sequence[Counted] = (),
        store: Callable[[], Store] | None = None,
        files: Files | None = None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        place = place_of(config, base)
        if store is None:
            check_plugin(place.url)
        self._make = store or functools.partial(open_store, place.url)
        self.holder = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._place = place
        self._fails = config.fails
        self._clock = clock
        self._pid = os.getpid()
        self._files = files if files is not None else RealFiles()
        self._journal: Journal | None = None
        if place.journal is not None:
            limit = config.journal_mb * _MB
            self._journal = Journal(self._files, place.journal, self.holder, limit)
        self._intake = Intake(
            self._journal,
            place.name,
            fails=config.fails,
            clock=clock,
            timer=timer,
        )
        self._store = Drain(self._make, self.holder, rules, place.name)
        self._pace = Pace(self._intake, self._store, place.name, clock=clock, ask=ask or frozenset)
        self.on_booked = self._pace.listeners
        self.opened = False
        self._refused: tuple[float, LedgerError] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: dict[str, ThreadPoolExecutor] = {}
        self._adoption: asyncio.TimerHandle | None = None
        self._adopting: asyncio.Future[int] | None = None
        self._unreadable: set[str] = set()
        self._rolling: asyncio.TimerHandle | None = None
        self._rolled: asyncio.Future[None] | None = None
        self._roll_up_from = 0
        # Stores of other threads than the one that books.
        self._aside: set[Store] = set()

    @property
    def name(self) -> str:
        """Where the database is, to be shown: without a password."""
        return self._place.name

    @property
    def lasting(self) -> bool:
        """What is booked outlives this process."""
        return self._place.journal is not None

    @property
    def position(self) -> int:
        """The number of the last record."""
        return self._intake.position

    @property
    def booked(self) -> int:
        """The number up to which everything is in the database."""
        return self._pace.booked

    # Attempts

    def begin(self, row: Row) -> Awaitable[None] | None:
        """Write down an attempt, before anything of it is sent.

        Args:
            row: As it is to be booked if this process dies now: lost, bound by what is set aside.

        Returns:
            ``None``: it is written. Else what to wait for, because the disk is slow or room has to
            be made; who is cancelled over it calls ``drop``.

        Raises:
            LedgerError: It can't be written, and the configuration says to fail then (also out of
                the wait); or this is a forked child.
        """
        return self._intake.begin(row)

    def end(self, row: Row) -> Awaitable[None] | None:
        """Write down how an attempt ended. Neither this nor the wait ever raises.

        Returns:
            ``None``: it is safe from the death of this process. Else what to wait for until it is.
            Whoever does not wait loses nothing but that knowledge.
        """
        return self._intake.end(row)

    def drop(self, attempt: bytes) -> Awaitable[None] | None:
        """Write down that an attempt which began was provably never sent. Never raises."""
        return self._intake.drop(attempt)

    # Opening

    async def ready(self) -> None:
        """Open the ledger, once; everything else wants it open.

        Callers share one opening, which goes on if one of them is cancelled.

        Raises:
            LedgerError: It can't be opened, and the configuration says to fail then; or it is
                closed, belongs to another event loop, or this is a forked child.
        """
        if self.opened and self._closing is None:
            return
        self._check()
        if self._opening is None or self._opening.done():
            if self._refused is not None and self._clock.monotonic() < self._refused[0]:
                raise LedgerError(self._refused[1].message) from self._refused[1]
            self._opening = self._running_loop().create_task(self._open())
            self._opening.add_done_callback(_look_at)
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        loop = self._running_loop()
        self._store.since = int(self._clock.now() * 1_000_000)
        try:
            if self._journal is None:
                self._pace.bind(loop, None)
                self._store.open()
            else:
                self._pace.bind(loop, lambda booking: self._on("store", booking))
                self._intake.bind(loop, self._thread("disk"))
                await self._open_journal(self._journal)
                await self._open_store()
        except LedgerError as error:
            self._refused = (self._clock.monotonic() + _OPEN_AGAIN, error)
            raise
        self.opened = True
        if self._journal is not None:
            self._adoption = loop.call_later(_ADOPT_EVERY, self._look_for_dead)
            self._rolling = loop.call_later(_ROLL_UP_EVERY, self._look_for_hours)

    async def _open_journal(self, journal: Journal) -> None:
        try:
            await self._on("disk", self._make_folders)
            await self._on("disk", journal.open)
        except OSError as error:
            self._intake.trouble(error)

    def _make_folders(self) -> None:
        if self._place.local:
            Path(self._place.name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def _open_store(self) -> None:
        opening = self._on("store", self._store.open)
        await asyncio.wait({opening}, timeout=_PATIENCE)
        error: BaseException | None
        if opening.done():
            error = opening.exception()
        else:
            error = LedgerError(f"the ledger {self.name} did not answer within {_PATIENCE:g} s")
        if error is None:
            await self._adopt()
        elif isinstance(error, LedgerError) and not (self._place.local and self._fails):
            # A server comes back; until then the journal is as good. A file does not by itself.
            self._pace.failed(error)
        else:
            raise error

    # The database

    async def do(self, operation: Callable[[Store], _T]) -> _T:
        """Do something with the database, after what was handed to it before.

        Once handed over it is done, also if the waiter is cancelled: who takes something from the
        database (a lease) must wait in a task of his own that nobody cancels.

        Args:
            operation: Called with the store, in the thread that owns it.

        Raises:
            LedgerError: The database can't be reached, or did not do it.
        """
        self._check()
        await self.ready()
        if self._journal is None:
            return self._store.run(operation)
        if not self._store.opened and (error := self._pace.away()) is not None:
            # Else each caller would wait in turn until a server that is away does not answer.
            raise LedgerError(error.message) from error
        return await asyncio.shield(self._on("store", lambda: self._store.run(operation)))

    async def read(self, operation: Callable[[Store], _T]) -> _T:
        """Ask the database something that may take long, beside what is booked meanwhile.

        Args:
            operation: Called with a store of its own, in a thread of its own.

        Raises:
            LedgerError: The database can't be reached, or did not answer.
        """
        self._check()
        await self.ready()
        if self._journal is None:
            return self._store.run(operation)
        return await asyncio.shield(self._on("reader", lambda: self._asked(operation)))

    def _asked(self, operation: Callable[[Store], _T]) -> _T:
        store = self._make()
        self._aside.add(store)
        try:
            store.open()
            return operation(store)
        finally:
            self._aside.discard(store)
            store.close()

    async def flush(self) -> None:
        """Wait until everything that has ended so far is in the database.

        Raises:
            LedgerError: The database does not take it. It is kept and tried again.
        """
        self._check()
        await self.ready()
        await self._pace.flush()

    # The dead

    async def adopt_now(self) -> int:
        """Book what writers that died left behind. Answers with how many attempts were new.

        Raises:
            LedgerError: The database can't be reached.
        """
        self._check()
        await self.ready()
        return await asyncio.shield(self._adopted()) if self._journal is not None else 0

    async def _adopt(self) -> None:
        try:
            await asyncio.shield(self._adopted())
        except LedgerError as error:
            _log.warning("what other writers left behind is not booked yet: %s", error)

    def _adopted(self) -> asyncio.Future[int]:
        if self._adopting is None or self._adopting.done():
            self._adopting = self._on("store", self._adopt_dead)
        return self._adopting

    def _adopt_dead(self) -> int:
        folder = self._place.journal
        if folder is None:
            return 0
        store = self._store.open()
        return adopt_dead(folder, self._files, store, but=self.holder, known=self._unreadable)

    def _look_for_dead(self) -> None:
        if self._loop is not None and self._closing is None:
            self._adopted()
            self._adoption = self._loop.call_later(_ADOPT_EVERY, self._look_for_dead)

    # Sums

    def _look_for_hours(self) -> None:
        if self._loop is not None and self._closing is None:
            idle = self._rolled is None or self._rolled.done()
            if idle and self._clock.now() * 1_000_000 >= self._roll_up_from:
                self._rolled = self._on("roller", self._roll_up)
            self._rolling = self._loop.call_later(_ROLL_UP_EVERY, self._look_for_hours)

    def _roll_up(self) -> None:
        now = int(self._clock.now() * 1_000_000)
        try:
            self._roll_up_from = self._asked(lambda store: store.roll_up(now))
        except LedgerError as error:
            if self._closing is None:
                _log.warning("sums of the last hours are not kept yet: %s", error)

    # The end

    async def aclose(self) -> None:
        """Book what there is and let go of everything, within seconds. Safe to call twice.

        What the database does not take stays in the journal for the next ledger that opens it.
        """
        if os.getpid() != self._pid:
            return
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                if self._opening is not None:
                    await asyncio.wait({self._opening})
                if self.opened:
                    await self._pace.flush()
        except (LedgerError, TimeoutError) as error:
            _log.warning(
                "the ledger %s is closed before everything is booked: %s", self.name, error
            )
        self._intake.close()
        self._pace.stop()
        if self._adoption is not None:
            self._adoption.cancel()
        if self._rolling is not None:
            self._rolling.cancel()
        # Else a process could not end before its report, or the sums of an hour, are made.
        for store in tuple(self._aside):
            await asyncio.to_thread(store.stop)
        if self._journal is None:
            self._store.close()
            return
        clean = self._pace.booked >= self.position and self._intake.empty
        try:
            async with asyncio.timeout(_PATIENCE):
                clean = await asyncio.shield(self._on("store", lambda: self._store.finish(clean)))
                await asyncio.shield(self._on("disk", lambda: self._journal_closed(clean)))
        except TimeoutError:
            _log.warning("the ledger %s did not close in time", self.name)
        for thread in self._threads.values():
            thread.shutdown(wait=False)

    def _journal_closed(self, clean: bool) -> None:  # noqa: FBT001 - called by name just above
        if self._journal is not None:
            self._journal.close(remove=clean)

    # Loop and threads

    def _check(self) -> None:
        if os.getpid() != self._pid:
            raise LedgerError(
                f"the ledger {self.name} belongs to the parent of this process; open another one"
            )
        if self._closing is not None:
            raise LedgerError(f"the ledger {self.name} is closed")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise LedgerError(f"the ledger {self.name} belongs to another event loop")

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop or asyncio.get_running_loop()

    def _thread(self, name: str) -> ThreadPoolExecutor:
        if name not in self._threads:
            prefix = f"switchgear-ledger-{name}"
            self._threads[name] = ThreadPoolExecutor(1, thread_name_prefix=prefix)
        return self._threads[name]

    def _on(self, thread: str, operation: Callable[[], _T]) -> asyncio.Future[_T]:
        future = self._running_loop().run_in_executor(self._thread(thread), operation)
        future.add_done_callback(_look_at)
        return future


def _look_at(future: asyncio.Future[_T]) -> None:
    # Where every waiter is gone, nobody else asks; asyncio would complain of that.
    with contextlib.suppress(asyncio.CancelledError):
        future.exception()
