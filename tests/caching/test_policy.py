"""Which requests are cached, and which answers are stored."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from switchgear.caching.policy import why_not_cached, why_not_stored
from switchgear.config import Config
from switchgear.config.cache import CacheRules
from switchgear.messages import Native, Refusal, Text, Tool, ToolCall, ToolChoice
from tests.caching.values import entry, request, target

USUAL = CacheRules()
TOOL = Tool("f")
SEARCH = Tool("web", native=Native("anthropic", {"type": "web_search_20260209"}))


def cached(mode: Any = None, rules: CacheRules = USUAL, **fields: Any) -> bool:
    return why_not_cached(request(**fields), target(), rules, mode) is None


def test_a_plain_question_is_cached_and_so_is_one_without_a_temperature() -> None:
    assert cached()
    assert cached(temperature=0.0)
    assert cached(temperature=0.3)


def test_a_temperature_above_the_bound_is_not_cached_unless_asked() -> None:
    assert not cached(temperature=0.31)
    assert cached(temperature=0.7, rules=CacheRules(max_temperature=1.0))
    assert not cached(temperature=0.1, rules=CacheRules(max_temperature=0.0))
    assert cached("use", temperature=1.0)
    assert cached("refresh", temperature=1.0)


def test_tools_that_may_act_are_not_cached_unless_asked() -> None:
    assert not cached(tools=(TOOL,))
    assert not cached(tools=(TOOL,), tool_choice=ToolChoice("required"))
    assert cached(tools=(TOOL,), tool_choice=ToolChoice("none"))
    assert cached(tools=(TOOL,), rules=CacheRules(tools=True))
    assert cached("use", tools=(TOOL,))


def test_a_vendors_own_tools_act_by_themselves_and_need_the_calls_own_word() -> None:
    anyhow = CacheRules(tools=True)
    assert not cached(tools=(SEARCH,), rules=anyhow)
    assert not cached(tools=(SEARCH,), tool_choice=ToolChoice("none"), rules=anyhow)
    assert cached("use", tools=(SEARCH,))


def test_a_vendors_field_that_reaches_out_counts_as_a_tool() -> None:
    assert not cached(extra={"ollama": {"web_search_options": {"n": 1}}})
    assert not cached(extra={"ollama": {"tools": [{"type": "web_search"}]}})
    assert cached(extra={"ollama": {"tools": [], "mirostat": 1}})
    assert cached(extra={"openai": {"web_search_options": {"n": 1}}}), "nobody asks openai"
    assert cached("use", extra={"ollama": {"web_search_options": {"n": 1}}})
    chain = [{"model": "ollama/m", "extra": {"web_search_options": {"n": 1}}}]
    config = Config.from_dict({"groups": {"g": {"chain": chain}}}, environ={})
    assert why_not_cached(request(), target("g", config), USUAL, None) is not None


def test_skip_leaves_the_cache_alone_and_a_group_may_have_none() -> None:
    assert not cached("skip")
    off = CacheRules(enabled=False)
    assert not cached(rules=off)
    assert not cached("use", rules=off)
    assert not cached("refresh", rules=off)


def kept(rules: CacheRules = USUAL, **changes: Any) -> bool:
    asked = request(max_tokens=changes.pop("max_tokens", None))
    return why_not_stored(msgspec.structs.replace(entry(), **changes), asked, rules) is None


@pytest.mark.parametrize("reason", ["refusal", "content_filter", "pause", "error"])
def test_what_is_no_whole_answer_is_not_stored(reason: str) -> None:
    assert not kept(finish_reason=reason)


def test_whole_answers_are_stored() -> None:
    assert kept()
    assert kept(finish_reason="tool_calls", parts=(ToolCall("i", "f"),))


def test_a_cut_answer_is_whole_only_where_the_request_said_where_to_cut() -> None:
    assert not kept(finish_reason="length")
    assert kept(finish_reason="length", max_tokens=5)


def test_an_empty_answer_and_one_that_declines_are_not_stored() -> None:
    assert not kept(parts=())
    assert not kept(parts=(Text("well"), Refusal("no")))


def test_a_fallbacks_answer_is_not_stored_unless_asked() -> None:
    assert not kept(first_choice=False)
    assert kept(first_choice=False, rules=CacheRules(fallbacks=True))
