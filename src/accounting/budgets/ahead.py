"""How far ahead a process leases: little where attempts are few, more where they follow fast.

What is leased ahead is nobody else's until it is used or given back, so it begins with a few dozen
attempts. Each slice that lasts for less than a second makes the next one larger, so that a busy
process asks its authority some times a second, and not for each few dozen attempts, all of which
would wait for the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ...clock import Clock
from ..ledger.store import Claim, Need

__all__ = ["Ahead"]

_LEAST: Final = 32
"""Attempts of the largest size that is claimed."""
_MOST: Final = 4096
_TIMES: Final = 4
"""By so much the next slice is larger or smaller."""
_SHORT: Final = 1.0
"""Seconds: a slice that did not last so long was too small."""
_LONG: Final = 10.0
"""Seconds: one that lasted longer was too large."""
_KNOWN: Final = 1024
"""Counters remembered."""


class _Last(NamedTuple):
    """The last slice of a counter: when it was leased, for how many attempts."""

    at: float
    attempts: int


class Ahead:
    """Tells what to lease beyond what is claimed.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[str, _Last] = {}

    def needs(self, claims: Sequence[Claim]) -> list[Need]:
        """By counter, how much more would serve what is to come; an authority may give less."""
        largest: dict[str, Need] = {}
        claimed: dict[str, int] = {}
        for claim in claims:
            for need in claim.needs:
                known = largest.get(need.key)
                claimed[need.key] = claimed.get(need.key, 0) + 1
                if known is None or need.amount > known.amount:
                    largest[need.key] = need
        now = self._clock.monotonic()
        return [
            Need(need.key, need.limit, need.amount * self._attempts(need.key, claimed, now))
            for need in largest.values()
        ]

    def _attempts(self, key: str, claimed: dict[str, int], now: float) -> int:
        last = self._last.pop(key, None)
        attempts = last.attempts if last is not None else _LEAST
        if last is not None and now - last.at < _SHORT:
            attempts *= _TIMES
        elif last is not None and now - last.at > _LONG:
            attempts //= _TIMES
        # As many at once will ask again, and sooner than one after the other.
        attempts = min(max(attempts, _LEAST, 2 * claimed[key]), _MOST)
        self._last[key] = _Last(now, attempts)
        if len(self._last) > _KNOWN:
            del self._last[next(iter(self._last))]
        return attempts
