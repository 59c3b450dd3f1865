"""A stream is complete or a typed error; it never ends cut without saying so."""

import asyncio

import pytest

from switchgear import (
    AllProvidersFailedError,
    DeadlineExceededError,
    InvalidRequestError,
    LifecycleError,
    MalformedResponseError,
    OverloadedError,
    ProviderConnectionError,
    ProviderTimeoutError,
    StreamInterruptedError,
)
from switchgear.providers.base import Reply
from switchgear.testing.scripted import Scripted, ScriptedProvider, scripted_reply

from .helpers import virtual

pytestmark = pytest.mark.looptime

LONG = scripted_reply("one two three four")


async def test_a_whole_stream_ends_in_the_same_reply_as_a_plain_call() -> None:
    async with virtual(ScriptedProvider("a", [LONG])) as router:
        async with router.stream("g", "hi") as stream:
            text = "".join([event.text async for event in stream])
        plain = await router.complete("g", "hi")
    reply = stream.completion
    assert text == reply.text == plain.text == "one two three four"
    assert (reply.usage, reply.cost, reply.finish_reason) == (
        plain.usage,
        plain.cost,
        plain.finish_reason,
    )
    assert reply.time_to_first_token is not None
    assert reply.trace.steps[-1].outcome == "answered"


async def test_failures_before_the_first_token_go_to_the_next_candidate() -> None:
    refused = ScriptedProvider("a", [ProviderConnectionError("refused")])
    broke = ScriptedProvider("b", [Scripted(error=OverloadedError("busy"), events_before_error=0)])
    cut = ScriptedProvider("c", [Scripted(cut_after=0)])
    async with virtual(refused, broke, cut, ScriptedProvider("d", ["yes"])) as router:
        async with router.stream("g", "hi") as stream:
            assert [event.text async for event in stream] == ["yes"]
    assert stream.completion.provider == "d"
    failed = {step.candidate for step in stream.completion.trace.steps if step.outcome == "failed"}
    assert failed == {"a/m", "b/m", "c/m"}
    assert all(opened.closed for opened in broke.streams + cut.streams)


@pytest.mark.parametrize(
    "entry",
    [
        Scripted(reply=LONG, error=OverloadedError("busy", code="x"), events_before_error=2),
        Scripted(reply=LONG, cut_after=2),
    ],
)
async def test_a_break_after_the_first_token_is_an_error_with_the_part_that_came(
    entry: Scripted,
) -> None:
    first, second = ScriptedProvider("a", [entry]), ScriptedProvider("b")
    seen = []
    async with virtual(first, second) as router:
        with pytest.raises(StreamInterruptedError) as broken:
            async with router.stream("g", "hi") as stream:
                async for event in stream:
                    seen += [event.text]
    partial = broken.value.completion
    assert partial is not None
    assert "".join(seen) == partial.text == "one two"
    assert partial.finish_reason == "error"
    assert partial.usage.estimated
    assert partial.usage.output_tokens > 0
    assert second.calls == []
    assert first.streams[0].closed
    assert broken.value.__cause__ is not None
    assert broken.value.trace is not None
    assert broken.value.trace.steps[-1].outcome == "interrupted"


async def test_what_a_broken_stream_cost_is_estimated_and_bounded() -> None:
    broken = Scripted(reply=LONG, cut_after=2)
    provider = ScriptedProvider("anthropic", [broken])
    group = {"chain": ["anthropic/claude-haiku-4-5"]}
    async with virtual(provider, group=group) as router:
        with pytest.raises(StreamInterruptedError) as error:
            async with router.stream("g", "hi", max_tokens=100) as stream:
                async for _ in stream:
                    pass
        whole = await router.complete("g", "hi", fallback=False)
    assert error.value.trace is not None
    step = error.value.trace.steps[-1]
    assert step.cost is not None
    assert step.bound is not None
    assert 0 < step.cost < step.bound
    answered = whole.trace.steps[-1]
    assert answered.bound == answered.cost


async def test_iterating_a_broken_stream_again_gives_nothing_more() -> None:
    entry = Scripted(reply=LONG, cut_after=1)
    async with virtual(ScriptedProvider("a", [entry])) as router:
        async with router.stream("g", "hi") as stream:
            with pytest.raises(StreamInterruptedError):
                async for _ in stream:
                    pass
            assert [event async for event in stream] == []
        assert stream.completion.finish_reason == "error"


async def test_silence_inside_a_stream_is_not_endured() -> None:
    entry = Scripted(reply=LONG, gap=20)
    async with virtual(ScriptedProvider("a", [entry])) as router:
        loop = asyncio.get_running_loop()
        async with router.stream("g", "hi", idle_timeout=5) as stream:
            began = loop.time()
            with pytest.raises(StreamInterruptedError) as broken:
                async for _ in stream:
                    pass
    assert loop.time() - began == pytest.approx(5)
    assert isinstance(broken.value.__cause__, ProviderTimeoutError)


async def test_the_deadline_holds_inside_a_stream() -> None:
    entry = Scripted(reply=LONG, gap=4)
    async with virtual(ScriptedProvider("a", [entry])) as router:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(StreamInterruptedError) as broken:
            async with router.stream("g", "hi", timeout=10) as stream:
                async for _ in stream:
                    pass
    assert loop.time() - began == pytest.approx(10)
    assert isinstance(broken.value.__cause__, DeadlineExceededError)
    assert broken.value.completion is not None
    assert broken.value.completion.text == "one two"


async def test_leaving_early_lets_go_at_once_and_settles_what_came() -> None:
    provider = ScriptedProvider("a", [LONG])
    async with virtual(provider) as router:
        async with router.stream("g", "hi") as stream:
            async for _ in stream:
                break
        assert provider.streams[0].closed
    reply = stream.completion
    assert (reply.finish_reason, reply.usage.estimated) == ("error", True)
    assert reply.trace.steps[-1].outcome == "cancelled"


async def test_leaving_after_the_providers_last_word_loses_no_count() -> None:
    provider = ScriptedProvider("a", ["one"])
    async with virtual(provider) as router:
        async with router.stream("g", "hi") as stream:
            await anext(stream)
            provider.streams[0].finished = True
    reply = stream.completion
    assert (reply.finish_reason, reply.usage.estimated) == ("stop", False)
    assert reply.trace.steps[-1].outcome == "cancelled"


async def test_a_stream_that_only_declines_goes_on_where_the_group_says_so() -> None:
    declined = Reply(parts=(), finish_reason="refusal", native_finish_reason="refusal")
    first, second = ScriptedProvider("a", [declined]), ScriptedProvider("b", ["yes"])
    group = {"fallback_on_content_filter": True}
    async with virtual(first, second, group=group) as router:
        async with router.stream("g", "hi") as stream:
            assert [event.text async for event in stream] == ["yes"]
    assert first.streams[0].closed
    async with virtual(ScriptedProvider("a", [declined]), second) as router:
        async with router.stream("g", "hi") as stream:
            assert [event async for event in stream] == []
    assert stream.completion.finish_reason == "refusal"


async def test_cancelling_the_reader_lets_go_of_the_provider() -> None:
    provider = ScriptedProvider("a", [Scripted(reply=LONG, gap=10)])
    async with virtual(provider) as router:

        async def read() -> None:
            async with router.stream("g", "hi") as stream:
                async for _ in stream:
                    pass

        task = asyncio.ensure_future(read())
        await asyncio.sleep(25)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert provider.streams[0].closed


async def test_cancelling_while_the_first_token_is_awaited_lets_go_too() -> None:
    provider = ScriptedProvider("a", [Scripted(reply=LONG, gap=10)])
    async with virtual(provider) as router:
        task = asyncio.ensure_future(router.stream("g", "hi").__aenter__())
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert provider.streams[0].closed


async def test_the_completion_is_not_to_be_had_before_the_end() -> None:
    async with virtual(ScriptedProvider("a", [LONG])) as router:
        async with router.stream("g", "hi") as stream:
            with pytest.raises(LifecycleError, match="not at its end"):
                _ = stream.completion
            async for _ in stream:
                pass
            assert stream.completion.text


async def test_a_stream_is_entered_before_it_is_read_and_only_once() -> None:
    async with virtual(ScriptedProvider("a")) as router:
        stream = router.stream("g", "hi")
        with pytest.raises(LifecycleError, match="async with"):
            await anext(stream)
        async with stream:
            pass
        with pytest.raises(LifecycleError, match="once"):
            await stream.__aenter__()


async def test_a_chain_without_an_answer_fails_when_the_stream_is_entered() -> None:
    async with virtual(ScriptedProvider("a", [ProviderConnectionError("refused")])) as router:
        with pytest.raises(AllProvidersFailedError):
            async with router.stream("g", "hi"):
                pytest.fail("never entered")


async def test_a_wrong_request_fails_before_anything_is_opened() -> None:
    async with virtual(ScriptedProvider("a")) as router:
        with pytest.raises(InvalidRequestError):
            router.stream("g", [])


async def test_closing_the_router_ends_its_open_streams() -> None:
    provider = ScriptedProvider("a", [LONG])
    router = virtual(provider)
    stream = await router.stream("g", "hi").__aenter__()
    await router.aclose()
    assert provider.streams[0].closed
    with pytest.raises(LifecycleError, match="before its end"):
        await anext(stream)
    assert stream.completion.trace.steps[-1].outcome == "cancelled"


async def test_a_streamed_answer_that_misses_its_schema_says_so_at_its_end() -> None:
    async with virtual(ScriptedProvider("a", ["not json"])) as router:
        with pytest.raises(MalformedResponseError):
            async with router.stream("g", "hi", response_format="json") as stream:
                async for _ in stream:
                    pass
        assert stream.completion.text == "not json"
        assert stream.completion.parsed is None
