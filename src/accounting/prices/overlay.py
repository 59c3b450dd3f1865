"""One table of prices over another: what it names is replaced, the rest stays.

A user's table is laid over the package's in which every ``like`` has been resolved, so to name a
model changes that model, and none that was only written down by means of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from .file import NamedPrices, PriceEntry, Tier, wrong_prices, wrong_tiers
from .kept import laid_prices
from .likes import (
    SHARED,
    merge,
    other_model,
    other_provider,
    own_names,
    shared_entry,
    shared_table,
    with_base,
    wrong_place,
)
from .unreached import unreached

__all__ = ["laid_over"]

Find: TypeAlias = Callable[[str, str], str | None]
_Prices = TypeVar("_Prices", bound=NamedPrices)

_Offer: TypeAlias = dict[str, Tier]

_NOTHING: Final = (
    "changes nothing: {name!r} has prices of its own, and would only take what this table says of "
    "{like!r}, which is nothing. To have all prices of {like!r} instead of its own, add "
    "`replace = true`"
)
_EVERYWHERE: Final = (
    "in amounts, it would cost the same with every model: state a multiplier, or amounts in a "
    "model's `tiers`"
)


def laid_over(
    below: Mapping[str, Any], over: Mapping[str, Any], *, origin: str, find: Find
) -> dict[str, Any]:
    """One raw table over another.

    Args:
        below: The table that it is laid over, without any ``like``.
        over: The table.
        origin: What to call it in an error.
        find: The entry by which the table below prices a provider's model, if any.

    Raises:
        ConfigError: A ``like`` leads nowhere, or a price makes no sense; ``param`` names the place.
            What is wrong in another way is left as it is, for :func:`.file.parse` to find.
    """
    tables = dict(below)
    for name, own in over.items():
        like = other_provider(over, {**below, **over}, name, origin) if "like" in own else None
        base, of = below.get(name, {}), name
        if name not in below or _replaces(own):
            base = {key: base[key] for key in ("kinds", "hosts") if key in base}
            if like is not None and not _replaces(over.get(like, {})):
                base, of = {**shared_table(below.get(like, {})), **base}, like
        elif like is not None and not shared_table(over.get(like, {})):
            raise wrong_place(origin, f"{name}.like", _NOTHING.format(name=name, like=like))
        theirs = None if like is None else over.get(like, {})
        found = partial(find, of)
        tables[name] = _Provider(name, base, own, theirs, find=found, origin=origin).laid()
    return tables


def _replaces(own: Mapping[str, Any]) -> bool:
    return own.get("replace") is True


class _Provider:
    """One provider's table over the one below it, which may be another's that it is like."""

    def __init__(
        self,
        name: str,
        base: Mapping[str, Any],
        own: Mapping[str, Any],
        theirs: Mapping[str, Any] | None,
        *,
        find: Callable[[str], str | None],
        origin: str,
    ) -> None:
        self._name = name
        self._origin = origin
        self._find = find
        whole = own if theirs is None else with_base(theirs, own)
        self._table = merge(_but_models(base), _but_models(whole))
        default = self._table.get("default")
        self._default: Mapping[str, Any] = default if isinstance(default, Mapping) else {}
        self._below = base
        self._base: Mapping[str, Any] = base.get("models", {})
        self._said = own
        self._layers = [each.get("models", {}) for each in (theirs or {}, own)]
        self._models = whole.get("models", {})
        self._own: dict[str, Any] = {}

    def laid(self) -> dict[str, Any]:
        for where, complaint in self._complaints():
            raise wrong_place(self._origin, where, complaint)
        for models in (*self._layers, self._models):
            if not isinstance(models, Mapping):
                return {**self._table, "models": models}
        for models in self._layers:
            said_as: dict[str, str] = {}
            for name, entry in models.items():
                of = self._named(name)
                if said_as.setdefault(of, name) != name:
                    other = f"{self._name}.models.{said_as[of]!r}"
                    complaint = f"is the same model as {other}: make one entry of the two"
                    raise wrong_place(self._origin, f"{self._name}.models.{name!r}", complaint)
                both = isinstance(self._own.get(of), Mapping) and isinstance(entry, Mapping)
                self._own[of] = merge(self._own[of], entry) if both else entry
        names = dict.fromkeys((*self._base, *self._own))
        return {**self._table, "models": {each: self._entry(each, (each,)) for each in names}}

    def _complaints(self) -> Iterator[tuple[str, str]]:
        names = _typed(self._table.get("tier_names", {}), dict[str, str])
        yield from unreached(self._said, self._name, names or {})
        if not self._base:
            return
        said, below = (_default_tiers(each) for each in (self._said, self._below))
        for tier, value in said.items():
            if isinstance(value, Mapping) and value != below.get(tier):
                yield f"{self._name}.default.tiers.{tier}", _EVERYWHERE

    def _named(self, name: str) -> str:
        """The entry below that a name belongs to; the name itself for a new one."""
        found = self._known(name)
        if found is None or name not in self._base[found].get("aliases", ()):
            return name
        entry = self._models.get(found)
        return name if isinstance(entry, Mapping) and "aliases" in entry else found

    def _known(self, name: Any) -> str | None:
        if not isinstance(name, str) or name in self._base:
            return None
        found = self._find(name)
        if found is None or found not in self._base:
            return None
        return found if isinstance(self._own.get(found, {}), Mapping) else None

    def _entry(self, name: str, seen: tuple[str, ...]) -> Any:
        base, own = self._base.get(name), self._own.get(name)
        if not isinstance(own, Mapping):
            return own if name in self._own else base
        names = own_names(base or {})
        rest = {key: value for key, value in own.items() if key != "like"}
        if _replaces(own):
            base, names = None, {key: names[key] for key in ("aliases",) if key in names}
        if "like" in own:
            where = f"{self._name}.models.{name!r}.like"
            other = other_model({**self._base, **self._own}, own["like"], seen, where, self._origin)
            start = {**shared_entry(self._entry(other, (*seen, other))), **names}
        elif base is not None:
            start = base
        elif _replaces(own) or (found := self._known(name)) is None or found in seen:
            return {**names, **rest}
        else:
            # A dated snapshot, or a cloud's name: as it is without an entry of its own.
            known = self._entry(found, (*seen, found))
            start = {k: v for k, v in known.items() if k != "aliases"}
        return self._laid(name, start, base or start, rest)

    def _laid(
        self, name: str, start: Mapping[str, Any], below: Mapping[str, Any], own: Mapping[str, Any]
    ) -> dict[str, Any]:
        """An entry over another.

        Args:
            name: Of the model.
            start: What holds where it says nothing.
            below: What it keeps the rest of where it says a part.
            own: What it says.
        """
        entry = {**start, **own}
        for key in SHARED:
            if isinstance(own.get(key), Mapping):
                # An empty table says that there are none.
                entry[key] = merge(self._shared(below, key), own[key]) if own[key] else {}
        if "prices" in own or "tiers" in own:
            old = {key: (below if key in own else start).get(key) for key in ("prices", "tiers")}
            laid = self._prices(name, old, own, entry)
            if laid is not None:
                entry["prices"] = laid
        return entry

    def _shared(self, entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        stated = entry.get(key)
        value = stated if stated is not None else self._default.get(key)
        return value if isinstance(value, Mapping) else {}

    def _prices(
        self,
        name: str,
        below: Mapping[str, Any],
        own: Mapping[str, Any],
        entry: Mapping[str, Any],
    ) -> list[Any] | None:
        """The prices of an entry that is laid over another; ``None`` to leave what it says."""
        where = f"{self._name}.models.{name!r}"
        old = _periods(below.get("prices"), PriceEntry)
        new = _periods(own["prices"], NamedPrices) if "prices" in own else None
        of_entry = _typed(self._shared(below, "tiers"), _Offer)
        beside = _typed(own.get("tiers"), _Offer | None)
        result = _typed(self._shared(entry, "tiers"), _Offer)
        if not old or ("prices" in own and new is None) or of_entry is None or result is None:
            return None
        for at, complaint in (
            *wrong_tiers(beside or {}, f"{where}.tiers"),
            *(wrong_prices(new, f"{where}.prices") if new is not None else ()),
        ):
            raise wrong_place(self._origin, at, complaint)
        return [
            msgspec.to_builtins(each, builtin_types=(Decimal, dt.date))
            for each in laid_prices(old, new, tiers=(of_entry, beside, result))
        ]


def _but_models(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "models"}


def _default_tiers(table: Mapping[str, Any]) -> Mapping[str, Any]:
    default = table.get("default")
    tiers = default.get("tiers") if isinstance(default, Mapping) else None
    return tiers if isinstance(tiers, Mapping) else {}


def _periods(raw: Any, form: type[_Prices]) -> list[_Prices] | None:
    listed = raw if isinstance(raw, list | tuple) else [raw]
    typed = [_typed(each, form) for each in listed]
    return None if None in typed else typed


def _typed(raw: Any, form: Any) -> Any:
    """The value in a form; ``None`` where it does not fit, which :func:`.file.parse` will tell."""
    try:
        return msgspec.convert(raw, form)
    except msgspec.ValidationError:
        return None
