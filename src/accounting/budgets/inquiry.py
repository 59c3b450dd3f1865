"""Asking the database how budgets stand, where no call may wait long for the answer."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...clock import Clock

__all__ = ["Inquiry"]

_log = logging.getLogger("switchgear.budgets")

_SILENCE = 5.0
"""Seconds for which nobody asks a database that has just not answered."""


class Inquiry:
    """Questions about counters, each asked once at a time, whoever wants to know.

    One that takes longer than its callers wait goes on, so that a later call has the answer.

    Args:
        ask: Asks about counters, and has the answer remembered.
        clock: Time.
    """

    def __init__(self, ask: Callable[[Iterable[str]], Awaitable[object]], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._silent_until = -math.inf

    async def about(self, key: str, *, timeout: float) -> None:
        """Have one counter looked up. Raises nothing where that fails, or takes longer.

        Args:
            key: Of the counter.
            timeout: Seconds that this may take.
        """
        if timeout <= 0 or self._clock.monotonic() < self._silent_until:
            return
        question = self._under_way.get(key)
        if question is None:
            question = asyncio.get_running_loop().create_task(self._answered(key))
            self._under_way[key] = question
        done, _ = await asyncio.wait([question], timeout=timeout)
        if not done:
            self._fall_silent(f"the ledger did not say within {timeout:.3g} s")

    async def aclose(self) -> None:
        """Ask no more."""
        self._silent_until = math.inf
        questions = tuple(self._under_way.values())
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    async def _answered(self, key: str) -> None:
        try:
            await self._ask([key])
        except Exception as exc:  # noqa: BLE001 - the call goes on without the answer
            self._fall_silent(str(exc))
        else:
            if self._silent_until < math.inf:
                self._silent_until = -math.inf
        finally:
            del self._under_way[key]

    def _fall_silent(self, why: str) -> None:
        now = self._clock.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _SILENCE
            _log.warning("how budgets stand is not known: %s; downgrades go by what is", why)
