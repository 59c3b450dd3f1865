"""A clock that follows the event loop's, so that virtual time moves the router as well."""

from __future__ import annotations

import asyncio

__all__ = ["LoopClock"]


class LoopClock:
    """Time from the running loop, whose own may be made to jump (``looptime`` and the like).

    Args:
        epoch: What ``now`` says when the loop's time is 0, seconds since 1970.
    """

    def __init__(self, epoch: float = 1_790_000_000.0) -> None:
        self._epoch = epoch

    def monotonic(self) -> float:
        """The loop's time, seconds."""
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        """The epoch plus the loop's time, seconds."""
        return self._epoch + self.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait, by the loop's time."""
        await asyncio.sleep(seconds)
