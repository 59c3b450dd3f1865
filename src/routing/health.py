"""How every candidate stands, for a person and for code."""

from __future__ import annotations

from typing import Any

import msgspec

from .breaker_values import BreakerHealth
from .cooldown import Cooldown
from .gates import Gates
from .limits import LimitHealth

__all__ = ["Health", "health_of"]


class Health(msgspec.Struct, frozen=True):
    """What ``router.health()`` says. ``str()`` is for a person, ``to_dict()`` for a machine.

    Attributes:
        breakers: The circuit of each candidate that a call has got to.
        cooldowns: Who is left alone because it said so, and for how long.
        limits: Every rate limit that has been used, configured or told by a provider.
    """

    breakers: tuple[BreakerHealth, ...] = ()
    cooldowns: tuple[Cooldown, ...] = ()
    limits: tuple[LimitHealth, ...] = ()

    @property
    def ok(self) -> bool:
        """No circuit is open and nobody cools down."""
        return not self.cooldowns and all(each.state == "closed" for each in self.breakers)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {"ok": self.ok, **plain}

    def __str__(self) -> str:
        lines = [str(each) for each in (*self.breakers, *self.cooldowns)]
        for limit in self.limits:
            if limit.remaining is not None and limit.capacity is not None:
                waiting = f", {limit.waiting} waiting" if limit.waiting else ""
                left = f"{limit.remaining:.0f} of {limit.capacity:.0f} left{waiting}"
                lines.append(f"{limit.limit}: {left}")
        return "\n".join(lines) or "no candidate has been asked yet"


def health_of(gates: Gates) -> Health:
    """The health of everything behind these gates."""
    return Health(
        breakers=tuple(gate.breaker.snapshot() for gate in gates.known().values()),
        cooldowns=gates.cooldowns.snapshot(),
        limits=gates.limiter.health(),
    )
