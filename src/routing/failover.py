"""The loop of attempts: along the chain, again where that makes sense, never past the deadline."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from ..clock import Clock
from ..errors import (
    AllProvidersFailedError,
    ContextWindowExceededError,
    DeadlineExceededError,
    LifecycleError,
    ProviderError,
    RateLimitError,
    SwitchgearError,
)
from .breaker_values import Refusal
from .classify import Verdict, classify
from .gates import Entry, Gates, Visit
from .hedging import Finish, race
from .lifecycle import Lifecycle, cancellations, is_cancelled
from .plan import Candidate, Skip
from .recorder import Recorder
from .retry import Backoff
from .turn import Attempt, Hedge, Limits, Lost, Turn, broken, timed_out

__all__ = ["Failover"]

T = TypeVar("T")


_LEAST_SECONDS = 0.005
"""Less is no time for an attempt; and timers of some event loops fire so much too early."""

_SPREAD = 0.25
"""Seconds over which those who waited for the same moment come back."""


class Failover:
    """One call's way along its candidates.

    Args:
        plan: Candidates and skips, in order.
        limits: What bounds the call.
        recorder: Where every step is written down.
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
        self._gates = gates
        self._visit = visit
        self._backoff = backoff
        self._lifecycle = lifecycle
        self._clock = clock
        self._draw = draw
        self._errors: list[SwitchgearError] = []
        self._skips: list[SwitchgearError] = []
        self._hedged: set[int] = set()
        self._attempts: dict[str, int] = {}
        self._cancellations = 0
        self._queues: dict[str, tuple[Candidate, Refusal]] = {}
        self._repeats_left = limits.num_retries
        self._too_small: int | None = None

    def remaining(self) -> float:
        """Seconds that the deadline leaves; not above zero once it is over."""
        return self._limits.timeout - self._recorder.elapsed()

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
        last = _last_candidate(self._plan)
        for position, item in enumerate(self._plan):
            if isinstance(item, Skip):
                self._skip(item)
                continue
            if position in self._hedged:
                continue  # it has had its attempt, beside a slow one
            small = self._too_small
            if small is not None and small >= (item.capabilities.context_window or small + 1):
                reason = f"its window of {item.capabilities.context_window} tokens is no larger"
                self._skip(Skip(item.name, ContextWindowExceededError(reason)))
                continue
            again = item.name in self._attempts
            entry = self._gates.enter(item, self._visit, repeat=again, insist=position == last)
            if isinstance(entry, Refusal):
                self._refused(item, entry)
                continue
            hedge = None
            if lost is not None and position != last:
                hedge = self._hedge(position, attempt, lost)
            found = await self._try(item, entry, attempt, last=position == last, hedge=hedge)
            if found is not None:
                return found[0]
        found = await self._after_waiting(attempt)
        if found is not None:
            return found[0]
        raise self._exhausted()

    async def _after_waiting(self, attempt: Attempt[T]) -> tuple[T] | None:
        """Nobody else is left: wait where only a rate limit stands in the way, the shortest first.

        Never longer than the deadline leaves.
        """
        while self._queues:
            name = min(self._queues, key=lambda each: self._queues[each][1].retry_in)
            candidate, refusal = self._queues.pop(name)
            again = name in self._attempts
            if again and self._repeats_left <= 0:
                continue
            if not 0 <= refusal.retry_in < self.remaining():
                continue
            began = self._recorder.elapsed()
            entry = await self._wait_for(candidate, refusal, again=again)
            waited = self._recorder.elapsed() - began
            if isinstance(entry, Refusal):
                self._refused(candidate, entry)
                continue
            self._repeats_left -= again
            found = await self._try(candidate, entry, attempt, last=True, waited=waited)
            if found is not None:
                return found
        return None

    async def _wait_for(
        self, candidate: Candidate, refusal: Refusal, *, again: bool
    ) -> Entry | Refusal:
        """The candidate's queue; ends with the router."""
        found: Entry | Refusal = refusal
        with contextlib.suppress(TimeoutError):
            async with self._lifecycle.limit(None):
                found = await self._gates.wait(
                    candidate, self._visit, timeout=self.remaining(), repeat=again
                )
                if isinstance(found, Refusal) and found.waitable:
                    # A cooldown, which has no queue: a little later for each, not all at once.
                    pause = max(found.retry_in, 0.0) + self._draw.uniform(0.0, _SPREAD)
                    if pause < self.remaining():
                        await self._clock.sleep(pause)
                        found = self._gates.enter(candidate, self._visit, repeat=again, insist=True)
        if self._lifecycle.closed:
            if isinstance(found, Entry):
                found.left()
            raise self._closed()
        return found

    def _refused(self, candidate: Candidate, refusal: Refusal) -> None:
        if refusal.waitable:
            self._queues[candidate.name] = candidate, refusal
        kind = RateLimitError if refusal.waitable else ProviderError
        wait = refusal.retry_in if refusal.retry_in >= 0 else None
        entry = candidate.entry
        error = kind(refusal.reason, provider=entry.provider, model=entry.model, retry_after=wait)
        self._skip(Skip(candidate.name, error))

    async def _try(
        self,
        candidate: Candidate,
        entry: Entry,
        attempt: Attempt[T],
        *,
        last: bool,
        waited: float = 0.0,
        hedge: Hedge[T] | None = None,
    ) -> tuple[T] | None:
        """The candidate's attempts. ``None`` sends the call on to the next one."""
        visited = repeat = self._attempts.get(candidate.name, 0)
        # An entry may bound what a call spends on it, repeats included.
        until = self._recorder.elapsed() + min(
            candidate.entry.timeout or math.inf, self.remaining()
        )
        while True:
            turn = self._turn(candidate, entry, until, repeat=repeat, waited=waited, last=last)
            self._attempts[candidate.name] = repeat + 1
            if hedge is None or repeat:
                outcome = await self._once(turn, attempt)
            else:
                outcome = await hedge(turn)
            if isinstance(outcome, tuple):
                return outcome
            error = outcome
            self._record(turn, error)
            verdict = self._verdict(error, candidate)
            turns = repeat - visited + 1
            wait = self._wait_before_repeat(candidate, verdict, error, repeat=turns, last=last)
            if wait is None or self._recorder.elapsed() + wait >= until:
                return None
            # The router's end is the end of the wait; the next turn says so.
            with contextlib.suppress(TimeoutError):
                async with self._lifecycle.limit(None):
                    await self._clock.sleep(wait)
            if self._lifecycle.closed:
                raise self._closed() from error
            if self._recorder.elapsed() >= until - _LEAST_SECONDS:
                return None  # the wait took longer than it was meant to
            again = self._gates.enter(candidate, self._visit, repeat=True, insist=last)
            if isinstance(again, Refusal):
                self._refused(candidate, again)
                return None
            self._repeats_left -= 1
            entry, repeat, waited = again, repeat + 1, wait

    def _verdict(self, error: SwitchgearError, candidate: Candidate) -> Verdict:
        """What a failure means, where the call goes on after it; raises where it ends here."""
        if cancellations() > self._cancellations:
            # A plugin swallowed the cancellation of this call; the call heeds it all the same.
            raise asyncio.CancelledError
        if self._lifecycle.closed:
            raise self._closed() from error
        verdict = classify(error)
        if not self._may_go_on(verdict, candidate):
            raise self._with_trace(error)
        if self.remaining() <= _LEAST_SECONDS:
            raise self._deadline(error)
        return verdict

    def _hedge(self, position: int, attempt: Attempt[T], lost: Lost[T]) -> Hedge[T] | None:
        """How an attempt is made with another one beside it; ``None`` where there is none."""
        first = self._plan[position]
        after = self._limits.hedging
        if after is False or not isinstance(first, Candidate):
            return None
        if after is True:
            wait = self._gates.of(first.name).waits[self._visit.stream].value()
            if wait is None:
                return None  # not known well enough yet
            after = wait

        async def hedged(turn: Turn) -> tuple[T] | SwitchgearError:
            beside: list[Turn] = []

            def second() -> Coroutine[Any, Any, tuple[T] | SwitchgearError] | None:
                other = self._beside(position)
                if other is None:
                    return None
                beside.append(other)
                return self._once(other, attempt)

            async def discard(index: int, outcome: tuple[T] | SwitchgearError) -> None:
                if isinstance(outcome, tuple):
                    await lost(turn if index == 0 else beside[0], outcome[0])

            finish = await race(
                self._once(turn, attempt), second, after=after, good=_is_good, discard=discard
            )
            return await self._judge(finish, turn, beside[0] if beside else None, lost)

        return hedged

    async def _judge(
        self,
        finish: Finish[tuple[T] | SwitchgearError],
        turn: Turn,
        other: Turn | None,
        lost: Lost[T],
    ) -> tuple[T] | SwitchgearError:
        """The outcome of a race: that of a good attempt, else the first one's error.

        Everything but what is returned is written down here.
        """
        first, second = finish
        if other is not None and isinstance(second, SwitchgearError):
            self._record(other, second)
        if isinstance(first, tuple):
            if other is not None and not isinstance(second, SwitchgearError):
                await lost(other, second[0] if second is not None else None)
            return first
        if isinstance(second, tuple):
            if first is not None:
                self._record(turn, first)
            else:
                await lost(turn, None)
            return second
        return first if first is not None else broken(turn, RuntimeError("outrun"))

    def _beside(self, position: int) -> Turn | None:
        """An attempt at the next candidate that may be asked now, paid by its retry budget."""
        for index in range(position + 1, len(self._plan)):
            item = self._plan[index]
            if isinstance(item, Skip) or index in self._hedged:
                continue
            entry = self._gates.enter(item, self._visit, repeat=True)
            if isinstance(entry, Entry):
                self._hedged.add(index)
                until = self._recorder.elapsed() + self.remaining()
                return self._turn(item, entry, until, repeat=0, waited=0.0, last=False)
        return None

    def _turn(
        self,
        candidate: Candidate,
        entry: Entry,
        until: float,
        *,
        repeat: int,
        waited: float,
        last: bool,
    ) -> Turn:
        if self._lifecycle.closed:
            entry.left()
            raise self._closed()
        if self.remaining() <= _LEAST_SECONDS:
            entry.left()
            raise self._deadline(self._errors[-1] if self._errors else None)
        now = self._recorder.elapsed()
        own = self._granted(candidate) or math.inf
        return Turn(candidate, entry, min(own, until - now), now, waited, repeat, last)

    def _granted(self, candidate: Candidate) -> float | None:
        """Seconds for one attempt; ``None`` for no bound but the call's."""
        limits = self._limits
        return (
            limits.attempt_timeout
            or candidate.entry.attempt_timeout
            or limits.usual_attempt_timeout
        )

    async def _once(self, turn: Turn, attempt: Attempt[T]) -> tuple[T] | SwitchgearError:
        """One attempt, within its time; whatever goes wrong comes back as one of our errors."""
        try:
            outcome = await self._bounded(turn, attempt)
        except BaseException:
            turn.entry.left()
            raise
        if not isinstance(outcome, tuple):
            granted = self._granted(turn.candidate)
            turn.entry.failed(outcome, given=turn.timeout, granted=granted)
        return outcome

    async def _bounded(self, turn: Turn, attempt: Attempt[T]) -> tuple[T] | SwitchgearError:
        limit = self._lifecycle.limit(turn.timeout)
        try:
            async with limit:
                return (await attempt(turn),)
        except SwitchgearError as exc:
            return _scrubbed(exc, turn)
        except TimeoutError as exc:
            return _scrubbed(timed_out(turn, exc) if limit.expired else broken(turn, exc), turn)
        except asyncio.CancelledError as exc:
            if is_cancelled():
                raise
            return _scrubbed(broken(turn, exc), turn)
        except Exception as exc:  # noqa: BLE001 - a plugin may raise anything
            return _scrubbed(broken(turn, exc), turn)

    def _may_go_on(self, verdict: Verdict, candidate: Candidate) -> bool:
        """Whether any other attempt can mend this failure."""
        if verdict.next == "larger-window":
            self._too_small = max(self._too_small or 0, candidate.capabilities.context_window or 0)
            return True
        if verdict.next == "if-configured":
            return self._limits.after_refusal
        return verdict.next == "yes"

    def _wait_before_repeat(
        self,
        candidate: Candidate,
        verdict: Verdict,
        error: SwitchgearError,
        *,
        repeat: int,
        last: bool,
    ) -> float | None:
        """Seconds to wait before the same candidate is tried again; ``None`` for not again.

        While others wait behind it, a candidate gets one repeat, and only where the failure was
        quick and may be gone in a moment: a time-out has cost enough, a rate limit named its time.
        The last candidate gets all the repeats that are left.
        """
        if verdict.repeat == "no" or self._repeats_left <= 0:
            return None
        if not self._gates.of(candidate.name).budget.may_repeat():
            return None
        if not last and (
            repeat > 1 or verdict.repeat == "retry-after" or isinstance(error, TimeoutError)
        ):
            return None
        wait = self._backoff.wait(repeat, error, self._draw)
        if not last and wait > self._backoff.base:
            return None
        return wait

    def _skip(self, skip: Skip) -> None:
        self._skips.append(skip.error)
        self._recorder.skip(skip.name, skip.error.message)

    def _record(self, turn: Turn, error: SwitchgearError) -> None:
        self._errors.append(error)
        self._recorder.fail(turn, error)

    def _exhausted(self) -> SwitchgearError:
        """The error for a chain without an answer."""
        trace = self._recorder.trace()
        first = self._skips[0] if self._skips else None
        if (
            first is not None
            and not self._errors
            and not isinstance(first, ProviderError)
            and len({type(error) for error in self._skips}) == 1
        ):
            # Nothing was sent, and for one reason in the request: that reason is the error.
            names = "; ".join(f"{step.candidate}: {step.reason}" for step in trace.steps)
            error = type(first)(f"no candidate can serve this: {names}", param=first.param)
            return self._with_trace(error)
        causes = [*self._errors, *self._skips]
        waits = [exc.retry_after for exc in causes if exc.retry_after is not None]
        return self._with_trace(
            AllProvidersFailedError(
                f"all candidates of {trace.target!r} failed",
                self._errors or self._skips,
                retry_after=min(waits, default=None),
            )
        )

    def _closed(self) -> SwitchgearError:
        return self._with_trace(LifecycleError("the router was closed during the call"))

    def _deadline(self, cause: SwitchgearError | None) -> SwitchgearError:
        message = f"the call's timeout of {self._limits.timeout:g} s is over"
        error = self._with_trace(DeadlineExceededError(message))
        error.__cause__ = cause
        return error

    def _with_trace(self, error: SwitchgearError) -> SwitchgearError:
        error.trace = self._recorder.trace()
        return error


def _last_candidate(plan: Sequence[Candidate | Skip]) -> int:
    return max((i for i, item in enumerate(plan) if isinstance(item, Candidate)), default=-1)


def _scrubbed(error: SwitchgearError, turn: Turn) -> SwitchgearError:
    turn.candidate.scrub(error)
    return error


def _is_good(outcome: object) -> bool:
    return isinstance(outcome, tuple)
