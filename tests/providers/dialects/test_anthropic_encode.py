"""What leaves for Anthropic, checked against the API's own rules as the simulator holds them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

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
from switchgear.providers.anthropic_models import capabilities_of, traits_of
from switchgear.providers.base import Call
from switchgear.providers.dialects.anthropic_encode import (
    Encoded,
    Platform,
    encode as encode_call,
    encode_count,
)
from switchgear.request import ChatRequest, ResponseFormat
from switchgear.testing.anthropic.checks import check_messages
from switchgear.testing.seals import seal

HAIKU_3 = "claude-3-haiku-20240307"
SONNET_37 = "claude-3-7-sonnet-20250219"
HAIKU_45 = "claude-haiku-4-5-20251001"
SONNET_46 = "claude-sonnet-4-6"
OPUS_48 = "claude-opus-4-8"
SONNET_5 = "claude-sonnet-5"
OPUS_55 = "claude-opus-5-5"
SONNET_55 = "claude-sonnet-5-5"
MODELS = [HAIKU_3, SONNET_37, HAIKU_45, SONNET_46, OPUS_48, SONNET_5, OPUS_55, SONNET_55]

HELLO = (Message("user", "hello"),)
WEATHER = Tool(
    "weather",
    "The weather of a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
CLOCK = Tool("clock")
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()


def encode(
    *messages: Message,
    model: str = HAIKU_45,
    unsupported: Any = None,
    platform: Platform = "anthropic",
    extra: dict[str, Any] | None = None,
    **fields: Any,
) -> Encoded:
    request = ChatRequest(messages=messages or HELLO, **fields)
    call = Call(request=request, model=model, unsupported=unsupported, extra=extra or {})
    return encode_call(
        call,
        provider="anthropic",
        traits=traits_of(model),
        capabilities=capabilities_of(model),
        platform=platform,
    )


def accepted(encoded: Encoded) -> dict[str, Any]:
    """The body, once the API's own rules have found nothing wrong with it."""
    body: dict[str, Any] = json.loads(json.dumps(encoded.body))
    assert check_messages(body) is None, body
    return body


def thought(text: str) -> Reasoning:
    return Reasoning(text, Native("anthropic", {"signature": seal("thinking", text)}))


def called(*calls: ToolCall, before: tuple[Part, ...] = ()) -> Message:
    return Message("assistant", (*before, *calls))


def result(call_id: str, content: str | tuple[Part, ...] = "fine", **fields: Any) -> Message:
    return Message("tool", content, tool_call_id=call_id, **fields)


# -- the plainest ---------------------------------------------------------------------------------


def test_a_plain_question() -> None:
    assert encode(Message("user", "hello"), max_tokens=50).body == {
        "model": HAIKU_45,
        "max_tokens": 50,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }


def test_a_plain_question_goes_without_warning() -> None:
    assert encode(Message("user", "hello")).warnings == ()


@pytest.mark.parametrize(
    ("model", "tokens"), [(HAIKU_3, 4_096), (HAIKU_45, 16_384), ("llama-3", 4_096)]
)
def test_max_tokens_is_always_sent_since_the_api_requires_it(model: str, tokens: int) -> None:
    assert encode(model=model).body["max_tokens"] == tokens


def test_max_tokens_above_the_models_largest_is_lowered_and_said() -> None:
    encoded = encode(model=HAIKU_3, max_tokens=32_000)
    assert encoded.body["max_tokens"] == 4_096
    assert encoded.warnings == ("max_tokens: lowered to 4096, the most that this model takes",)


def test_extra_fields_go_into_the_body_as_they_are() -> None:
    assert encode(extra={"service_tier": "auto"}).body["service_tier"] == "auto"


def test_counting_sends_the_prompt_and_nothing_else() -> None:
    encoded = encode(tools=(WEATHER,), max_tokens=5, stop=("END",), temperature=0.5)
    body = encode_count(encoded)
    assert set(body) == {"model", "messages", "tools"}
    assert check_messages(body, counting=True) is None


# -- system ---------------------------------------------------------------------------------------


def test_leading_instructions_become_the_system_prompt() -> None:
    body = accepted(encode(Message("system", "Be kind."), *HELLO))
    assert body["system"] == "Be kind."
    assert len(body["messages"]) == 1


def test_several_leading_instructions_stay_apart() -> None:
    body = accepted(encode(Message("system", "A"), Message("developer", "B"), *HELLO))
    assert [block["text"] for block in body["system"]] == ["A", "B"]


def test_a_cache_mark_in_the_system_prompt() -> None:
    body = accepted(encode(Message("system", (Text("A", cache="1h"),)), *HELLO))
    assert body["system"] == [
        {"type": "text", "text": "A", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]


LATER = (Message("user", "one"), Message("system", "Speak French."), Message("user", "two"))


def test_a_later_instruction_keeps_its_rank_where_the_model_knows_one() -> None:
    encoded = encode(*LATER, Message("assistant", "deux"), Message("user", "x"), model=OPUS_48)
    roles = [turn["role"] for turn in accepted(encoded)["messages"]]
    assert roles == ["user", "system", "assistant", "user"]
    assert encoded.warnings == ()


def test_a_later_instruction_is_marked_as_such_where_the_model_knows_none() -> None:
    encoded = encode(*LATER)
    (turn,) = accepted(encoded)["messages"]
    texts = [block["text"] for block in turn["content"]]
    assert texts == ["one", "<system>\nSpeak French.\n</system>", "two"]
    assert encoded.warnings[0].startswith("messages: a system message inside")


def test_a_later_instruction_behind_the_models_turn_goes_into_the_users() -> None:
    encoded = encode(
        Message("user", "one"), Message("assistant", "un"), Message("system", "S"), model=OPUS_48
    )
    last = accepted(encoded)["messages"][-1]
    assert last == {
        "role": "user",
        "content": [{"type": "text", "text": "<system>\nS\n</system>"}],
    }


def test_nothing_to_say_is_an_error_here_and_not_there() -> None:
    with pytest.raises(InvalidRequestError) as error:
        encode(Message("user", " "))
    assert error.value.param == "messages"


def test_only_instructions_become_a_message() -> None:
    encoded = encode(Message("system", "Say hello."))
    assert accepted(encoded)["messages"][0]["content"][0]["text"] == "Say hello."
    assert encoded.warnings


# -- turns ----------------------------------------------------------------------------------------


def test_turns_of_one_role_are_merged() -> None:
    body = accepted(encode(Message("user", "a"), Message("user", "b")))
    assert [block["text"] for block in body["messages"][0]["content"]] == ["a", "b"]
    assert len(body["messages"]) == 1


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_blank_text_is_left_out(blank: str) -> None:
    body = accepted(
        encode(Message("user", (Text("a"), Text(blank))), Message("assistant", blank), *HELLO)
    )
    assert [block["text"] for block in body["messages"][0]["content"]] == ["a", "hello"]


def test_a_conversation_that_the_model_begins() -> None:
    encoded = encode(Message("assistant", "Welcome."), *HELLO)
    assert accepted(encoded)["messages"][0]["role"] == "user"
    assert encoded.warnings


def test_a_begun_answer_loses_the_white_space_at_its_end() -> None:
    encoded = encode(*HELLO, Message("assistant", "I think \n"))
    assert accepted(encoded)["messages"][-1]["content"][0]["text"] == "I think"
    assert encoded.warnings


@pytest.mark.parametrize("model", [SONNET_46, OPUS_55])
def test_a_begun_answer_where_the_model_continues_none(model: str) -> None:
    encoded = encode(*HELLO, Message("assistant", "I think"), model=model)
    turns = accepted(encoded)["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert encoded.warnings


def test_a_paused_turn_of_a_server_tool_goes_back_as_it_came() -> None:
    block = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    paused = Message("assistant", (Text("Let me look."), NativeBlock(Native("anthropic", block))))
    body = encode(*HELLO, paused, model=OPUS_55).body
    assert body["messages"][-1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "Let me look."}, block],
    }


# -- tools ----------------------------------------------------------------------------------------


def test_tools() -> None:
    body = accepted(encode(tools=(WEATHER, CLOCK)))
    assert body["tools"] == [
        {
            "name": "weather",
            "description": "The weather of a city.",
            "input_schema": WEATHER.parameters,
        },
        {"name": "clock", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("choice", "serial", "sent"),
    [
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("required"), None, {"type": "any"}),
        (ToolChoice("required", "clock"), True, {"type": "tool", "name": "clock"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            ToolChoice("required"),
            False,
            {"type": "any", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_tool_choice(choice: ToolChoice | None, serial: bool | None, sent: object) -> None:
    encoded = encode(tools=(WEATHER, CLOCK), tool_choice=choice, parallel_tool_calls=serial)
    assert accepted(encoded)["tool_choice"] == sent


@pytest.mark.parametrize("model", [OPUS_55, SONNET_55, "claude-fable-5-1"])
def test_a_model_that_cannot_be_made_to_use_a_tool(model: str) -> None:
    with pytest.raises(UnsupportedParameterError) as error:
        encode(tools=(CLOCK,), tool_choice=ToolChoice("required"), model=model)
    assert error.value.param == "tool_choice"
    encoded = encode(
        tools=(CLOCK,), tool_choice=ToolChoice("required"), model=model, unsupported="warn"
    )
    assert accepted(encoded)["tool_choice"] == {"type": "auto"}
    assert encoded.warnings[0].startswith("tool_choice: ")


def test_parallel_results_come_together_first_and_in_one_message() -> None:
    body = accepted(
        encode(
            *HELLO,
            called(ToolCall("a", "weather"), ToolCall("b", "clock"), before=(Text("Looking."),)),
            result("a", "sun"),
            Message("user", "hurry"),
            result("b", "noon"),
            tools=(WEATHER, CLOCK),
        )
    )
    assert body["messages"][-1]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "sun"},
        {"type": "tool_result", "tool_use_id": "b", "content": "noon"},
        {"type": "text", "text": "hurry"},
    ]


def test_a_result_may_be_an_error_a_picture_or_nothing() -> None:
    body = accepted(
        encode(
            *HELLO,
            called(ToolCall("a", "x"), ToolCall("b", "x"), ToolCall("c", "x")),
            result("a", "boom", is_error=True),
            result("b", (Text("see"), Image(data=PNG, media_type="image/png"))),
            result("c", ""),
        )
    )
    first, second, third = body["messages"][-1]["content"]
    assert first["is_error"] is True
    assert [block["type"] for block in second["content"]] == ["text", "image"]
    assert third == {"type": "tool_result", "tool_use_id": "c"}


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    encoded = encode(
        *HELLO,
        called(ToolCall("a", "x"), ToolCall("b", "x")),
        result("a"),
        Message("user", "never mind"),
    )
    missing = accepted(encoded)["messages"][-1]["content"][1]
    assert missing["tool_use_id"] == "b"
    assert missing["is_error"] is True
    assert "tool call b has no result" in encoded.warnings[0]


def test_ids_of_other_vendors_are_replaced_in_calls_and_results() -> None:
    body = accepted(encode(*HELLO, called(ToolCall("functions.x:0", "x")), result("functions.x:0")))
    call = body["messages"][1]["content"][0]
    assert body["messages"][2]["content"][0]["tool_use_id"] == call["id"] != "functions.x:0"


def test_arguments_that_are_no_json_do_not_stop_the_conversation() -> None:
    encoded = encode(*HELLO, called(ToolCall("a", "x", '{"city": ')), result("a"))
    assert accepted(encoded)["messages"][1]["content"][0]["input"] == {"arguments": '{"city": '}
    assert "no JSON object" in encoded.warnings[0]


def test_a_history_with_tools_declares_them_even_if_none_may_be_used_now() -> None:
    body = accepted(encode(*HELLO, called(ToolCall("a", "weather")), result("a")))
    assert [tool["name"] for tool in body["tools"]] == ["weather"]
    assert body["tool_choice"] == {"type": "none"}


def test_a_tool_of_the_vendors_own_goes_through_untouched() -> None:
    native = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    tool = Tool("web_search", native=Native("anthropic", native))
    assert accepted(encode(tools=(tool,)))["tools"] == [native]


def test_a_tool_of_another_vendors_own_is_refused() -> None:
    tool = Tool("browse", native=Native("openai-responses/openai", {"type": "web_search"}))
    with pytest.raises(UnsupportedParameterError) as error:
        encode(tools=(tool,))
    assert error.value.param == "tools"


def test_strict_tools_where_the_model_has_them() -> None:
    strict = Tool("weather", "", WEATHER.parameters, strict=True)
    (tool,) = accepted(encode(tools=(strict,)))["tools"]
    assert tool["strict"] is True
    assert tool["input_schema"]["additionalProperties"] is False
    encoded = encode(tools=(strict,), model=HAIKU_3)
    assert "strict" not in accepted(encoded)["tools"][0]
    assert encoded.warnings == ("strict: left out: this model has no strict tools",)


# -- what other vendors left in the history -------------------------------------------------------


def test_what_only_another_vendor_can_read_is_left_out_and_said() -> None:
    foreign = Native("openai-responses/openai", {"encrypted_content": "…"})
    encoded = encode(
        *HELLO,
        Message(
            "assistant",
            (Reasoning("hm", foreign), NativeBlock(foreign), Text("hi", native=foreign)),
        ),
        Message("user", "and?"),
    )
    assert accepted(encoded)["messages"][1]["content"] == [{"type": "text", "text": "hi"}]
    assert len(encoded.warnings) == 3
    assert all("openai-responses/openai" in line for line in encoded.warnings)


def test_its_own_thinking_goes_back_as_it_came_and_where_it_was() -> None:
    redacted = {"type": "redacted_thinking", "data": seal("redacted", "")}
    parts = (
        thought("step one"),
        Reasoning("", Native("anthropic", redacted)),
        Text("Looking."),
        ToolCall("a", "x"),
    )
    body = accepted(
        encode(*HELLO, Message("assistant", parts), result("a"), reasoning_effort="low")
    )
    content = body["messages"][1]["content"]
    assert [block["type"] for block in content] == [
        "thinking",
        "redacted_thinking",
        "text",
        "tool_use",
    ]
    assert content[0]["thinking"] == "step one"
    assert content[1] == redacted
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2_048}


def test_citations_go_back_with_their_text() -> None:
    citations = [{"type": "web_search_result_location", "url": "https://x", "encrypted_index": "e"}]
    part = Text("Sunny.", native=Native("anthropic", {"citations": citations}))
    body = accepted(encode(*HELLO, Message("assistant", (part,)), *HELLO))
    assert body["messages"][1]["content"] == [
        {"type": "text", "text": "Sunny.", "citations": citations}
    ]


def test_a_refusal_is_told_as_text() -> None:
    body = accepted(encode(*HELLO, Message("assistant", (Refusal("No."),)), *HELLO))
    assert body["messages"][1]["content"] == [{"type": "text", "text": "No."}]


# -- thinking -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "level"),
    [
        (HAIKU_45, None, None, None),
        (HAIKU_45, "none", None, None),
        (HAIKU_45, "minimal", {"type": "enabled", "budget_tokens": 1_024}, None),
        (SONNET_37, "high", {"type": "enabled", "budget_tokens": 16_384}, None),
        (SONNET_46, None, None, None),
        (SONNET_46, "none", None, None),
        (SONNET_46, "max", {"type": "adaptive"}, "max"),
        (OPUS_48, "xhigh", {"type": "adaptive"}, "xhigh"),
        (SONNET_5, "none", {"type": "disabled"}, None),
        (SONNET_55, "none", {"type": "between_tools"}, None),
        (OPUS_55, "minimal", {"type": "adaptive"}, "low"),
    ],
)
def test_effort(model: str, effort: str | None, thinking: object, level: str | None) -> None:
    encoded = encode(model=model, reasoning_effort=effort)
    body = accepted(encoded)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == level
    assert encoded.warnings == ()


@pytest.mark.parametrize(
    ("model", "effort", "level"), [(SONNET_46, "xhigh", "high"), (OPUS_55, "none", "low")]
)
def test_effort_that_the_model_lacks(model: str, effort: str, level: str) -> None:
    encoded = encode(model=model, reasoning_effort=effort)
    assert accepted(encoded)["output_config"] == {"effort": level}
    assert encoded.warnings[0].startswith("reasoning_effort: ")


def test_a_model_that_does_not_think() -> None:
    encoded = encode(model=HAIKU_3, reasoning_effort="high")
    assert "thinking" not in accepted(encoded)
    assert encoded.warnings == (f"reasoning_effort: left out: {HAIKU_3} does not take it",)


def test_a_budget_leaves_room_for_the_answer() -> None:
    body = accepted(encode(reasoning_effort="high"))
    assert body["max_tokens"] == 16_384 + body["thinking"]["budget_tokens"]
    body = accepted(encode(reasoning_effort="high", max_tokens=4_000))
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (4_000, 2_000)
    encoded = encode(reasoning_effort="high", max_tokens=800)
    assert "thinking" not in accepted(encoded)
    assert encoded.warnings


def test_a_tool_loop_that_another_vendor_began_goes_on_without_thinking() -> None:
    loop = (*HELLO, called(ToolCall("a", "x")), result("a"))
    encoded = encode(*loop, tools=(CLOCK,), reasoning_effort="high")
    assert "thinking" not in accepted(encoded)
    assert "signed thinking" in encoded.warnings[0]
    # The next question begins a new turn, and thinking is back.
    encoded = encode(
        *loop, Message("assistant", "done"), Message("user", "next"), reasoning_effort="high"
    )
    assert accepted(encoded)["thinking"]["type"] == "enabled"
    # Models that think as they see fit do not mind.
    assert "thinking" in accepted(encode(*loop, model=OPUS_48, reasoning_effort="high"))


def test_a_forced_tool_excludes_thinking() -> None:
    forced: dict[str, Any] = {"tools": (CLOCK,), "tool_choice": ToolChoice("required")}
    for model in (HAIKU_45, SONNET_46, OPUS_48):
        encoded = encode(model=model, reasoning_effort="high", **forced)
        assert "thinking" not in accepted(encoded)
        assert encoded.warnings[0].startswith("reasoning_effort: left out")
    encoded = encode(model=SONNET_5, **forced)
    assert accepted(encoded)["thinking"] == {"type": "disabled"}
    assert encoded.warnings[0].startswith("tool_choice: this request goes without thinking")


# -- sampling -------------------------------------------------------------------------------------


def test_sampling_asks_for_the_old_version_of_the_api() -> None:
    encoded = encode(temperature=0.3)
    assert accepted(encoded)["temperature"] == 0.3
    assert encoded.headers == {"anthropic-version": "2023-06-01"}
    assert encode().headers == {}


@pytest.mark.parametrize(
    ("platform", "version"), [("bedrock", "bedrock-2023-05-31"), ("vertex", "vertex-2023-10-16")]
)
def test_sampling_on_other_platforms(platform: Platform, version: str) -> None:
    encoded = encode(temperature=0.3, platform=platform)
    assert encoded.body["anthropic_version"] == version
    assert encoded.headers == {}


@pytest.mark.parametrize(
    ("model", "version"), [(HAIKU_45, "bedrock-2023-05-31"), (SONNET_46, "bedrock-2023-05-31")]
)
def test_older_models_on_bedrock_know_the_old_version_only(model: str, version: str) -> None:
    assert encode(model=model, platform="bedrock").body["anthropic_version"] == version
    assert "anthropic_version" not in encode(model=OPUS_48, platform="bedrock").body


@pytest.mark.parametrize("model", [OPUS_48, SONNET_5, OPUS_55, "claude-opus-9"])
def test_new_models_take_no_sampling(model: str) -> None:
    encoded = encode(model=model, temperature=0.3, top_p=0.9, seed=1, stop=("END",))
    assert accepted(encoded)["stop_sequences"] == ["END"]
    assert [line.split(":")[0] for line in encoded.warnings] == ["seed", "temperature", "top_p"]
    with pytest.raises(UnsupportedParameterError) as error:
        encode(model=model, temperature=0.3, unsupported="raise")
    assert error.value.param == "temperature"


def test_temperature_or_top_p_where_both_are_refused() -> None:
    encoded = encode(temperature=0.3, top_p=0.9)
    assert "top_p" not in accepted(encoded)
    assert encoded.warnings[0].startswith("top_p: ")
    assert accepted(encode(model=HAIKU_3, temperature=0.3, top_p=0.9))["top_p"] == 0.9


def test_temperature_ends_at_one_and_rests_while_the_model_thinks() -> None:
    assert accepted(encode(temperature=1.7))["temperature"] == 1
    encoded = encode(temperature=0.3, reasoning_effort="low")
    assert "temperature" not in accepted(encoded)
    assert encoded.warnings == ("temperature: left out: not while the model thinks",)


def test_blank_stop_sequences_are_left_out() -> None:
    encoded = encode(stop=("\n\n", "END"))
    assert accepted(encoded)["stop_sequences"] == ["END"]
    assert encoded.warnings[0].startswith("stop: ")


# -- pictures and files ---------------------------------------------------------------------------


def test_pictures() -> None:
    body = accepted(
        encode(
            Message(
                "user",
                (
                    Image(data=PNG, media_type="image/png", cache="5m"),
                    Image(data="/9j/4AAQ"),
                    Image(url="https://example.com/a.png", detail="high"),
                ),
            )
        )
    )
    first, second, third = body["messages"][0]["content"]
    assert first["source"] == {"type": "base64", "media_type": "image/png", "data": PNG}
    assert first["cache_control"] == {"type": "ephemeral"}
    assert second["source"]["media_type"] == "image/jpeg"
    assert third["source"] == {"type": "url", "url": "https://example.com/a.png"}


def test_files() -> None:
    pdf = base64.b64encode(b"%PDF-1.7").decode()
    text = base64.b64encode(b"hello").decode()
    content = accepted(
        encode(
            Message(
                "user",
                (
                    File(data=pdf, media_type="application/pdf", filename="a.pdf"),
                    File(data=text, media_type="text/markdown"),
                    File(url="https://example.com/a.pdf"),
                    File(file_id="file_1"),
                    File(data=PNG, media_type="image/png"),
                ),
            )
        )
    )["messages"][0]["content"]
    assert [block["source"]["type"] for block in content] == [
        "base64",
        "text",
        "url",
        "file",
        "base64",
    ]
    assert content[0]["title"] == "a.pdf"
    assert content[1]["source"]["data"] == "hello"
    assert content[4]["type"] == "image"


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (Audio(data="AAAA", format="wav"), "audio"),
        (File(data="UEsDBA==", media_type="application/msword"), "files"),
    ],
)
def test_what_the_models_cannot_read_is_refused(part: Part, param: str) -> None:
    message = Message("user", (Text("look"), part))
    with pytest.raises(UnsupportedParameterError) as error:
        encode(message)
    assert error.value.param == param
    encoded = encode(message, unsupported="warn")
    assert len(accepted(encoded)["messages"][0]["content"]) == 1
    assert encoded.warnings[0].startswith(f"{param}: left out")


# -- cache marks ----------------------------------------------------------------------------------


def marked(number: int, ttl: Any = "5m") -> Message:
    return Message("user", (Text(f"part {number}", cache=ttl),))


def test_the_mark_at_the_end_of_a_tools_result_is_the_results_own() -> None:
    call = Message("assistant", (ToolCall("toolu_1", "clock", "{}"),))
    seen = (Text("Noon."), Text("By my watch.", cache="1h"))
    encoded = encode(*HELLO, call, Message("tool", seen, tool_call_id="toolu_1"))
    result = accepted(encoded)["messages"][-1]["content"][0]
    assert result["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert result["content"] == [
        {"type": "text", "text": "Noon."},
        {"type": "text", "text": "By my watch."},
    ]


def test_the_last_four_cache_marks_are_kept() -> None:
    tool = Tool("clock", cache="5m")
    history = [Message("system", (Text("S", cache="5m"),)), *(marked(n) for n in range(4))]
    encoded = encode(*history, tools=(tool,))
    body = accepted(encoded)
    assert "cache_control" not in body["tools"][0]
    assert "cache_control" not in body["system"][0]
    assert all("cache_control" in block for block in body["messages"][0]["content"])
    assert encoded.warnings == ("cache: left out: 4 marks at most, the first 2 of 6 dropped",)
    assert history[0].parts[0] == Text("S", cache="5m")


def test_an_hour_behind_five_minutes_becomes_five_minutes() -> None:
    encoded = encode(marked(1, "1h"), marked(2, "5m"), marked(3, "1h"))
    controls = [b["cache_control"] for b in accepted(encoded)["messages"][0]["content"]]
    assert controls == [{"type": "ephemeral", "ttl": "1h"}, *[{"type": "ephemeral"}] * 2]
    assert encoded.warnings


# -- the form of the answer -----------------------------------------------------------------------

CITY = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 2}, "people": {"type": "integer"}},
    "required": ["name", "people"],
}
ANSWER = ResponseFormat("schema", name="city", schema=CITY)


def test_a_schema_is_kept_natively_where_the_model_can() -> None:
    encoded = encode(response_format=ANSWER)
    form = accepted(encoded)["output_config"]["format"]
    assert form["type"] == "json_schema"
    assert form["schema"]["additionalProperties"] is False
    assert "minLength" not in form["schema"]["properties"]["name"]
    assert "minLength" in form["schema"]["properties"]["name"]["description"]
    assert encoded.answer_tool is None
    assert encoded.warnings == ("response_format: not enforced, only told: name.minLength",)
    assert "minLength" in CITY["properties"]["name"]  # type: ignore[index]


def test_a_schema_is_kept_by_a_forced_tool_elsewhere() -> None:
    encoded = encode(response_format=ANSWER, model=HAIKU_3)
    body = accepted(encoded)
    assert encoded.answer_tool == "city"
    assert body["tool_choice"] == {"type": "tool", "name": "city"}
    assert body["tools"][0]["input_schema"] == CITY


def test_a_schema_beside_tools_lets_the_model_choose_which() -> None:
    tools = (CLOCK, Tool("city"))
    encoded = encode(response_format=ANSWER, tools=tools, model=HAIKU_3)
    body = accepted(encoded)
    assert body["tool_choice"] == {"type": "any"}
    assert encoded.answer_tool == "city_2"
    assert [tool["name"] for tool in body["tools"]] == ["clock", "city", "city_2"]


def test_a_schema_waits_while_a_tool_is_demanded() -> None:
    encoded = encode(
        response_format=ANSWER, tools=(CLOCK,), tool_choice=ToolChoice("required"), model=HAIKU_3
    )
    assert encoded.answer_tool is None
    assert encoded.warnings[0].startswith("response_format: ")


OPEN = ResponseFormat(
    "schema", schema={"type": "object", "additionalProperties": {"type": "string"}}
)


def test_a_schema_that_no_grammar_can_keep_goes_by_a_tool_or_is_refused() -> None:
    assert encode(response_format=OPEN).answer_tool == "answer"
    with pytest.raises(UnsupportedParameterError) as error:
        encode(response_format=OPEN, model=OPUS_55)
    assert error.value.param == "response_format"
    assert "keys of any name" in error.value.message


def test_any_json_object_is_asked_for_in_words() -> None:
    encoded = encode(Message("system", "Be brief."), *HELLO, response_format=ResponseFormat("json"))
    system = accepted(encoded)["system"]
    assert system[0]["text"] == "Be brief."
    assert "JSON object" in system[1]["text"]
    assert encoded.warnings


# -- any conversation -----------------------------------------------------------------------------

texts = st.sampled_from(["hi", "", " ", "tail \n", "日本語"])
ids = st.sampled_from(["toolu_1", "call_0", "functions.x:0", "ü", "1" * 80])


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Histories as they come out of ``normalise``: calls answered in order, from any vendor."""
    messages: list[Message] = []
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["user", "system", "assistant", "loop"]))
        if kind in {"user", "system"}:
            cache = draw(st.sampled_from([None, "5m", "1h"]))
            messages.append(Message(kind, (Text(draw(texts), cache=cache),)))  # type: ignore[arg-type]
            continue
        parts: list[Part] = []
        if draw(st.booleans()):
            first: list[Part] = [thought("hm"), Reasoning("?"), Refusal("no")]
            parts.append(draw(st.sampled_from(first)))
        parts.append(Text(draw(texts)))
        if kind == "loop":
            names = draw(st.lists(ids, min_size=1, max_size=3, unique=True))
            arguments = draw(st.sampled_from(["{}", '{"a": 1}', "[1]", "{"]))
            parts += [ToolCall(name, "clock", arguments) for name in names]
            messages.append(Message("assistant", tuple(parts)))
            messages += [result(name, draw(texts)) for name in names]
        else:
            messages.append(Message("assistant", tuple(parts)))
    if not any(m.role == "tool" or (m.role != "assistant" and m.text.strip()) for m in messages):
        messages.append(Message("user", "hello"))
    return messages


@given(
    messages=conversations(),
    model=st.sampled_from(MODELS),
    effort=st.sampled_from([None, "none", "low", "max"]),
    choice=st.sampled_from([None, ToolChoice("required"), ToolChoice("required", "clock")]),
    tools=st.booleans(),
    form=st.sampled_from([None, ANSWER, OPEN, ResponseFormat("json")]),
    temperature=st.sampled_from([None, 0.2, 1.0, 2.0]),
    top_p=st.sampled_from([None, 0.5, 1.0]),
    max_tokens=st.sampled_from([None, 100, 5_000, 500_000]),
)
def test_whatever_comes_the_api_accepts_it(  # noqa: PLR0917
    messages: list[Message],
    model: str,
    effort: str | None,
    choice: ToolChoice | None,
    tools: bool,
    form: ResponseFormat | None,
    temperature: float | None,
    top_p: float | None,
    max_tokens: int | None,
) -> None:
    encoded = encode(
        *messages,
        model=model,
        unsupported="warn",
        reasoning_effort=effort,
        tools=(CLOCK,) if tools else (),
        tool_choice=choice if tools else None,
        response_format=form,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
    )
    accepted(encoded)
