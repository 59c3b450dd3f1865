"""Cancels a piece of work at one of the points where it waits, to try them all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any

__all__ = ["at_every_wait"]


class _Cancelled:
    """Awaits the work; at its wait number ``at`` (from 1) the task that does so is cancelled."""

    def __init__(self, work: Awaitable[object], at: int) -> None:
        self._work = work
        self._at = at
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, object]:
        steps = self._work.__await__()
        error: BaseException | None = None
        while True:
            try:
                wait = steps.send(None) if error is None else steps.throw(error)
            except StopIteration as end:
                return end.value
            self.waits += 1
            if self.waits == self._at:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            error = None
            try:
                yield wait
            except BaseException as exc:  # noqa: BLE001 - goes into the work, whatever it is
                error = exc


async def at_every_wait(
    begin: Callable[[], Awaitable[object]], between: Callable[[], Awaitable[object]]
) -> int:
    """Begin the work again and again, and cancel each time one wait later, until it gets through.

    Args:
        begin: Begins the work.
        between: What to do after each cancellation.

    Returns:
        At how many waits it was cancelled.
    """
    at = 1
    while True:
        cancelled = _Cancelled(begin(), at)
        task = asyncio.ensure_future(_run(cancelled))
        await asyncio.wait([task])
        if cancelled.waits < at:
            await task
            return at - 1
        assert task.cancelled(), f"the cancellation at wait {at} was swallowed"
        await between()
        at += 1


async def _run(work: _Cancelled) -> object:
    return await work
