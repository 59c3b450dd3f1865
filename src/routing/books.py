"""The books of a router: every attempt is in them before it is sent, and again when it has ended.

``Books`` belong to a router, an :class:`~.account.Account` to a call, a :class:`~.booking.Booking`
to an attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..accounting.ledger.row import attempt_ids
from .account import Account

if TYPE_CHECKING:
    from ..accounting.budgets.budgets import Budgets
    from ..accounting.ledger.ledger import Ledger
    from ..clock import Clock
    from .costing import Costing
    from .hooks.dispatch import Hooks
    from .recorder import Recorder

__all__ = ["Books"]

_LAST_SECONDS = 2.0


class Books:
    """What the accounts of all calls have in common.

    Args:
        ledger: Where attempts are written down.
        budgets: What may be spent.
        costing: Prices.
        clock: Time.
        hooks: Who wants to know.
    """

    def __init__(
        self,
        ledger: Ledger,
        budgets: Budgets,
        costing: Costing,
        clock: Clock,
        hooks: Hooks | None = None,
    ) -> None:
        self.ledger = ledger
        self.budgets = budgets
        self.costing = costing
        self.clock = clock
        self.hooks = hooks
        self.next_id = attempt_ids(clock.now)
        self._open = 0
        self._idle: asyncio.Future[None] | None = None

    def account(self, labels: Mapping[str, str], recorder: Recorder) -> Account:
        """The account of one call.

        Args:
            labels: Whom it is for.
            recorder: The call's record.
        """
        return Account(self, labels, recorder)

    def opened(self) -> None:
        """One more attempt is under way."""
        self._open += 1

    def closed(self) -> None:
        """One less is."""
        self._open -= 1
        if not self._open and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def aclose(self) -> None:
        """Wait a moment for attempts that are ending, then close the budgets and the ledger.

        An attempt that does not end in that time is found in the journal, as one whose end is not
        known.
        """
        if self._open:
            self._idle = asyncio.get_running_loop().create_future()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await self._idle
        await self.budgets.aclose()
        await self.ledger.aclose()
