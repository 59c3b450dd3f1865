"""The price table as a list to read and to search."""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...errors import ConfigError
from .diff import amounts, common_factor, per_million, plain_number, tables
from .file import FEES

if TYPE_CHECKING:
    from .rates import ModelInfo, Price
    from .table import PriceTable

__all__ = ["Listed", "listed", "matching", "read_table", "searched"]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One model and what it costs on a day.

    Amounts are USD per million tokens in the standard tier; ``None`` where the vendor has no price
    of that kind, or none is known on that day.

    Attributes:
        model: ``provider/model``, as the table calls both.
        aliases: Further names.
        context_window: Tokens of prompt and answer together.
        notes: What the amounts don't say: tiers, steps, regions, fees, dates.
        capabilities: What the table says that it can do.
        retires: The day from which the vendor's own API no longer serves it.
        source: The page that states the price.
        checked: The day on which it was last compared with its sources.
    """

    model: str
    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    context_window: int | None = None
    notes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    retires: dt.date | None = None
    source: str = ""
    checked: dt.date | None = None


def listed(
    table: PriceTable, on: dt.date, *, providers: Iterable[str] | None = None
) -> tuple[Listed, ...]:
    """Every entry of a table with its price on a day, in the order of the table.

    Args:
        table: The prices.
        on: The day.
        providers: Only theirs.
    """
    chosen = tables(table) if providers is None else tuple(providers)
    return tuple(each for provider in chosen for each in _of_provider(table, provider, on))


def matching(found: Sequence[Listed], pattern: str, table: PriceTable) -> tuple[Listed, ...]:
    """Those that a pattern means.

    A pattern with ``*`` or ``?`` must fit a whole name, with its provider or without. Anything else
    is a name by which calls find a price (a dated snapshot, a cloud's id), or else a part of one.
    """
    wanted = pattern.lower()
    if any(sign in wanted for sign in "*?"):
        return tuple(
            each
            for each in found
            if any(fnmatch.fnmatchcase(name, wanted) for name in _names(each, short=True))
        )
    exact = tuple(each for each in found if _is_found_as(each, pattern, table))
    return exact or tuple(
        each for each in found if any(wanted in name for name in _names(each, short=False))
    )


def searched(found: Sequence[Listed], words: Iterable[str]) -> tuple[Listed, ...]:
    """Those in whose names, notes, abilities or source every word occurs."""
    wanted = [word.lower() for word in words]
    return tuple(each for each in found if all(word in _text(each) for word in wanted))


def read_table(path: Path, *, over: PriceTable | None = None) -> PriceTable:
    """A table of prices from a file.

    Args:
        path: TOML in the form of ``pricing.toml``.
        over: The table that it is laid over; ``None``: it stands alone.

    Raises:
        ConfigError: It can't be read, or something in it is wrong.
    """
    import tomllib

    from .table import PriceTable

    origin = str(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{origin}: can't be read: {exc}", param=origin) from exc
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{origin}: not TOML: {exc}", param=origin) from exc
    return over.merged(raw, origin=origin) if over else PriceTable(raw, origin=origin)


def _of_provider(table: PriceTable, provider: str, on: dt.date) -> Iterator[Listed]:
    if table.is_free(provider):
        zero = Decimal(0)
        yield Listed(model=f"{provider}/*", input=zero, output=zero, notes=("free by declaration",))
        return
    for model in table.models(provider):
        info = table.info(provider, model)
        if info is not None:
            yield _entry(table, provider, info, on)


def _entry(table: PriceTable, provider: str, info: ModelInfo, on: dt.date) -> Listed:
    prices = table.variants(provider, info.model, on)
    costs = amounts(prices[0].rates, prices[0].per) if prices else {}
    return Listed(
        model=f"{provider}/{info.model}",
        **costs,
        context_window=info.context_window,
        notes=tuple(_notes(prices, info, on)),
        aliases=info.aliases,
        capabilities=tuple(sorted(info.capabilities)),
        retires=info.retires,
        source=info.source,
        checked=info.checked,
    )


def _notes(prices: Sequence[Price], info: ModelInfo, on: dt.date) -> Iterator[str]:
    if info.retires is not None:
        yield f"retired {info.retires}" if info.retires <= on else f"retires {info.retires}"
    if not prices:
        yield "no price on that day"
        return
    standard, *others = prices
    if standard.until is not None:
        yield f"until {standard.until}"
    for step in standard.steps:
        times = " ".join(
            f"{kind} ×{_factor(getattr(step.rates, kind), getattr(standard.rates, kind))}"
            for kind in ("input", "output")
        )
        yield f"above {step.above} tokens {times}"
    yield from (f"{p.tier} {_compared(p, standard)}" for p in others if p.region is None)
    for price in others:
        if price.tier == standard.tier:
            place = "any region" if price.region == "*" else f"region {price.region}"
            yield f"{place} {_compared(price, standard)}"
    yield from _beside_tokens(standard)


def _beside_tokens(price: Price) -> Iterator[str]:
    for use in FEES:
        fee = getattr(price.fees, use)
        if fee is not None:
            yield f"{use} ${per_million(fee, 1_000_000)}"
    costs = amounts(price.rates, price.per)
    for kind in ("audio_input", "audio_output"):
        if kind in costs:
            yield f"{kind} {costs[kind]}"


def _compared(price: Price, standard: Price) -> str:
    """A multiplier where one holds for all kinds, else what input and output cost."""
    factor = common_factor(price.rates, price.per, standard)
    if factor is not None:
        return f"×{factor}"
    costs = amounts(price.rates, price.per)
    return f"{costs['input']}/{costs['output']}"


def _factor(rate: int, plain: int) -> Decimal:
    return plain_number(round(Decimal(rate) / plain, 4)) if plain else Decimal(1)


def _names(each: Listed, *, short: bool) -> Iterator[str]:
    provider, _, model = each.model.partition("/")
    yield each.model.lower()
    if short:
        yield model.lower()
    for alias in each.aliases:
        if short:
            yield alias.lower()
        yield f"{provider}/{alias}".lower()


def _is_found_as(each: Listed, name: str, table: PriceTable) -> bool:
    provider, _, model = each.model.partition("/")
    for wanted in {name, name.removeprefix(f"{provider}/")}:
        info = table.info(provider, wanted)
        if info is not None and info.model == model:
            return True
    return False


def _text(each: Listed) -> str:
    return " ".join(
        (*_names(each, short=False), *each.notes, *each.capabilities, each.source)
    ).lower()
