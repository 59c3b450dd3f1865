"""How the answers of scripts are read, and how old they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from ...clock import Clock
from ...state.part import Part

__all__ = ["Listed", "Soon", "Trip", "listed"]

T = TypeVar("T")

Soon: TypeAlias = Callable[[Part], object]
"""Has the exchange hear a part at once, and not only in the next period."""

# Lua has one kind of table: a list without entries is written as an object.
Listed: TypeAlias = list[T] | dict[str, Any]


def listed(found: Listed[T]) -> list[T]:
    """The list that it is."""
    return found if isinstance(found, list) else []


class Trip:
    """One report after the other, on its way and back.

    Scripts answer with durations, not with times, so the clocks of the machines don't matter. An
    answer is taken to be as old as half of its way there and back.
    """

    __slots__ = ("_began", "_clock", "_hurried")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = 0.0
        self._hurried = True

    def due(self, seconds: float) -> bool:
        """Whether the last one began that long ago, or it is to hurry."""
        return self._hurried or self._clock.monotonic() - self._began >= seconds

    def hurry(self) -> None:
        """The next one is due at once."""
        self._hurried = True

    def begin(self) -> None:
        """A report leaves."""
        self._began = self._clock.monotonic()
        self._hurried = False

    def end(self) -> float:
        """Its answer is here. Returns how old that is, in seconds."""
        return max(0.0, self._clock.monotonic() - self._began) / 2
