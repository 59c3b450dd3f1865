from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from switchgear.routing.limits.headers import RateWord, duration, rate_words
from switchgear.routing.limits.measures import INPUT, OUTPUT, REQUESTS, TOKENS, TOKENS_MAX


def test_anthropics_headers() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2024-10-20T22:48:55Z",
        "anthropic-ratelimit-input-tokens-limit": "30000",
        "anthropic-ratelimit-input-tokens-remaining": "27000",
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "0",
    }
    assert rate_words(headers) == [
        RateWord(REQUESTS, 50, 49, 60),
        RateWord(INPUT, 30_000, 27_499, 60),  # rounded to the nearest thousand: at most this
        RateWord(OUTPUT, 8_000, 0, 60),
    ]


def test_a_token_limit_that_is_only_the_sum_of_the_others_is_left_out() -> None:
    def headers(tokens: int) -> dict[str, str]:
        limits = {"input-tokens": 400_000, "output-tokens": 80_000, "tokens": tokens}
        return {
            f"anthropic-ratelimit-{name}-{word}": str(limit)
            for name, limit in limits.items()
            for word in ("limit", "remaining")
        }

    assert [word.measure for word in rate_words(headers(480_000))] == [INPUT, OUTPUT]
    # A workspace's own, smaller limit is not.
    assert [word.measure for word in rate_words(headers(100_000))] == [INPUT, OUTPUT, TOKENS]


def openai(limit: str, remaining: str, reset: str) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": limit,
        "x-ratelimit-remaining-requests": remaining,
        "x-ratelimit-reset-requests": reset,
    }


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "period"),
    [
        ("10000", "9999", "6ms", 60),
        ("500", "250", "30s", 60),
        ("10000", "9999", "8.64s", 86_400),
        ("200", "199", "7m12s", 86_400),
        ("14400", "14370", "2m59.56s", 86_400),
        ("10000", "10000", "0s", None),
        ("10000", "9999", "soon", None),
        ("100", "99", "40s", None),  # a fixed window of a minute
    ],
)
def test_how_fast_a_limit_comes_back_tells_whether_it_is_daily(
    limit: str, remaining: str, reset: str, period: float | None
) -> None:
    [word] = rate_words(openai(limit, remaining, reset))
    assert word.period == period


def test_openais_tokens() -> None:
    headers = {"x-ratelimit-limit-tokens": "150000", "x-ratelimit-remaining-tokens": "149984"}
    assert rate_words(headers) == [RateWord(TOKENS_MAX, 150_000, 149_984)]


@pytest.mark.parametrize(
    ("limit", "remaining"),
    [
        ("0", "0"),
        ("-5", "3"),
        ("5", "-3"),
        ("nan", "1"),
        ("inf", "1"),
        ("1e300", "1"),
        ("many", "1"),
        ("", ""),
        ("5", "lots"),
    ],
)
def test_what_makes_no_sense_is_as_if_it_were_not_there(limit: str, remaining: str) -> None:
    assert rate_words(openai(limit, remaining, "1s")) == []


def test_one_without_the_other_says_nothing() -> None:
    assert rate_words({"x-ratelimit-limit-requests": "5"}) == []
    assert rate_words({"x-ratelimit-remaining-requests": "5"}) == []


def test_more_remaining_than_the_limit_is_the_limit() -> None:
    assert rate_words(openai("50", "900", "0s")) == [RateWord(REQUESTS, 50, 50)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("9ms", 0.009),
        ("6m0s", 360),
        ("1h2m3.5s", 3723.5),
        ("2d", 172_800),
        ("12", 12),
        ("0.25", 0.25),
        ("0s", 0),
        (" 1s ", 1),
        ("250µs", 0.00025),
        ("", None),
        ("s", None),
        ("-1s", None),
        ("-1", None),
        ("1 s", None),
        ("1s later", None),
        ("1e99s", None),
        ("9999d", None),
        ("nan", None),
        ("2024-10-20T22:48:55Z", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))


@given(st.dictionaries(st.sampled_from([*sorted(openai("", "", "")), "x"]), st.text(max_size=12)))
def test_nothing_that_a_header_may_hold_breaks_anything(headers: dict[str, str]) -> None:
    for word in rate_words(headers):
        assert 0 <= word.remaining <= word.limit
        assert word.limit >= 1


RECORDED = Path(__file__).resolve().parents[3] / ".." / "shared" / "wire"


def recorded(name: str) -> Iterator[dict[str, str]]:
    path = RECORDED / f"{name}.jsonl"
    if not path.exists():
        pytest.skip("the recorded traffic in ../shared/wire is not here")
    with path.open() as lines:
        for line in lines:
            yield json.loads(line)["response"]["headers"]


def test_recorded_headers_of_openai() -> None:
    read = 0
    for headers in recorded("openai"):
        words = {word.measure: word for word in rate_words(headers)}
        if "x-ratelimit-remaining-requests" in headers:
            word = words[REQUESTS]
            assert word.limit == int(headers["x-ratelimit-limit-requests"])
            assert word.remaining == int(headers["x-ratelimit-remaining-requests"])
            read += word.period is not None
        if "x-ratelimit-remaining-tokens" in headers:
            word = words[TOKENS_MAX]
            assert word.limit == int(headers["x-ratelimit-limit-tokens"])
            assert word.remaining == int(headers["x-ratelimit-remaining-tokens"])
    assert read > 200


def test_recorded_headers_of_anthropic() -> None:
    read = 0
    for headers in recorded("anthropic"):
        for word in rate_words(headers):
            name = {
                REQUESTS: "requests",
                INPUT: "input-tokens",
                OUTPUT: "output-tokens",
                TOKENS: "tokens",
            }[word.measure]
            assert word.limit == int(headers[f"anthropic-ratelimit-{name}-limit"])
            stated = int(headers[f"anthropic-ratelimit-{name}-remaining"])
            assert 0 <= word.remaining - stated < 500
            read += 1
    assert read > 100


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=20))
def test_each_answer_is_read_by_itself_whatever_was_read_before(
    answers: list[tuple[int, int]],
) -> None:
    for limit, remaining in answers:
        expected = [RateWord(REQUESTS, limit, min(limit, remaining))] if limit else []
        found = rate_words(openai(str(limit), str(remaining), "0s"))
        assert found == expected
