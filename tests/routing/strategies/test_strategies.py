from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given, strategies as st

from switchgear.config import Config
from switchgear.errors import ConfigError
from switchgear.routing.strategies import (
    ALIASES,
    STRATEGIES,
    Member,
    strategy_for,
)
from tests.routing.strategies.pools import HandClock, answered, failed, member, names, pool_of

weights = st.integers(0, 9) | st.floats(0, 9)


@st.composite
def pools(draw: st.DrawFn) -> tuple[HandClock, list[Member]]:
    clock = HandClock()
    pool = [
        member(
            clock,
            name,
            busy=draw(st.integers(0, 5)),
            weight=draw(weights),
            price=draw(st.none() | st.integers(0, 10**12)),
            capacity=draw(st.none() | st.floats(0, 1)),
            ready=draw(st.booleans()),
        )
        for name in "abcdef"[: draw(st.integers(0, 6))]
    ]
    for each in pool:
        answered(clock, each, draw(st.floats(0, 50)), times=draw(st.integers(0, 2)))
        failed(clock, each, times=draw(st.integers(0, 2)))
    return clock, pool


@pytest.mark.parametrize("name", STRATEGIES)
@given(given_pool=pools(), seed=st.integers(), tokens=st.integers(0, 10_000))
def test_every_member_comes_exactly_once_and_who_is_ready_before_who_is_not(
    name: str, given_pool: tuple[HandClock, list[Member]], seed: int, tokens: int
) -> None:
    clock, pool = given_pool
    before = list(pool)
    strategy = strategy_for(name, random.Random(seed))
    for _ in range(3):
        ordered = list(strategy.order(pool, clock.context(output_tokens=tokens)))
        assert sorted(names(ordered)) == sorted(names(before))
        assert pool == before, "the caller's own sequence stays as it is"
        readiness = [each.ready for each in ordered]
        assert readiness == sorted(readiness, reverse=True)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_seed_gives_the_same_orders(name: str) -> None:
    clock = HandClock()
    pool = pool_of(clock, "abcd")
    one, other = (strategy_for(name, random.Random(5)) for _ in range(2))
    for _ in range(50):
        assert names(one.order(pool, clock.context())) == names(other.order(pool, clock.context()))


def test_names_that_litellm_uses_are_taken() -> None:
    taken = {
        "simple-shuffle": "weighted",
        "latency-based-routing": "latency",
        "least-busy": "least-busy",
        "cost-based-routing": "cost",
        "usage-based-routing": "usage",
        "usage-based-routing-v2": "usage",
    }
    assert ALIASES.items() <= taken.items()
    for alias, own in taken.items():
        assert type(strategy_for(alias)) is type(strategy_for(own))


@pytest.mark.parametrize("name", [*STRATEGIES, *ALIASES])
def test_whatever_the_configuration_takes_there_is(name: str) -> None:
    group = {"chain": [["openai/a", "openai/b"]], "strategy": name}
    config = Config.from_dict({"groups": {"g": group}}, environ={"OPENAI_API_KEY": "sk-none"})
    strategy_for(config.group("g").strategy)


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'latency'.*priority, latency") as caught:
        strategy_for("latancy")
    assert caught.value.param == "strategy"


def test_only_what_is_needed_is_asked_for() -> None:
    assert {name: set(strategy_for(name).needs) for name in STRATEGIES} == {
        "priority": set(),
        "latency": set(),
        "cost": {"price"},
        "least-busy": set(),
        "weighted": set(),
        "usage": {"capacity"},
    }


def test_priority_is_the_order_written() -> None:
    clock = HandClock()
    pool = [member(clock, "a", busy=9), member(clock, "b", ready=False), member(clock, "c")]
    assert names(strategy_for("priority").order(pool, clock.context())) == "acb"


# Weighted


@given(
    shares=st.lists(st.integers(1, 20) | st.floats(0.1, 20), min_size=2, max_size=6),
    calls=st.integers(1, 300),
    seed=st.integers(),
)
def test_shares_are_never_further_off_than_the_pool_is_large(
    shares: list[float], calls: int, seed: int
) -> None:
    clock = HandClock()
    pool = [member(clock, str(i), weight=share) for i, share in enumerate(shares)]
    strategy = strategy_for("weighted", random.Random(seed))
    counts: Counter[str] = Counter()
    for call in range(1, calls + 1):
        counts[strategy.order(pool, clock.context())[0].name] += 1
        for each in pool:
            exact = call * each.weight / math.fsum(shares)
            assert abs(counts[each.name] - exact) < len(pool)


def test_turns_are_spread_evenly() -> None:
    clock = HandClock()
    pool = [member(clock, "a", weight=3), member(clock, "b", weight=1)]
    strategy = strategy_for("weighted", random.Random(1))
    turns = "".join(strategy.order(pool, clock.context())[0].name for _ in range(40))
    assert turns.count("b") == 10
    assert "aaaa" not in turns
    assert "bb" not in turns


def test_processes_do_not_all_begin_with_the_same_one() -> None:
    clock = HandClock()
    pool = pool_of(clock, "abc")
    firsts = {
        strategy_for("weighted", random.Random(seed)).order(pool, clock.context())[0].name
        for seed in range(50)
    }
    assert firsts == set("abc")


def test_weight_zero_is_for_last_resorts() -> None:
    clock = HandClock()
    pool = [member(clock, "z", weight=0), *pool_of(clock, "ab"), member(clock, "y", weight=0)]
    strategy = strategy_for("weighted", random.Random(2))
    orders = {names(strategy.order(pool, clock.context())) for _ in range(100)}
    assert orders == {"abzy", "bazy"}


def test_all_weights_zero_is_the_order_written() -> None:
    clock = HandClock()
    pool = [member(clock, name, weight=0) for name in "cab"]
    assert names(strategy_for("weighted").order(pool, clock.context())) == "cab"


def test_what_a_dead_member_would_have_had_falls_to_the_others_by_weight() -> None:
    clock = HandClock()
    pool = [member(clock, n, weight=w) for n, w in (("a", 6), ("b", 3), ("c", 1))]
    strategy = strategy_for("weighted", random.Random(3))
    orders = [names(strategy.order(pool, clock.context())) for _ in range(4000)]
    behind_a = Counter(order[1] for order in orders if order[0] == "a")
    assert behind_a["b"] / behind_a.total() == pytest.approx(0.75, abs=0.05)


def test_who_is_not_ready_saves_up_no_turns() -> None:
    clock = HandClock()
    a, b = pool_of(clock, "ab")
    out = Member(name="b", stats=b.stats, ready=False)
    strategy = strategy_for("weighted", random.Random(4))
    for _ in range(1000):
        assert names(strategy.order([a, out], clock.context())) == "ab"
    turns = "".join(strategy.order([a, b], clock.context())[0].name for _ in range(20))
    assert turns.count("b") == 10


# Least busy, cost, usage


def test_fewest_in_flight_comes_first() -> None:
    clock = HandClock()
    pool = [member(clock, n, busy=busy) for n, busy in (("a", 2), ("b", 0), ("c", 1))]
    assert names(strategy_for("least-busy").order(pool, clock.context())) == "bca"


def test_among_equally_busy_ones_the_heavier_then_the_lot() -> None:
    clock = HandClock()
    pool = [*pool_of(clock, "ab"), member(clock, "h", weight=2)]
    strategy = strategy_for("least-busy", random.Random(0))
    assert {names(strategy.order(pool, clock.context())) for _ in range(50)} == {"hab", "hba"}


def test_who_fails_at_once_is_not_taken_for_idle() -> None:
    clock = HandClock()
    broken, busy = member(clock, "x"), member(clock, "b", busy=4)
    failed(clock, broken, after=0.0, times=6)
    assert names(strategy_for("least-busy").order([broken, busy], clock.context())) == "bx"


def test_the_cheapest_first_the_unknown_last() -> None:
    clock = HandClock()
    pool = [member(clock, n, price=p) for n, p in (("u", None), ("d", 9), ("f", 0), ("m", 5))]
    assert names(strategy_for("cost").order(pool, clock.context())) == "fmdu"


def test_equal_prices_go_by_load() -> None:
    clock = HandClock()
    pool = [member(clock, n, price=0, busy=busy) for n, busy in (("a", 2), ("b", 1))]
    assert names(strategy_for("cost").order(pool, clock.context())) == "ba"


def test_most_capacity_first_and_no_limit_is_all_of_it() -> None:
    clock = HandClock()
    pool = [
        member(clock, n, capacity=c) for n, c in (("e", 0.0), ("h", 0.5), ("n", None), ("m", 0.8))
    ]
    assert names(strategy_for("usage").order(pool, clock.context())) == "nmhe"
