"""The loop of attempts: along the chain, again where that makes sense, never past the deadline."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from ..clock import Clock
from ..errors import (
    AllProvidersFailedError,
    ContextWindowExceededError,
    DeadlineExceededError,
    LifecycleError,
    ProviderTimeoutError,
    SwitchgearError,
)
from .classify import Verdict, classify
from .lifecycle import Lifecycle, is_cancelled
from .plan import Candidate, Skip, plugin_fault
from .recorder import Recorder
from .retry import Backoff

__all__ = ["Attempt", "Failover", "Limits"]

T = TypeVar("T")
Attempt: TypeAlias = Callable[["Turn"], Awaitable[T]]

_LEAST_SECONDS = 0.005
"""Less is no time for an attempt; and timers of some event loops fire so much too early."""


class Limits(msgspec.Struct, frozen=True):
    """What bounds one call.

    Attributes:
        timeout: Seconds for the whole call.
        attempt_timeout: Seconds for one attempt, as the call says; ``None`` where it says nothing.
        usual_attempt_timeout: The same as group or configuration say, for entries that set none.
        num_retries: Repeats on a candidate, counted over the whole call.
        after_refusal: A declined request goes on to the next candidate.
    """

    timeout: float
    attempt_timeout: float | None
    usual_attempt_timeout: float | None
    num_retries: int
    after_refusal: bool


class Turn(msgspec.Struct, frozen=True):
    """One attempt.

    Attributes:
        candidate: At whom.
        timeout: Seconds that it may take.
        began: Seconds from the start of the call.
        waited: Seconds waited before it.
        repeat: 0 for the first attempt at this candidate.
        last: No candidate stands behind this one.
    """

    candidate: Candidate
    timeout: float
    began: float
    waited: float
    repeat: int
    last: bool


class Failover:
    """One call's way along its candidates.

    Args:
        plan: Candidates and skips, in order.
        limits: What bounds the call.
        recorder: Where every step is written down.
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
        backoff: Backoff,
        lifecycle: Lifecycle,
        clock: Clock,
        draw: random.Random,
    ) -> None:
        self._plan = plan
        self._limits = limits
        self._recorder = recorder
        self._backoff = backoff
        self._lifecycle = lifecycle
        self._clock = clock
        self._draw = draw
        self._errors: list[SwitchgearError] = []
        self._skips: list[SwitchgearError] = []
        self._repeats_left = limits.num_retries
        self._too_small: int | None = None

    def remaining(self) -> float:
        """Seconds that the deadline leaves; not above zero once it is over."""
        return self._limits.timeout - self._recorder.elapsed()

    async def run(self, attempt: Attempt[T]) -> T:
        """Try the candidates in turn until one attempt succeeds.

        Raises:
            AllProvidersFailedError: None did.
            DeadlineExceededError: The call's timeout ran out first.
            LifecycleError: The router is closed, or was meanwhile.
            SwitchgearError: A failure that no other candidate can mend.
        """
        self._lifecycle.check()
        last = _last_candidate(self._plan)
        for position, item in enumerate(self._plan):
            if isinstance(item, Skip):
                self._skip(item)
                continue
            small = self._too_small
            if small is not None and small >= (item.capabilities.context_window or small + 1):
                reason = f"its window of {item.capabilities.context_window} tokens is no larger"
                self._skip(Skip(item.name, ContextWindowExceededError(reason)))
                continue
            found = await self._try(item, attempt, last=position == last)
            if found is not None:
                return found[0]
        raise self._exhausted()

    async def _try(
        self, candidate: Candidate, attempt: Attempt[T], *, last: bool
    ) -> tuple[T] | None:
        """The candidate's attempts. ``None`` sends the call on to the next one."""
        repeat, waited = 0, 0.0
        # An entry may bound what a call spends on it, repeats included.
        until = self._recorder.elapsed() + min(
            candidate.entry.timeout or math.inf, self.remaining()
        )
        while True:
            turn = self._turn(candidate, until, repeat=repeat, waited=waited, last=last)
            outcome = await self._once(turn, attempt)
            if isinstance(outcome, tuple):
                return outcome
            error = outcome
            self._record(turn, error)
            if self._lifecycle.closed:
                raise self._closed() from error
            verdict = classify(error)
            if not self._may_go_on(verdict, candidate):
                raise self._with_trace(error)
            if self.remaining() <= _LEAST_SECONDS:
                raise self._deadline(error)
            wait = self._wait_before_repeat(verdict, error, repeat=repeat + 1, last=last)
            if wait is None or self._recorder.elapsed() + wait >= until:
                return None
            # The router's end is the end of the wait; the next turn says so.
            with contextlib.suppress(TimeoutError):
                async with self._lifecycle.limit(None):
                    await self._clock.sleep(wait)
            self._repeats_left -= 1
            repeat, waited = repeat + 1, wait

    def _turn(
        self, candidate: Candidate, until: float, *, repeat: int, waited: float, last: bool
    ) -> Turn:
        if self._lifecycle.closed:
            raise self._closed()
        if self.remaining() <= _LEAST_SECONDS:
            raise self._deadline(self._errors[-1] if self._errors else None)
        limits, now = self._limits, self._recorder.elapsed()
        own = (
            limits.attempt_timeout
            or candidate.entry.attempt_timeout
            or limits.usual_attempt_timeout
            or math.inf
        )
        return Turn(candidate, min(own, until - now), now, waited, repeat, last)

    async def _once(self, turn: Turn, attempt: Attempt[T]) -> tuple[T] | SwitchgearError:
        """One attempt, within its time; whatever goes wrong comes back as one of our errors."""
        limit = self._lifecycle.limit(turn.timeout)
        try:
            async with limit:
                return (await attempt(turn),)
        except SwitchgearError as exc:
            return _scrubbed(exc, turn)
        except TimeoutError as exc:
            return _scrubbed(_timed_out(turn, exc) if limit.expired else _broken(turn, exc), turn)
        except asyncio.CancelledError as exc:
            if is_cancelled():
                raise
            return _scrubbed(_broken(turn, exc), turn)
        except Exception as exc:  # noqa: BLE001 - a plugin may raise anything
            return _scrubbed(_broken(turn, exc), turn)

    def _may_go_on(self, verdict: Verdict, candidate: Candidate) -> bool:
        """Whether any other attempt can mend this failure."""
        if verdict.next == "larger-window":
            self._too_small = max(self._too_small or 0, candidate.capabilities.context_window or 0)
            return True
        if verdict.next == "if-configured":
            return self._limits.after_refusal
        return verdict.next == "yes"

    def _wait_before_repeat(
        self, verdict: Verdict, error: SwitchgearError, *, repeat: int, last: bool
    ) -> float | None:
        """Seconds to wait before the same candidate is tried again; ``None`` for not again.

        While others wait behind it, a candidate gets one repeat, and only where the failure was
        quick and may be gone in a moment: a time-out has cost enough, a rate limit named its time.
        The last candidate gets all the repeats that are left.
        """
        if verdict.repeat == "no" or self._repeats_left <= 0:
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
        self._recorder.fail(
            turn.candidate.name, error, began=turn.began, waited=turn.waited, repeat=turn.repeat
        )

    def _exhausted(self) -> SwitchgearError:
        """The error for a chain without an answer."""
        trace = self._recorder.trace()
        if not self._errors and len({type(error) for error in self._skips}) == 1:
            # Nothing was sent, and for one reason: that reason is the error.
            first = self._skips[0]
            names = "; ".join(f"{step.candidate}: {step.reason}" for step in trace.steps)
            error = type(first)(f"no candidate can serve this: {names}", param=first.param)
            return self._with_trace(error)
        waits = [exc.retry_after for exc in self._errors if exc.retry_after is not None]
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


def _timed_out(turn: Turn, exc: TimeoutError) -> SwitchgearError:
    entry = turn.candidate.entry
    message = f"{entry.provider}: no answer within {turn.timeout:.3g} s"
    error = ProviderTimeoutError(message, provider=entry.provider, model=entry.model)
    error.__cause__ = exc
    return error


def _broken(turn: Turn, exc: BaseException) -> SwitchgearError:
    entry = turn.candidate.entry
    return plugin_fault(entry.provider, entry.model, exc)
