"""Learns how much of an estimate is really used."""
# ruff: noqa: PLR1730 - comparing two numbers costs a third of calling min or max

from __future__ import annotations

__all__ = ["Expectation"]

_MEMORY = 32
_HIGHEST = 4.0
_LARGEST = 64
_UNKNOWN = (0.0, 0)


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
        ratio = used / estimate if used > 0.0 else 0.0
        if ratio > _HIGHEST:
            ratio = _HIGHEST
        size = estimate.bit_length()
        if size > _LARGEST:
            size = _LARGEST
        mean, count = self._classes.get(size, _UNKNOWN)
        if count < _MEMORY:
            count += 1
        self._classes[size] = mean + (ratio - mean) / count, count
