"""A loop that stood still does not make a server late."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from switchgear.clock import SystemClock
from switchgear.config.state import StateConfig
from switchgear.state.link import StateUnavailableError
from switchgear.state.patience import within
from switchgear.state.redis_link import RedisLink

from .server import RedisServer

pytestmark = pytest.mark.xdist_group("redis")

LIMIT = 0.25


@contextlib.asynccontextmanager
async def blocked(seconds: float) -> AsyncIterator[None]:
    """Again and again something keeps the loop from running for so long."""

    async def block() -> None:
        while True:
            time.sleep(seconds)  # noqa: ASYNC251 - that is the point
            await asyncio.sleep(0.001)

    task = asyncio.create_task(block())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@contextlib.asynccontextmanager
async def link_to(server: RedisServer) -> AsyncIterator[tuple[RedisLink, list[bool]]]:
    link = RedisLink(StateConfig(url=server.url, timeout=LIMIT), SystemClock())
    told: list[bool] = []
    try:
        await take_slot(link)
        link.on_change.append(told.append)
        yield link, told
    finally:
        await link.aclose()


async def take_slot(link: RedisLink) -> None:
    assert await link.run("slots", [link.key("test", "slots")], [link.replica, 5, 10, 0, 1])


@pytest.mark.parametrize("seconds", [2 * LIMIT, 0.5 * LIMIT, 0.1 * LIMIT])
async def test_a_blocked_loop_does_not_lose_its_redis(server: RedisServer, seconds: float) -> None:
    async with link_to(server) as (link, told), asyncio.timeout(40), blocked(seconds):
        for _ in range(3):
            await asyncio.gather(*(take_slot(link) for _ in range(5)))
        assert told == []


async def test_a_blocked_loop_finds_its_redis_again(server: RedisServer) -> None:
    async with link_to(server) as (link, told), asyncio.timeout(40):
        server.pause()
        try:
            with pytest.raises(StateUnavailableError):
                await take_slot(link)
        finally:
            server.resume()
        async with blocked(0.6 * LIMIT):
            while not link.up:  # noqa: ASYNC110 - a look from outside
                await asyncio.sleep(0.01)
        assert told == [False, True]


async def test_a_blocked_loop_still_notices_that_its_redis_is_gone(server: RedisServer) -> None:
    async with link_to(server) as (link, told), asyncio.timeout(40), blocked(0.4 * LIMIT):
        server.pause()
        try:
            with pytest.raises(StateUnavailableError):
                await take_slot(link)
        finally:
            server.resume()
        assert told == [False]


async def test_only_the_time_of_a_loop_that_runs_is_counted() -> None:
    async def late() -> str:
        time.sleep(0.3)  # noqa: ASYNC251 - that is the point
        await asyncio.sleep(0)
        return "here"

    async with asyncio.timeout(30):
        answer, seconds = await within(asyncio.create_task(late()), 0.2)
    assert answer == "here"
    assert seconds <= 0.2


async def test_what_is_given_up_is_cancelled_and_what_fails_is_raised() -> None:
    async with asyncio.timeout(30):
        task = asyncio.create_task(asyncio.sleep(1000))
        with pytest.raises(TimeoutError):
            await within(task, 0.01)
        await asyncio.wait([task])
        assert task.cancelled()

        async def fails() -> None:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await within(asyncio.create_task(fails()), 1.0)


async def test_a_caller_that_is_cancelled_takes_its_question_with_it() -> None:
    async with asyncio.timeout(30):
        task = asyncio.create_task(asyncio.sleep(1000))
        caller = asyncio.create_task(within(task, 500.0))
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait([caller, task])
        assert caller.cancelled()
        assert task.cancelled()
