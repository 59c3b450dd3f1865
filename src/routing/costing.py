"""What attempts cost: from usages, prices and the day to amounts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec

from ..accounting.bounds import Plain, Unbounded, Worst, plain, worst_case, worst_embedding
from ..accounting.cost import cost_of
from ..accounting.money import Pico, ceil_pico
from ..completion import Usage
from ..messages import ToolCall
from .fields import extra_of, headers_of

if TYPE_CHECKING:
    from ..accounting.prices.table import Price, PriceTable
    from ..accounting.tokens.counter import TokenCounter
    from ..accounting.tokens.prompt_bounds import PromptBound
    from ..clock import Clock
    from ..providers.base import Reply
    from ..request import ChatRequest
    from .plan import Candidate

__all__ = ["STATED", "Charge", "Chat", "Costing", "Texts", "day_of"]

STATED = "litellm"
"""The price version of a cost that LiteLLM's own table gave, which nobody has checked."""

_MOST_STATED = 1_000_000
_MOST_KNOWN = 2048
"""Answers of the price table remembered. Names of models and tiers come from providers, too."""
_DAY_SECONDS = 86_400


_K = TypeVar("_K")
_V = TypeVar("_V")

# Kind, model, day, the model that answered, tier, region; kind, model, two limits of it, day.
_Question: TypeAlias = tuple[str, str, dt.date, str, str | None, str | None]
_Place: TypeAlias = tuple[str, str, int | None, int | None, dt.date]


class Charge(msgspec.Struct, frozen=True, gc=False):
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

    What the price table says never changes, so its answers are remembered, each with the day that
    it is about, until another table takes its place.

    Args:
        prices: The price table.
        tokens: Counts where the provider did not.
        clock: The day, for prices that change.
    """

    def __init__(self, prices: PriceTable, tokens: TokenCounter, clock: Clock) -> None:
        self._prices = prices
        self.tokens = tokens
        self._clock = clock
        self._day = day_of(0.0)
        self._day_number = 0
        self._known: dict[_Question, Price | None] = {}
        self._plain: dict[_Place, Plain | None] = {}

    @property
    def prices(self) -> PriceTable:
        """The price table."""
        return self._prices

    @prices.setter
    def prices(self, prices: PriceTable) -> None:
        self._prices = prices
        self._known.clear()
        self._plain.clear()

    def today(self) -> dt.date:
        """The day by whose prices an attempt that begins now is priced (UTC)."""
        return self.day(self._clock.now())

    def day(self, at: float) -> dt.date:
        """The day (UTC) of an instant, seconds since 1970."""
        number = int(at // _DAY_SECONDS)
        if number != self._day_number:
            self._day, self._day_number = day_of(at), number
        return self._day

    def price(self, candidate: Candidate, day: dt.date | None = None) -> Price | None:
        """The standard price of a candidate's model."""
        return self._applied(candidate, day or self.today(), "", None, None)

    def plain(self, candidate: Candidate, day: dt.date) -> Plain | None:
        """What bounds attempts that ask for nothing with a price of its own, if anything does."""
        (kind, model), able = candidate.priced, candidate.capabilities
        place = (kind, model, able.context_window, able.max_output_tokens, day)
        try:
            return self._plain[place]
        except KeyError:
            found = plain(
                self._prices,
                kind,
                model,
                day,
                context_window=able.context_window,
                max_output_tokens=able.max_output_tokens,
            )
            return _remember(self._plain, place, found)

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
        question = (kind, model, day, answered, tier, region)
        try:
            return self._known[question]
        except KeyError:
            price = self._prices.lookup(kind, model, day, tier=tier, region=region)
            if price is None and answered:
                # A deployment's own name says nothing; the model that answered may.
                price = self._prices.lookup(kind, answered, day, tier=tier, region=region)
            return _remember(self._known, question, price)


class Chat:
    """A completion, as far as its cost is concerned."""

    __slots__ = ("_bound", "_bound_of", "_costing", "request")

    inputs: tuple[str, ...] = ()

    def __init__(self, costing: Costing, request: ChatRequest) -> None:
        self._costing = costing
        self.request = request
        self._bound: PromptBound | None = None
        self._bound_of = ""

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
        if not exact and _asks_for_no_more(candidate, request):
            prompt = self._prompt(candidate.priced.model)
            bounds = costing.plain(candidate, day)
            if prompt.is_plain and prompt.tokens is not None and bounds is not None:
                return bounds.worst(prompt.tokens, candidate.max_tokens)
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

    def _prompt(self, model: str) -> PromptBound:
        """The prompt's tokens, at most. The next candidate wants it again, or the next attempt."""
        if self._bound is None or self._bound_of != model:
            self._bound, self._bound_of = self._costing.tokens.bound(self.request, model), model
        return self._bound

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


def _asks_for_no_more(candidate: Candidate, request: ChatRequest) -> bool:
    """Whether nothing goes along besides the request's own fields."""
    entry = candidate.entry
    return not (
        request.extra
        or request.extra_headers
        or entry.extra
        or entry.extra_headers
        or candidate.usual_fields
        or candidate.usual_headers
    )


def _remember(known: dict[_K, _V], question: _K, answer: _V) -> _V:
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[question] = answer
    return answer


def _visible(part: object) -> str:
    text = getattr(part, "text", None)
    if isinstance(text, str):
        return text
    return part.arguments if isinstance(part, ToolCall) else ""
