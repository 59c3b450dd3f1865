"""How every candidate stands, for a person and for code."""

from __future__ import annotations

from typing import Any

import msgspec

from ..state.link import Link, LinkStatus
from .breaker_values import BreakerHealth
from .cooldown import Cooldown
from .gates import Gates
from .hooks.dispatch import Hooks
from .hooks.values import HookHealth
from .limits import LimitHealth

__all__ = ["Health", "health_of"]


class Health(msgspec.Struct, frozen=True):
    """What ``router.health()`` says. ``str()`` is for a person, ``to_dict()`` for a machine.

    Attributes:
        breakers: The circuit of each candidate that a call has got to.
        cooldowns: Who is left alone because it said so, and for how long.
        limits: Every rate limit that has been used, configured or told by a provider.
        shared: The way to the state that a fleet shares; ``None`` without ``[state]``.
        hooks: How each hook does.
    """

    breakers: tuple[BreakerHealth, ...] = ()
    cooldowns: tuple[Cooldown, ...] = ()
    limits: tuple[LimitHealth, ...] = ()
    shared: LinkStatus | None = None
    hooks: tuple[HookHealth, ...] = ()

    @property
    def ok(self) -> bool:
        """No circuit is open, nobody cools down, and what a fleet shares can be reached.

        Hooks have no part in it: calls go on without them.
        """
        if self.shared is not None and not self.shared.up:
            return False
        return not self.cooldowns and all(each.state == "closed" for each in self.breakers)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {"ok": self.ok, **plain}

    def __str__(self) -> str:
        shared = () if self.shared is None else (self.shared,)
        troubled = (hook for hook in self.hooks if hook.failures or hook.vetoes)
        lines = [str(each) for each in (*self.breakers, *self.cooldowns, *shared, *troubled)]
        for limit in self.limits:
            if limit.remaining is not None and limit.capacity is not None:
                waiting = f", {limit.waiting} waiting" if limit.waiting else ""
                left = f"{limit.remaining:.0f} of {limit.capacity:.0f} left{waiting}"
                lines.append(f"{limit.limit}: {left}")
        return "\n".join(lines) or "no candidate has been asked yet"


def health_of(gates: Gates, link: Link | None = None, hooks: Hooks | None = None) -> Health:
    """The health of everything behind these gates, of the way to what is shared, and of hooks."""
    return Health(
        breakers=tuple(gate.breaker.snapshot() for gate in gates.known().values()),
        cooldowns=gates.cooldowns.snapshot(),
        limits=gates.limiter.health(),
        shared=link.status() if link is not None else None,
        hooks=hooks.health() if hooks is not None else (),
    )
