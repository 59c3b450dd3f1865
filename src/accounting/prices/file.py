"""The form of ``pricing.toml``: what may stand in it, and errors that name the place.

The same form is read from the package's own file and from a user's table. ``pricing.toml`` itself
explains the keys to those who edit it.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from .likes import wrong_place

__all__ = [
    "BILLED_AS",
    "CAPABILITIES",
    "FEES",
    "KINDS",
    "STANDARD",
    "LongContext",
    "ModelEntry",
    "NamedPrices",
    "PriceEntry",
    "ProviderEntry",
    "Tier",
    "billed_as",
    "our_word",
    "parse",
    "wrong_prices",
    "wrong_tiers",
]

KINDS = (
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "audio_output",
)

# What a kind costs where the vendor has no price of its own for it; each after the other.
BILLED_AS = {
    "cache_read": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "cache_write_5m",
    "audio_input": "input",
    "audio_output": "output",
}

FEES = ("web_search", "file_search", "code_session")

CAPABILITIES = frozenset(
    {
        "audio",
        "chat",
        "embeddings",
        "files",
        "images",
        "json",
        "prompt_cache",
        "reasoning",
        "responses",
        "sampling",
        "schema",
        "tools",
    }
)

Tier: TypeAlias = Decimal | dict[str, Decimal]

_Amount = TypeVar("_Amount", Decimal, Fraction)

STANDARD: Final = "standard"
"""The tier that ``prices`` state."""

# What vendors answer with where nothing special was asked for.
_STANDARD_WORDS = frozenset({"auto", "default", "on_demand"})
_STANDARD = frozenset({STANDARD, "default"})
# Money is counted in 10⁻¹² USD, a price is for 10⁶ tokens.
_FINEST = -6
_FINEST_FEE = -12
_PERIODS = (
    "periods must follow each other: each but the last needs `until`, each but the first `from`, "
    "and they must not overlap"
)


class LongContext(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Multipliers for the whole request once its prompt is longer than ``above`` tokens."""

    above: int
    input: Decimal
    output: Decimal


class NamedPrices(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"since": "from"},
):
    """What one period of a price list names, USD per million tokens; ``None``: nothing of it."""

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    long: LongContext | tuple[LongContext, ...] | None = None
    tiers: dict[str, Tier] | None = None
    since: dt.date | None = None
    until: dt.date | None = None

    @property
    def amounts(self) -> dict[str, Decimal]:
        """The prices that are named, by kind."""
        return {kind: price for kind in KINDS if (price := getattr(self, kind)) is not None}

    @property
    def steps(self) -> tuple[LongContext, ...]:
        """The long-context steps, however many were given."""
        return (self.long,) if isinstance(self.long, LongContext) else self.long or ()


class PriceEntry(NamedPrices, frozen=True, kw_only=True):
    """One period's prices, whole: a kind that is not named is billed as another."""

    input: Decimal
    output: Decimal


class _Inherited(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model may leave to its provider's ``default``."""

    context_window: int | None = None
    max_output_tokens: int | None = None
    default_max_tokens: int | None = None
    capabilities: tuple[str, ...] = ()
    tiers: dict[str, Tier] | None = None
    regions: dict[str, Decimal] | None = None
    fees: dict[str, Decimal] | None = None


class ModelEntry(_Inherited, frozen=True, kw_only=True):
    """One model. ``aliases`` are further names; one that ends with ``*`` matches as a prefix.

    ``replace`` is for a table that is laid over another: nothing is kept of the entry below.
    """

    replace: bool = False
    prices: PriceEntry | tuple[PriceEntry, ...]
    aliases: tuple[str, ...] = ()
    retires: dt.date | None = None
    source: str | None = None
    checked: dt.date | None = None

    @property
    def periods(self) -> tuple[PriceEntry, ...]:
        """The prices by period, however many were given."""
        return (self.prices,) if isinstance(self.prices, PriceEntry) else self.prices


class ProviderEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider: what its models share, and the models. ``hosts`` are where it answers."""

    replace: bool = False
    source: str = ""
    checked: dt.date | None = None
    free: bool = False
    kinds: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    tier_names: dict[str, str] = {}
    default: _Inherited = _Inherited()
    models: dict[str, ModelEntry] = {}


def parse(raw: Mapping[str, Any], *, origin: str) -> dict[str, ProviderEntry]:
    """Check a raw table and turn it into entries.

    Args:
        raw: As ``tomllib`` reads it, or a dict, without any ``like`` (:func:`.likes.resolved`).
        origin: What to call it in an error (``pricing.toml``).

    Raises:
        ConfigError: Something in it is wrong; ``param`` names the place.
    """
    entries = {name: _convert(table, name, origin) for name, table in raw.items()}
    for where, complaint in _complaints(entries):
        raise wrong_place(origin, where, complaint)
    return entries


def our_word(tier: str, tier_names: Mapping[str, str]) -> str:
    """A tier in our word, from a vendor's.

    Args:
        tier: As a request or an answer names it.
        tier_names: The vendor's words.
    """
    word = tier.lower()
    return tier_names.get(word, STANDARD if word in _STANDARD_WORDS else word)


def billed_as(stated: Mapping[str, _Amount]) -> dict[str, _Amount]:
    """Every kind's price: one that is not stated is billed as another.

    Args:
        stated: The prices that are, by kind; ``input`` and ``output`` among them.
    """
    prices = dict(stated)
    prices.setdefault("cache_read", prices["input"])
    prices.setdefault("cache_write_5m", prices["input"])
    prices.setdefault("cache_write_1h", max(prices["input"], prices["cache_write_5m"]))
    prices.setdefault("audio_input", prices["input"])
    prices.setdefault("audio_output", prices["output"])
    return prices


def _convert(table: Any, name: str, origin: str) -> ProviderEntry:
    try:
        return msgspec.convert(table, ProviderEntry)
    except msgspec.ValidationError as exc:
        complaint, _, path = str(exc).partition(" - at `")
        where = _place(table, name, path.removesuffix("`"))
        raise wrong_place(origin, where, complaint) from None


def _place(table: Any, name: str, path: str) -> str:
    # msgspec writes `[...]` for a key of a mapping; find out which entry it was.
    if "models[...]" not in path or not isinstance(table, Mapping):
        return name + path.removeprefix("$")
    for model, entry in table["models"].items():
        try:
            msgspec.convert(entry, ModelEntry)
        except msgspec.ValidationError:
            return f"{name}.models.{model!r}" + path.partition("models[...]")[2]
    return name + path.removeprefix("$")


def _complaints(entries: Mapping[str, ProviderEntry]) -> Iterator[tuple[str, str]]:
    kinds: dict[str, str] = {}
    hosts: dict[str, str] = {}
    for name, provider in entries.items():
        for host in provider.hosts:
            if hosts.setdefault(host, name) != name:
                yield f"{name}.hosts", f"{host!r} already belongs to {hosts[host]!r}"
        for kind in (name, *provider.kinds):
            if kinds.setdefault(kind, name) != name:
                yield f"{name}.kinds", f"{kind!r} already belongs to {kinds[kind]!r}"
        yield from _wrong_shared(provider.default, f"{name}.default")
        names: dict[str, str] = {}
        for model, entry in provider.models.items():
            where = f"{name}.models.{model!r}"
            for alias in (model, *entry.aliases):
                if names.setdefault(alias, model) != model:
                    yield f"{where}.aliases", f"{alias!r} already belongs to {names[alias]!r}"
            yield from _wrong_shared(entry, where)
            yield from wrong_prices(entry.periods, f"{where}.prices")


def _wrong_shared(entry: _Inherited, where: str) -> Iterator[tuple[str, str]]:
    for flag in entry.capabilities:
        if flag not in CAPABILITIES:
            known = ", ".join(sorted(CAPABILITIES))
            yield f"{where}.capabilities", f"{flag!r} is not one of {known}"
    for field in ("context_window", "max_output_tokens", "default_max_tokens"):
        if (tokens := getattr(entry, field)) is not None and tokens <= 0:
            yield f"{where}.{field}", f"must be a positive number of tokens, got {tokens}"
    if entry.default_max_tokens and entry.max_output_tokens:  # noqa: SIM102 - reads as two steps
        if entry.default_max_tokens > entry.max_output_tokens:
            yield f"{where}.default_max_tokens", "must not be above max_output_tokens"
    yield from wrong_tiers(entry.tiers or {}, f"{where}.tiers")
    for region, factor in (entry.regions or {}).items():
        if not (factor.is_finite() and factor > 0):
            yield f"{where}.regions.{region}", f"must be a positive multiplier, got {factor}"
    for use, fee in (entry.fees or {}).items():
        yield from _wrong_fee(use, fee, f"{where}.fees.{use}")


def _wrong_fee(use: str, fee: Decimal, where: str) -> Iterator[tuple[str, str]]:
    if use not in FEES:
        yield where, f"is not one of {', '.join(FEES)}"
    elif not fee.is_finite() or fee < 0:
        yield where, f"must be USD for one use, zero or more, got {fee}"
    elif fee and _exponent(fee) < _FINEST_FEE:
        yield where, f"{fee} is finer than 0.000000000001 USD"


def _exponent(number: Decimal) -> int:
    """The power of ten of the last digit that counts, whatever the context's precision is."""
    _, digits, exponent = number.as_tuple()
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return int(exponent) + min(zeros, len(digits) - 1)


def wrong_tiers(tiers: Mapping[str, Tier], where: str) -> Iterator[tuple[str, str]]:
    """What is wrong with tiers: place and complaint."""
    for tier, value in tiers.items():
        if tier in _STANDARD:
            yield f"{where}.{tier}", "the standard tier is what `prices` states"
        elif isinstance(value, Decimal):
            if not (value.is_finite() and value > 0):
                yield f"{where}.{tier}", f"must be a positive multiplier, got {value}"
        else:
            for kind, price in value.items():
                if kind not in KINDS:
                    yield f"{where}.{tier}.{kind}", f"is not one of {', '.join(KINDS)}"
                else:
                    yield from _wrong_price(price, f"{where}.{tier}.{kind}")


def wrong_prices(periods: Sequence[NamedPrices], where: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the periods of a price list: place and complaint."""
    if not periods:
        yield where, "must state at least one price"
    for index, period in enumerate(periods):
        at = f"{where}[{index}]" if len(periods) > 1 else where
        for kind in KINDS:
            price = getattr(period, kind)
            if price is not None:
                yield from _wrong_price(price, f"{at}.{kind}")
        yield from wrong_tiers(period.tiers or {}, f"{at}.tiers")
        yield from _wrong_steps(period.steps, f"{at}.long")
        if period.since and period.until and period.since >= period.until:
            yield f"{at}.until", "must be after `from`; it is the first day of the next price"
    for before, after in itertools.pairwise(periods):
        if before.until is None or after.since is None or before.until > after.since:
            yield where, _PERIODS


def _wrong_price(price: Decimal, where: str) -> Iterator[tuple[str, str]]:
    if not price.is_finite() or price < 0:
        yield where, f"must be USD per million tokens, zero or more, got {price}"
        return
    if price and _exponent(price) < _FINEST:
        yield where, f"{price} is finer than 0.000001 USD per million tokens"


def _wrong_steps(steps: tuple[LongContext, ...], where: str) -> Iterator[tuple[str, str]]:
    lowest = 0
    for step in steps:
        if step.above <= lowest:
            yield f"{where}.above", "must be a positive number of tokens, ascending"
        lowest = step.above
        for field in ("input", "output"):
            factor = getattr(step, field)
            if not (factor.is_finite() and factor > 0):
                yield f"{where}.{field}", f"must be a positive multiplier, got {factor}"
