"""Learns how much of an estimate is really used."""

from __future__ import annotations

__all__ = ["Expectation"]

_MEMORY = 32
_LOWEST, _HIGHEST = 0.0, 4.0


class Expectation:
    """The mean ratio of used to estimated, for each size of estimate apart.

    Estimates fall into classes by powers of two, because a ``max_tokens`` of 100 is usually
    exhausted and one of 8,000 hardly touched. An unknown class is taken at its word. The mean, not
    an upper bound, because it is a sum over many calls that has to fit the limit, and what a
    running call has not produced yet is room that the vendor still has.
    """

    __slots__ = ("_classes",)

    def __init__(self) -> None:
        self._classes: dict[int, tuple[float, int]] = {}

    def of(self, estimate: int) -> float:
        """Tokens that an estimate will come to."""
        known = self._classes.get(estimate.bit_length())
        return estimate * known[0] if known is not None else float(estimate)

    def learn(self, estimate: int, used: float) -> None:
        """An estimate came to this. The first calls weigh as in a plain mean, later ones 1/32."""
        if estimate <= 0:
            return
        size = min(estimate.bit_length(), 64)
        ratio = min(max(used / estimate, _LOWEST), _HIGHEST)
        mean, count = self._classes.get(size, (0.0, 0))
        count = min(count + 1, _MEMORY)
        self._classes[size] = mean + (ratio - mean) / count, count
