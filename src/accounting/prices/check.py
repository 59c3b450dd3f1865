"""Our prices against those of the ``genai-prices`` package, which others keep from the same pages.

The package is not needed for anything else, and not installed with this library.
"""

from __future__ import annotations

import datetime as dt
import importlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import ConfigError
from .diff import Difference, amounts, per_million, plain_number
from .explained import read_explanations

if TYPE_CHECKING:
    from .rates import Price
    from .table import PriceTable

__all__ = ["PROVIDERS", "Report", "check"]

PROVIDERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "azure-openai": "azure",
    "bedrock": "aws",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "google": "google",
    "groq": "groq",
    "meta": "meta",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together": "together",
    "vertex": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
    "zai": "zai",
}
"""Our tables, and what the package calls them."""

# Of their lists for a cloud, what our tables are about.
_PART = {"bedrock": "global.anthropic.", "google": "gemini-", "vertex": "claude-"}
_KINDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
}
_FEES = {"web_search": "web_searches_kcount", "file_search": "storage_searches_kcount"}
_TIERS: Mapping[str, Mapping[str, str]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"speed": "fast"},
}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A table beside ``genai-prices``.

    Attributes:
        version: Of the package.
        unexplained: Where the two say different things, and nobody has said why.
        explained: Where they do, and the reason why ours stands.
        one_sided: What only one of them states: models, kinds, tiers and fees. Nothing disagrees
            there, so there is nothing to explain.
        stale: The explained differences that there no longer are; none for days before the
            explanations begin.
    """

    version: str
    unexplained: tuple[Difference, ...]
    explained: tuple[tuple[Difference, str], ...]
    one_sided: tuple[Difference, ...]
    stale: tuple[str, ...]

    def left_out(self) -> str:
        """How many of which kind are one-sided: ``3 models here, 2 fees there``."""
        counts = Counter(
            f"{_sort(each.what)} {'there' if each.ours is None else 'here'}"
            for each in self.one_sided
        )
        return ", ".join(f"{number} {what}" for what, number in counts.most_common())


def check(table: PriceTable, on: dt.date, *, providers: Iterable[str] | None = None) -> Report:
    """Compare a table with the installed ``genai-prices``.

    Prices by kind, tier and step, and fees are compared; windows and dates are not. Where the
    package has prices by the hour, its dearest hour counts, as it does in ``pricing.toml``.

    Args:
        table: Ours.
        on: The day whose prices are compared.
        providers: Of our tables, those to compare; all of them by default.

    Raises:
        ConfigError: The package is not installed.
    """
    theirs = {provider.id: provider for provider in _load()}
    names = tuple(PROVIDERS if providers is None else providers)
    found: list[Difference] = []
    for name in names:
        other = theirs.get(PROVIDERS.get(name, ""))
        if other is not None and name in table.kinds:
            found.extend(_provider(table, name, other, on))
    explanations = read_explanations()
    reasons = explanations.reasons(on, providers=names)
    both = [each for each in found if not each.one_sided]
    met = {str(each) for each in both}
    return Report(
        version=_version(),
        unexplained=tuple(each for each in both if str(each) not in reasons),
        explained=tuple((e, reasons[str(e)]) for e in both if str(e) in reasons),
        one_sided=tuple(each for each in found if each.one_sided),
        stale=tuple(line for line in reasons if line not in met and on >= explanations.checked),
    )


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("genai-prices")
    except metadata.PackageNotFoundError:  # a copy on the path
        return "of unknown version"


def _sort(what: str) -> str:
    if what in {"model", "price"}:
        return "models"
    if what in _TIERS:
        return "tiers"
    return "fees" if what.startswith("fee ") else "kinds of tokens"


def _load() -> list[Any]:
    try:
        data = importlib.import_module("genai_prices.data")
    except ImportError as exc:
        error = ConfigError("the package genai-prices is not installed", param="genai-prices")
        error.add_note("pip install genai-prices")
        raise error from exc
    providers: list[Any] = data.providers
    return providers


def _provider(table: PriceTable, name: str, other: Any, on: dt.date) -> Iterator[Difference]:
    matched = set()
    for model in table.models(name):
        their = _their_model(name, model, other)
        if their is not None:
            matched.add(their.id)
            yield from _model(table, name, model, their, on)
        else:
            yield Difference(name, model, "model", "known", None)
    for their in other.models:
        if not their.id.startswith(_PART.get(name, "")) or not _sells_tokens(their, on):
            continue
        if their.id not in matched and table.lookup(name, their.id, on) is None:
            yield Difference(name, their.id, "model", None, "known")


def _their_model(name: str, model: str, other: Any) -> Any:
    if name == "bedrock":
        # Regional profiles cost more; ours is the price of the global one.
        return other.find_model(f"global.anthropic.{model}")
    return other.find_model(model)


def _sells_tokens(their: Any, on: dt.date) -> bool:
    return getattr(_dearest(their, on, None), "input_mtok", None) is not None


def _model(
    table: PriceTable, name: str, model: str, their: Any, on: dt.date
) -> Iterator[Difference]:
    standard = table.lookup(name, model, on)
    if standard is None:
        yield Difference(name, model, "price", None, "known")
        return
    yield from _prices(standard, _dearest(their, on, None), ())
    for use, key in _FEES.items():
        fee = getattr(standard.fees, use)
        ours = None if fee is None else per_million(fee, 1_000_000)
        amount = getattr(_dearest(their, on, None), key, None)
        stated = None if amount is None else Decimal(amount) / 1000
        if ours != stated:
            yield Difference(name, model, f"fee {use}", ours, stated)
    for tier, context in _TIERS.items():
        price = table.lookup(name, model, on, tier=tier)
        offered = _offers(their, context, on)
        if price is not None and offered:
            yield from _prices(price, _dearest(their, on, context), (tier,))
        elif price is not None or offered:
            sides = ("priced" if side else None for side in (price, offered))
            yield Difference(name, model, tier, *sides)


def _offers(their: Any, context: Mapping[str, str], on: dt.date) -> bool:
    moment = _moment(on, 12)
    return any(
        dict(variant.when) == dict(context)
        and (variant.constraint is None or variant.constraint.active(moment))
        for variant in their.price_variants or ()
    )


def _prices(ours: Price, theirs: Any, words: tuple[str, ...]) -> Iterator[Difference]:
    """By kind and, where either side has steps, by the length of the prompt."""
    lengths = {step.above for step in ours.steps}
    for key in _KINDS.values():
        lengths.update(tier.start for tier in getattr(getattr(theirs, key, None), "tiers", ()))
    for length in (None, *sorted(lengths)):
        tokens = 0 if length is None else length + 1
        rates = ours.rates_for(tokens)
        mine = amounts(rates, ours.per)
        at = (*words, f"above {length}") if length is not None else words
        for kind, key in _KINDS.items():
            stated = _at(getattr(theirs, key, None), tokens)
            if stated is None and not mine.get(kind):
                continue
            cost = per_million(getattr(rates, kind), ours.per)
            if stated != cost:
                said = None if stated is None else plain_number(stated)
                here = mine.get(kind) if stated is None else cost
                yield Difference(ours.provider, ours.model, " ".join((*at, kind)), here, said)


def _at(price: Any, tokens: int) -> Decimal | None:
    if price is None or isinstance(price, Decimal):
        return price
    amount: Decimal = price.base
    for tier in price.tiers:
        if tokens > tier.start:
            amount = tier.price
    return amount


def _dearest(their: Any, on: dt.date, context: Mapping[str, str] | None) -> Any:
    prices = [their.get_prices(_moment(on, hour), context) for hour in range(24)]
    return max(prices, key=lambda each: _at(getattr(each, "input_mtok", None), 0) or Decimal(0))


def _moment(on: dt.date, hour: int) -> dt.datetime:
    return dt.datetime(on.year, on.month, on.day, hour, 30, tzinfo=dt.UTC)
