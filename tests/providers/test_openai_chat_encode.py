"""What Chat Completions are sent."""

from __future__ import annotations

from typing import Any

import msgspec
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
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from switchgear.providers.base import Call, Capabilities, Unsupported
from switchgear.providers.dialects import Encoded
from switchgear.providers.dialects.openai_chat import ChatDialect, ChatQuirks
from switchgear.providers.openai_models import facts
from switchgear.request import ChatRequest, ResponseFormat

WEATHER = Tool("weather", "The weather somewhere.", {"type": "object", "properties": {"at": {}}})
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
FREE = {"type": "object", "properties": {"n": {"type": "object"}}}
ALL = Capabilities(audio=True, reasoning=True)


def encode(
    *messages: Message,
    model: str = "some-model",
    capabilities: Capabilities = ALL,
    quirks: ChatQuirks = ChatQuirks(),  # noqa: B008 - frozen
    stream: bool = False,
    unsupported: Unsupported = None,
    extra: dict[str, Any] | None = None,
    **request: Any,
) -> Encoded:
    call = Call(
        request=ChatRequest(messages=messages or (Message("user", "Hi"),), **request),
        model=model,
        unsupported=unsupported,
        extra=extra or {},
    )
    return ChatDialect("p", quirks).encode(call, capabilities, stream=stream)


def sent(*messages: Message, **kwargs: Any) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = encode(*messages, **kwargs).body["messages"]
    return written


def openai(model: str) -> dict[str, Any]:
    known = facts(model)
    return {
        "model": model,
        "capabilities": known.capabilities,
        "quirks": ChatQuirks(
            max_tokens_field="max_completion_tokens",
            system_role="developer" if known.reasoning else "system",
            strict=True,
            openai_models=True,
            cache_breakpoints=known.cache_breakpoints,
        ),
    }


def test_the_smallest_request_says_nothing_that_was_not_asked() -> None:
    encoded = encode()
    assert encoded.body == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "Hi"}],
    }
    assert encoded.warnings == ()


def test_a_stream_asks_for_its_usage_unless_the_server_refuses_that() -> None:
    body = encode(stream=True).body
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert "stream_options" not in encode(stream=True, quirks=ChatQuirks(stream_usage=False)).body


@pytest.mark.parametrize(
    ("model", "role"), [("gpt-4o", "system"), ("o3", "developer"), ("gpt-5-mini", "developer")]
)
@pytest.mark.parametrize("given_role", ["system", "developer"])
def test_instructions_have_the_role_that_the_model_knows(
    model: str, role: str, given_role: Any
) -> None:
    messages = sent(Message(given_role, "Be brief."), Message("user", "Hi"), **openai(model))
    assert messages[0] == {"role": role, "content": "Be brief."}


def test_the_longest_answer_is_named_as_the_provider_does() -> None:
    assert encode(max_tokens=7).body["max_tokens"] == 7
    assert encode(max_tokens=7, **openai("gpt-5")).body["max_completion_tokens"] == 7


KNOBS: dict[str, Any] = {"temperature": 0.3, "top_p": 0.9, "stop": ("END",), "seed": 4}


def test_sampling_knobs_go_to_a_model_that_takes_them() -> None:
    body = encode(**KNOBS).body
    assert {key: body[key] for key in KNOBS} == {**KNOBS, "stop": ["END"]}


@pytest.mark.parametrize("model", ["o3", "o4-mini", "gpt-5", "gpt-5-nano", "gpt-5.6-sol"])
def test_a_reasoning_model_is_spared_the_knobs_that_it_refuses(model: str) -> None:
    encoded = encode(**KNOBS, **openai(model))
    assert encoded.body["seed"] == 4
    assert not {"temperature", "top_p", "stop"} & encoded.body.keys()
    assert [line.split(":")[0] for line in encoded.warnings] == ["temperature", "top_p", "stop"]
    with pytest.raises(UnsupportedParameterError) as caught:
        encode(**KNOBS, **openai(model), unsupported="raise")
    assert caught.value.param == "temperature"


@pytest.mark.parametrize(
    ("model", "effort", "taken"),
    [
        ("gpt-5.1", None, True),
        ("gpt-5.4", "none", True),
        ("gpt-5.4", "high", False),
        ("gpt-5.6-sol", "none", True),
        ("gpt-5.6-sol", None, False),
        ("gpt-5", "low", False),
        ("gpt-4o", None, True),
    ],
)
def test_temperature_is_taken_while_the_model_does_not_reason(
    model: str, effort: str | None, taken: bool
) -> None:
    encoded = encode(temperature=0.5, reasoning_effort=effort, **openai(model))
    assert ("temperature" in encoded.body) is taken


def test_effort_for_a_model_that_does_not_reason_is_a_warning() -> None:
    encoded = encode(reasoning_effort="high", **openai("gpt-4o"))
    assert "reasoning_effort" not in encoded.body
    assert encoded.warnings[0].startswith("reasoning_effort: left out")
    assert encode(reasoning_effort="high", **openai("o3")).body["reasoning_effort"] == "high"


def test_only_four_stop_sequences_fit_openai() -> None:
    encoded = encode(stop=tuple("abcde"), **openai("gpt-4o"))
    assert encoded.body["stop"] == list("abcd")
    assert "stop" in encoded.warnings[0]
    assert encode(stop=tuple("abcde")).body["stop"] == list("abcde")


def test_tools_and_their_choice() -> None:
    strict = msgspec.structs.replace(WEATHER, name="exact", strict=True)
    body = encode(
        tools=(WEATHER, strict),
        tool_choice=ToolChoice("required", "exact"),
        parallel_tool_calls=False,
    ).body
    first, second = body["tools"]
    assert first["type"] == "function"
    assert first["function"]["name"] == "weather"
    assert "strict" not in first["function"]
    assert second["function"]["strict"] is True
    assert body["tool_choice"] == {"type": "function", "function": {"name": "exact"}}
    assert body["parallel_tool_calls"] is False


@pytest.mark.parametrize("mode", ["auto", "required", "none"])
def test_a_choice_without_a_name_is_one_word(mode: Any) -> None:
    assert encode(tools=(WEATHER,), tool_choice=ToolChoice(mode)).body["tool_choice"] == mode


def test_without_tools_there_is_nothing_to_choose() -> None:
    body = encode(tool_choice=ToolChoice("auto"), parallel_tool_calls=True).body
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()


def test_what_a_model_cannot_do_with_tools() -> None:
    none = msgspec.structs.replace(ALL, tools=False)
    with pytest.raises(UnsupportedParameterError) as caught:
        encode(tools=(WEATHER,), capabilities=none)
    assert caught.value.param == "tools"
    encoded = encode(tools=(WEATHER,), capabilities=none, unsupported="warn")
    assert "tools" not in encoded.body
    assert encoded.warnings[0].startswith("tools: left out")

    unforced = msgspec.structs.replace(ALL, tool_choice=False, parallel_tool_calls=False)
    with pytest.raises(UnsupportedParameterError, match="tool_choice"):
        encode(tools=(WEATHER,), tool_choice=ToolChoice("required"), capabilities=unforced)
    encoded = encode(
        tools=(WEATHER,),
        tool_choice=ToolChoice("auto"),
        parallel_tool_calls=True,
        capabilities=unforced,
    )
    assert encoded.body["tool_choice"] == "auto"
    assert "parallel_tool_calls" not in encoded.body


def test_a_vendors_own_tool_goes_to_its_vendor_only() -> None:
    grammar = {"type": "custom", "custom": {"name": "sql"}}
    own = Tool("sql", native=Native("openai-chat", grammar))
    body = encode(tools=(own,), tool_choice=ToolChoice("required", "sql")).body
    assert body["tools"] == [grammar]
    assert body["tool_choice"] == {"type": "custom", "custom": {"name": "sql"}}
    foreign = Tool("web", native=Native("anthropic", {"type": "web_search"}))
    with pytest.raises(UnsupportedParameterError, match="tool of anthropic"):
        encode(tools=(foreign,))


def test_a_schema_is_kept_strictly_where_it_can_be() -> None:
    wanted = ResponseFormat("schema", "count", SCHEMA, description="A count.")
    form = encode(response_format=wanted, **openai("gpt-4o")).body["response_format"]
    assert form == {
        "type": "json_schema",
        "json_schema": {
            "name": "count",
            "description": "A count.",
            "schema": SCHEMA,
            "strict": True,
        },
    }


def test_an_optional_property_becomes_one_that_may_be_null() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    wanted = ResponseFormat("schema", "count", schema)
    form = encode(response_format=wanted, **openai("gpt-4o")).body["response_format"]
    assert form["json_schema"]["strict"] is True
    assert form["json_schema"]["schema"]["properties"]["n"]["type"] == ["integer", "null"]
    assert form["json_schema"]["schema"]["required"] == ["n"]


def test_a_schema_that_cannot_be_strict_guides_with_a_warning() -> None:
    encoded = encode(response_format=ResponseFormat("schema", "x", FREE), **openai("gpt-4o"))
    form = encoded.body["response_format"]["json_schema"]
    assert form["strict"] is False
    assert form["schema"] == FREE
    assert encoded.warnings[0].startswith("response_format: the schema guides")
    with pytest.raises(UnsupportedParameterError):
        encode(response_format=ResponseFormat("schema", "x", FREE, strict=True), **openai("gpt-4o"))


def test_a_compatible_server_gets_the_schema_as_it_is() -> None:
    form = encode(response_format=ResponseFormat("schema", "x", FREE)).body["response_format"]
    assert form == {"type": "json_schema", "json_schema": {"name": "x", "schema": FREE}}


def test_json_mode_comes_with_the_word_that_it_wants() -> None:
    encoded = encode(response_format=ResponseFormat("json"))
    assert encoded.body["response_format"] == {"type": "json_object"}
    assert "JSON" in encoded.body["messages"][0]["content"]
    assert "response_format" in encoded.warnings[0]
    already = encode(Message("user", "As json, please"), response_format=ResponseFormat("json"))
    assert len(already.body["messages"]) == 1
    assert already.warnings == ()


def test_json_mode_with_the_schema_as_an_instruction() -> None:
    encoded = encode(
        Message("system", "Be brief."),
        Message("user", "Count."),
        response_format=ResponseFormat("schema", "count", SCHEMA),
        quirks=ChatQuirks(schema="json_object"),
    )
    assert encoded.body["response_format"] == {"type": "json_object"}
    instructions = encoded.body["messages"][0]["content"]
    assert instructions.startswith("Be brief.\n\n")
    assert '"additionalProperties":false' in instructions
    assert "does not bind" in encoded.warnings[0]


def test_a_forced_tool_stands_in_for_a_schema() -> None:
    by_tool = msgspec.structs.replace(ALL, schema="tool")
    wanted = ResponseFormat("schema", "count", SCHEMA)
    encoded = encode(response_format=wanted, capabilities=by_tool)
    assert encoded.answer_tool == "count"
    assert encoded.body["tools"][0]["function"]["parameters"] == SCHEMA
    assert encoded.body["tool_choice"] == {"type": "function", "function": {"name": "count"}}
    assert "response_format" not in encoded.body


def test_a_forced_tool_leaves_the_others_a_chance() -> None:
    by_tool = msgspec.structs.replace(ALL, schema="tool")
    wanted = ResponseFormat("schema", "weather", SCHEMA)
    encoded = encode(response_format=wanted, capabilities=by_tool, tools=(WEATHER,))
    assert encoded.answer_tool == "weather_"
    assert [tool["function"]["name"] for tool in encoded.body["tools"]] == ["weather", "weather_"]
    assert encoded.body["tool_choice"] == "required"
    used = encode(
        response_format=wanted,
        capabilities=by_tool,
        tools=(WEATHER,),
        tool_choice=ToolChoice("required", "weather"),
    )
    assert used.answer_tool is None
    assert len(used.body["tools"]) == 1


def test_no_way_to_keep_to_a_schema_is_an_error() -> None:
    neither = msgspec.structs.replace(ALL, schema=None, json_object=False)
    for wanted in (ResponseFormat("schema", "x", SCHEMA), ResponseFormat("json")):
        with pytest.raises(UnsupportedParameterError) as caught:
            encode(response_format=wanted, capabilities=neither)
        assert caught.value.param == "response_format"


def test_images_files_and_audio() -> None:
    content = sent(
        Message(
            "user",
            (
                Text("Look:"),
                Image(url="https://x/i.png", detail="low"),
                Image(data="QUJD", media_type="image/png"),
                File(data="QUJD", media_type="application/pdf"),
                Audio("QUJD", "wav"),
            ),
        )
    )[0]["content"]
    assert content == [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "https://x/i.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        {
            "type": "file",
            "file": {
                "filename": "document.pdf",
                "file_data": "data:application/pdf;base64,QUJD",
            },
        },
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
    ]


def test_an_uploaded_file_goes_where_it_was_uploaded() -> None:
    message = Message("user", (File(file_id="file-1"),))
    content = sent(message, quirks=ChatQuirks(file_ids=True))[0]["content"]
    assert content == [{"type": "file", "file": {"file_id": "file-1"}}]
    with pytest.raises(UnsupportedParameterError, match="uploaded"):
        encode(message)
    with pytest.raises(UnsupportedParameterError, match="address"):
        encode(Message("user", (File(url="https://x/a.pdf"),)))


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (Image(url="https://x/i.png"), "images"),
        (File(data="QUJD", media_type="application/pdf"), "files"),
        (Audio("QUJD", "wav"), "audio"),
    ],
)
def test_a_blind_and_deaf_model_is_not_shown_anything(part: Any, param: str) -> None:
    blind = Capabilities(images=False, files=False, audio=False)
    message = Message("user", (Text("See"), part))
    with pytest.raises(UnsupportedParameterError) as caught:
        encode(message, capabilities=blind)
    assert caught.value.param == param
    encoded = encode(message, capabilities=blind, unsupported="warn")
    assert encoded.body["messages"][0]["content"] == "See"
    assert encoded.warnings[0].startswith(f"{param}: left out")


def test_an_assistants_turn_with_calls() -> None:
    messages = sent(
        Message("assistant", (Text("Let me see."), ToolCall("c1", "weather", '{"at":"Oslo"}'))),
        Message("tool", "Rain", tool_call_id="c1"),
    )
    assert messages == [
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"at":"Oslo"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "Rain"},
    ]


def test_ids_of_other_vendors_are_made_to_fit() -> None:
    long = "x" * 64
    history = (
        Message("assistant", (ToolCall(long, "weather"), ToolCall("a b", "weather"))),
        Message("tool", "Rain", tool_call_id=long),
        Message("tool", "Sun", tool_call_id="a b"),
    )
    messages = sent(*history)
    ids = [call["id"] for call in messages[0]["tool_calls"]]
    assert all(len(call_id) <= 40 and " " not in call_id for call_id in ids)
    assert [message["tool_call_id"] for message in messages[1:]] == ids

    nine = sent(*history, quirks=ChatQuirks(tool_call_ids="nine"))
    ids = [call["id"] for call in nine[0]["tool_calls"]]
    assert all(len(call_id) == 9 and call_id.isalnum() for call_id in ids)
    assert [message["tool_call_id"] for message in nine[1:]] == ids
    assert len(set(ids)) == 2


def test_a_failed_tool_says_so() -> None:
    def result(content: Any) -> Any:
        return sent(
            Message("assistant", (ToolCall("c1", "weather"),)),
            Message("tool", content, tool_call_id="c1", is_error=True),
        )[1]["content"]

    assert result("no such place") == "Error: no such place"
    assert result("Error: no such place") == "Error: no such place"
    assert result("") == "Error: the tool failed"
    assert result((Text("a"), Text("b")))[0]["text"] == "Error:"


def test_what_a_tool_shows_follows_its_results() -> None:
    messages = sent(
        Message("assistant", (ToolCall("c1", "look"), ToolCall("c2", "look"))),
        Message("tool", (Image(data="QUJD", media_type="image/png"),), tool_call_id="c1"),
        Message("tool", "nothing", tool_call_id="c2"),
        Message("user", "Well?"),
    )
    assert [message["role"] for message in messages] == [
        "assistant",
        "tool",
        "tool",
        "user",
        "user",
    ]
    assert messages[1]["content"]
    assert messages[3]["content"][1]["type"] == "image_url"
    assert "c1" in messages[3]["content"][0]["text"]


def test_a_foreign_history_loses_only_what_nobody_else_can_read() -> None:
    encoded = encode(
        Message("user", "Hi"),
        Message(
            "assistant",
            (
                Reasoning("Hm.", Native("anthropic", {"signature": "s"})),
                Text("Hello", native=Native("anthropic", {"citations": []})),
                NativeBlock(Native("anthropic", {"type": "server_tool_use"})),
            ),
        ),
        Message("user", "Go on"),
    )
    assert encoded.body["messages"][1] == {"role": "assistant", "content": "Hello"}
    assert len(encoded.warnings) >= 2
    assert all("anthropic" in line for line in encoded.warnings)


def test_readable_reasoning_goes_back_where_its_field_is_known() -> None:
    thought = Message("assistant", (Reasoning("Hm."), Text("Hello")))
    encoded = encode(thought)
    assert "reasoning_content" not in encoded.body["messages"][0]
    assert encoded.warnings == ("history: reasoning left out: this provider takes none back",)
    deepseek = ChatQuirks(reasoning_field="reasoning_content")
    assert sent(thought, quirks=deepseek)[0]["reasoning_content"] == "Hm."
    # DeepSeek answers 400 to a call without the field, whoever made the call.
    foreign = Message("assistant", (ToolCall("c", "weather"),))
    assert sent(foreign, quirks=deepseek)[0]["reasoning_content"] == ""


def test_reasoning_details_go_back_unmodified() -> None:
    details = [{"type": "reasoning.encrypted", "data": "xyz", "index": 0}]
    message = Message(
        "assistant", (Reasoning("Hm.", Native("openai-chat", {"reasoning_details": details})),)
    )
    openrouter = ChatQuirks(reasoning_field="reasoning", reasoning_details=True)
    written = sent(message, quirks=openrouter)[0]
    assert written["reasoning_details"] == details
    assert "reasoning" not in written


def test_what_this_api_wrote_goes_back_as_it_came() -> None:
    signed = {"google": {"thought_signature": "s"}}
    notes = [{"type": "url_citation", "url_citation": {"url": "https://x"}}]
    message = Message(
        "assistant",
        (
            Text("See", native=Native("openai-chat", {"annotations": notes})),
            ToolCall("c1", "weather", "{}", Native("openai-chat", {"extra_content": signed})),
            NativeBlock(Native("openai-chat", {"audio": {"id": "audio_1", "data": "QUJD"}})),
        ),
    )
    written = sent(message)[0]
    assert written["annotations"] == notes
    assert written["tool_calls"][0]["extra_content"] == signed
    assert written["audio"] == {"id": "audio_1"}


def test_a_strict_server_gets_nothing_that_another_server_of_this_api_added() -> None:
    data = {"custom": {"name": "sql", "input": "1"}, "extra_content": {"google": {}}}
    message = Message(
        "assistant",
        (
            Text("See", native=Native("openai-chat", {"annotations": [{"type": "x"}]})),
            ToolCall("c1", "sql", '{"input":"1"}', Native("openai-chat", data)),
            NativeBlock(Native("openai-chat", {"audio": {"id": "audio_1"}})),
        ),
    )
    encoded = encode(message, quirks=ChatQuirks(extra_fields=False))
    call = {"id": "c1", "type": "function"} | {
        "function": {"name": "sql", "arguments": '{"input":"1"}'}
    }
    (written,) = encoded.body["messages"]
    assert written == {"role": "assistant", "content": "See", "tool_calls": [call]}
    assert len(encoded.warnings) == 2
    assert all(warning.startswith("history: ") for warning in encoded.warnings)


def test_geminis_signatures_stay_away_from_openai() -> None:
    signed = Native("openai-chat", {"extra_content": {"google": {"thought_signature": "s"}}})
    encoded = encode(Message("assistant", (ToolCall("c1", "f", "{}", signed),)), **openai("gpt-4o"))
    (call,) = encoded.body["messages"][0]["tool_calls"]
    assert "extra_content" not in call
    assert any("the signature of a tool call" in warning for warning in encoded.warnings)


def test_pictures_that_the_model_made_stay_away_with_a_warning() -> None:
    made = NativeBlock(Native("openai-chat", {"images": [{"type": "image_url"}]}))
    encoded = encode(Message("assistant", (Text("Look."), made)))
    assert encoded.body["messages"][0] == {"role": "assistant", "content": "Look."}
    (warning,) = encoded.warnings
    assert warning.startswith("history: images that the model made left out")


def test_a_refusal_goes_back_as_one() -> None:
    written = sent(Message("assistant", (Refusal("I can't."),)))[0]
    assert written == {"role": "assistant", "content": None, "refusal": "I can't."}


def test_cache_marks_reach_the_models_that_take_them() -> None:
    message = Message("user", (Text("A long prefix", cache="1h"),))
    encoded = encode(message, **openai("gpt-5.6-sol"))
    block = encoded.body["messages"][0]["content"][0]
    assert block["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert "30 minutes" in encoded.warnings[0]
    older = encode(message, **openai("gpt-4o"))
    assert older.body["messages"][0]["content"] == "A long prefix"
    assert older.warnings[0].startswith("cache: left out")


def test_a_name_that_this_api_refuses_is_left_out_with_a_warning() -> None:
    assert sent(Message("user", "Hi", name="ann"))[0]["name"] == "ann"
    encoded = encode(Message("user", "Hi", name="Ann Lee"))
    assert "name" not in encoded.body["messages"][0]
    assert "name" in encoded.warnings[0]


def test_extra_fields_win_but_keep_the_form_of_the_answer() -> None:
    body = encode(extra={"logprobs": True, "temperature": 1.5, "n": 1}, temperature=0.1).body
    assert body["logprobs"] is True
    assert body["temperature"] == 1.5
    assert "n" not in body
    options = {"include_obfuscation": False}
    streamed = encode(extra={"stream_options": options}, stream=True).body
    assert streamed["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    assert "stream_options" not in encode(extra={"stream_options": options}).body


@pytest.mark.parametrize("extra", [{"n": 2}, {"stream": True}])
def test_extra_fields_that_would_break_the_answer_are_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        encode(extra=extra)
    assert caught.value.param == f"extra.{next(iter(extra))}"


_PARTS = st.one_of(
    st.builds(Text, st.text()),
    st.builds(Reasoning, st.text(), st.just(Native("ollama", {}))),
    st.builds(ToolCall, st.text(max_size=60), st.just("weather"), st.just("{}")),
    st.builds(Refusal, st.text(min_size=1)),
)


@given(st.lists(st.lists(_PARTS, max_size=4).map(tuple), max_size=4))
def test_any_history_becomes_one_that_the_api_accepts(turns: list[tuple[Any, ...]]) -> None:
    history = [Message("user", "Hi")]
    for parts in turns:
        message = Message("assistant", parts)
        history.append(message)
        seen: set[str] = set()
        for call in message.tool_calls:
            if call.id not in seen:
                history.append(Message("tool", "ok", tool_call_id=call.id))
            seen.add(call.id)
        history.append(Message("user", "Go on"))
    for written in sent(*history):
        if written["role"] == "assistant":
            ids = [call["id"] for call in written.get("tool_calls", ())]
            assert len(ids) == len(set(ids))
            assert all(0 < len(call_id) <= 40 for call_id in ids)
            assert isinstance(written["content"], str) or ids or written.get("refusal")
