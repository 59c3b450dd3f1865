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
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ...errors import LedgerError, LifecycleError
from ..ledger.store import Booked, Claim, Grant, Need, Refused, Standing, Store
from .applied import Applied, Rules
from .queue import Waiter
from .refusals import busy, exceeded, shut, unanswered
from .slices import Holding, Slices
from .watch import BudgetEvent, Watch

if TYPE_CHECKING:
    from ...clock import Clock

__all__ = ["Budgets"]

T = TypeVar("T")

_log = logging.getLogger("switchgear.budgets")

_POLL = 0.05
"""Seconds between two looks at a counter that others have reserved: the ledger's own rhythm."""

_ADOPT_EVERY = 5
"""Such looks between two for processes that died and left reservations behind."""

_TIDY = 0.25
"""Seconds after which a slice that nobody reserves from is given back."""

_LAST_SECONDS = 1.0
"""Seconds that closing waits for thresholds to be told."""

_MOST_SHUT = 4096
"""Closed counters remembered; each is one period's, so old ones do not matter."""

_AHEAD = 32
"""Attempts of the same size that a slice is extended by, where there is plenty to spare."""


class Books(Protocol):
    """What budgets need of the ledger."""

    @property
    def holder(self) -> str:
        """The name under which slices are leased."""

    @property
    def opened(self) -> bool:
        """The database is in use."""

    on_booked: list[Callable[[int, Booked], None]]

    async def do(self, operation: Callable[[Store], T]) -> T:
        """Have the database do something."""

    async def flush(self) -> None:
        """Put everything that has ended into the database."""

    async def adopt_now(self) -> int:
        """Close the books of processes that have died."""


class Budgets:
    """The budgets of one router.

    Args:
        rules: What is configured.
        ledger: Where the counters are.
        clock: Time.
        on_event: Told of thresholds, and of usages above their reservation.
    """

    def __init__(
        self,
        rules: Rules,
        ledger: Books,
        clock: Clock,
        *,
        on_event: Callable[[BudgetEvent], None],
    ) -> None:
        self.rules = rules
        self.watch = Watch(rules, on_event)
        self._ledger = ledger
        self._clock = clock
        self._slices = Slices()
        self._waiters: dict[Waiter, None] = {}
        self._pumping: asyncio.Task[None] | None = None
        self._stirred: asyncio.Event | None = None
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

    def hold(self, applied: Sequence[Applied], amount: int) -> Holding | None:
        """Set an amount (10⁻⁹ USD) aside now; ``None`` where that takes asking the database.

        Never overtakes one that waits for the same budget.
        """
        keys = tuple(dict.fromkeys(each.key for each in applied))
        if self._shut and not self._shut.keys().isdisjoint(keys):
            return None
        if any(waiter.stands_before(keys) for waiter in self._waiters):
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
        holding = self.hold(applied, amount)
        if holding is not None:
            return holding
        if self._closed:
            raise LifecycleError("the router is closed; make a new one")
        for each in applied:
            if each.key in self._shut:
                raise shut(each, amount, self._clock.now())
        waiter = Waiter(applied, amount, patient=patient)
        self._waiters[waiter] = None
        self._pump_on()
        try:
            await asyncio.wait([waiter.outcome], timeout=timeout)
        except asyncio.CancelledError:
            if (holding := waiter.taken()) is not None:
                self.release(holding)
            raise
        finally:
            del self._waiters[waiter]
            self._stir()
        if waiter.outcome.done():
            return waiter.outcome.result()
        waiter.outcome.cancel()  # an answer that is still on its way finds nobody
        if waiter.refusal is None:
            raise unanswered(applied[0], amount, timeout)
        raise busy(*waiter.refusal, amount)

    def release(self, holding: Holding) -> None:
        """The attempt was never made: all of it is free again."""
        self._slices.release(holding)
        self._stir()

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
        self._stir()
        self._tidy_later()

    async def standings(self, keys: Iterable[str]) -> dict[str, Standing]:
        """How counters stand, read now.

        Raises:
            LedgerError: The database can't be asked.
        """
        wanted, now = list(keys), self._now()
        found = await self._ledger.do(lambda store: store.standings(wanted, now))
        self._see(found)
        return {standing.key: standing for standing in found}

    async def part_spent(self, applied: Applied) -> float:
        """The part of a budget that is spent, as far as it was heard of.

        Raises:
            LedgerError: It was not heard of yet, and the database can't be asked.
        """
        part = self.watch.part_spent(applied)
        if part is None:
            await self.standings([applied.key])
            part = self.watch.part_spent(applied)
        return part or 0.0

    async def aclose(self) -> None:
        """Send away everybody who waits. What is leased goes back as the ledger closes."""
        self._closed = True
        if self._tidying is not None:
            self._tidying.cancel()
        self._send_away(LifecycleError("the router was closed during the call"))
        await self._last_thresholds()
        self._silent = True
        tasks = [*self._errands, *([self._pumping] if self._pumping is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _last_thresholds(self) -> None:
        """Tell of what the last attempts passed: a short program has no other moment for it."""
        if self._silent or not (self.rules.any and self._ledger.opened):
            return
        with contextlib.suppress(TimeoutError, LedgerError):
            async with asyncio.timeout(_LAST_SECONDS):
                await self._ledger.flush()
                while self._errands:
                    await asyncio.wait(self._errands)

    # The pump: the one task that asks the database for those who wait.

    def _pump_on(self) -> None:
        if self._pumping is None or self._pumping.done():
            self._stirred = asyncio.Event()
            self._pumping = asyncio.get_running_loop().create_task(self._pump())
        self._stir()

    async def _pump(self) -> None:
        stirred, rounds = self._stirred, 0
        while self._waiters and stirred is not None:
            stirred.clear()
            try:
                await self._serve()
                rounds += 1
                if rounds % _ADOPT_EVERY == 0:
                    await _quietly(self._ledger.adopt_now())
            except LedgerError as exc:
                self._send_away(exc)
            except Exception as exc:
                # Nobody may be left waiting for a pump that has broken down.
                error = LedgerError(f"a budget could not be asked: {exc!r}")
                error.__cause__ = exc
                self._send_away(error)
                raise
            if all(waiter.outcome.done() for waiter in self._waiters):
                # They take themselves out of the queue when they run; newcomers stir.
                await asyncio.sleep(0)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL):
                    await stirred.wait()

    async def _serve(self) -> None:
        """One round: out of the slices where they suffice, else out of the database."""
        asking = self._from_slices()
        if not asking:
            return
        touched = {key for waiter in asking for key in waiter.keys}
        if self._slices.unbooked(touched):
            # What this process has spent for certain must not look like a reservation.
            await self._ledger.flush()
        # Nor must the free parts of its own slices.
        back = self._slices.take_back(touched)
        claims = [waiter.claim() for waiter in asking]
        ahead = _ahead(claims)
        holder, now = self._ledger.holder, self._now()

        def ask(store: Store) -> tuple[list[Grant | Refused], dict[str, int]]:
            if back:
                store.give_back(holder, back)
            answers = store.claim(holder, claims, now)
            granted = any(isinstance(answer, Grant) for answer in answers)
            return answers, store.extend(holder, ahead) if granted else {}

        answers, extra = await self._asked(ask)
        for waiter, answer in zip(asking, answers, strict=True):
            self._answer(waiter, answer)
        for key, amount in extra.items():
            self._slices.grant(key, amount)
        self._tidy_later()

    def _from_slices(self) -> list[Waiter]:
        """Serve in order what slices cover; answers with those for whom the database is asked.

        One that was refused for the reservations of others stands before all that came later for
        the same budgets: else a large attempt would starve under small ones.
        """
        asking: list[Waiter] = []
        before: dict[str, Waiter] = {}
        for waiter in tuple(self._waiters):
            if waiter.outcome.done():
                continue
            first = next((before[key] for key in waiter.keys if key in before), None)
            if first is None:
                holding = self._slices.hold(waiter.keys, waiter.amount)
                if holding is not None:
                    self._give(waiter, holding)
                    continue
                asking.append(waiter)
            elif first.refusal is None:
                asking.append(waiter)
            elif not waiter.patient:
                waiter.fail(busy(*first.refusal, waiter.amount))
                continue
            for key in waiter.guarded:
                before.setdefault(key, waiter)
        return asking

    def _answer(self, waiter: Waiter, answer: Grant | Refused) -> None:
        if isinstance(answer, Grant):
            for key in waiter.keys:
                self._slices.grant(key, waiter.amount)
            holding = self._slices.hold(waiter.keys, waiter.amount)
            if holding is not None:
                self._give(waiter, holding)
            return
        self._see([answer.standing])
        refused_by = next(each for each in waiter.applied if each.key == answer.need.key)
        waiter.refusal = refused_by, answer.standing
        if answer.standing.closed:
            waiter.fail(shut(refused_by, waiter.amount, self._clock.now()))
        elif not answer.busy:
            now = self._clock.now()
            waiter.fail(exceeded(refused_by, answer.standing, waiter.amount, now))
        elif not waiter.patient:
            waiter.fail(busy(refused_by, answer.standing, waiter.amount))

    def _give(self, waiter: Waiter, holding: Holding) -> None:
        if not waiter.succeed(holding):
            self._slices.release(holding)

    def _send_away(self, error: Exception) -> None:
        for waiter in tuple(self._waiters):
            waiter.fail(error)

    # Housekeeping.

    def _booked(self, upto: int, booked: Booked) -> None:
        self._slices.booked(upto)
        self._see(booked.standings)
        wanted = [standing.key for standing in booked.standings if standing.wanted]
        if wanted:
            self._return(wanted)
        marks = self.watch.due() if not self._silent else []
        if marks:
            self._later(self._announce(marks))
        self._stir()

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
        idle = self._slices.idle and not self._in_doubt and all(self._shut.values())
        if self._tidying is None and not idle and not self._closed:
            self._tidying = asyncio.get_running_loop().call_later(_TIDY, self._tidy)

    def _tidy(self) -> None:
        self._tidying = None
        self._return(self._slices.keys, idle=True)
        if not all(self._shut.values()):
            self._later(self._shut_for_all())
        if self._in_doubt and not self._asking:
            self._later(self._trim())
        self._tidy_later()

    async def _shut_for_all(self) -> None:
        """Close for every process what this one has closed."""
        keys = [key for key, known in self._shut.items() if not known]
        await self._asked(lambda store: store.shut(keys))
        self._shut |= dict.fromkeys(keys, True)

    async def _trim(self) -> None:
        """Make leases as long as what is held, where an operation failed nobody knows how far.

        Only while nothing else is under way: what is granted in that moment is not in the slices.
        """
        if self._asking:
            return
        self._in_doubt = False
        holder, held = self._ledger.holder, self._slices.granted()
        await self._asked(lambda store: store.trim(holder, held))

    async def _asked(self, operation: Callable[[Store], T]) -> T:
        self._asking += 1
        try:
            return await self._ledger.do(operation)
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
        waited_for = {key for waiter in self._waiters for key in waiter.keys}
        unwaited = [key for key in keys if key not in waited_for]
        amounts = self._slices.take_back(unwaited, idle=idle)
        if amounts:
            holder = self._ledger.holder
            self._later(self._asked(lambda store: store.give_back(holder, amounts)))

    def _later(self, errand: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_quietly(errand))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _stir(self) -> None:
        if self._stirred is not None and self._waiters:
            self._stirred.set()

    def _now(self) -> int:
        return int(self._clock.now() * 1_000_000)


async def _quietly(errand: Coroutine[Any, Any, object]) -> None:
    try:
        await errand
    except LedgerError as exc:
        _log.warning("%s", exc.message)


def _ahead(claims: Sequence[Claim]) -> list[Need]:
    """What to lease beyond what is claimed, by counter."""
    largest: dict[str, Need] = {}
    for claim in claims:
        for need in claim.needs:
            known = largest.get(need.key)
            if known is None or need.amount > known.amount:
                largest[need.key] = need
    return [Need(need.key, need.limit, need.amount * _AHEAD) for need in largest.values()]
