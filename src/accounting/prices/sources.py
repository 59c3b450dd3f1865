"""The prices of a configuration: the package's, over them those of its sources, then its own."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ...errors import ConfigError, PluginError, SwitchgearError
from ...plugins import Plugins, short
from .source import PriceSourceSettings
from .table import PriceTable, default_prices, prices_over

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...config.spending import PriceSourceConfig, PricingConfig

__all__ = ["GROUP", "check_sources", "in_thread", "prices_of"]

GROUP: Final = "switchgear.price_sources"

T = TypeVar("T")

_log = logging.getLogger("switchgear.accounting")


def prices_of(
    pricing: PricingConfig, base: PriceTable | None = None, *, plugins: Plugins | None = None
) -> PriceTable:
    """The prices in force. Blocks for as long as the sources take, each no longer than its timeout.

    Args:
        pricing: The ``[pricing]`` table.
        base: What lies under everything; the package's table by default.
        plugins: Where sources are found; the installed ones by default.

    Raises:
        ConfigError: No such source, or the configuration's own prices are wrong.
        PluginError: A source that is not ``optional`` failed, or what it answered is wrong.
    """
    table = base or default_prices()
    plugins = plugins or Plugins(GROUP)
    for source in pricing.sources:
        try:
            table = _laid_over(table, source, plugins)
        except SwitchgearError as exc:
            if not source.optional:
                raise
            _log.warning("%s; it is optional, so prices are without it", exc.message)
    return prices_over(pricing.tables, table)


def check_sources(pricing: PricingConfig, *, plugins: Plugins | None = None) -> None:
    """See that every source that must be there is installed. Asks none.

    Raises:
        ConfigError: One is not.
    """
    plugins = plugins or Plugins(GROUP)
    for source in pricing.sources:
        if not source.optional and source.plugin not in plugins:
            plugins.load(source.plugin, where=_place(source))


def in_thread(work: Callable[[], T], name: str) -> concurrent.futures.Future[T]:
    """Have it done in a thread that keeps no process from ending, however long it hangs."""
    future: concurrent.futures.Future[T] = concurrent.futures.Future()
    # Begun: whoever no longer waits can't cancel it, and it has somebody to answer to the end.
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as exc:  # noqa: BLE001 - whoever waits has it
            future.set_exception(exc)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def _laid_over(table: PriceTable, source: PriceSourceConfig, plugins: Plugins) -> PriceTable:
    settings = PriceSourceSettings(
        name=source.name, plugin=source.plugin, timeout=source.timeout, options=source.options
    )

    def ask() -> object:
        return plugins.load(source.plugin, where=_place(source))(settings)

    asked = in_thread(ask, f"switchgear-prices-{source.name}")
    try:
        found = asked.result(source.timeout)
    except SwitchgearError:
        raise
    except TimeoutError as exc:
        late = f"did not answer within {source.timeout:g} s"
        said = late if not asked.done() else f"failed: {short(exc)}"
        raise PluginError(f"{plugins.named(source.plugin)} {said}") from exc
    except KeyboardInterrupt:
        raise
    except BaseException as exc:
        # What it raised in its thread, and be it SystemExit, which would end the event loop.
        raise PluginError(f"{plugins.named(source.plugin)} failed: {short(exc)}") from exc
    return _merged(table, found, plugins.named(source.plugin))


def _merged(table: PriceTable, found: object, named: str) -> PriceTable:
    if not isinstance(found, Mapping):
        raise PluginError(f"{named} answered with {type(found).__name__}, not with a table")
    prices: Mapping[str, Any] = found
    try:
        return table.merged(prices, origin=named)
    except ConfigError as exc:
        # Nothing that whoever wrote the configuration could mend.
        raise PluginError(exc.message, param=exc.param) from exc
    except Exception as exc:
        raise PluginError(f"{named} answered with a table that is none: {short(exc)}") from exc


def _place(source: PriceSourceConfig) -> str:
    return f"pricing.sources.{source.name}.plugin"
