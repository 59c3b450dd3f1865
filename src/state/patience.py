"""A time limit that does not count the time for which the event loop itself stood still."""

from __future__ import annotations

import asyncio
from typing import TypeVar

__all__ = ["within"]

T = TypeVar("T")

_SLICES = 5
_TURNS = 16
"""Turns of the loop that an answer may need from the socket to whoever waits for it."""


async def within(task: asyncio.Task[T], seconds: float) -> tuple[T, float]:
    """Await a task for so long at most, of the time for which this event loop was awake.

    Where a callback, or other processes, kept the loop from running, an answer may have lain there
    all the while: that is no fault of whoever gave it. So the time is counted in slices, and of a
    slice that came back late only what it was meant to last; and before anything is given up, what
    has arrived gets the turns of the loop that it needs. A task that is given up is cancelled.

    Returns:
        What it came to, and the seconds that were counted.

    Raises:
        TimeoutError: It took longer.
    """
    loop = asyncio.get_running_loop()
    part, counted = seconds / _SLICES, 0.0
    try:
        for _ in range(_SLICES):
            began = loop.time()
            await asyncio.wait((task,), timeout=part)
            counted += min(loop.time() - began, part)
            if task.done():
                return task.result(), counted
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if task.done():
                return task.result(), counted
        raise TimeoutError
    finally:
        task.cancel()
        if task.done() and not task.cancelled():
            task.exception()  # seen, also where the caller has gone
