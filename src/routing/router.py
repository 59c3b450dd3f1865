"""The router: one call in, the right provider out."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from ..accounting.budgets.applied import Rules
from ..accounting.budgets.budgets import Budgets
from ..accounting.ledger.ledger import Ledger
from ..accounting.prices.table import default_prices
from ..accounting.prices.vendors import vendor_of
from ..accounting.tokens.counter import TokenCounter
from ..clock import Clock, SystemClock
from ..completion import Completion, EmbeddingResult, TokenCount
from ..config import Config
from ..providers.base import Capabilities, Provider
from ..providers.registry import Registry
from .books import Books
from .call import RoutedCall
from .costing import Costing
from .health import Health, health_of
from .hooks.making import hooks_of
from .lifecycle import Lifecycle
from .listeners import BudgetListener, Listener, Listeners
from .options import CallOptions, positive
from .plan import plugin_fault
from .prepare import Preparer
from .pricing import Pricing, pricing_of
from .providers import Providers
from .sharing import gates_of
from .streaming import CompletionStream

if TYPE_CHECKING:
    from ..accounting.prices.table import PriceTable
    from ..accounting.reports.spend import Spend
    from ..accounting.reports.standing import BudgetStatus
    from ..caching.stats import CacheStats
    from .cached import CachedCalls

__all__ = ["BudgetListener", "Listener", "Router"]


class Router:
    """Routes calls to groups of models or to single models.

    Made without I/O; belongs to the first event loop that uses it, and is closed with ``aclose``
    or by ``async with``. For threads without a loop there is ``SyncRouter``.

    Args:
        config: What is configured.
        providers: Ready-made providers by name, in place of configured ones.
        registry: Where provider plugins are found; the installed ones by default.
        prices: The price table; the one that comes with the package by default.
        clock: Time.
        draw: Random numbers, for the jitter of back-offs.
        hooks: Asked before attempts and told of them, after those of the configuration. The router
            closes them.

    Raises:
        ConfigError: A provider that a group names is not rightly configured, or a hook is none.
        PluginError: A strategy, a store or a hook that the configuration names is broken.
    """

    def __init__(
        self,
        config: Config,
        *,
        providers: Mapping[str, Provider] | None = None,
        registry: Registry | None = None,
        prices: PriceTable | None = None,
        clock: Clock | None = None,
        draw: random.Random | None = None,
        hooks: Iterable[object] = (),
    ) -> None:
        clock = clock or SystemClock()
        self._config = config
        self._clock = clock
        self._lifecycle = Lifecycle()
        self._hooks = hooks_of(config.hooks, hooks)
        self._listeners = Listeners(self._hooks, clock)
        self._tokens = TokenCounter()
        costing = self._costing = Costing(prices or default_prices(), self._tokens, clock)
        self._providers = Providers(
            config,
            registry or Registry(),
            providers,
            priced_as=lambda settings: vendor_of(
                settings.plugin, settings.base_url, costing.prices, settings.options.get("vendor")
            ),
        )
        self._pricing = pricing_of(
            config.pricing, prices, self._reprice, lifecycle=self._lifecycle, clock=clock
        )
        self._gates, self._sharing = gates_of(config, clock, self._listeners.circuit)
        self._listeners.watch(self._gates, self._sharing.link if self._sharing else None)
        rules = Rules(config.budgets)
        self._ledger = Ledger(
            config.ledger, clock=clock, ask=lambda: rules.counted, rules=tuple(rules.counted)
        )
        self._budgets = Budgets(
            rules,
            self._ledger,
            clock,
            on_event=self._listeners.budget,
            # What is kept in memory is one process's own, and so are its budgets.
            link=self._sharing.link if self._sharing and self._ledger.lasting else None,
        )
        self._books = Books(self._ledger, self._budgets, costing, clock, self._hooks)
        self._preparer = Preparer(
            config,
            self._providers,
            gates=self._gates,
            lifecycle=self._lifecycle,
            books=self._books,
            clock=clock,
            draw=draw or random.Random(),  # noqa: S311 - jitter, not a secret
        )
        self._streams: set[CompletionStream] = set()
        self._cached: CachedCalls | None = None
        if config.cache is not None:
            from .cached import CachedCalls

            self._cached = CachedCalls(config.cache, config, self._providers, clock)
        self._providers.prepare(_named(config))

    @classmethod
    def from_file(cls, path: str | Path, **settings: Any) -> Self:
        """A router from a TOML file. ``settings`` are the constructor's keyword arguments.

        Raises:
            ConfigError: The file is missing or wrong; all mistakes are named at once.
        """
        return cls(Config.from_file(path), **settings)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], **settings: Any) -> Self:
        """A router from a mapping of the same form as the file.

        Raises:
            ConfigError: The mapping is wrong; all mistakes are named at once.
        """
        return cls(Config.from_dict(data), **settings)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **settings: Any) -> Self:
        """A router with the usual groups, from the providers whose keys are in the environment.

        Raises:
            ConfigError: There is none; the message says how to set one.
        """
        return cls(Config.from_env(environ), **settings)

    @property
    def config(self) -> Config:
        """What is configured."""
        return self._config

    async def complete(
        self, model: str, messages: Sequence[Any] | str, **options: Unpack[CallOptions]
    ) -> Completion:
        """Ask for one answer.

        Args:
            model: A group of the configuration, or ``provider/model``.
            messages: The conversation: OpenAI-style dicts, ``Message`` values, earlier replies; a
                plain string is one user message.
            options: See :class:`~switchgear.CallOptions`.

        Returns:
            The answer, with usage, cost in USD, warnings and the trace of how it came about.

        Raises:
            InvalidRequestError: The request is wrong; ``param`` names the place.
            AllProvidersFailedError: Every candidate failed; ``exceptions`` says how.
            DeadlineExceededError: The call's timeout ran out.
            LifecycleError: The router is closed, or belongs to another loop or process.
        """
        self._enter()
        if self._pricing is not None:
            await self._priced(self._pricing, positive(options, "timeout", self._config.timeout))
        call = self._preparer.prepare(model, messages, options)
        if self._cached is not None:
            return await self._cached.complete(call, self._preparer.cache_terms(options))
        _, reply = await call.within_budget(RoutedCall.complete)
        return reply

    def stream(
        self, model: str, messages: Sequence[Any] | str, **options: Unpack[CallOptions]
    ) -> CompletionStream:
        """Ask for one answer, delta by delta. Same arguments as :meth:`complete`.

        ::

            async with router.stream("fast-response", messages) as stream:
                async for event in stream:
                    print(event.text, end="")
                reply = stream.completion

        Raises:
            InvalidRequestError: The request is wrong. Everything else is raised by the stream.
        """
        self._enter()
        if self._pricing is not None:
            self._pricing.check()
        call = self._preparer.prepare(model, messages, options, stream=True)
        opened, closed = self._streams.add, self._streams.discard
        if self._cached is not None:
            terms = self._preparer.cache_terms(options)
            return self._cached.stream(call, terms, on_open=opened, on_close=closed)
        return CompletionStream(call, on_open=opened, on_close=closed)

    async def embed(
        self,
        model: str,
        inputs: Sequence[str] | str,
        *,
        dimensions: int | None = None,
        **options: Unpack[CallOptions],
    ) -> EmbeddingResult:
        """Turn texts into vectors. Fails over along a group like :meth:`complete`.

        Args:
            model: A group, or ``provider/model``. Vectors of different models do not compare, so
                a group should hold one model at several providers.
            inputs: The texts.
            dimensions: Shorter vectors, where the model can.
            options: The timeouts, ``credentials``, ``extra`` and labels of ``CallOptions``.

        Raises:
            InvalidRequestError: The request is wrong; ``param`` names the place.
            UnsupportedParameterError: No candidate makes embeddings.
            AllProvidersFailedError: Every candidate failed.
        """
        self._enter()
        if self._pricing is not None:
            await self._priced(self._pricing, positive(options, "timeout", self._config.timeout))
        call = self._preparer.prepare_embedding(model, inputs, dimensions, options)
        return await call.run()

    async def count_tokens(
        self, model: str, messages: Sequence[Any] | str, **options: Unpack[CallOptions]
    ) -> TokenCount:
        """The input tokens that this request would have at the first fitting candidate.

        Asks the provider where it counts for itself, else counts or estimates here.

        Raises:
            InvalidRequestError: The request is wrong.
            AllProvidersFailedError: The provider was asked, and failed.
        """
        self._enter()
        if self._pricing is not None:
            await self._priced(self._pricing, positive(options, "timeout", self._config.timeout))
        call = self._preparer.prepare(model, messages, options, booked=False)
        return await call.count_tokens(self._tokens)

    async def list_models(self, provider: str) -> tuple[str, ...]:
        """The models that a provider says it has, as ``provider/model``.

        Raises:
            UnsupportedParameterError: The provider can't tell.
            SwitchgearError: It failed to.
        """
        from ..errors import SwitchgearError, UnsupportedParameterError
        from ..providers.base import ListsModels
        from ..providers.scrub import scrub

        self._lifecycle.check()
        found, settings = self._providers.get(provider)
        if not isinstance(found, ListsModels):
            message = f"{provider}: its plugin can't list models"
            raise UnsupportedParameterError(message, provider=provider)
        try:
            return tuple(f"{provider}/{name}" for name in await found.list_models())
        except SwitchgearError as exc:
            scrub(exc, settings.api_key)
            raise
        except Exception as exc:
            raise plugin_fault(provider, None, exc) from exc

    def health(self) -> Health:
        """How every candidate stands that has been asked, and how hooks do.

        ``print(router.health())`` is for a person, ``to_dict()`` for a machine. No I/O.
        """
        sharing = self._sharing
        link = sharing.link if sharing is not None else None
        return health_of(self._gates, link, self._hooks)

    def cache_stats(self) -> CacheStats:
        """What the response cache did in this process; zeros where there is none. No I/O."""
        from ..caching.stats import CacheStats

        return self._cached.stats() if self._cached is not None else CacheStats()

    async def spend(
        self,
        *,
        by: str | Sequence[str] = (),
        since: Any = None,
        until: Any = None,
        timezone: str = "UTC",
        **filters: Any,
    ) -> Spend:
        """What was spent, as the ledger has it: every attempt of every process that shares it.

        Args:
            by: Names to divide it by: ``agent``, ``project``, ``agent_type``, ``run``,
                ``session``, ``api_key``, ``group``, ``provider``, ``model``, ``outcome``,
                ``hour``, ``day``, ``month``, ``tag:NAME``.
            since: From when: a date, a time, ISO text, or ``"7d"``, ``"today"``, ``"month"``.
            until: Until when, in the same forms; up to now where it is left out.
            timezone: Where hours, days and months begin.
            filters: Only what has these: ``project_id``, ``agent_id``, ``agent_type``,
                ``run_id``, ``session_id``, ``api_key_id``, ``group``, ``provider``, ``model``,
                ``tags``.

        Raises:
            InvalidRequestError: An argument is wrong; ``param`` names it.
            LedgerError: The ledger can't be read.
        """
        from ..accounting.reports.spend import report, spend_query

        self._lifecycle.check()
        query = spend_query(
            by=by, since=since, until=until, timezone=timezone, now=self._present(), **filters
        )
        await self._ledger.ready()
        await self._ledger.flush()
        return await self._ledger.read(lambda store: report(store, query))

    async def budgets(self) -> tuple[BudgetStatus, ...]:
        """How every configured budget stands, in all processes that share the ledger.

        A budget for each value of something answers with every value that has spent anything in
        its present period, the fullest first.

        Raises:
            LedgerError: The ledger can't be read.
        """
        from ..accounting.reports.standing import budget_statuses

        self._lifecycle.check()
        rules, now = self._config.budgets, self._present()
        await self._ledger.ready()
        await self._ledger.flush()
        return await self._ledger.read(lambda store: budget_statuses(store, rules, now))

    def _present(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._clock.now(), dt.UTC)

    def on_budget(self, listener: BudgetListener) -> None:
        """Have it told when a part of a budget is spent, and when one was overrun.

        Args:
            listener: Called on the event loop with a ``BudgetEvent``; it must not block. What it
                raises is logged and goes no further.
        """
        self._listeners.of_budgets.append(listener)

    def on_change(self, listener: Listener) -> None:
        """Have it told whenever a circuit changes; what it raises is logged and goes no further.

        Args:
            listener: Called on the event loop with a ``BreakerChange``; it must not block.
        """
        self._listeners.of_circuits.append(listener)

    def capabilities(self, model: str) -> Capabilities:
        """What a model can do, as its adapter declares it and the configuration overrides.

        Args:
            model: ``provider/model``.

        Raises:
            InvalidRequestError: There is no such provider.
            SwitchgearError: It can't be used as it is configured.
        """
        return self._preparer.capabilities(model)

    def client(self, provider: str) -> Any:
        """The official SDK's own client of a provider, configured with its key and address.

        Made on first use, which imports the SDK: up to a second.

        Raises:
            ConfigError: There is no such provider, or it has no SDK client.
            LifecycleError: The router is closed, or belongs to another process.
        """
        from ..errors import ConfigError, SwitchgearError

        self._lifecycle.check_open()
        found, _ = self._providers.get(provider)
        try:
            client = found.client
        except SwitchgearError:
            raise
        except Exception as exc:
            raise plugin_fault(provider, None, exc) from exc
        if client is None:
            raise ConfigError(f"provider {provider!r} has no SDK client", provider=provider)
        return client

    async def aclose(self) -> None:
        """End open streams and close every connection. Safe to call twice.

        Calls that are under way end with a ``LifecycleError``; new ones are refused. Where it was
        cancelled half-way, calling it again closes the rest.

        Raises:
            ExceptionGroup: What went wrong while closing; everything else is closed.
        """
        self._lifecycle.close()
        self._gates.close()
        if self._pricing is not None:
            self._pricing.close()
        for stream in tuple(self._streams):
            await stream.aclose()
        try:
            if self._cached is not None:
                await self._cached.aclose()
        finally:
            try:
                await self._providers.aclose()
            finally:
                try:
                    await self._books.aclose()
                finally:
                    try:
                        if self._sharing is not None:
                            await self._sharing.aclose()
                    finally:
                        if self._hooks is not None:
                            await self._hooks.aclose()

    async def ready(self) -> None:
        """Wait for what must be known before the first call: the prices of price sources.

        Every call but a stream waits for it by itself, and ``async with`` does.

        Raises:
            ConfigError: Prices of the configuration's own are wrong.
            PluginError: A price source failed that is not ``optional``.
            LifecycleError: The router is closed, or belongs to another loop or process.
        """
        self._enter()
        if self._pricing is not None:
            await self._priced(self._pricing, None)

    async def _priced(self, pricing: Pricing, timeout: float | None) -> None:
        await pricing.wait(timeout)
        self._pricing = None

    def _reprice(self, table: PriceTable) -> None:
        self._costing.prices = table
        self._providers.repriced()

    def _enter(self) -> None:
        """Called where a call begins.

        Raises:
            LifecycleError: The router is closed, or belongs to another loop or process.
        """
        self._lifecycle.check()
        if self._sharing is not None:
            self._sharing.start()
        if self._cached is not None:
            self._cached.start()

    async def __aenter__(self) -> Self:
        await self.ready()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        groups = ", ".join(sorted(self._config.groups)) or "none"
        return f"<Router groups: {groups}{' (closed)' if self._lifecycle.closed else ''}>"


def _named(config: Config) -> Iterator[str]:
    """Every provider that a group names, once."""
    seen: dict[str, None] = {}
    for group in config.groups.values():
        for candidate in group.candidates:
            seen.setdefault(candidate.provider)
    return iter(seen)
