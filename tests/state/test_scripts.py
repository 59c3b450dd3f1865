"""What the scripts decide, for any sequence of reports, on a real server."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from .clocked import ClockedScripts

if TYPE_CHECKING:
    import redis

pytestmark = pytest.mark.xdist_group("redis")

CAPACITY = 100.0
STILL = 1e-9  # tokens a second: time stands still, so that amounts can be compared
TINY = 1e-4
NAMES = "abcd"
POOL = "p"  # not a replica: where a test takes from what comes back
_fresh = itertools.count()


@pytest.fixture(scope="module")
def scripts(redis_client: redis.Redis) -> ClockedScripts:
    return ClockedScripts(redis_client)


class Answer(NamedTuple):
    granted: float
    limit: float
    level: float
    members: float
    hungry: float
    spilled: float


class Bucket:
    """One bucket at the server, and what its replicas have. Time passes when it is told to."""

    def __init__(
        self, scripts: ClockedScripts, *, rate: float = STILL, daily: bool = False
    ) -> None:
        self.scripts = scripts
        self.now = 0.0
        self.advance(0.0)
        self.key = f"sg:{{test}}:{next(_fresh)}"
        self.rate = 0.0 if daily else rate
        self.daily = daily
        self.period = 0.1
        self.has = dict.fromkeys(NAMES + POOL, 0.0)
        self.used = dict.fromkeys(NAMES + POOL, 0.0)
        self.reports = dict.fromkeys(NAMES + POOL, 0)
        self.heard = dict.fromkeys(NAMES + POOL, 0)
        self.spilled = dict.fromkeys(NAMES + POOL, 0.0)
        self.level = CAPACITY

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.scripts.set_clock(self.now)

    def use(self, name: str, amount: float = math.inf) -> float:
        """It uses so much of what it has, or all."""
        amount = min(amount, self.has[name])
        self.has[name] -= amount
        self.used[name] += amount
        return amount

    def report(
        self,
        name: str,
        *,
        offer: float = 0.0,
        charge: float = 0.0,
        need: float = 0.0,
        want: float = 0.0,
        seen: tuple[float, float] = (0.0, -1.0),
        leaves: bool = False,
    ) -> Answer:
        """It gives back some of what it has, and has used so much beside."""
        rest, keep = self.has[name] - charge, self.has[name] - offer
        self.used[name] += charge
        self.reports[name] += 1
        numbers = [self.rate, CAPACITY, int(self.daily), keep, rest, self.used[name]]
        numbers += [self.reports[name], self.heard[name], self.spilled[name]]
        numbers += [need, want, *seen, int(leaves), -1]
        reply = self.scripts.run("rate", [self.key], [name, 5, self.period, *numbers])
        answer = Answer(*(float(part) for part in reply))
        self.has[name] = keep + answer.granted
        self.heard[name] = 0 if leaves else self.reports[name]
        self.level, self.spilled[name] = answer.level, answer.spilled
        return answer


amount = st.floats(0, 1.2 * CAPACITY).map(lambda number: round(number, 3))
part = st.floats(0, 1)
step = st.tuples(st.sampled_from(NAMES), part, part, amount, amount, amount)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(step, max_size=25), daily=st.booleans())
def test_nothing_is_made_and_nothing_is_lost(
    scripts: ClockedScripts,
    steps: list[tuple[str, float, float, float, float, float]],
    daily: bool,
) -> None:
    bucket = Bucket(scripts, daily=daily)
    gone = 0.0
    for name, used, offered, charge, needed, want in steps:
        gone += bucket.use(name, bucket.has[name] * used) + charge
        offer = bucket.has[name] * offered
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
    scripts: ClockedScripts, needs: list[float], data: st.DataObject
) -> None:
    bucket = Bucket(scripts)
    bucket.report("a", charge=CAPACITY)
    rounds = 10
    served = dict.fromkeys(NAMES, 0)
    tokens = dict.fromkeys(NAMES, 0.0)
    for _ in range(rounds):  # what was used comes back all at once, and goes on to the next in turn
        for name in data.draw(st.permutations(NAMES)):
            need = needs[NAMES.index(name)]
            back = max(0.0, CAPACITY - bucket.level - sum(bucket.has.values()))
            bucket.report(POOL, charge=-back, leaves=True)
            answer = bucket.report(name, offer=bucket.has[name], need=need, want=need)
            if answer.granted:
                served[name] += 1
                tokens[name] += need
                bucket.use(name)
    for name in NAMES:  # all that it asked for, or as much as anybody, give or take a turn each
        assert served[name] >= rounds // 2 or tokens[name] >= max(tokens.values()) - 2 * CAPACITY
    assert min(served.values()) >= 1


def test_a_large_need_is_not_starved_by_small_ones(scripts: ClockedScripts) -> None:
    bucket = Bucket(scripts, rate=200.0)
    bucket.report("a", charge=CAPACITY)
    periods = 0
    while not bucket.report("d", need=CAPACITY, want=CAPACITY).granted:
        for name in "abc":
            bucket.use(name)
            bucket.report(name, need=1.0, want=5.0)
        bucket.advance(bucket.period)
        periods += 1
    # 20 tokens come in a period; before the large one had told of itself, the small ones had some.
    assert 5 <= periods <= 7


@pytest.mark.parametrize("pause", [0.05, 0.01, 0.001])
def test_a_large_need_is_not_starved_because_it_is_told_often(
    scripts: ClockedScripts, pause: float
) -> None:
    bucket = Bucket(scripts, rate=200.0)
    bucket.report("a", charge=CAPACITY)
    small, reports, large = 0.0, 0, 0.8 * CAPACITY
    while not bucket.report("d", need=large, want=large).granted:
        for name in "abc":
            bucket.use(name)
            small += bucket.report(name, need=1.0, want=5.0).granted
        bucket.advance(pause)
        reports += 1
        assert reports * pause < 5
    assert small <= 2 * bucket.rate * bucket.period


@pytest.mark.parametrize("pause", [0.05, 0.01, 0.001])
def test_nor_does_it_starve_small_ones(scripts: ClockedScripts, pause: float) -> None:
    bucket = Bucket(scripts, rate=200.0)
    bucket.report("a", charge=CAPACITY)
    got = dict.fromkeys("ad", 0.0)
    rounds = min(round(20 / pause), 4000)
    for _ in range(rounds):
        for name, need in (("d", CAPACITY), ("a", 1.0)):
            bucket.use(name)
            got[name] += bucket.report(name, need=need, want=need).granted
        bucket.advance(pause)
    assert got["a"] >= min(rounds, got["d"]) - CAPACITY
    assert got["d"] >= got["a"] - CAPACITY


def test_a_large_need_finds_no_part_of_the_bucket_in_small_hands(scripts: ClockedScripts) -> None:
    bucket = Bucket(scripts, rate=200.0)
    bucket.report("b", need=1.0, want=1.0)
    bucket.use("b")
    bucket.report("b", charge=bucket.level)
    bucket.advance(1.0 + 0.85 * CAPACITY / bucket.rate)
    assert not bucket.report("d", need=CAPACITY, want=CAPACITY).granted
    # Enough would come by the time that it asks again, but what is leased does not come back by
    # then; and a bucket that was full when that is used begins to fill a second late, each time.
    assert not bucket.report("b", need=1.0, want=5.0).granted
    bucket.advance(bucket.period)
    assert bucket.report("d", need=CAPACITY, want=CAPACITY).granted


def test_what_comes_only_a_second_later_is_not_given_away_before(scripts: ClockedScripts) -> None:
    bucket = Bucket(scripts, rate=200.0)
    bucket.report("b", need=1.0, want=1.0)  # nobody waits, so it gets a quarter of all
    bucket.use("b")
    assert not bucket.report("d", need=90.0, want=90.0).granted
    assert not bucket.report("b", need=1.0, want=1.0).granted
    bucket.advance(1.0 + bucket.period)
    assert bucket.report("d", need=90.0, want=90.0).granted


def test_a_full_bucket_that_is_drawn_on_begins_to_fill_a_second_later(
    scripts: ClockedScripts,
) -> None:
    bucket = Bucket(scripts, rate=10.0)
    bucket.report("a")

    def in_all() -> float:
        return bucket.report("a").level + bucket.has["a"]

    bucket.report("a", charge=20.0)
    bucket.advance(0.999)
    assert in_all() == pytest.approx(CAPACITY - 20.0)
    bucket.advance(1.001)
    assert in_all() == pytest.approx(CAPACITY - 10.0)


def test_memory_that_was_lost_is_taken_from_a_replica(scripts: ClockedScripts) -> None:
    bucket = Bucket(scripts)
    assert bucket.report("a", seen=(30.0, 2.0), need=1.0, want=1.0).level <= 29.0 + TINY
    daily = Bucket(scripts, daily=True)
    assert daily.report("a", seen=(30.0, 2.0), need=1.0, want=1.0).level <= 29.0 + TINY


def test_a_silent_replicas_lease_ends_by_the_servers_clock(scripts: ClockedScripts) -> None:
    bucket = Bucket(scripts)
    bucket.report("a", need=60.0, want=60.0)
    bucket.advance(4.9)
    assert bucket.report("b").members == 2
    bucket.advance(0.2)
    assert bucket.report("b").members == 1


class Limit:
    def __init__(self, scripts: ClockedScripts, capacity: int) -> None:
        self.scripts = scripts
        self.now = 0.0
        self.key = f"sg:{{test}}:{next(_fresh)}"
        self.capacity = capacity
        self.holds: dict[str, int] = {}
        self.quota: dict[str, int] = {}

    def report(self, name: str, want: int, *, busy: int | None = None) -> int:
        """Its free slots beyond its quota go back first."""
        self.now += 0.001
        self.scripts.set_clock(self.now)
        holds = self.holds.get(name, 0)
        busy = min(holds, want) if busy is None else busy
        keep = max(busy, min(holds, self.quota.get(name, 0)))
        granted, quota, *_ = self.scripts.run(
            "slots", [self.key], [name, 5, self.capacity, keep, want]
        )
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
    scripts: ClockedScripts, capacity: int, steps: list[tuple[str, int, float]]
) -> None:
    limit = Limit(scripts, capacity)
    for name, want, busy in steps:
        limit.report(name, want, busy=round(busy * limit.holds.get(name, 0)))
        assert sum(limit.holds.values()) <= capacity


@settings(max_examples=60, deadline=None)
@given(capacity=st.integers(1, 30), wants=st.lists(st.integers(0, 40), min_size=2, max_size=6))
def test_slots_are_divided_evenly_as_far_as_they_are_wanted(
    scripts: ClockedScripts, capacity: int, wants: list[int]
) -> None:
    limit = Limit(scripts, capacity)
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


def test_too_few_slots_go_round(scripts: ClockedScripts) -> None:
    limit = Limit(scripts, 2)
    turns = dict.fromkeys("abcde", 0)
    for _ in range(30):
        for name in turns:
            turns[name] += min(limit.report(name, 3, busy=0), 1)
    assert min(turns.values()) >= 3
