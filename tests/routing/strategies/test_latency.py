from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, strategies as st

from switchgear.routing.strategies import Member, strategy_for
from switchgear.routing.strategies.latency import scores_of
from tests.routing.strategies.pools import HandClock, answered, failed, member, names, pool_of


def heads(clock: HandClock, pool: list[Member], calls: int, **context: int) -> Counter[str]:
    """Who is chosen when nothing changes between the calls."""
    strategy = strategy_for("latency", random.Random(11))
    return Counter(strategy.order(pool, clock.context(**context))[0].name for _ in range(calls))


def test_of_two_the_faster_comes_first() -> None:
    clock = HandClock()
    slow, fast = pool = pool_of(clock, "sf")
    answered(clock, slow, 2.0)
    answered(clock, fast, 0.5)
    assert heads(clock, pool, 50) == {"f": 50}


def test_what_is_long_to_write_is_asked_of_the_one_that_writes_fast() -> None:
    clock = HandClock()
    begins, writes = pool = pool_of(clock, "bw")
    answered(clock, begins, 0.2, each=0.05)
    answered(clock, writes, 2.0, each=0.01)
    assert heads(clock, pool, 10, output_tokens=10) == {"b": 10}
    assert heads(clock, pool, 10, output_tokens=1000) == {"w": 10}


def test_the_slowest_of_three_is_never_the_better_of_two() -> None:
    clock = HandClock()
    pool = pool_of(clock, "abc")
    for each, first in zip(pool, (0.5, 1.0, 4.0), strict=True):
        answered(clock, each, first)
    chosen = heads(clock, pool, 3000)
    assert chosen["c"] == 0
    assert chosen["a"] / chosen.total() == pytest.approx(2 / 3, abs=0.05)


def test_behind_the_first_they_come_by_score() -> None:
    clock = HandClock()
    pool = pool_of(clock, "abcd")
    for each, first in zip(pool, (9.0, 0.5, 3.0, 1.2), strict=True):
        answered(clock, each, first)
    strategy = strategy_for("latency", random.Random(0))
    for _ in range(100):
        order = names(strategy.order(pool, clock.context()))
        assert order[1:] == "bdca".replace(order[0], "")


def test_equals_share() -> None:
    clock = HandClock()
    chosen = heads(clock, pool_of(clock, "abc"), 3000)
    assert all(count == pytest.approx(1000, abs=120) for count in chosen.values())


def test_what_is_in_flight_keeps_a_crowd_apart() -> None:
    """64 calls at once at two providers of which one is a little faster."""
    clock = HandClock()
    fast, slow = pool = pool_of(clock, "fs")
    answered(clock, fast, 1.0)
    answered(clock, slow, 1.3)
    strategy = strategy_for("latency", random.Random(0))
    for _ in range(64):
        strategy.order(pool, clock.context())[0].stats.begin(stream=True)
    assert 32 < fast.stats.in_flight < 44


def test_a_newcomer_is_tried_at_once_and_not_by_everyone() -> None:
    clock = HandClock()
    known, new = pool = pool_of(clock, "kn")
    answered(clock, known, 1.0)
    strategy = strategy_for("latency", random.Random(0))
    first = strategy.order(pool, clock.context())[0]
    assert first is new
    for _ in range(64):
        strategy.order(pool, clock.context())[0].stats.begin(stream=False)
    assert new.stats.in_flight <= 34


def test_one_that_was_slow_is_tried_again_after_a_while() -> None:
    clock = HandClock()
    good, slow = pool = pool_of(clock, "gs")
    answered(clock, good, 0.5)
    answered(clock, slow, 4.0)
    for second in range(300):
        answered(clock, good, 0.5, tokens=20)
        if names(strategy_for("latency", random.Random(0)).order(pool, clock.context())) == "sg":
            assert second > 20
            return
        clock.advance(0.1)
    pytest.fail("it was never tried again")


def test_a_hanging_provider_is_left_before_its_first_time_out() -> None:
    clock = HandClock()
    hangs, works = pool = pool_of(clock, "hw")
    answered(clock, hangs, 0.5)
    answered(clock, works, 1.0)
    assert heads(clock, pool, 10) == {"h": 10}
    works.stats.begin(stream=False)
    hangs.stats.begin(stream=True)
    clock.advance(6.0)
    assert heads(clock, pool, 10) == {"w": 10}


def test_one_failure_puts_the_fastest_behind_the_slowest_healthy_one() -> None:
    clock = HandClock()
    a, b, c = pool = pool_of(clock, "abc")
    answered(clock, a, 0.2)
    answered(clock, b, 1.0)
    answered(clock, c, 5.0)
    failed(clock, a, after=0.01)
    strategy = strategy_for("latency", random.Random(0))
    assert all(names(strategy.order(pool, clock.context()))[-1] == "a" for _ in range(20))


histories = st.lists(
    st.tuples(st.sampled_from("af"), st.floats(0.0, 30.0), st.floats(0.0, 60.0)), max_size=6
)


@given(
    past=st.lists(histories, min_size=2, max_size=4),
    pause=st.floats(0, 200),
    quick=st.floats(0, 0.1),
    later=st.floats(0, 200),
    output_tokens=st.integers(0, 5000),
    busy=st.lists(st.integers(0, 50), min_size=4, max_size=4),
)
def test_a_fast_failure_is_never_rewarded(
    *,
    past: list[list[tuple[str, float, float]]],
    pause: float,
    quick: float,
    later: float,
    output_tokens: int,
    busy: list[int],
) -> None:
    """Now or later, whoever failed does not stand better against any other for it."""

    def play(*, fails: bool) -> list[float]:
        clock = HandClock()
        pool = pool_of(clock, "abcd"[: len(past)])
        for each, history in zip(pool, past, strict=True):
            for what, seconds, gap in history:
                if what == "a":
                    answered(clock, each, 0.1 + seconds, times=1)
                else:
                    failed(clock, each, after=seconds)
                clock.advance(gap)
        for each, number in zip(pool, busy, strict=False):
            for _ in range(number):
                each.stats.begin(stream=False)
        clock.advance(pause)
        flight = pool[0].stats.begin(stream=False)
        clock.advance(quick)
        flight.fail() if fails else flight.leave()
        clock.advance(later)
        return scores_of(pool, clock.context(output_tokens=output_tokens))

    without, after = play(fails=False), play(fails=True)
    assert after[0] >= without[0] * (1 - 1e-9)
    for other in range(1, len(past)):
        assert after[0] - after[other] >= (without[0] - without[other]) * (1 - 1e-9) - 1e-9


def test_a_pool_of_one_or_none_needs_no_choice() -> None:
    clock = HandClock()
    alone = [member(clock, "a")]
    strategy = strategy_for("latency")
    assert strategy.order(alone, clock.context()) == alone
    assert strategy.order([], clock.context()) == []
