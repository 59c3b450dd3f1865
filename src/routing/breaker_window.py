"""Counts of the recent past, and a time that never runs backwards."""

from __future__ import annotations

from collections import deque

from ..clock import Clock

__all__ = ["ForwardTime", "SlidingWindow"]


class ForwardTime:
    """A clock's monotonic time, held to its word.

    Where the clock jumps back all the same (a virtual one that was set anew, a virtual machine that
    was moved), no time has passed, and time runs on from there.
    """

    __slots__ = ("_behind", "_clock", "_last")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock.monotonic()
        self._behind = 0.0

    def now(self) -> float:
        """Seconds that never go back."""
        raw = self._clock.monotonic()
        if raw < self._last:
            self._behind += self._last - raw
        self._last = raw
        return raw + self._behind


class SlidingWindow:
    """How many calls ended lately, and how.

    The window moves by slices, a twelfth of its length each by default. An outcome is remembered
    for at least eleven twelfths of the window and never longer than all of it; memory is one small
    row a slice, however many calls there are.

    Args:
        seconds: The window's length.
        slices: How many parts it moves by.

    Attributes:
        calls: All outcomes that the window still holds.
        failures: Those that failed.
        slow: Those that succeeded, but slowly.
    """

    __slots__ = ("_count", "_rows", "_span", "calls", "failures", "slow")

    def __init__(self, seconds: float, slices: int = 12) -> None:
        self._span = seconds / slices
        self._count = slices
        # Each row: the slice's number, and its calls, failures and slow ones.
        self._rows: deque[list[int]] = deque()
        self.calls = self.failures = self.slow = 0

    def add(self, now: float, *, failed: bool = False, slow: bool = False) -> None:
        """Count one outcome."""
        number, rows = int(now // self._span), self._rows
        if not rows or rows[-1][0] != number:
            # The first of its slice, so there is something to forget only now.
            self.slide(now)
            rows.append([number, 0, 0, 0])
        row = rows[-1]
        row[1] += 1
        self.calls += 1
        if failed:
            row[2] += 1
            self.failures += 1
        elif slow:
            row[3] += 1
            self.slow += 1

    def slide(self, now: float) -> int:
        """Forget what is too old; returns the number of the slice that ``now`` is in."""
        number = int(now // self._span)
        oldest, rows = number - self._count, self._rows
        while rows and rows[0][0] <= oldest:
            _, calls, failures, slow = rows.popleft()
            self.calls -= calls
            self.failures -= failures
            self.slow -= slow
        return number

    def clear(self) -> None:
        """Forget everything."""
        self._rows.clear()
        self.calls = self.failures = self.slow = 0
