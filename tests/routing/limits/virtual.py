"""Time that tests move: an event loop that jumps to its next timer, and a clock by hand."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class FakeClock:
    """Moves when told to."""

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return 1_790_000_000.0 + self.time

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here sleeps by the clock")

    def advance(self, seconds: float) -> None:
        self.time += seconds


class _Jump(selectors.SelectSelector):
    """Instead of waiting for a file, lets the time pass."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for something that will never come")
        self._loop.passed += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """No sockets, no threads: only timers and callbacks.

    looptime does the same for the router's tests; it turns the loop some forty times for each jump,
    which is too slow for the hundred thousand jumps of a simulated rush.
    """

    def __init__(self) -> None:
        self.passed = 1000.0
        super().__init__(_Jump(self))

    def time(self) -> float:
        return self.passed


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
