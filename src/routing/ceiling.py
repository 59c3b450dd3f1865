"""The price ceiling of one call."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from ..accounting.bounds import Unbounded
from ..accounting.money import usd
from ..errors import InvalidRequestError, SwitchgearError, UnsupportedParameterError

if TYPE_CHECKING:
    from .account import Subject
    from .costing import Costing
    from .plan import Candidate

__all__ = ["Ceiling"]


class Ceiling:
    """Tells which candidates could cost more than the caller is ready to pay.

    The prompt counts with its proven upper bound and the answer with its longest form, so a
    candidate that passes can't cost more.
    """

    def __init__(self, most: Decimal, subject: Subject, costing: Costing) -> None:
        self._most = most
        self._subject = subject
        self._costing = costing

    @classmethod
    def of(cls, value: object, subject: Subject, costing: Costing) -> Ceiling | None:
        """The ceiling that a call's ``max_cost`` means; ``None`` for none.

        Raises:
            InvalidRequestError: Not an amount of dollars.
        """
        if value is None:
            return None
        try:
            # A float goes through its repr, so that 0.1 means what was written.
            most = value if isinstance(value, Decimal) else Decimal(str(value))
        except InvalidOperation:
            most = Decimal("NaN")
        if isinstance(value, bool) or not most.is_finite() or most < 0:
            message = f"max_cost: {value!r} is not an amount in USD"
            raise InvalidRequestError(message, param="max_cost")
        return cls(most, subject, costing)

    def exceeded(self, candidate: Candidate) -> SwitchgearError | None:
        """Why the candidate may cost too much; ``None`` where it can't."""
        day = self._costing.today()
        worst = self._subject.worst(candidate, day)
        if not isinstance(worst, Unbounded) and usd(worst.amount) > self._most:
            worst = self._subject.worst(candidate, day, exact=self._subject.quick)
        if isinstance(worst, Unbounded):
            message = f"what it can cost has no bound: {worst.fault}; {worst.way}"
        elif (bound := usd(worst.amount)) > self._most:
            message = f"it could cost ${bound:f}, over the ceiling of ${self._most:f}"
        else:
            return None
        return UnsupportedParameterError(message, param="max_cost")
