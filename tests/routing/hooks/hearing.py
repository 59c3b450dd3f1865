"""Hooks that write down what they are given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from switchgear import AttemptDetails, AttemptResult, Hook, Settlement, StateChange

__all__ = ["Asked", "Listening", "Told", "forever", "stubborn"]


class Listening(Hook):
    """Hears everything."""

    def __init__(self) -> None:
        self.before: list[AttemptDetails] = []
        self.after: list[AttemptResult] = []
        self.settled: list[Settlement] = []
        self.changes: list[StateChange] = []
        self.closed = 0

    def before_attempt(self, details: AttemptDetails) -> None:
        self.before.append(details)

    def after_attempt(self, details: AttemptResult) -> None:
        self.after.append(details)

    def on_settle(self, details: Settlement) -> None:
        self.settled.append(details)

    def on_state_change(self, details: StateChange) -> None:
        self.changes.append(details)

    async def aclose(self) -> None:
        self.closed += 1


class Asked:
    """Asked before attempts only, and no relative of :class:`Hook`."""

    def __init__(
        self,
        answer: Callable[[AttemptDetails], Any],
        *,
        timeout: float = 1.0,
        fail_closed: bool = False,
    ) -> None:
        self.before_attempt = answer
        self.timeout = timeout
        self.fail_closed = fail_closed


class Told(Hook):
    """Told of attempts and rows."""

    def __init__(self, work: Callable[[Any], Awaitable[None] | None]) -> None:
        self.work = work

    def after_attempt(self, details: AttemptResult) -> Awaitable[None] | None:
        return self.work(details)

    def on_settle(self, details: Settlement) -> Awaitable[None] | None:
        return self.work(details)


async def forever(_: object) -> None:
    """Hangs."""
    await asyncio.Event().wait()


async def stubborn(_: object) -> None:
    """Hangs, and does not heed its first cancellation."""
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        await asyncio.sleep(30)
