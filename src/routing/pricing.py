"""The prices that a router reckons with, where plugins have a word in them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from ..accounting.prices.sources import GROUP, check_sources, in_thread, prices_of
from ..accounting.prices.table import prices_over
from ..errors import DeadlineExceededError, LifecycleError, SwitchgearError
from ..plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..accounting.prices.table import PriceTable
    from ..clock import Clock
    from ..config import PricingConfig
    from .lifecycle import Lifecycle

__all__ = ["Pricing", "pricing_of"]

_AGAIN: Final = 5.0
"""Seconds after a failure in which it is not tried again."""


def pricing_of(
    pricing: PricingConfig,
    base: PriceTable | None,
    use: Callable[[PriceTable], None],
    *,
    lifecycle: Lifecycle,
    clock: Clock,
) -> Pricing | None:
    """Have the configuration's prices used: at once, or where plugins bring some, when asked to.

    Takes what :class:`Pricing` takes; ``None`` where nothing is left to be waited for.

    Raises:
        ConfigError: They are wrong, or there is no such plugin.
    """
    if pricing.sources:
        return Pricing(pricing, base, use, lifecycle=lifecycle, clock=clock)
    use(prices_over(pricing.tables, base))
    return None


class Pricing:
    """Asks the price sources, once and in a thread, before the first call.

    Args:
        pricing: The ``[pricing]`` table, with sources.
        base: The table that all is laid over; ``None`` for the package's.
        use: Told of the table, on the loop.
        lifecycle: Ends the wait once the router is closed.
        clock: Time.

    Raises:
        ConfigError: There is no such source.
    """

    def __init__(
        self,
        pricing: PricingConfig,
        base: PriceTable | None,
        use: Callable[[PriceTable], None],
        *,
        lifecycle: Lifecycle,
        clock: Clock,
    ) -> None:
        plugins = Plugins(GROUP)
        check_sources(pricing, plugins=plugins)
        self._make = lambda: prices_of(pricing, base, plugins=plugins)
        self._use = use
        self._lifecycle = lifecycle
        self._clock = clock
        self._asking: asyncio.Task[None] | None = None
        self._refused: tuple[float, SwitchgearError] | None = None
        self.ready = False

    def check(self) -> None:
        """Called where a call begins that can't wait.

        Raises:
            LifecycleError: The sources have not been asked yet.
        """
        if not self.ready:
            raise LifecycleError(
                "the price sources have not been asked yet: enter the router (async with), or "
                "await router.ready(), before the first stream"
            )

    async def wait(self, timeout: float | None = None) -> None:
        """Have them asked. All who wait share one asking, which goes on if one is cancelled.

        Args:
            timeout: Seconds; ``None`` waits for as long as the sources may take.

        Raises:
            ConfigError: Prices of the configuration's own are wrong.
            PluginError: A source that is not optional failed.
            DeadlineExceededError: It took longer than that.
            LifecycleError: The router was closed.
        """
        if self.ready:
            return
        if self._asking is None or self._asking.done():
            if self._refused is not None and self._clock.monotonic() < self._refused[0]:
                raise self._refused[1]
            self._asking = asyncio.get_running_loop().create_task(self._ask())
            self._asking.add_done_callback(_look_at)
        limit = self._lifecycle.limit(timeout)
        try:
            with limit:
                await asyncio.shield(self._asking)
        except TimeoutError:
            if self._lifecycle.closed:
                raise LifecycleError("the router was closed during the call") from None
            if limit.expired:
                message = f"the price sources had not answered within the call's {timeout:g} s"
                raise DeadlineExceededError(message) from None
            raise

    def close(self) -> None:
        """Wait no longer. Sources that hang are left to themselves."""
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self) -> None:
        try:
            table = await asyncio.wrap_future(in_thread(self._make, "switchgear-prices"))
        except SwitchgearError as exc:
            self._refused = self._clock.monotonic() + _AGAIN, exc
            raise
        self._use(table)
        self.ready = True


def _look_at(task: asyncio.Task[None]) -> None:
    # Where every waiter is gone, nobody else asks; asyncio would complain of that.
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
