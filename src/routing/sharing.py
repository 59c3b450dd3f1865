"""A router's gates, of its own or shared with the other replicas of a fleet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..clock import Clock
from ..config import Config
from .breaker_values import BreakerChange
from .cooldown import Cooldowns
from .gates import Gates
from .limits import Limiter

if TYPE_CHECKING:
    from ..state.exchange import Fleet
    from ..state.link import Link
    from .fleet import FleetHealth

__all__ = ["Sharing", "gates_of"]


class Sharing:
    """What a router shares with other replicas: its part in the exchange.

    Args:
        fleet: The link, and the exchange over it.
        health: What is told of circuits, cooldowns and latency.
    """

    def __init__(self, fleet: Fleet, health: FleetHealth) -> None:
        self._fleet = fleet
        self._health = health

    @property
    def link(self) -> Link:
        """The link to what is shared."""
        return self._fleet.link

    def start(self) -> None:
        """Begin on the running loop. Safe to call twice, and cheap."""
        self._fleet.start()

    async def aclose(self) -> None:
        """Tell for the last time, give back what was leased, and let go of the connections."""
        self._health.close()
        await self._fleet.aclose()


def gates_of(
    config: Config, clock: Clock, on_change: Callable[[BreakerChange], None]
) -> tuple[Gates, Sharing | None]:
    """The gates that a configuration means, and what they share, if they do.

    Raises:
        ConfigError: A Redis is named, and its client is not installed.
    """
    cooldowns = Cooldowns(clock)
    if not config.state.shared:
        limiter = Limiter(config.limits, clock)
        return _gates(config, clock, on_change, cooldowns=cooldowns, limiter=limiter), None
    from ..state.opening import open_fleet
    from ..state.settings import shared_settings
    from .fleet import FleetHealth

    fleet = open_fleet(config.state, clock, shared_settings(config))
    if fleet is None:
        raise AssertionError("a state that is shared has a fleet")
    health = FleetHealth(
        fleet.link, breaker=config.breaker, cooldowns=cooldowns, clock=clock, soon=fleet.soon
    )
    limiter = Limiter(config.limits, clock, fleet)
    gates = _gates(config, clock, on_change, cooldowns=cooldowns, limiter=limiter, fleet=health)
    for part in health.parts:
        fleet.add(part)
    return gates, Sharing(fleet, health)


def _gates(
    config: Config,
    clock: Clock,
    on_change: Callable[[BreakerChange], None],
    *,
    cooldowns: Cooldowns,
    limiter: Limiter,
    fleet: FleetHealth | None = None,
) -> Gates:
    return Gates(
        breaker=config.breaker,
        cooldowns=cooldowns,
        limiter=limiter,
        clock=clock,
        on_change=on_change,
        fleet=fleet,
    )
