"""What a model's capabilities deny does not get into a request."""

from __future__ import annotations

from typing import Any

import pytest

from switchgear.errors import UnsupportedParameterError
from switchgear.messages import Audio, File, Image, Message, Text, Tool, ToolChoice
from switchgear.providers.base import Capabilities, Unsupported
from switchgear.providers.denied import without_denied
from switchgear.providers.unsupported import Unexpressed
from switchgear.request import ChatRequest

TOOL = Tool("weather", cache="5m")
SHOWN = Message(
    "user",
    (
        Text("What is this?", cache="5m"),
        Image(url="https://example.org/i.png"),
        File(data="JVBE", media_type="application/pdf"),
        Audio("UklG", "wav"),
    ),
)
EVERYTHING = Capabilities(audio=True, reasoning=True, prompt_cache=True)
NOTHING = Capabilities(
    tools=False,
    images=False,
    files=False,
    audio=False,
    reasoning=False,
    prompt_cache=False,
    sampling=frozenset(),
)


def asked(**fields: Any) -> ChatRequest:
    return ChatRequest(**{"messages": (SHOWN,), **fields})


def kept(
    request: ChatRequest, can: Capabilities, unsupported: Unsupported = "warn"
) -> tuple[ChatRequest, tuple[str, ...]]:
    notes = Unexpressed(unsupported, "mine", "m")
    return without_denied(request, can, notes), notes.warnings


def test_what_is_not_denied_stays_the_very_same() -> None:
    request = asked(tools=(TOOL,), reasoning_effort="low", stop=("END",), parallel_tool_calls=False)
    assert kept(request, EVERYTHING) == (request, ())
    assert kept(request, EVERYTHING)[0] is request


def test_everything_that_is_denied_is_left_out_and_noted() -> None:
    request = asked(
        tools=(TOOL,),
        tool_choice=ToolChoice("required"),
        reasoning_effort="low",
        stop=("END",),
        parallel_tool_calls=False,
    )
    rest, warnings = kept(request, NOTHING)
    assert rest == ChatRequest(messages=(Message("user", (Text("What is this?"),)),))
    named = [line.partition(":")[0] for line in warnings]
    assert named == ["tools", "reasoning_effort", "stop", "cache", "images", "files", "audio"]


def test_tools_lose_their_marks_and_their_number() -> None:
    can = Capabilities(parallel_tool_calls=False)
    messages = (Message("user", "Hi"),)
    rest, warnings = kept(asked(messages=messages, tools=(TOOL,), parallel_tool_calls=True), can)
    assert rest == ChatRequest(messages=messages, tools=(Tool("weather"),))
    assert [line.partition(":")[0] for line in warnings] == ["parallel_tool_calls", "cache"]


def test_an_image_in_a_file_is_an_image() -> None:
    message = Message("user", (File(data="iVBO", media_type="image/png"),))
    request = asked(messages=(message,))
    assert kept(request, Capabilities(files=False)) == (request, ())


@pytest.mark.parametrize("fields", [{"tools": (TOOL,)}, {}])
def test_what_changes_the_meaning_is_an_error(fields: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameterError):
        kept(asked(**fields), NOTHING, unsupported=None)


def test_a_hint_is_an_error_only_where_all_are() -> None:
    request = asked(messages=(Message("user", "Hi"),), reasoning_effort="low")
    assert kept(request, NOTHING, unsupported=None)[1]
    with pytest.raises(UnsupportedParameterError):
        kept(request, NOTHING, unsupported="raise")
