from __future__ import annotations

import email.utils

import pytest
from hypothesis import given, strategies as st

from switchgear.providers.headers import request_id, retry_after

NOW = 1_790_000_000.0


def wait(**headers: str) -> float | None:
    return retry_after({name.replace("_", "-"): v for name, v in headers.items()}, now=NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("0.5", 0.5),
        (" 12 ", 12.0),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("99999999999", None),
    ],
)
def test_seconds(value: str, seconds: float | None) -> None:
    assert wait(retry_after=value) == seconds


def test_milliseconds_are_more_exact_and_win() -> None:
    assert wait(retry_after_ms="1500", retry_after="2") == 1.5


def test_milliseconds_that_make_no_sense_leave_it_to_the_seconds() -> None:
    assert wait(retry_after_ms="-3", retry_after="2") == 2


def test_a_date_is_as_long_as_it_lies_ahead() -> None:
    assert wait(retry_after=email.utils.formatdate(NOW + 30, usegmt=True)) == 30


def test_a_date_in_the_past_is_now() -> None:
    assert wait(retry_after="Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_a_date_in_the_far_future_is_no_date() -> None:
    assert wait(retry_after="Wed, 21 Oct 2099 07:28:00 GMT") is None


def test_no_header_says_nothing() -> None:
    assert wait() is None


@pytest.mark.parametrize(
    "name",
    ["request-id", "x-request-id", "x-amzn-requestid", "apim-request-id", "mistral-correlation-id"],
)
def test_each_vendor_has_a_name_of_its_own_for_a_requests_id(name: str) -> None:
    assert request_id({"date": "now", name: "r-1", "cf-ray": "r-2"}) == "r-1"


def test_the_id_of_the_proxy_in_front_is_better_than_none() -> None:
    assert request_id({"cf-ray": "r-2"}) == "r-2"
    assert request_id({"x-request-id": ""}) is None


@given(st.text())
def test_any_text_is_a_sensible_wait_or_none(value: str) -> None:
    seconds = wait(retry_after=value)
    assert seconds is None or 0 <= seconds <= 86_400 * 31
