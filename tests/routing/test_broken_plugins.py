"""Providers that don't keep their promises: a typed error, and the next candidate is asked."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import pytest

from switchgear import PluginError, RateLimitError, StreamEvent, StreamInterruptedError
from switchgear.providers.base import Call, Capabilities, Reply
from switchgear.testing.scripted import Scripted, ScriptedProvider, ScriptedStream, scripted_reply

from .helpers import virtual

pytestmark = pytest.mark.looptime


class NoCapabilities(ScriptedProvider):
    def capabilities(self, model: str) -> Capabilities:
        raise KeyError(model)


class NoReply(ScriptedProvider):
    async def complete(self, call: Call) -> Any:
        return None

    async def stream(self, call: Call) -> Any:
        return None


class OnlyAGenerator(ScriptedProvider):
    async def stream(self, call: Call) -> Any:
        async def events() -> AsyncIterator[StreamEvent]:
            yield StreamEvent(text="half of the protocol")

        return events()


class CancelsItself(ScriptedProvider):
    async def complete(self, call: Call) -> NoReturn:
        raise asyncio.CancelledError

    stream = complete


BROKEN = [NoCapabilities, NoReply, OnlyAGenerator, CancelsItself]


@pytest.mark.parametrize("broken", BROKEN)
async def test_the_next_candidate_answers(broken: type[ScriptedProvider]) -> None:
    async with virtual(broken("a"), ScriptedProvider("b", ["yes"])) as router:
        async with router.stream("g", "hi") as stream:
            assert [event.text async for event in stream] == ["yes"]
        if broken is not OnlyAGenerator:
            assert (await router.complete("g", "hi")).text == "yes"


async def test_a_stream_that_cannot_tell_what_arrived_is_never_called_complete() -> None:
    class Mute(ScriptedStream):
        def snapshot(self) -> Reply:
            raise RuntimeError("mute")

    class Provider(ScriptedProvider):
        async def stream(self, call: Call) -> ScriptedStream:
            self.streams.append(Mute(self._next(call)))
            return self.streams[-1]

    whole, cut = Provider("a", ["one two"]), Provider("b", [Scripted(cut_after=1)])
    async with virtual(whole, cut, config={"limits": {"a/*": {"concurrency": 1}}}) as router:
        with pytest.raises(PluginError, match="mute"):
            async with router.stream("a/m", "hi") as stream:
                async for _ in stream:
                    pass
        assert (await router.complete("a/m", "hi", timeout=1)).text == "one two"
        with pytest.raises(StreamInterruptedError) as broken:
            async with router.stream("b/m", "hi") as stream:
                async for _ in stream:
                    pass
    assert broken.value.completion is not None
    assert broken.value.completion.finish_reason == "error"
    assert [stream.closed for stream in whole.streams + cut.streams] == [1, 1]


async def test_a_stream_that_hangs_in_its_closing_holds_nobody_up() -> None:
    class Hanging(ScriptedStream):
        async def aclose(self) -> None:
            await asyncio.sleep(3600)

    class Provider(ScriptedProvider):
        async def stream(self, call: Call) -> ScriptedStream:
            return Hanging(self._next(call))

    entry = Scripted(reply=scripted_reply("one two"), gap=8)
    async with virtual(Provider("a", [entry])) as router:
        loop = asyncio.get_running_loop()
        with pytest.raises(StreamInterruptedError):
            async with router.stream("g", "hi", timeout=10) as stream:
                async for _ in stream:
                    pass
        assert loop.time() == pytest.approx(11)


@pytest.mark.parametrize("senseless", [float("nan"), -5.0])
async def test_a_senseless_wait_counts_as_none(senseless: float) -> None:
    error = RateLimitError("no", retry_after=senseless)
    async with virtual(ScriptedProvider("a", [error, "yes"])) as router:
        reply = await router.complete("g", "hi")
    assert 0 <= reply.trace.steps[1].waited <= 0.5


async def test_whoever_lists_models_hears_of_it_in_our_words() -> None:
    class Provider(ScriptedProvider):
        async def list_models(self) -> NoReturn:
            raise KeyError("data")

    async with virtual(Provider("a")) as router:
        with pytest.raises(PluginError, match="KeyError") as failed:
            await router.list_models("a")
    assert isinstance(failed.value.__cause__, KeyError)
