"""The straight line of a call: along the chain, candidate by candidate, until one answers.

Each step has its file:

- **admit**: the gates give the attempt a place, or refuse it (``gates.py``).
- **book** and **attempt**: it is put into the books, and made within its time (``attempts.py``); a
  slow one may get another one beside it (``racing.py``).
- **classify**: what its failure means (``classify.py``).
- **next**: the same candidate once more (``repeats.py``), the next one, or the end (``ending.py``).

Those who could not be asked are waited for once nobody else is left (``waiting.py``). What goes
wrong on the way is kept in one place (``setbacks.py``), and nothing may last longer than the call
(``deadline.py``).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from ..clock import Clock
from ..errors import BudgetExceededError, ContextWindowExceededError, SwitchgearError
from .attempts import Attempts
from .breaker_values import Refusal
from .classify import Verdict, classify
from .deadline import LEAST_SECONDS, Deadline
from .ending import Ending
from .lifecycle import cancellations
from .plan import Candidate, Skip
from .racing import Racing
from .repeats import Repeats
from .setbacks import Setbacks
from .waiting import Waiting

if TYPE_CHECKING:
    from .account import Account, NoAccount, Subject
    from .gates import Entry, Gates, Visit
    from .lifecycle import Lifecycle
    from .recorder import Recorder
    from .retry import Backoff
    from .terms import Limits
    from .turn import Attempt, Lost

__all__ = ["Failover"]

T = TypeVar("T")


class Failover:
    """One call's way along its candidates.

    Args:
        plan: Candidates and skips, in order.
        limits: What bounds the call.
        recorder: Where every step is written down.
        target: The group or model whose candidates these are, for messages.
        account: Where attempts are booked, and what may be spent on them.
        subject: What is asked for, as far as its cost is concerned.
        gates: Who may be asked now.
        visit: Who asks: the call's number, what it needs, how it wants its answer.
        backoff: How long to wait before a repeat.
        lifecycle: Ends the call once the router is closed.
        clock: Time.
        draw: Random numbers for the back-off.
    """

    def __init__(
        self,
        plan: Sequence[Candidate | Skip],
        limits: Limits,
        recorder: Recorder,
        *,
        target: str,
        account: Account | NoAccount,
        subject: Subject,
        gates: Gates,
        visit: Visit,
        backoff: Backoff,
        lifecycle: Lifecycle,
        clock: Clock,
        draw: random.Random,
    ) -> None:
        self._plan = plan
        self._limits = limits
        self._recorder = recorder
        self._account = account
        self._subject = subject
        self._gates = gates
        self._visit = visit
        self._lifecycle = lifecycle
        self._clock = clock
        self._draw = draw
        self._setbacks = Setbacks(recorder)
        self._ending = Ending(limits.timeout, self._setbacks, recorder, target)
        self._deadline = Deadline(limits.timeout, recorder, lifecycle, self._ending, clock)
        self._repeats = Repeats(limits.num_retries, gates, backoff, draw)
        self._attempts = Attempts(
            limits,
            account,
            subject,
            recorder=recorder,
            deadline=self._deadline,
            lifecycle=lifecycle,
            ending=self._ending,
        )
        self._cancellations = 0
        self._too_small: int | None = None

    def refusals(self) -> tuple[BudgetExceededError, ...]:
        """Why budgets had too little left for candidates, each candidate's latest."""
        unpaid = self._setbacks.unpaid.values()
        return tuple(error for error in unpaid if isinstance(error, BudgetExceededError))

    async def run(self, attempt: Attempt[T], lost: Lost[T] | None = None) -> T:
        """Try the candidates in turn until one attempt succeeds.

        Args:
            attempt: Makes one.
            lost: Told of one that was outrun; ``None`` for calls that are never hedged.

        Raises:
            AllProvidersFailedError: None did.
            DeadlineExceededError: The call's timeout ran out first.
            LifecycleError: The router is closed, or was meanwhile.
            SwitchgearError: A failure that no other candidate can mend.
        """
        self._lifecycle.check()
        self._cancellations = cancellations()
        racing = self._racing(attempt, lost)
        end = _last_candidate(self._plan)
        for position, item in enumerate(self._plan):
            if isinstance(item, Skip):
                self._setbacks.skipped(item.name, item.error)
                continue
            if (racing is not None and racing.had(position)) or self._is_too_small(item):
                continue
            last = position == end
            entry = await self._admit(item, last=last)
            if entry is None:
                continue
            beside = None if last else racing
            found = await self._try(
                item, entry, attempt, last=last, racing=beside, position=position
            )
            if found is not None:
                return found[0]
        found = await self._after_waiting(attempt)
        if found is not None:
            return found[0]
        raise self._ending.exhausted()

    async def _try(
        self,
        candidate: Candidate,
        entry: Entry,
        attempt: Attempt[T],
        *,
        last: bool,
        waited: float = 0.0,
        racing: Racing[T] | None = None,
        position: int = -1,
    ) -> tuple[T] | None:
        """One candidate's attempts. ``None`` sends the call on to the next one.

        Its place at the gates is taken already. ``racing`` makes the first attempt where that is
        hedged; ``position`` is the candidate's in the plan.
        """
        attempts, repeats = self._attempts, self._repeats
        before = repeat = repeats.made(candidate)
        # An entry may bound what a call spends on it, repeats included.
        own, until = candidate.entry.timeout, self._deadline.timeout
        if own:
            until = min(until, self._recorder.elapsed() + own)
        while True:
            turn = attempts.turn(candidate, entry, until, repeat=repeat, waited=waited, last=last)
            if racing is None or repeat:
                outcome = await attempts.make(turn, attempt)
            else:
                outcome = await racing.make(turn, position)
            if isinstance(outcome, tuple):
                return outcome
            self._setbacks.failed(turn, outcome)
            if turn.booked is None:
                return None  # not sent, so coming back to it is no repeat
            repeats.count(candidate)
            repeat += 1
            verdict = self._classify(outcome, candidate)
            wait = repeats.wait(candidate, verdict, outcome, repeat=repeat - before, last=last)
            if wait is None or self._recorder.elapsed() + wait >= until:
                return None
            await self._deadline.sleep(wait, outcome)
            if self._recorder.elapsed() >= until - LEAST_SECONDS:
                return None  # the wait took longer than it was meant to
            again = await self._admit(candidate, last=last)
            if again is None:
                return None
            repeats.take(candidate)
            entry, waited = again, wait

    async def _admit(self, candidate: Candidate, *, last: bool) -> Entry | None:
        """A place at the candidate's gates; ``None`` where they refuse, which is written down.

        Waits only for the word of a fleet, and only where this replica's part is used up.
        """
        asked = self._gates.ask(candidate, self._visit)
        if asked is not None:
            await self._deadline.within(asked)
        again = self._repeats.made(candidate) > 0
        entry = self._gates.enter(candidate, self._visit, repeat=again, insist=last)
        if isinstance(entry, Refusal):
            self._setbacks.refused(candidate, entry)
            return None
        return entry

    def _classify(self, error: SwitchgearError, candidate: Candidate) -> Verdict:
        """What a failure means, where the call goes on after it; raises where it ends here."""
        if cancellations() > self._cancellations:
            # A plugin swallowed the cancellation of this call; the call heeds it all the same.
            raise asyncio.CancelledError
        if self._lifecycle.closed:
            raise self._ending.closed() from error
        verdict = classify(error)
        if not self._may_go_on(verdict, candidate):
            raise self._ending.by(error)
        self._deadline.check()
        return verdict

    def _may_go_on(self, verdict: Verdict, candidate: Candidate) -> bool:
        """Whether any other attempt can mend this failure."""
        if verdict.next == "larger-window":
            self._too_small = max(self._too_small or 0, candidate.capabilities.context_window or 0)
            return True
        if verdict.next == "if-configured":
            return self._limits.after_refusal
        return verdict.next == "yes"

    def _is_too_small(self, candidate: Candidate) -> bool:
        """Whether the prompt was too long for as large a window already, which is written down."""
        small, window = self._too_small, candidate.capabilities.context_window
        if small is None or window is None or window > small:
            return False
        reason = f"its window of {window} tokens is no larger"
        self._setbacks.skipped(candidate.name, ContextWindowExceededError(reason))
        return True

    async def _after_waiting(self, attempt: Attempt[T]) -> tuple[T] | None:
        """Nobody else is left: those who can be waited for, first at rate limits."""
        if not (self._setbacks.queues or self._setbacks.short):
            return None
        waiting = self._waiting()
        while (place := await waiting.for_rate()) is not None:
            found = await self._try(
                place.candidate, place.entry, attempt, last=True, waited=place.waited
            )
            if found is not None:
                return found
        try:
            while (place := await waiting.for_budget()) is not None:
                found = await self._try(
                    place.candidate, place.entry, attempt, last=True, waited=place.waited
                )
                if found is not None:
                    return found
        finally:
            self._account.let_go()
        return None

    def _racing(self, attempt: Attempt[T], lost: Lost[T] | None) -> Racing[T] | None:
        """Makes the attempts of a hedged call; ``None`` where it is none."""
        after = self._limits.hedging
        if lost is None or after is False:
            return None
        return Racing(
            self._plan,
            after,
            attempt,
            lost,
            attempts=self._attempts,
            setbacks=self._setbacks,
            gates=self._gates,
            visit=self._visit,
            recorder=self._recorder,
            deadline=self._deadline,
        )

    def _waiting(self) -> Waiting:
        return Waiting(
            self._setbacks,
            self._repeats,
            gates=self._gates,
            visit=self._visit,
            account=self._account,
            subject=self._subject,
            recorder=self._recorder,
            deadline=self._deadline,
            lifecycle=self._lifecycle,
            ending=self._ending,
            clock=self._clock,
            draw=self._draw,
        )


def _last_candidate(plan: Sequence[Candidate | Skip]) -> int:
    last = len(plan) - 1
    while last >= 0 and isinstance(plan[last], Skip):
        last -= 1
    return last
