"""What is sent to the Responses API, and what is said about the rest."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter

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
from switchgear.providers.dialects.openai_responses import ResponsesDialect
from switchgear.providers.dialects.strict_schema import strict_obstacle
from switchgear.request import ChatRequest, ResponseFormat

ME = "openai-responses/openai"
THINKS = Capabilities(reasoning=True, sampling=frozenset())
PLAIN = Capabilities()
WEATHER = Tool("weather", "Tells it.", {"type": "object", "properties": {"city": {}}})
SEARCH = Tool("search", native=Native("openai-responses", {"type": "web_search"}))
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}


@functools.cache
def _sdk(stream: bool) -> TypeAdapter[Any]:
    params = ResponseCreateParamsStreaming if stream else ResponseCreateParamsNonStreaming
    return TypeAdapter(params)


def encode(
    *messages: Message,
    capabilities: Capabilities = PLAIN,
    extra: dict[str, Any] | None = None,
    unsupported: Unsupported = None,
    stream: bool = False,
    **request: Any,
) -> Encoded:
    """The encoded call, accepted by the SDK's own request types."""
    call = Call(
        request=ChatRequest(messages=messages or (Message("user", "Hi"),), **request),
        model="gpt-x",
        extra=extra or {},
        unsupported=unsupported,
    )
    encoded = ResponsesDialect("openai").encode(call, capabilities, stream=stream)
    _sdk(stream).validate_python(encoded.body, strict=True)
    return encoded


def items(*messages: Message, **more: Any) -> list[dict[str, Any]]:
    written = encode(*messages, **more).body["input"]
    assert isinstance(written, list)
    return written


def thought(number: int, **more: Any) -> Reasoning:
    data = {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": "gAAA"}
    return Reasoning("", Native(ME, {**data, **more}))


def assistant(*parts: Part) -> Message:
    return Message("assistant", parts)


# ── State ───────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_stored_and_reasoning_comes_encrypted() -> None:
    body = encode(capabilities=THINKS).body
    assert body["store"] is False
    assert body["include"] == ["reasoning.encrypted_content"]


def test_a_model_that_does_not_reason_is_not_asked_for_reasoning() -> None:
    body = encode().body
    assert body["store"] is False
    assert "include" not in body


def test_a_user_may_have_answers_stored_and_asks_for_more_to_be_included() -> None:
    extra = {"store": True, "include": ["web_search_call.action.sources"]}
    body = encode(capabilities=THINKS, extra=extra).body
    assert body["store"] is True
    assert body["include"] == ["reasoning.encrypted_content", "web_search_call.action.sources"]
    assert encode(capabilities=THINKS, extra={"include": []}).body["include"] == []


def test_a_summary_is_asked_for_beside_the_effort() -> None:
    extra = {"reasoning": {"summary": "auto"}}
    body = encode(capabilities=THINKS, reasoning_effort="high", extra=extra).body
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}


@pytest.mark.parametrize("field", ["background", "stream"])
def test_extra_may_not_change_how_the_answer_comes(field: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"extra.{field}: .*") as caught:
        encode(extra={field: True})
    assert caught.value.param == f"extra.{field}"


def test_a_stream_is_asked_for() -> None:
    assert encode(stream=True).body["stream"] is True
    assert "stream" not in encode().body


# ── Prompts ─────────────────────────────────────────────────────────────────────────────────────


def test_instructions_stay_where_they_were_said() -> None:
    written = items(
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("developer", "Now in French."),
        Message("user", "Again"),
    )
    assert [(item["role"], item["content"]) for item in written] == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("developer", "Now in French."),
        ("user", "Again"),
    ]


def test_pictures_and_documents_are_sent_as_data_urls_or_addresses() -> None:
    message = Message(
        "user",
        (
            Text("Look:"),
            Image(url="https://x.test/a.png"),
            Image(data="QQ==", media_type="image/jpeg", detail="high"),
            File(data="Qg==", media_type="application/pdf", filename="b.pdf"),
            File(data="Qg==", media_type="application/pdf"),
            File(url="https://x.test/c.pdf"),
            File(file_id="file-1"),
        ),
    )
    assert items(message)[0]["content"] == [
        {"type": "input_text", "text": "Look:"},
        {"type": "input_image", "detail": "auto", "image_url": "https://x.test/a.png"},
        {"type": "input_image", "detail": "high", "image_url": "data:image/jpeg;base64,QQ=="},
        {
            "type": "input_file",
            "filename": "b.pdf",
            "file_data": "data:application/pdf;base64,Qg==",
        },
        {
            "type": "input_file",
            "filename": "file.pdf",
            "file_data": "data:application/pdf;base64,Qg==",
        },
        {"type": "input_file", "file_url": "https://x.test/c.pdf"},
        {"type": "input_file", "file_id": "file-1"},
    ]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (Image(data="QQ==", media_type="image/png"), "images"),
        (File(data="QQ==", media_type="application/pdf"), "files"),
        (Audio("QQ==", "wav"), "audio"),
    ],
)
def test_what_the_model_cannot_see_is_refused_or_left_out_with_a_warning(
    part: Part, param: str
) -> None:
    blind = Capabilities(images=False, files=False)
    message = Message("user", (Text("Look:"), part))
    with pytest.raises(UnsupportedParameterError) as caught:
        encode(message, capabilities=blind)
    assert caught.value.param == param
    encoded = encode(message, capabilities=blind, unsupported="warn")
    assert encoded.body["input"][0]["content"] == [{"type": "input_text", "text": "Look:"}]
    assert encoded.warnings[0].startswith(f"{param}: left out")


def test_cache_marks_become_breakpoints_where_the_model_takes_them() -> None:
    message = Message("user", (Text("a", cache="5m"), Text("b", cache="1h"), Text("c")))
    marked = items(message, capabilities=Capabilities(prompt_cache=True))[0]["content"]
    assert [piece.get("prompt_cache_breakpoint") for piece in marked] == [
        {"mode": "explicit"},
        {"mode": "explicit", "ttl": "12h"},
        None,
    ]
    encoded = encode(message)
    assert "prompt_cache_breakpoint" not in encoded.body["input"][0]["content"][0]
    assert len(encoded.warnings) == 1
    assert encoded.warnings[0].startswith("cache: left out")


def test_a_name_is_left_out_with_a_warning() -> None:
    encoded = encode(Message("user", "Hi", name="ann"))
    assert encoded.warnings == ("messages[0].name: left out: this API has no names",)


# ── Answers that go back ────────────────────────────────────────────────────────────────────────


def test_own_reasoning_goes_back_whole_and_before_what_it_led_to() -> None:
    written = items(
        Message("user", "Hi"),
        assistant(
            thought(1, status=None, content=None),
            Text("I look it up."),
            thought(2),
            ToolCall("call_1", "weather", '{"city":"Oslo"}'),
            ToolCall("call_2", "weather", '{"city":"Rome"}'),
        ),
        Message("tool", "cold", tool_call_id="call_1"),
        Message("tool", "warm", tool_call_id="call_2"),
        capabilities=THINKS,
    )
    assert written[1:] == [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "content": "I look it up."},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"},
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city":"Oslo"}',
        },
        {
            "type": "function_call",
            "call_id": "call_2",
            "name": "weather",
            "arguments": '{"city":"Rome"}',
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "cold"},
        {"type": "function_call_output", "call_id": "call_2", "output": "warm"},
    ]


@pytest.mark.parametrize(
    "part",
    [
        Reasoning("hm", Native("anthropic", {"signature": "x"})),
        Reasoning("hm", Native("openai-responses/other", {"type": "reasoning", "id": "rs_1"})),
        Reasoning("hm"),
    ],
)
def test_reasoning_of_others_stays_away_with_a_warning(part: Reasoning) -> None:
    encoded = encode(Message("user", "Hi"), assistant(part, Text("Hello")), Message("user", "?"))
    assert [item["role"] for item in encoded.body["input"]] == ["user", "assistant", "user"]
    assert len(encoded.warnings) == 1
    assert encoded.warnings[0].startswith("history: reasoning")


def test_reasoning_without_encrypted_content_stays_away_unless_answers_are_stored() -> None:
    history = (
        Message("user", "Hi"),
        assistant(thought(1, encrypted_content=None), Text("Hello")),
        Message("user", "?"),
    )
    encoded = encode(*history, capabilities=THINKS)
    assert [item["type"] for item in encoded.body["input"]] == ["message"] * 3
    assert "without encrypted content" in encoded.warnings[0]
    stored = encode(*history, capabilities=THINKS, extra={"store": True})
    assert stored.body["input"][1]["id"] == "rs_1"
    assert stored.warnings == ()


def test_readable_reasoning_of_an_open_model_goes_back_as_it_is() -> None:
    content = [{"type": "reasoning_text", "text": "hm"}]
    part = thought(1, encrypted_content=None, content=content)
    written = items(Message("user", "Hi"), assistant(part, Text("Hello")))
    assert written[1]["content"] == content


def test_reasoning_that_led_to_nothing_stays_away() -> None:
    encoded = encode(
        Message("user", "Hi"), assistant(thought(1)), Message("user", "?"), capabilities=THINKS
    )
    assert [item["type"] for item in encoded.body["input"]] == ["message", "message"]
    assert encoded.warnings[0].startswith("history: reasoning that nothing follows")


def _cited(author: str = ME) -> Text:
    note = {
        "type": "url_citation", "url": "https://x.test", "title": "X", "start_index": 0,
        "end_index": 2,
    }  # fmt: skip
    data = {
        "id": "msg_1",
        "status": "completed",
        "phase": "final_answer",
        "annotations": [note],
    }
    return Text("Hello", native=Native(author, data))


def test_a_text_with_annotations_goes_back_as_the_whole_item() -> None:
    text = _cited()
    assert text.native is not None
    item = items(assistant(thought(1), text, Refusal("But no.")), capabilities=THINKS)[1]
    assert item["id"] == "msg_1"
    assert item["phase"] == "final_answer"
    assert item["status"] == "completed"
    assert item["content"][0]["annotations"] == text.native.data["annotations"]


def test_an_id_stays_away_where_its_reasoning_does() -> None:
    encoded = encode(assistant(thought(1, encrypted_content=None), _cited()))
    assert encoded.body["input"] == [
        {"type": "message", "role": "assistant", "content": "Hello", "phase": "final_answer"}
    ]
    assert any("annotations" in warning for warning in encoded.warnings)


def test_annotations_of_others_stay_away_with_a_warning() -> None:
    encoded = encode(assistant(_cited("anthropic")))
    assert encoded.body["input"] == [{"type": "message", "role": "assistant", "content": "Hello"}]
    assert encoded.warnings == (
        "history: a text's annotations of anthropic left out: only its author can read it",
    )


def test_the_phase_of_a_text_comes_back_from_any_provider_of_this_api() -> None:
    native = Native("openai-responses/azure", {"id": "msg_1", "phase": "commentary"})
    encoded = encode(assistant(Text("Let me see.", native=native), Text("Done.")))
    assert encoded.body["input"] == [
        {
            "type": "message",
            "role": "assistant",
            "content": "Let me see.",
            "phase": "commentary",
        },
        {"type": "message", "role": "assistant", "content": "Done."},
    ]
    assert encoded.warnings == ()


def test_hosted_tools_items_go_back_to_their_author_only() -> None:
    call = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {
        "type": "search", "query": "x", "queries": ["x"],
    }}  # fmt: skip
    history = (NativeBlock(Native(ME, call)), Text("Found."))
    assert items(assistant(*history))[0] == call
    foreign = (NativeBlock(Native("anthropic", {"type": "server_tool_use"})), Text("Found."))
    encoded = encode(assistant(*foreign))
    assert len(encoded.body["input"]) == 1
    assert "server_tool_use of anthropic left out" in encoded.warnings[0]


def test_a_users_approval_is_an_item_by_itself() -> None:
    approval = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    message = Message("user", (NativeBlock(Native("openai-responses", approval)), Text("Go on.")))
    assert items(message) == [
        approval,
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Go on."}],
        },
    ]


def test_a_custom_tools_call_and_its_result_keep_their_kind() -> None:
    native = Native(
        ME,
        {
            "type": "custom_tool_call",
            "id": "ctc_1",
            "call_id": "call_1",
            "name": "sql",
            "input": "SELECT 1",
            "status": "completed",
        },
    )
    written = items(
        assistant(ToolCall("call_1", "sql", '{"input":"SELECT 1"}', native)),
        Message("tool", "1", tool_call_id="call_1"),
    )
    assert written[0]["type"] == "custom_tool_call"
    assert written[0]["input"] == "SELECT 1"
    assert "arguments" not in written[0]
    assert written[1] == {"type": "custom_tool_call_output", "call_id": "call_1", "output": "1"}


def test_the_result_of_a_programs_call_says_which_program_asked() -> None:
    caller = {"type": "program", "caller_id": "call_9"}
    data = {"type": "function_call", "id": "fc_1", "status": "completed", "caller": caller}
    written = items(
        assistant(ToolCall("call_1", "stock", "{}", Native(ME, data)), ToolCall("call_2", "stock")),
        Message("tool", "12", tool_call_id="call_1"),
        Message("tool", "13", tool_call_id="call_2"),
    )
    assert written[0]["caller"] == caller
    assert written[2] == {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": "12",
        "caller": caller,
    }
    assert "caller" not in written[3]


def test_tool_results_may_hold_pictures_and_say_that_they_failed() -> None:
    written = items(
        assistant(ToolCall("c1", "see"), ToolCall("c2", "see"), ToolCall("c3", "see")),
        Message("tool", (Text("Here:"), Image(data="QQ==", media_type="image/png")), "c1"),
        Message("tool", "no such file", "c2", is_error=True),
        Message("tool", (), "c3", is_error=True),
    )
    assert written[3]["output"] == [
        {"type": "input_text", "text": "Here:"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,QQ=="},
    ]
    assert written[4]["output"] == "Error: no such file"
    assert written[5]["output"] == "Error: the tool failed"


def test_ids_that_the_api_refuses_are_replaced_in_calls_and_results() -> None:
    written = items(
        assistant(ToolCall("functions.weather:0", "weather"), ToolCall("", "weather")),
        Message("tool", "cold", tool_call_id="functions.weather:0"),
        Message("tool", "warm", tool_call_id=""),
    )
    first, second, cold, warm = (item["call_id"] for item in written)
    assert first == cold
    assert second == warm
    assert first != second


def test_an_assistants_picture_has_no_place() -> None:
    with pytest.raises(UnsupportedParameterError, match="images"):
        encode(assistant(Image(url="https://x.test/a.png")))


# ── Tools ───────────────────────────────────────────────────────────────────────────────────────


def test_functions_are_flat_and_strict_only_where_asked() -> None:
    strict = Tool("other", "", CLOSED, strict=True)
    assert encode(tools=(WEATHER, strict)).body["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "Tells it.",
            "parameters": WEATHER.parameters,
            "strict": False,
        },
        {
            "type": "function",
            "name": "other",
            "parameters": CLOSED,
            "strict": True,
        },
    ]


def test_hosted_tools_are_sent_as_they_are_and_others_refused() -> None:
    assert encode(tools=(SEARCH,)).body["tools"] == [{"type": "web_search"}]
    alien = Tool("code", native=Native("anthropic", {"type": "code_execution"}))
    with pytest.raises(UnsupportedParameterError, match="code is a tool of anthropic"):
        encode(tools=(alien,))


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("required"), "required"),
        (ToolChoice("none"), "none"),
        (ToolChoice("required", "weather"), {"type": "function", "name": "weather"}),
        (ToolChoice("required", "picture"), {"type": "image_generation"}),
        (ToolChoice("required", "sql"), {"type": "custom", "name": "sql"}),
        (ToolChoice("required", "wiki"), {"type": "mcp", "server_label": "wiki"}),
    ],
)
def test_tool_choice_has_the_apis_form(choice: ToolChoice, sent: Any) -> None:
    hosted = (
        Tool("picture", native=Native("openai-responses", {"type": "image_generation"})),
        Tool("sql", native=Native("openai-responses", {"type": "custom", "name": "sql"})),
        Tool("wiki", native=Native("openai-responses", {"type": "mcp", "server_label": "wiki"})),
    )
    assert encode(tools=(WEATHER, *hosted), tool_choice=choice).body["tool_choice"] == sent


def test_parallel_calls_are_a_hint() -> None:
    assert encode(tools=(WEATHER,), parallel_tool_calls=False).body["parallel_tool_calls"] is False
    encoded = encode(
        tools=(WEATHER,),
        parallel_tool_calls=False,
        capabilities=Capabilities(parallel_tool_calls=False),
    )
    assert "parallel_tool_calls" not in encoded.body
    assert encoded.warnings[0].startswith("parallel_tool_calls: left out")


def test_a_model_without_tools_refuses_them() -> None:
    with pytest.raises(UnsupportedParameterError) as caught:
        encode(tools=(WEATHER,), capabilities=Capabilities(tools=False))
    assert caught.value.param == "tools"


# ── The answer's form and the knobs ─────────────────────────────────────────────────────────────


def test_a_schema_binds_whenever_the_strict_subset_allows_it() -> None:
    wanted = ResponseFormat("schema", name="point", schema=CLOSED, description="A point.")
    encoded = encode(response_format=wanted)
    assert encoded.body["text"]["format"] == {
        "type": "json_schema",
        "name": "point",
        "schema": CLOSED,
        "strict": True,
        "description": "A point.",
    }
    assert encoded.warnings == ()


def test_a_schema_that_can_be_made_strict_is() -> None:
    loose = {"type": "object", "properties": {"a": {"type": "integer", "default": 1}}}
    encoded = encode(response_format=ResponseFormat("schema", schema=loose))
    form = encoded.body["text"]["format"]
    assert form["strict"] is True
    assert form["schema"]["required"] == ["a"]
    assert form["schema"]["properties"]["a"]["type"] == ["integer", "null"]
    assert form["schema"]["additionalProperties"] is False
    assert "required" not in loose
    assert encoded.warnings == ()


@pytest.mark.parametrize("change", [{"additionalProperties": True}, {"not": {}}, {"type": "array"}])
def test_a_schema_that_cannot_guides_with_a_warning(change: dict[str, Any]) -> None:
    schema = {**CLOSED, **change}
    encoded = encode(response_format=ResponseFormat("schema", schema=schema))
    assert encoded.body["text"]["format"]["strict"] is False
    assert encoded.body["text"]["format"]["schema"] == schema
    assert encoded.warnings[0].startswith("response_format: the schema guides but does not bind")
    with pytest.raises(UnsupportedParameterError, match="response_format"):
        encode(response_format=ResponseFormat("schema", schema=schema, strict=True))


def test_a_caller_who_says_not_strict_is_believed() -> None:
    wanted = ResponseFormat("schema", schema=CLOSED, strict=False)
    form = encode(response_format=wanted).body["text"]["format"]
    assert (form["schema"], form["strict"]) == (CLOSED, False)


@pytest.mark.parametrize(
    ("change", "obstacle"),
    [
        ({}, None),
        ({"additionalProperties": True}, "$ allows additional properties"),
        ({"required": []}, "$ has optional properties (a)"),
        ({"properties": {"a": {"type": "integer", "default": 1}}}, "$.a has 'default'"),
        ({"properties": {"a": {"items": {"type": "object"}}}}, "$.a[] allows additional"),
        ({"properties": {"a": {"anyOf": [{"allOf": []}]}}}, "$.a has 'allOf'"),
        ({"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": CLOSED}}, None),
        ({"$defs": {"x": {"type": "object"}}}, "$.x allows additional properties"),
        ({"properties": {"a": {"$ref": "#", "title": "A"}}}, "$.a has keywords beside $ref"),
        ({"properties": {"a": True}}, "$.a is not a schema"),
        ({"type": "array"}, "its root is not an object"),
    ],
)
def test_what_keeps_a_schema_out_of_strict_mode_is_named(
    change: dict[str, Any], obstacle: str | None
) -> None:
    found = strict_obstacle({**CLOSED, **change})
    assert found == obstacle if obstacle is None else obstacle in str(found)


def test_json_mode_comes_with_the_instruction_that_the_api_insists_on() -> None:
    encoded = encode(response_format=ResponseFormat("json"))
    assert encoded.body["text"] == {"format": {"type": "json_object"}}
    assert "JSON" in encoded.body["input"][0]["content"]
    assert encoded.warnings[0].startswith("response_format: ")
    told = encode(Message("user", "As JSON please"), response_format=ResponseFormat("json"))
    assert len(told.body["input"]) == 1
    assert told.warnings == ()


def test_a_model_without_schemas_answers_by_a_forced_tool() -> None:
    by_tool = Capabilities(schema="tool")
    wanted = ResponseFormat("schema", name="weather", schema=CLOSED)
    alone = encode(response_format=wanted, capabilities=by_tool)
    assert alone.answer_tool == "weather"
    assert alone.body["tool_choice"] == {"type": "function", "name": "weather"}
    assert "text" not in alone.body
    beside = encode(tools=(WEATHER,), response_format=wanted, capabilities=by_tool)
    assert beside.answer_tool == "weather_"
    assert beside.body["tool_choice"] == "required"
    assert beside.body["parallel_tool_calls"] is False
    must = encode(
        tools=(WEATHER,),
        tool_choice=ToolChoice("required"),
        response_format=wanted,
        capabilities=by_tool,
    )
    assert must.answer_tool is None


def test_a_model_with_neither_refuses() -> None:
    wanted = ResponseFormat("schema", schema=CLOSED)
    with pytest.raises(UnsupportedParameterError) as caught:
        encode(response_format=wanted, capabilities=Capabilities(schema=None))
    assert caught.value.param == "response_format"


def test_knobs_that_the_api_lacks_are_dropped_with_warnings_or_refused() -> None:
    encoded = encode(stop=("END",), seed=7, temperature=0.5, top_p=0.9, max_tokens=100)
    assert encoded.body["temperature"] == 0.5
    assert encoded.body["top_p"] == 0.9
    assert encoded.body["max_output_tokens"] == 100
    assert not {"stop", "seed"} & set(encoded.body)
    assert [warning.split(":")[0] for warning in encoded.warnings] == ["stop", "seed"]
    with pytest.raises(UnsupportedParameterError, match="seed"):
        encode(seed=7, unsupported="raise")


def test_a_reasoning_model_takes_no_temperature() -> None:
    encoded = encode(temperature=0.5, capabilities=THINKS)
    assert "temperature" not in encoded.body
    assert encoded.warnings[0].startswith("temperature: left out")


def test_effort_means_nothing_to_a_model_that_does_not_reason() -> None:
    encoded = encode(reasoning_effort="high")
    assert "reasoning" not in encoded.body
    assert encoded.warnings[0].startswith("reasoning_effort: left out")
