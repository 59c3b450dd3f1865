"""One router, one event loop, one process: whoever breaks that gets told what to do."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import Self

from ..errors import LifecycleError

__all__ = ["Lifecycle", "Limit", "cancellations", "is_cancelled"]


class Lifecycle:
    """Binds to the first event loop that uses it; its end is the end of every wait under it."""

    __slots__ = ("_closed", "_limits", "_loop", "_pid")

    def __init__(self) -> None:
        # Bound at first use, not here: a router may be made before any loop runs.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._closed = False
        self._limits: set[Limit] = set()

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
        for limit in tuple(self._limits):
            limit.end()

    def check(self) -> None:
        """Called at the start of everything that does I/O.

        Raises:
            LifecycleError: Closed, no or another event loop, or a forked child.
        """
        self.check_open()
        self._check_loop()

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
        """A bound on a wait, for ``async with``: so many seconds, and the router's end."""
        return Limit(self._limits, seconds)

    def _check_loop(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            message = "no event loop runs here: call it from a coroutine, or use SyncRouter"
            raise LifecycleError(message) from None
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            message = (
                "the router belongs to another event loop, the first that used it; make one router "
                "for each loop, or use SyncRouter, which works from any thread"
            )
            raise LifecycleError(message)


class Limit:
    """``asyncio.timeout`` that can also be ended at once.

    Raises ``TimeoutError`` where it ended the wait, and then ``expired`` is true.
    """

    __slots__ = ("_open", "_scope")

    def __init__(self, limits: set[Limit], seconds: float | None) -> None:
        self._open = limits
        self._scope = asyncio.timeout(seconds)

    @property
    def expired(self) -> bool:
        """It has ended the wait."""
        return self._scope.expired()

    def end(self) -> None:
        """Let the wait end on the loop's next turn."""
        if not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._open.add(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.discard(self)
        await self._scope.__aexit__(exc_type, exc, traceback)


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
