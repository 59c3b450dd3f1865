"""Hard budgets: *spent + reserved ≤ limit* at every instant, over all processes.

A process leases slices of the counters in the ledger's database and reserves inside them in memory,
so that most attempts need no I/O. Only what no slice covers is claimed from the database, by one
pump for all that wait, first come, first served.

Whatever fails on the way errs on the safe side: an amount whose claim was answered by nobody, or
whose return may not have arrived, stays leased until this process closes its books.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ...errors import LedgerError, LifecycleError
from ..ledger.row import Row
from ..ledger.store import Booked, Standing
from .applied import Applied, Rules
from .authority import Authority, Books, LedgerAuthority
from .inquiry import Inquiry
from .pump import Pump
from .queue import Waiter
from .refusals import busy, shut, unanswered
from .slices import Holding, Slices
from .watch import BudgetEvent, Watch

if TYPE_CHECKING:
    from ...clock import Clock
    from ...state.link import Link

__all__ = ["Budgets"]

T = TypeVar("T")

Errand: TypeAlias = Callable[[], Awaitable[None]]

_log = logging.getLogger("switchgear.budgets")

_TIDY = 0.25
"""Seconds after which a slice that nobody reserves from is given back."""

_LAST_SECONDS = 1.0
"""Seconds that closing waits for thresholds to be told."""

_MOST_SHUT = 4096
"""Closed counters remembered; each is one period's, so old ones do not matter."""


class Budgets:
    """The budgets of one router.

    Args:
        rules: What is configured.
        ledger: Where the counters are.
        clock: Time.
        on_event: Told of thresholds, and of usages above their reservation.
        link: To the shared state that decides about hard budgets; else the database does.
    """

    def __init__(
        self,
        rules: Rules,
        ledger: Books,
        clock: Clock,
        *,
        on_event: Callable[[BudgetEvent], None],
        link: Link | None = None,
    ) -> None:
        self.rules = rules
        self.watch = Watch(rules, on_event)
        self._ledger = ledger
        self._clock = clock
        self._inquiry = Inquiry(self.standings, clock)
        self._slices = Slices()
        self._authority = self._authority_over(link)
        self._pump = Pump(
            self._slices,
            self._authority,
            ledger,
            clock,
            asked=self._asked,
        )
        self._tidying: asyncio.TimerHandle | None = None
        self._errands: set[asyncio.Task[None]] = set()
        self._closed = False
        self._silent = False
        # Operations under way, and whether one failed so that nobody knows what it did.
        self._asking = 0
        self._in_doubt = False
        # Counters that a usage above its reservation has closed; whether the database knows.
        self._shut: dict[str, bool] = {}
        if rules.any:
            ledger.on_booked.append(self._booked)

    def _authority_over(self, link: Link | None) -> Authority:
        if link is None:
            return LedgerAuthority(self._ledger, self._slices, self._return, self._see)
        from .shared import SharedAuthority

        return SharedAuthority(self._ledger, self._slices, link, self._clock, self._return)

    def hold(self, keys: tuple[str, ...], amount: int) -> Holding | None:
        """Set an amount (10⁻⁹ USD) aside now; ``None`` where that takes asking the database.

        Never overtakes one that waits for the same budget.

        Args:
            keys: The counters of the budgets that have to agree, each once.
            amount: The most that the attempt can cost.
        """
        if self._shut and not self._shut.keys().isdisjoint(keys):
            return None
        if self._pump.stands_before(keys):
            return None
        return self._slices.hold(keys, amount)

    async def reserve(
        self, applied: Sequence[Applied], amount: int, *, timeout: float, patient: bool
    ) -> Holding:
        """Set an amount (10⁻⁹ USD) aside, asking the database where no slice covers it.

        Args:
            applied: The budgets that have to agree.
            amount: The most that the attempt can cost.
            timeout: Seconds that this may take.
            patient: Wait that long where only the reservations of others stand in the way.

        Raises:
            BudgetExceededError: Too little is left.
            BudgetBusyError: Others have reserved it, and had not let go of it in time.
            LedgerError: The database can't be asked: hard budgets fail closed.
            LifecycleError: The router was closed meanwhile.
        """
        holding = self.hold(tuple(dict.fromkeys(each.key for each in applied)), amount)
        if holding is not None:
            return holding
        if self._closed:
            raise LifecycleError("the router is closed; make a new one")
        for each in applied:
            if each.key in self._shut:
                raise shut(each, amount, self._clock.now())
        waiter = Waiter(applied, amount, patient=patient)
        self._pump.add(waiter)
        try:
            await asyncio.wait([waiter.outcome], timeout=timeout)
        except asyncio.CancelledError:
            if (holding := waiter.taken()) is not None:
                self.release(holding)
            raise
        finally:
            self._pump.remove(waiter)
        if waiter.outcome.done():
            return waiter.outcome.result()
        waiter.outcome.cancel()  # an answer that is still on its way finds nobody
        if waiter.refusal is None:
            raise unanswered(applied[0], amount, timeout)
        raise busy(*waiter.refusal, amount)

    def release(self, holding: Holding) -> None:
        """The attempt was never made: all of it is free again."""
        self._slices.release(holding)
        self._pump.stir()

    def spend(self, holding: Holding, bound: int) -> int:
        """The attempt has ended; the answer belongs into its row as ``reserved``.

        Args:
            holding: What was set aside for it.
            bound: The most that it can have cost, in 10⁻⁹ USD.
        """
        if bound > holding.amount:
            self.watch.overrun(holding.keys, bound, holding.amount)
            self._shut |= {key: self._shut.get(key, False) for key in holding.keys}
        return self._slices.spend(holding, bound)

    def journalled(self, holding: Holding, used: int, position: int) -> None:
        """Its row is in the journal, as the record of that number."""
        self._slices.journalled(holding, used, position)
        self._pump.stir()
        if self._tidying is None:
            self._tidy_later()

    def settled(self, row: Row, position: int) -> None:
        """An attempt has ended; its row is in the journal, as the record of that number."""
        if self.rules.downgrades:
            self.watch.settled(row, position)

    async def standings(self, keys: Iterable[str]) -> dict[str, Standing]:
        """How counters stand, read now.

        Raises:
            LedgerError: The database can't be asked.
        """
        wanted, now = list(keys), self._now()
        found = await self._ledger.do(lambda store: store.standings(wanted, now))
        self._see(found)
        return {standing.key: standing for standing in found}

    async def part_spent(self, applied: Applied, *, timeout: float) -> float:
        """The part of a budget that is spent: all by this process, by others what was heard of.

        Args:
            applied: The budget.
            timeout: Seconds for asking the database about one that was never heard of. What it
                does not say in time is left out.
        """
        if not self.watch.knows(applied.key):
            await self._inquiry.about(applied.key, timeout=timeout)
        return self.watch.part_spent(applied)

    async def has_left(self, applied: Applied, amount: int, *, timeout: float) -> bool:
        """Whether so much (10⁻⁹ USD) of a budget is not spent, reserved or not.

        Args:
            applied: The budget.
            amount: How much.
            timeout: Seconds for asking the database. Where it does not say, what is known counts.
        """
        await self._inquiry.about(applied.key, timeout=timeout)
        return applied.key not in self._shut and self.watch.left(applied) >= amount

    async def aclose(self) -> None:
        """Send away everybody who waits. What is leased goes back as the ledger closes."""
        self._closed = True
        if self._tidying is not None:
            self._tidying.cancel()
        self._pump.send_away(LifecycleError("the router was closed during the call"))
        await self._last_thresholds()
        self._silent = True
        await self._pump.aclose()
        await self._inquiry.aclose()
        for errand in tuple(self._errands):
            errand.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)
        free = self._slices.take_back(self._slices.keys)
        if free:
            await _quietly(partial(self._authority.give_back, free))
        await self._authority.aclose()

    async def _last_thresholds(self) -> None:
        """Tell of what the last attempts passed: a short program has no other moment for it."""
        if self._silent or not (self.rules.any and self._ledger.opened):
            return
        with contextlib.suppress(TimeoutError, LedgerError):
            async with asyncio.timeout(_LAST_SECONDS):
                await self._ledger.flush()
                while self._errands:
                    await asyncio.wait(self._errands)

    # Housekeeping.

    def _booked(self, upto: int, booked: Booked) -> None:
        self._slices.booked(upto)
        self.watch.booked(upto)
        self._see(booked.standings)
        self._authority.booked(booked.standings)
        marks = self.watch.due() if not self._silent else []
        if marks:
            self._later(partial(self._announce, marks))
        self._pump.stir()

    async def _announce(self, marks: list[tuple[str, str]]) -> None:
        try:
            told = await self._ledger.do(lambda store: store.tell_once(marks))
        except LedgerError:
            self.watch.unanswered(marks)
            raise
        self.watch.announce(told)
        self.watch.answered(marks)

    def _see(self, standings: Iterable[Standing]) -> None:
        standings = list(standings)
        self.watch.see(standings)
        for standing in standings:
            if standing.closed:
                self._shut[standing.key] = True
            elif self._shut.get(standing.key):
                del self._shut[standing.key]  # somebody has opened it again
        while len(self._shut) > _MOST_SHUT:
            del self._shut[next(iter(self._shut))]

    def _tidy_later(self) -> None:
        settled = not self._in_doubt and not self._authority.owes and all(self._shut.values())
        idle = self._slices.idle and settled
        if self._tidying is None and not idle and not self._closed:
            self._tidying = asyncio.get_running_loop().call_later(_TIDY, self._tidy)

    def _tidy(self) -> None:
        self._tidying = None
        self._return(self._slices.keys, idle=True)
        if not all(self._shut.values()):
            self._later(self._shut_for_all)
        if self._in_doubt and not self._asking:
            self._later(self._trim)
        elif self._authority.owes:
            self._later(self._authority.settle)
        self._tidy_later()

    async def _shut_for_all(self) -> None:
        """Close for every process what this one has closed."""
        keys = [key for key, known in self._shut.items() if not known]
        await self._asked(self._ledger.do(lambda store: store.shut(keys)))
        self._shut |= dict.fromkeys(keys, True)

    async def _trim(self) -> None:
        """Make leases as long as what is held, where an operation failed nobody knows how far.

        Only while nothing else is under way: what is granted in that moment is not in the slices.
        """
        if self._asking:
            return
        self._in_doubt = False
        await self._asked(self._authority.trim())

    async def _asked(self, operation: Awaitable[T]) -> T:
        self._asking += 1
        try:
            return await operation
        except LedgerError:
            self._in_doubt = True
            raise
        finally:
            self._asking -= 1
            self._tidy_later()

    def _return(self, keys: Iterable[str], *, idle: bool = False) -> None:
        """Give back what is free of these counters, but for those that somebody here waits for."""
        if self._closed:
            return
        awaited = self._pump.awaited
        unwaited = [key for key in keys if key not in awaited]
        amounts = self._slices.take_back(unwaited, idle=idle)
        if amounts:
            self._later(partial(self._give_back, amounts))

    async def _give_back(self, amounts: Mapping[str, int]) -> None:
        await self._asked(self._authority.give_back(amounts))

    def _later(self, errand: Errand) -> None:
        task = asyncio.get_running_loop().create_task(_quietly(errand))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _now(self) -> int:
        return int(self._clock.now() * 1_000_000)


async def _quietly(errand: Errand) -> None:
    try:
        await errand()
    except LedgerError as exc:
        _log.warning("%s", exc.message)
