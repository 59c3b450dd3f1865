"""The sections about money: ``[ledger]``, ``[[budgets]]`` and ``[pricing]``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any, Literal, TypeAlias, cast

import msgspec

from ..errors import ConfigError
from .addresses import others_serving, read_url
from .budgets import BudgetRule, Downgrade
from .hooks import read_options
from .ledger import LedgerConfig
from .secret_reader import SecretReader
from .table import Problems, Table, as_float
from .toml_file import parse, read_text
from .values import EMPTY, FrozenDict, GroupConfig

__all__ = [
    "PriceSourceConfig",
    "PricingConfig",
    "Unpriced",
    "read_budgets",
    "read_ledger",
    "read_pricing",
    "show_pricing",
]

Unpriced: TypeAlias = Literal["warn", "refuse"]

_LEDGER = ("url", "on_error", "journal", "journal_mb")
_BUDGET = ("scope", "usd", "period", "timezone", "enforcement", "thresholds", "downgrade")
_PERIODS = ("hour", "day", "week", "month", "run", "ever")


class PriceSourceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[pricing.sources.NAME]`` table.

    Attributes:
        name: NAME.
        plugin: Which plugin is asked; NAME, if the table does not say otherwise.
        optional: Where it fails, prices are without it, with a warning; else no call is made. A
            budget that reckons with wrong prices is worth nothing, so that is to be said.
        timeout: Seconds to wait for it.
        options: The rest of the table, for the source to check and to use.
    """

    name: str
    plugin: str
    optional: bool = False
    timeout: float = 10.0
    options: FrozenDict = EMPTY


class PricingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The ``[pricing]`` table.

    Attributes:
        tables: Prices in the form of ``pricing.toml``, each laid over those before it and the
            first over the package's own.
        unpriced: What becomes of a model without a price: ``warn`` serves it, its cost unknown;
            ``refuse`` leaves it out. Hard budgets always refuse it.
        sources: Plugins that bring prices, each laid over the package's own and those before it;
            ``tables`` come on top.
    """

    tables: tuple[Mapping[str, Any], ...] = ()
    unpriced: Unpriced = "warn"
    sources: tuple[PriceSourceConfig, ...] = ()


def read_ledger(top: Table, base: FilePath, secrets: SecretReader) -> LedgerConfig:
    """The ``[ledger]`` table; relative paths become absolute ones, from ``base``."""
    table = top.table("ledger")
    if table is None:
        return LedgerConfig()
    table.only(_LEDGER)
    url = read_url(table, secrets)
    if url is None:
        return LedgerConfig()
    scheme, _, rest = url.partition(":")
    server = scheme in {"postgresql", "postgres"} and rest.startswith("//")
    if url and not server and scheme not in {"sqlite", "memory"}:
        # Only now: to look at the installed packages takes milliseconds.
        others = others_serving("switchgear.ledger_stores")
        if scheme not in others:
            # Not shown: a password may stand in it.
            named = "".join(f'"{name}:...", ' for name in others)
            message = f'must be "sqlite:PATH", "postgresql://...", {named}"memory:" or "env:NAME"'
            table.problems.add((*table.path, "url"), message)
    elif scheme == "sqlite":
        if rest == ":memory:":
            table.problems.add((*table.path, "url"), 'write "memory:" for a ledger in memory')
        elif rest:
            url = f"sqlite:{_path(base, rest)}"
        else:
            table.wrong("url", '"sqlite:" with the path of a file')
    journal = table.text("journal")
    on_error = table.choice("on_error", ("fail", "serve"))
    return LedgerConfig(
        url=url,
        on_error=cast("Literal['fail', 'serve'] | None", on_error),
        journal=str(_path(base, journal)) if journal else "",
        journal_mb=table.integer("journal_mb", least=16, most=1_000_000) or 1024,
    )


def read_budgets(top: Table, groups: Mapping[str, GroupConfig]) -> tuple[BudgetRule, ...]:
    """The ``[[budgets]]`` tables, in order."""
    listed = top.data.get("budgets")
    if listed is None:
        return ()
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        top.wrong("budgets", "a list of tables, each written [[budgets]]")
        return ()
    rules = []
    for index, data in enumerate(listed):
        table = Table(data, ("budgets", index), top.problems)
        rule = _budget(table, groups)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def read_pricing(top: Table, base: FilePath, secrets: SecretReader) -> PricingConfig:
    """The ``[pricing]`` table: a file of prices, prices in place, or both."""
    table = top.table("pricing")
    if table is None:
        return PricingConfig()
    table.only(("file", "unpriced", "prices", "sources"))
    tables: list[Mapping[str, Any]] = []
    if file := table.text("file"):
        place = str(_path(base, file))
        if not FilePath(place).is_file():
            table.problems.add((*table.path, "file"), f"there is no file {place!r}")
            return PricingConfig()
        try:
            tables.append(parse(read_text(place), Problems(place)))
        except ConfigError as exc:
            table.problems.add((*table.path, "file"), exc.message)
    own = table.table("prices")
    if own is not None:
        tables.append(own.data)
    return PricingConfig(
        tables=tuple(FrozenDict(dict(table)) for table in tables),
        unpriced=cast("Unpriced", table.choice("unpriced", ("warn", "refuse")) or "warn"),
        sources=tuple(
            _source(name, source, secrets) for name, source in table.tables("sources").items()
        ),
    )


def show_pricing(pricing: PricingConfig) -> dict[str, Any]:
    """Prices as plain data: whose there are of one's own, and where others come from."""
    shown = [
        {**msgspec.structs.asdict(source), "options": source.options.redacted()}
        for source in pricing.sources
    ]
    return {
        "unpriced": pricing.unpriced,
        "tables": [sorted(table) for table in pricing.tables],
        "sources": shown,
    }


def _source(name: str, table: Table, secrets: SecretReader) -> PriceSourceConfig:
    return PriceSourceConfig(
        name=name,
        plugin=table.text("plugin", name),
        optional=table.flag("optional") or False,
        timeout=table.seconds("timeout") or 10.0,
        options=read_options(table, secrets, but=("plugin", "optional", "timeout")),
    )


def _path(base: FilePath, path: str) -> FilePath:
    """A path of the configuration's, from its own folder; ``~`` is the user's home."""
    try:
        return base / FilePath(path).expanduser()
    except RuntimeError:  # there is no such user
        return base / path


def _budget(table: Table, groups: Mapping[str, GroupConfig]) -> BudgetRule | None:
    table.only(_BUDGET)
    for key in ("scope", "usd", "period"):
        if key not in table.data:
            table.problems.add((*table.path, key), "is missing")
            return None
    usd = table.data["usd"]
    if isinstance(usd, bool) or not isinstance(usd, int | Decimal):
        table.wrong("usd", "an amount in USD, such as 20 or 0.5")
        return None
    period = table.choice("period", _PERIODS)
    enforcement = table.choice("enforcement", ("hard", "soft")) or "hard"
    if period is None:
        return None
    try:
        return BudgetRule(
            scope=table.text("scope"),
            usd=Decimal(usd),
            period=cast("Any", period),
            timezone=table.text("timezone", "UTC"),
            enforcement=cast("Any", enforcement),
            thresholds=_thresholds(table),
            downgrade=_downgrade(table, groups),
        )
    except ConfigError as exc:
        key = (exc.param or "").rpartition("].")[2]
        _, _, message = exc.message.partition(f"{key}: ")
        table.problems.add((*table.path, *key.split(".")), message or exc.message)
        return None


def _thresholds(table: Table) -> tuple[float, ...]:
    listed = table.data.get("thresholds", [Decimal("0.8"), 1])
    if isinstance(listed, list) and all(
        isinstance(part, int | Decimal) and not isinstance(part, bool) for part in listed
    ):
        return tuple(as_float(part) or 0.0 for part in listed)
    table.wrong("thresholds", "a list of parts, such as [0.5, 0.8, 1.0]")
    return ()


def _downgrade(table: Table, groups: Mapping[str, GroupConfig]) -> Downgrade | None:
    found = table.table("downgrade")
    if found is None:
        return None
    found.only(("at", "groups"))
    exchanged = found.table("groups")
    at = found.positive("at", "a part above 0 and below 1")
    if exchanged is None or at is None:
        for key in ("at", "groups"):
            if key not in found.data:
                found.problems.add((*found.path, key), "is missing")
        return None
    for dear, cheap in exchanged.data.items():
        for name in (dear, cheap):
            if not isinstance(name, str) or name not in groups:
                known = ", ".join(sorted(groups)) or "none"
                message = f"{name!r} is not a group; there are: {known}"
                exchanged.problems.add((*exchanged.path, dear), message)
    return Downgrade(at, FrozenDict(exchanged.data))
