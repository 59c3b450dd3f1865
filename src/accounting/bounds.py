"""The most that one attempt can cost: what a hard budget sets aside for it.

Nothing here is a guess. Each figure is the documented maximum of a vendor, a proven bound (a token
has at least one byte), or the answer is :class:`Unbounded`. A vendor may still charge for more than
it documents; that is booked, and closes the budget.

Two ways with one result type. The cheap one, by bytes, takes microseconds and may be called on an
event loop. The tight one (``exact``) runs the model's own tokenizer over the prompt, which is some
four times lower for English: worth it when a budget is nearly spent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .money import Pico
from .prices.dearest import Dearest, Open, dearest
from .request_terms import Family, Terms, family_of, terms_of
from .tokens.prompt_bounds import byte_bound
from .unbounded import Unbounded, unbounded_field

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from ..request import ChatRequest
    from .prices.table import PriceTable
    from .tokens.counter import TokenCounter

__all__ = ["Plain", "Unbounded", "Worst", "plain", "worst_case", "worst_embedding"]


class Worst(msgspec.Struct, frozen=True, gc=False):
    """What one attempt can cost at most.

    Attributes:
        amount: Pico-dollars; 0 only from a provider that is declared free.
        input_tokens: The longest prompt; 0 where the provider is free.
        output_tokens: The longest answer, all answers together; 0 likewise.
        max_tokens: The ``max_tokens`` that **must** be sent for the bound to hold; ``None`` where
            the provider is free, and for embeddings.
    """

    amount: Pico
    input_tokens: int
    output_tokens: int
    max_tokens: int | None = None


_FREE: Final = Worst(0, 0, 0)
_NO_TERMS: Final = Terms()
_NO_PRICE: Final = Unbounded("model", "has no price", "add its price in [pricing]")
_ENDLESS: Final = Unbounded(
    "max_tokens",
    "is not set, and the model's longest answer is not known",
    "set it in the call, the entry or the group",
)
_THINKS_ON: Final = Unbounded(
    "max_tokens",
    "does not limit this model's reasoning, and its longest answer is not known",
    "set max_output_tokens of the model in its provider's table",
)
_UNSEEN: Final = Unbounded(
    "messages",
    "have a part without a documented maximum, and the model's context window is not known",
    "set context_window of the model in its provider's table",
)
_BY_ITSELF: Final = Unbounded(
    "model", "searches or runs code at the vendor by itself", "use another one"
)

# The least that OpenAI's Responses API takes: the adapter raises what is below it.
_SHORTEST_ANSWER: Final = 16
_EMBEDDING_FIELDS: Final = frozenset({"encoding_format", "user", "dimensions", "truncate"})
_PER_TEXT: Final = 4

# Models that search or run code at the vendor without being given a tool.
_ACTS_BY_ITSELF: Final = re.compile(
    r"-search-(?:preview|api)|deep-research|(?:^|/)sonar|:online$|(?:^|/)compound(?:-|$)"
)

# Reasoning is billed besides the answer that `max_tokens` limits there.
_THINKS_BESIDE: Final = frozenset({"xai"})


def worst_case(
    request: ChatRequest,
    *,
    kind: str,
    model: str,
    max_tokens: int | None,
    extra: Mapping[str, Any],
    headers: Mapping[str, str],
    context_window: int | None,
    max_output_tokens: int | None,
    prices: PriceTable,
    day: dt.date,
    tokens: TokenCounter,
    exact: bool = False,
) -> Worst | Unbounded:
    """The most that one attempt can cost.

    By bytes (the default) this is cheap: some microseconds and, for long prompts, a millisecond for
    a megabyte. With ``exact`` it runs a tokenizer over the prompt, some ten milliseconds for each
    hundred thousand characters: **not for an event loop** unless ``tokens.is_quick(request)``. It
    needs the tokenizer loaded (``tokens.load``), and goes by bytes where there is none.

    Args:
        request: What is asked.
        kind: The provider's plugin, by which it is priced.
        model: The model as the provider calls it.
        max_tokens: The longest answer by the call, the entry or the group; ``None`` takes the
            model's default from the price table, else the longest that it can give.
        extra: All fields that go into the body besides, the entry's and the call's together.
        headers: All headers that go along, likewise.
        context_window: Tokens of prompt and answer together, as the adapter declares it.
        max_output_tokens: The longest answer that the model can give, as the adapter declares it.
        prices: The price table.
        day: The day of the call (UTC).
        tokens: Counts the prompt.
        exact: Count it with the model's own tokenizer, where one is loaded.
    """
    if prices.is_free(kind):
        return _FREE
    family = family_of(kind)
    terms = terms_of(family, extra, headers)
    if isinstance(terms, Unbounded):
        return terms
    if _ACTS_BY_ITSELF.search(model):
        return _BY_ITSELF
    prompt = tokens.bound(request, model, exact=exact)
    if prompt.why:
        way = "leave it out, and give tools that run on your side"
        return Unbounded("tools", prompt.why, way)
    marks = max(prompt.marks, terms.marks)
    asked = Open(
        family, terms.tier, terms.fast, terms.everywhere, marks, prompt.audio, terms.speaks
    )
    rates = dearest(prices, kind, model, day, asked)
    if rates is None:
        return _unpriced(prices, kind, model, day, terms)
    limits = _limits(prices, kind, model, context_window, max_output_tokens)
    longest = _longest_prompt(prompt.tokens, terms, limits.window)
    if longest is None:
        return _UNSEEN
    sent = max_tokens or limits.usual or limits.answer
    if sent is None:
        return _ENDLESS
    answer = _longest_answer(sent, family, kind, terms, limits)
    if answer is None:
        return _THINKS_ON
    return Worst(rates.amount(longest, answer), longest, answer, sent)


def worst_embedding(
    inputs: Sequence[str],
    *,
    kind: str,
    model: str,
    extra: Mapping[str, Any],
    prices: PriceTable,
    day: dt.date,
) -> Worst | Unbounded:
    """The most that one embedding can cost: by bytes, cheap.

    Args:
        inputs: The texts.
        kind: The provider's plugin, by which it is priced.
        model: The model as the provider calls it.
        extra: All fields that go into the body besides.
        prices: The price table.
        day: The day of the call (UTC).
    """
    if prices.is_free(kind):
        return _FREE
    unknown = next((name for name in extra if name not in _EMBEDDING_FIELDS), None)
    if unknown is not None:
        return unbounded_field(unknown)
    rates = dearest(prices, kind, model, day, Open(family_of(kind)))
    if rates is None:
        return _NO_PRICE
    info = prices.info(kind, model)
    window = (info.context_window if info is not None else None) or 1 << 62
    # A longer text is refused, or cut where the vendor was asked to.
    total = sum(min(byte_bound(text) + _PER_TEXT, window) for text in inputs)
    return Worst(rates.amount(total, 0), total, 0)


class _Limits(msgspec.Struct, frozen=True, gc=False):
    """Tokens of a model's window, of its longest answer, and of one that was not limited."""

    window: int | None
    answer: int | None
    usual: int | None


class Plain:
    """Bounds attempts at one model on one day that ask for nothing with a price of its own.

    That is :func:`worst_case`, by bytes, of requests without fields, headers, cache marks, sound or
    tools of the vendor's: what is the same for all of them is found out once.
    """

    __slots__ = ("_answer", "_family", "_kind", "_limits", "_rates", "_sent")

    def __init__(self, family: Family, kind: str, rates: Dearest, limits: _Limits) -> None:
        self._family: Family = family
        self._kind = kind
        self._rates = rates
        self._limits = limits
        # The last max_tokens, which is nearly always the next one too, and its longest answer.
        self._sent = 0
        self._answer: int | None = None

    def worst(self, prompt: int, max_tokens: int | None) -> Worst | Unbounded:
        """The most that one can cost.

        Args:
            prompt: Its tokens, at most.
            max_tokens: As in :func:`worst_case`.
        """
        limits = self._limits
        sent = max_tokens or limits.usual or limits.answer
        if sent is None:
            return _ENDLESS
        if sent != self._sent:
            self._answer = _longest_answer(sent, self._family, self._kind, _NO_TERMS, limits)
            self._sent = sent
        answer, window = self._answer, limits.window
        if answer is None:
            return _THINKS_ON
        if window is not None and prompt > window:
            prompt = window
        return Worst(self._rates.amount(prompt, answer), prompt, answer, sent)


def plain(
    prices: PriceTable,
    kind: str,
    model: str,
    day: dt.date,
    *,
    context_window: int | None,
    max_output_tokens: int | None,
) -> Plain | None:
    """What bounds plain attempts at a model on a day; ``None`` where only :func:`worst_case` can.

    Takes what that takes.
    """
    if prices.is_free(kind) or _ACTS_BY_ITSELF.search(model):
        return None
    family = family_of(kind)
    rates = dearest(prices, kind, model, day, Open(family))
    if rates is None:
        return None
    limits = _limits(prices, kind, model, context_window, max_output_tokens)
    return Plain(family, kind, rates, limits)


def _limits(
    prices: PriceTable, kind: str, model: str, window: int | None, answer: int | None
) -> _Limits:
    info = prices.info(kind, model)
    if info is None:
        return _Limits(window, answer, None)
    answer = answer or info.max_output_tokens
    return _Limits(window or info.context_window, answer, info.default_max_tokens)


def _longest_prompt(tokens: int | None, terms: Terms, window: int | None) -> int | None:
    """No vendor takes a prompt that is longer than the model's window."""
    if window is None:
        return None if tokens is None else tokens + terms.added
    window = max(window, terms.window)
    return window if tokens is None else min(tokens + terms.added, window)


def _longest_answer(
    sent: int, family: Family, kind: str, terms: Terms, limits: _Limits
) -> int | None:
    """The longest answer, reasoning included, given the ``max_tokens`` that is sent."""
    if family == "anthropic" and limits.answer is not None:
        sent = min(sent, limits.answer)  # the adapter lowers it
    elif family == "openai":
        sent = max(sent, _SHORTEST_ANSWER)
    longest = max(sent, terms.longest)
    if kind in _THINKS_BESIDE:
        thought = limits.answer or limits.window
        if thought is None:
            return None
        longest += thought
    return longest * terms.answers


def _unpriced(prices: PriceTable, kind: str, model: str, day: dt.date, terms: Terms) -> Unbounded:
    if prices.lookup(kind, model, day) is None:
        return _NO_PRICE
    if terms.fast:
        return unbounded_field("speed", "asks for 'fast', which has no price for this model")
    reason = f"asks for {terms.tier!r}, which has no price for this model"
    return unbounded_field("service_tier", reason)
