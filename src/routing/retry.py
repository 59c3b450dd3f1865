"""How long to wait before the same candidate is tried again."""

from __future__ import annotations

import random

import msgspec

from ..errors import SwitchgearError

__all__ = ["Backoff"]


class Backoff(msgspec.Struct, frozen=True):
    """Full jitter: a wait is drawn evenly between nothing and a bound that doubles.

    Attributes:
        base: Seconds; the bound of the first wait.
        longest: Seconds; no bound is above this.
    """

    base: float = 0.5
    longest: float = 8.0

    def wait(self, repeat: int, error: SwitchgearError, draw: random.Random) -> float:
        """Seconds before repeat number ``repeat`` (from 1).

        A provider that names a time is taken at its word, with a little jitter on top so that a
        fleet does not come back in one instant.
        """
        bound = min(self.longest, self.base * 2.0 ** min(repeat - 1, 32))
        named = error.retry_after
        # A plugin may name any number: what is negative or not one says nothing.
        if named is not None and named >= 0:
            return named + draw.uniform(0.0, min(self.base, 0.1 * named))
        return draw.uniform(0.0, bound)
