from __future__ import annotations

import datetime as dt
import math
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from switchgear.testing.rate_limited import RateLimited


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return 1_790_000_000.0 + self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


def anthropic(**limits: float) -> tuple[RateLimited, Clock]:
    clock = Clock()
    return RateLimited("anthropic", clock=clock, **limits), clock


def openai(**limits: float) -> tuple[RateLimited, Clock]:
    clock = Clock()
    return RateLimited("openai", clock=clock, **limits), clock


def test_requests_go_until_the_bucket_is_empty_and_come_back_one_by_one() -> None:
    provider, clock = anthropic(rpm=60)
    assert all(provider.admit(input_tokens=1).allowed for _ in range(60))
    refusal = provider.admit(input_tokens=1)
    assert (refusal.status, refusal.limit, refusal.retry_after) == (429, "requests", 1)
    clock.time += 1
    assert provider.admit(input_tokens=1).allowed
    assert not provider.admit(input_tokens=1).allowed
    assert (provider.admitted, provider.refused) == (61, 2)


def test_anthropic_counts_input_without_the_cache_and_output_as_it_comes() -> None:
    provider, _ = anthropic(itpm=10_000, otpm=1_000)
    provider.admit(input_tokens=9_000, max_tokens=100_000, cached_tokens=8_000)
    assert provider.buckets["input-tokens"].used == 1_000
    assert provider.buckets["output-tokens"].used == 0
    provider.produce(1_500)
    refusal = provider.admit(input_tokens=1)
    assert refusal.limit == "output-tokens"
    assert refusal.retry_after == math.ceil(501 / (1_000 / 60))


def test_anthropics_headers() -> None:
    provider, _ = anthropic(rpm=50, itpm=30_000, otpm=8_000)
    headers = provider.admit(input_tokens=1_400).headers
    assert headers["anthropic-ratelimit-requests-limit"] == "50"
    assert headers["anthropic-ratelimit-requests-remaining"] == "49"
    assert headers["anthropic-ratelimit-input-tokens-remaining"] == "29000"
    reset = dt.datetime.fromisoformat(headers["anthropic-ratelimit-input-tokens-reset"])
    assert reset.timestamp() == pytest.approx(1_790_000_000 + 2.8, abs=1)
    assert "retry-after" not in headers


def test_openai_takes_the_larger_of_prompt_and_max_tokens_and_keeps_it() -> None:
    provider, _ = openai(tpm=1_000)
    assert provider.admit(input_tokens=300, max_tokens=500).allowed
    provider.produce(5)
    assert provider.admit(input_tokens=500, max_tokens=100).allowed
    refusal = provider.admit(input_tokens=6, max_tokens=1)
    assert refusal.limit == "tokens"
    assert refusal.headers["retry-after-ms"] == "360"
    assert refusal.headers["retry-after"] == "1"
    assert refusal.headers["x-ratelimit-remaining-tokens"] == "0"
    assert refusal.headers["x-ratelimit-reset-tokens"] == "1m0s"


def test_at_openai_a_refused_request_counts_as_a_request() -> None:
    provider, _ = openai(rpm=10, tpm=100)
    provider.admit(input_tokens=100)
    for _ in range(5):
        assert provider.admit(input_tokens=100).limit == "tokens"
    assert provider.buckets["requests"].used == 6


@pytest.mark.parametrize(
    ("limits", "reset"),
    [({"rpm": 10_000}, "6ms"), ({"rpd": 10_000}, "8.64s"), ({"rpd": 200}, "7m12s")],
)
def test_openais_resets(limits: dict[str, float], reset: str) -> None:
    provider, _ = openai(**limits)
    headers = provider.admit(input_tokens=1).headers
    assert headers["x-ratelimit-reset-requests"] == reset


def test_what_never_fits_names_no_time() -> None:
    provider, _ = openai(tpm=100)
    refusal = provider.admit(input_tokens=101)
    assert (refusal.status, refusal.retry_after) == (429, None)
    assert "retry-after" not in refusal.headers


def test_the_buckets_may_hold_less_than_a_minutes_worth() -> None:
    provider, _ = anthropic(rpm=60, burst=1 / 60)
    assert provider.admit(input_tokens=1).allowed
    assert not provider.admit(input_tokens=1).allowed


def test_a_limit_that_the_vendor_does_not_have_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="anthropic has no such limit"):
        anthropic(tpm=5)
    with pytest.raises(ValueError, match="openai has no such limit"):
        openai(itpm=5)


ARRIVALS = st.lists(st.tuples(st.floats(0, 30), st.integers(1, 3_000)), max_size=40)


@given(ARRIVALS, st.sampled_from(["anthropic", "openai"]))
def test_nobody_gets_more_than_is_permitted_and_a_retry_after_is_kept(
    arrivals: list[tuple[float, int]], vendor: str
) -> None:
    limits: dict[str, Any] = {"rpm": 20, "itpm" if vendor == "anthropic" else "tpm": 5_000}
    provider, clock = (anthropic if vendor == "anthropic" else openai)(**limits)
    for pause, tokens in arrivals:
        clock.time += pause
        admission = provider.admit(input_tokens=tokens)
        if admission.retry_after is not None:
            clock.time += admission.retry_after
            admission = provider.admit(input_tokens=tokens)
            assert admission.allowed
        for bucket in provider.buckets.values():
            assert bucket.used <= bucket.permitted() + 1e-6
