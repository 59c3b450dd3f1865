"""Cooldowns that several replicas share through Redis."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from switchgear import AuthenticationError, ModelNotFoundError, QuotaExceededError, RateLimitError
from switchgear.routing.breaker_values import BreakerSettings, Refusal
from switchgear.routing.cooldown import Pass

from .fleet_bench import Replica, World, all_exchange

if TYPE_CHECKING:
    import redis

    from ..state.server import RedisServer

REFUSED = AuthenticationError("no", status=401)
MISSING = ModelNotFoundError("none", status=404)
EMPTY = QuotaExceededError("empty", status=429)


@pytest.fixture
def world(server: RedisServer, redis_client: redis.Redis) -> World:
    return World(redis_client)


@pytest.fixture
def replicas(world: World) -> list[Replica]:
    found = [Replica(world, number, BreakerSettings()) for number in range(3)]
    for replica in found:
        replica.exchange()
    return found


def passed(replica: Replica, call_id: str = "", model: str = "m") -> Pass:
    found = replica.ask(call_id or f"{replica.name}-{random.random()}", model=model)
    assert isinstance(found, Pass), found
    return found


def waits(replica: Replica, model: str = "m") -> float:
    """Seconds that a call is told to wait; 0 where it may go."""
    found = replica.ask("waiting", model=model)
    if isinstance(found, Refusal):
        return found.retry_in
    found.ignored()
    return 0.0


def cooled(world: World, replicas: list[Replica], error: Exception) -> None:
    passed(replicas[0]).failure(error)
    all_exchange(replicas)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (REFUSED, 300.0),
        (EMPTY, 900.0),
        (RateLimitError("slow down", status=429, retry_after=40.0), 40.0),
    ],
)
def test_what_one_was_told_all_know_and_for_how_long(
    world: World, replicas: list[Replica], error: Exception, seconds: float
) -> None:
    passed(replicas[0]).failure(error)
    replicas[0].exchange()
    for replica in replicas:
        world.advance(0.5)
        replica.exchange()
    left = [waits(replica) for replica in replicas]
    assert left == [pytest.approx(seconds - 1.5)] * 3


def test_a_refused_key_closes_every_model_of_its_provider_and_a_quota_only_one(
    world: World, replicas: list[Replica]
) -> None:
    a, b, c = replicas
    passed(a).failure(EMPTY)
    all_exchange(replicas)
    assert waits(b) > 0
    assert waits(b, "other") == 0
    passed(c, model="other").failure(REFUSED)
    all_exchange(replicas)
    assert waits(b, "third") > 0


def test_a_missing_model_counts_distinct_calls_over_the_fleet(
    world: World, replicas: list[Replica]
) -> None:
    a, b, c = replicas
    for replica, call in ((a, "one"), (b, "two"), (b, "two"), (a, "one")):
        passed(replica, call).failure(MISSING)
    all_exchange(replicas)
    assert [waits(replica) for replica in replicas] == [0, 0, 0]
    passed(c, "three").failure(MISSING)
    all_exchange(replicas)
    assert all(waits(replica) > 290 for replica in replicas)


def test_a_call_that_fails_over_between_replicas_counts_once(
    world: World, replicas: list[Replica]
) -> None:
    for replica in replicas:
        passed(replica, "the same").failure(MISSING)
    all_exchange(replicas)
    assert [waits(replica) for replica in replicas] == [0, 0, 0]


def test_a_success_anywhere_forgets_the_refusals_of_a_model(
    world: World, replicas: list[Replica]
) -> None:
    a, b, c = replicas
    passed(a, "one").failure(MISSING)
    passed(a, "two").failure(MISSING)
    all_exchange(replicas)
    passed(b).success()
    all_exchange(replicas)
    passed(c, "three").failure(MISSING)
    all_exchange(replicas)
    assert [waits(replica) for replica in replicas] == [0, 0, 0]


def test_one_success_ends_it_for_all(world: World, replicas: list[Replica]) -> None:
    cooled(world, replicas, REFUSED)
    world.advance(300)
    passed(replicas[1]).success()
    all_exchange(replicas)
    assert [waits(replica) for replica in replicas] == [0, 0, 0]
    assert all(not replica.cooldowns.snapshot() for replica in replicas)


def test_the_others_wait_for_the_first_ones_probe(world: World, replicas: list[Replica]) -> None:
    a, b, c = replicas
    cooled(world, replicas, REFUSED)
    world.advance(300)
    probe = passed(a)
    all_exchange(replicas)
    assert waits(b) > 50
    assert waits(c) > 50
    probe.failure(REFUSED)
    all_exchange(replicas)
    assert all(waits(replica) > 290 for replica in replicas)


def test_a_probe_that_was_cancelled_lets_another_replica_go(
    world: World, replicas: list[Replica]
) -> None:
    a, b, c = replicas
    cooled(world, replicas, REFUSED)
    world.advance(300)
    probe = passed(a)
    all_exchange(replicas)
    probe.ignored()
    all_exchange(replicas)
    assert waits(b) == 0
    assert waits(c) == 0


def test_the_probe_of_a_dead_replica_is_not_awaited_for_ever(
    world: World, replicas: list[Replica]
) -> None:
    a, b, _ = replicas
    cooled(world, replicas, REFUSED)
    world.advance(300)
    passed(a)  # and never heard of again
    all_exchange(replicas)
    assert waits(b) > 0
    world.advance(61)
    assert waits(b) == 0


def test_successes_let_through_before_do_not_end_it(world: World, replicas: list[Replica]) -> None:
    a, b, c = replicas
    early = [passed(b), passed(c)]
    cooled(world, replicas, RateLimitError("slow down", status=429, retry_after=40.0))
    for each in early:
        each.success()
    all_exchange(replicas)
    assert all(waits(replica) > 30 for replica in (a, b, c))


def test_a_late_refusal_from_before_a_key_was_mended_begins_nothing(
    world: World, replicas: list[Replica]
) -> None:
    a, b, c = replicas
    late = passed(b)
    cooled(world, replicas, REFUSED)
    world.advance(300)
    passed(a).success()
    all_exchange(replicas)
    late.failure(REFUSED)
    all_exchange(replicas)
    assert [waits(replica) for replica in (a, b, c)] == [0, 0, 0]


def test_of_two_probes_at_once_the_refused_one_counts(
    world: World, replicas: list[Replica]
) -> None:
    """The success was let through before the refusal was known, so it can't undo that."""
    a, b, c = replicas
    cooled(world, replicas, REFUSED)
    world.advance(300)
    refused, answered = passed(a), passed(b)
    refused.failure(REFUSED)
    answered.success()
    all_exchange(replicas)
    assert all(waits(replica) > 290 for replica in (a, b, c))


def test_a_new_replica_asks_nobody_who_has_refused(world: World, replicas: list[Replica]) -> None:
    cooled(world, replicas, REFUSED)
    late = Replica(world, 9, BreakerSettings())
    late.exchange()
    assert waits(late) > 290


def test_without_redis_each_goes_on_alone_and_tells_later(
    world: World, replicas: list[Replica]
) -> None:
    a, b, c = replicas
    for replica in replicas:
        replica.cut()
    passed(a).failure(REFUSED)
    assert waits(a) > 0
    assert waits(b) == 0
    world.advance(10)
    for replica in replicas:
        replica.mend()
    all_exchange(replicas)
    assert waits(b) == pytest.approx(waits(a), abs=0.3)
    assert 280 < waits(c) < 290


def test_what_was_said_in_a_lost_report_is_said_again(
    world: World, replicas: list[Replica]
) -> None:
    a, b, _ = replicas
    passed(a).failure(REFUSED)
    assert a.health.parts[1].report() is not None  # and no answer
    a.cut()
    a.mend()
    all_exchange(replicas)
    assert waits(b) > 290


def test_a_redis_that_lost_its_memory_is_told_again(world: World, replicas: list[Replica]) -> None:
    cooled(world, replicas, REFUSED)
    world.forget()
    all_exchange(replicas)
    late = Replica(world, 9, BreakerSettings())
    late.exchange()
    assert 290 < waits(late) < 300
    assert all(290 < waits(replica) < 300 for replica in replicas)
    world.advance(300)
    passed(late).success()
    all_exchange([*replicas, late])
    assert [waits(replica) for replica in replicas] == [0, 0, 0]


def test_keys_have_an_end_and_nothing_is_kept_for_ever(
    world: World, replicas: list[Replica]
) -> None:
    cooled(world, replicas, REFUSED)
    keys = world.client.keys("sg:*cooldowns*")
    assert keys
    assert all(world.client.pttl(key) > 0 for key in keys)
    world.advance(3 * 3600)
    all_exchange(replicas)
    assert world.client.hlen("sg:{cooldowns}:cooldowns") == 0
