"""Identical requests that are under way at once make one call, and all get its answer.

The call runs in a task of its own. Whoever brought it may leave: it goes on for those who joined,
and ends with the last of them. Events that it gives on the way reach every member from the first
one on, so that a stream is joined at any time and nobody misses or repeats a delta.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from types import TracebackType
from typing import Final, Generic, Self, TypeAlias, TypeVar, cast

from ..clock import Clock
from ..completion import StreamEvent
from ..errors import BudgetError, DeadlineExceededError, LifecycleError, SwitchgearError

__all__ = ["Emit", "Flights", "Member", "Work"]

T = TypeVar("T")

Emit: TypeAlias = Callable[[StreamEvent], None]
"""Takes the next event of a stream."""

Work: TypeAlias = Callable[[Emit], Awaitable[T]]
"""A call: gives its events, if it is a stream, and comes to its answer."""

_OWN: Final = (DeadlineExceededError, BudgetError)
"""Errors that concern only whoever brought the call: whoever has more time or money tries again."""

_ENOUGH: Final = 0.5
"""Of the time that somebody has, what a call must have left for them to rely on it."""


class _Flight(Generic[T]):
    """One call that is under way."""

    def __init__(self, key: Hashable, ends: float) -> None:
        self.key = key
        self.ends = ends
        self.members = 0
        self.events: list[StreamEvent] = []
        self.over = False
        self.value: T | None = None
        self.error: BaseException | None = None
        self.task: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def emit(self, event: StreamEvent) -> None:
        self.events.append(event)
        self._wake()

    async def run(self, work: Work[T]) -> None:
        try:
            self.value = await work(self.emit)
        except asyncio.CancelledError as exc:
            self.error = exc
        except Exception as exc:  # noqa: BLE001 - raised again for every member
            self.error = exc
        finally:
            self.over = True
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def news(self) -> None:
        """Returns after the next event, or at the end."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future


class Flights(Generic[T]):
    """All calls of a router that are under way and may be joined.

    Args:
        clock: Time.
        together: Identical requests share a call; else each makes its own.
    """

    def __init__(self, clock: Clock, *, together: bool = True) -> None:
        self._clock = clock
        self._together = together
        self._open: dict[Hashable, _Flight[T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def join(self, key: Hashable, work: Work[T], *, timeout: float) -> Member[T]:
        """Become a member of the call under that key, or bring one. For ``async with``.

        Args:
            key: What makes requests identical, the terms on which they are made included.
            work: The call, where there is none yet; it keeps to its own deadline.
            timeout: Seconds that this caller has.
        """
        return Member(self, key, work, self._clock.monotonic() + timeout, self._clock)

    async def aclose(self) -> None:
        """End every call that is under way; its members get a ``LifecycleError``."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def enter(self, key: Hashable, work: Work[T], deadline: float) -> tuple[_Flight[T], bool]:
        """A call under that key, and whether it is a new one."""
        if self._closed:
            raise LifecycleError("the router is closed; make a new one")
        flight = self._find(key, deadline)
        if flight is not None:
            flight.members += 1
            return flight, False
        flight = _Flight(key, deadline)
        flight.members = 1
        if self._together:
            # One with less time may be under way still; whoever joined it stays with it.
            self._open[key] = flight
        flight.task = task = asyncio.get_running_loop().create_task(flight.run(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._forget(flight))
        return flight, True

    async def leave(self, flight: _Flight[T]) -> None:
        """One member less; the last one ends the call and waits for its end."""
        flight.members -= 1
        if flight.members or flight.over or flight.task is None:
            return
        self._forget(flight)
        flight.task.cancel()
        await asyncio.wait({flight.task})

    def _find(self, key: Hashable, deadline: float) -> _Flight[T] | None:
        flight = self._open.get(key)
        if flight is None or flight.over:
            return None
        now = self._clock.monotonic()
        return flight if flight.ends - now >= _ENOUGH * (deadline - now) else None

    def _forget(self, flight: _Flight[T]) -> None:
        if self._open.get(flight.key) is flight:
            del self._open[flight.key]


class Member(Generic[T]):
    """One caller's part in a call. Use it in ``async with``, from one task.

    Attributes:
        brought: The call is this caller's own.
    """

    def __init__(
        self,
        flights: Flights[T],
        key: Hashable,
        work: Work[T],
        deadline: float,
        clock: Clock,
    ) -> None:
        self._flights = flights
        self._key = key
        self._work = work
        self._deadline = deadline
        self._clock = clock
        self._flight: _Flight[T] | None = None
        self._seen = 0
        self.brought = False

    async def __aenter__(self) -> Self:
        self._enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        flight, self._flight = self._flight, None
        if flight is not None:
            await self._flights.leave(flight)

    async def event(self) -> StreamEvent | None:
        """The next event of the call; ``None`` at its end, which may come without any.

        Raises:
            DeadlineExceededError: This caller's time is over.
            SwitchgearError: What the call ended with.
        """
        while True:
            flight = self._at_work()
            if self._seen < len(flight.events):
                self._seen += 1
                return flight.events[self._seen - 1]
            if flight.over and not await self._again(flight):
                self._check(flight)
                return None
            if not flight.over:
                await self._wait(flight)

    async def result(self) -> T:
        """What the call comes to, whatever events it gives on the way.

        Raises:
            DeadlineExceededError: This caller's time is over.
            SwitchgearError: What the call ended with.
        """
        while True:
            flight = self._at_work()
            if not flight.over:
                await self._wait(flight)
            elif not await self._again(flight):
                return self._check(flight)

    def _enter(self) -> None:
        self._flight, self.brought = self._flights.enter(self._key, self._work, self._deadline)

    def _at_work(self) -> _Flight[T]:
        if self._flight is None:
            raise LifecycleError("enter it first: async with")
        return self._flight

    async def _wait(self, flight: _Flight[T]) -> None:
        if self.brought:
            await flight.news()  # its own call keeps the deadline, and says where the time went
            return
        try:
            async with asyncio.timeout(max(0.0, self._deadline - self._clock.monotonic())):
                await flight.news()
        except TimeoutError:
            if not flight.over:
                message = "the call's timeout is over, while it waited for an identical one"
                raise DeadlineExceededError(message) from None

    async def _again(self, flight: _Flight[T]) -> bool:
        """Try again where the call failed for a reason that is only its bringer's."""
        error = flight.error
        if self.brought or self._seen or error is None:
            return False
        late = self._clock.monotonic() >= self._deadline
        if late or not isinstance(error, _OWN):
            return False
        self._flight = None
        await self._flights.leave(flight)
        self._enter()
        return True

    def _check(self, flight: _Flight[T]) -> T:
        error = flight.error
        if error is None:
            return cast("T", flight.value)
        if isinstance(error, asyncio.CancelledError):
            raise LifecycleError("the call was ended from outside: the router was closed")
        raise error if self.brought else _copied(error)


def _copied(error: BaseException) -> BaseException:
    """The same error for another task: one object would collect the tracebacks of all."""
    if not isinstance(error, SwitchgearError):
        return error
    another = copy.copy(error)
    another.__cause__ = error.__cause__
    return another
