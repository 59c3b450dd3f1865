"""An event loop whose time is a number: nothing is waited for, and nothing outside can happen."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["StuckError", "VirtualLoop"]

_MOST_EVENTS_AT_ONCE = 50_000


class StuckError(Exception):
    """Nothing can happen any more, or time stands still."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs what is ready; when nothing is, jumps to the next timer.

    There are no sockets and no threads: whoever asks for a socket, or for an address, gets
    ``NotImplementedError``. What is given to an executor runs on the loop, at once or later, and
    its result comes after ``executor_delay`` seconds.

    Args:
        lag: Seconds by which a timer is late, asked for every jump: a real loop is never on time.
        executor_delay: Seconds that a function in "another thread" takes.
        executor_late: The function runs at the end of these seconds instead of their beginning.

    Attributes:
        after_event: Called after every callback that ran.
        events: How many ran.
        threads: How many functions are in "another thread".
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _timer_cancelled_count: int

    def __init__(
        self,
        lag: Callable[[], float],
        *,
        executor_delay: float = 0.0,
        executor_late: bool = False,
    ) -> None:
        super().__init__()
        self._virtual_now = 1000.0
        self._lag = lag
        self._executor_delay = executor_delay
        self._executor_late = executor_late
        self._events_at_once = 0
        self.threads = 0
        self.after_event: Callable[[], None] | None = None
        self.events = 0

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual_now

    def timers(self) -> list[asyncio.TimerHandle]:
        """The timers that are still to fire."""
        return [timer for timer in self._scheduled if not timer.cancelled()]

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """Run the function on the loop; its result comes later."""
        del executor
        future = self.create_future()
        outcome = _outcome(partial(func, *args), late=self._executor_late)
        self.threads += 1
        self.call_later(self._executor_delay, self._deliver, future, outcome)
        return future

    def _deliver(self, future: asyncio.Future[Any], outcome: Callable[[], Any]) -> None:
        self.threads -= 1
        result, error = outcome()
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    async def getaddrinfo(self, host: Any, port: Any, **settings: Any) -> Any:
        """There is no network."""
        raise NotImplementedError(f"somebody wants to connect to {host}:{port}")

    def _run_once(self) -> None:
        self._advance()
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if handle._cancelled:
                continue
            handle._run()
            self.events += 1
            self._events_at_once += 1
            if self.after_event is not None:
                self.after_event()
        if self._events_at_once > _MOST_EVENTS_AT_ONCE:
            raise StuckError("time stands still: callbacks go on without end")

    def _advance(self) -> None:
        """Make timers ready; where nothing else is, those that come next."""
        scheduled = self._scheduled
        while scheduled and scheduled[0]._cancelled:
            self._take()
        if not self._ready:
            if not scheduled:
                raise StuckError("somebody waits, and nothing will ever happen")
            if scheduled[0].when() > self._virtual_now:
                self._virtual_now = scheduled[0].when() + self._lag()
                self._events_at_once = 0
        while scheduled and scheduled[0].when() <= self._virtual_now:
            timer = self._take()
            if not timer._cancelled:
                self._ready.append(timer)

    def _take(self) -> asyncio.TimerHandle:
        timer: Any = heapq.heappop(self._scheduled)
        timer._scheduled = False
        if timer._cancelled:
            self._timer_cancelled_count -= 1
        return timer  # type: ignore[no-any-return]

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector, so nobody has to be woken."""

    def _process_events(self, event_list: object) -> None:
        raise AssertionError("there is no selector")


def _outcome(function: Callable[[], Any], *, late: bool) -> Callable[[], Any]:
    """The function's result and error, found out now or when it is asked for."""

    def run() -> tuple[Any, Exception | None]:
        try:
            return function(), None
        except Exception as exc:  # noqa: BLE001 - handed on to whoever awaits it
            return None, exc

    if late:
        return run
    outcome = run()
    return lambda: outcome
