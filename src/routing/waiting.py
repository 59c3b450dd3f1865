"""Nobody else is left: waiting for a candidate that could not be asked when its turn came."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, NamedTuple

from ..errors import BudgetError, LedgerError
from .breaker_values import Refusal
from .deadline import LEAST_SECONDS
from .gates import Entry

if TYPE_CHECKING:
    from ..clock import Clock
    from .account import Account, NoAccount, Subject
    from .deadline import Deadline
    from .ending import Ending
    from .gates import Gates, Visit
    from .lifecycle import Lifecycle
    from .plan import Candidate
    from .recorder import Recorder
    from .repeats import Repeats
    from .setbacks import Setbacks

__all__ = ["Admitted", "Waiting"]

_SPREAD = 0.25
"""Seconds over which those who waited for the same moment come back."""


class Admitted(NamedTuple):
    """A candidate that may be asked after all.

    Attributes:
        candidate: Which.
        entry: A place at its gates. Whoever gets this owns it.
        waited: Seconds that it took.
    """

    candidate: Candidate
    entry: Entry
    waited: float


class Waiting:
    """Waits for one call, never longer than its deadline leaves nor than the router is open.

    Args:
        setbacks: Who stands in which queue; told of those who are waited for in vain.
        repeats: What the call may still try.
        gates: Where a rate limit is waited for.
        visit: Who asks.
        account: Where room in a budget is waited for.
        subject: What is asked for, as far as its cost is concerned.
        recorder: Knows when the call began.
        deadline: The call's.
        lifecycle: Ends every wait once the router is closed.
        ending: Makes the errors that end the call.
        clock: Time.
        draw: Random numbers, to spread those who come back.
    """

    def __init__(
        self,
        setbacks: Setbacks,
        repeats: Repeats,
        *,
        gates: Gates,
        visit: Visit,
        account: Account | NoAccount,
        subject: Subject,
        recorder: Recorder,
        deadline: Deadline,
        lifecycle: Lifecycle,
        ending: Ending,
        clock: Clock,
        draw: random.Random,
    ) -> None:
        self._setbacks = setbacks
        self._repeats = repeats
        self._gates = gates
        self._visit = visit
        self._account = account
        self._subject = subject
        self._recorder = recorder
        self._deadline = deadline
        self._lifecycle = lifecycle
        self._ending = ending
        self._clock = clock
        self._draw = draw

    async def for_rate(self) -> Admitted | None:
        """The next one in whose way only a rate limit stood, the shortest wait first.

        Raises:
            LifecycleError: The router was closed.
        """
        queues = self._setbacks.queues
        while queues:
            name = min(queues, key=lambda each: queues[each][1].retry_in)
            candidate, refusal = queues.pop(name)
            if not self._repeats.may(candidate):
                continue
            if not 0 <= refusal.retry_in < self._deadline.remaining():
                continue
            began = self._recorder.elapsed()
            found = await self._in_queue(candidate, refusal)
            if (admitted := self._admitted(candidate, found, began)) is not None:
                return admitted
        return None

    async def for_budget(self) -> Admitted | None:
        """The next one in whose way only the reservations of others stood.

        What it costs is set aside; the account lets go of it where it isn't asked in the end.

        Raises:
            LifecycleError: The router was closed.
        """
        short = self._setbacks.short
        while short and self._deadline.remaining() > LEAST_SECONDS:
            candidate = short.pop(next(iter(short)))
            if not self._repeats.may(candidate):
                continue
            began = self._recorder.elapsed()
            found = await self._paid(candidate)
            if (
                found is not None
                and (admitted := self._admitted(candidate, found, began)) is not None
            ):
                return admitted
            self._account.let_go()
        return None

    def _admitted(
        self, candidate: Candidate, found: Entry | Refusal, began: float
    ) -> Admitted | None:
        if isinstance(found, Refusal):
            self._setbacks.refused(candidate, found)
            return None
        self._repeats.take(candidate)
        return Admitted(candidate, found, self._recorder.elapsed() - began)

    async def _in_queue(self, candidate: Candidate, refusal: Refusal) -> Entry | Refusal:
        """The candidate's queue; ends with the router."""
        again = self._repeats.made(candidate) > 0
        found: Entry | Refusal = refusal
        with contextlib.suppress(TimeoutError), self._lifecycle.limit(None):
            found = await self._gates.wait(
                candidate, self._visit, timeout=self._deadline.remaining(), repeat=again
            )
            if isinstance(found, Refusal) and found.waitable:
                # A cooldown, which has no queue: a little later for each, not all at once.
                pause = max(found.retry_in, 0.0) + self._draw.uniform(0.0, _SPREAD)
                if pause < self._deadline.remaining():
                    await self._clock.sleep(pause)
                    found = self._gates.enter(candidate, self._visit, repeat=again, insist=True)
        if self._lifecycle.closed:
            if isinstance(found, Entry):
                found.left()
            raise self._ending.closed()
        return found

    async def _paid(self, candidate: Candidate) -> Entry | Refusal | None:
        """A place at the gates, once there is room in the budgets; ``None`` where there is none."""
        left, paid = self._deadline.remaining(), False
        # Suppressed, since a busy loop may see both times end at once.
        with contextlib.suppress(TimeoutError), self._lifecycle.limit(left):
            try:
                await self._account.wait_for(candidate, self._subject, timeout=left - LEAST_SECONDS)
                paid = True
            except (BudgetError, LedgerError) as exc:
                self._setbacks.unaffordable(candidate, exc)
        if self._lifecycle.closed:
            raise self._ending.closed()
        if not paid:
            return None
        again = self._repeats.made(candidate) > 0
        return self._gates.enter(candidate, self._visit, repeat=again, insist=True)
