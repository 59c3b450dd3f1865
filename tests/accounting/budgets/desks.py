"""Several processes' worth of budgets at one database, in one process and under virtual time.

A *desk* stands for a process: a real ``Ledger`` with a journal of its own, and real ``Budgets``
over it. All desks share one database. A desk can die: what it has in memory is gone, its journal
and its leases stay, and its lock is free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from switchgear.accounting.budgets.applied import Rules
from switchgear.accounting.budgets.budgets import Budgets
from switchgear.accounting.budgets.keys import Party
from switchgear.accounting.budgets.slices import Holding
from switchgear.accounting.budgets.watch import BudgetEvent
from switchgear.accounting.ledger.ledger import Ledger
from switchgear.accounting.ledger.row import Row, attempt_ids
from switchgear.accounting.ledger.store import Store
from switchgear.accounting.ledger.stores import open_store
from switchgear.config.budgets import BudgetRule
from switchgear.config.ledger import LedgerConfig
from switchgear.errors import LedgerError
from tests.accounting.budgets.roads import Place, Road
from tests.simulation.loop import VirtualLoop

__all__ = ["Attempt", "Desk", "Office", "OfficeClock", "hard", "rule", "soft"]

T = TypeVar("T")

EPOCH = 1_795_392_000.0
"""Midnight in UTC."""


def rule(scope: str = "global", usd: str = "1", period: str = "day", **fields: Any) -> BudgetRule:
    return BudgetRule(scope=scope, usd=Decimal(usd), period=period, **fields)  # type: ignore[arg-type]


def hard(scope: str = "global", usd: str = "1", period: str = "day", **fields: Any) -> BudgetRule:
    return rule(scope, usd, period, enforcement="hard", **fields)


def soft(scope: str = "global", usd: str = "1", period: str = "day", **fields: Any) -> BudgetRule:
    return rule(scope, usd, period, enforcement="soft", **fields)


class OfficeClock:
    """The loop's time, and a wall clock that can be set."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.shift = 0.0

    def monotonic(self) -> float:
        return self._loop.time()

    def now(self) -> float:
        return EPOCH + self._loop.time() - 1000.0 + self.shift

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class DeskStore:
    """A desk's way to the store, on which a call may fail before or after it took effect."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: Store | None = None
        self.dead = False
        self.failing: list[str] = []
        self.calls: list[str] = []
        self.on_call: Callable[[str], None] | None = None

    def open(self) -> None:
        self._alive()
        if self._store is None:
            self._store = open_store(self._url)

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        operation = getattr(self._store, name)

        def call(*arguments: Any) -> Any:
            self._alive()
            self.calls.append(name)
            if self.on_call is not None:
                self.on_call(name)
            when = self.failing.pop(0) if self.failing else ""
            if when == "before":
                raise LedgerError("the database is away")
            answer = operation(*arguments)
            if when == "after":
                raise LedgerError("the database went away before it answered")
            return answer

        return call

    def _alive(self) -> None:
        if self.dead:
            raise LedgerError("its process is dead")


class Attempt(msgspec.Struct):
    """An attempt that is under way."""

    desk: Desk
    row: Row
    holding: Holding
    ended: bool = False


class Desk:
    """One process."""

    def __init__(self, office: Office, rules: Sequence[BudgetRule]) -> None:
        self._office = office
        self.rules = Rules(rules)
        self.events: list[BudgetEvent] = []
        self.store = DeskStore(office.url)
        self.stores: list[DeskStore] = []
        config = LedgerConfig(url=office.url)
        self.ledger = Ledger(
            config,
            clock=office.clock,
            ask=lambda: self.rules.counted,
            rules=tuple(self.rules.counted),
            store=self._make_store,
            timer=lambda: 0.0,
        )
        self.road = Road(office.place, self.ledger.holder, office.delay) if office.place else None
        self.budgets = Budgets(
            self.rules,
            self.ledger,
            office.clock,
            on_event=self.events.append,
            link=self.road,
        )
        self.next_id = attempt_ids(office.clock.now)
        self.gone = False

    def _make_store(self) -> DeskStore:
        """The one that may fail; whoever only reads has one of his own."""
        self.stores.append(DeskStore(self._office.url) if self.stores else self.store)
        return self.stores[-1]

    @property
    def name(self) -> str:
        return self.ledger.holder

    async def reserve(
        self,
        amount: int,
        party: Party | None = None,
        *,
        timeout: float = 5.0,
        patient: bool = True,
    ) -> Attempt:
        """Set aside and write down, as a call does."""
        await self.ledger.ready()
        at = self._office.clock.now()
        party = party or Party()
        applied = self.rules.applying(party, at, hard=True)
        holding = await self.budgets.reserve(applied, amount, timeout=timeout, patient=patient)
        row = self.row(party, at, holding)
        waiting = self.ledger.begin(row)
        assert waiting is None
        attempt = Attempt(self, row, holding)
        self._office.attempts.append(attempt)
        return attempt

    def row(self, party: Party, at: float, holding: Holding | None) -> Row:
        identifier = self.next_id()
        return Row(
            id=identifier,
            call_id=identifier,
            at=int(at * 1_000_000),
            agent_id=party.agent_id or None,
            project_id=party.project_id or None,
            run_id=party.run_id or None,
            tags=party.tags,
            provider=party.provider,
            model=party.model,
            bound=holding.amount * 1000 if holding is not None else None,
            reserved=holding.amount if holding is not None else 0,
            budgets=holding.keys if holding is not None else (),
        )

    def end(self, attempt: Attempt, bound: int, cost: int | None = None) -> None:
        """It is over, and can have cost that much (10⁻⁹ USD)."""
        attempt.ended = True
        used = self.budgets.spend(attempt.holding, bound)
        row = msgspec.structs.replace(
            attempt.row,
            outcome="answered",
            bound=bound * 1000,
            cost=(bound if cost is None else cost) * 1000,
            reserved=used,
        )
        waiting = self.ledger.end(row)
        assert waiting is None
        self.budgets.journalled(attempt.holding, used, self.ledger.position)

    def drop(self, attempt: Attempt) -> None:
        """It was never sent."""
        attempt.ended = True
        self.ledger.drop(attempt.row.id)
        self.budgets.release(attempt.holding)

    async def spend(self, amount: int, bound: int, party: Party | None = None) -> None:
        """An attempt from begin to end."""
        self.end(await self.reserve(amount, party), bound)

    async def close(self) -> None:
        self.gone = True
        await self.budgets.aclose()
        await self.ledger.aclose()

    def die(self) -> None:
        """Like ``kill -9``: nothing more is written, nobody says goodbye, the lock is free."""
        self.gone = True
        self.store.dead = True
        # What is done in a forked child is not done: the ledger looks at its process's number.
        self.ledger._pid = self.ledger._intake._pid = -1
        journal = self.ledger._journal
        assert journal is not None
        journal.close(remove=False)

    def granted(self) -> dict[str, int]:
        """What it thinks is leased to it, without what is booked already."""
        slices = self.budgets._slices
        return {key: held.granted for key, held in slices._slices.items()}

    def used_of(self, booked: int) -> dict[str, int]:
        """What its records up to that number have used and it has not heard of yet."""
        used: dict[str, int] = {}
        for number, holding in self.budgets._slices._unbooked:
            if number <= booked:
                for key in holding.keys:
                    used[key] = used.get(key, 0) + holding.amount
        return used


class Office:
    """Desks at one store, and a loop whose time is virtual."""

    def __init__(
        self, folder: Path, *, delay: float = 0.001, late: bool = False, place: Place | None = None
    ) -> None:
        self.folder = folder
        self.delay = delay
        self.place = place
        self.loop = VirtualLoop(lambda: 0.0, executor_delay=delay, executor_late=late)
        self.clock = OfficeClock(self.loop)
        if place is not None:
            place.now = self.loop.time
        self.url = f"sqlite:{folder / 'ledger.db'}"
        self.store = open_store(self.url)
        self.desks: list[Desk] = []
        self.attempts: list[Attempt] = []

    def desk(self, *rules: BudgetRule) -> Desk:
        desk = Desk(self, rules)
        self.desks.append(desk)
        return desk

    def run(self, work: Awaitable[T]) -> T:
        asyncio.set_event_loop(None)
        return self.loop.run_until_complete(work)

    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    def live(self) -> list[Attempt]:
        return [each for each in self.attempts if not (each.ended or each.desk.gone)]

    def close(self) -> None:
        """All desks close; whatever still runs is ended."""
        for desk in self.desks:
            if not desk.gone:
                self.run(desk.close())
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.run(asyncio.wait(tasks))
        for desk in self.desks:
            for store in desk.stores:
                DeskStore.close(store)
            for thread in desk.ledger._threads.values():
                thread.shutdown(wait=False)
        self.loop.close()
        self.store.close()

    # What the database says, read past the store.

    def bounds(self) -> dict[str, int]:
        return dict(self._query("SELECT key, bound FROM counter"))

    def leases(self) -> dict[tuple[str, str], int]:
        """By counter and holder."""
        return {
            (key, who): n for key, who, n in self._query("SELECT key, holder, amount FROM lease")
        }

    def tokens(self) -> dict[str, int]:
        return dict(self._query("SELECT key, token FROM fence"))

    def leased(self, key: str) -> int:
        return sum(amount for (own, _), amount in self.leases().items() if own == key)

    def booked_up_to(self, desk: Desk) -> int:
        found = self._query("SELECT upto FROM writer WHERE name = ?", desk.name)
        return int(found[0][0]) if found else 0

    def rows(self) -> list[Row]:
        return self.store.rows(0, 2**62, limit=1_000_000)

    def _query(self, sql: str, *values: Any) -> list[Any]:
        return self.store._db.query(sql, values)  # type: ignore[attr-defined, no-any-return]
