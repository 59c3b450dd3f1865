"""Who is told when the state of a candidate, a budget or the shared state changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from ..accounting.budgets.watch import BudgetEvent
from .breaker_values import BreakerChange
from .hooks.values import StateChange

if TYPE_CHECKING:
    from ..clock import Clock
    from ..state.link import Link
    from .cooldown_values import CooldownChange
    from .gates import Gates
    from .hooks.dispatch import Hooks

__all__ = ["BudgetListener", "Listener", "Listeners"]

Listener: TypeAlias = Callable[[BreakerChange], object]
"""Told of a circuit's change."""

BudgetListener: TypeAlias = Callable[[BudgetEvent], object]
"""Told of what happens to a budget."""

_log = logging.getLogger("switchgear.routing")


class Listeners:
    """A router's listeners, and its hooks that watch.

    Args:
        hooks: Those.
        clock: Time.

    Attributes:
        of_circuits: Told of circuits.
        of_budgets: Told of budgets.
    """

    def __init__(self, hooks: Hooks | None, clock: Clock) -> None:
        self._hooks = hooks if hooks is not None and hooks.watches else None
        self._clock = clock
        self.of_circuits: list[Listener] = []
        self.of_budgets: list[BudgetListener] = []

    def watch(self, gates: Gates, link: Link | None) -> None:
        """Have the hooks told of cooldowns, and of the way to the shared state."""
        if self._hooks is None:
            return
        gates.cooldowns.on_change = self._cooldown
        if link is not None:
            shared = link
            link.on_change.append(lambda up: self._shared(shared, up=up))

    def circuit(self, change: BreakerChange) -> None:
        """A circuit has changed."""
        for listener in self.of_circuits:
            try:
                listener(change)
            except Exception:  # noqa: BLE001 - somebody else's code
                _log.exception("a listener failed on %s", change)
        if self._hooks is not None:
            self._hooks.changed(
                StateChange(
                    kind="circuit",
                    name=change.name,
                    before=change.before,
                    after=change.after,
                    reason=change.reason,
                    retry_in=change.retry_in,
                    at=change.at,
                )
            )

    def budget(self, event: BudgetEvent) -> None:
        """Something happened to a budget."""
        for listener in self.of_budgets:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - somebody else's code
                _log.exception("a listener failed on %s", event)
        if self._hooks is not None:
            overrun = event.kind == "overrun"
            reason = "an attempt cost more than was reserved for it; " if overrun else ""
            self._hooks.changed(
                StateChange(
                    kind="budget",
                    name=event.budget,
                    before="open",
                    after="closed" if overrun and event.hard else event.kind,
                    reason=f"{reason}{event.spent} of {event.limit} USD spent",
                    at=self._clock.now(),
                )
            )

    def _cooldown(self, change: CooldownChange) -> None:
        if self._hooks is not None:
            states = ("ready", "cooling")
            self._hooks.changed(
                StateChange(
                    kind="cooldown",
                    name=change.name,
                    before=states[not change.began],
                    after=states[change.began],
                    reason=change.reason,
                    retry_in=change.retry_in,
                    at=self._clock.now(),
                )
            )

    def _shared(self, link: Link, *, up: bool) -> None:
        if self._hooks is not None:
            status = link.status()
            self._hooks.changed(
                StateChange(
                    kind="shared",
                    name=status.url,
                    before="away" if up else "up",
                    after="up" if up else "away",
                    reason=str(status),
                    at=self._clock.now(),
                )
            )
