"""Finds provider plugins through the entry-point group ``switchgear.providers``.

The adapters that come with the library are found the same way as everybody else's. A plugin is
imported when it is first used; one that is broken is named, and disturbs no other.
"""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import msgspec

from ..errors import ConfigError, PluginError, SwitchgearError
from .base import Provider, ProviderFactory, ProviderSettings

__all__ = ["GROUP", "SWITCH", "PluginInfo", "Registry"]

GROUP = "switchgear.providers"
SWITCH = "SWITCHGEAR_PLUGINS"
"""Environment variable; ``0`` leaves only the plugins that come with the library."""

_OURS = "switchgear"


class PluginInfo(msgspec.Struct, frozen=True):
    """One plugin, as ``switchgear providers`` shows it.

    Attributes:
        name: What ``plugin = "…"`` in the configuration says.
        distribution: The installed package that brings it, with its version.
        target: Where its factory lives, ``module:attribute``.
        built_in: It comes with this library.
        error: Why it can't be used; ``None`` where it can, or where nobody has tried.
        note: What else there is to know: another package that offers the same name.
    """

    name: str
    distribution: str
    target: str
    built_in: bool
    error: str | None = None
    note: str | None = None


class Registry:
    """The plugins of this installation, looked up once, on first use.

    Args:
        found: Entry points to use instead of the installed ones.
        third_party: Whether plugins of other packages count; ``None`` asks the environment.
    """

    def __init__(
        self, found: Iterable[EntryPoint] | None = None, *, third_party: bool | None = None
    ) -> None:
        self._found = found
        self._third_party = third_party
        self._table: dict[str, EntryPoint] | None = None
        self._conflicts: dict[str, str] = {}

    def names(self) -> tuple[str, ...]:
        """The names that ``plugin = "…"`` may take."""
        return tuple(sorted(self._entry_points()))

    def create(self, settings: ProviderSettings) -> Provider:
        """Make the provider that these settings describe.

        Raises:
            ConfigError: No such plugin, or the plugin refuses the settings.
            PluginError: The plugin is broken: it can't be imported, its factory fails, or what it
                makes is not a provider.
        """
        factory = self.load(settings.plugin, where=f"providers.{settings.name}.plugin")
        try:
            provider: Any = factory(settings)
        except SwitchgearError:
            raise
        except Exception as exc:
            message = f"plugin {settings.plugin!r} failed to make a provider: {_short(exc)}"
            raise PluginError(message, provider=settings.name) from exc
        # Looked up without being asked: `client` would make the SDK's client, which takes a second.
        missing = [
            name
            for name in _REQUIRED
            if inspect.getattr_static(provider, name, None) is None and not hasattr(provider, name)
        ]
        if missing:
            message = (
                f"plugin {settings.plugin!r} made {type(provider).__name__}, which is not a "
                f"provider: it lacks {', '.join(missing)}"
            )
            raise PluginError(message, provider=settings.name)
        made: Provider = provider
        return made

    def load(self, name: str, *, where: str = "plugin") -> ProviderFactory:
        """The plugin's factory.

        Raises:
            ConfigError: There is no plugin of that name.
            PluginError: It can't be imported.
        """
        table = self._entry_points()
        entry_point = table.get(name)
        if entry_point is None:
            close = difflib.get_close_matches(name, table, 1)
            hint = (
                f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(self.names())}"
            )
            raise ConfigError(
                f"{where}: no provider plugin {name!r} is installed; {hint}", param=where
            )
        try:
            factory = entry_point.load()
        except Exception as exc:
            message = f"plugin {name!r} ({_origin(entry_point)}) can't be loaded: {_short(exc)}"
            raise PluginError(message) from exc
        if not callable(factory):
            message = f"plugin {name!r}: {entry_point.value} is not callable"
            raise PluginError(message)
        loaded: ProviderFactory = factory
        return loaded

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
            _origin(entry_point),
            entry_point.value,
            built_in=_ours(entry_point),
            error=error,
            note=self._conflicts.get(name),
        )

    def _entry_points(self) -> Mapping[str, EntryPoint]:
        if self._table is None:
            third_party = self._third_party
            if third_party is None:
                third_party = os.environ.get(SWITCH, "1") != "0"
            found = entry_points(group=GROUP) if self._found is None else self._found
            table: dict[str, EntryPoint] = {}
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


_REQUIRED = ("name", "client", "capabilities", "complete", "stream", "aclose")


def _ours(entry_point: EntryPoint) -> bool:
    return entry_point.dist is not None and entry_point.dist.name == _OURS


def _origin(entry_point: EntryPoint) -> str:
    dist = entry_point.dist
    return f"{dist.name} {dist.version}" if dist is not None else "unknown package"


def _short(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {exc}".splitlines()[0][:300]
