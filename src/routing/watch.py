"""Bounds the waits of one stream with one timer."""

from __future__ import annotations

import asyncio
import math

__all__ = ["Watch"]


class Watch:
    """Bounds one wait after another, each as ``asyncio.timeout`` would.

    Setting and cancelling a timer costs more than reading an event. Here there is one for all the
    waits: it stays where it was set, and when it fires while a wait may still last, it is set
    anew to that wait's own end.

    A wait that has begun is ended by :meth:`end` in the same task, whatever happens between.
    A wait that lasts too long ends in a ``CancelledError``; :meth:`has_ended_it` tells it from the
    task's own.

    Args:
        loop: The loop that runs.
    """

    __slots__ = ("_cancelled_before", "_due", "_fired", "_loop", "_set_to", "_task", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[object] | None = None
        self._cancelled_before = 0
        self._due = math.inf
        self._fired = False
        self._timer: asyncio.TimerHandle | None = None
        self._set_to = math.inf

    def begin(self, seconds: float) -> bool:
        """A wait begins, of so many seconds at most; with none left, it ends at its first pause.

        Returns:
            Whether it has begun: it can't while another one lasts.

        Raises:
            RuntimeError: No task runs, so that nothing could be ended.
        """
        if self._task is not None:
            return False
        loop = self._loop
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a wait can be bounded inside a task only")
        self._task = task
        self._cancelled_before = task.cancelling()
        self._due = due = loop.time() + seconds
        if due < self._set_to:
            self._set()
        return True

    def end(self) -> None:
        """The wait is over."""
        if self._fired:
            self.has_ended_it()
        self._task = None

    def has_ended_it(self) -> bool:
        """Whether this watch alone is the reason for the ``CancelledError`` that ended the wait."""
        if not self._fired or self._task is None:
            return False
        self._fired = False
        return self._task.uncancel() <= self._cancelled_before

    def wake(self) -> None:
        """Let the wait end on the loop's next turn, if there is one."""
        if self._task is not None and not self._fired:
            self._due = self._loop.time()
            self._set()

    def stop(self) -> None:
        """Leave no timer behind, once no wait will follow. One that lasts can still be woken."""
        if self._timer is not None and self._task is None:
            self._timer.cancel()
            self._timer, self._set_to = None, math.inf

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._set_to = self._due
        self._timer = self._loop.call_at(self._due, self._fire)

    def _fire(self) -> None:
        set_to = self._set_to
        self._timer, self._set_to = None, math.inf
        if self._task is None:
            return  # the next wait sets it
        if self._due <= set_to:
            self._fired = True
            self._task.cancel()
        elif self._due < math.inf:
            self._set()
