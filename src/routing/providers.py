"""The router's providers: made from the configuration, kept, and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from ..config import BUILT_IN, Config, ProviderConfig
from ..errors import PluginError
from ..providers.base import Provider, ProviderSettings
from ..providers.registry import Registry

__all__ = ["Providers"]


class Providers:
    """One adapter for each configured provider, made without I/O when first asked for.

    Args:
        config: Where they are described.
        registry: Where their plugins are found.
        given: Ready-made providers by name, in place of configured ones.
    """

    def __init__(
        self, config: Config, registry: Registry, given: Mapping[str, Provider] | None = None
    ) -> None:
        self._config = config
        self._registry = registry
        self._made: dict[str, tuple[Provider, ProviderConfig]] = {}
        for name, provider in (given or {}).items():
            settings = config.providers.get(name) or ProviderConfig(name=name, plugin=name)
            self._made[name] = provider, settings

    def get(self, name: str) -> tuple[Provider, ProviderConfig]:
        """The provider and its settings.

        Raises:
            ConfigError: There is no such provider, its credential is missing, or the plugin
                refuses its settings.
            PluginError: Its plugin is broken.
        """
        made = self._made.get(name)
        if made is None:
            settings = self._config.provider(name)
            provider = self._registry.create(
                ProviderSettings(
                    name=settings.name,
                    plugin=settings.plugin,
                    api_key=settings.api_key,
                    base_url=settings.base_url,
                    options=settings.options,
                    models=settings.models,
                )
            )
            made = self._made[name] = provider, settings
        return made

    def knows(self, name: str) -> bool:
        """There is a provider of that name."""
        return name in self._made or name in self._config.providers or name in BUILT_IN

    def names(self) -> tuple[str, ...]:
        """The configured ones, and those made since."""
        return tuple(sorted({*self._config.providers, *self._made}))

    def prepare(self, names: Iterable[str]) -> None:
        """Make these now, so that a mistake in their settings shows at the start.

        A broken plugin is not a mistake of the configuration: it shows when a call gets to it.

        Raises:
            ConfigError: A provider's settings are wrong.
        """
        for name in names:
            try:
                self.get(name)
            except PluginError:
                continue

    async def aclose(self) -> None:
        """Close them all; one that fails to close does not keep the others open.

        Raises:
            ExceptionGroup: What went wrong while closing.
        """
        made, self._made = list(self._made.values()), {}
        results = await asyncio.gather(
            *(provider.aclose() for provider, _ in made), return_exceptions=True
        )
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise ExceptionGroup("providers did not close cleanly", failures)
