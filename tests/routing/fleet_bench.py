"""Several replicas around one real Redis, in virtual time, without an event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from switchgear.routing.breaker import Breaker, Permit
from switchgear.routing.breaker_values import BreakerChange, BreakerSettings, Refusal
from switchgear.routing.cooldown import Cooldowns, Pass
from switchgear.routing.cooldown_values import CooldownSettings
from switchgear.routing.fleet import FleetHealth
from switchgear.routing.stats import CandidateStats
from switchgear.state.link import LinkStatus
from switchgear.state.part import Part

from ..state.clocked import EPOCH, ClockedScripts
from .helpers import finish

if TYPE_CHECKING:
    import redis


class World:
    """Time, and the Redis that all replicas share."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.elapsed = 0.0
        self.scripts = ClockedScripts(client)
        self.forget()

    def forget(self) -> None:
        """Redis loses its memory."""
        self.client.flushdb()
        self.scripts.set_clock(self.elapsed)

    def advance(self, seconds: float) -> None:
        self.elapsed += seconds
        self.scripts.set_clock(self.elapsed)


class ReplicaClock:
    """Every machine counts from somewhere else."""

    def __init__(self, world: World, offset: float) -> None:
        self._world = world
        self._offset = offset

    def monotonic(self) -> float:
        return self._world.elapsed + self._offset

    def now(self) -> float:
        return EPOCH + self._world.elapsed + self._offset

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


class BenchLink:
    """As much of a link as parts may ask for."""

    def __init__(self, replica: str) -> None:
        self.replica = replica
        self.replicas = 3
        self.epoch = ""
        self.up = True
        self.on_change: list[Callable[[bool], None]] = []

    def key(self, tag: str, name: str) -> str:
        return f"sg:{{{tag}}}:{name}"

    async def run(self, script: str, keys: Any, arguments: Any) -> Any:
        raise AssertionError("parts never run anything")

    def status(self) -> LinkStatus:
        return LinkStatus("", self.up, self.replicas, 0, 0.0)

    async def aclose(self) -> None:
        pass


class Replica:
    """One process of the fleet: a candidate's breaker and figures, and the cooldowns."""

    def __init__(
        self,
        world: World,
        number: int,
        settings: BreakerSettings,
        cooldowns: CooldownSettings | None = None,
    ) -> None:
        self.world = world
        self.name = f"r{number}"
        self.clock = ReplicaClock(world, 1000.0 * (number + 1))
        self.settings = settings
        self.cooldowns = Cooldowns(self.clock, cooldowns)
        self.link = BenchLink(self.name)
        self.health = FleetHealth(
            self.link, breaker=settings, cooldowns=self.cooldowns, clock=self.clock
        )
        self.up = True
        self.changes: list[BreakerChange] = []
        self.breaker, self.stats = self.join("a/m")

    def join(self, name: str) -> tuple[Breaker, CandidateStats]:
        breaker = Breaker(name, self.settings, self.clock, on_change=self.changes.append)
        stats = CandidateStats(self.clock)
        self.health.joined(name, breaker, stats)
        return breaker, stats

    @property
    def circuits(self) -> Part:
        return self.health.parts[0]

    @property
    def state(self) -> str:
        return self.breaker.state

    def exchange(self) -> None:
        """Every part's report goes there, and its answer comes back at once."""
        if self.up:
            for part in self.health.parts:
                self.answer(part)

    def answer(self, part: Part) -> None:
        report = part.report()
        if report is not None:
            script, keys, arguments = report
            part.absorb(self.world.scripts.run(script, keys, arguments))

    def cut(self) -> None:
        """The link goes down."""
        self.up = self.link.up = False
        for part in self.health.parts:
            part.link_changed(False)

    def mend(self) -> None:
        """It is back."""
        self.up = self.link.up = True
        for part in self.health.parts:
            part.link_changed(True)

    def admit(self) -> Permit | None:
        found = self.breaker.admit()
        return found if isinstance(found, Permit) else None

    def run(self, outcomes: str) -> None:
        """One call after the other, for each that is let through: s, f, l(ate), i(gnored)."""
        for outcome in outcomes:
            permit = self.admit()
            if permit is not None:
                finish(permit, outcome)

    def ask(self, call_id: str, provider: str = "p", model: str = "m") -> Pass | Refusal:
        return self.cooldowns.admit(provider, model, call_id)


def all_exchange(replicas: list[Replica], rounds: int = 2) -> None:
    """What one learns in the first round, the others learn by the next."""
    for _ in range(rounds):
        for replica in replicas:
            replica.world.advance(0.5)
            replica.exchange()
