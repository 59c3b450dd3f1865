"""What the scripts decide, for any sequence of reports, on a real server."""

from __future__ import annotations

import itertools
import math
import time
from typing import NamedTuple

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import given, settings

from switchgear.state.redis_client import read_scripts

from .server import RedisServer

pytestmark = pytest.mark.xdist_group("redis")

CAPACITY = 100.0
STILL = 1e-9  # tokens a second: time stands still, so that amounts can be compared
TINY = 1e-4
NAMES = "abcd"
_fresh = itertools.count()


class Answer(NamedTuple):
    granted: float
    limit: float
    level: float
    members: float
    hungry: float


class Bucket:
    """One bucket at the server, and what its replicas have."""

    def __init__(self, server: RedisServer, *, rate: float = STILL, daily: bool = False) -> None:
        self.client = redis.Redis(port=server.port)
        self.script = self.client.register_script(read_scripts()["rate"].text)
        self.key = f"sg:{{test}}:{next(_fresh)}"
        self.rate = 0.0 if daily else rate
        self.daily = daily
        self.period = 0.1
        self.has = dict.fromkeys(NAMES, 0.0)
        self.level = CAPACITY

    def report(
        self,
        name: str,
        *,
        offer: float = 0.0,
        charge: float = 0.0,
        spent: float = 0.0,
        need: float = 0.0,
        want: float = 0.0,
        seen: tuple[float, float] = (0.0, -1.0),
        leaves: bool = False,
    ) -> Answer:
        self.has[name] -= offer
        numbers = [self.rate, CAPACITY, int(self.daily), self.has[name], offer, charge, spent]
        numbers += [need, want, *seen, int(leaves)]
        reply = self.script([self.key], [name, 5, self.period, *numbers])
        answer = Answer(*(float(part) for part in reply))
        self.has[name] += answer.granted
        self.level = answer.level
        return answer


amount = st.floats(0, 1.2 * CAPACITY).map(lambda number: round(number, 3))
part = st.floats(0, 1)
step = st.tuples(st.sampled_from(NAMES), part, part, amount, amount, amount)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(step, max_size=25), daily=st.booleans())
def test_nothing_is_made_and_nothing_is_lost(
    redis_server: RedisServer,
    steps: list[tuple[str, float, float, float, float, float]],
    daily: bool,
) -> None:
    bucket = Bucket(redis_server, daily=daily)
    gone = 0.0
    for name, used, offered, charge, needed, want in steps:
        spent = bucket.has[name] * used
        bucket.has[name] -= spent
        offer = bucket.has[name] * offered
        gone += spent + charge
        need = min(needed, CAPACITY)
        kept = bucket.has[name] - offer
        free = bucket.level + offer - charge
        answer = bucket.report(name, offer=offer, charge=charge, need=need, want=want)
        held = sum(bucket.has.values())
        assert answer.granted >= 0
        assert bucket.level + held + gone == pytest.approx(CAPACITY, abs=TINY)
        if answer.granted:
            assert bucket.level >= -TINY
        if need > kept:  # whoever waits gets what it needs, or nothing
            assert answer.granted == 0 or kept + answer.granted >= need - TINY
            if not answer.hungry:
                assert (answer.granted > 0) == (free >= need - kept - TINY) or math.isclose(
                    free, need - kept, abs_tol=TINY
                )


@settings(max_examples=15, deadline=None)
@given(needs=st.lists(st.floats(1, CAPACITY), min_size=4, max_size=4), data=st.data())
def test_everybody_who_waits_gets_a_turn(
    redis_server: RedisServer, needs: list[float], data: st.DataObject
) -> None:
    bucket = Bucket(redis_server)
    bucket.report("a", charge=CAPACITY)
    bucket.has["a"] = 0.0
    rounds = 10
    served = dict.fromkeys(NAMES, 0)
    tokens = dict.fromkeys(NAMES, 0.0)
    for _ in range(rounds):  # what was used comes back all at once, and goes on to the next in turn
        for name in data.draw(st.permutations(NAMES)):
            need = needs[NAMES.index(name)]
            rest, bucket.has[name] = bucket.has[name], 0.0
            back = max(0.0, CAPACITY - bucket.level - sum(bucket.has.values()) - rest)
            bucket.has[name] = rest
            answer = bucket.report(name, offer=rest, charge=-back, need=need, want=need)
            if answer.granted:
                served[name] += 1
                tokens[name] += need
                bucket.has[name] = 0.0
    for name in NAMES:  # all that it asked for, or as much as anybody, give or take a turn each
        assert served[name] >= rounds // 2 or tokens[name] >= max(tokens.values()) - 2 * CAPACITY
    assert min(served.values()) >= 1


def test_a_large_need_is_not_starved_by_small_ones(server: RedisServer) -> None:
    bucket = Bucket(server, rate=200.0)
    bucket.period = 0.01
    bucket.report("a", charge=CAPACITY)
    began = time.monotonic()
    while not bucket.report("d", need=CAPACITY, want=CAPACITY).granted:
        for name in "abc":
            bucket.has[name] = 0.0
            bucket.report(name, need=1.0, want=5.0)
        assert time.monotonic() - began < 3.0
        time.sleep(bucket.period)  # reports come once in a period: turns are reckoned with that
    assert time.monotonic() - began >= 0.45  # it can't be full any earlier


def test_a_full_bucket_that_is_drawn_on_begins_to_fill_a_second_later(server: RedisServer) -> None:
    bucket = Bucket(server, rate=1000.0)
    bucket.report("a")
    bucket.report("a", spent=20.0, offer=0.0, charge=20.0)
    assert bucket.report("a").level + bucket.has["a"] == pytest.approx(CAPACITY - 20.0)


def test_memory_that_was_lost_is_taken_from_a_replica(server: RedisServer) -> None:
    bucket = Bucket(server)
    assert bucket.report("a", seen=(30.0, 2.0), need=1.0, want=1.0).level <= 29.0 + TINY
    daily = Bucket(server, daily=True)
    assert daily.report("a", seen=(30.0, 2.0), need=1.0, want=1.0).level <= 29.0 + TINY


def test_a_silent_replicas_lease_ends_by_the_servers_clock(server: RedisServer) -> None:
    bucket = Bucket(server)
    bucket.report("a", need=60.0, want=60.0)
    row = bytes(server.command("HGET", bucket.key, "r:a")).split()
    row[4] = b"%.6f" % (float(row[4]) - 6)
    server.command("HSET", bucket.key, "r:a", b" ".join(row))
    assert bucket.report("b").members == 1


class Limit:
    def __init__(self, server: RedisServer, capacity: int) -> None:
        self.client = redis.Redis(port=server.port)
        self.script = self.client.register_script(read_scripts()["slots"].text)
        self.key = f"sg:{{test}}:{next(_fresh)}"
        self.capacity = capacity
        self.holds: dict[str, int] = {}
        self.quota: dict[str, int] = {}

    def report(self, name: str, want: int, *, busy: int | None = None) -> int:
        """Its free slots beyond its quota go back first."""
        holds = self.holds.get(name, 0)
        busy = min(holds, want) if busy is None else busy
        keep = max(busy, min(holds, self.quota.get(name, 0)))
        granted, quota, *_ = self.script([self.key], [name, 5, self.capacity, keep, want])
        self.holds[name] = keep + int(granted)
        self.quota[name] = int(quota)
        return int(granted)


@settings(max_examples=60, deadline=None)
@given(
    capacity=st.integers(1, 30),
    steps=st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(0, 40), st.floats(0, 1)), max_size=40
    ),
)
def test_slots_held_never_exceed_the_limit(
    redis_server: RedisServer, capacity: int, steps: list[tuple[str, int, float]]
) -> None:
    limit = Limit(redis_server, capacity)
    for name, want, busy in steps:
        limit.report(name, want, busy=round(busy * limit.holds.get(name, 0)))
        assert sum(limit.holds.values()) <= capacity


@settings(max_examples=60, deadline=None)
@given(capacity=st.integers(1, 30), wants=st.lists(st.integers(0, 40), min_size=2, max_size=6))
def test_slots_are_divided_evenly_as_far_as_they_are_wanted(
    redis_server: RedisServer, capacity: int, wants: list[int]
) -> None:
    limit = Limit(redis_server, capacity)
    for _ in range(4):  # calls end between reports, so what is too much goes back
        for name, want in enumerate(wants):
            limit.report(f"r{name}", want, busy=0)
    holds = [limit.holds[f"r{name}"] for name in range(len(wants))]
    left, fair = float(capacity), dict.fromkeys(range(len(wants)), 0.0)
    for place, name in enumerate(sorted(fair, key=wants.__getitem__)):
        fair[name] = min(wants[name], left / (len(wants) - place))
        left -= fair[name]
    if capacity >= len(wants):
        for name, want in enumerate(wants):
            assert holds[name] >= min(want, math.floor(fair[name]))
    if sum(wants) >= capacity:
        assert sum(holds) >= capacity - len(wants)


def test_too_few_slots_go_round(server: RedisServer) -> None:
    limit = Limit(server, 2)
    turns = dict.fromkeys("abcde", 0)
    for _ in range(30):
        for name in turns:
            turns[name] += min(limit.report(name, 3, busy=0), 1)
    assert min(turns.values()) >= 3
