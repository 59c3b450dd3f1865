"""What other packages bring: found through entry points, loaded when first used.

Each kind of plugin has an entry-point group of its own (:data:`GROUPS`). A broken plugin is named
and disturbs no other, and no package can take over a name that comes with the library.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any

import msgspec

from .errors import ConfigError, PluginError, SwitchgearError

__all__ = ["GROUPS", "OWN", "SWITCH", "PluginInfo", "Plugins", "short"]

SWITCH = "SWITCHGEAR_PLUGINS"
"""Environment variable; ``0`` leaves only what comes with the library."""

GROUPS: Mapping[str, str] = {
    "switchgear.providers": "provider",
    "switchgear.strategies": "routing strategy",
    "switchgear.cache_stores": "cache store",
    "switchgear.ledger_stores": "ledger store",
    "switchgear.price_sources": "price source",
    "switchgear.hooks": "hook",
}
"""The entry-point groups, and what each one's plugins make."""

OWN: Mapping[str, Mapping[str, str]] = {
    "switchgear.strategies": {
        "priority": "switchgear.routing.strategies:Priority",
        "latency": "switchgear.routing.strategies:Latency",
        "cost": "switchgear.routing.strategies:Cost",
        "least-busy": "switchgear.routing.strategies:LeastBusy",
        "weighted": "switchgear.routing.strategies:Weighted",
        "usage": "switchgear.routing.strategies:Usage",
    },
    "switchgear.cache_stores": {
        "memory": "switchgear.caching.memory:create",
        "sqlite": "switchgear.caching.sqlite:create",
        "redis": "switchgear.caching.redis_server:create",
        "rediss": "switchgear.caching.redis_server:create",
        "unix": "switchgear.caching.redis_server:create",
    },
    "switchgear.ledger_stores": {
        "memory": "switchgear.accounting.ledger.stores:sqlite_store",
        "sqlite": "switchgear.accounting.ledger.stores:sqlite_store",
        "postgresql": "switchgear.accounting.ledger.stores:postgres_store",
        "postgres": "switchgear.accounting.ledger.stores:postgres_store",
    },
}
"""What comes with the library and has no entry point: it is found without a look at the installed
packages, which costs milliseconds. The adapters have some, since theirs is everybody's example."""

_OURS = "switchgear"


class PluginInfo(msgspec.Struct, frozen=True):
    """One plugin, as ``switchgear plugins`` shows it.

    Attributes:
        name: What the configuration calls it.
        distribution: The installed package that brings it, with its version.
        target: Where its factory lives, ``module:attribute``.
        built_in: It comes with this library.
        error: Why it can't be used; ``None`` where it can, or where nobody has tried.
        note: What else there is to know: another package that offers the same name.
        group: The entry-point group it belongs to.
    """

    name: str
    distribution: str
    target: str
    built_in: bool
    error: str | None = None
    note: str | None = None
    group: str = ""


class Plugins:
    """The plugins of one group in this installation, looked up once, on first use.

    Args:
        group: The entry-point group, one of :data:`GROUPS`.
        found: Entry points to use instead of the installed ones.
        own: What comes with the library without an entry point, ``module:attribute`` by name; that
            of :data:`OWN` by default.
        third_party: Whether plugins of other packages count; ``None`` asks the environment.
    """

    def __init__(
        self,
        group: str,
        found: Iterable[EntryPoint] | None = None,
        *,
        own: Mapping[str, str] | None = None,
        third_party: bool | None = None,
    ) -> None:
        self._group = group
        self._what = GROUPS.get(group, "plugin")
        self._found = found
        self._own = dict(OWN.get(group, {}) if own is None else own)
        self._third_party = third_party
        self._table: dict[str, EntryPoint] | None = None
        self._conflicts: dict[str, str] = {}

    def names(self) -> tuple[str, ...]:
        """The names that a configuration may use."""
        return tuple(sorted(self._entry_points()))

    def is_own(self, name: str) -> bool:
        """It comes with the library, without an entry point. Looks at no installed package."""
        return name in self._own

    def __contains__(self, name: str) -> bool:
        """There is a plugin of that name. The installed packages are asked only if need be."""
        return name in self._own or name in self._entry_points()

    def load(self, name: str, *, where: str = "plugin") -> Any:
        """What the plugin's entry point leads to: something to call.

        Args:
            name: The plugin's name.
            where: The key of the configuration that names it, for the error.

        Raises:
            ConfigError: There is no plugin of that name.
            PluginError: It can't be imported, or can't be called.
        """
        target = self._own.get(name)
        if target is not None:
            module, _, attribute = target.partition(":")
            return getattr(importlib.import_module(module), attribute)
        entry_point = self._entry_points().get(name)
        if entry_point is None:
            raise ConfigError(f"{where}: {self._none_such(name)}", param=where)
        try:
            factory = entry_point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # a module may end in sys.exit()
            raise PluginError(f"{self.named(name)} can't be loaded: {short(exc)}") from exc
        if not callable(factory):
            raise PluginError(f"{self.named(name)}: {entry_point.value} is not callable")
        return factory

    def make(
        self,
        name: str,
        settings: Any,
        *,
        requires: Iterable[str],
        where: str = "plugin",
        provider: str | None = None,
    ) -> Any:
        """Call a plugin's factory, and see that what it makes has what its protocol wants.

        Args:
            name: The plugin's name.
            settings: What the factory is given.
            requires: Attributes that the protocol names.
            where: The key of the configuration that names the plugin, for the error.
            provider: The provider that it is for, for the error.

        Raises:
            ConfigError: There is no such plugin, or it refuses the settings.
            PluginError: It is broken: not to be imported, failing, or making something else.
        """
        factory = self.load(name, where=where)
        try:
            made = factory(settings)
        except (SwitchgearError, KeyboardInterrupt):
            raise
        except BaseException as exc:
            message = f"{self.named(name)} failed when it was made: {short(exc)}"
            raise PluginError(message, provider=provider) from exc
        # Looked up without being asked: a property may do work (a provider's `client` imports its
        # SDK, which takes a second).
        lacking = [
            each
            for each in requires
            if inspect.getattr_static(made, each, None) is None and not hasattr(made, each)
        ]
        if lacking:
            message = (
                f"{self.named(name)} made {type(made).__name__}, which is not a {self._what}: "
                f"it lacks {', '.join(lacking)}"
            )
            raise PluginError(message, provider=provider)
        return made

    def describe(self, *, load: bool = True) -> tuple[PluginInfo, ...]:
        """Every plugin. With ``load`` each is imported, and the broken ones say what is wrong."""
        return tuple(self._info(name, load=load) for name in self.names())

    def _info(self, name: str, *, load: bool) -> PluginInfo:
        entry_point = self._entry_points()[name]
        error: str | None = None
        if load:
            try:
                self.load(name)
            except SwitchgearError as exc:
                error = exc.message
        return PluginInfo(
            name,
            _origin(entry_point) if name not in self._own else _this_package(),
            entry_point.value,
            built_in=name in self._own or _ours(entry_point),
            error=error,
            note=self._conflicts.get(name),
            group=self._group,
        )

    def named(self, name: str) -> str:
        """A plugin as errors call it: what it is, its name, and the package that brings it."""
        entry_point = self._entry_points().get(name)
        origin = f" ({_origin(entry_point)})" if entry_point and name not in self._own else ""
        return f"{self._what} plugin {name!r}{origin}"

    def _none_such(self, name: str) -> str:
        close = difflib.get_close_matches(name, self.names(), 1)
        if close:
            hint = f"did you mean {close[0]!r}?"
        else:
            hint = f"there are: {', '.join(self.names()) or 'none'}"
        return f"no {self._what} plugin {name!r} is installed; {hint}"

    def _entry_points(self) -> Mapping[str, EntryPoint]:
        if self._table is None:
            third_party = self._third_party
            if third_party is None:
                third_party = os.environ.get(SWITCH, "1") != "0"
            found = entry_points(group=self._group) if self._found is None else self._found
            table = {
                name: EntryPoint(name, target, self._group) for name, target in self._own.items()
            }
            # Ours first, and the first holds: nobody takes over "openai" by being installed.
            for entry_point in sorted(found, key=lambda each: (not _ours(each), _origin(each))):
                if not third_party and not _ours(entry_point):
                    continue
                holder = table.setdefault(entry_point.name, entry_point)
                if holder.value != entry_point.value:
                    self._conflicts[entry_point.name] = (
                        f"{_origin(entry_point)} also offers {entry_point.name!r}; it is not used"
                    )
            self._table = table
        return self._table


def _ours(entry_point: EntryPoint) -> bool:
    return entry_point.dist is not None and entry_point.dist.name == _OURS


def _this_package() -> str:
    try:
        return f"{_OURS} {version(_OURS)}"
    except PackageNotFoundError:  # run from a folder
        return _OURS


def _origin(entry_point: EntryPoint) -> str:
    dist = entry_point.dist
    return f"{dist.name} {dist.version}" if dist is not None else "unknown package"


def short(exc: BaseException) -> str:
    """What a plugin's exception says, in one line. It may be unable to say anything."""
    try:
        said = str(exc)
    except Exception:  # noqa: BLE001 - somebody else's code
        said = "(it can't be printed)"
    return f"{type(exc).__name__}: {said}".splitlines()[0][:300]
