"""Three replicas in any order of events, against references that are written another way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from switchgear import AuthenticationError, ModelNotFoundError, RateLimitError
from switchgear.routing.breaker import Permit
from switchgear.routing.breaker_values import BreakerSettings, Refusal
from switchgear.routing.cooldown import Cooldowns, Pass
from switchgear.routing.cooldown_values import CooldownSettings
from switchgear.routing.fleet.circuits import _in_milliseconds

from ..state.clocked import EPOCH
from .fleet_bench import Replica, ReplicaClock, World
from .fleet_model import CircuitModel
from .helpers import finish

if TYPE_CHECKING:
    import redis

NUMBERS = st.integers(0, 2)
OUTCOMES = ["s", "f", "ff", "sff", "ffs", "sffff", "sfsfsf", "fsfsf", "ll", "sllll", "i"]
PAUSES = st.sampled_from([0.25, 0.5, 1.0, 3.5, 6.0, 13.0])
SETTINGS = BreakerSettings(
    window=12,
    minimum_calls=6,
    consecutive_failures=4,
    open_seconds=4,
    longest_open=16,
    probes=2,
    probe_successes=2,
    probe_timeout=6,
    ramp_seconds=3,
    slow_call_seconds=1.0,
    slow_call_rate=0.6,
)


class FleetMachine(RuleBasedStateMachine):
    """Every report goes to the script and to the model."""

    client: ClassVar[redis.Redis]

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.client)
        self.replicas = [Replica(self.world, number, SETTINGS) for number in range(3)]
        self.model = CircuitModel(_in_milliseconds(SETTINGS))
        self.held: list[tuple[Replica, Permit]] = []
        self.always_up = True

    @rule(who=NUMBERS, outcomes=st.sampled_from(OUTCOMES))
    def calls(self, who: int, outcomes: str) -> None:
        self.replicas[who].run(outcomes)

    @rule(who=NUMBERS, outcomes=st.sampled_from(OUTCOMES))
    def calls_and_tells(self, who: int, outcomes: str) -> None:
        self.calls(who, outcomes)
        self._exchange(self.replicas[who])

    @rule(who=NUMBERS, pause=PAUSES, outcome=st.sampled_from("ssf"))
    def outage(self, who: int, pause: float, outcome: str) -> None:
        """The usual course of things, which random steps alone seldom get far in."""
        self.everybody_exchanges()
        for replica in self.replicas:
            replica.run("ff")
            self._exchange(replica)
        self.world.advance(pause)
        for _ in range(2):
            replica = self.replicas[who]
            replica.run(outcome)
            self._exchange(replica)
            replica.run(outcome)
            self._exchange(replica)

    @rule(who=NUMBERS)
    def begin(self, who: int) -> None:
        permit = self.replicas[who].admit()
        if permit is not None:
            self.held.append((self.replicas[who], permit))

    @rule(which=st.integers(0, 9), outcome=st.sampled_from("sfli"))
    def end(self, which: int, outcome: str) -> None:
        if self.held:
            _, permit = self.held.pop(which % len(self.held))
            finish(permit, outcome)

    @rule(who=NUMBERS)
    def exchange(self, who: int) -> None:
        self._exchange(self.replicas[who])

    @rule()
    def everybody_exchanges(self) -> None:
        for replica in self.replicas:
            self._exchange(replica)

    @rule(pause=PAUSES)
    def pause(self, pause: float) -> None:
        self.world.advance(pause)

    @rule(who=NUMBERS)
    def answer_is_lost(self, who: int) -> None:
        replica = self.replicas[who]
        if replica.up:
            self._exchange(replica, answered=False)
            replica.cut()
            self.always_up = False

    @rule(who=NUMBERS)
    def cut(self, who: int) -> None:
        if self.replicas[who].up:
            self.replicas[who].cut()
            self.always_up = False

    @rule(who=NUMBERS)
    def mend(self, who: int) -> None:
        if not self.replicas[who].up:
            self.replicas[who].mend()

    def _exchange(self, replica: Replica, *, answered: bool = True) -> None:
        report = replica.circuits.report() if replica.up else None
        if report is None:
            return
        script, keys, arguments = report
        now = round((EPOCH + self.world.elapsed) * 1000)
        reply = self.world.scripts.run(script, keys, arguments)
        for row in json.loads(arguments[0])["rows"]:
            self.model.report(now, replica.name, row)
            self._compare()
        if answered:
            replica.circuits.absorb(reply)

    def _compare(self) -> None:
        packed = self.world.client.hget("sg:{breakers}:circuits", "a/m")
        assert packed is not None
        it = json.loads(packed)
        model = self.model
        found = it["gen"], it["state"], it["rounds"], it["won"]
        assert found == (model.gen, model.state, model.rounds, model.won)
        if model.state in {"open", "ramping"}:
            assert it["till"] == model.till

    @invariant()
    def no_more_probes_than_allowed(self) -> None:
        """Each replica holds its probes' leave from Redis, and Redis gives no more than allowed."""
        packed = self.world.client.hget("sg:{breakers}:circuits", "a/m")
        if packed is not None:
            now = (EPOCH + self.world.elapsed) * 1000
            live = [each for each in json.loads(packed)["permits"] or [] if each[2] > now]
            assert len(live) <= SETTINGS.probes

    @invariant()
    def probes_out_are_the_fleets(self) -> None:
        if not self.always_up:
            return
        out = [
            probe
            for replica in self.replicas
            if replica.breaker._state == "half-open" and not replica.breaker.fleet.own  # type: ignore[union-attr]
            for probe in replica.breaker._probes
            if probe.expires > replica.clock.monotonic()
        ]
        by_round: dict[int, int] = {}
        for replica in self.replicas:
            for probe in replica.breaker._probes:
                if probe in out:
                    generation = replica.breaker.fleet.generation  # type: ignore[union-attr]
                    by_round[generation] = by_round.get(generation, 0) + 1
        assert all(count <= SETTINGS.probes for count in by_round.values())

    @invariant()
    def an_open_circuit_lets_nothing_through(self) -> None:
        for replica in self.replicas:
            if replica.breaker._state == "open" and replica.state == "open":
                assert replica.admit() is None

    def teardown(self) -> None:
        """Once all are heard, everyone who has not its own trouble stands where the fleet does."""
        for replica in self.replicas:
            if not replica.up:
                replica.mend()
        for _ in range(3):
            self.world.advance(0.5)
            for replica in self.replicas:
                self._exchange(replica)
        self.model.advance(round((EPOCH + self.world.elapsed) * 1000))
        for replica in self.replicas:
            side: Any = replica.breaker.fleet
            assert side.generation == self.model.gen
            if not side.own:
                assert replica.state == self.model.state


def test_three_replicas_and_the_script_agree_with_the_model(redis_client: redis.Redis) -> None:
    FleetMachine.client = redis_client
    run_state_machine_as_test(
        FleetMachine,
        settings=settings(
            max_examples=100,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


ERRORS = {
    "key": AuthenticationError("no", status=401),
    "model": ModelNotFoundError("none", status=404),
    "rate": RateLimitError("slow down", status=429, retry_after=4.0),
}
STEPS = st.one_of(
    st.tuples(st.just("ask"), NUMBERS),
    st.tuples(st.sampled_from(["success", "ignored", *ERRORS]), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 11])),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEPS, min_size=5, max_size=50))
@example(  # a probe's rate limit, told after its cooldown is over
    steps=[
        *(("ask", 0), ("rate", 0), ("wait", 5), ("ask", 1)),
        *(("wait", 5), ("ask", 2), ("rate", 0), ("ask", 0)),
    ]
)
@example(
    steps=[
        *(("ask", 0), ("rate", 0), ("wait", 5), ("ask", 0), ("wait", 5)),
        *(("ask", 1), ("ignored", 0), ("ask", 0), ("ask", 0)),
    ]
)
def test_replicas_that_exchange_after_every_event_cool_down_like_one_process(
    redis_client: redis.Redis, steps: list[tuple[str, int]]
) -> None:
    values = CooldownSettings(key_seconds=10, model_seconds=10, probe_timeout=6)
    world = World(redis_client)
    replicas = [Replica(world, number, BreakerSettings(), values) for number in range(3)]
    alone = Cooldowns(ReplicaClock(world, 50.0), values)
    out: list[tuple[Pass, Pass]] = []

    def exchange() -> None:
        for _ in range(2):
            for replica in replicas:
                part: Any = replica.health.parts[1]
                part._trip.hurry()
                replica.answer(part)

    for number, (what, which) in enumerate(steps):
        if what == "ask":
            found = replicas[which].ask(f"call {number}")
            expected = alone.admit("p", "m", f"call {number}")
            out += same(found, expected)
        elif what == "wait":
            world.advance(which)
        elif out:
            for each in out.pop(which % len(out)):
                end(each, what)
        exchange()


def same(found: Pass | Refusal, expected: Pass | Refusal) -> list[tuple[Pass, Pass]]:
    """Both let it through, or both let it wait for as long."""
    if isinstance(found, Pass) and isinstance(expected, Pass):
        return [(found, expected)]
    assert isinstance(found, Refusal), expected
    assert isinstance(expected, Refusal), found
    assert found.retry_in == pytest.approx(expected.retry_in, abs=0.01)
    return []


def end(given: Pass, how: str) -> None:
    if how in ERRORS:
        given.failure(ERRORS[how])
    else:
        getattr(given, how)()
