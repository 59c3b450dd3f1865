"""How long a call may still go on: its timeout, and the router's end."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final, TypeVar

from ..errors import LifecycleError, SwitchgearError

if TYPE_CHECKING:
    from ..clock import Clock
    from .ending import Ending
    from .lifecycle import Lifecycle
    from .recorder import Recorder

__all__ = ["LEAST_SECONDS", "Deadline"]

R = TypeVar("R")

LEAST_SECONDS: Final = 0.005
"""Less is no time for an attempt; and timers of some event loops fire so much too early."""


class Deadline:
    """Bounds everything that one call waits for.

    Args:
        timeout: Seconds from the start of the call.
        recorder: Knows when that was.
        lifecycle: Ends the call once the router is closed.
        ending: Makes the errors.
        clock: Time.

    Attributes:
        timeout: As given.
    """

    __slots__ = ("_clock", "_ending", "_lifecycle", "_recorder", "timeout")

    def __init__(
        self,
        timeout: float,
        recorder: Recorder,
        lifecycle: Lifecycle,
        ending: Ending,
        clock: Clock,
    ) -> None:
        self.timeout = timeout
        self._recorder = recorder
        self._lifecycle = lifecycle
        self._ending = ending
        self._clock = clock

    def remaining(self) -> float:
        """Seconds that are left; not above zero once it is over."""
        return self.timeout - self._recorder.elapsed()

    def check(self, elapsed: float | None = None) -> None:
        """Called where the call is about to go on.

        Args:
            elapsed: Seconds since it began, where that has been looked up already.

        Raises:
            LifecycleError: The router was closed.
            DeadlineExceededError: No time is left.
        """
        if self._lifecycle.closed:
            raise self._ending.closed()
        if elapsed is None:
            elapsed = self._recorder.elapsed()
        if self.timeout - elapsed <= LEAST_SECONDS:
            raise self._ending.too_late()

    async def within(self, work: Awaitable[R]) -> R:
        """What the work answers, unless the call's time or the router ends first.

        Raises:
            LifecycleError: The router was closed.
            DeadlineExceededError: No time is left.
        """
        limit = self._lifecycle.limit(max(self.remaining(), 0.0))
        try:
            with limit:
                return await work
        except (TimeoutError, LifecycleError) as exc:
            if self._lifecycle.closed:
                raise self._ending.closed() from exc
            if limit.expired:
                raise self._ending.too_late() from exc
            raise

    async def sleep(self, seconds: float, after: SwitchgearError) -> None:
        """Let time pass after a failure.

        Raises:
            LifecycleError: The router was closed meanwhile.
        """
        with contextlib.suppress(TimeoutError), self._lifecycle.limit(None):
            await self._clock.sleep(seconds)
        if self._lifecycle.closed:
            raise self._ending.closed() from after
