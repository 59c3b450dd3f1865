"""One attempt of a call: what bounds it, and what it is called when it goes wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import msgspec

from ..errors import ProviderTimeoutError, SwitchgearError
from .booking import Booking
from .gates import Entry
from .plan import Candidate, plugin_fault

__all__ = ["Attempt", "Lost", "Turn", "broken", "timed_out"]

T = TypeVar("T")
Attempt: TypeAlias = Callable[["Turn"], Awaitable[T]]
"""Makes one attempt; raises one of our errors where it fails."""

Lost: TypeAlias = Callable[["Turn", T | None], Awaitable[None]]
"""Told of an attempt that another one outran, with its outcome where that came too late."""


class Turn(msgspec.Struct):
    """One attempt.

    Attributes:
        candidate: At whom.
        entry: Its place at the gates, to be told how it ended.
        timeout: Seconds that it may take.
        began: Seconds from the start of the call.
        waited: Seconds waited before it.
        repeat: 0 for the first attempt at this candidate.
        last: No candidate stands behind this one.
        hedge: It runs beside a slower one.
        booked: It in the books, from the moment before it is sent.
    """

    candidate: Candidate
    entry: Entry
    timeout: float
    began: float
    waited: float
    repeat: int
    last: bool
    hedge: bool = False
    booked: Booking | None = None

    @property
    def booking(self) -> Booking:
        """It in the books. Only for an attempt that has been opened there."""
        if self.booked is None:
            raise AssertionError("the attempt was not opened in the books")
        return self.booked


def timed_out(turn: Turn, exc: TimeoutError) -> SwitchgearError:
    """The error for an attempt whose time is over."""
    entry = turn.candidate.entry
    message = f"{entry.provider}: no answer within {turn.timeout:.3g} s"
    error = ProviderTimeoutError(message, provider=entry.provider, model=entry.model)
    error.__cause__ = exc
    return error


def broken(turn: Turn, exc: BaseException) -> SwitchgearError:
    """The error for an exception that is not one of ours: its plugin's fault."""
    entry = turn.candidate.entry
    return plugin_fault(entry.provider, entry.model, exc)
