"""The price ceiling of one call."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from ..errors import InvalidRequestError, SwitchgearError, UnsupportedParameterError

if TYPE_CHECKING:
    from ..accounting.tokens import TokenCounter
    from ..request import ChatRequest
    from .plan import Candidate
    from .settle import Settler

__all__ = ["Ceiling"]


class Ceiling:
    """Tells which candidates could cost more than the caller is ready to pay.

    The prompt counts with its proven upper bound and the answer with its longest form, so a
    candidate that passes can't cost more.
    """

    def __init__(
        self, most: Decimal, request: ChatRequest, settler: Settler, tokens: TokenCounter
    ) -> None:
        self._most = most
        self._request = request
        self._settler = settler
        self._tokens = tokens

    @classmethod
    def of(
        cls, value: object, request: ChatRequest, settler: Settler, tokens: TokenCounter
    ) -> Ceiling | None:
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
        return cls(most, request, settler, tokens)

    def exceeded(self, candidate: Candidate) -> SwitchgearError | None:
        """Why the candidate may cost too much; ``None`` where it can't."""
        prompt = self._tokens.upper_bound(
            self._request,
            candidate.entry.model,
            context_window=candidate.capabilities.context_window,
        )
        bound = self._settler.bound(candidate, prompt) if prompt is not None else None
        if bound is None:
            message = "what it can cost is not known: no price or no longest answer (max_tokens)"
        elif bound > self._most:
            message = f"it could cost ${bound:f}, over the ceiling of ${self._most:f}"
        else:
            return None
        return UnsupportedParameterError(message, param="max_cost")
