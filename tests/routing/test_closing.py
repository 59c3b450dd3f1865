"""Streams and routers that are closed while somebody else still uses them."""

import asyncio

import pytest

from switchgear import LifecycleError, ServerError
from switchgear.providers.base import Call
from switchgear.testing.scripted import Scripted, ScriptedProvider, ScriptedStream, scripted_reply

from .helpers import virtual

pytestmark = pytest.mark.looptime

LONG = scripted_reply("one two three four")


class Slow(ScriptedProvider):
    """Takes ten seconds to close."""

    async def aclose(self) -> None:
        await asyncio.sleep(10)
        await super().aclose()


async def test_a_reader_is_told_that_another_task_closed_its_stream() -> None:
    provider = ScriptedProvider("a", [Scripted(reply=LONG, gap=10)])
    async with virtual(provider) as router:
        loop = asyncio.get_running_loop()
        stream = await router.stream("g", "hi").__aenter__()

        async def read() -> None:
            async for _ in stream:
                pass

        assert (await anext(stream)).text == "one"
        reader = asyncio.ensure_future(read())
        await asyncio.sleep(5)
        closed_at = loop.time()
        await stream.aclose()
        with pytest.raises(LifecycleError, match="before its end"):
            await reader
        assert loop.time() == closed_at
    reply = stream.completion
    assert [step.outcome for step in reply.trace.steps] == ["cancelled"]
    assert (reply.text, reply.finish_reason) == ("one", "error")
    assert provider.streams[0].closed == 1


async def test_a_second_reader_is_refused_and_the_first_reads_on() -> None:
    provider = ScriptedProvider("a", [Scripted(reply=LONG, gap=1)])
    async with virtual(provider) as router:
        async with router.stream("g", "hi") as stream:
            assert (await anext(stream)).text == "one"
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.5)
            with pytest.raises(LifecycleError, match="another task"):
                await anext(stream)
            rest = [(await waiting).text] + [event.text async for event in stream]
    assert rest == [" two", " three", " four"]
    assert stream.completion.finish_reason == "stop"


async def test_a_stream_that_two_tasks_enter_is_opened_once() -> None:
    provider = ScriptedProvider("a", [Scripted(reply=LONG, delay=1)])
    async with virtual(provider) as router:
        stream = router.stream("g", "hi")
        first = asyncio.ensure_future(stream.__aenter__())
        await asyncio.sleep(0.5)
        with pytest.raises(LifecycleError, match="once"):
            await stream.__aenter__()
        await first
        await stream.aclose()
    assert [opened.closed for opened in provider.streams] == [1]


async def test_a_stream_that_failed_to_open_is_not_entered_again() -> None:
    provider = ScriptedProvider("a", [ServerError("no")])
    async with virtual(provider, config={"retry": {"num_retries": 0}}) as router:
        stream = router.stream("g", "hi")
        with pytest.raises(ExceptionGroup):
            await stream.__aenter__()
        with pytest.raises(LifecycleError, match="once"):
            await stream.__aenter__()
    assert len(provider.calls) == 1


async def test_a_stream_closed_while_it_is_being_opened_keeps_no_connection() -> None:
    provider = ScriptedProvider("a", [Scripted(reply=LONG, delay=5)])
    async with virtual(provider) as router:
        stream = router.stream("g", "hi")
        entering = asyncio.ensure_future(stream.__aenter__())
        await asyncio.sleep(1)
        await stream.aclose()
        with pytest.raises(LifecycleError, match="while it was being opened"):
            await entering
    assert [opened.closed for opened in provider.streams] == [1]


async def test_closing_the_router_ends_whatever_its_calls_wait_for() -> None:
    busy = ScriptedProvider("a", [Scripted(reply=LONG, delay=500)])
    failing = ScriptedProvider("b", [ServerError("no", retry_after=300)])
    reading = ScriptedProvider("c", [Scripted(reply=LONG, gap=40)])
    router = virtual(busy, failing, reading)
    loop = asyncio.get_running_loop()

    async def read() -> None:
        async with router.stream("c/m", "hi") as stream:
            async for _ in stream:
                pass

    tasks = [
        asyncio.ensure_future(router.complete("a/m", "hi")),
        asyncio.ensure_future(router.stream("a/m", "hi").__aenter__()),
        asyncio.ensure_future(router.complete("b/m", "hi")),
        asyncio.ensure_future(read()),
    ]
    await asyncio.sleep(100)
    closed_at = loop.time()
    await router.aclose()
    for task in tasks:
        with pytest.raises(LifecycleError, match="closed"):
            await task
    assert loop.time() == closed_at
    assert len(failing.calls) == 1
    assert all(stream.closed for stream in reading.streams)


async def test_a_closing_that_is_cancelled_is_still_done() -> None:
    provider = Slow("a")
    router = virtual(provider)
    closing = asyncio.ensure_future(router.aclose())
    await asyncio.sleep(9.5)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert provider.closed == 1


async def test_a_closing_that_was_given_up_can_be_taken_up_again() -> None:
    provider = Slow("a")
    router = virtual(provider)
    closing = asyncio.ensure_future(router.aclose())
    await asyncio.sleep(1)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert provider.closed == 0
    await router.aclose()
    assert provider.closed == 1


async def test_a_stream_that_fails_to_close_spoils_neither_its_answer_nor_the_others() -> None:
    class Stuck(ScriptedStream):
        async def aclose(self) -> None:
            await super().aclose()
            raise RuntimeError("stuck")

    class Provider(ScriptedProvider):
        async def stream(self, call: Call) -> ScriptedStream:
            self.streams.append(Stuck(self._next(call)))
            return self.streams[-1]

    provider = Provider("a", [LONG])
    router = virtual(provider)
    async with router.stream("g", "hi") as stream:
        text = "".join([event.text async for event in stream])
    assert text == stream.completion.text == "one two three four"
    for _ in range(2):
        await router.stream("g", "hi").__aenter__()
    await router.aclose()
    assert [opened.closed for opened in provider.streams] == [1, 1, 1]
    assert provider.closed == 1


async def test_a_stream_closed_while_it_is_being_resumed_keeps_no_connection() -> None:
    broken = ScriptedProvider("a", [Scripted(reply=LONG, cut_after=2), ServerError("no")])
    rest = ScriptedProvider("b", [Scripted(reply=LONG, delay=5)])
    group, config = {"resume": True}, {"retry": {"num_retries": 0}}
    async with virtual(broken, rest, group=group, config=config) as router:
        stream = await router.stream("g", "hi").__aenter__()
        assert [(await anext(stream)).text for _ in range(2)] == ["one", " two"]
        resuming = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(1)
        with pytest.raises(LifecycleError, match="another task"):
            await anext(stream)
        await stream.aclose()
        with pytest.raises(LifecycleError, match="before its end"):
            await resuming
    assert [opened.closed for opened in broken.streams + rest.streams] == [1, 1]
    assert stream.completion.trace.steps[-1].outcome == "cancelled"
