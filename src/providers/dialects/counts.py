"""Reading what vendors count: a number that is none must not cost the answer that came with it.

An answer has been paid for by the time its usage is read, so a malformed count is no reason to
throw it away and pay again. The rule, for every dialect:

- A count is a whole number from 0 to a thousand million, also when it is written as ``12.0`` or as
  ``"12"``. Everything else (negative, larger, a fraction, a truth value, an object) is no count.
- Where the prompt's or the answer's own count is missing or none, the usage is unknown: the reply
  has none, and the router estimates it and says so.
- Where a part of them (cached, spoken, ...) or a number of searches is no count, it is taken as 0
  and the usage is marked as estimated, so that a hard budget goes on counting the worst case.
- ``null`` and a missing field are no contradiction: most vendors leave out what was zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

__all__ = ["LARGEST", "Count", "Counter", "count", "word"]

Count: TypeAlias = Any
"""A count as it came: anything that JSON can say."""

LARGEST = 10**9
"""More tokens than any answer has, and few enough that their price fits 64 bits."""


def count(value: Count) -> int | None:
    """A count; ``None`` where it is missing or none."""
    if type(value) is int:
        return value if 0 <= value <= LARGEST else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        return count(int(value))
    if isinstance(value, float) and 0 <= value <= LARGEST and value.is_integer():
        return int(value)
    return None


def word(value: Any) -> str | None:
    """A vendor's word (a tier, a region), where it said one."""
    return value if isinstance(value, str) and value else None


class Counter:
    """Reads the counts of one usage.

    Attributes:
        doubtful: Something that stood there was no count.
    """

    __slots__ = ("doubtful",)

    def __init__(self) -> None:
        self.doubtful = False

    def __call__(self, *values: Count) -> int:
        """The first of several places that says more than nothing; 0 where none does."""
        for value in values:
            if value is None:
                continue
            known = count(value)
            if known is None:
                self.doubtful = True
            elif known:
                return known
        return 0

    def inside(self, given: Mapping[str, Any], field: str) -> Mapping[str, Any]:
        """A group of counts; empty where it is missing or no group."""
        return self.group(given.get(field))

    def group(self, given: Any) -> Mapping[str, Any]:
        """A group of counts as it came; empty where it is missing or none."""
        if given is None:
            return {}
        if type(given) is dict or isinstance(given, Mapping):
            known: Mapping[str, Any] = given
            return known
        self.doubtful = True
        return {}
