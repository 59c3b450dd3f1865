from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from switchgear.accounting import PriceTable
from switchgear.accounting.bounds import Unbounded, Worst, worst_case, worst_embedding
from switchgear.accounting.cost import cost_of
from switchgear.accounting.tokens.counter import TokenCounter
from switchgear.accounting.tokens.prompt_bounds import (
    byte_bound,
    json_bound,
    prompt_bound,
    schema_bound,
)
from switchgear.completion import Usage
from switchgear.messages import (
    Audio,
    CacheTtl,
    File,
    Image,
    Message,
    Native,
    NativeBlock,
    Reasoning,
    Text,
    Tool,
    ToolCall,
)
from switchgear.request import ChatRequest, ResponseFormat

DAY = dt.date(2026, 11, 23)
TOKENS = TokenCounter()

# Prices with which every wrong rate gives a different sum.
PRICES = PriceTable.from_toml("""
[anthropic]
kinds = ["bedrock"]
[anthropic.default]
tiers = { batch = 0.5 }
regions = { us = 1.1 }
[anthropic.models."claude-x"]
tiers = { batch = 0.5, fast = 6 }
context_window = 200_000
max_output_tokens = 64_000
default_max_tokens = 4_096
prices = { input = 3, output = 15, cache_read = 0.3, cache_write_5m = 3.75, cache_write_1h = 6, long = { above = 100_000, input = 2, output = 1.5 } }
[anthropic.models."claude-plain"]
prices = { input = 3, output = 15 }

[openai]
tier_names = { default = "standard", fast = "priority" }
[openai.default]
regions = { "*" = 1.1 }
tiers = { batch = 0.5, flex = 0.5, priority = 2, ultrafast = 6 }
context_window = 128_000
max_output_tokens = 16_384
[openai.models."gpt-x"]
prices = { input = 2, output = 8, cache_read = 0.5, cache_write_5m = 2.5, cache_write_1h = 5, audio_input = 40, audio_output = 80 }
[openai.models."gpt-cheap"]
prices = { input = 0.000003, output = 0.000001 }
[openai.models."gpt-x-search-preview"]
prices = { input = 2, output = 8 }
[openai.models."embed-x"]
context_window = 8_192
prices = { input = 0.1, output = 0 }

[xai]
[xai.models."grok-x"]
max_output_tokens = 30_000
prices = { input = 2, output = 10 }

[somebody]
[somebody.models."m"]
tiers = { batch = 0.5, turbo = 3 }
prices = { input = 1, output = 2 }

[ollama]
free = true
""")  # noqa: E501 - TOML

HELLO = ChatRequest(messages=(Message("user", "Compare Raft and Paxos."),))
SEARCH = Tool("web_search", native=Native("anthropic", {"type": "web_search_20250305"}))
MILLIONTH = 1_000_000
"""Pico-dollars for a token at one dollar per million."""


def case(
    request: ChatRequest = HELLO,
    kind: str = "anthropic",
    model: str = "claude-x",
    *,
    max_tokens: int | None = 1000,
    extra: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    window: int | None = None,
    limit: int | None = None,
) -> Worst | Unbounded:
    return worst_case(
        request,
        kind=kind,
        model=model,
        max_tokens=max_tokens,
        extra=extra or {},
        headers=headers or {},
        context_window=window,
        max_output_tokens=limit,
        prices=PRICES,
        day=DAY,
        tokens=TOKENS,
    )


def worst(*args: Any, **options: Any) -> Worst:
    found = case(*args, **options)
    assert isinstance(found, Worst), found
    return found


def unbounded(*args: Any, **options: Any) -> Unbounded:
    found = case(*args, **options)
    assert isinstance(found, Unbounded), found
    return found


def gpt(request: ChatRequest = HELLO, **options: Any) -> Worst:
    return worst(request, "openai", "gpt-x", **options)


def rates(found: Worst, output: float) -> float:
    """USD per million input tokens that a bound reckons with, given those of its output."""
    rest = found.amount - round(found.output_tokens * output * MILLIONTH)
    return rest / found.input_tokens / MILLIONTH


def ask(*parts: Any, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=(Message("user", parts),), **fields)


# --- the amount ---------------------------------------------------------------------------------


def test_a_bound_is_the_longest_prompt_and_the_longest_answer_at_the_dearest_rates() -> None:
    found = worst(extra={"inference_geo": "global"})
    assert found.output_tokens == found.max_tokens == 1000
    assert found.input_tokens >= len("Compare Raft and Paxos.")
    assert found.amount == found.input_tokens * 3 * MILLIONTH + 1000 * 15 * MILLIONTH


def test_a_place_that_is_left_open_may_be_the_dearest() -> None:
    assert rates(worst(), 16.5) == pytest.approx(3.3)
    assert rates(worst(extra={"inference_geo": "us"}), 16.5) == pytest.approx(3.3)
    assert rates(worst(extra={"inference_geo": "global"}), 15) == 3


@pytest.mark.parametrize(
    ("tier", "factor"),
    [
        (None, 2.2),  # a project's settings may say priority
        ("auto", 2.2),
        ("default", 1.1),
        ("flex", 1.1),
        ("priority", 2.2),
        ("fast", 2.2),
        ("ultrafast", 6.6),
    ],
)
def test_a_tier_that_is_left_open_may_be_the_dearest_of_a_projects_settings(
    tier: str | None, factor: float
) -> None:
    found = gpt(extra={"service_tier": tier} if tier else None)
    assert rates(found, 8 * factor) == pytest.approx(2.5 * factor)


def test_a_tier_without_a_price_has_no_bound() -> None:
    found = unbounded(kind="openai", model="gpt-x", extra={"service_tier": "warp"})
    assert found.param == "extra.service_tier"
    assert unbounded(model="claude-plain", extra={"speed": "fast"}).param == "extra.speed"


def test_another_vendors_tiers_may_all_apply_but_batches() -> None:
    assert rates(worst(kind="somebody", model="m"), 6) == 3


def test_fast_mode_is_paid_for_only_where_it_is_asked_for() -> None:
    pinned = {"inference_geo": "global"}
    assert rates(worst(extra=pinned), 15) == 3
    assert rates(worst(extra=pinned | {"speed": "standard"}), 15) == 3
    assert rates(worst(extra=pinned | {"speed": "fast"}), 90) == 18


@pytest.mark.parametrize(
    ("request_", "extra", "rate"),
    [
        (HELLO, {}, 3),
        (ask(Text("a", cache="5m")), {}, 3.75),
        (ask(Text("a", cache="1h")), {}, 6),
        (ask(Image(url="https://e.org/x", cache="1h")), {}, 6),
        (ask(Text("a"), tools=(Tool("t", cache="5m"),)), {}, 3.75),
        (ask(Text("a", cache="1h"), Text("b", cache="5m")), {}, 6),
        (HELLO, {"cache_control": {"type": "ephemeral"}}, 3.75),
        (HELLO, {"cache_control": {"type": "ephemeral", "ttl": "1h"}}, 6),
        (ask(NativeBlock(Native("anthropic", {"type": "text", "cache_control": {}}))), {}, 6),
    ],
)
def test_anthropic_writes_to_its_cache_only_what_is_marked(
    request_: ChatRequest, extra: dict[str, Any], rate: float
) -> None:
    found = worst(request_, extra={"inference_geo": "global", **extra})
    assert rates(found, 15) == pytest.approx(rate)


def test_openai_may_write_to_its_cache_unasked_but_not_for_long() -> None:
    pinned = {"service_tier": "default"}
    assert rates(gpt(extra=pinned), 8.8) == pytest.approx(2.75)
    long = gpt(extra=pinned | {"prompt_cache_options": {"ttl": "12h"}})
    assert rates(long, 8.8) == pytest.approx(5.5)
    assert rates(gpt(ask(Text("a", cache="1h")), extra=pinned), 8.8) == pytest.approx(5.5)


def test_only_what_may_be_spoken_is_reckoned_as_speech() -> None:
    pinned = {"service_tier": "default"}
    heard = gpt(ask(Audio(base64.b64encode(b"x" * 100).decode(), "mp3")), extra=pinned)
    assert rates(heard, 8.8) == pytest.approx(44)
    spoken = gpt(extra=pinned | {"modalities": ["text", "audio"], "audio": {"voice": "alloy"}})
    assert rates(spoken, 88) == pytest.approx(2.75)


def test_a_long_prompt_is_reckoned_at_the_rates_of_its_step() -> None:
    pinned = {"inference_geo": "global"}
    long = worst(ask(Text("x" * 150_000)), extra=pinned)
    assert rates(long, 22.5) == pytest.approx(6)
    assert rates(worst(ask(Text("x" * 90_000)), extra=pinned), 15) == pytest.approx(3)


def test_a_fraction_of_a_pico_dollar_for_a_token_is_a_whole_one() -> None:
    found = worst(kind="openai", model="gpt-cheap", extra={"service_tier": "default"})
    assert found.amount == found.input_tokens * 4 + found.output_tokens * 2


def test_what_is_free_is_zero_and_nothing_else_is() -> None:
    free = worst(ask(Text("x" * 10_000), tools=(SEARCH,)), "ollama", "llama3", extra={"x": 1})
    assert free == Worst(0, 0, 0, None)
    assert unbounded(kind="ollama-cloud", model="llama3").param == "model"
    assert unbounded(model="claude-unheard-of").param == "model"


# --- the answer ---------------------------------------------------------------------------------


def test_an_answer_without_a_limit_gets_the_models_default_and_it_must_be_sent() -> None:
    found = worst(max_tokens=None)
    assert found.max_tokens == found.output_tokens == 4_096


def test_without_a_default_it_is_the_longest_that_the_model_can_give() -> None:
    found = gpt(max_tokens=None)
    assert found.max_tokens == found.output_tokens == 16_384
    declared = worst(kind="somebody", model="m", max_tokens=None, limit=9_000)
    assert declared.max_tokens == 9_000
    assert unbounded(kind="somebody", model="m", max_tokens=None).param == "max_tokens"


def test_the_bound_follows_what_the_adapter_sends() -> None:
    assert worst(max_tokens=500_000).output_tokens == 64_000, "lowered to what the model takes"
    assert gpt(max_tokens=1).output_tokens == 16, "raised to what the API takes"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_longer_answer_in_extra_counts(field: str) -> None:
    assert gpt(extra={field: 5_000}).output_tokens == 5_000
    assert gpt(extra={field: 50}).output_tokens == 1_000, "which of the two holds is not known"
    for endless in (None, -1, 0, "many", True, 1.5):
        found = unbounded(kind="openai", model="gpt-x", extra={field: endless})
        assert found.param == f"extra.{field}"


def test_several_answers_cost_severally() -> None:
    assert gpt(extra={"n": 3}).output_tokens == 3_000


def test_thinking_counts_within_the_answer_save_for_a_larger_budget() -> None:
    thinking = {"type": "enabled", "budget_tokens": 800}
    assert worst(extra={"thinking": thinking}).output_tokens == 1_000
    assert worst(extra={"thinking": thinking | {"budget_tokens": 9_000}}).output_tokens == 9_000
    assert worst(extra={"thinking": {"type": "adaptive"}}).output_tokens == 1_000


def test_where_reasoning_is_billed_besides_the_answer_it_counts_besides() -> None:
    assert worst(kind="xai", model="grok-x").output_tokens == 31_000


# --- the prompt ---------------------------------------------------------------------------------


def test_no_prompt_is_longer_than_the_window() -> None:
    assert worst(ask(Text("x" * 500_000))).input_tokens == 200_000
    assert worst(ask(Text("x" * 500_000)), window=90_000).input_tokens == 90_000
    wide = worst(ask(Text("x" * 500_000)), headers={"anthropic-beta": "context-1m-2025-08-07"})
    assert wide.input_tokens > 500_000


PDF = base64.b64encode(b"%PDF-1.7 ...").decode()


@pytest.mark.parametrize(
    "part",
    [
        File(PDF, "application/pdf"),
        File(PDF, "text/plain"),
        File(url="https://example.org/a.txt", media_type="text/plain"),
        File(file_id="file_1", media_type="text/plain"),
        NativeBlock(Native("openai-responses/x", {"type": "item_reference", "id": "msg_1"})),
        NativeBlock(Native("openai-chat", {"audio": {"id": "audio_1"}})),
        NativeBlock(Native("anthropic", {"type": "container_upload", "file_id": "f"})),
        Reasoning("", Native("openai-responses/x", {"type": "reasoning", "id": "rs_1"})),
    ],
)
def test_what_is_not_here_to_be_seen_is_bounded_by_the_window_alone(part: Any) -> None:
    assert gpt(ask(part)).input_tokens == 128_000
    assert unbounded(ask(part), "somebody", "m").param == "messages"


def test_an_image_for_a_model_of_an_unknown_vendor_is_bounded_by_the_window_alone() -> None:
    image = ask(Image(url="https://example.org/a.png"))
    assert worst(image).input_tokens < 10_000
    assert unbounded(image, "somebody", "m").param == "messages"
    assert worst(image, "somebody", "m", window=32_000).input_tokens == 32_000


def test_a_text_file_counts_by_its_bytes_and_a_huge_one_unread() -> None:
    small = File(base64.b64encode(b"x" * 500).decode(), "text/plain")
    assert 500 < worst(ask(small)).input_tokens < 1_000
    bare = prompt_bound(ask(Text("")), "claude-x").tokens or 0
    huge = prompt_bound(ask(File("eHh4" * 500_000, "text/plain")), "claude-x").tokens or 0
    assert huge - bare >= 11 * 1_500_000


def test_encrypted_reasoning_counts_by_its_bytes() -> None:
    data = {"type": "reasoning", "id": "rs_1", "encrypted_content": "x" * 3_000}
    found = gpt(ask(Reasoning("", Native("openai-responses/x", data))))
    assert 3_000 < found.input_tokens < 4_000


@given(st.text())
def test_bytes_bound_a_text_in_every_normal_form(text: str) -> None:
    import unicodedata

    bound = byte_bound(text)
    for form in (text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFKC", text)):
        assert len(form.encode()) <= bound


def test_a_ligature_of_a_whole_phrase_counts_as_the_phrase() -> None:
    assert byte_bound("\ufdfa") == 33


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


@given(values)
def test_json_is_never_longer_than_its_bound(value: Any) -> None:
    import json

    for ascii_only in (True, False):
        assert len(json.dumps(value, ensure_ascii=ascii_only).encode()) <= json_bound(value)


def test_a_tool_is_reckoned_as_rewritten_only_where_an_adapter_rewrites_it() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "description": "x" * 500}}}
    loose = worst(ask(Text("Hi"), tools=(Tool("t", "d", schema),))).input_tokens
    strict = worst(ask(Text("Hi"), tools=(Tool("t", "d", schema, strict=True),))).input_tokens
    assert loose + 500 < strict
    assert loose < worst().input_tokens + 1024 + 700


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.fixed_dictionaries(
            {"type": st.sampled_from(["string", "integer", "array"])},
            optional={
                "description": st.text(max_size=20),
                "minLength": st.integers(0, 9),
                "pattern": st.text(max_size=9),
            },
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_schema_that_an_adapter_rewrites_stays_within_its_bound(
    properties: dict[str, Any],
) -> None:
    from switchgear.providers.dialects.anthropic_schema import closed
    from switchgear.providers.dialects.strict_schema import bound_schema
    from switchgear.providers.unsupported import Unexpressed

    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    wanted = ResponseFormat("schema", schema=schema)
    for rewritten in (closed(schema)[0], bound_schema(wanted, Unexpressed(None, "p", "m"))[0]):
        assert json_bound(rewritten) <= schema_bound(schema)


# --- tools --------------------------------------------------------------------------------------


def native(author: str, **data: Any) -> ChatRequest:
    name = data.get("name", data["type"])
    return ask(Text("Hi"), tools=(Tool(name, native=Native(author, data)),))


@pytest.mark.parametrize(
    ("author", "data"),
    [
        ("anthropic", {"type": "web_search_20250305", "name": "web_search"}),
        ("anthropic", {"type": "web_fetch_20260309", "name": "web_fetch"}),
        ("anthropic", {"type": "code_execution_20260521", "name": "code_execution"}),
        ("anthropic", {"type": "tool_search_tool_regex_20251119", "name": "search"}),
        ("anthropic", {"type": "advisor_20260301", "name": "advisor"}),
        ("anthropic", {"type": "mcp_toolset", "mcp_server_name": "x"}),
        ("anthropic", {"type": "something_20991231", "name": "x"}),
        ("anthropic", {"type": "bash_20250124", "allowed_callers": ["code_execution_20260120"]}),
        ("openai-responses", {"type": "web_search"}),
        ("openai-responses", {"type": "file_search", "vector_store_ids": ["v"]}),
        ("openai-responses", {"type": "code_interpreter"}),
        ("openai-responses", {"type": "image_generation"}),
        ("openai-responses", {"type": "mcp", "server_label": "x"}),
        ("openai-responses", {"type": "shell"}),
        ("somebody", {"type": "custom"}),
    ],
)
def test_a_tool_that_runs_at_the_vendor_has_no_bound_whatever_the_window(
    author: str, data: dict[str, Any]
) -> None:
    found = unbounded(native(author, **data))
    assert found.param == "tools"
    assert TOKENS.upper_bound(native(author, **data), "claude-x", context_window=1000) is None


@pytest.mark.parametrize(
    ("kind", "definition"),
    [("bash_20250124", 245), ("text_editor_20250728", 700), ("computer_20251124", 735 + 499)],
)
def test_a_vendors_tool_that_the_caller_runs_costs_its_documented_definition(
    kind: str, definition: int
) -> None:
    without = worst().input_tokens
    with_tool = worst(native("anthropic", type=kind, name="it")).input_tokens
    assert without + 346 + 1.35 * definition < with_tool < without + 4_000


def test_a_definition_of_undocumented_size_is_bounded_by_the_window_alone() -> None:
    assert worst(native("anthropic", type="memory_20250818")).input_tokens == 200_000
    assert gpt(native("openai-responses", type="apply_patch")).input_tokens == 128_000


def test_a_free_text_tool_costs_its_own_text() -> None:
    assert gpt(native("openai-responses", type="custom", name="sql")).input_tokens < 2_000


def test_a_model_that_searches_by_itself_has_no_bound() -> None:
    assert unbounded(kind="openai", model="gpt-x-search-preview").param == "model"


def test_a_history_of_calls_pays_for_the_tools_that_an_adapter_declares() -> None:
    call = Message("assistant", (ToolCall("c1", "look_up", "{}"),))
    answered = Message("tool", "42", tool_call_id="c1")
    plain = prompt_bound(HELLO, "claude-x").tokens
    history = ChatRequest(messages=(*HELLO.messages, call, answered))
    assert (prompt_bound(history, "claude-x").tokens or 0) > (plain or 0) + 530


# --- fields and headers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "model", "field", "value"),
    [
        ("anthropic", "claude-x", "container", "c_1"),
        ("anthropic", "claude-x", "mcp_servers", []),
        ("anthropic", "claude-x", "context_management", {}),
        ("anthropic", "claude-x", "fallbacks", "default"),
        ("anthropic", "claude-x", "thread", {"type": "create"}),
        ("anthropic", "claude-x", "compaction", {}),
        ("anthropic", "claude-x", "billing_policy", {}),
        ("anthropic", "claude-x", "tools", []),
        ("anthropic", "claude-x", "messages", []),
        ("anthropic", "claude-x", "system", "Be brief."),
        ("anthropic", "claude-x", "model", "claude-plain"),
        ("anthropic", "claude-x", "output_config", {"task_budget": {}}),
        ("anthropic", "claude-x", "cache_control", {"ttl": "1y"}),
        ("anthropic", "claude-x", "anthropic_beta", ["mcp-client-2025-11-20"]),
        ("anthropic", "claude-x", "n", 1),
        ("anthropic", "claude-x", "speed", ["fast"]),
        ("anthropic", "claude-x", "cache_control", {"ttl": []}),
        ("openai", "gpt-x", "previous_response_id", "resp_1"),
        ("openai", "gpt-x", "conversation", "conv_1"),
        ("openai", "gpt-x", "prompt", {"id": "pmpt_1"}),
        ("openai", "gpt-x", "web_search_options", {}),
        ("openai", "gpt-x", "prediction", {"type": "content", "content": "x"}),
        ("openai", "gpt-x", "background", True),
        ("openai", "gpt-x", "context_management", []),
        ("openai", "gpt-x", "moderation", {}),
        ("openai", "gpt-x", "tools", []),
        ("openai", "gpt-x", "functions", []),
        ("openai", "gpt-x", "input", "x"),
        ("openai", "gpt-x", "messages", []),
        ("openai", "gpt-x", "model", "gpt-y"),
        ("openai", "gpt-x", "n", 0),
        ("openai", "gpt-x", "modalities", ["text", "video"]),
        ("openai", "gpt-x", "reasoning", {"mode": "pro"}),
        ("openai", "gpt-x", "prompt_cache_options", {"prewarm": True}),
        ("openai", "gpt-x", "a_field_of_tomorrow", 1),
        ("somebody", "m", "plugins", [{"id": "web"}]),
        ("somebody", "m", "models", ["another"]),
        ("somebody", "m", "reasoning", {"max_tokens": 9_000}),
        ("somebody", "m", "chat_template_kwargs", {}),
    ],
)
def test_a_field_that_may_cost_more_has_no_bound(
    kind: str, model: str, field: str, value: Any
) -> None:
    found = unbounded(kind=kind, model=model, extra={"temperature": 1, field: value})
    assert found.param == f"extra.{field}"
    assert found.fault.startswith(f"extra.{field} ")
    assert len(found.reason.split()) > 2
    assert found.way


@pytest.mark.parametrize(
    ("kind", "model", "extra"),
    [
        ("anthropic", "claude-x", {"top_k": 5, "metadata": {"user_id": "u"}}),
        ("anthropic", "claude-x", {"service_tier": "standard_only"}),
        ("bedrock", "claude-x", {"anthropic_version": "bedrock-2023-05-31"}),
        ("openai", "gpt-x", {"store": True, "user": "u", "logit_bias": {"1": 1}}),
        ("openai", "gpt-x", {"n": 1, "verbosity": "low", "prompt_cache_key": "k"}),
        ("openai", "gpt-x", {"reasoning": {"effort": "low", "summary": "auto"}}),
        ("openai", "gpt-x", {"include": ["message.output_text.logprobs"]}),
        ("somebody", "m", {"min_p": 0.1, "reasoning": {"effort": "high"}}),
        ("somebody", "m", {"thinking": {"type": "disabled"}}),
    ],
)
def test_a_field_that_changes_no_cost_leaves_the_bound_alone(
    kind: str, model: str, extra: dict[str, Any]
) -> None:
    assert worst(kind=kind, model=model, extra=extra) == worst(kind=kind, model=model)


def test_text_that_a_field_adds_is_counted() -> None:
    before = gpt().input_tokens
    assert gpt(extra={"instructions": "x" * 500}).input_tokens > before + 500
    form = {"format": {"type": "json_schema", "schema": {"description": "x" * 500}}}
    assert gpt(extra={"text": form}).input_tokens > before + 500
    assert worst(extra={"output_config": form}).input_tokens > worst().input_tokens + 500


@pytest.mark.parametrize(
    ("headers", "bounded"),
    [
        ({"anthropic-beta": "interleaved-thinking-2025-05-14,prompt-caching-2024-07-31"}, True),
        ({"Anthropic-Version": "2023-06-01", "X-Trace": "1", "HTTP-Referer": "x"}, True),
        ({"anthropic-beta": "pdfs-2024-09-25, mcp-client-2025-11-20"}, False),
        ({"Anthropic-Beta": "server-side-fallback-2026-07-01"}, False),
        ({"OpenAI-Beta": "assistants=v2"}, False),
        ({"X-Amzn-Bedrock-Service-Tier": "priority"}, False),
        ({"X-Vertex-AI-LLM-Shared-Request-Type": "priority"}, False),
    ],
)
def test_of_vendors_headers_only_the_known_ones_have_a_bound(
    headers: dict[str, str], bounded: bool
) -> None:
    found = case(headers=headers)
    assert isinstance(found, Worst) == bounded
    if isinstance(found, Unbounded):
        assert found.param.startswith("extra_headers.")


def test_an_ollama_that_costs_something_is_bounded_by_its_own_fields() -> None:
    table = PRICES.merged({"ollama": {"free": False, "models": {"m": {"prices": _PRICE}}}})

    def ollama(extra: dict[str, Any]) -> Worst | Unbounded:
        return worst_case(
            HELLO,
            kind="ollama",
            model="m",
            max_tokens=100,
            extra=extra,
            headers={},
            context_window=8_192,
            max_output_tokens=None,
            prices=table,
            day=DAY,
            tokens=TOKENS,
        )

    longer = ollama({"options": {"num_predict": 300, "top_k": 3}, "keep_alive": "5m"})
    assert isinstance(longer, Worst)
    assert longer.output_tokens == 300
    assert isinstance(ollama({"options": {"num_predict": -1}}), Unbounded)
    assert isinstance(ollama({"template": "x"}), Unbounded)


_PRICE = {"input": 1, "output": 2}


# --- embeddings ---------------------------------------------------------------------------------


def embedding(*texts: str, **extra: Any) -> Worst | Unbounded:
    return worst_embedding(
        texts,
        kind="openai",
        model="embed-x",
        extra=extra,
        prices=PRICES,
        day=DAY,
    )


def test_texts_to_embed_are_bounded_by_bytes_and_each_by_the_window() -> None:
    short = embedding("hello", "world", encoding_format="float")
    assert isinstance(short, Worst)
    assert 10 <= short.input_tokens <= 20
    assert (short.output_tokens, short.max_tokens) == (0, None)
    assert short.amount >= short.input_tokens * MILLIONTH // 10
    long = embedding("x" * 100_000, "a")
    assert isinstance(long, Worst)
    assert long.input_tokens < 8_192 + 10


def test_an_embedding_with_an_unknown_field_has_no_bound() -> None:
    found = embedding("hello", rerank=True)
    assert isinstance(found, Unbounded)
    assert found.param == "extra.rerank"


# --- the promise --------------------------------------------------------------------------------


@st.composite
def asked(draw: st.DrawFn) -> tuple[ChatRequest, str, str, dict[str, Any], bool, bool, int]:
    """A request, who is asked, its extra, whether sound goes in or out, and its cache marks."""
    marks: CacheTtl | None = draw(st.sampled_from((None, "5m", "1h")))
    hears = draw(st.booleans())
    parts: list[Any] = [Text(draw(st.text(max_size=50)) * 40, cache=marks)]
    if hears:
        parts.append(Audio(base64.b64encode(draw(st.binary(max_size=200))).decode(), "mp3"))
    extra: dict[str, Any] = {}
    speaks = False
    if draw(st.booleans()):
        kind, model = "anthropic", "claude-x"
        extra |= draw(st.sampled_from([{}, {"inference_geo": "us"}, {"speed": "fast"}]))
    else:
        kind, model = "openai", draw(st.sampled_from(["gpt-x", "gpt-cheap"]))
        speaks = draw(st.booleans())
        extra |= {"modalities": ["text", "audio"]} if speaks else {}
        tier = draw(st.sampled_from([None, "auto", "default", "flex", "priority"]))
        extra |= {"service_tier": tier} if tier else {}
    level = {None: 0, "5m": 1, "1h": 2}[marks]
    return ask(*parts), kind, model, extra, hears, speaks, level


@settings(deadline=None)
@given(asked(), st.data())
def test_no_usage_within_the_bound_costs_more_at_any_tier_and_place_that_can_apply(
    what: tuple[ChatRequest, str, str, dict[str, Any], bool, bool, int], data: st.DataObject
) -> None:
    request, kind, model, extra, hears, speaks, marks = what
    found = worst(request, kind, model, extra=extra)
    draw = data.draw
    prompt = draw(st.integers(0, found.input_tokens))
    spoken = draw(st.integers(0, prompt)) if hears else 0
    may_write = marks > 0 or kind == "openai"
    written = draw(st.integers(0, prompt - spoken)) if may_write else 0
    answer = draw(st.integers(0, found.output_tokens))
    usage = Usage(
        input_tokens=prompt,
        audio_input_tokens=spoken,
        cache_write_tokens=written,
        cache_write_1h_tokens=draw(st.integers(0, written)) if marks == 2 else 0,
        cache_read_tokens=draw(st.integers(0, prompt - spoken - written)),
        output_tokens=answer,
        reasoning_tokens=draw(st.integers(0, answer)),
        audio_output_tokens=draw(st.integers(0, answer)) if speaks else 0,
    )
    pinned = extra.get("service_tier")
    tiers = {
        "anthropic": {"standard", "fast"} if "speed" in extra else {"standard"},
        "openai": {"standard", "priority", "flex"}
        if pinned in {None, "auto"}
        else {"standard", "priority" if pinned == "priority" else "standard", "flex"},
    }[kind]
    for price in PRICES.variants(kind, model, DAY):
        if price.tier in tiers:
            cost = cost_of(usage, price)
            assert cost is not None
            assert cost <= found.amount
