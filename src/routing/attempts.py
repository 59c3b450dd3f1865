"""One attempt: put into the books, made within its time, and the gates told how it ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from ..errors import (
    BudgetError,
    HookVetoError,
    LedgerError,
    ProviderConnectionError,
    SwitchgearError,
)
from .booking import Booking
from .deadline import LEAST_SECONDS
from .hooks.details import attempt_details
from .lifecycle import is_cancelled
from .turn import Turn, broken, timed_out

if TYPE_CHECKING:
    from .account import Account, NoAccount, Subject
    from .deadline import Deadline
    from .ending import Ending
    from .gates import Entry
    from .hooks.dispatch import Hooks
    from .lifecycle import Lifecycle
    from .plan import Candidate
    from .recorder import Recorder
    from .terms import Limits
    from .turn import Attempt

__all__ = ["Attempts"]

T = TypeVar("T")


class Attempts:
    """Makes one call's attempts.

    Whoever holds a turn makes it: it has its place at the gates, which is given back in the end.

    Args:
        limits: What bounds them.
        account: Where they are booked, and what may be spent on them.
        subject: What is asked for, as far as its cost is concerned.
        recorder: Knows when the call began.
        deadline: The call's.
        lifecycle: Ends them once the router is closed.
        ending: Makes the errors that end the call.
    """

    __slots__ = (
        "_account",
        "_deadline",
        "_ending",
        "_lifecycle",
        "_limits",
        "_recorder",
        "_subject",
    )

    def __init__(
        self,
        limits: Limits,
        account: Account | NoAccount,
        subject: Subject,
        *,
        recorder: Recorder,
        deadline: Deadline,
        lifecycle: Lifecycle,
        ending: Ending,
    ) -> None:
        self._limits = limits
        self._account = account
        self._subject = subject
        self._recorder = recorder
        self._deadline = deadline
        self._lifecycle = lifecycle
        self._ending = ending

    def turn(
        self,
        candidate: Candidate,
        entry: Entry,
        until: float,
        *,
        repeat: int = 0,
        waited: float = 0.0,
        last: bool = False,
        hedge: bool = False,
    ) -> Turn:
        """An attempt that is about to be made.

        Args:
            candidate: At whom.
            entry: Its place at the gates. Where there is no turn, it is given back.
            until: When the call goes on without it, seconds from the start of the call.
            repeat: 0 for the first attempt at this candidate.
            waited: Seconds waited before it.
            last: No candidate stands behind this one.
            hedge: It runs beside a slower one.

        Raises:
            LifecycleError: The router was closed.
            DeadlineExceededError: The call's time is over.
        """
        now = self._recorder.elapsed()
        try:
            self._deadline.check(now)
        except SwitchgearError:
            entry.left()
            raise
        own, left = self._granted(candidate), until - now
        timeout = left if own is None or own > left else own
        return Turn(candidate, entry, timeout, now, waited, repeat, last, hedge)

    async def make(self, turn: Turn, attempt: Attempt[T]) -> tuple[T] | SwitchgearError:
        """The attempt's answer, or its failure as one of our errors, whatever went wrong.

        It is in the books first. Where it may not be sent, it has no booking.

        Raises:
            LifecycleError: The router was closed before it was sent.
            DeadlineExceededError: The call's time was over before it was sent, or before its end
                was safely written down.
        """
        unpaid = await self._book(turn)
        if unpaid is not None:
            return unpaid
        try:
            outcome = await self._send(turn, attempt)
        except BaseException:
            turn.booking.cancelled()
            turn.entry.left()
            raise
        if not isinstance(outcome, tuple):
            turn.booking.failed(outcome)
            granted = self._granted(turn.candidate)
            turn.entry.failed(outcome, given=turn.timeout, granted=granted)
        if not turn.booking.is_safe:
            # The call's time, not the attempt's: a slow disk must not make an answer a failure.
            await self._deadline.within(turn.booking.safe())
        return outcome

    async def _book(self, turn: Turn) -> SwitchgearError | None:
        """Put an attempt into the books; why it may not be sent, where it may not."""
        left = max(self._deadline.timeout - turn.began - LEAST_SECONDS, LEAST_SECONDS)
        try:
            opened = self._account.open(turn, self._subject, timeout=left)
            if not isinstance(opened, Booking):
                # Only here, since a time limit costs as much as all the rest of this.
                opened = await self._deadline.within(opened)
        except (BudgetError, LedgerError) as exc:
            turn.entry.withdraw()
            if self._lifecycle.closed:
                raise self._ending.closed() from exc
            return exc
        except BaseException:
            turn.entry.withdraw()
            raise
        if self._account.hooks is not None:
            vetoed = await self._ask(self._account.hooks, turn, opened)
            if vetoed is not None:
                return vetoed
        turn.booked = opened
        began = turn.began = self._recorder.elapsed()
        turn.timeout = min(turn.timeout, self._deadline.timeout - began)
        try:
            self._deadline.check(began)
        except SwitchgearError:
            opened.never_sent()
            turn.entry.withdraw()
            raise
        return None

    async def _ask(self, hooks: Hooks, turn: Turn, opened: Booking) -> SwitchgearError | None:
        """Whether hooks let an attempt go out; their veto ends the call.

        Of a hedge it is only given back: the attempt beside it was let through already.

        Raises:
            HookVetoError: They don't.
        """
        if not hooks.asks:
            return None
        try:
            details = attempt_details(turn, self._subject, opened)
            await self._deadline.within(hooks.before(details))
        except BaseException as exc:
            opened.never_sent()
            turn.entry.withdraw()
            if not isinstance(exc, HookVetoError):
                raise
            if turn.hedge:
                return exc
            self._recorder.skip(turn.candidate.name, exc.message)
            raise self._ending.by(exc) from exc.__cause__
        opened.sent()
        return None

    async def _send(self, turn: Turn, attempt: Attempt[T]) -> tuple[T] | SwitchgearError:
        """The attempt itself, within its time."""
        limit = self._lifecycle.limit(turn.timeout)
        try:
            with limit:
                return (await attempt(turn),)
        except SwitchgearError as exc:
            return _scrubbed(exc, turn)
        except TimeoutError as exc:
            if not limit.expired:
                return _scrubbed(broken(turn, exc), turn)
            ended = _given_up if self._lifecycle.closed else timed_out
            return _scrubbed(ended(turn, exc), turn)
        except asyncio.CancelledError as exc:
            if is_cancelled():
                raise
            return _scrubbed(broken(turn, exc), turn)
        except Exception as exc:  # noqa: BLE001 - a plugin may raise anything
            return _scrubbed(broken(turn, exc), turn)

    def _granted(self, candidate: Candidate) -> float | None:
        """Seconds for one attempt; ``None`` for no bound but the call's."""
        limits = self._limits
        return (
            limits.attempt_timeout
            or candidate.entry.attempt_timeout
            or limits.usual_attempt_timeout
        )


def _given_up(turn: Turn, exc: TimeoutError) -> SwitchgearError:
    entry = turn.candidate.entry
    message = f"{entry.provider}: given up, since the router was closed"
    error = ProviderConnectionError(message, provider=entry.provider, model=entry.model)
    error.__cause__ = exc
    return error


def _scrubbed(error: SwitchgearError, turn: Turn) -> SwitchgearError:
    turn.candidate.scrub(error)
    return error
