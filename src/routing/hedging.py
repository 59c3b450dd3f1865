"""One extra attempt elsewhere, where the first is slower than almost all before it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = ["Finish", "race"]

T = TypeVar("T")

_END_SECONDS = 1.0


class Finish(NamedTuple, Generic[T]):
    """How a race ended.

    Attributes:
        first: The first attempt's outcome; ``None`` where it was cancelled on the way.
        second: The second's; ``None`` where it was cancelled, or never begun.
    """

    first: T | None
    second: T | None


async def race(
    first: Coroutine[Any, Any, T],
    second: Callable[[], Coroutine[Any, Any, T] | None],
    *,
    after: float,
    good: Callable[[T], bool],
    discard: Callable[[int, T], Awaitable[None]],
) -> Finish[T]:
    """Run one attempt, and beside it another where it takes too long.

    The first good outcome ends the race; the other attempt is cancelled, and has ended when this
    returns. Both outcomes may be good where they came in the same moment.

    Args:
        first: The first attempt.
        second: Makes the second, in the moment in which it is to begin; ``None`` for none.
        after: Seconds without an outcome of the first until the second begins.
        good: Whether an outcome ends the race.
        discard: Lets go of a good outcome, of attempt 0 or 1, where the race itself is cancelled:
            nobody else will ever see it.
    """
    tasks = [asyncio.ensure_future(first)]
    try:
        await asyncio.wait(tasks, timeout=after)
        other = second() if not tasks[0].done() else None
        if other is not None:
            tasks.append(asyncio.ensure_future(other))
        waiting = set(tasks)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if any(good(task.result()) for task in done):
                break
    except BaseException:
        await _end(tasks)
        await _drop(tasks, good, discard)
        raise
    if await _end(tasks):
        await _drop(tasks, good, discard)
        raise asyncio.CancelledError
    outcomes = [_outcome(task) for task in tasks]
    return Finish(outcomes[0], outcomes[1] if len(outcomes) > 1 else None)


async def _end(tasks: Sequence[asyncio.Future[T]]) -> bool:
    """Cancel what still runs, and wait until it has ended; whether the caller was cancelled.

    What a cancelled attempt raises has been told to the gates. A caller that is cancelled meanwhile
    is kept for as long as the attempts take to end, at most :data:`_END_SECONDS`.
    """
    for task in tasks:
        task.cancel()
    loop = asyncio.get_running_loop()
    until, cancelled = loop.time() + _END_SECONDS, False
    while any(not task.done() for task in tasks) and loop.time() < until:
        try:
            await asyncio.wait(tasks, timeout=until - loop.time())
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


async def _drop(
    tasks: Sequence[asyncio.Future[T]],
    good: Callable[[T], bool],
    discard: Callable[[int, T], Awaitable[None]],
) -> None:
    for index, task in enumerate(tasks):
        outcome = _outcome(task)
        if outcome is not None and good(outcome):
            await discard(index, outcome)


def _outcome(task: asyncio.Future[T]) -> T | None:
    if not task.done() or task.cancelled() or task.exception() is not None:
        return None
    return task.result()
