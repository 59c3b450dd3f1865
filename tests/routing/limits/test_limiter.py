from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from switchgear.errors import ConfigError, LifecycleError
from switchgear.routing.limits import Lease, Limiter, LimitRule, Need, NoRoom

from .virtual import FakeClock

SMALL = Need(10, 5)


def limiter(*rules: LimitRule) -> tuple[Limiter, FakeClock]:
    clock = FakeClock()
    return Limiter(rules, clock), clock


def taken(given: Lease | NoRoom) -> Lease:
    assert isinstance(given, Lease), given
    return given


def refused(given: Lease | NoRoom) -> NoRoom:
    assert isinstance(given, NoRoom), given
    return given


def grants(limit: Limiter, model: str = "m", need: Need = SMALL, **options: str) -> int:
    """How many calls are let in at once."""
    count = 0
    while count < 10_000 and isinstance(limit.try_reserve("p", model, need, **options), Lease):
        count += 1
    return count


# -- what is let in ---------------------------------------------------------------------------


def test_without_a_limit_everything_goes() -> None:
    limit, _ = limiter()
    assert grants(limit) == 10_000


def test_a_minutes_worth_goes_at_once_and_then_one_at_a_time() -> None:
    limit, clock = limiter(LimitRule("p/*", rpm=60))
    assert grants(limit) == 60
    no = refused(limit.try_reserve("p", "m", SMALL))
    assert no.limit == "rpm of p/*"
    assert no.wait is not None
    clock.advance(no.wait - 0.01)
    assert grants(limit) == 0
    clock.advance(0.01)
    assert grants(limit) == 1
    clock.advance(10)
    assert grants(limit) == 10


def test_a_burst_may_be_smaller_than_a_minutes_worth() -> None:
    limit, clock = limiter(LimitRule("p/*", rpm=60, burst=0.1))
    assert grants(limit) == 6
    clock.advance(3600)
    assert grants(limit) == 6


def test_input_and_output_are_limited_apart() -> None:
    limit, _ = limiter(LimitRule("p/*", itpm=1000, otpm=100))
    for _ in range(10):
        taken(limit.try_reserve("p", "m", Need(100, 1)))
    assert refused(limit.try_reserve("p", "m", Need(100, 1))).limit == "itpm of p/*"
    limit, _ = limiter(LimitRule("p/*", itpm=1000, otpm=100))
    taken(limit.try_reserve("p", "m", Need(1, 100)))
    assert refused(limit.try_reserve("p", "m", Need(1, 100))).limit == "otpm of p/*"


def test_output_that_counts_as_it_comes_need_not_be_there_at_the_start() -> None:
    limit, clock = limiter(LimitRule("p/*", otpm=600))
    taken(limit.try_reserve("p", "m", Need(1, 500)))
    taken(limit.try_reserve("p", "m", Need(1, 5000)))  # 100 are left: it may begin
    no = refused(limit.try_reserve("p", "m", Need(1, 1)))
    assert no.wait == pytest.approx(1 + 4901 / 10, abs=0.2)
    clock.advance(492)
    taken(limit.try_reserve("p", "m", Need(1, 1)))


def test_reserved_output_has_to_be_there_and_is_not_given_back() -> None:
    limit, _ = limiter(LimitRule("p/*", otpm=1000, output="reserved"))
    taken(limit.try_reserve("p", "m", Need(1, 10, max_tokens=600))).settle(1, 10)
    assert refused(limit.try_reserve("p", "m", Need(1, 10, max_tokens=600))).limit == "otpm of p/*"
    taken(limit.try_reserve("p", "m", Need(1, 10, max_tokens=400)))


def test_tpm_counts_the_larger_of_prompt_and_max_tokens_as_openai_does() -> None:
    limit, _ = limiter(LimitRule("p/*", tpm=1000))
    taken(limit.try_reserve("p", "m", Need(300, 50, max_tokens=500))).settle(300, 50)
    taken(limit.try_reserve("p", "m", Need(500, 50, max_tokens=300)))
    assert refused(limit.try_reserve("p", "m", Need(1, 1, max_tokens=1))).limit == "tpm of p/*"


def test_tpm_may_count_what_was_used() -> None:
    limit, _ = limiter(LimitRule("p/*", tpm=1000, output="actual"))
    taken(limit.try_reserve("p", "m", Need(500, 500, max_tokens=500))).settle(400, 100)
    assert remaining(limit, "tpm of p/*") == pytest.approx(500)


def remaining(limit: Limiter, name: str) -> float:
    rows = [row.remaining for row in limit.health() if row.limit == name]
    assert len(rows) == 1
    assert rows[0] is not None
    return rows[0]


@pytest.mark.parametrize(("counts", "left"), [(None, 950), (True, 500)])
def test_what_was_read_from_the_cache_counts_where_it_counts(
    counts: bool | None, left: float
) -> None:
    limit, _ = limiter(LimitRule("p/*", itpm=1000, counts_cached_input=counts))
    taken(limit.try_reserve("p", "m", Need(800, 1))).settle(500, 1, cached_tokens=450)
    assert remaining(limit, "itpm of p/*") == pytest.approx(left)


def test_prompts_that_are_mostly_cached_are_soon_expected_to_be() -> None:
    limit, clock = limiter(LimitRule("p/*", itpm=10_000))
    taken(limit.try_reserve("p", "m", Need(9000, 1))).settle(9000, 1, cached_tokens=8900)
    clock.advance(60)
    assert grants(limit, need=Need(9000, 1)) == pytest.approx(100, abs=1)


def test_answers_are_expected_to_be_as_long_as_answers_were() -> None:
    limit, clock = limiter(LimitRule("p/*", otpm=10_000))
    for _ in range(10):
        taken(limit.try_reserve("p", "m", Need(1, 4000))).settle(1, 100)
    clock.advance(60)
    assert grants(limit, need=Need(1, 4000)) == pytest.approx(100, abs=1)
    # Another size of max_tokens is another kind of call.
    clock.advance(120)
    assert grants(limit, need=Need(1, 500)) == 20


def test_more_than_the_limit_holds_never_fits() -> None:
    limit, _ = limiter(LimitRule("p/*", itpm=1000))
    no = refused(limit.try_reserve("p", "m", Need(1001, 1)))
    assert (no.limit, no.wait) == ("itpm of p/*", None)
    assert "more than the limit ever holds" in str(no)


def test_more_than_our_share_but_not_more_than_the_limit_goes_when_the_bucket_is_full() -> None:
    limit, clock = limiter(LimitRule("p/*", itpm=1000, share=0.25))
    taken(limit.try_reserve("p", "m", Need(600, 1)))
    no = refused(limit.try_reserve("p", "m", Need(600, 1)))
    wait = 1 + 600 / (250 / 60)
    assert no.wait == pytest.approx(wait)
    clock.advance(wait)
    taken(limit.try_reserve("p", "m", Need(600, 1)))


def test_concurrency_is_given_back_when_a_call_ends() -> None:
    limit, _ = limiter(LimitRule("p/*", concurrency=2))
    first, second = (taken(limit.try_reserve("p", "m", SMALL)) for _ in range(2))
    assert refused(limit.try_reserve("p", "m", SMALL)).limit == "concurrency of p/*"
    first.settle(10, 5)
    third = taken(limit.try_reserve("p", "m", SMALL))
    second.cancel()
    third.settle(None, None)
    assert grants(limit) == 2


def test_the_wait_for_a_slot_goes_by_how_long_calls_take() -> None:
    limit, clock = limiter(LimitRule("p/*", concurrency=1))
    for _ in range(60):
        lease = taken(limit.try_reserve("p", "m", SMALL))
        clock.advance(20)
        lease.settle(10, 5)
    taken(limit.try_reserve("p", "m", SMALL))
    assert refused(limit.try_reserve("p", "m", SMALL)).wait == pytest.approx(20, rel=0.01)


def test_a_share_is_a_part_of_everything() -> None:
    rule = LimitRule("p/*", rpm=100, rpd=1000, itpm=10_000, concurrency=8, share=0.25)
    limit, _ = limiter(rule)
    assert [row.capacity for row in limit.health()] == []
    taken(limit.try_reserve("p", "m", SMALL))
    assert {row.limit: row.capacity for row in limit.health()} == {
        "rpm of p/*": 25,
        "itpm of p/*": 2500,
        "rpd of p/*": 250,
        "concurrency of p/*": 2,
    }


# -- settling ---------------------------------------------------------------------------------


def test_what_was_not_used_comes_back() -> None:
    limit, _ = limiter(LimitRule("p/*", itpm=1000, otpm=1000))
    taken(limit.try_reserve("p", "m", Need(800, 800))).settle(300, 100)
    assert remaining(limit, "itpm of p/*") == pytest.approx(700)
    assert remaining(limit, "otpm of p/*") == pytest.approx(900)


def test_what_was_used_on_top_is_a_debt_that_the_next_one_waits_for() -> None:
    limit, _ = limiter(LimitRule("p/*", itpm=600, otpm=600))
    taken(limit.try_reserve("p", "m", Need(500, 500))).settle(500, 1200)
    assert remaining(limit, "otpm of p/*") == pytest.approx(-600)
    no = refused(limit.try_reserve("p", "m", Need(1, 1)))
    assert no.limit == "otpm of p/*"
    assert no.wait == pytest.approx(61.1, abs=1.1)


def test_an_unknown_usage_stays_as_it_was_reserved() -> None:
    limit, _ = limiter(LimitRule("p/*", itpm=1000, otpm=1000))
    taken(limit.try_reserve("p", "m", Need(800, 300))).settle(None, None)
    assert remaining(limit, "itpm of p/*") == pytest.approx(200)
    assert remaining(limit, "otpm of p/*") == pytest.approx(700)


def test_nothing_sent_is_nothing_taken() -> None:
    rule = LimitRule("p/*", rpm=10, rpd=10, tpm=1000, itpm=1000, otpm=1000, concurrency=1)
    limit, _ = limiter(rule)
    taken(limit.try_reserve("p", "m", Need(800, 300, 500))).cancel()
    assert all(row.remaining == row.capacity for row in limit.health())


def test_only_the_first_ending_counts() -> None:
    limit, _ = limiter(LimitRule("p/*", rpm=10, itpm=1000))
    lease = taken(limit.try_reserve("p", "m", Need(800, 1)))
    lease.settle(500, 1)
    lease.settle(0, 0)
    lease.cancel()
    lease.observe({}, status=429, retry_after=60)
    assert remaining(limit, "rpm of p/*") == pytest.approx(9)
    assert remaining(limit, "itpm of p/*") == pytest.approx(500)
    assert grants(limit) > 0


def test_a_refused_call_teaches_nothing_about_answers() -> None:
    limit, _ = limiter(LimitRule("p/*", otpm=10_000))
    for _ in range(50):
        taken(limit.try_reserve("p", "m", Need(1, 1000))).settle(0, 0, status=500)
    assert grants(limit, need=Need(1, 1000)) == 10


# -- which rules ------------------------------------------------------------------------------


def test_a_star_is_each_model_and_a_bare_provider_all_of_them() -> None:
    limit, _ = limiter(LimitRule("p/*", rpm=5))
    assert [grants(limit, model) for model in "abc"] == [5, 5, 5]
    limit, _ = limiter(LimitRule("p", rpm=5))
    assert [grants(limit, model) for model in "abc"] == [5, 0, 0]


def test_a_family_may_share_a_limit() -> None:
    limit, _ = limiter(LimitRule("p/opus-*", rpm=5))
    assert [grants(limit, model) for model in ("opus-4", "opus-3", "haiku")] == [5, 0, 10_000]


def test_all_rules_that_match_have_to_agree() -> None:
    limit, _ = limiter(LimitRule("p", rpm=7), LimitRule("p/*", rpm=5), LimitRule("p/b", rpm=1))
    assert [grants(limit, model) for model in "abc"] == [5, 1, 1]
    assert refused(limit.try_reserve("p", "c", SMALL)).limit == "rpm of p"


def test_a_call_that_one_rule_refuses_takes_nothing_from_the_others() -> None:
    limit, _ = limiter(LimitRule("p", rpm=10), LimitRule("p/a", itpm=100))
    taken(limit.try_reserve("p", "a", Need(90, 1)))
    for _ in range(5):
        refused(limit.try_reserve("p", "a", Need(90, 1)))
    assert remaining(limit, "rpm of p") == pytest.approx(9)


def test_other_providers_are_not_meant() -> None:
    limit, _ = limiter(LimitRule("p", rpm=1))
    assert isinstance(limit.try_reserve("q", "m", SMALL), Lease)
    assert isinstance(limit.try_reserve("q", "m", SMALL), Lease)


def test_each_key_has_buckets_of_its_own_and_is_shown_nowhere() -> None:
    limit, _ = limiter(LimitRule("p", rpm=3))
    secret = "sk-very-secret"
    assert grants(limit) == 3
    assert grants(limit, key=secret) == 3
    assert grants(limit, key="sk-other") == 3
    text = f"{limit!r} {limit.health()!r} {limit.try_reserve('p', 'm', SMALL, key=secret)!r}"
    assert "secret" not in text
    assert "sk-" not in text
    assert len({row.key for row in limit.health()}) == 3


@pytest.mark.parametrize(
    ("pattern", "numbers", "param"),
    [
        ("p", {"rpm": 0}, 'limits."p".rpm'),
        ("p/m", {"tpm": -5}, 'limits."p/m".tpm'),
        ("p", {"itpm": float("nan")}, 'limits."p".itpm'),
        ("p", {"otpm": float("inf")}, 'limits."p".otpm'),
        ("p", {"rpm": 5, "share": 0}, 'limits."p".share'),
        ("p", {"rpm": 5, "burst": 1.5}, 'limits."p".burst'),
        ("", {}, 'limits.""'),
        ("p/", {}, 'limits."p/"'),
        ("*", {"rpm": 1}, 'limits."*"'),
    ],
)
def test_a_rule_that_makes_no_sense_is_named(
    pattern: str, numbers: dict[str, float], param: str
) -> None:
    with pytest.raises(ConfigError) as found:
        LimitRule(pattern, **numbers)  # type: ignore[arg-type]
    assert found.value.param == param
    assert param in found.value.message


# -- what providers say -----------------------------------------------------------------------


def test_an_errors_retry_after_stops_the_model_until_then() -> None:
    limit, clock = limiter()
    lease = taken(limit.try_reserve("p", "m", SMALL))
    lease.settle(0, 0, {}, status=429, retry_after=7)
    assert limit.try_reserve("p", "m", SMALL) == NoRoom("retry-after of p/m", 7)
    assert isinstance(limit.try_reserve("p", "other", SMALL), Lease)
    [row] = limit.health()
    assert row.limit == "retry-after of p/m"
    assert row.blocked_until == pytest.approx(clock.now() + 7)
    clock.advance(7)
    assert grants(limit) == 10_000
    assert limit.health() == ()


@pytest.mark.parametrize("status", [200, 400, 404])
def test_a_retry_after_on_anything_else_means_nothing(status: int) -> None:
    limit, _ = limiter()
    taken(limit.try_reserve("p", "m", SMALL)).settle(1, 1, {}, status=status, retry_after=60)
    limit.observe("p", "m", {}, status=status, retry_after=60)
    assert grants(limit) == 10_000


@pytest.mark.parametrize("status", [429, 503, 529])
def test_the_longest_of_several_retry_afters_counts(status: int) -> None:
    limit, _ = limiter()
    for seconds in (5.0, 30.0, 1.0):
        limit.observe("p", "m", None, status=status, retry_after=seconds)
    assert refused(limit.try_reserve("p", "m", SMALL)).wait == pytest.approx(30)


def test_a_429_without_a_time_waits_longer_each_time_until_one_goes_well() -> None:
    limit, clock = limiter()
    waits = []
    for _ in range(8):
        limit.observe("p", "m", None, status=429)
        wait = refused(limit.try_reserve("p", "m", SMALL)).wait
        assert wait is not None
        waits.append(wait)
        clock.advance(wait)
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 32, 32])
    taken(limit.try_reserve("p", "m", SMALL)).settle(10, 5, {}, status=200)
    limit.observe("p", "m", None, status=429)
    assert refused(limit.try_reserve("p", "m", SMALL)).wait == pytest.approx(1)


@pytest.mark.parametrize("absurd", [-1.0, float("nan"), None])
def test_an_error_of_the_server_without_a_sensible_time_stops_nothing(
    absurd: float | None,
) -> None:
    limit, _ = limiter()
    limit.observe("p", "m", None, status=500, retry_after=absurd)
    assert grants(limit) == 10_000


def test_a_retry_after_of_years_is_a_day() -> None:
    limit, _ = limiter()
    limit.observe("p", "m", None, status=429, retry_after=1e9)
    assert refused(limit.try_reserve("p", "m", SMALL)).wait == pytest.approx(86_400)


# -- the end, and memory ----------------------------------------------------------------------


def test_a_closed_limiter_lets_nobody_in_and_takes_back_what_is_out() -> None:
    limit, _ = limiter(LimitRule("p", rpm=5))
    lease = taken(limit.try_reserve("p", "m", SMALL))
    limit.close()
    limit.close()
    with pytest.raises(LifecycleError):
        limit.try_reserve("p", "m", SMALL)
    lease.settle(10, 5, {}, status=200)


def test_what_nobody_has_used_for_long_is_forgotten() -> None:
    limit, clock = limiter(LimitRule("p/*", rpm=5))
    held = taken(limit.try_reserve("p", "held", SMALL))
    for number in range(4096):
        taken(limit.try_reserve("p", f"m{number}", SMALL, key=f"k{number % 7}")).settle(1, 1)
    clock.advance(300)
    taken(limit.try_reserve("p", "new", SMALL))
    assert len(limit.health()) == 2
    held.settle(10, 5, {"x-ratelimit-limit-requests": "5", "x-ratelimit-remaining-requests": "1"})


def test_a_days_count_is_not_forgotten() -> None:
    limit, clock = limiter(LimitRule("p/*", rpd=5))
    for _ in range(5):
        taken(limit.try_reserve("p", "busy", SMALL)).settle(1, 1)
    for number in range(5000):
        limit.try_reserve("p", f"m{number}", SMALL, key="k")
    clock.advance(3600)
    limit.try_reserve("p", "another", SMALL)
    assert refused(limit.try_reserve("p", "busy", SMALL)).limit == "rpd of p/*"


def test_a_lease_says_whose_it_is() -> None:
    limit, _ = limiter()
    lease = taken(limit.try_reserve("p", "m", SMALL))
    assert "p/m" in repr(lease)
    assert lease.waited == 0


# -- what is left -----------------------------------------------------------------------------

RULES: tuple[list[LimitRule], ...] = (
    [],
    [LimitRule("p/*", rpm=60)],
    [LimitRule("p/*", rpd=40)],
    [LimitRule("p/*", concurrency=7), LimitRule("p/m", tpm=900)],
)
_REMAINING = st.none() | st.integers(0, 200)


@given(
    st.sampled_from(RULES),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400), st.floats(0, 400), _REMAINING)),
)
def test_a_lease_knows_what_part_of_the_tightest_limit_it_left(
    rules: list[LimitRule], steps: list[tuple[int, int, float, int | None]]
) -> None:
    limit, clock = limiter(*rules)
    for reserved, used, seconds, remaining in steps:
        got = limit.try_reserve("p", "m", Need(reserved, 1))
        if isinstance(got, Lease):
            assert got.room == limit.capacity("p", "m")
            headers = {"x-ratelimit-limit-tokens": "200"}
            if remaining is not None:
                headers["x-ratelimit-remaining-tokens"] = str(remaining)
            got.settle(used, 1, headers)
        clock.advance(seconds)
