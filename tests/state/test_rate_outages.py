"""What becomes of a shared bucket whose answers, replicas or memory are lost for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from .clocked import ClockedScripts

if TYPE_CHECKING:
    import redis

pytestmark = pytest.mark.xdist_group("redis")

CAPACITY, RATE = 100.0, 10.0
LEASE, PERIOD = 5, 0.1
TINY = 1e-4
KEY = "sg:{outages}:bucket"


class Answer(NamedTuple):
    granted: float
    limit: float
    level: float
    members: float
    hungry: float
    spilled: float


class Replica:
    """One side of the exchange, written down anew from what the script says of its arguments."""

    def __init__(self, scripts: ClockedScripts, name: str, *, daily: bool = False) -> None:
        self.scripts = scripts
        self.name = name
        self.daily = daily
        self.has = self.rest = self.used = 0.0
        self.number = self.heard = 0
        self.spilled, self.seen, self.age = 0.0, CAPACITY, -1.0

    def use(self, amount: float) -> None:
        self.has = max(0.0, self.has - amount)
        self.rest -= amount
        self.used += amount

    def report(
        self, need: float = 0.0, *, keep: float = 0.0, most: float = -1.0, answered: bool = True
    ) -> Answer:
        self.number += 1
        about: list[Any] = [0.0 if self.daily else RATE, CAPACITY, int(self.daily), keep, self.rest]
        about += [self.used, self.number, self.heard, self.spilled, need, need, self.seen, self.age]
        reply = self.scripts.run("rate", [KEY], [self.name, LEASE, PERIOD, *about, 0, most])
        answer = Answer(*(float(part) for part in reply))
        if answered:
            self.has = self.rest = keep + answer.granted
            self.heard, self.spilled, self.seen = self.number, answer.spilled, answer.level
            self.age = 0.0
        return answer


class World:
    def __init__(self, scripts: ClockedScripts) -> None:
        self.scripts = scripts
        self.scripts.client.delete(KEY)
        self.now = 0.0
        self.replicas: list[Replica] = []
        self.advance(0.0)

    def replica(self, name: str, *, daily: bool = False) -> Replica:
        self.replicas.append(Replica(self.scripts, name, daily=daily))
        return self.replicas[-1]

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.scripts.set_clock(self.now)
        for each in self.replicas:
            if each.age >= 0:
                each.age += seconds

    def empty(self, replica: Replica) -> None:
        """It takes and uses all that there is."""
        replica.report(CAPACITY)
        replica.use(replica.has)
        replica.report()
        self.advance(1.0)  # a full bucket begins to fill so much later

    def in_all(self, replica: Replica) -> float:
        return replica.report(keep=replica.has).level + sum(each.has for each in self.replicas)


@pytest.fixture
def world(redis_client: redis.Redis) -> World:
    return World(ClockedScripts(redis_client))


def test_a_grant_that_never_arrived_is_not_lost(world: World) -> None:
    one = world.replica("one")
    world.empty(one)
    world.advance(4.0)
    assert one.report(30.0, answered=False).granted >= 30
    one.use(10.0)  # of its own share, as it hears nothing
    back = one.report(most=1000.0)
    assert back.level + one.has == pytest.approx(40.0 - 10.0)


def test_a_report_that_never_arrived_is_charged_with_the_next(world: World) -> None:
    one = world.replica("one")
    world.empty(one)
    world.advance(5.0)
    one.report(40.0)
    one.use(25.0)
    one.number += 1  # this one is lost on its way
    one.use(5.0)
    back = one.report(most=1000.0)
    assert back.level + one.has == pytest.approx(50.0 - 30.0)


@pytest.mark.parametrize("outage", [2.0, 20.0, 200.0])
def test_after_an_outage_all_stands_as_if_there_had_been_none(world: World, outage: float) -> None:
    fleet = [world.replica(name) for name in "abc"]
    world.empty(fleet[0])
    for each in fleet:
        each.report(2.0)
    world.advance(outage)
    for each in fleet:
        each.use(outage * RATE / 3)  # its share of what came meanwhile
    for each in fleet:
        last = each.report(most=CAPACITY + 60 * RATE)
    assert last.level + sum(each.has for each in fleet) == pytest.approx(0.0, abs=TINY)


def test_who_alone_had_no_redis_pays_back_what_others_had_already(world: World) -> None:
    one, away = world.replica("one"), world.replica("away")
    world.empty(one)
    away.report()
    for _ in range(50):
        world.advance(PERIOD)
        one.report(1.0)
        one.use(one.has)
        away.use(0.5)
    assert away.report(most=CAPACITY + 60 * RATE).level == pytest.approx(-25.0, abs=1.5)


def test_no_more_is_paid_back_than_still_matters(world: World) -> None:
    one, away = world.replica("one"), world.replica("away")
    world.empty(one)
    away.report()
    away.use(5000.0)
    assert away.report(most=80.0).level == pytest.approx(-80.0, abs=TINY)


def test_memory_that_was_lost_is_rebuilt_from_whoever_comes(world: World) -> None:
    fleet = [world.replica(name) for name in "ab"]
    world.empty(fleet[0])
    fleet[1].report()
    world.scripts.client.delete(KEY)
    world.advance(2.0)
    for each in fleet:
        assert world.in_all(each) <= 3 * RATE + TINY  # since its last answer


def test_old_memory_is_known_by_those_who_were_heard_since(world: World) -> None:
    one = world.replica("one")
    one.report()
    world.replica("other").report()
    old = world.scripts.client.dump(KEY)
    assert old is not None
    one.report(80.0)
    one.use(one.has)
    level = one.report().level + one.has
    world.scripts.client.restore(KEY, 60_000, old, replace=True)
    world.advance(1.0)
    assert one.report().level + one.has <= level + RATE + TINY


def test_an_old_memory_of_a_day_is_known_too(world: World) -> None:
    one = world.replica("one", daily=True)
    one.report()
    old = world.scripts.client.dump(KEY)
    one.report(70.0)
    one.use(one.has)
    one.report()
    assert old is not None
    world.scripts.client.restore(KEY, 60_000, old, replace=True)
    assert one.report().level + one.has <= 30.0 + TINY


def test_a_replica_that_was_silent_for_long_gets_back_what_it_had(world: World) -> None:
    one, silent = world.replica("one"), world.replica("silent")
    world.empty(one)
    world.advance(3.0)
    silent.report(20.0)
    world.advance(LEASE + 0.5)
    alone = one.report()
    assert alone.members == 1
    left = alone.level + one.has
    assert silent.report().level + silent.has + one.has == pytest.approx(left + 20.0)
