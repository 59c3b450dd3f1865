"""One router, one event loop, one process: whoever breaks that gets told what to do."""

from __future__ import annotations

import asyncio
import math
import os
from types import TracebackType
from typing import Any, Self

from ..errors import LifecycleError

__all__ = ["Lifecycle", "Limit", "cancellations", "is_cancelled"]

_GRAIN = 0.0005
"""Seconds by which a wait may end late."""


class Lifecycle:
    """Binds to the first event loop that uses it; its end is the end of every wait under it."""

    __slots__ = ("_closed", "_loop", "_pid", "_waits")

    def __init__(self) -> None:
        # Bound at first use, not here: a router may be made before any loop runs.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._closed = False
        self._waits = Waits()

    @property
    def closed(self) -> bool:
        """``close`` was called."""
        return self._closed

    def close(self) -> None:
        """No call may begin any more, and those that wait for something stop waiting.

        Raises:
            LifecycleError: Another event loop, or a forked child.
        """
        if self._closed:
            return
        self.check()
        self._closed = True
        self._waits.end()

    def check(self) -> None:
        """Called at the start of everything that does I/O.

        Raises:
            LifecycleError: Closed, no or another event loop, or a forked child.
        """
        self.check_open()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            message = "no event loop runs here: call it from a coroutine, or use SyncRouter"
            raise LifecycleError(message) from None
        if self._loop is not loop:
            self._bind(loop)

    def check_open(self) -> None:
        """The same for what needs no event loop.

        Raises:
            LifecycleError: Closed, or a forked child.
        """
        if self._closed:
            raise LifecycleError("the router is closed; make a new one")
        if os.getpid() != self._pid:
            message = (
                "the router was made in the parent process, whose connections a forked child must "
                "not use; make a new router in the child (after the fork), or spawn the workers"
            )
            raise LifecycleError(message)

    def limit(self, seconds: float | None) -> Limit:
        """A bound on a wait, for ``with``: so many seconds, and the router's end."""
        return Limit(self._waits, seconds)

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None:
            message = (
                "the router belongs to another event loop, the first that used it; make one router "
                "for each loop, or use SyncRouter, which works from any thread"
            )
            raise LifecycleError(message)
        self._loop = loop


class Limit:
    """A bound on a wait, for ``with``: so many seconds, or the router's end.

    Raises ``TimeoutError`` where it ended the wait, and then ``expired`` is true. It does that as
    ``asyncio.timeout`` does, by a cancellation that it takes back, so the two nest in any order.
    """

    __slots__ = ("_cancellations", "_task", "_waits", "at", "expired")

    def __init__(self, waits: Waits, seconds: float | None) -> None:
        self._waits = waits
        self._task: asyncio.Task[Any] | None = None
        self._cancellations = 0
        self.at = math.inf if seconds is None else seconds
        self.expired = False

    def end(self) -> None:
        """End the wait. Not for the running task to call."""
        if not self.expired and self._task is not None:
            self.expired = True
            self._task.cancel()

    def __enter__(self) -> Self:
        task = self._task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a wait is bounded inside a task")
        self._cancellations = task.cancelling()
        self._waits.add(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._waits.open.discard(self)
        task, self._task = self._task, None
        if self.expired and task is not None:
            # Of two cancellations at once the caller's own counts, and goes on.
            own = task.uncancel() <= self._cancellations
            if own and exc_type is asyncio.CancelledError:
                raise TimeoutError from exc


class Waits:
    """Looks after all the waits of a router with one timer.

    Nearly every wait ends long before its time, so to set and to cancel a timer for each would be
    work for nothing. The one timer is set for the earliest end among the waits; where that has been
    over for long, it finds nothing to do and is set anew.
    """

    __slots__ = ("_at", "_timer", "open")

    def __init__(self) -> None:
        self.open: set[Limit] = set()
        self._at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def add(self, limit: Limit) -> None:
        """A wait has begun; its ``at``, seconds until then, becomes a time of the loop."""
        self.open.add(limit)
        if limit.at < math.inf:
            loop = asyncio.get_running_loop()
            limit.at = at = loop.time() + max(limit.at, 0.0)
            if at < self._at:
                self._set(loop, at)

    def end(self) -> None:
        """End all waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._at = None, math.inf
        for limit in self.open:
            # Later, since one of them may be the running task's own, which might wait no more.
            asyncio.get_running_loop().call_soon(limit.end)

    def _set(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = loop.call_at(at, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        # Some event loops' timers fire a little early: what this one was set for is over by now.
        now = max(loop.time(), self._at)
        self._timer, self._at = None, math.inf
        earliest = math.inf
        for limit in self.open:
            if limit.at <= now:
                limit.end()
            elif limit.at < earliest:
                earliest = limit.at
        if earliest < math.inf:
            # A crowd whose ends lie close together is looked through once for several of them.
            self._set(loop, max(earliest, now + _GRAIN))


def cancellations() -> int:
    """How often the running task has been cancelled and has not got over it."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def is_cancelled() -> bool:
    """Whether a ``CancelledError`` is the running task's own.

    It is not where something else that a provider waited for was cancelled.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
