"""A live quantile of recent waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

__all__ = ["RecentQuantile"]


class RecentQuantile:
    """Of the last so many values; asked rarely, fed often.

    Args:
        quantile: Which, between 0 and 1.
        keep: Values remembered.
        least: With fewer values there is no answer.

    Attributes:
        add: Takes one more value.
    """

    __slots__ = ("_least", "_quantile", "_values", "add")

    def __init__(self, quantile: float = 0.95, *, keep: int = 128, least: int = 20) -> None:
        self._quantile = quantile
        self._least = least
        self._values: deque[float] = deque(maxlen=keep)
        self.add: Callable[[float], None] = self._values.append

    def value(self) -> float | None:
        """The quantile, rounded up to a value that was seen; ``None`` with too few of them."""
        if len(self._values) < self._least:
            return None
        ordered = sorted(self._values)
        return ordered[min(len(ordered) - 1, int(self._quantile * len(ordered)))]
