"""What Ollama is asked, given what we are asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchgear.errors import InvalidRequestError, UnsupportedParameterError
from switchgear.messages import (
    Audio,
    File,
    Image,
    Message,
    Native,
    NativeBlock,
    Part,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from switchgear.providers.base import Call, Capabilities, Unsupported
from switchgear.providers.dialects import Encoded
from switchgear.providers.dialects.ollama_chat_encode import ChatDefaults, encode
from switchgear.providers.ollama_models import (
    capabilities_of,
    is_cloud_model,
    thinks_in_levels,
)
from switchgear.request import ChatRequest, ResponseFormat

ALL = Capabilities(images=True, reasoning=True)
HI = (Message("user", "Hi"),)
WEATHER = Tool("weather", "Of a city", {"type": "object", "properties": {"city": {}}})


def written(
    messages: tuple[Message, ...] = HI,
    *,
    model: str = "qwen3",
    capabilities: Capabilities = ALL,
    defaults: ChatDefaults | None = None,
    unsupported: Unsupported = None,
    extra: dict[str, Any] | None = None,
    stream: bool = False,
    **request: Any,
) -> Encoded:
    call = Call(
        request=ChatRequest(messages=messages, **request),
        model=model,
        unsupported=unsupported,
        extra=extra or {},
    )
    return encode(
        call,
        capabilities,
        defaults or ChatDefaults(),
        provider="ollama",
        levels=thinks_in_levels(model),
        stream=stream,
    )


def said(*messages: Message, **more: Any) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = written(messages, **more).body["messages"]
    return result


def test_a_request_says_what_it_is_and_nothing_more() -> None:
    assert written().body == {
        "model": "qwen3",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": False,
        "truncate": False,
    }
    assert written(stream=True).body["stream"] is True


def test_the_knobs_are_options_under_ollamas_names() -> None:
    body = written(max_tokens=7, temperature=0.5, top_p=0.9, stop=("END",), seed=1).body
    assert body["options"] == {
        "num_predict": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 1,
    }


def test_a_knob_that_the_model_does_not_take_is_left_out_with_a_warning() -> None:
    encoded = written(capabilities=Capabilities(sampling=frozenset()), seed=1, temperature=0.0)
    assert "options" not in encoded.body
    assert [line.split(":")[0] for line in encoded.warnings] == ["temperature", "seed"]


def test_the_table_s_options_come_along_and_the_request_wins() -> None:
    defaults = ChatDefaults(options={"num_ctx": 4096, "temperature": 0.1}, keep_alive="10m")
    body = written(defaults=defaults, temperature=0.9).body
    assert body["options"] == {"num_ctx": 4096, "temperature": 0.9}
    assert body["keep_alive"] == "10m"
    assert written(defaults=ChatDefaults(truncate=True)).body["truncate"] is True


def test_extra_fields_win_and_options_merge() -> None:
    extra = {"options": {"num_ctx": 1, "top_k": 3}, "keep_alive": 0, "logprobs": True}
    body = written(defaults=ChatDefaults(options={"num_ctx": 4096}), seed=2, extra=extra).body
    assert body["options"] == {"num_ctx": 1, "seed": 2, "top_k": 3}
    assert (body["keep_alive"], body["logprobs"]) == (0, True)


def test_extra_may_not_choose_between_stream_and_answer() -> None:
    with pytest.raises(InvalidRequestError, match=r"extra\.stream"):
        written(extra={"stream": True})


def test_instructions_are_system_messages_wherever_they_stand() -> None:
    roles = [m["role"] for m in said(Message("developer", "a"), *HI, Message("system", "b"))]
    assert roles == ["system", "user", "system"]


def test_images_lie_beside_the_text_as_bare_base64() -> None:
    parts = (
        Text("What is"),
        Image(data="QUJD", media_type="image/png"),
        Text("this?"),
        Image(data="data:image/png;base64,REVG"),
        Image(url="data:image/jpeg;base64,R0hJ"),
    )
    (message,) = said(Message("user", parts))
    assert message == {
        "role": "user",
        "content": "What is\nthis?",
        "images": ["QUJD", "REVG", "R0hJ"],
    }


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (Image(url="https://example.com/a.png"), "images"),
        (File(data="QUJD", media_type="application/pdf"), "files"),
        (Audio(data="QUJD", format="wav"), "audio"),
    ],
)
def test_what_ollama_cannot_read_is_refused_or_left_out_with_a_warning(
    part: Part, param: str
) -> None:
    message = Message("user", (Text("Look:"), part))
    with pytest.raises(UnsupportedParameterError) as caught:
        said(message)
    assert caught.value.param == param
    encoded = written((message,), unsupported="warn")
    assert encoded.body["messages"] == [{"role": "user", "content": "Look:"}]
    assert [line.split(":")[0] for line in encoded.warnings] == [param]


def test_a_model_that_does_not_see_gets_no_image() -> None:
    message = Message("user", (Image(data="QUJD"),))
    with pytest.raises(UnsupportedParameterError, match="not known to see"):
        said(message, capabilities=Capabilities(images=False))


def test_hints_are_left_out_with_one_warning_each() -> None:
    image = Image(data="QUJD", detail="high", cache="5m")
    message = Message("user", (Text("a", cache="5m"), image), name="Ann")
    encoded = written((message,))
    assert {line.split(":")[0] for line in encoded.warnings} == {"cache", "detail", "name"}
    assert len(encoded.warnings) == 3


def test_a_tool_loop_is_written_with_objects_names_and_ids() -> None:
    calls = (
        Text("Let me see."),
        ToolCall("a", "weather", '{"city": "Rome"}'),
        ToolCall("b", "time", ""),
    )
    turns = said(
        Message("user", "?"),
        Message("assistant", calls),
        Message("tool", "sunny", tool_call_id="a"),
        Message("tool", "no clock", tool_call_id="b", is_error=True),
        tools=(WEATHER,),
    )
    assert turns[1]["content"] == "Let me see."
    assert turns[1]["tool_calls"] == [
        {"id": "a", "function": {"name": "weather", "arguments": {"city": "Rome"}}},
        {"id": "b", "function": {"name": "time", "arguments": {}}},
    ]
    assert turns[2] == {
        "role": "tool",
        "content": "sunny",
        "tool_name": "weather",
        "tool_call_id": "a",
    }
    assert turns[3]["content"] == "Error: no clock"
    assert turns[3]["tool_name"] == "time"


def test_ids_that_repeat_from_turn_to_turn_stay_apart() -> None:
    turn = (
        Message("assistant", (ToolCall("call_0", "weather"),)),
        Message("tool", "x", tool_call_id="call_0"),
    )
    turns = said(*turn, *turn)
    first, second = turns[0]["tool_calls"][0]["id"], turns[2]["tool_calls"][0]["id"]
    assert first != second
    assert (turns[1]["tool_call_id"], turns[3]["tool_call_id"]) == (first, second)
    assert turns[3]["tool_name"] == "weather"


def test_arguments_that_are_no_object_travel_as_text() -> None:
    encoded = written((Message("assistant", (ToolCall("a", "f", "[1"),)),))
    (call,) = encoded.body["messages"][0]["tool_calls"]
    assert call["function"]["arguments"] == {"arguments": "[1"}
    assert "messages" in encoded.warnings[0]


def test_readable_thinking_goes_back_and_sealed_thinking_does_not() -> None:
    sealed = Native("anthropic", {"type": "thinking", "signature": "x"})
    parts = (
        Reasoning("hmm", sealed),
        Reasoning("aha "),
        Reasoning("so", Native("ollama", {})),
        NativeBlock(sealed),
        Text("It is 4", native=Native("openai-responses/openai", {"id": "msg"})),
        Refusal(" or not."),
    )
    encoded = written((Message("assistant", parts),))
    assert encoded.body["messages"] == [
        {"role": "assistant", "content": "It is 4 or not.", "thinking": "aha so"}
    ]
    assert len(encoded.warnings) == 3
    assert all("only its author" in line for line in encoded.warnings)


def test_tools_are_functions() -> None:
    assert written(tools=(WEATHER,)).body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Of a city",
                "parameters": WEATHER.parameters,
            },
        }
    ]


def test_a_model_without_tools_is_not_given_any() -> None:
    with pytest.raises(UnsupportedParameterError) as caught:
        written(tools=(WEATHER,), capabilities=Capabilities(tools=False))
    assert caught.value.param == "tools"


def test_another_vendors_tool_is_refused() -> None:
    search = Tool("search", native=Native("anthropic", {"type": "web_search_20250305"}))
    with pytest.raises(UnsupportedParameterError, match="anthropic"):
        written(tools=(search,))
    assert "tools" not in written(tools=(search,), unsupported="warn").body


def test_no_tool_choice_can_be_forced_but_none_can_be_kept() -> None:
    for choice in (ToolChoice("required"), ToolChoice(name="weather")):
        with pytest.raises(UnsupportedParameterError) as caught:
            written(tools=(WEATHER,), tool_choice=choice)
        assert caught.value.param == "tool_choice"
    body = written(tools=(WEATHER,), tool_choice=ToolChoice("none")).body
    assert "tools" not in body
    assert "tools" in written(tools=(WEATHER,), tool_choice=ToolChoice("auto")).body


def test_one_tool_at_a_time_is_only_a_wish() -> None:
    encoded = written(tools=(WEATHER,), parallel_tool_calls=False)
    assert [line.split(":")[0] for line in encoded.warnings] == ["parallel_tool_calls"]
    assert written(tools=(WEATHER,), parallel_tool_calls=True).warnings == ()


def test_the_answers_form_is_json_or_a_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert written(response_format=ResponseFormat("json")).body["format"] == "json"
    form = ResponseFormat("schema", schema=schema)
    assert written(response_format=form).body["format"] is schema
    with pytest.raises(UnsupportedParameterError):
        written(response_format=form, capabilities=Capabilities(schema=None))


def test_a_form_beside_tools_is_sent_with_a_warning() -> None:
    encoded = written(response_format=ResponseFormat("json"), tools=(WEATHER,))
    assert encoded.body["format"] == "json"
    assert encoded.warnings[0].startswith("response_format:")


@pytest.mark.parametrize(
    ("model", "effort", "think", "exact"),
    [
        ("qwen3", "none", False, True),
        ("qwen3", "medium", True, True),
        ("qwen3", "high", True, False),
        ("gpt-oss:20b", "low", "low", True),
        ("gpt-oss:20b", "high", "high", True),
        ("gpt-oss:20b", "none", "low", False),
        ("gpt-oss:20b", "max", "high", False),
    ],
)
def test_effort_becomes_think(model: str, effort: str, think: object, exact: bool) -> None:
    encoded = written(model=model, reasoning_effort=effort)
    assert encoded.body["think"] == think
    assert (encoded.warnings == ()) is exact
    if not exact:
        with pytest.raises(UnsupportedParameterError):
            written(model=model, reasoning_effort=effort, unsupported="raise")


def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    encoded = written(capabilities=Capabilities(), reasoning_effort="high")
    assert "think" not in encoded.body
    assert encoded.warnings[0].startswith("reasoning_effort:")
    assert written(capabilities=Capabilities(), reasoning_effort="none").warnings == ()


def test_every_body_is_json() -> None:
    parts = (Text("a"), Image(data="QUJD"))
    encoded = written(
        (Message("user", parts),), tools=(WEATHER,), stop=("x",), reasoning_effort="low"
    )
    assert json.loads(json.dumps(encoded.body)) == encoded.body


@pytest.mark.parametrize(
    ("model", "tools", "thinks", "sees"),
    [
        ("llama3", False, False, False),
        ("llama3:70b", False, False, False),
        ("llama3.1:8b", True, False, False),
        ("llama3.2", True, False, False),
        ("llama3.2-vision:11b", False, False, True),
        ("llama2", False, False, False),
        ("llava:7b", False, False, True),
        ("someone/llava", False, False, True),
        ("gemma3:1b", False, False, False),
        ("gemma3:12b", False, False, True),
        ("qwen2.5:7b", True, False, False),
        ("qwen2.5vl", False, False, True),
        ("qwen3:0.6b", True, True, False),
        ("qwen3-coder:30b", True, False, False),
        ("qwen3-vl", True, True, True),
        ("gpt-oss:120b-cloud", True, True, False),
        ("deepseek-r1:8b", True, True, False),
        ("phi3", False, False, False),
        ("phi4-mini", True, False, False),
        ("mistral", True, False, False),
        ("tinyllama", False, False, False),
        ("smollm2:135m", True, False, False),
        ("hf.co/someone/unheard-of-GGUF:Q4_K_M", True, False, False),
    ],
)
def test_what_a_name_tells_of_a_model(model: str, tools: bool, thinks: bool, sees: bool) -> None:
    found = capabilities_of(model)
    assert (found.tools, found.reasoning, found.images) == (tools, thinks, sees)
    assert not found.tool_choice
    assert not found.files


def test_which_models_leave_the_machine() -> None:
    assert is_cloud_model("gpt-oss:120b-cloud")
    assert is_cloud_model("glm-4.6:cloud")
    assert not is_cloud_model("gpt-oss:20b")
    assert not is_cloud_model("cloud-atlas")
