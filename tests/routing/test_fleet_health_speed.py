"""Latency and load that several replicas share through Redis."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from switchgear.routing.breaker_values import BreakerSettings
from switchgear.routing.stats import Flight
from switchgear.routing.strategies.base import Member, PoolContext, StrategySettings
from switchgear.routing.strategies.latency import Latency
from switchgear.routing.strategies.least_busy import LeastBusy

from .fleet_bench import Replica, World, all_exchange

if TYPE_CHECKING:
    import redis

    from ..state.server import RedisServer


@pytest.fixture
def world(server: RedisServer, redis_client: redis.Redis) -> World:
    return World(redis_client)


def fleet(world: World, size: int = 2) -> list[Replica]:
    return [Replica(world, number, BreakerSettings()) for number in range(size)]


def called(replica: Replica, name: str, first_token: float, tokens: int = 100) -> None:
    """One stream: so long to its first token, then 0.01 s for each."""
    stats = replica.health._speed._known.get(name) or replica.join(name)[1]
    flight = stats.begin(stream=True)
    replica.world.advance(first_token)
    flight.first_token()
    replica.world.advance(tokens * 0.01)
    flight.succeed(tokens)


def first_of(replica: Replica, strategy: type, *names: str) -> str:
    known = replica.health._speed._known
    stats = {name: known.get(name) or replica.join(name)[1] for name in names}
    members = [Member(name=name, stats=each) for name, each in stats.items()]
    context = PoolContext(now=replica.clock.monotonic(), pool="p")
    settings = StrategySettings(name="s", draw=random.Random(1))
    return str(strategy(settings).order(members, context)[0].name)


def test_a_replica_that_has_called_nobody_knows_who_is_fast(world: World) -> None:
    veteran, novice = fleet(world)
    called(veteran, "a/slow", 5.0)
    called(veteran, "b/fast", 0.2)
    all_exchange([veteran, novice])
    for _ in range(10):
        assert first_of(novice, Latency, "a/slow", "b/fast") == "b/fast"
    slow = novice.health._speed._known["a/slow"]
    assert slow.first_token(novice.clock.monotonic()).value == pytest.approx(5.0)
    assert slow.per_token(novice.clock.monotonic()).value == pytest.approx(0.01)


def test_it_knows_so_of_candidates_it_met_before_the_others_called_them(world: World) -> None:
    veteran, novice = fleet(world)
    novice.join("a/slow")
    called(veteran, "a/slow", 5.0)
    all_exchange([veteran, novice])
    now = novice.clock.monotonic()
    assert novice.health._speed._known["a/slow"].first_token(now).value == pytest.approx(5.0)


def test_it_knows_who_fails(world: World) -> None:
    veteran, novice = fleet(world)
    veteran.stats.begin(stream=False).fail()
    all_exchange([veteran, novice])
    assert novice.stats.failure_rate(novice.clock.monotonic()) > 0.2


def test_ones_own_recent_figures_count_more_than_others(world: World) -> None:
    near, far = fleet(world)
    called(far, "a/m2", 3.0)
    called(near, "a/m2", 0.5)
    all_exchange([far, near])
    now = near.clock.monotonic()
    assert near.health._speed._known["a/m2"].first_token(now).value == pytest.approx(0.5)


def test_what_was_taken_over_grows_old_and_does_not_echo(world: World) -> None:
    veteran, *others = fleet(world, 3)
    called(veteran, "a/m2", 3.0)
    for replica in others:
        replica.join("a/m2")
    for _ in range(40):
        all_exchange([veteran, *others])
    for replica in others:
        known = replica.health._speed._known["a/m2"].first_token(replica.clock.monotonic())
        assert known.freshness < 0.02


def test_least_busy_sees_the_whole_fleets_load(world: World) -> None:
    busy, idle = fleet(world)
    _, stats = busy.join("a/busy")
    flights = [stats.begin(stream=False) for _ in range(3)]
    idle.join("a/busy")
    all_exchange([busy, idle])
    assert idle.health._speed._known["a/busy"].in_flight == 3
    assert stats.in_flight == 3
    for _ in range(5):
        assert first_of(idle, LeastBusy, "a/busy", "b/free") == "b/free"
    for flight in flights:
        flight.leave()
    all_exchange([busy, idle])
    assert idle.health._speed._known["a/busy"].in_flight == 0


def test_load_that_is_not_heard_of_any_more_is_not_believed(world: World) -> None:
    busy, idle = fleet(world)
    busy.stats.begin(stream=False)
    all_exchange([busy, idle])
    assert idle.stats.in_flight == 1
    idle.cut()
    world.advance(2.1)
    assert idle.stats.in_flight == 0


def test_the_load_of_a_dead_replica_is_taken_off(world: World) -> None:
    dead, alive = fleet(world)
    for _ in range(7):
        dead.stats.begin(stream=False)
    all_exchange([dead, alive])
    assert alive.stats.in_flight == 7
    for _ in range(12):
        world.advance(0.5)
        alive.exchange()
    assert alive.stats.in_flight == 0
    assert world.client.hlen("sg:{latency}:load") == 0


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    moves=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["begin", "end", "tell", "die", "wait"])),
        max_size=40,
    )
)
def test_the_sum_is_always_that_of_the_last_reports(
    redis_client: redis.Redis, moves: list[tuple[int, str]]
) -> None:
    """Whatever begins, ends and dies in which order: the load is the sum over the living."""
    world = World(redis_client)
    replicas = fleet(world, 3)
    flights: list[list[Flight]] = [[], [], []]
    told: dict[int, tuple[int, float]] = {}
    for who, what in moves:
        replica = replicas[who]
        if what == "begin":
            flights[who].append(replica.stats.begin(stream=False))
        elif what == "end" and flights[who]:
            flights[who].pop().leave()
        elif what == "wait":
            world.advance(2.0)
        elif what == "die":
            told_last = told.get(who)
            replicas[who] = Replica(world, who + 10 + int(world.elapsed * 4) * 3, BreakerSettings())
            flights[who] = []
            if told_last is not None:
                told[100 + len(told)] = told.pop(who)
        else:
            world.advance(0.25)
            before = replica.health._speed._trip._began
            replica.answer(replica.health.parts[2])
            if replica.health._speed._trip._began != before:
                told[who] = len(flights[who]), world.elapsed
                told = {k: v for k, v in told.items() if world.elapsed - v[1] < 5.0}
                assert loads(world) == sum(count for count, _ in told.values())


def loads(world: World) -> int:
    return int(world.client.hget("sg:{latency}:load", "a/m") or 0)


def test_figures_merge_as_one_peak_average_would(world: World) -> None:
    """A rise counts at once, a fall as time goes by, whoever saw it."""
    one, two, novice = fleet(world, 3)
    called(one, "a/m2", 4.0)
    one.exchange()
    world.advance(18.0)
    called(two, "a/m2", 1.0)
    two.exchange()
    novice.exchange()
    novice.join("a/m2")
    value = novice.health._speed._known["a/m2"].first_token(novice.clock.monotonic()).value
    assert value == pytest.approx(4.0 * 0.5 + 1.0 * 0.5, abs=0.1)
