from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from switchgear.routing.stats import CandidateStats, Flight, StatsSettings
from tests.routing.strategies.pools import HandClock

HALF_LIFE = StatsSettings().half_life


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def stats(clock: HandClock) -> CandidateStats:
    return CandidateStats(clock)


def stream(clock: HandClock, stats: CandidateStats, first: float, writing: float, n: int) -> None:
    flight = stats.begin(stream=True)
    clock.advance(first)
    flight.first_token()
    clock.advance(writing)
    flight.succeed(n)


def test_what_is_in_flight_is_counted_from_begin_to_end(stats: CandidateStats) -> None:
    flights = [stats.begin(stream=True) for _ in range(4)]
    assert stats.in_flight == 4
    flights[0].succeed(10)
    flights[1].fail()
    flights[2].leave()
    flights[3].first_token()
    assert stats.in_flight == 1


def test_a_flight_ends_once(clock: HandClock, stats: CandidateStats) -> None:
    flight = stats.begin(stream=True)
    flight.succeed(20)
    flight.fail()
    flight.leave()
    flight.first_token()

    assert stats.in_flight == 0
    assert stats.failure_rate(clock.time) == 0
    assert stats.longest_wait(clock.time) == 0


def test_nothing_is_known_at_first(clock: HandClock, stats: CandidateStats) -> None:
    assert stats.first_token(clock.time).freshness == 0
    assert stats.per_token(clock.time).freshness == 0
    assert stats.failure_rate(clock.time) == 0


def test_a_stream_shows_both_times(clock: HandClock, stats: CandidateStats) -> None:
    stream(clock, stats, 0.5, 2.0, 100)
    assert stats.first_token(clock.time).value == pytest.approx(0.5)
    assert stats.per_token(clock.time).value == pytest.approx(0.02)


def test_the_first_token_counts_while_the_stream_goes_on(
    clock: HandClock, stats: CandidateStats
) -> None:
    flight = stats.begin(stream=True)
    clock.advance(0.7)
    flight.first_token()
    assert stats.first_token(clock.time) == pytest.approx((0.7, 1.0))


def test_a_short_answer_says_nothing_of_the_time_for_a_token(
    clock: HandClock, stats: CandidateStats
) -> None:
    stream(clock, stats, 0.5, 4.0, 3)
    assert stats.per_token(clock.time).freshness == 0


def test_a_longer_time_counts_at_once_a_shorter_one_by_half_lives(
    clock: HandClock, stats: CandidateStats
) -> None:
    stream(clock, stats, 1.0, 0.0, 0)
    stream(clock, stats, 9.0, 0.0, 0)
    assert stats.first_token(clock.time).value == pytest.approx(9.0)
    clock.advance(HALF_LIFE - 1.0)
    stream(clock, stats, 1.0, 0.0, 0)
    assert stats.first_token(clock.time).value == pytest.approx(5.0)


def test_many_quick_answers_at_once_do_not_hide_a_slow_one(
    clock: HandClock, stats: CandidateStats
) -> None:
    stream(clock, stats, 10.0, 0.0, 0)
    for _ in range(1000):
        stream(clock, stats, 0.001, 0.0, 0)
    assert stats.first_token(clock.time).value > 9.0


def test_what_is_not_heard_of_grows_stale(clock: HandClock, stats: CandidateStats) -> None:
    stream(clock, stats, 1.0, 0.0, 0)
    clock.advance(HALF_LIFE)
    assert stats.first_token(clock.time) == pytest.approx((1.0, 0.5))


@given(seconds=st.floats(0.01, 600), tokens=st.integers(16, 8000))
def test_a_whole_answer_is_split_so_that_the_sum_is_what_it_took(
    seconds: float, tokens: int
) -> None:
    clock = HandClock()
    stats = CandidateStats(clock)
    flight = stats.begin(stream=False)
    clock.advance(seconds)
    flight.succeed(tokens)

    first, each = stats.first_token(clock.time).value, stats.per_token(clock.time).value
    assert first + each * tokens == pytest.approx(seconds)
    assert first > 0
    assert each > 0


def test_a_whole_answer_is_split_as_streams_have_shown(
    clock: HandClock, stats: CandidateStats
) -> None:
    stream(clock, stats, 1.0, 4.0, 100)
    flight = stats.begin(stream=False)
    clock.advance(10.0)  # twice as slow as known
    flight.succeed(100)
    assert stats.first_token(clock.time).value == pytest.approx(2.0)
    assert stats.per_token(clock.time).value == pytest.approx(0.08)


def test_an_answer_without_tokens_is_all_beginning(clock: HandClock, stats: CandidateStats) -> None:
    flight = stats.begin(stream=False)
    clock.advance(0.3)
    flight.succeed()
    assert stats.first_token(clock.time).value == pytest.approx(0.3)
    assert stats.per_token(clock.time).freshness == 0


def test_a_fast_failure_leaves_the_times_alone(clock: HandClock, stats: CandidateStats) -> None:
    stream(clock, stats, 1.0, 2.0, 100)
    for _ in range(20):
        flight = stats.begin(stream=True)
        clock.advance(0.01)
        flight.fail()
    assert stats.first_token(clock.time).value == pytest.approx(1.0)
    assert stats.failure_rate(clock.time) > 0.9


def test_the_very_first_call_fails_fast_and_makes_nothing_look_fast(
    clock: HandClock, stats: CandidateStats
) -> None:
    flight = stats.begin(stream=True)
    clock.advance(0.01)
    flight.fail()
    assert stats.first_token(clock.time).freshness == 0


def test_a_time_out_counts_as_a_first_token_that_late(
    clock: HandClock, stats: CandidateStats
) -> None:
    stream(clock, stats, 1.0, 2.0, 100)
    flight = stats.begin(stream=True)
    clock.advance(30.0)
    flight.fail()
    assert stats.first_token(clock.time).value == pytest.approx(30.0)


def test_a_stream_that_breaks_later_blames_no_first_token(
    clock: HandClock, stats: CandidateStats
) -> None:
    flight = stats.begin(stream=True)
    clock.advance(1.0)
    flight.first_token()
    clock.advance(50.0)
    flight.fail()
    assert stats.first_token(clock.time).value == pytest.approx(1.0)
    assert stats.failure_rate(clock.time) == pytest.approx(0.25)


def test_successes_clear_a_failure_slowly(clock: HandClock, stats: CandidateStats) -> None:
    stats.begin(stream=True).fail()
    before = stats.failure_rate(clock.time)
    stats.begin(stream=True).succeed(20)
    assert before * 0.9 < stats.failure_rate(clock.time) < before
    for _ in range(100):
        stats.begin(stream=True).succeed(20)
    assert stats.failure_rate(clock.time) < 0.01


def test_a_failure_fades_with_time(clock: HandClock, stats: CandidateStats) -> None:
    stats.begin(stream=True).fail()
    clock.advance(HALF_LIFE)
    assert stats.failure_rate(clock.time) == pytest.approx(0.125)


def test_a_call_that_is_left_is_no_failure(clock: HandClock, stats: CandidateStats) -> None:
    stream(clock, stats, 1.0, 2.0, 100)
    flight = stats.begin(stream=True)
    clock.advance(0.1)
    flight.leave()
    assert stats.failure_rate(clock.time) == 0
    assert stats.first_token(clock.time).value == pytest.approx(1.0)


def test_a_stream_that_was_given_up_shows_how_long_it_had_waited(
    clock: HandClock, stats: CandidateStats
) -> None:
    stream(clock, stats, 1.0, 2.0, 100)
    flight = stats.begin(stream=True)
    clock.advance(8.0)
    flight.leave()
    assert stats.first_token(clock.time).value == pytest.approx(8.0)


def test_the_longest_wait_is_that_of_the_oldest_stream_without_a_token(
    clock: HandClock, stats: CandidateStats
) -> None:
    stats.begin(stream=False)
    clock.advance(3)
    old = stats.begin(stream=True)
    clock.advance(2)
    stats.begin(stream=True)
    clock.advance(1)
    assert stats.longest_wait(clock.time) == pytest.approx(3)
    old.first_token()
    assert stats.longest_wait(clock.time) == pytest.approx(1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["begin", "first", "succeed", "fail", "leave"]),
            st.integers(0, 30),
            st.floats(0, 100),
        ),
        max_size=60,
    )
)
def test_whatever_happens_the_figures_make_sense(steps: list[tuple[str, int, float]]) -> None:
    clock = HandClock()
    stats = CandidateStats(clock)
    flights: list[Flight] = []
    open_ones: set[int] = set()
    for what, which, seconds in steps:
        clock.advance(seconds)
        if what == "begin":
            open_ones.add(len(flights))
            flights.append(stats.begin(stream=which % 2 == 0))
        elif which < len(flights):
            flight = flights[which]
            if what == "first":
                flight.first_token()
            else:
                open_ones.discard(which)
                {"fail": flight.fail, "leave": flight.leave, "succeed": flight.succeed}[what]()
        assert stats.in_flight == len(open_ones)
        assert 0 <= stats.failure_rate(clock.time) <= 1
        assert stats.first_token(clock.time).value >= 0
        assert 0 <= stats.first_token(clock.time).freshness <= 1
        assert stats.longest_wait(clock.time) >= 0
    for flight in flights:
        flight.leave()
    assert stats.in_flight == 0
    assert not stats._figures.waiting
