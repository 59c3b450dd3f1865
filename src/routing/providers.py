"""The router's providers: made from the configuration, kept, and closed together."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from ..accounting.prices.vendors import Priced, priced_model
from ..config import BUILT_IN, Config, Finding, ProviderConfig
from ..config.backend import LITELLM
from ..errors import PluginError, SwitchgearError
from ..providers.base import Provider, ProviderSettings
from ..providers.closing import to_the_end
from ..providers.litellm_settings import as_litellm
from ..providers.registry import Registry
from ..providers.scrub import scrub

__all__ = ["Providers"]

_log = logging.getLogger("switchgear.routing")


class Providers:
    """One adapter for each configured provider, made without I/O when first asked for.

    Args:
        config: Where they are described.
        registry: Where their plugins are found.
        given: Ready-made providers by name, in place of configured ones.
        priced_as: Whose prices a provider's calls are billed at; its plugin's by default.
    """

    def __init__(
        self,
        config: Config,
        registry: Registry,
        given: Mapping[str, Provider] | None = None,
        *,
        priced_as: Callable[[ProviderConfig], str] | None = None,
    ) -> None:
        self._priced_as = priced_as
        self._kinds: dict[str, str] = {}
        self._config = config
        self._registry = registry
        self._made: dict[str, tuple[Provider, ProviderConfig]] = {}
        self._lost: dict[str, tuple[str, ...]] = {}
        # For `client`, which threads beside the loop's may ask for.
        self._lock = threading.Lock()
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
            with self._lock:
                made = self._made.get(name)
                if made is None:
                    made = self._made[name] = self._make(self._config.provider(name))
        return made

    def priced(self, settings: ProviderConfig, model: str) -> Priced:
        """The names under which a model's prices are looked up."""
        kind = self._kinds.get(settings.name)
        if kind is None:
            kind = self._priced_as(settings) if self._priced_as is not None else settings.plugin
            self._kinds[settings.name] = kind
        if settings.plugin != LITELLM:
            return Priced(kind, model)
        return priced_model(kind, model, settings.options.get("vendor"))

    def repriced(self) -> None:
        """The price table is another one: look again whose prices hold."""
        self._kinds.clear()

    def knows(self, name: str) -> bool:
        """There is a provider of that name."""
        return name in self._made or name in self._config.providers or name in BUILT_IN

    def names(self) -> tuple[str, ...]:
        """The configured ones, and those made since."""
        return tuple(sorted({*self._config.providers, *self._made}))

    def findings(self) -> list[Finding]:
        """What the tables of the providers made so far say that has no effect with LiteLLM."""
        return [Finding("warning", "", line) for lost in self._lost.values() for line in lost]

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
        failures: list[Exception] = []
        # Forgotten only when they are closed: whoever is cancelled meanwhile may close again.
        await to_the_end(self._close_all(failures))
        self._made = {}
        if failures:
            raise ExceptionGroup("providers did not close cleanly", failures)

    async def _close_all(self, failures: list[Exception]) -> None:
        results = await asyncio.gather(
            *(provider.aclose() for provider, _ in self._made.values()), return_exceptions=True
        )
        failures.extend(result for result in results if isinstance(result, Exception))

    def _make(self, settings: ProviderConfig) -> tuple[Provider, ProviderConfig]:
        described = ProviderSettings(
            name=settings.name,
            plugin=settings.plugin,
            api_key=settings.api_key,
            base_url=settings.base_url,
            options=settings.options,
            models=settings.models,
        )
        try:
            made = self._registry.create(described)
            if settings.backend == "litellm":
                # Its own plugin was made all the same, to check the table.
                described, lost = as_litellm(described)
                made = self._registry.create(described)
                self._tell(settings.name, lost)
        except SwitchgearError as exc:
            scrub(exc, settings.api_key, described.api_key)
            raise
        return made, settings

    def _tell(self, name: str, lost: tuple[str, ...]) -> None:
        """Say once what a provider's table asks for in vain."""
        if name not in self._lost:
            for line in lost:
                _log.warning("%s", line)
        self._lost[name] = lost
