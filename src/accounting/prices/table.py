"""Prices and facts of models, from ``pricing.toml`` and a user's own tables.

The table is read once, when it is first asked for; reading takes a few milliseconds and no network.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec

from ...errors import ConfigError
from . import file as price_file
from .build import (
    build,
    free_price,
    index_on,
    regions_of,
    surcharge_of,
    tiers_of,
)
from .file import STANDARD, ProviderEntry, our_word
from .likes import resolved
from .names import candidates
from .overlay import laid_over
from .rates import Fees, ModelInfo, Price, Rates, Step

__all__ = [
    "Fees",
    "ModelInfo",
    "Price",
    "PriceTable",
    "Rates",
    "Step",
    "default_prices",
    "prices_over",
]

# Where any region costs extra, its name is the vendor's: a memory of them must have an end.
_MOST_BUILT = 20_000

_Key = tuple[str, str, int, str, str | None]


class PriceTable:
    """Prices by provider kind, model and day. Never changes once made.

    ``kind`` is a provider's plugin (``anthropic``, ``bedrock``), not its name in a configuration:
    two accounts with the same vendor share a price list.
    """

    __slots__ = (
        "_below",
        "_built",
        "_hosts",
        "_infos",
        "_kinds",
        "_names",
        "_prefixes",
        "_providers",
        "_raw",
        "_variants",
    )

    def __init__(
        self, raw: Mapping[str, Any], *, origin: str = "pricing", below: PriceTable | None = None
    ) -> None:
        """Check a table in the form of ``pricing.toml``.

        Args:
            raw: The table.
            origin: What to call it in an error.
            below: The table that a user's was merged over: what differs from it is marked so.

        Raises:
            ConfigError: Something in it is wrong; ``param`` names the place.
        """
        self._raw = resolved(raw, origin=origin)
        self._below = below
        self._providers = price_file.parse(self._raw, origin=origin)
        self._kinds = {
            kind: name
            for name, provider in self._providers.items()
            for kind in (name, *provider.kinds)
        }
        self._names: dict[str, dict[str, str]] = {}
        self._prefixes: dict[str, tuple[tuple[str, str], ...]] = {}
        for name, provider in self._providers.items():
            self._index(name, provider)
        self._hosts = MappingProxyType(
            {host: name for name, provider in self._providers.items() for host in provider.hosts}
        )
        # Only a memory of what was built from the entries, which never change.
        self._built: dict[_Key, Price] = {}
        self._infos: dict[tuple[str, str], ModelInfo] = {}
        self._variants: dict[tuple[str, str, int], tuple[Price, ...]] = {}

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

        The rest of a price list too: a kind of tokens that the user's does not name keeps its
        price, and rises as the kind does beside which it is billed, where that is dearer now. A
        model that was written down as being like another keeps its price when that one's changes.
        Floats count as they are written.

        Raises:
            ConfigError: The result is wrong; ``param`` names the place.
        """
        if not over:
            return self
        _expect_tables(over, origin)
        raw = laid_over(self._raw, over, origin=origin, find=self._entry_of)
        return PriceTable(raw, origin=origin, below=self)

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
            return free_price(name, model, provider)
        found = self._resolve(name, model)
        if found is None:
            return None
        index = index_on(provider.models[found], on)
        if index is None:
            return None
        word = our_word(tier or STANDARD, provider.tier_names)
        zone = region.lower() if region else None
        return self._price(name, found, index, word, zone)

    def variants(self, kind: str, model: str, on: dt.date) -> tuple[Price, ...]:
        """Every price that a call of a model can have on a day: each tier in each region.

        The standard price comes first. What a call does not pin can be any of them.

        Returns:
            Nothing where the price is not known.
        """
        standard = self.lookup(kind, model, on)
        if standard is None or standard.free:
            return () if standard is None else (standard,)
        name = self._kinds[kind]
        entry = self._providers[name].models[standard.model]
        index = index_on(entry, on)
        if index is None:
            return ()
        key = (name, standard.model, index)
        known = self._variants.get(key)
        if known is None:
            known = self._variants[key] = tuple(self._every(key))
        return known

    def _every(self, key: tuple[str, str, int]) -> Iterable[Price]:
        name, model, index = key
        provider = self._providers[name]
        entry = provider.models[model]
        seen: dict[tuple[str, str | None], Price] = {}
        for tier in (STANDARD, *tiers_of(provider, entry, entry.periods[index])):
            for region in (None, *regions_of(provider, entry)):
                price = self._price(name, model, index, tier, region)
                if price is not None:
                    seen.setdefault((price.tier, price.region), price)
        return seen.values()

    def info(self, kind: str, model: str) -> ModelInfo | None:
        """What the table knows of a model; ``None`` for one it does not have."""
        name = self._kinds.get(kind)
        found = self._resolve(name, model) if name is not None else None
        if name is None or found is None:
            return None
        return self._infos.get((name, found)) or self._info(name, found)

    def _info(self, name: str, found: str) -> ModelInfo:
        provider = self._providers[name]
        entry, default = provider.models[found], provider.default
        longest = entry.max_output_tokens or default.max_output_tokens
        usual = entry.default_max_tokens or default.default_max_tokens
        info = self._infos[name, found] = ModelInfo(
            provider=name,
            model=found,
            context_window=entry.context_window or default.context_window,
            max_output_tokens=longest,
            default_max_tokens=min(usual, longest) if usual and longest else usual or longest,
            capabilities=frozenset(entry.capabilities or default.capabilities),
            aliases=entry.aliases,
            retires=entry.retires,
            source=entry.source or provider.source,
            checked=entry.checked or provider.checked,
        )
        return info

    def is_free(self, kind: str) -> bool:
        """Whether a provider was declared to cost nothing."""
        name = self._kinds.get(kind)
        return name is not None and self._providers[name].free

    def models(self, kind: str) -> tuple[str, ...]:
        """The entries of a provider, in the table's order."""
        name = self._kinds.get(kind)
        return tuple(self._providers[name].models) if name is not None else ()

    @property
    def hosts(self) -> Mapping[str, str]:
        """By host name, the provider of this table that answers there and below it."""
        return self._hosts

    @property
    def kinds(self) -> frozenset[str]:
        """The provider kinds that the table has anything on."""
        return frozenset(self._kinds)

    def __repr__(self) -> str:
        models = sum(len(provider.models) for provider in self._providers.values())
        return f"<PriceTable of {models} models by {len(self._providers)} providers>"

    def _price(
        self, name: str, model: str, index: int, tier: str, region: str | None
    ) -> Price | None:
        provider = self._providers[name]
        if surcharge_of(provider, provider.models[model], region) == 1:
            region = None
        key = (name, model, index, tier, region)
        return self._built.get(key) or self._build(key)

    def _build(self, key: _Key) -> Price | None:
        name, model, index, tier, region = key
        price = build(
            self._providers[name], name=name, model=model, index=index, tier=tier, region=region
        )
        if price is not None:
            price = msgspec.structs.replace(price, own=self._mark(price))
            if len(self._built) < _MOST_BUILT:
                self._built[key] = price
        return price

    def _mark(self, price: Price) -> str | None:
        """A short name of the amounts, where the table below has others; ``None`` where not."""
        if self._below is None:
            return None
        amounts = (price.rates, price.steps, price.per, price.fees)
        day = price.since or (price.until - dt.timedelta(1) if price.until else dt.date.max)
        before = self._below.lookup(
            price.provider, price.model, day, tier=price.tier, region=price.region
        )
        if before is not None:  # noqa: SIM102 - reads as two steps
            if (before.rates, before.steps, before.per, before.fees) == amounts:
                return before.own
        return f"{zlib.crc32(msgspec.msgpack.encode(amounts)):08x}"

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

    def _entry_of(self, name: str, model: str) -> str | None:
        return self._resolve(name, model) if name in self._providers else None

    def _resolve(self, name: str, model: str) -> str | None:
        exact = self._names[name]
        for candidate in candidates(model):
            if candidate in exact:
                return exact[candidate]
        for prefix, entry in self._prefixes[name]:
            if model.startswith(prefix):
                return entry
        return None


def prices_over(tables: Iterable[Mapping[str, Any]], base: PriceTable | None = None) -> PriceTable:
    """The package's table, or another, with a configuration's tables over it, one after another.

    Raises:
        ConfigError: One of them is wrong; ``param`` names the place.
    """
    table = base or default_prices()
    for over in tables:
        table = table.merged(over)
    return table


@cache
def default_prices() -> PriceTable:
    """The table that comes with the package, read when it is first asked for and then kept."""
    # Not importlib.resources: importing that alone takes longer than reading the table.
    from pkgutil import get_data

    data = get_data(__package__.rpartition(".")[0], "pricing.toml")
    if data is None:
        raise ConfigError("pricing.toml: this package was installed without its data files")
    return PriceTable.from_toml(data.decode())


def _expect_tables(over: Mapping[str, Any], origin: str) -> None:
    for name, table in over.items():
        if not isinstance(table, Mapping):
            message = f"{origin}: {name}: expected a table of a provider's prices"
            raise ConfigError(message, param=name)
