"""Closing that goes to its end."""

import asyncio

import pytest

from switchgear.providers.closing import to_the_end

pytestmark = pytest.mark.looptime


class Work:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.ended = ""

    async def run(self) -> None:
        try:
            await asyncio.sleep(self._seconds)
            self.ended = "done"
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise


async def test_it_waits_until_the_work_is_done() -> None:
    work = Work(10)
    await to_the_end(work.run())
    assert work.ended == "done"


async def test_a_failure_comes_through() -> None:
    async def fail() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        await to_the_end(fail())


@pytest.mark.parametrize(("seconds", "ended"), [(10.5, "done"), (100, "cancelled")])
async def test_a_cancellation_waits_for_the_work_but_not_for_ever(
    seconds: float, ended: str
) -> None:
    work = Work(seconds)
    task = asyncio.ensure_future(to_the_end(work.run()))
    await asyncio.sleep(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert work.ended == ended
    assert asyncio.get_running_loop().time() <= 11


async def test_a_second_cancellation_ends_it_at_once() -> None:
    work = Work(100)
    task = asyncio.ensure_future(to_the_end(work.run()))
    await asyncio.sleep(10)
    task.cancel()
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert work.ended == "cancelled"
    assert asyncio.get_running_loop().time() == pytest.approx(10.1)
