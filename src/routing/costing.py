"""What attempts cost: from usages, prices and the day to amounts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from ..accounting.bounds import Unbounded, Worst, worst_case, worst_embedding
from ..accounting.cost import cost_of
from ..accounting.money import Pico, ceil_pico
from ..completion import Usage
from ..messages import ToolCall
from .fields import extra_of, headers_of

if TYPE_CHECKING:
    from ..accounting.prices.table import Price, PriceTable
    from ..accounting.tokens.counter import TokenCounter
    from ..clock import Clock
    from ..providers.base import Reply
    from ..request import ChatRequest
    from .plan import Candidate

__all__ = ["STATED", "Charge", "Chat", "Costing", "Texts", "day_of"]

STATED = "litellm"
"""The price version of a cost that LiteLLM's own table gave, which nobody has checked."""

_MOST_STATED = 1_000_000


class Charge(msgspec.Struct, frozen=True):
    """What one attempt used and cost. Amounts in pico-dollars; ``None`` where unknown.

    Attributes:
        usage: Tokens; ``None`` where nothing is known of them.
        cost: At the price of the day on which it began.
        bound: The most that it can have cost.
        price: Which price was applied.
        answered_model: The model that answered, as the provider says.
        tier: The service tier that answered.
        region: Where, if that has a price of its own.
    """

    usage: Usage | None = None
    cost: Pico | None = None
    bound: Pico | None = None
    price: str = ""
    answered_model: str = ""
    tier: str = ""
    region: str = ""

    @property
    def nothing(self) -> bool:
        """No model ran, so there is nothing to pay for."""
        return self.usage is not None and not self.usage.total_tokens and not self.bound


class Costing:
    """Prices attempts.

    Args:
        prices: The price table.
        tokens: Counts where the provider did not.
        clock: The day, for prices that change.
    """

    def __init__(self, prices: PriceTable, tokens: TokenCounter, clock: Clock) -> None:
        self.prices = prices
        self.tokens = tokens
        self._clock = clock

    def today(self) -> dt.date:
        """The day by whose prices an attempt that begins now is priced (UTC)."""
        return day_of(self._clock.now())

    def price(self, candidate: Candidate, day: dt.date | None = None) -> Price | None:
        """The standard price of a candidate's model."""
        kind, model = candidate.priced
        return self.prices.lookup(kind, model, day or self.today())

    def charge(
        self, candidate: Candidate, day: dt.date, usage: Usage, reply: Reply | None
    ) -> Charge:
        """What a usage costs. The bound is left open where the usage is an estimate.

        Args:
            candidate: Who was asked.
            day: On which the attempt began.
            usage: What it used.
            reply: What arrived of the answer: it says which tier, and which model, answered.
        """
        answered, tier, region = "", None, None
        if reply is not None:
            answered, tier, region = reply.model, reply.tier, reply.region
        price = self._applied(candidate, day, answered, tier, region)
        if price is None and reply is not None and reply.stated_cost is not None:
            return self._stated(candidate, usage, reply, reply.stated_cost)
        cost = cost_of(usage, price) if price is not None else None
        return Charge(
            usage=usage,
            cost=cost,
            bound=None if usage.estimated else cost,
            price=price.version if price is not None else "",
            answered_model=answered,
            tier=price.tier if price is not None else tier or "",
            region=(price.region if price is not None else region) or "",
        )

    def _stated(self, candidate: Candidate, usage: Usage, reply: Reply, stated: object) -> Charge:
        """By the provider's own word, where the table does not know the model at all.

        It bounds nothing. A model that the table knows, but not in that tier, has no cost.
        """
        kind, model = candidate.priced
        known = self.prices.info(kind, model) or self.prices.info(kind, reply.model)
        # By an adapter that may be anybody's: no number, or none that an answer costs, counts.
        cost = None
        if known is None and isinstance(stated, Decimal) and stated.is_finite():
            cost = ceil_pico(stated) if 0 <= stated <= _MOST_STATED else None
        return Charge(
            usage=usage,
            cost=cost,
            price=STATED if cost is not None else "",
            answered_model=reply.model,
            tier=reply.tier or "",
            region=reply.region or "",
        )

    def _applied(
        self,
        candidate: Candidate,
        day: dt.date,
        answered: str,
        tier: str | None,
        region: str | None,
    ) -> Price | None:
        kind, model = candidate.priced
        price = self.prices.lookup(kind, model, day, tier=tier, region=region)
        if price is None and answered:
            # A deployment's own name says nothing; the model that answered may.
            price = self.prices.lookup(kind, answered, day, tier=tier, region=region)
        return price


class Chat:
    """A completion, as far as its cost is concerned."""

    inputs: tuple[str, ...] = ()

    def __init__(self, costing: Costing, request: ChatRequest) -> None:
        self._costing = costing
        self.request = request

    @property
    def quick(self) -> bool:
        """Whether it is short enough to be tokenized on the event loop."""
        return self._costing.tokens.is_quick(self.request)

    def usage(self, candidate: Candidate, reply: Reply | None, *, whole: bool) -> Usage:
        """The provider's count; an estimate, flagged so, where there is no final one."""
        model, tokens = candidate.entry.model, self._costing.tokens
        counted = reply.usage if reply is not None else None
        if counted is not None and whole:
            return counted
        said = "".join(map(_visible, reply.parts)) if reply is not None else ""
        estimate = tokens.estimate_text(said, model) if said else 0
        if counted is None:
            prompt = tokens.estimate(self.request, model).tokens
            return Usage(input_tokens=prompt, output_tokens=estimate, estimated=True)
        # A cut stream: its prompt was counted at the start, its answer only in part.
        longest = max(counted.output_tokens, estimate)
        return msgspec.structs.replace(counted, output_tokens=longest, estimated=True)

    def learn(self, candidate: Candidate, usage: Usage) -> None:
        """Let the provider's count correct later estimates."""
        if not usage.web_searches:  # what a search brings is counted as if it had been asked
            self._costing.tokens.learn(candidate.entry.model, self.request, usage.input_tokens)

    def worst(
        self, candidate: Candidate, day: dt.date, *, exact: bool = False
    ) -> Worst | Unbounded:
        """The most that an attempt can cost."""
        costing, request = self._costing, self.request
        return worst_case(
            request,
            kind=candidate.priced.kind,
            model=candidate.priced.model,
            max_tokens=candidate.max_tokens,
            extra={**candidate.usual_fields, **extra_of(candidate, request.extra)},
            headers={**candidate.usual_headers, **headers_of(candidate, request.extra_headers)},
            context_window=candidate.capabilities.context_window,
            max_output_tokens=candidate.capabilities.max_output_tokens,
            prices=costing.prices,
            day=day,
            tokens=costing.tokens,
            exact=exact,
        )

    async def prepare(self, candidate: Candidate) -> None:
        """Load what an exact bound needs."""
        await self._costing.tokens.load(candidate.entry.model)


class Texts:
    """Texts to embed, as far as their cost is concerned."""

    quick = True
    request = None

    def __init__(
        self,
        costing: Costing,
        texts: tuple[str, ...],
        extra: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._costing = costing
        self.inputs = texts
        self._extra = extra

    def usage(self, candidate: Candidate, reply: Reply | None, *, whole: bool) -> Usage:
        """The provider's count; an estimate, flagged so, where there is none."""
        if whole and reply is not None and reply.usage is not None:
            return reply.usage
        model, tokens = candidate.entry.model, self._costing.tokens
        counted = sum(tokens.estimate_text(text, model) for text in self.inputs)
        return Usage(input_tokens=counted, estimated=True)

    def worst(
        self, candidate: Candidate, day: dt.date, *, exact: bool = False
    ) -> Worst | Unbounded:
        """The most that an attempt can cost: by bytes, which is as exact as it gets."""
        del exact
        costing = self._costing
        return worst_embedding(
            self.inputs,
            kind=candidate.priced.kind,
            model=candidate.priced.model,
            extra={**candidate.usual_fields, **extra_of(candidate, self._extra)},
            prices=costing.prices,
            day=day,
        )

    def learn(self, candidate: Candidate, usage: Usage) -> None:
        """Nothing to be learned."""

    async def prepare(self, candidate: Candidate) -> None:
        """Bytes are all that bounds these."""


def day_of(at: float) -> dt.date:
    """The day (UTC) of an instant, seconds since 1970."""
    return dt.datetime.fromtimestamp(at, dt.UTC).date()


def _visible(part: object) -> str:
    text = getattr(part, "text", None)
    if isinstance(text, str):
        return text
    return part.arguments if isinstance(part, ToolCall) else ""
