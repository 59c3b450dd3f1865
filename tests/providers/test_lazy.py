"""An SDK's client: made once, in a thread, and closed whatever happens meanwhile."""

import asyncio
import threading

import pytest

from switchgear import LifecycleError
from switchgear.providers.lazy import LazyClient


class Client:
    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.closed = 0

    async def close(self) -> None:
        await asyncio.sleep(0.01)
        self.closed += 1


class Maker:
    """Makes clients, but not before it may."""

    def __init__(self) -> None:
        self.made: list[Client] = []
        self.begun = threading.Event()
        self.may = threading.Event()

    def __call__(self) -> Client:
        self.begun.set()
        assert self.may.wait(10)
        self.made.append(Client())
        return self.made[-1]

    async def beginning(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 10)


async def test_all_who_come_at_once_get_the_same_one_made_in_another_thread() -> None:
    maker = Maker()
    client = LazyClient("p", maker)
    waiting = [asyncio.ensure_future(client.ready()) for _ in range(5)]
    await maker.beginning()
    from_a_thread = asyncio.ensure_future(asyncio.to_thread(client.get))
    maker.may.set()
    found = await asyncio.gather(*waiting, from_a_thread)
    assert len(maker.made) == 1
    assert all(each is maker.made[0] for each in found)
    assert maker.made[0].thread is not threading.current_thread()
    await client.aclose()


async def test_one_who_is_cancelled_does_not_take_it_away_from_the_others() -> None:
    maker = Maker()
    client = LazyClient("p", maker)
    first, second = (asyncio.ensure_future(client.ready()) for _ in range(2))
    await maker.beginning()
    first.cancel()
    maker.may.set()
    assert await second is maker.made[0]
    await client.aclose()


async def test_one_that_is_being_made_is_closed_as_well() -> None:
    maker = Maker()
    client = LazyClient("p", maker)
    waiting = asyncio.ensure_future(client.ready())
    await maker.beginning()
    closing = asyncio.ensure_future(client.aclose())
    await asyncio.sleep(0)
    maker.may.set()
    await closing
    assert [made.closed for made in maker.made] == [1]
    with pytest.raises(LifecycleError):
        await waiting


async def test_a_closing_that_is_cancelled_while_it_is_being_made_can_be_repeated() -> None:
    maker = Maker()
    client = LazyClient("p", maker)
    waiting = asyncio.ensure_future(client.ready())
    await maker.beginning()
    closing = asyncio.ensure_future(client.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    maker.may.set()
    await client.aclose()
    assert [made.closed for made in maker.made] == [1]
    with pytest.raises(LifecycleError):
        await waiting


async def test_a_closing_that_is_cancelled_is_still_done() -> None:
    client = LazyClient("p", Client)
    made = await client.ready()
    closing = asyncio.ensure_future(client.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert made.closed == 1


async def test_none_is_made_after_it_was_closed() -> None:
    maker = Maker()
    client = LazyClient("p", maker)
    await client.aclose()
    await client.aclose()
    with pytest.raises(LifecycleError):
        await client.ready()
    with pytest.raises(LifecycleError):
        client.get()
    assert maker.made == []


async def test_a_failure_to_make_it_is_not_kept() -> None:
    failures = [ValueError("no certificate")]

    def make() -> Client:
        if failures:
            raise failures.pop()
        return Client()

    client = LazyClient("p", make)
    with pytest.raises(ValueError, match="certificate"):
        await client.ready()
    assert await client.ready()
    await client.aclose()
