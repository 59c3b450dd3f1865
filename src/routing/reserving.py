"""What hard budgets have to set aside for one attempt before it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..accounting.bounds import Unbounded, Worst
from ..accounting.budgets.applied import Together
from ..accounting.money import nano
from ..errors import BudgetBusyError, BudgetExceededError, UnboundedCostError
from .booking import Reserved

if TYPE_CHECKING:
    from .account import Subject
    from .books import Books
    from .plan import Candidate

__all__ = ["Wanted"]


class Wanted:
    """The most that an attempt can cost, to be set aside in its budgets.

    Args:
        books: The router's.
        together: The budgets that have to agree.
        candidate: At whom the attempt is aimed.
        subject: What it asks for.
        at: When, seconds since 1970.

    Raises:
        UnboundedCostError: Nothing bounds what it could cost, or it has no price.
    """

    __slots__ = ("_amount", "_at", "_books", "_candidate", "_subject", "_together", "_worst")

    def __init__(
        self,
        books: Books,
        together: Together,
        candidate: Candidate,
        subject: Subject,
        at: float,
    ) -> None:
        self._books = books
        self._together = together
        self._candidate = candidate
        self._subject = subject
        self._at = at
        worst = subject.worst(candidate, books.costing.day(at))
        self._worst = worst if type(worst) is Worst else self._bounded(worst)
        self._amount = nano(self._worst.amount)

    def hold(self) -> Reserved | None:
        """Set it aside now; ``None`` where that takes asking the database."""
        if not self._amount:
            # It costs nothing, so no budget has a say; but what must be sent still must.
            return Reserved(self._worst, None, self._at)
        holding = self._books.budgets.hold(self._together.keys, self._amount)
        return Reserved(self._worst, holding, self._at) if holding is not None else None

    async def reserve(self, *, timeout: float, patient: bool) -> Reserved:
        """Have the database set it aside; less, where a tighter bound is needed and found.

        Args:
            timeout: Seconds that this may take.
            patient: Wait that long where only the reservations of others stand in the way.

        Raises:
            BudgetExceededError: A hard budget has too little left.
            BudgetBusyError: It has enough, but calls under way have reserved it.
            UnboundedCostError: The tighter bound is none.
            LedgerError: The database can't be asked.
            LifecycleError: The router was closed meanwhile.
        """
        budgets, clock = self._books.budgets, self._books.clock
        worst, amount, applied = self._worst, self._amount, self._together.applied
        until = clock.monotonic() + timeout
        try:
            holding = await budgets.reserve(applied, amount, timeout=timeout, patient=False)
        except (BudgetExceededError, BudgetBusyError) as exc:
            worst = await self._tight()
            if nano(worst.amount) >= amount and not (patient and isinstance(exc, BudgetBusyError)):
                raise
            amount = nano(worst.amount)
            left = max(0.0, until - clock.monotonic())
            holding = await budgets.reserve(applied, amount, timeout=left, patient=patient)
        return Reserved(worst, holding, self._at)

    async def _tight(self) -> Worst:
        """The bound by the model's own tokenizer, which bytes stood in for."""
        subject, candidate, day = self._subject, self._candidate, self._books.costing.day(self._at)
        await subject.prepare(candidate)
        if subject.quick:
            worst = subject.worst(candidate, day, exact=True)
        else:
            worst = await asyncio.to_thread(subject.worst, candidate, day, exact=True)
        return self._bounded(worst)

    def _bounded(self, worst: Worst | Unbounded) -> Worst:
        if isinstance(worst, Worst):
            return worst
        budget = self._together.applied[0]
        message = (
            f"budget {budget.name} is hard, and nothing bounds what an attempt at "
            f"{self._candidate.name} could cost: {worst.fault}; {worst.way}, or make the budget "
            "soft"
        )
        error = UnboundedCostError(message, model=self._candidate.entry.model, param=worst.param)
        error.budget = budget.name
        error.limit = budget.rule.usd
        raise error
