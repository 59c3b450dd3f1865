"""Requests a day."""

from __future__ import annotations

from collections import deque

from .buckets import EPSILON, Meter

__all__ = ["DailyWindow"]

_DAY = 86_400.0
_SLOT = 300.0


class DailyWindow(Meter):
    """So many in any 24 hours, counted in slots of five minutes.

    Vendors count days differently: refilled continuously (OpenAI, by its headers), from midnight in
    some time zone, or over a sliding day. Never more than the limit within *any* 24 hours is within
    all of them. A slot leaves the window when its youngest request is a day old, so room comes up
    to five minutes late; at most 290 slots are kept.
    """

    __slots__ = ("_slots", "_used")

    def __init__(self, name: str, measure: int, per_day: float) -> None:
        super().__init__(name, measure, max(per_day, 1.0), 1.0)
        self._slots: deque[tuple[float, float]] = deque()  # (end of the slot, amount), oldest first
        self._used = 0.0

    def room(self, now: float) -> float:
        """What is left of the last 24 hours."""
        slots = self._slots
        while slots and slots[0][0] + _DAY <= now:
            self._used -= slots.popleft()[1]
        if not slots:
            self._used = 0.0
        return self.capacity - self._used

    def take(self, amount: float, now: float) -> float:
        """Count into the present slot."""
        end = (now // _SLOT + 1.0) * _SLOT
        if self._slots and self._slots[-1][0] >= end:
            end, counted = self._slots.pop()
            self._slots.append((end, counted + amount))
        else:
            self._slots.append((end, amount))
        self._used += amount
        return self.capacity - self._used

    def give(self, amount: float, now: float) -> None:
        """Take back, out of the youngest slots: what comes back was taken a moment ago."""
        self.room(now)
        while amount > EPSILON and self._slots:
            end, counted = self._slots.pop()
            back = min(counted, amount)
            amount -= back
            self._used -= back
            if counted > back:
                self._slots.append((end, counted - back))
        if amount < 0:
            self.take(-amount, now)

    def wait(self, missing: float, now: float) -> float:
        """Seconds until enough of the oldest slots have left."""
        left = now
        for end, counted in self._slots:
            left = end + _DAY
            missing -= counted
            if missing <= EPSILON:
                break
        return max(0.0, left - now)

    def refill(self, seconds: float, now: float) -> float:
        """What will have left the window."""
        gone = now + seconds - _DAY
        return sum(counted for end, counted in self._slots if end <= gone)
