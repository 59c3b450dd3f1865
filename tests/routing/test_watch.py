"""One timer for many waits, each bounded as ``asyncio.timeout`` would bound it."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from switchgear.routing.watch import Watch

pytestmark = pytest.mark.looptime


def watch() -> Watch:
    return Watch(asyncio.get_running_loop())


async def wait(watch: Watch, bound: float, seconds: float) -> bool:
    """Wait for so long under the watch; whether it ended the wait."""
    watch.begin(bound)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if not watch.has_ended_it():
            raise
        return True
    finally:
        watch.end()
    return False


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_a_wait_that_lasts_too_long_is_ended_when_its_time_is_over() -> None:
    watching, loop = watch(), asyncio.get_running_loop()
    began = loop.time()
    assert await wait(watching, 5, 100)
    assert loop.time() - began == pytest.approx(5)
    assert cancelling() == 0
    assert not await wait(watching, 5, 4)


async def test_the_time_of_each_wait_counts_from_its_own_beginning() -> None:
    watching, loop = watch(), asyncio.get_running_loop()
    for _ in range(10):
        assert not await wait(watching, 5, 4)
    began = loop.time()
    assert await wait(watching, 5, 100)
    assert loop.time() - began == pytest.approx(5)


async def test_a_shorter_bound_than_the_one_before_holds() -> None:
    watching, loop = watch(), asyncio.get_running_loop()
    assert not await wait(watching, 600, 1)
    began = loop.time()
    assert await wait(watching, 2, 100)
    assert loop.time() - began == pytest.approx(2)
    assert await wait(watching, math.inf, 1) is False
    assert await wait(watching, 7, 100)
    assert loop.time() - began == pytest.approx(2 + 1 + 7)


async def test_without_any_time_left_a_wait_ends_at_its_first_pause() -> None:
    watching, loop = watch(), asyncio.get_running_loop()
    began = loop.time()
    assert await wait(watching, -1, 100)
    assert loop.time() == began


async def test_nothing_is_ended_between_two_waits() -> None:
    watching = watch()
    assert not await wait(watching, 5, 1)
    await asyncio.sleep(50)
    assert cancelling() == 0
    assert await wait(watching, 5, 6)


async def test_many_waits_need_few_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    watching, loop = watch(), asyncio.get_running_loop()
    set_at: list[float] = []
    call_at = loop.call_at

    def counted(when: float, callback: Any, *args: Any, **more: Any) -> asyncio.TimerHandle:
        if getattr(callback, "__self__", None) is watching:
            set_at.append(when)
        return call_at(when, callback, *args, **more)

    monkeypatch.setattr(loop, "call_at", counted)
    for _ in range(1000):
        assert not await wait(watching, 60, 0.1)
    assert len(set_at) <= 1 + 1000 * 0.1 / 60 + 1


async def test_a_tasks_own_cancellation_is_told_apart() -> None:
    watching = watch()
    task = asyncio.ensure_future(wait(watching, 50, 100))
    await asyncio.sleep(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not await wait(watching, 5, 4)


async def test_a_task_cancelled_as_its_time_is_over_stays_cancelled() -> None:
    watching = watch()
    task = asyncio.ensure_future(wait(watching, 10, 100))
    asyncio.get_running_loop().call_later(10, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


async def test_a_cancellation_from_before_does_not_hide_that_time_is_over() -> None:
    watching = watch()

    async def already_cancelled() -> bool:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            return await wait(watching, 5, 100)
        return False

    assert await asyncio.ensure_future(already_cancelled())


async def test_who_hides_the_cancellation_is_left_without_one() -> None:
    watching = watch()
    assert watching.begin(5)
    try:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(100)
    finally:
        watching.end()
    assert cancelling() == 0


async def test_a_wait_can_be_woken_from_another_task() -> None:
    watching, loop = watch(), asyncio.get_running_loop()
    task = asyncio.ensure_future(wait(watching, 50, 100))
    await asyncio.sleep(10)
    woken = loop.time()
    watching.wake()
    watching.stop()
    assert await task
    assert loop.time() == woken


async def test_waking_nobody_changes_nothing() -> None:
    watching = watch()
    watching.wake()
    assert not await wait(watching, 5, 4)


async def test_once_stopped_it_leaves_no_timer() -> None:
    watching, loop = watch(), asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []
    call_at = loop.call_at

    def kept(when: float, callback: Any, *args: Any, **more: Any) -> asyncio.TimerHandle:
        timers.append(call_at(when, callback, *args, **more))
        return timers[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "call_at", kept)
        watching.begin(50)
        watching.end()
    watching.stop()
    assert [timer.cancelled() for timer in timers] == [True]


async def test_outside_a_task_nothing_can_be_bounded() -> None:
    watching = watch()
    refused: asyncio.Future[RuntimeError] = asyncio.get_running_loop().create_future()

    def outside() -> None:
        try:
            watching.begin(5)
        except RuntimeError as exc:
            refused.set_result(exc)

    asyncio.get_running_loop().call_soon(outside)
    assert "inside a task" in str(await refused)
    assert not await wait(watching, 5, 4)


async def test_a_second_wait_does_not_begin_while_one_lasts() -> None:
    watching = watch()
    task = asyncio.ensure_future(wait(watching, 5, 100))
    await asyncio.sleep(1)
    assert not watching.begin(50)
    assert await task
    assert watching.begin(50)
    watching.end()
