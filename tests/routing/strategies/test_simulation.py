"""The latency strategy in virtual time: seeded traffic at providers that slow, fail, return."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from switchgear.routing.stats import CandidateStats, Flight
from switchgear.routing.strategies import Member, PoolContext, strategy_for
from tests.routing.strategies.pools import HandClock

SEEDS = range(5)
TOKENS = 100


class Answer(msgspec.Struct, frozen=True):
    """What an attempt meets: seconds to its first token, and for each; or a failure."""

    first: float = 0.0
    each: float = 0.0
    fails_after: float | None = None


Provider = Callable[[float, random.Random], Answer]


def steady(first: float, each: float = 0.01, spread: float = 0.4) -> Provider:
    """A long-tailed time around ``first``, as real ones are."""

    def provide(now: float, draw: random.Random) -> Answer:
        return Answer(first * draw.lognormvariate(0, spread), each * draw.lognormvariate(0, 0.2))

    return provide


def during(begin: float, end: float, then: Provider, usually: Provider) -> Provider:
    def provide(now: float, draw: random.Random) -> Answer:
        return (then if begin <= now < end else usually)(now, draw)

    return provide


def failing(after: float) -> Provider:
    return lambda now, draw: Answer(fails_after=after)


class Choice(msgspec.Struct, frozen=True):
    time: float
    name: str


class Simulation:
    """Poisson traffic that fails over along the strategy's order. Times are from the start."""

    def __init__(self, providers: dict[str, Provider], *, rate: float, seed: int) -> None:
        self.clock = HandClock()
        self.start = self.clock.time
        self.providers = providers
        self.rate = rate
        self.draw = random.Random(seed)
        self.pool = [Member(name=n, stats=CandidateStats(self.clock)) for n in providers]
        self.strategy = strategy_for("latency", self.draw)
        self.choices: list[Choice] = []
        self.answered = self.lost = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._ids = itertools.count()

    @property
    def time(self) -> float:
        return self.clock.time - self.start

    def run(self, seconds: float) -> Simulation:
        when = 0.0
        while (when := when + self.draw.expovariate(self.rate)) < seconds:
            self._at(when, self._call)
        while self._events:
            when, _, event = heapq.heappop(self._events)
            self.clock.time = self.start + when
            event()
        assert all(each.stats.in_flight == 0 for each in self.pool)
        return self

    def share(self, name: str, begin: float, end: float) -> float:
        """Of the calls of that time, the part that went to a provider first."""
        counts = Counter(c.name for c in self.choices if begin <= c.time < end)
        return counts[name] / max(1, counts.total())

    def largest_share(self, calls: int, begin: float = 0.0) -> float:
        """The most that any provider had of so many calls in a row."""
        named = [c.name for c in self.choices if c.time >= begin]
        counts = Counter(named[:calls])
        largest = max(counts.values())
        for leaves, joins in zip(named, named[calls:], strict=False):
            counts[leaves] -= 1
            counts[joins] += 1
            largest = max(largest, counts[joins])
        return largest / calls

    def _at(self, when: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._ids), event))

    def _call(self) -> None:
        context = PoolContext(now=self.clock.time, output_tokens=TOKENS)
        order = list(self.strategy.order(self.pool, context))
        self.choices.append(Choice(self.time, order[0].name))
        self._attempt(order)

    def _attempt(self, order: list[Member]) -> None:
        if not order:
            self.lost += 1
            return
        answer = self.providers[order[0].name](self.time, self.draw)
        flight = order[0].stats.begin(stream=True)
        if answer.fails_after is not None:
            self._at(self.time + answer.fails_after, lambda: self._failed(flight, order[1:]))
            return
        first = self.time + answer.first
        self._at(first, flight.first_token)
        self._at(first + TOKENS * answer.each, lambda: self._done(flight))

    def _failed(self, flight: Flight, others: list[Member]) -> None:
        flight.fail()
        self._attempt(others)

    def _done(self, flight: Flight) -> None:
        flight.succeed(TOKENS)
        self.answered += 1


def failures_until_left(run: Simulation, name: str, since: float) -> int:
    """Calls that still chose a provider before ten in a row chose another."""
    chosen, others = 0, 0
    for choice in run.choices:
        if choice.time < since:
            continue
        others = 0 if choice.name == name else others + 1
        chosen += choice.name == name
        if others == 10:
            break
    return chosen


@pytest.mark.parametrize("seed", SEEDS)
def test_three_alike_share_and_nobody_is_run_down(seed: int) -> None:
    alike = {name: steady(1.0) for name in "abc"}
    run = Simulation(alike, rate=10, seed=seed).run(300)

    for name in alike:
        assert 0.27 < run.share(name, 0, 300) < 0.4, f"seed {seed}"
    assert run.largest_share(50) < 0.6, f"seed {seed}"


@pytest.mark.parametrize("rate", [1, 30])
@pytest.mark.parametrize("seed", SEEDS)
def test_two_alike_share_though_there_is_nothing_for_the_lot_to_decide(
    seed: int, rate: float
) -> None:
    run = Simulation({"a": steady(1.0), "b": steady(1.0)}, rate=rate, seed=seed).run(3000 / rate)

    assert 0.42 < run.share("a", 0, 3000 / rate) < 0.58, f"seed {seed}"
    assert run.largest_share(50) < 0.8, f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_one_that_fails_every_fifth_call_is_a_last_resort(seed: int) -> None:
    def flaky(now: float, draw: random.Random) -> Answer:
        return Answer(fails_after=0.05) if draw.random() < 0.2 else steady(0.5)(now, draw)

    run = Simulation({"x": flaky, "b": steady(1.0)}, rate=5, seed=seed).run(300)

    assert run.share("x", 0, 300) < 0.15, f"seed {seed}"
    assert run.lost == 0


@pytest.mark.parametrize("rate", [0.5, 10])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_fastest_has_the_most(seed: int, rate: float) -> None:
    run = Simulation({"f": steady(0.3), "m": steady(1.5), "s": steady(6.0)}, rate=rate, seed=seed)
    run.run(1000 / rate)

    end = 1000 / rate
    shares = {name: run.share(name, 0, end) for name in "fms"}
    assert shares["f"] > shares["m"] > shares["s"], f"seed {seed}: {shares}"
    assert shares["f"] > 0.5, f"seed {seed}: {shares}"


@pytest.mark.parametrize("seed", SEEDS)
def test_one_degrades_and_comes_back(seed: int) -> None:
    providers = {
        "d": during(100, 200, steady(15.0, 0.05), steady(0.5)),
        "b": steady(1.0),
        "c": steady(1.2),
    }
    run = Simulation(providers, rate=10, seed=seed).run(400)

    assert run.share("d", 40, 100) > 0.33, f"seed {seed}"
    assert run.share("d", 103, 200) < 0.03, f"seed {seed}"
    assert run.share("d", 300, 400) > 0.33, f"seed {seed}"
    assert run.lost == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_one_that_fails_fast_is_left_within_a_few_calls_and_taken_back(seed: int) -> None:
    providers = {
        "x": during(100, 200, failing(0.02), steady(0.5)),
        "b": steady(1.0),
        "c": steady(1.2),
    }
    run = Simulation(providers, rate=10, seed=seed).run(300)

    assert run.share("x", 40, 100) > 0.33, f"seed {seed}"
    assert failures_until_left(run, "x", 100) <= 3, f"seed {seed}"
    assert run.share("x", 100, 200) < 0.03, f"seed {seed}"
    assert run.share("x", 220, 300) > 0.33, f"seed {seed}: back within 20 s"
    assert run.lost == 0, f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_one_that_times_out_is_left_before_the_time_out(seed: int) -> None:
    providers = {
        "x": during(100, 200, failing(30.0), steady(0.5)),
        "b": steady(1.0),
        "c": steady(1.2),
    }
    run = Simulation(providers, rate=10, seed=seed).run(400)

    assert run.share("x", 103, 200) < 0.03, f"seed {seed}"
    assert run.share("x", 330, 400) > 0.25, f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_what_leaves_one_does_not_run_down_another(seed: int) -> None:
    """Ninety calls a second at three that serve alike; one dies, the two others share."""
    providers = {
        "x": during(30, 90, failing(0.02), steady(1.0)),
        "b": steady(1.0),
        "c": steady(1.0),
    }
    run = Simulation(providers, rate=90, seed=seed).run(120)

    assert run.largest_share(100) < 0.75, f"seed {seed}"
    for name in "bc":
        assert 0.42 < run.share(name, 35, 90) < 0.58, f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_one_that_was_dead_comes_back_without_a_stampede(seed: int) -> None:
    """It was the best by far, so everybody would like to go back at once."""
    providers = {
        "x": during(0, 60, failing(0.02), steady(0.2)),
        "b": steady(3.0),
        "c": steady(3.0),
    }
    run = Simulation(providers, rate=30, seed=seed).run(180)

    assert run.lost == 0
    assert run.share("x", 0, 60) < 0.02, f"seed {seed}"
    assert run.share("x", 150, 180) > 0.5, f"seed {seed}"
    assert run.largest_share(50, 60) < 0.92, f"seed {seed}"
