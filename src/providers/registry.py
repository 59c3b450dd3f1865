"""Finds provider plugins through the entry-point group ``switchgear.providers``.

The adapters that come with the library are found the same way as everybody else's.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint

from ..plugins import PluginInfo, Plugins
from .base import Provider, ProviderSettings

__all__ = ["GROUP", "Registry"]

GROUP = "switchgear.providers"


class Registry:
    """The provider plugins of this installation, looked up once, on first use.

    Args:
        found: Entry points to use instead of the installed ones.
        third_party: Whether plugins of other packages count; ``None`` asks the environment.
    """

    def __init__(
        self, found: Iterable[EntryPoint] | None = None, *, third_party: bool | None = None
    ) -> None:
        self._plugins = Plugins(GROUP, found, third_party=third_party)

    def names(self) -> tuple[str, ...]:
        """The names that ``plugin = "…"`` may take."""
        return self._plugins.names()

    def create(self, settings: ProviderSettings) -> Provider:
        """Make the provider that these settings describe.

        Raises:
            ConfigError: No such plugin, or the plugin refuses the settings.
            PluginError: The plugin is broken: it can't be imported, its factory fails, or what it
                makes is not a provider.
        """
        made: Provider = self._plugins.make(
            settings.plugin,
            settings,
            requires=_REQUIRED,
            where=f"providers.{settings.name}.plugin",
            provider=settings.name,
        )
        return made

    def describe(self, *, load: bool = True) -> tuple[PluginInfo, ...]:
        """Every plugin. With ``load`` each is imported, and the broken ones say what is wrong."""
        return self._plugins.describe(load=load)


_REQUIRED = ("name", "client", "capabilities", "complete", "stream", "aclose")
