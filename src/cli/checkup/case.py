"""What the checks look at, and what several of them ask for: found out once."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ...config import Config
from ...config.hiding import secrets_in
from ...credentials import Secret, hide
from ...errors import SwitchgearError

if TYPE_CHECKING:
    from ...accounting.ledger.place import Place
    from ...accounting.prices.table import PriceTable
    from ...accounting.prices.vendors import Priced
    from ...clock import Clock
    from ...config import Candidate, PricingConfig
    from ...errors import ConfigError
    from ...routing.providers import Providers
    from .database import LedgerLook
    from .visits import Visit

__all__ = ["Case"]

T = TypeVar("T")

_CREDENTIAL_ENDINGS = ("_API_KEY", "_TOKEN", "_SECRET", "_PASSWORD", "_SECRET_ACCESS_KEY")
_SHORTEST_OF_ENVIRONMENT = 8
"""Characters: a shorter value of a variable that happens to be called so is hardly a secret."""
_GOODBYE_SECONDS = 2.0


class Case:
    """A configuration and the circumstances in which it is to work.

    Belongs to one event loop; plain checks see it from threads and only read.

    Args:
        config: What is configured; ``None`` where it does not load, and an empty one stands in.
        failure: Why it does not.
        chosen: Which road led to it: ``--config``, ``$SWITCHGEAR_CONFIG``, …
        environ: Environment variables.
        clock: Time.
        timeout: Seconds that anything outside may take to answer.
        offline: Nothing outside is asked.
        ollama: Where an Ollama would be that nobody configured.
    """

    def __init__(
        self,
        config: Config | None,
        *,
        environ: Mapping[str, str],
        clock: Clock,
        failure: ConfigError | None = None,
        chosen: str = "",
        timeout: float = 5.0,
        offline: bool = False,
        ollama: str = "http://127.0.0.1:11434",
    ) -> None:
        self.config = config if config is not None else Config()
        self.loaded = config is not None
        self.failure = failure
        self.chosen = chosen
        self.environ = environ
        self.clock = clock
        self.timeout = timeout
        self.offline = offline
        self.ollama = ollama
        self._asked: dict[tuple[str, str], asyncio.Task[Any]] = {}

    # What is configured

    @property
    def base(self) -> Path | None:
        """The configuration's folder, for relative paths."""
        source = self.config.source
        return Path(source).absolute().parent if source else None

    @property
    def today(self) -> dt.date:
        """The day by whose prices a call that begins now is priced (UTC)."""
        return dt.datetime.fromtimestamp(self.clock.now(), dt.UTC).date()

    @cached_property
    def providers(self) -> Providers:
        """The adapters, made without I/O when they are first asked for."""
        from ...providers.registry import Registry
        from ...routing.providers import Providers

        return Providers(self.config, Registry())

    @property
    def pricing(self) -> PricingConfig:
        """What is said of prices; without sources where nothing outside is asked."""
        pricing = self.config.pricing
        return msgspec.structs.replace(pricing, sources=()) if self.offline else pricing

    @cached_property
    def prices(self) -> PriceTable:
        """The prices in force; the package's own where those of the configuration are wrong."""
        from ...accounting.prices.sources import prices_of
        from ...accounting.prices.table import default_prices

        with contextlib.suppress(SwitchgearError):
            return prices_of(self.pricing)
        return default_prices()

    def priced(self, entry: Candidate) -> Priced:
        """Under which names the prices of a chain's entry are looked up."""
        from ...accounting.prices.vendors import priced_as

        return priced_as(self.config.providers[entry.provider], entry.model, self.prices)

    def used(self) -> dict[str, list[Candidate]]:
        """The entries of all chains by their provider, each model once."""
        found: dict[str, dict[str, Candidate]] = {}
        for group in self.config.groups.values():
            for candidate in group.candidates:
                found.setdefault(candidate.provider, {}).setdefault(candidate.model, candidate)
        return {name: list(models.values()) for name, models in found.items()}

    @property
    def place(self) -> Place:
        """Where the ledger lies.

        Raises:
            ConfigError: Its URL names none.
        """
        from ...accounting.ledger.place import place_of

        return place_of(self.config.ledger, self.base, self.environ)

    # What is found out on the way

    async def once(self, key: tuple[str, str], make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What ``make`` answers, asked once for everybody who wants to know."""
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.create_task(make())
        answer: T = await asyncio.shield(asked)
        return answer

    async def visit(self, name: str) -> Visit:
        """What a provider answers.

        Raises:
            SwitchgearError: It can't even be asked: its settings or its plugin are wrong.
        """
        return await self.once(("visit", name), lambda: self._visit(name))

    async def visits(self) -> dict[str, Visit]:
        """What all the providers answer that can be asked."""
        names = list(self.config.providers)
        found = await asyncio.gather(*map(self.visit, names), return_exceptions=True)
        return {
            name: each
            for name, each in zip(names, found, strict=True)
            if not isinstance(each, BaseException)
        }

    async def ledger(self) -> LedgerLook:
        """How the ledger's database is."""
        from .database import look_at_ledger

        return await self.once(("ledger", ""), lambda: asyncio.to_thread(look_at_ledger, self))

    async def _visit(self, name: str) -> Visit:
        from .visits import Visit, visit

        provider, settings = await asyncio.to_thread(self.providers.get, name)
        if self.offline:
            return Visit()
        await self.once(("clients", ""), self._clients)
        try:
            address = await self._address(name)
        except SwitchgearError:
            raise
        except Exception:  # noqa: BLE001 - its list of models will show what is wrong
            address = settings.base_url or ""
        return await visit(provider, address, timeout=self.timeout, clock=self.clock)

    async def _clients(self) -> None:
        """Have every SDK imported: that takes the processor, which latencies must not count."""
        made = [asyncio.create_task(self._address(name)) for name in self.config.providers]
        await asyncio.wait(made, timeout=self.timeout)
        for task in made:
            if not task.done():
                task.cancel()
        await asyncio.gather(*made, return_exceptions=True)

    async def _address(self, name: str) -> str:
        return await self.once(
            ("address", name), lambda: asyncio.to_thread(self._make_client, name)
        )

    def _make_client(self, name: str) -> str:
        import aiohttp  # noqa: F401 - what knocks at the address later

        from .visits import address_of

        provider, settings = self.providers.get(name)
        if settings.plugin == "embedded":
            return ""  # its client's address is a stand-in
        return address_of(provider, settings.base_url)

    # Its end

    def redacted(self, text: str) -> str:
        """The text without any credential that is known here."""
        return hide(text, *self._secrets)

    @cached_property
    def _secrets(self) -> tuple[Secret, ...]:
        found = [
            Secret(value.strip())
            for name, value in self.environ.items()
            if name.endswith(_CREDENTIAL_ENDINGS) and len(value.strip()) >= _SHORTEST_OF_ENVIRONMENT
        ]
        for settings in self.config.providers.values():
            if settings.api_key is not None:
                found.append(settings.api_key)
            found += map(Secret, _masked(settings.options))
        config = self.config
        options = [hook.options for hook in config.hooks.values()]
        options += [source.options for source in config.pricing.sources]
        found += (Secret(each) for table in options for each in _masked(table))
        addresses = [config.ledger.url, self.environ.get("SWITCHGEAR_LEDGER", ""), config.state.url]
        if config.cache is not None:
            addresses.append(config.cache.url)
        found += [Secret(each) for url in addresses for each in secrets_in(url)]
        # The longest first: one may be the beginning of another.
        return tuple(sorted(found, key=lambda secret: -len(secret.reveal())))

    async def aclose(self) -> None:
        """Let go of every connection, within moments."""
        for asked in self._asked.values():
            asked.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)
        with contextlib.suppress(TimeoutError, ExceptionGroup):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self.providers.aclose()


def _masked(options: Mapping[str, Any]) -> list[str]:
    """The values of a table that are credentials, in tables inside it too."""
    hidden: frozenset[str] = getattr(options, "masked", frozenset())
    found: list[str] = []
    for key, value in options.items():
        if isinstance(value, Mapping):
            found += _masked(value)
        elif key in hidden:
            values = value if isinstance(value, tuple) else (value,)
            found += [each for each in values if isinstance(each, str) and each]
    return found
