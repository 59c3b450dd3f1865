"""Everything that replicas share about candidates, as parts of their exchange."""

from __future__ import annotations

from ...clock import Clock
from ...state.link import Link
from ...state.part import Part
from ..breaker import Breaker
from ..breaker_values import BreakerSettings
from ..cooldown import Cooldowns
from ..stats import CandidateStats
from .answers import Soon
from .circuits import SharedCircuits
from .cooldowns import SharedCooldowns
from .speed import SharedSpeed

__all__ = ["FleetHealth"]


class FleetHealth:
    """Circuits, cooldowns and latency of a fleet, for one router's gates.

    What repeats cost stays with each replica (see ``RetryBudget``): its bound is a share of the
    calls that reach a candidate, so the shares of all replicas add up to the same share of all.

    Args:
        link: To the fleet's state.
        breaker: The settings of every circuit.
        cooldowns: Those of the router; they take part from now on.
        clock: Time.
        soon: ``Fleet.soon`` of the exchange: failures and refusals are told at once.

    Attributes:
        parts: For the exchange.
    """

    def __init__(
        self,
        link: Link,
        *,
        breaker: BreakerSettings,
        cooldowns: Cooldowns,
        clock: Clock,
        soon: Soon | None = None,
    ) -> None:
        self._circuits = SharedCircuits(link, breaker, clock, soon)
        self._speed = SharedSpeed(link, clock)
        self.parts: tuple[Part, ...] = (
            self._circuits,
            SharedCooldowns(link, cooldowns, clock, soon),
            self._speed,
        )

    def joined(self, name: str, breaker: Breaker, stats: CandidateStats) -> None:
        """A call got to a candidate for the first time."""
        self._circuits.attach(name, breaker)
        self._speed.attach(name, stats)

    def close(self) -> None:
        """The router ends: call it before the exchange's last report."""
        self._circuits.close()

    def left(self, name: str) -> None:
        """The candidate is forgotten."""
        self._circuits.detach(name)
        self._speed.detach(name)
