"""What this process has spent of counters, and the database does not count yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Unbooked"]

_MOST = 4096
"""Amounts remembered apart. A database that answers leaves some dozens."""


class _Amount(NamedTuple):
    """Of one counter."""

    key: str
    bound: int
    cost: int


class Unbooked:
    """Sums by counter of attempts that have ended, until their rows are booked; 10⁻⁹ USD.

    While the database is away for long, neighbouring rows become one: their amounts are added up,
    and they count as booked once all of them are. So what is remembered does not grow with the
    number of attempts, and every sum is exact but for the moments in which such a run is booked in
    part; in these it is too high, by no more than what that run comes to.
    """

    def __init__(self) -> None:
        # Runs of rows with the position of each one's last, in the order of their booking, which
        # is that in which they were journalled.
        self._runs: deque[tuple[int, tuple[_Amount, ...]]] = deque()
        self._sums: dict[str, tuple[int, int, int]] = {}
        self._amounts = 0

    def add(self, position: int, keys: Iterable[str], bound: int, cost: int) -> None:
        """An attempt has ended.

        Args:
            position: Its row is the journal's record of that number.
            keys: Its counters.
            bound: The most that it can have cost.
            cost: What it cost, as far as is known.
        """
        amounts = tuple(_Amount(key, bound, cost) for key in dict.fromkeys(keys))
        if amounts:
            self._runs.append((position, amounts))
            self._move(amounts, 1)
            if self._amounts > self._most:
                self._fold()

    def booked(self, upto: int) -> None:
        """Rows up to that record are in the database: it is the one that counts them now."""
        while self._runs and self._runs[0][0] <= upto:
            _, amounts = self._runs.popleft()
            self._move(amounts, -1)

    def bound(self, key: str) -> int:
        """The most that it is for a counter."""
        return self._sums[key][1] if key in self._sums else 0

    def cost(self, key: str) -> int:
        """What it is for a counter, as far as is known."""
        return self._sums[key][2] if key in self._sums else 0

    @property
    def _most(self) -> int:
        # One run alone may have an amount for each counter, and folding must leave room.
        return max(_MOST, 4 * len(self._sums))

    def _move(self, amounts: Iterable[_Amount], sign: int) -> None:
        for key, bound, cost in amounts:
            self._amounts += sign
            had = self._sums.get(key, (0, 0, 0))
            self._sums[key] = had[0] + sign, had[1] + sign * bound, had[2] + sign * cost
            if not self._sums[key][0]:
                del self._sums[key]

    def _fold(self) -> None:
        """Make each two neighbours one, until half of what may be remembered is free again."""
        while self._amounts > self._most // 2 and len(self._runs) > 1:
            runs = list(self._runs)
            self._runs.clear()
            for first in range(0, len(runs), 2):
                pair = runs[first : first + 2]
                before = [amount for _, amounts in pair for amount in amounts]
                after = _added(before)
                self._move(after, 1)
                self._move(before, -1)
                self._runs.append((pair[-1][0], after))


def _added(amounts: Iterable[_Amount]) -> tuple[_Amount, ...]:
    """One amount for each counter."""
    added: dict[str, _Amount] = {}
    for key, bound, cost in amounts:
        had = added.get(key, _Amount(key, 0, 0))
        added[key] = _Amount(key, had.bound + bound, had.cost + cost)
    return tuple(added.values())
