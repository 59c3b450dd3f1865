"""Who gets how much of a limit that more is asked of than it has. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from switchgear.routing.limits import LimitRule, Need
from tests.routing.limits.virtual import run
from tests.routing.limits.virtual_fleet import Replica, Stage
from tests.state.clocked import ClockedScripts

if TYPE_CHECKING:
    import redis

    from tests.state.server import RedisServer

pytestmark = pytest.mark.xdist_group("redis")

RATE = 1000.0
BUCKET = 1200
SMALL = 50
RULE = LimitRule("p/*", tpm=60 * RATE, burst=BUCKET / (60 * RATE))


@pytest.fixture(params=range(5))
def stage(
    request: pytest.FixtureRequest,
    server: RedisServer,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> Stage:
    return Stage(ClockedScripts(redis_client), request.param, monkeypatch)


async def given_in(seconds: float, fleet: Sequence[Replica]) -> list[int]:
    before = [replica.given for replica in fleet]
    await asyncio.sleep(seconds)
    return [replica.given - already for replica, already in zip(fleet, before, strict=True)]


@pytest.mark.parametrize("number", [1, 2, 4])
def test_calls_as_large_as_the_limit_get_their_turn_beside_small_ones(
    stage: Stage, number: int
) -> None:
    async def story() -> None:
        async with stage.fleet(number + 1, RULE) as (large, *others):
            for other in others:
                other.crowd(SMALL)
            await asyncio.sleep(3)
            loop = asyncio.get_running_loop()
            for turn in range(4):
                before, began = sum(other.given for other in others), loop.time()
                (await large.wait(Need(BUCKET, 0))).settle(None, None)
                beside = sum(other.given for other in others) - before
                # Who comes new is next: what the others get is on its way already, or comes before
                # they hear of it. From then on each may have as much before the next.
                turns = number * BUCKET if turn else 0
                assert beside <= turns + 3 * SMALL * number
                # A bucket that is full when the last of it is used begins to fill a second late.
                assert loop.time() - began <= (beside + BUCKET) / RATE + 1.5

    run(story())


def test_reports_that_are_sent_in_between_do_not_make_a_large_call_wait(stage: Stage) -> None:
    async def story() -> None:
        async with stage.fleet(4, RULE) as (large, *others):
            for other in others:
                other.crowd(SMALL)
            await asyncio.sleep(3)

            async def hurrying() -> None:
                while True:
                    await asyncio.sleep(0.005)
                    for replica in (large, *others):
                        replica.report_soon()

            hurry = asyncio.create_task(hurrying())
            before = sum(other.given for other in others)
            (await large.wait(Need(int(0.8 * BUCKET), 0))).settle(None, None)
            hurry.cancel()
            assert sum(other.given for other in others) - before <= 9 * SMALL

    run(story())


def test_who_had_all_for_long_gets_as_much_as_those_who_come(stage: Stage) -> None:
    async def story() -> None:
        async with stage.fleet(4, RULE) as fleet:
            fleet[0].crowd(SMALL)
            assert (await given_in(120, fleet))[0] >= 0.97 * 120 * RATE
            for other in fleet[1:]:
                other.crowd(SMALL)
            await asyncio.sleep(1)
            given = await given_in(20, fleet)
            assert sum(given) == pytest.approx(20 * RATE, rel=0.02)
            for each in given:
                assert each == pytest.approx(20 * RATE / 4, rel=0.1)

    run(story())


def test_nobody_gets_more_than_the_limit_and_little_of_it_is_lost(stage: Stage) -> None:
    async def story() -> None:
        async with stage.fleet(5, RULE) as fleet:
            for replica in fleet:
                replica.crowd(SMALL)
            given = await given_in(30, fleet)
            assert 0.97 * 30 * RATE <= sum(given) <= 30 * RATE + BUCKET

    run(story())
