"""One router, one event loop, one process: whoever breaks that gets told what to do."""

from __future__ import annotations

import asyncio
import os

from ..errors import LifecycleError

__all__ = ["Lifecycle"]


class Lifecycle:
    """Binds to the first event loop that uses it."""

    __slots__ = ("_closed", "_loop", "_pid")

    def __init__(self) -> None:
        # Bound at first use, not here: a router may be made before any loop runs.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._closed = False

    @property
    def closed(self) -> bool:
        """``close`` was called."""
        return self._closed

    def close(self) -> None:
        """No call may begin any more."""
        self._closed = True

    def check(self) -> None:
        """Called at the start of everything that does I/O.

        Raises:
            LifecycleError: Closed, another event loop, or a forked child.
        """
        if self._closed:
            raise LifecycleError("the router is closed; make a new one")
        if os.getpid() != self._pid:
            message = (
                "the router was made in the parent process, whose connections a forked child must "
                "not use; make a new router in the child (after the fork), or spawn the workers"
            )
            raise LifecycleError(message)
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            message = (
                "the router belongs to another event loop, the first that used it; make one router "
                "for each loop, or use SyncRouter, which works from any thread"
            )
            raise LifecycleError(message)
