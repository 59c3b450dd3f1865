"""What headers are believed to mean, while calls are on their way."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from switchgear.routing.limits import Lease, Limiter, LimitRule, Need, NoRoom

from .virtual import FakeClock

SMALL = Need(10, 5)


def openai(
    limit: int, remaining: int, *, reset: str = "", what: str = "requests"
) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{what}": str(limit),
        f"x-ratelimit-remaining-{what}": str(remaining),
        f"x-ratelimit-reset-{what}": reset,
    }


class Desk:
    """A limiter, its clock, and the room it sees in the bucket that headers speak of."""

    def __init__(self, *rules: LimitRule) -> None:
        self.clock = FakeClock()
        self.limit = Limiter(rules, self.clock)

    def send(self, need: Need = SMALL) -> Lease:
        lease = self.limit.try_reserve("p", "m", need)
        assert isinstance(lease, Lease), lease
        return lease

    def room(self, what: str = "requests") -> float:
        name = f"{what} reported by p/m"
        [left] = [row.remaining for row in self.limit.health() if row.limit == name]
        assert left is not None
        return left

    def grants(self, need: Need = SMALL) -> int:
        count = 0
        while count < 10_000 and isinstance(self.limit.try_reserve("p", "m", need), Lease):
            count += 1
        return count


def test_a_limit_that_nobody_configured_is_learnt_from_the_first_answer() -> None:
    desk = Desk()
    desk.send().settle(10, 5, openai(50, 49))
    assert desk.grants() == 49 - 1  # a fiftieth stays untouched
    desk.clock.advance(12)
    assert desk.grants() == 10


def test_a_limit_lower_than_configured_counts() -> None:
    desk = Desk(LimitRule("p/*", rpm=1000))
    desk.send().settle(10, 5, openai(50, 9))
    assert desk.grants() == 8


def test_a_limit_higher_than_configured_does_not() -> None:
    desk = Desk(LimitRule("p/*", rpm=10))
    desk.send().settle(10, 5, openai(1_000_000, 999_999))
    assert desk.grants() == 9


def test_what_was_sent_after_the_header_was_written_is_taken_off() -> None:
    desk = Desk()
    first = desk.send()
    for _ in range(10):
        desk.send()
    first.settle(10, 5, openai(100, 80))
    assert desk.room() == pytest.approx(70)


def test_what_was_sent_before_the_header_knows_already() -> None:
    desk = Desk()
    for _ in range(10):
        desk.send()
    desk.send().settle(10, 5, openai(100, 80))
    assert desk.room() == pytest.approx(80)


def test_what_has_come_in_since_is_added_but_never_above_the_limit() -> None:
    desk = Desk()
    first = desk.send()
    desk.clock.advance(6)
    first.settle(10, 5, openai(100, 80))
    assert desk.room() == pytest.approx(90)
    desk.clock.advance(100)
    assert desk.room() == pytest.approx(100)


def test_an_answer_to_an_earlier_request_is_older_news() -> None:
    desk = Desk()
    slow, quick = desk.send(), desk.send()
    quick.settle(10, 5, openai(100, 60))
    slow.settle(10, 5, openai(100, 99))
    assert desk.room() == pytest.approx(60)


def test_a_later_answer_may_show_more_again() -> None:
    desk = Desk(LimitRule("p/*", rpm=100))
    desk.send().settle(10, 5, openai(100, 20))
    desk.send().settle(10, 5, openai(100, 90))
    assert desk.room() == pytest.approx(90)


def test_a_streams_headers_count_when_it_opens() -> None:
    desk = Desk()
    stream = desk.send()
    stream.observe(openai(100, 30))
    assert desk.room() == pytest.approx(30 - 2)
    desk.clock.advance(6)
    stream.settle(10, 5, openai(100, 30))  # the same headers, at the end: nothing new
    assert desk.room() == pytest.approx(40 - 2, abs=0.01)


def test_input_that_was_overestimated_comes_back_once() -> None:
    desk = Desk()
    limit = {
        "anthropic-ratelimit-input-tokens-limit": "10000",
        "anthropic-ratelimit-input-tokens-remaining": "8001",
    }
    first, later = desk.send(Need(1000, 1)), desk.send(Need(1000, 1))
    first.settle(400, 1, limit)
    assert desk.room("input tokens") == pytest.approx(7001)  # the header knows of the first one
    later.settle(300, 1)
    assert desk.room("input tokens") == pytest.approx(7701)


def test_output_that_is_still_to_come_is_taken_off() -> None:
    desk = Desk()
    headers = {
        "anthropic-ratelimit-output-tokens-limit": "10000",
        "anthropic-ratelimit-output-tokens-remaining": "8001",
    }
    desk.send(Need(1, 1000))  # half of it may have come
    second = desk.send(Need(1, 500))
    second.observe(headers)
    assert desk.room("output tokens") == pytest.approx(8001 - 500 - 500)
    second.settle(1, 200)
    assert desk.room("output tokens") == pytest.approx(8001 - 500 - 200)


def test_another_program_with_the_same_key_is_noticed_and_allowed_for() -> None:
    desk = Desk(LimitRule("p/*", rpm=600))
    left, waits = 590.0, []
    for _ in range(40):  # ten come in each second, the other program takes them all and five more
        lease = desk.send()
        left -= 1 + 5
        lease.settle(10, 5, openai(600, int(left)))
        waits.append(desk.room() - left)
        desk.clock.advance(1)
    before = desk.room()
    desk.clock.advance(5)
    assert desk.room() - before == pytest.approx(5 * -5, abs=30)
    assert desk.room() - before < 5 * 10 / 2


def test_without_any_header_for_ten_minutes_nothing_is_believed_any_more() -> None:
    desk = Desk()
    desk.send(Need(5, 5, 5)).settle(5, 5, openai(10, 3, what="tokens"))
    big = Need(1000, 5, 5)
    assert desk.limit.try_reserve("p", "m", big) == NoRoom("tokens reported by p/m", None)
    desk.clock.advance(601)
    desk.send(big).settle(1000, 5, openai(100_000, 99_000, what="tokens"))
    assert desk.room("tokens") == pytest.approx(99_000)


def test_a_daily_limit_is_recognised_by_how_slowly_it_comes_back() -> None:
    desk = Desk()
    for used in range(1, 6):
        desk.send().settle(10, 5, openai(200, 200 - used, reset=f"{432 * used}s"))
    desk.send().settle(10, 5, openai(200, 0, reset="86400s"))
    no = desk.limit.try_reserve("p", "m", SMALL)
    assert isinstance(no, NoRoom)
    assert no.wait is not None
    assert no.wait > 432


def test_a_window_of_a_minute_that_looks_daily_once_is_not() -> None:
    desk = Desk()
    desk.send().settle(10, 5, openai(1440, 1439, reset="60s"))
    desk.send().settle(10, 5, openai(1440, 1438, reset="59s"))
    desk.send().settle(10, 5, openai(1440, 0, reset="58s"))
    desk.clock.advance(20)
    assert desk.grants() > 150


def test_several_instances_share_what_a_header_shows() -> None:
    desk = Desk(LimitRule("p", rpm=1000, share=0.25))
    desk.send().settle(10, 5, openai(100, 80))
    assert desk.room() == pytest.approx(20)


def test_headers_of_a_request_without_a_lease_can_only_show_less() -> None:
    desk = Desk()
    desk.limit.observe("p", "m", openai(100, 40), status=200)
    assert desk.room() == pytest.approx(38)
    desk.limit.observe("p", "m", openai(100, 90), status=200)
    assert desk.room() == pytest.approx(38)
    desk.limit.observe("p", "m", openai(100, 10), status=200)
    assert desk.room() == pytest.approx(8)


def test_other_models_are_not_meant() -> None:
    desk = Desk(LimitRule("p", rpm=1000))
    desk.send().settle(10, 5, openai(100, 0))
    assert desk.grants() == 0
    assert isinstance(desk.limit.try_reserve("p", "other", SMALL), Lease)


WORDS = st.tuples(
    st.sampled_from(["requests", "tokens"]),
    st.one_of(st.integers(-5, 10**7), st.sampled_from([0, 1, 50, 10**15])),
    st.one_of(st.integers(-5, 10**7), st.just(10**15)),
    st.sampled_from(["", "6ms", "60s", "0s", "-1s", "1000h", "x"]),
)


@settings(max_examples=200)
@given(st.lists(st.tuples(WORDS, st.floats(0, 100), st.booleans()), max_size=30))
def test_no_headers_ever_widen_a_configured_limit(
    story: list[tuple[tuple[str, int, int, str], float, bool]],
) -> None:
    desk = Desk(LimitRule("p", rpm=60, tpm=6000))
    began = desk.clock.time
    requests, tokens = 0, 0.0
    open_calls: list[Lease] = []
    for (what, limit, remaining, reset), pause, old in story:
        desk.clock.advance(pause)
        lease = desk.limit.try_reserve("p", "m", Need(40, 100, 100))
        if isinstance(lease, Lease):
            requests, tokens = requests + 1, tokens + 100
            open_calls.append(lease)
        else:
            assert lease.wait is None or (lease.wait >= 0 and math.isfinite(lease.wait))
        if open_calls:
            ended = open_calls.pop(0 if old else -1)
            ended.settle(40, 7, openai(limit, remaining, reset=reset, what=what))
        passed = desk.clock.time - began
        assert requests <= 60 + passed + 1e-6
        assert tokens <= 6000 + 100 * passed + 1e-6
        for row in desk.limit.health():
            assert row.remaining is not None
            assert not math.isnan(row.remaining)


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 1), st.floats(0, 2000)), min_size=1))
def test_every_answer_sets_the_limit_that_it_names(
    answers: list[tuple[int, float, float]],
) -> None:
    """What is kept of the last answer's limit, and of one too old to count, never lives on."""
    desk = Desk()
    for limit, part, seconds in answers:
        desk.clock.advance(seconds)
        left = int(part * limit)
        lease = desk.limit.try_reserve("p", "m", SMALL)
        if not isinstance(lease, Lease):
            desk.clock.advance(700)  # the last answer is too old to count
            lease = desk.send()
        lease.settle(10, 5, openai(limit, left))
        [row] = desk.limit.health()
        assert row.capacity == limit
        margin = 0.02 * limit if left < 0.5 * limit else 0.0
        assert row.remaining == pytest.approx(left - margin)
