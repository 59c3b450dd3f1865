"""Which group answers in the place of a dear one, and which budget says so."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from ..accounting.money import ceil_pico, nano

if TYPE_CHECKING:
    from ..accounting.budgets.applied import Applied
    from ..accounting.budgets.keys import Party
    from ..config.budgets import Downgrade
    from ..errors import BudgetExceededError
    from .books import Books

__all__ = ["Downgrading"]

_ASK_SECONDS = 0.25
"""Longest wait for how budgets stand that were never heard of, in one call: many times what a
database takes that is well, and too short to be what makes a call fail."""

_ASK_SHARE = 0.1
"""The part of a call's time that this may take: a call in a hurry waits less."""


class Downgrading:
    """The exchanges that budgets make in one call.

    Args:
        books: The router's.
        party: Whom the call is for.
    """

    def __init__(self, books: Books, party: Party) -> None:
        self._books = books
        self._party = party

    async def cheaper(
        self,
        group: str,
        *,
        left: frozenset[str] = frozenset(),
        refusals: Sequence[BudgetExceededError] = (),
        timeout: float,
    ) -> tuple[str, str] | None:
        """The group that a budget exchanges one for, and why; ``None`` where none does.

        Args:
            group: The one that is asked for.
            left: Those that the call has left already.
            refusals: Why hard budgets have too little left for all of the group's models. Then
                one of these budgets makes the first step.
            timeout: Seconds that the call has left.

        Raises:
            LedgerError: The ledger can't be opened.
        """
        clock = self._books.clock
        # Of several that exchange the same group the one for the most spent counts, whose group is
        # the cheapest. What one has exchanged another may exchange again; the same one does not.
        rules = [
            (applied, exchange)
            for applied in reversed(self._books.budgets.rules.exchanging(self._party, clock.now()))
            if (exchange := applied.rule.downgrade) is not None
        ]
        if not any(group in exchange.groups for _, exchange in rules):
            return None
        await self._books.ledger.ready()
        until = clock.monotonic() + min(_ASK_SECONDS, timeout * _ASK_SHARE)
        reasons: list[str] = []
        seen, place = {group, *left}, 0
        while place < len(rules):
            applied, exchange = rules[place]
            other = exchange.groups.get(group)
            why = ""
            if other is not None and other not in seen:
                wait = until - clock.monotonic()
                if refusals and not reasons:
                    why = await self._why_refused(applied, refusals, timeout=wait)
                else:
                    why = await self._why_spent(applied, exchange, timeout=wait)
            if other is None or not why:
                place += 1
                continue
            reasons.append(f"budget {applied.name} {why}: {other} answers instead")
            seen.add(other)
            del rules[place]
            group, place = other, 0
        return (group, "; ".join(reasons)) if reasons else None

    async def _why_spent(self, applied: Applied, exchange: Downgrade, *, timeout: float) -> str:
        """Why a budget exchanges groups before anything is sent; empty where it does not."""
        part = await self._books.budgets.part_spent(applied, timeout=timeout)
        return f"is {part:.0%} spent" if part >= exchange.at else ""

    async def _why_refused(
        self, applied: Applied, refusals: Sequence[BudgetExceededError], *, timeout: float
    ) -> str:
        """Why a budget exchanges groups after a refusal; empty where it has no part in it.

        An attempt is refused by the first budget that has too little, whichever that is; so the
        others are asked what they would have said.
        """
        if not applied.rule.hard:
            return ""
        if all(applied.name != refusal.budget for refusal in refusals):
            needed = [refusal.needed for refusal in refusals if refusal.needed is not None]
            most = nano(ceil_pico(max(needed, default=Decimal(0))))
            if await self._books.budgets.has_left(applied, most, timeout=timeout):
                return ""
        return "has too little left"
