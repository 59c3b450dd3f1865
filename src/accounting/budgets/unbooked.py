"""What this process has spent of counters, and the database does not count yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

__all__ = ["Unbooked"]


class Unbooked:
    """Sums by counter of attempts that have ended, until their rows are booked; 10⁻⁹ USD."""

    def __init__(self) -> None:
        # Bookings arrive in the order in which the rows were journalled.
        self._rows: deque[tuple[int, tuple[str, ...], int, int]] = deque()
        self._sums: dict[str, tuple[int, int, int]] = {}

    def add(self, position: int, keys: Iterable[str], bound: int, cost: int) -> None:
        """An attempt has ended.

        Args:
            position: Its row is the journal's record of that number.
            keys: Its counters.
            bound: The most that it can have cost.
            cost: What it cost, as far as is known.
        """
        own = tuple(keys)
        if own:
            self._rows.append((position, own, bound, cost))
            self._move(own, 1, bound, cost)

    def booked(self, upto: int) -> None:
        """Rows up to that record are in the database: it is the one that counts them now."""
        while self._rows and self._rows[0][0] <= upto:
            _, keys, bound, cost = self._rows.popleft()
            self._move(keys, -1, -bound, -cost)

    def bound(self, key: str) -> int:
        """The most that it is for a counter."""
        return self._sums[key][1] if key in self._sums else 0

    def cost(self, key: str) -> int:
        """What it is for a counter, as far as is known."""
        return self._sums[key][2] if key in self._sums else 0

    def _move(self, keys: Iterable[str], rows: int, bound: int, cost: int) -> None:
        for key in keys:
            had = self._sums.get(key, (0, 0, 0))
            self._sums[key] = had[0] + rows, had[1] + bound, had[2] + cost
            if not self._sums[key][0]:
                del self._sums[key]
