"""Circuits that several replicas share through Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from switchgear.routing.breaker import Permit
from switchgear.routing.breaker_values import BreakerSettings, Refusal

from ..state.clocked import EPOCH
from .fleet_bench import Replica, World, all_exchange
from .helpers import finish

if TYPE_CHECKING:
    import redis

    from ..state.server import RedisServer


@pytest.fixture
def world(server: RedisServer, redis_client: redis.Redis) -> World:
    return World(redis_client)


def fleet(world: World, size: int = 3, **settings: Any) -> list[Replica]:
    found = [Replica(world, number, BreakerSettings(**settings)) for number in range(size)]
    for replica in found:
        replica.exchange()
    return found


def opened(world: World, size: int = 3, **settings: Any) -> list[Replica]:
    """A fleet that has just left its candidate alone."""
    replicas = fleet(world, size, **settings)
    for replica in replicas:
        replica.run("fffff")
        replica.exchange()
    all_exchange(replicas, 1)
    assert {replica.state for replica in replicas} == {"open"}
    return replicas


def half_opened(world: World, size: int = 3, **settings: Any) -> list[Replica]:
    """The same, when its time is over, and every replica has had a call refused since."""
    replicas = opened(world, size, **settings)
    world.advance(replicas[0].settings.open_seconds)
    for replica in replicas:
        assert replica.state == "half-open"
        assert replica.admit() is None
    return replicas


# Opening


def test_failures_in_a_row_count_over_the_whole_fleet(world: World) -> None:
    a, b, c = fleet(world, consecutive_failures=5)
    for replica, outcomes in ((a, "ff"), (b, "ff"), (c, "f")):
        replica.run(outcomes)
        replica.exchange()
    all_exchange([a, b, c], 1)
    assert {a.state, b.state, c.state} == {"open"}
    assert b.changes[-1].reason == "5 failures in a row in the fleet"


def test_a_success_anywhere_ends_the_row(world: World) -> None:
    a, b, c = fleet(world, consecutive_failures=5, minimum_calls=100)
    for replica, outcomes in ((a, "ff"), (b, "ff"), (c, "s"), (a, "ff"), (b, "ff"), (c, "s")):
        world.advance(0.01)
        replica.run(outcomes)
        replica.exchange()
    assert {a.state, b.state, c.state} == {"closed"}


def test_a_success_that_is_reported_late_does_not_end_a_row_that_began_after_it(
    world: World,
) -> None:
    a, b = fleet(world, 2, consecutive_failures=5)
    b.run("s")
    world.advance(0.05)
    a.run("sfff")
    a.exchange()
    b.run("ff")
    b.exchange()
    assert b.state == "open"


def test_the_minimum_of_calls_is_the_fleets(world: World) -> None:
    replicas = fleet(world, 3, minimum_calls=9, failure_rate=0.5, consecutive_failures=100)
    for replica in replicas[:2]:
        replica.run("sfsf")
        replica.exchange()
    assert {replica.state for replica in replicas} == {"closed"}
    replicas[2].run("f")
    replicas[2].exchange()
    all_exchange(replicas, 1)
    assert {replica.state for replica in replicas} == {"open"}
    assert replicas[0].changes[-1].reason == "5 of 9 calls of the fleet failed"


def test_slow_calls_are_counted_together_too(world: World) -> None:
    replicas = fleet(world, 2, minimum_calls=6, slow_call_seconds=2.0, slow_call_rate=0.5)
    for replica in replicas:
        replica.run("sll")
        replica.exchange()
    replicas[0].world.advance(0.5)
    replicas[0].exchange()
    assert {replica.state for replica in replicas} == {"open"}
    assert "slow" in replicas[0].changes[-1].reason


def test_outcomes_that_have_left_the_window_no_longer_count(world: World) -> None:
    a, b = fleet(world, 2, minimum_calls=6, failure_rate=0.5, consecutive_failures=100)
    a.run("fff")
    a.exchange()
    world.advance(61)
    b.run("ssff")
    b.exchange()
    a.run("f")
    a.exchange()
    assert {a.state, b.state} == {"closed"}


def test_a_replica_whose_network_is_broken_opens_only_its_own(world: World) -> None:
    sick, *sound = fleet(world, 3)
    for replica in sound:
        replica.run("sss")
        replica.exchange()
    for _ in range(20):
        sick.run("fffff")
        sick.exchange()
        for replica in sound:
            replica.run("sss")
            replica.exchange()
        world.advance(5)
    assert sick.state != "closed"
    assert {replica.state for replica in sound} == {"closed"}
    assert all(not replica.changes for replica in sound)


def test_one_more_witness_is_enough(world: World) -> None:
    a, b, c = fleet(world, 3)
    for replica in (a, b, c):
        replica.run("s")
        replica.exchange()
    a.run("fffff")
    a.exchange()
    assert b.state == "closed"
    b.run("f")
    b.exchange()
    world.advance(0.5)
    c.exchange()
    assert b.state == c.state == "open"


def test_a_late_outcome_moves_nothing(world: World) -> None:
    a, b = fleet(world, 2)
    late = [a.admit() for _ in range(20)]
    b.run("fffff")
    b.exchange()
    world.advance(0.5)
    a.exchange()
    assert a.state == "open"
    for permit in late:
        assert permit is not None
        finish(permit, "s")
    a.exchange()
    world.advance(0.5)
    b.exchange()
    assert a.state == b.state == "open"
    assert len(a.changes) == len(b.changes) == 1


def test_outcomes_reported_after_the_circuit_has_moved_move_nothing(world: World) -> None:
    a, b = fleet(world, 2, ramp_seconds=0)
    b.run("fffff")
    b.exchange()
    a.run("ssss")  # it has not heard yet
    a.exchange()
    assert a.state == "open"
    world.advance(0.5)
    b.exchange()
    assert b.state == "open"


def test_nobody_keeps_the_fleet_busy_with_nothing_to_say(world: World) -> None:
    (a,) = fleet(world, 1)
    assert a.circuits.report() is None
    world.advance(0.5)
    assert a.circuits.report() is not None


# Open and half-open


def test_all_leave_it_alone_for_the_same_time_and_know_how_long(world: World) -> None:
    replicas = opened(world, open_seconds=30)
    waits = {round(replica.breaker.snapshot().retry_in, 2) for replica in replicas}
    assert len(waits) == 1
    (wait,) = waits
    world.advance(wait - 0.1)
    assert {replica.state for replica in replicas} == {"open"}
    world.advance(0.2)
    assert {replica.state for replica in replicas} == {"half-open"}


@pytest.mark.parametrize("probes", [1, 2])
def test_only_so_many_probes_go_from_the_whole_fleet(world: World, probes: int) -> None:
    replicas = half_opened(world, 4, probes=probes)
    sent = []
    for _ in range(5):
        for replica in replicas:
            world.advance(0.02)
            replica.exchange()
            sent += [permit for _ in range(3) if (permit := replica.admit()) is not None]
    assert len(sent) == probes


def test_a_successful_probe_closes_it_for_everyone(world: World) -> None:
    replicas = half_opened(world, ramp_seconds=10)
    replicas[0].exchange()
    replicas[0].run("s")
    replicas[0].exchange()
    assert replicas[0].state == "ramping"
    all_exchange(replicas, 1)
    assert {replica.state for replica in replicas} == {"ramping"}
    world.advance(10)
    assert {replica.state for replica in replicas} == {"closed"}
    replicas[2].run("sfsfs")
    all_exchange(replicas)
    assert {replica.state for replica in replicas} == {"closed"}


def test_a_failed_probe_doubles_the_wait_of_all(world: World) -> None:
    replicas = half_opened(world, open_seconds=30)
    replicas[1].exchange()
    replicas[1].run("f")
    replicas[1].exchange()
    all_exchange(replicas, 1)
    assert {replica.state for replica in replicas} == {"open"}
    world.advance(50)
    assert {replica.state for replica in replicas} == {"open"}
    world.advance(12)
    assert {replica.state for replica in replicas} == {"half-open"}


def test_several_successes_may_come_from_several_replicas(world: World) -> None:
    a, b, c = half_opened(world, probes=1, probe_successes=2, ramp_seconds=0)
    a.exchange()
    a.run("s")
    a.exchange()
    assert a.state == "half-open"
    b.exchange()
    b.run("s")
    b.exchange()
    world.advance(0.5)
    c.exchange()
    assert b.state == c.state == "closed"


def test_the_probe_of_a_dead_replica_keeps_others_out_no_longer_than_its_timeout(
    world: World,
) -> None:
    a, b, _ = half_opened(world, probe_timeout=60)
    a.exchange()
    assert a.admit() is not None  # and never heard of again
    world.advance(30)
    b.exchange()
    assert b.admit() is None
    world.advance(31)
    b.exchange()
    assert b.admit() is not None


def test_a_probe_of_an_earlier_round_is_not_heard_in_a_later_one(world: World) -> None:
    a, b, _ = half_opened(world, open_seconds=30, probe_timeout=60)
    a.exchange()
    early = a.admit()
    assert early is not None
    world.advance(59)  # all the while, nothing of what is decided reaches a
    assert a.breaker.state == "half-open"
    world.advance(2)
    b.exchange()
    b.run("f")
    b.exchange()
    world.advance(61)
    b.exchange()
    assert b.state == "half-open"
    finish(early, "s")
    a.exchange()
    world.advance(0.5)
    b.exchange()
    assert b.state == "half-open"
    assert a.state == "half-open"


def test_a_cancelled_probe_lets_the_next_one_go(world: World) -> None:
    a, b, _ = half_opened(world)
    a.exchange()
    a.run("i")
    a.exchange()
    b.exchange()
    assert b.admit() is not None


def test_leave_that_one_has_no_call_for_goes_to_one_that_has(world: World) -> None:
    a, b, _ = half_opened(world)
    a.exchange()  # a has it, and no call comes
    got = None
    for _ in range(8):
        world.advance(0.1)
        got = got or b.admit()
        a.exchange()
        b.exchange()
    assert got is not None


def test_a_call_once_a_minute_still_gets_to_probe(world: World) -> None:
    (a,) = opened(world, 1, open_seconds=30, probe_timeout=20)
    assert a.admit() is None
    for _ in range(600):
        world.advance(0.1)
        a.exchange()
    assert a.state == "half-open"
    assert a.admit() is not None


def test_a_router_that_ends_gives_its_leave_back(world: World) -> None:
    a, b, _ = half_opened(world)
    a.exchange()
    a.health.close()
    a.exchange()
    b.exchange()
    assert b.admit() is not None


# Who comes later, and who was away


def test_a_new_replica_does_not_call_what_the_fleet_has_left(world: World) -> None:
    opened(world)
    late = Replica(world, 9, BreakerSettings())
    late.exchange()
    assert late.state == "open"
    breaker, _ = late.join("b/other")
    assert breaker.state == "closed"


def test_it_knows_so_of_candidates_that_it_has_not_met(world: World) -> None:
    opened(world)
    late = Replica(world, 9, BreakerSettings())
    late.health.left("a/m")
    late.exchange()
    world.advance(10)
    breaker, _ = late.join("a/m")
    assert breaker.state == "open"
    assert 15 < breaker.snapshot().retry_in <= 20


def test_without_redis_each_goes_on_alone_from_what_was_known(world: World) -> None:
    replicas = half_opened(world, ramp_seconds=0)
    for replica in replicas:
        replica.cut()
    for replica in replicas:
        replica.run("s")
    assert {replica.state for replica in replicas} == {"closed"}
    replicas[0].run("fffff")
    assert [replica.state for replica in replicas] == ["open", "closed", "closed"]


def test_a_probe_that_was_on_its_way_when_redis_went_still_counts(world: World) -> None:
    a, *_ = half_opened(world, ramp_seconds=0)
    a.exchange()
    probe = a.admit()
    assert isinstance(probe, Permit)
    a.cut()
    finish(probe, "s")
    assert a.state == "closed"


def test_a_probes_outcome_whose_report_was_lost_counts_here(world: World) -> None:
    a, *_ = half_opened(world, ramp_seconds=0)
    a.exchange()
    a.run("s")
    assert a.circuits.report() is not None  # and no answer
    a.cut()
    assert a.state == "closed"


def test_redis_away_for_a_moment_makes_nobody_flap(world: World) -> None:
    replicas = opened(world)
    for replica in replicas:
        replica.cut()
    world.advance(3)
    for replica in replicas:
        replica.mend()
    all_exchange(replicas)
    assert {replica.state for replica in replicas} == {"open"}
    assert all([c.after for c in replica.changes] == ["open"] for replica in replicas)


def test_what_the_others_decided_meanwhile_is_learned(world: World) -> None:
    a, b, c = fleet(world)
    a.cut()
    b.run("fffff")
    b.exchange()
    world.advance(1)
    a.run("s")
    assert a.state == "closed"
    a.mend()
    all_exchange([a, b, c], 1)
    assert {a.state, b.state, c.state} == {"open"}


def test_one_that_was_cut_off_with_its_own_trouble_opens_nobody_elses(world: World) -> None:
    a, b, c = fleet(world)
    a.cut()
    a.run("fffff")
    b.run("s")
    c.run("s")
    a.mend()
    all_exchange([a, b, c])
    assert [a.state, b.state, c.state] == ["open", "closed", "closed"]
    world.advance(30)
    a.run("s")
    world.advance(10)
    all_exchange([a, b, c])
    assert {a.state, b.state, c.state} == {"closed"}


def test_a_redis_that_lost_its_memory_gets_it_from_the_replicas(world: World) -> None:
    replicas = opened(world, open_seconds=30)
    world.forget()
    all_exchange(replicas)
    late = Replica(world, 9, BreakerSettings())
    late.exchange()
    assert late.state == "open"
    world.advance(30)
    everybody = [*replicas, late]
    assert {replica.state for replica in everybody} == {"half-open"}
    sent = 0
    for _ in range(3):
        for replica in everybody:
            sent += replica.admit() is not None
            replica.exchange()
    assert sent == 1
    assert all([c.after for c in r.changes] == ["open", "half-open"] for r in replicas)


def test_a_clock_that_is_set_back_holds_nothing_open_for_longer(world: World) -> None:
    a, b, _ = opened(world, open_seconds=30)
    world.scripts.set_clock(1_700_000_000.0 - EPOCH)
    a.breaker.admit()
    a.exchange()
    late = Replica(world, 9, BreakerSettings())
    late.exchange()
    assert late.state == "open"
    assert late.breaker.snapshot().retry_in <= 30
    assert b.breaker.snapshot().retry_in <= 30


def test_nothing_is_kept_for_ever(world: World) -> None:
    opened(world)
    keys = set(world.client.keys("sg:*"))
    assert keys
    assert all(world.client.pttl(key) > 0 for key in keys)


def test_what_nobody_asks_for_is_forgotten(world: World) -> None:
    replicas = opened(world)
    for _ in range(5):
        world.advance(3600)
        replicas[0].exchange()
    assert world.client.hlen("sg:{breakers}:circuits") <= 1


def test_a_refusal_says_whose_probe_is_awaited(world: World) -> None:
    a, *_ = half_opened(world)
    refusal = a.breaker.admit()
    assert isinstance(refusal, Refusal)
    assert "another replica" in refusal.reason
    assert 0 < refusal.retry_in < 1
