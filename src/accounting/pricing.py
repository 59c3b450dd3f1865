"""Prices and facts of models, from ``pricing.toml`` and a user's own tables.

The table is read once, when it is first asked for; reading takes a few milliseconds and no network.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Context, Decimal, localcontext
from functools import cache
from typing import Any

from ..errors import ConfigError
from . import price_file
from .money import ceil_pico
from .names import candidates
from .price_file import KINDS, ModelEntry, PriceEntry, ProviderEntry
from .rates import FREE_RATES, ModelInfo, Price, Rates, Step

__all__ = ["ModelInfo", "Price", "PriceTable", "Rates", "Step", "default_prices"]

_MILLION = 1_000_000


class PriceTable:
    """Prices by provider kind, model and day. Never changes once made.

    ``kind`` is a provider's plugin (``anthropic``, ``bedrock``), not its name in a configuration:
    two accounts with the same vendor share a price list.
    """

    __slots__ = ("_built", "_kinds", "_names", "_prefixes", "_providers", "_raw")

    def __init__(self, raw: Mapping[str, Any], *, origin: str = "pricing") -> None:
        """Check a table in the form of ``pricing.toml``.

        Raises:
            ConfigError: Something in it is wrong; ``param`` names the place.
        """
        self._raw = raw
        self._providers = price_file.parse(raw, origin=origin)
        self._kinds = {
            kind: name
            for name, provider in self._providers.items()
            for kind in (name, *provider.kinds)
        }
        self._names: dict[str, dict[str, str]] = {}
        self._prefixes: dict[str, tuple[tuple[str, str], ...]] = {}
        for name, provider in self._providers.items():
            self._index(name, provider)
        # Only a memory of what was built from the entries, which never change: bounded by them.
        self._built: dict[tuple[str, str, int, str, str | None], Price] = {}

    @classmethod
    def from_toml(cls, text: str, *, origin: str = "pricing.toml") -> PriceTable:
        """Read a table from TOML.

        Raises:
            ConfigError: It is not TOML, or something in it is wrong.
        """
        import tomllib

        try:
            raw = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as exc:
            raise ConfigError(f"{origin}: not TOML: {exc}", param=origin) from exc
        return cls(raw, origin=origin)

    def merged(self, over: Mapping[str, Any], *, origin: str = "pricing") -> PriceTable:
        """This table with a user's over it: what the user's names is replaced, the rest stays.

        A model's ``prices`` are replaced whole. Floats count as they are written.

        Raises:
            ConfigError: The result is wrong; ``param`` names the place.
        """
        if not over:
            return self
        _expect_tables(over, origin)
        return PriceTable(price_file.merge(self._raw, over), origin=origin)

    def lookup(
        self,
        kind: str,
        model: str,
        on: dt.date,
        *,
        tier: str | None = None,
        region: str | None = None,
    ) -> Price | None:
        """The price of a model on a day.

        Args:
            kind: The provider's plugin.
            model: The model as the provider calls it: an entry, one of its aliases, a dated
                snapshot of one, or a cloud's id of one.
            on: The day (UTC) of the call.
            tier: The service tier that served it; ``None`` and the vendors' words for it
                (``default``, ``auto``, ``standard``) are the standard tier.
            region: A data-residency zone (``us``). One that the model has no surcharge for
                costs nothing extra.

        Returns:
            ``None`` where the price is not known: no such model, none on that day, or a tier that
            the table does not price. Never a zero, save for a provider declared free.
        """
        name = self._kinds.get(kind)
        if name is None:
            return None
        provider = self._providers[name]
        if provider.free:
            return _free(name, model, provider)
        found = self._resolve(name, model)
        if found is None:
            return None
        entry = provider.models[found]
        surcharge = _surcharge(provider, entry, region)
        if surcharge == 1:
            region = None
        tier = provider.tier_names.get(tier or "standard", tier or "standard")
        for index, period in enumerate(entry.periods):
            if (period.since is None or period.since <= on) and (
                period.until is None or on < period.until
            ):
                key = (name, found, index, tier, region)
                return self._built.get(key) or self._build(key, period, surcharge)
        return None

    def info(self, kind: str, model: str) -> ModelInfo | None:
        """What the table knows of a model; ``None`` for one it does not have."""
        name = self._kinds.get(kind)
        found = self._resolve(name, model) if name is not None else None
        if name is None or found is None:
            return None
        provider = self._providers[name]
        entry, default = provider.models[found], provider.default
        longest = entry.max_output_tokens or default.max_output_tokens
        usual = entry.default_max_tokens or default.default_max_tokens
        return ModelInfo(
            provider=name,
            model=found,
            context_window=entry.context_window or default.context_window,
            max_output_tokens=longest,
            default_max_tokens=min(usual, longest) if usual and longest else usual or longest,
            capabilities=frozenset(entry.capabilities or default.capabilities),
            retires=entry.retires,
            source=entry.source or provider.source,
            checked=entry.checked or provider.checked,
        )

    def is_free(self, kind: str) -> bool:
        """Whether a provider was declared to cost nothing."""
        name = self._kinds.get(kind)
        return name is not None and self._providers[name].free

    def models(self, kind: str) -> tuple[str, ...]:
        """The entries of a provider, in the table's order."""
        name = self._kinds.get(kind)
        return tuple(self._providers[name].models) if name is not None else ()

    @property
    def kinds(self) -> frozenset[str]:
        """The provider kinds that the table has anything on."""
        return frozenset(self._kinds)

    def __repr__(self) -> str:
        models = sum(len(provider.models) for provider in self._providers.values())
        return f"<PriceTable of {models} models by {len(self._providers)} providers>"

    def _build(
        self, key: tuple[str, str, int, str, str | None], period: PriceEntry, surcharge: Decimal
    ) -> Price | None:
        name, model, _, tier, region = key
        provider = self._providers[name]
        entry = provider.models[model]
        # A context of our own: the caller's may round to few digits, or trap.
        with localcontext(Context(prec=60)):
            stated = _stated(provider, entry, period, tier)
            if stated is None:
                return None
            price = Price(
                provider=name,
                model=model,
                rates=_rates(stated, surcharge, surcharge),
                steps=tuple(
                    Step(s.above, _rates(stated, surcharge * s.input, surcharge * s.output))
                    for s in period.steps
                ),
                tier=tier,
                region=region,
                since=period.since,
                until=period.until,
                source=entry.source or provider.source,
                checked=entry.checked or provider.checked,
            )
        self._built[key] = price
        return price

    def _index(self, name: str, provider: ProviderEntry) -> None:
        exact: dict[str, str] = {}
        prefixes: list[tuple[str, str]] = []
        for model, entry in provider.models.items():
            for alias in (model, *entry.aliases):
                if alias.endswith("*"):
                    prefixes.append((alias[:-1], model))
                else:
                    exact[alias] = model
        prefixes.sort(key=lambda pair: len(pair[0]), reverse=True)
        self._names[name] = exact
        self._prefixes[name] = tuple(prefixes)

    def _resolve(self, name: str, model: str) -> str | None:
        exact = self._names[name]
        for candidate in candidates(model):
            if candidate in exact:
                return exact[candidate]
        for prefix, entry in self._prefixes[name]:
            if model.startswith(prefix):
                return entry
        return None


@cache
def default_prices() -> PriceTable:
    """The table that comes with the package, read when it is first asked for and then kept."""
    # Not importlib.resources: importing that alone takes longer than reading the table.
    from pkgutil import get_data

    data = get_data(__package__, "pricing.toml")
    if data is None:
        raise ConfigError("pricing.toml: this package was installed without its data files")
    return PriceTable.from_toml(data.decode())


def _expect_tables(over: Mapping[str, Any], origin: str) -> None:
    for name, table in over.items():
        if not isinstance(table, Mapping):
            message = f"{origin}: {name}: expected a table of a provider's prices"
            raise ConfigError(message, param=name)


def _free(name: str, model: str, provider: ProviderEntry) -> Price:
    return Price(
        provider=name,
        model=model,
        rates=FREE_RATES,
        free=True,
        source=provider.source,
        checked=provider.checked,
    )


def _surcharge(provider: ProviderEntry, entry: ModelEntry, region: str | None) -> Decimal:
    if region is None or region == "global":
        return Decimal(1)
    own = entry.regions
    regions = (own if own is not None else provider.default.regions) or {}
    return regions.get(region, regions.get("*", Decimal(1)))


def _stated(
    provider: ProviderEntry, entry: ModelEntry, period: PriceEntry, tier: str
) -> dict[str, Decimal] | None:
    """USD per million tokens for each kind in a tier; ``None`` where the tier is not priced."""
    prices = {kind: price for kind in KINDS if (price := getattr(period, kind)) is not None}
    if tier != "standard":
        offered = (period.tiers, entry.tiers, provider.default.tiers)
        change = next((tiers for tiers in offered if tiers is not None), {}).get(tier)
        if change is None:
            return None
        if isinstance(change, Decimal):
            prices = {kind: price * change for kind, price in prices.items()}
        else:
            prices |= change
    prices.setdefault("cache_read", prices["input"])
    prices.setdefault("cache_write_5m", prices["input"])
    prices.setdefault("cache_write_1h", max(prices["input"], prices["cache_write_5m"]))
    prices.setdefault("audio_input", prices["input"])
    prices.setdefault("audio_output", prices["output"])
    return prices


def _rates(stated: Mapping[str, Decimal], of_input: Decimal, of_output: Decimal) -> Rates:
    return Rates(
        **{
            kind: ceil_pico(price * (of_output if kind.endswith("output") else of_input) / _MILLION)
            for kind, price in stated.items()
        }
    )
