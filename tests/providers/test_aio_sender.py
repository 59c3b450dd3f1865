"""The aiohttp session under both roads."""

from __future__ import annotations

import math

import aiohttp
import pytest
from hypothesis import given, strategies as st
from multidict import CIMultiDict

from switchgear.providers.aio_sender import AioSender, rounded_up
from tests.providers.loopback import answer, serving


@pytest.fixture(scope="module")
def sender() -> AioSender:
    return AioSender()


def test_time_outs_are_what_was_asked_for(sender: AioSender) -> None:
    made = sender.timeout(0.25, 0.1, None)
    assert (made.sock_read, made.sock_connect, made.connect, made.total) == (0.25, 0.1, None, None)


@given(seconds=st.floats(min_value=0.001, max_value=1e6))
def test_a_time_out_is_never_shorter_and_hardly_longer(seconds: float) -> None:
    rounded = rounded_up(seconds)
    assert rounded is not None
    assert seconds <= rounded < seconds + 1
    if seconds <= 5:
        assert rounded == seconds


def test_no_time_out_at_all() -> None:
    assert rounded_up(None) is None
    assert rounded_up(math.inf) is None


def test_what_deadlines_leave_is_kept_in_few_objects(sender: AioSender) -> None:
    made = {id(sender.timeout(50 + n / 1000, 10.0, 50 + n / 1000)) for n in range(1, 1000)}
    assert len(made) == 1
    for n in range(2000):
        sender.timeout(n / 1000, None, None)
    assert len(sender._timeouts) <= 256


def test_an_address_is_taken_as_it_is(sender: AioSender) -> None:
    for address in ("http://h/a%3Ab/c%2Fd?e=%20f", "http://[::1]:81/a"):
        assert str(sender.route(address).url) == address
    assert sender.route("http://h/a") is sender.route("http://h/a")


async def test_it_opens_late_and_closes_for_good() -> None:
    sender = AioSender()
    await sender.aclose()
    async with serving(answer()) as server:
        fresh = AioSender()
        how = {"headers": CIMultiDict[str](), "timeout": aiohttp.ClientTimeout()}
        response = await fresh.send("POST", fresh.route(server.url), body=b"{}", **how)  # type: ignore[arg-type]
        assert await response.read() == b"{}"
        await fresh.aclose()
        await fresh.aclose()
        for closed in (sender, fresh):
            with pytest.raises(RuntimeError):
                await closed.send("POST", closed.route(server.url), body=b"{}", **how)  # type: ignore[arg-type]
