"""A stream that broke is gone on with, where the group asks for that; otherwise never."""

from decimal import Decimal
from typing import Any

import pytest

from switchgear import (
    Completion,
    Message,
    OverloadedError,
    Reasoning,
    Router,
    StreamInterruptedError,
    Text,
    ToolCall,
    Usage,
)
from switchgear.providers.base import Reply
from switchgear.testing.scripted import Scripted, ScriptedProvider, scripted_reply

from .helpers import virtual

pytestmark = pytest.mark.looptime

RESUME = {"resume": True}
FIRST = Scripted(reply=scripted_reply("one two three"), cut_after=2)


async def read(router: Router, **options: Any) -> tuple[str, Completion]:
    async with router.stream("g", "count", **options) as stream:
        text = "".join([event.text async for event in stream])
    return text, stream.completion


async def test_the_rest_comes_from_whoever_can_go_on() -> None:
    first = ScriptedProvider("anthropic", [FIRST, OverloadedError("busy", status=529)])
    second = ScriptedProvider("ollama", [" three four"])
    group = {"chain": ["anthropic/claude-haiku-4-5", "ollama/llama3"], **RESUME}
    config = {"retry": {"num_retries": 0}}
    async with virtual(first, second, group=group, config=config) as router:
        text, reply = await read(router, max_tokens=100)
    assert text == reply.text == "one two three four"
    assert reply.provider == "ollama"
    assert reply.finish_reason == "stop"
    assert reply.usage.estimated
    assert reply.cost is not None
    assert reply.cost > Decimal(0)
    assert [step.outcome for step in reply.trace.steps] == ["interrupted", "failed", "answered"]
    assert any("gone on with" in warning for warning in reply.warnings)
    asked = second.calls[0].request
    assert asked.messages[-2] == Message("assistant", "one two")
    assert asked.max_tokens is not None
    assert asked.max_tokens < 100


async def test_without_asking_for_it_a_broken_stream_stays_broken() -> None:
    second = ScriptedProvider("b")
    async with virtual(ScriptedProvider("a", [FIRST]), second) as router:
        with pytest.raises(StreamInterruptedError):
            await read(router)
    assert second.calls == []


async def test_a_stream_that_breaks_again_ends_with_its_error() -> None:
    first = ScriptedProvider("a", [FIRST, FIRST])
    async with virtual(first, group=RESUME) as router:
        with pytest.raises(StreamInterruptedError) as broken:
            await read(router)
    assert len(first.calls) == 2
    assert broken.value.completion is not None
    assert broken.value.completion.text == "one twoone two"
    assert broken.value.completion.finish_reason == "error"


async def test_where_nobody_can_go_on_the_first_break_is_the_error() -> None:
    down = OverloadedError("busy", status=529)
    first = ScriptedProvider("a", [FIRST, down])
    config = {"retry": {"num_retries": 0}}
    async with virtual(first, group=RESUME, config=config) as router:
        with pytest.raises(StreamInterruptedError) as broken:
            await read(router)
    assert broken.value.completion is not None
    assert broken.value.completion.text == "one two"
    assert broken.value.trace is not None
    assert [step.outcome for step in broken.value.trace.steps] == ["interrupted", "failed"]


@pytest.mark.parametrize(
    ("reply", "options"),
    [
        (Reply(parts=(ToolCall("c", "f", "{}"), Text("a b")), finish_reason="tool_calls"), {}),
        (scripted_reply('{"a": 1}  x'), {"response_format": "json"}),
    ],
)
async def test_what_nobody_else_can_finish_is_not_gone_on_with(
    reply: Reply, options: dict[str, Any]
) -> None:
    first = ScriptedProvider("a", [Scripted(reply=reply, cut_after=2)])

    async with virtual(first, ScriptedProvider("b"), group=RESUME) as router:
        with pytest.raises(StreamInterruptedError):
            await read(router, **options)


async def test_reasoning_and_tokens_of_both_halves_are_kept() -> None:
    usage = Usage(input_tokens=7, output_tokens=3)
    thought = Reply(parts=(Reasoning("hm"), Text("one two")), finish_reason="stop", usage=usage)
    first = ScriptedProvider("a", [Scripted(reply=thought, cut_after=3), scripted_reply(" three")])
    async with virtual(first, group=RESUME) as router:
        text, reply = await read(router)
    assert text == "one two three"
    assert reply.usage.output_tokens >= 5
