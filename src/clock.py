"""The one place that time comes from."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What the library asks of time. Tests and simulations put their own in its place."""

    def monotonic(self) -> float:
        """Seconds that never go back, for durations and deadlines."""

    def now(self) -> float:
        """Seconds since the epoch (UTC), for what is written down."""

    async def sleep(self, seconds: float) -> None:
        """Wait; a cancellation ends it at once."""


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    monotonic = staticmethod(time.monotonic)
    now = staticmethod(time.time)

    async def sleep(self, seconds: float) -> None:
        """Wait on the running event loop."""
        await asyncio.sleep(seconds)
