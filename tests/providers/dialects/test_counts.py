"""A usage that makes no sense must not cost the answer that came with it, nor look exact."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchgear.completion import Usage
from switchgear.messages import Message
from switchgear.providers.base import Call, EmbedCall, Embedding, Reply, ResponseMeta
from switchgear.providers.dialects import (
    Encoded,
    ollama_chat_decode,
    ollama_embeddings,
    openai_chat_decode,
    openai_embeddings,
    openai_responses_decode,
)
from switchgear.providers.dialects.anthropic_decode import decode_reply
from switchgear.providers.dialects.anthropic_stream import AnthropicDecoder
from switchgear.providers.dialects.counts import LARGEST, count
from switchgear.providers.dialects.openai_chat_stream import ChatDecoder
from switchgear.providers.wire import WireResponse
from switchgear.request import ChatRequest

META = ResponseMeta()


def response(body: dict[str, Any]) -> WireResponse:
    return WireResponse(json.dumps(body).encode(), META)


def chat(usage: Any, **more: Any) -> Reply:
    choice = {"message": {"content": "hi"}, "finish_reason": "stop"}
    body = {"choices": [choice], "usage": usage, **more}
    return openai_chat_decode.decode(response(body), Encoded({}), provider="p", model="m")


def responses(usage: Any, **more: Any) -> Reply:
    item = {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}
    body = {"status": "completed", "output": [item], "usage": usage, **more}
    return openai_responses_decode.decode(
        response(body), Encoded({}), provider="p", model="m", author="a"
    )


def messages(usage: Any, **more: Any) -> Reply:
    content = [{"type": "text", "text": "hi"}]
    body = {"content": content, "stop_reason": "end_turn", "usage": usage, **more}
    return decode_reply(
        json.dumps(body).encode(), provider="p", model="m", meta=META, answer_tool=None, warnings=()
    )


def ollama(prompt: Any, answer: Any) -> Reply:
    body = {"message": {"content": "hi"}, "done": True, "prompt_eval_count": prompt}
    call = Call(request=ChatRequest(messages=(Message("user", "hi"),)), model="m")
    return ollama_chat_decode.decode(
        response(body | {"eval_count": answer}), call, Encoded({}), provider="p"
    )


def embedding(usage: Any) -> Embedding:
    body = {"data": [{"embedding": [0.5], "index": 0}], "usage": usage, "service_tier": "flex"}
    return openai_embeddings.decode(
        response(body), EmbedCall(inputs=("hi",), model="m"), provider="p"
    )


NONSENSE = [-1, 1.5, LARGEST + 1, 10**30, True, False, "many", "-3", "1e3", [], [3], {}, {"n": 3}]


@pytest.mark.parametrize("value", NONSENSE)
def test_what_is_no_count_is_none(value: object) -> None:
    assert count(value) is None


@pytest.mark.parametrize("value", [12, 12.0, "12", "012"])
def test_a_count_may_be_written_in_several_ways(value: object) -> None:
    assert count(value) == 12


@pytest.mark.parametrize("value", NONSENSE)
def test_a_total_that_is_no_count_leaves_the_usage_to_be_estimated(value: object) -> None:
    assert chat({"prompt_tokens": value, "completion_tokens": 5}).usage is None
    assert chat({"prompt_tokens": 5, "completion_tokens": value, "total_tokens": 9}).usage is None
    assert responses({"input_tokens": value, "output_tokens": 5}).usage is None
    assert responses({"input_tokens": 5, "output_tokens": value}).usage is None
    assert messages({"input_tokens": value, "output_tokens": 5}).usage is None
    assert messages({"input_tokens": 5, "output_tokens": value}).usage is None
    assert ollama(5, value).usage is None
    assert embedding({"prompt_tokens": value}).usage is None


@pytest.mark.parametrize("value", NONSENSE)
def test_a_part_that_is_no_count_marks_the_usage_as_estimated(value: object) -> None:
    expected = Usage(input_tokens=9, output_tokens=5, estimated=True)
    totals = {"prompt_tokens": 9, "completion_tokens": 5}
    assert chat({**totals, "prompt_tokens_details": {"cached_tokens": value}}).usage == expected
    assert chat({**totals, "num_search_queries": value}).usage == expected
    totals = {"input_tokens": 9, "output_tokens": 5}
    details = {"cached_tokens": value}
    assert responses({**totals, "input_tokens_details": details}).usage == expected
    assert messages({**totals, "cache_read_input_tokens": value}).usage == expected
    searches = {"web_search_requests": value}
    assert messages({**totals, "server_tool_use": searches}).usage == expected


@pytest.mark.parametrize("value", [3, "none", True, [1]])
def test_a_group_of_counts_that_is_none_marks_the_usage_as_estimated(value: object) -> None:
    expected = Usage(input_tokens=9, output_tokens=5, estimated=True)
    totals = {"prompt_tokens": 9, "completion_tokens": 5}
    assert chat({**totals, "prompt_tokens_details": value}).usage == expected
    totals = {"input_tokens": 9, "output_tokens": 5}
    assert responses({**totals, "output_tokens_details": value}).usage == expected
    assert messages({**totals, "cache_creation": value}).usage == expected


@pytest.mark.parametrize("value", [None, 3, "none", True, [], {}])
def test_a_usage_that_is_none_leaves_the_answer(value: object) -> None:
    for reply in (chat(value), responses(value), messages(value)):
        assert reply.usage is None
        assert reply.finish_reason == "stop"
    assert embedding(value).usage is None


def test_null_and_missing_parts_are_no_contradiction() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": None}
    details = {"cached_tokens": None, "audio_tokens": None}
    assert chat(usage).usage == Usage(input_tokens=9, output_tokens=5)
    assert chat({**usage, "prompt_tokens_details": details}).usage == chat(usage).usage


def test_a_server_that_counts_nothing_is_not_believed() -> None:
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert chat(nothing).usage is None
    assert messages({"input_tokens": 0, "output_tokens": 7}).usage is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
FIELDS = [
    *("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"),
    *("prompt_tokens_details", "input_tokens_details", "cache_creation", "server_tool_use"),
    *("cache_read_input_tokens", "cache_creation_input_tokens", "cached_tokens", "iterations"),
    *("prompt_cache_hit_tokens", "citation_tokens", "reasoning_tokens", "num_search_queries"),
]


@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_no_usage_breaks_an_answer_or_counts_below_zero(usage: dict[str, Any]) -> None:
    for reply in (chat(usage), responses(usage, tool_usage=usage), embedding(usage)):
        known = reply.usage
        if known is not None:
            assert min(getattr(known, name) for name in Usage.__struct_fields__) >= 0
            assert known.input_tokens > 0 or isinstance(reply, Reply)
    known = messages(usage).usage
    assert known is None or min(getattr(known, name) for name in Usage.__struct_fields__) >= 0


def test_groqs_own_place_for_the_usage_of_a_stream_is_known() -> None:
    decoder = ChatDecoder(Encoded({}), done_marker=True, provider="p", model="m")
    counts = {"prompt_tokens": 90, "completion_tokens": 38, "total_tokens": 128}
    chunk = {
        "choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}],
        "x_groq": {"id": "r", "usage": counts},
    }
    decoder.feed(b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n")
    assert decoder.snapshot(META).usage == Usage(input_tokens=90, output_tokens=38)


def test_moonshots_place_for_the_usage_of_a_stream_is_known() -> None:
    decoder = ChatDecoder(Encoded({}), done_marker=True, provider="p", model="m")
    counts = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "cached_tokens": 8}
    chunk = {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop", "usage": counts}]}
    decoder.feed(b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n")
    expected = Usage(input_tokens=9, output_tokens=3, cache_read_tokens=8)
    assert decoder.snapshot(META).usage == expected


def test_an_empty_usage_does_not_take_back_what_was_told() -> None:
    decoder = ChatDecoder(Encoded({}), done_marker=True, provider="p", model="m")
    for usage in ({"prompt_tokens": 9, "completion_tokens": 3}, {}, None):
        chunk = {"choices": [{"delta": {"content": "hi"}}], "usage": usage}
        decoder.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    assert decoder.snapshot(META).usage == Usage(input_tokens=9, output_tokens=3)


def test_counts_that_leave_the_cache_out_are_put_together_by_the_total() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 1015}
    read = chat({**usage, "prompt_tokens_details": {"cached_tokens": 1000}}).usage
    assert read == Usage(input_tokens=1010, output_tokens=5, cache_read_tokens=1000)


def test_writes_to_a_cache_are_known_by_their_time_to_live() -> None:
    written = {"cached_tokens": 10, "cache_creation_tokens": 50}
    kept = {"cache_creation_token_details": {"ephemeral_1h_input_tokens": 20}}
    usage = {"prompt_tokens": 100, "completion_tokens": 5}
    assert chat({**usage, "prompt_tokens_details": written | kept}).usage == Usage(
        input_tokens=100,
        output_tokens=5,
        cache_read_tokens=10,
        cache_write_tokens=50,
        cache_write_1h_tokens=20,
    )


def test_reasoning_that_cannot_be_inside_the_answer_is_beside_it() -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 94}}
    usage = {"prompt_tokens": 32, "completion_tokens": 9, **details}
    assert chat(usage).usage == Usage(input_tokens=32, output_tokens=103, reasoning_tokens=94)


def test_seconds_of_sound_have_no_price_by_the_token() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "prompt_audio_seconds": 12}
    known = chat(usage).usage
    assert known is not None
    assert known.estimated


def test_what_xai_ran_by_itself_is_counted() -> None:
    tools = {"web_search_calls": 2, "x_search_calls": 3, "code_interpreter_calls": 1}
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "server_side_tool_usage_details": {**tools, "file_search_calls": 4, "mcp_calls": 7},
    }
    assert chat(usage).usage == Usage(
        input_tokens=9, output_tokens=5, web_searches=5, file_searches=4, code_sessions=1
    )


def test_images_made_on_the_way_are_said_to_be_billed_apart() -> None:
    image = {"type": "image_generation_call", "id": "ig_1", "result": ""}
    reply = responses({"input_tokens": 9, "output_tokens": 5}, output=[image])
    assert reply.usage == Usage(input_tokens=9, output_tokens=5, estimated=True)
    assert any("generated image" in line for line in reply.warnings)


def test_hosted_shells_run_in_containers_too() -> None:
    hosted = {"type": "container_reference", "container_id": "c1"}
    calls = [
        {"type": "shell_call", "id": "1", "environment": hosted},
        {"type": "shell_call", "id": "2", "environment": {"type": "local"}},
        {"type": "code_interpreter_call", "id": "3", "container_id": "c1"},
        {"type": "code_interpreter_call", "id": "4", "container_id": "c2"},
    ]
    reply = responses({"input_tokens": 9, "output_tokens": 5}, output=calls)
    assert reply.usage == Usage(input_tokens=9, output_tokens=5, code_sessions=2)


@pytest.mark.parametrize("tier", [None, 3, "", {"name": "flex"}])
def test_a_tier_that_is_no_word_is_not_told(tier: object) -> None:
    assert chat({}, service_tier=tier).tier is None
    assert responses({}, service_tier=tier).tier is None
    assert messages({"service_tier": tier}).tier is None


def test_tiers_and_regions_are_handed_on_in_the_vendors_words() -> None:
    assert chat({}, service_tier="flex").tier == "flex"
    assert responses({}, service_tier="priority").tier == "priority"
    assert embedding({}).tier == "flex"
    fast = messages({"service_tier": "standard", "speed": "fast", "inference_geo": "us"})
    assert (fast.tier, fast.region) == ("fast", "us")
    batch = messages({"service_tier": "batch", "speed": "standard", "inference_geo": "global"})
    assert (batch.tier, batch.region) == ("batch", None)


def test_a_stream_that_stops_early_still_knows_its_prompt() -> None:
    decoder = AnthropicDecoder(provider="p", model="m")
    usage = {"input_tokens": 12, "service_tier": "standard", "inference_geo": "us"}
    start = {"type": "message_start", "message": {"id": "1", "usage": usage}}
    decoder.feed(b"data: " + json.dumps(start).encode() + b"\n\n")
    reply = decoder.snapshot(META)
    assert reply.usage == Usage(input_tokens=12, estimated=True)
    assert (reply.tier, reply.region) == ("standard", "us")


def test_ollamas_embeddings_are_counted_leniently_too() -> None:
    for told, known in ((12, Usage(input_tokens=12)), (-1, None), ("x", None), (None, None)):
        body = {"embeddings": [[0.5]], "prompt_eval_count": told}
        reply = ollama_embeddings.decode_embeddings(
            response(body), EmbedCall(inputs=("hi",), model="m"), provider="p"
        )
        assert reply.usage == known
