"""Where two sets of prices differ: two tables, or a table and the ``genai-prices`` package.

A difference is in what a call would cost or be allowed, not in how a file is written. So entries
are compared as :meth:`PriceTable.lookup` answers, on one day, each tier and long-context step by
itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from .file import BILLED_AS, FEES, KINDS

if TYPE_CHECKING:
    from .rates import Price, Rates
    from .table import PriceTable

__all__ = [
    "Difference",
    "amounts",
    "common_factor",
    "compare",
    "facts_of",
    "per_million",
    "plain_number",
    "tables",
]

_LIMITS = ("context_window", "max_output_tokens", "default_max_tokens")

Facts = Mapping[str, Decimal | int | str]
"""What is said of one model: ``{"input": 3, "output": 15, "batch": "×0.5", "retires": …}``."""


class Difference(msgspec.Struct, frozen=True):
    """One thing on which two tables don't agree.

    Attributes:
        provider: The table in ``pricing.toml``.
        model: The entry in it.
        what: ``input``, ``batch``, ``batch cache_read``, ``above 200000 output``,
            ``fee web_search``, ``context_window``, …; ``model`` where one side does not have the
            model at all.
        ours: What we say: USD per million tokens, a number, a day, ``×0.5``; ``None``: nothing.
        theirs: What the other says.
    """

    provider: str
    model: str
    what: str
    ours: Decimal | int | str | None
    theirs: Decimal | int | str | None

    @property
    def one_sided(self) -> bool:
        """Only one of the two says anything."""
        return self.ours is None or self.theirs is None

    def __str__(self) -> str:
        ours, theirs = ("nothing" if s is None else str(s) for s in (self.ours, self.theirs))
        return f"{self.provider}/{self.model}: {self.what}: {ours} here, {theirs} there"


def compare(
    ours: PriceTable, theirs: PriceTable, on: dt.date, *, whole: bool = True
) -> tuple[Difference, ...]:
    """What differs between two tables on a day, in the order of the tables.

    Args:
        ours: The one table.
        theirs: The other.
        on: The day whose prices are compared.
        whole: A model that only one of them has is a difference too.
    """
    return tuple(_compare(ours, theirs, on, whole=whole))


def _compare(
    ours: PriceTable, theirs: PriceTable, on: dt.date, *, whole: bool
) -> Iterator[Difference]:
    for provider in dict.fromkeys((*tables(ours), *tables(theirs))):
        if ours.is_free(provider) != theirs.is_free(provider) and (
            provider in ours.kinds and provider in theirs.kinds
        ):
            words = ["costs something", "free"]
            free = words[ours.is_free(provider)], words[theirs.is_free(provider)]
            yield Difference(provider, "*", "free", *free)
        left, right = ours.models(provider), theirs.models(provider)
        for model in dict.fromkeys((*left, *right)):
            if model not in left or model not in right:
                if whole:
                    here, there = ("known" if model in side else None for side in (left, right))
                    yield Difference(provider, model, "model", here, there)
                continue
            mine, other = (facts_of(each, provider, model, on) for each in (ours, theirs))
            for what in dict.fromkeys((*mine, *other)):
                if mine.get(what) != other.get(what):
                    yield Difference(provider, model, what, mine.get(what), other.get(what))


def tables(table: PriceTable) -> tuple[str, ...]:
    """The providers of a table, without the further plugins that share a table."""
    return tuple(sorted(table.kinds - _shared(table)))


def _shared(table: PriceTable) -> frozenset[str]:
    shared = set()
    for kind in table.kinds:
        for model in table.models(kind)[:1]:
            info = table.info(kind, model)
            if info is not None and info.provider != kind:
                shared.add(kind)
    return frozenset(shared)


def facts_of(table: PriceTable, provider: str, model: str, on: dt.date) -> Facts:
    """Everything that a table says of one of its entries on a day."""
    facts: dict[str, Decimal | int | str] = {}
    standard, *others = table.variants(provider, model, on) or (None,)
    if standard is not None:
        facts.update(amounts(standard.rates, standard.per))
        for step in standard.steps:
            more = _relative(step.rates, standard.per, standard)
            facts.update((f"above {step.above} {what}".strip(), fact) for what, fact in more)
        for price in others:
            name = _name(price, standard)
            if name is not None:
                more = _relative(price.rates, price.per, standard)
                facts.update((f"{name} {what}".strip(), fact) for what, fact in more)
        facts.update(_beside_rates(standard))
    info = table.info(provider, model)
    if info is not None:
        facts.update(
            (name, tokens) for name in _LIMITS if (tokens := getattr(info, name)) is not None
        )
        if info.retires is not None:
            facts["retires"] = str(info.retires)
    return facts


def _name(price: Price, standard: Price) -> str | None:
    if price.region is None:
        return price.tier
    # A region multiplies every tier alike.
    return f"region {price.region}" if price.tier == standard.tier else None


def _relative(rates: Rates, per: int, standard: Price) -> Iterator[tuple[str, Decimal | str]]:
    """A multiplier of the standard price where one holds for every kind, else the amounts."""
    factor = common_factor(rates, per, standard)
    if factor is not None:
        yield "", f"×{factor}"
    else:
        yield from amounts(rates, per).items()


def _beside_rates(price: Price) -> Iterator[tuple[str, Decimal | str]]:
    for use in FEES:
        fee = getattr(price.fees, use)
        if fee is not None:
            yield f"fee {use}", per_million(fee, 1_000_000)
    for name in ("since", "until"):
        if (day := getattr(price, name)) is not None:
            yield name, str(day)


def amounts(rates: Rates, per: int) -> dict[str, Decimal]:
    """USD per million tokens of each kind that has a price of its own.

    A kind that is billed as another one (cached tokens without a discount) is left out.
    """
    own = {kind: getattr(rates, kind) for kind in KINDS}
    return {
        kind: per_million(rate, per)
        for kind, rate in own.items()
        if kind not in BILLED_AS or rate != own[BILLED_AS[kind]]
    }


def common_factor(rates: Rates, per: int, standard: Price) -> Decimal | None:
    """What the standard price was multiplied by; ``None`` where kinds differ in that."""
    pairs = [
        (getattr(rates, kind) * standard.per, getattr(standard.rates, kind) * per)
        for kind in KINDS
        if getattr(standard.rates, kind)
    ]
    factors = {Fraction(rate, plain) for rate, plain in pairs}
    if len(factors) != 1:
        return None
    factor = factors.pop()
    with localcontext(Context(prec=6)):
        return plain_number(Decimal(factor.numerator) / factor.denominator)


def per_million(pico: int, per: int = 1) -> Decimal:
    """USD per million tokens, from pico-dollars for ``per`` tokens, without trailing zeros."""
    with localcontext(Context(prec=40)):
        return plain_number(Decimal(pico) / (per * 1_000_000))


def plain_number(number: Decimal) -> Decimal:
    """The number without trailing zeros, and without the exponent that Decimal then writes."""
    short = number.normalize()
    return short if int(short.as_tuple().exponent) <= 0 else short.quantize(Decimal(1))
