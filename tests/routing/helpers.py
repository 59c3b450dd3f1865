"""Routers over scripted providers, for the tests of this folder."""

from __future__ import annotations

import random
from typing import Any

from switchgear import Config, Router
from switchgear.routing.breaker import Permit
from switchgear.testing.loop_clock import LoopClock
from switchgear.testing.scripted import ScriptedProvider


def router_over(*providers: ScriptedProvider, **settings: Any) -> Router:
    """A router whose group ``g`` is the chain of these providers' models ``m``."""
    group = {"chain": [f"{provider.name}/m" for provider in providers]}
    group.update(settings.pop("group", {}))
    config = Config.from_dict(
        {
            "providers": {provider.name: {"plugin": provider.name} for provider in providers},
            "groups": {"g": group},
            **settings.pop("config", {}),
        }
    )
    settings.setdefault("draw", random.Random(7))
    given = {provider.name: provider for provider in providers}
    return Router(config, providers=given, **settings)


def virtual(*providers: ScriptedProvider, **settings: Any) -> Router:
    """The same, its clock that of the event loop (for tests under looptime)."""
    return router_over(*providers, clock=LoopClock(), **settings)


def finish(permit: Permit, outcome: str) -> None:
    """End a call through a breaker: s(uccess), l(ate), f(ailure), anything else: ignored."""
    match outcome:
        case "s":
            permit.success(0.1)
        case "l":
            permit.success(1e6)
        case "f":
            permit.failure()
        case _:
            permit.ignored()


class FakeClock:
    """Time that moves when it is told to, backwards as well."""

    def __init__(self, start: float = 1000.0) -> None:
        self.time = start

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return 1_790_000_000.0 + self.time

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.time += seconds
