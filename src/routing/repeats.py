"""Whether one call may try a candidate again, and when."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from ..errors import SwitchgearError

if TYPE_CHECKING:
    from .classify import Verdict
    from .gates import Gates
    from .plan import Candidate
    from .retry import Backoff

__all__ = ["Repeats"]


class Repeats:
    """Counts the attempts of one call.

    Args:
        most: Repeats that the call may make, on all candidates together.
        gates: The candidates' own retry budgets.
        backoff: How long to wait before a repeat.
        draw: Random numbers for it.
    """

    __slots__ = ("_backoff", "_draw", "_gates", "_left", "_made")

    def __init__(self, most: int, gates: Gates, backoff: Backoff, draw: random.Random) -> None:
        self._left = most
        self._gates = gates
        self._backoff = backoff
        self._draw = draw
        self._made: dict[str, int] = {}

    def made(self, candidate: Candidate) -> int:
        """Attempts that the candidate has had."""
        return self._made.get(candidate.name, 0)

    def count(self, candidate: Candidate) -> None:
        """It has had one more."""
        self._made[candidate.name] = self.made(candidate) + 1

    def may(self, candidate: Candidate) -> bool:
        """Whether one more attempt at it is free, being the first, or left to the call."""
        return self._left > 0 or candidate.name not in self._made

    def take(self, candidate: Candidate) -> None:
        """One more attempt at it is about to be made: a first one is free."""
        self._left -= candidate.name in self._made

    def wait(
        self,
        candidate: Candidate,
        verdict: Verdict,
        error: SwitchgearError,
        *,
        repeat: int,
        last: bool,
    ) -> float | None:
        """Seconds to wait before the same candidate is tried again; ``None`` for not again.

        While others wait behind it, a candidate gets one repeat, and only where the failure was
        quick and may be gone in a moment: a time-out has cost enough, a rate limit named its time.
        The last candidate gets all the repeats that are left.

        Args:
            candidate: Which.
            verdict: What its failure means.
            error: The failure.
            repeat: The number of the repeat since the call came to it, from 1.
            last: Nobody waits behind it.
        """
        if verdict.repeat == "no" or self._left <= 0:
            return None
        if not self._gates.of(candidate.name).budget.may_repeat():
            return None
        if not last and (
            repeat > 1 or verdict.repeat == "retry-after" or isinstance(error, TimeoutError)
        ):
            return None
        wait = self._backoff.wait(repeat, error, self._draw)
        if not last and wait > self._backoff.base:
            return None
        return wait
