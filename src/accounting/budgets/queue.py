"""One attempt that waits for room in its budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from ..ledger.store import Claim, Standing
from .applied import Applied
from .slices import Holding

__all__ = ["Waiter"]


class Waiter:
    """A place in the queue.

    Args:
        applied: The budgets that have to agree.
        amount: What is needed of each, in 10⁻⁹ USD.
        patient: It waits while the reservations of others stand in the way.

    Attributes:
        outcome: What was set aside for it, or why nothing was.
        refusal: The budget that had no room the last time it was asked, and how it stood.
    """

    __slots__ = ("amount", "applied", "keys", "outcome", "patient", "refusal")

    def __init__(self, applied: Sequence[Applied], amount: int, *, patient: bool) -> None:
        tightest: dict[str, Applied] = {}
        for each in applied:
            known = tightest.get(each.key)
            if known is None or each.limit < known.limit:
                tightest[each.key] = each
        self.applied = tuple(tightest.values())
        self.amount = amount
        self.patient = patient
        self.keys = tuple(tightest)
        self.outcome: asyncio.Future[Holding] = asyncio.get_running_loop().create_future()
        self.refusal: tuple[Applied, Standing] | None = None

    @property
    def guarded(self) -> tuple[str, ...]:
        """The counters for which those that came later stay behind it.

        Of one that was refused only the counter that had no room: else a project without room
        would stand in the way of all others, through a budget that they share.
        """
        return self.keys if self.refusal is None else (self.refusal[0].key,)

    def stands_before(self, keys: Collection[str]) -> bool:
        """Whether one that needs these counters stays behind it, which has no answer yet."""
        return not self.outcome.done() and any(key in keys for key in self.guarded)

    def claim(self) -> Claim:
        """What it needs of the database."""
        return Claim(tuple(each.need(self.amount) for each in self.applied))

    def succeed(self, holding: Holding) -> bool:
        """Hand it what it needs; whether it was still there to take it."""
        if self.outcome.done():
            return False
        self.outcome.set_result(holding)
        return True

    def taken(self) -> Holding | None:
        """What it was handed; ``None`` where it was not."""
        outcome = self.outcome
        if outcome.done() and not outcome.cancelled() and outcome.exception() is None:
            return outcome.result()
        outcome.cancel()
        return None

    def fail(self, error: Exception) -> None:
        """Send it away."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
            # It may have gone in this very moment, and then nobody looks at the error.
            self.outcome.exception()
