"""What vendors really send, through the real decoders and the table that is shipped, to a price.

Each row is the usage as a vendor writes it: out of recorded traffic (``../shared/wire``), of the
vendor's documentation, or of public logs. ``parts`` is the bill written by hand, tokens times USD
per million as the vendor's page states it, and ``usd`` its sum. Where the vendor itself told what
it charged, the row says so, and ``usd`` is the vendor's number.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from switchgear.accounting.cost import cost_of
from switchgear.accounting.money import pico
from switchgear.accounting.prices.table import default_prices
from switchgear.completion import Usage
from switchgear.messages import Message
from switchgear.providers.base import Call, EmbedCall, ResponseMeta
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
from switchgear.providers.dialects.openai_chat_stream import ChatDecoder
from switchgear.providers.dialects.openai_responses_stream import ResponsesDecoder
from switchgear.providers.wire import WireResponse
from switchgear.request import ChatRequest

TODAY = dt.date(2026, 11, 23)
Parts = tuple[tuple[int, str], ...]


class Row(msgspec.Struct, frozen=True):
    """One usage, and what it costs."""

    table: str
    api: str
    model: str
    usage: dict[str, Any]
    usd: str | None
    parts: Parts = ()
    fees: str = "0"
    times: str = "1"
    more: dict[str, Any] = {}
    items: tuple[dict[str, Any], ...] = ()
    region: str | None = None
    day: dt.date = TODAY
    doubtful: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        """For pytest."""
        return f"{self.table}-{self.model.rpartition('/')[2]}-{self.note or 'plain'}".replace(
            " ", "_"
        )


ANTHROPIC = (
    Row(
        "anthropic", "messages", "claude-opus-4-6",
        {"input_tokens": 1402, "output_tokens": 20574, "cache_read_input_tokens": 5491496,
         "cache_creation_input_tokens": 90119, "service_tier": "standard"},
        "3.83035175",
        ((1402, "5"), (20574, "25"), (5491496, "0.5"), (90119, "6.25")),
        note="as its own client adds up",
    ),
    Row(
        "anthropic", "messages", "claude-sonnet-4-5-20250929",
        {"input_tokens": 105, "output_tokens": 6039, "cache_read_input_tokens": 7123,
         "cache_creation_input_tokens": 7345, "server_tool_use": {"web_search_requests": 1}},
        "0.13058065",
        ((105, "3"), (6039, "15"), (7123, "0.3"), (7345, "3.75")), fees="0.01",
        note="web search, from its pricing page",
    ),
    Row(
        "anthropic", "messages", "claude-sonnet-4-5",
        {"input_tokens": 25039, "output_tokens": 931, "cache_read_input_tokens": 0,
         "cache_creation_input_tokens": 0, "server_tool_use": {"web_fetch_requests": 1}},
        "0.089082", ((25039, "3"), (931, "15")),
        note="web fetch is free, from its pricing page",
    ),
    Row(
        "anthropic", "messages", "claude-opus-4-1-20250805",
        {"input_tokens": 10423, "output_tokens": 341, "cache_read_input_tokens": 0,
         "cache_creation_input_tokens": 0, "service_tier": "standard",
         "server_tool_use": {"web_search_requests": 1}},
        "0.19192", ((10423, "15"), (341, "75")), fees="0.01",
        note="recorded web search",
    ),
    Row(
        "anthropic", "messages", "claude-opus-4-5-20251101",
        {"input_tokens": 10, "cache_creation_input_tokens": 28649, "cache_read_input_tokens": 0,
         "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 28649},
         "output_tokens": 1, "service_tier": "standard", "inference_geo": "not_available"},
        "0.286565", ((10, "5"), (28649, "10"), (1, "25")),
        note="cache for an hour",
    ),
    Row(
        "anthropic", "messages", "claude-sonnet-5",
        {"input_tokens": 2048, "cache_read_input_tokens": 1800,
         "cache_creation_input_tokens": 248, "output_tokens": 503,
         "cache_creation": {"ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100}},
        "0.011026",
        ((2048, "2"), (1800, "0.2"), (456, "2.5"), (100, "4"), (503, "10")),
        note="the example of its guide, whose parts are more than their sum",
    ),
    Row(
        "anthropic", "messages", "claude-opus-5",
        {"input_tokens": 1000, "output_tokens": 500, "service_tier": "standard", "speed": "fast"},
        "0.035", ((1000, "10"), (500, "50")),
        note="fast mode",
    ),
    Row(
        "anthropic", "messages", "claude-opus-5-5",
        {"input_tokens": 25, "output_tokens": 150, "inference_geo": "us"},
        "0.00341", ((25, "4"), (150, "20")), times="1.1",
        note="kept in the US, from its guide",
    ),
    Row(
        "anthropic", "messages", "claude-haiku-4-5",
        {"input_tokens": 1000, "output_tokens": 200, "service_tier": "batch"},
        "0.001", ((1000, "0.5"), (200, "2.5")),
        note="batch",
    ),
    Row(
        "anthropic", "messages", "claude-sonnet-5-5",
        {"input_tokens": 100, "output_tokens": 10, "service_tier": "priority"},
        "0.0003", ((100, "2"), (10, "10")),
        note="priority at the list price",
    ),
    Row(
        "anthropic", "messages", "claude-haiku-5-5",
        {"input_tokens": 100_000, "output_tokens": 1000},
        "0.0105", ((100_000, "0.1"), (1000, "0.5")),
        note="on the step",
    ),
    Row(
        "anthropic", "messages", "claude-haiku-5-5",
        {"input_tokens": 100_001, "output_tokens": 1000},
        "0.0525005", ((100_001, "0.5"), (1000, "2.5")),
        note="above the step",
    ),
    Row(
        "anthropic", "messages", "claude-haiku-5-5",
        {"input_tokens": 1, "cache_read_input_tokens": 100_000, "output_tokens": 10},
        "0.0050255", ((1, "0.5"), (100_000, "0.05"), (10, "2.5")),
        note="above the step by cached tokens",
    ),
    Row(
        "anthropic", "messages", "claude-opus-5",
        {"input_tokens": 29, "output_tokens": 391, "service_tier": "standard",
         "output_tokens_details": {"thinking_tokens": 180}},
        "0.00992", ((29, "5"), (391, "25")),
        note="thinking",
    ),
    Row(
        "anthropic", "messages", "claude-opus-5",
        {"input_tokens": 100, "output_tokens": 20, "iterations": [
            {"type": "compaction", "input_tokens": 1000, "output_tokens": 50},
            {"type": "message", "input_tokens": 100, "output_tokens": 20}]},
        "0.00725", ((1100, "5"), (70, "25")),
        note="compaction is not in the totals",
    ),
    Row(
        "anthropic", "messages", "claude-opus-5", {"input_tokens": 45, "output_tokens": 187}, None,
        more={"container": {"id": "container_1", "expires_at": "2026-11-23T21:13:31Z"}},
        note="code execution is charged by the hour",
    ),
    Row(
        "anthropic", "messages", "claude-opus-5",
        {"input_tokens": 45, "output_tokens": 187, "server_tool_use": {"web_fetch_requests": 2}},
        "0.0049", ((45, "5"), (187, "25")),
        more={"container": {"id": "container_1", "expires_at": "2026-11-23T21:13:31Z"}},
        note="code execution is free beside a fetch",
    ),
    Row(
        "bedrock", "messages", "us.anthropic.claude-opus-4-6-v1",
        {"input_tokens": 4, "cache_creation_input_tokens": 873, "cache_read_input_tokens": 179175,
         "output_tokens": 167, "service_tier": "standard", "inference_geo": "",
         "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 873}},
        "0.109162625",
        ((4, "5"), (873, "6.25"), (179175, "0.5"), (167, "25")), times="1.1", region="us",
        note="regional profile",
    ),
    Row(
        "bedrock", "messages", "global.anthropic.claude-opus-4-6-v1",
        {"input_tokens": 4, "cache_creation_input_tokens": 873, "cache_read_input_tokens": 179175,
         "output_tokens": 167},
        "0.09923875",
        ((4, "5"), (873, "6.25"), (179175, "0.5"), (167, "25")), region="global",
        note="global profile",
    ),
    Row(
        "vertex", "messages", "claude-sonnet-4-5@20250929",
        {"input_tokens": 1000, "output_tokens": 100},
        "0.00495", ((1000, "3"), (100, "15")), times="1.1", region="europe-west1",
        note="a region",
    ),
)  # fmt: skip

OPENAI = (
    Row(
        "openai", "chat", "gpt-3.5-turbo",
        {"prompt_tokens": 39, "completion_tokens": 160, "total_tokens": 199},
        "0.0002595", ((39, "0.5"), (160, "1.5")),
        note="recorded, no details",
    ),
    Row(
        "openai", "chat", "gpt-4o-2024-08-06",
        {"prompt_tokens": 87, "completion_tokens": 283, "total_tokens": 370,
         "prompt_tokens_details": {"cached_tokens": 0},
         "completion_tokens_details": {"reasoning_tokens": 0}},
        "0.0030475", ((87, "2.5"), (283, "10")),
        note="recorded",
    ),
    Row(
        "openai", "chat", "gpt-4o-mini-2024-07-18",
        {"prompt_tokens": 1149, "completion_tokens": 353, "total_tokens": 1502,
         "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
         "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
                                       "accepted_prediction_tokens": 0}},
        "0.00030735", ((125, "0.15"), (1024, "0.075"), (353, "0.6")),
        more={"service_tier": "default"}, note="recorded, cached",
    ),
    Row(
        "openai", "chat", "gpt-5-nano-2025-08-07",
        {"prompt_tokens": 11, "completion_tokens": 228, "total_tokens": 239,
         "completion_tokens_details": {"reasoning_tokens": 192}},
        "0.00009175", ((11, "0.05"), (228, "0.4")),
        more={"service_tier": "default"}, note="recorded, reasoning",
    ),
    Row(
        "openai", "chat", "gpt-5-2025-08-07",
        {"prompt_tokens": 8, "completion_tokens": 82, "total_tokens": 90,
         "completion_tokens_details": {"reasoning_tokens": 64}},
        "0.00166", ((8, "2.5"), (82, "20")),
        more={"service_tier": "priority"}, note="recorded, priority",
    ),
    Row(
        "openai", "chat", "gpt-4-0613",
        {"prompt_tokens": 82, "completion_tokens": 16, "total_tokens": 98},
        "0.00342", ((82, "30"), (16, "60")),
        note="recorded",
    ),
    Row(
        "openai", "chat", "o4-mini", {"prompt_tokens": 100, "completion_tokens": 100},
        "0.001", ((100, "2"), (100, "8")),
        more={"service_tier": "fast"}, note="fast is priority",
    ),
    Row(
        "openai", "chat", "gpt-4o", {"prompt_tokens": 100, "completion_tokens": 100},
        "0.00125", ((100, "2.5"), (100, "10")),
        more={"service_tier": "scale"}, note="bought capacity at the list price",
    ),
    Row(
        "openai", "chat", "gpt-4o", {"prompt_tokens": 100, "completion_tokens": 100}, None,
        more={"service_tier": "flex"}, note="a tier that the table does not price",
    ),
    Row(
        "openai", "chat", "gpt-audio",
        {"prompt_tokens": 100, "completion_tokens": 150, "total_tokens": 250,
         "prompt_tokens_details": {"audio_tokens": 80, "text_tokens": 20},
         "completion_tokens_details": {"audio_tokens": 120, "text_tokens": 30}},
        "0.01059", ((20, "2.5"), (80, "32"), (30, "10"), (120, "64")),
        note="spoken",
    ),
    Row(
        "openai", "chat", "gpt-5.5",
        {"prompt_tokens": 300_000, "completion_tokens": 1000, "total_tokens": 301_000,
         "prompt_tokens_details": {"cached_tokens": 200_000}},
        "0.6225", ((100_000, "5"), (200_000, "0.5"), (1000, "22.5")),
        more={"service_tier": "flex"}, note="flex above the step",
    ),
    Row(
        "openai", "chat", "gpt-5-search-api",
        {"prompt_tokens": 50, "completion_tokens": 400, "total_tokens": 450},
        "0.0140625", ((50, "1.25"), (400, "10")), fees="0.01", doubtful=True,
        note="searches for each answer",
    ),
    Row(
        "openai", "chat", "gpt-5.4", {"prompt_tokens": 1000, "completion_tokens": 100},
        "0.0044", ((1000, "2.5"), (100, "15")), times="1.1", region="eu",
        note="data residency",
    ),
    Row(
        "openai", "chat", "o3", {"prompt_tokens": 1000, "completion_tokens": 1000},
        "0.05", ((1000, "10"), (1000, "40")), day=dt.date(2025, 6, 9),
        note="the day before it became cheaper",
    ),
    Row(
        "openai", "chat", "o3", {"prompt_tokens": 1000, "completion_tokens": 1000},
        "0.01", ((1000, "2"), (1000, "8")), day=dt.date(2025, 6, 10),
        note="the day on which it became cheaper",
    ),
    Row(
        "openai", "responses", "gpt-5.5",
        {"input_tokens": 88, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 65,
         "output_tokens_details": {"reasoning_tokens": 45}, "total_tokens": 153},
        "0.00239", ((88, "5"), (65, "30")),
        more={"service_tier": "default"}, note="recorded",
    ),
    Row(
        "openai", "responses", "gpt-5",
        {"input_tokens": 8, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 15,
         "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 23},
        "0.00032", ((8, "2.5"), (15, "20")),
        more={"service_tier": "priority"}, note="recorded, priority",
    ),
    Row(
        "openai", "responses", "gpt-6-sol",
        {"input_tokens": 5000, "output_tokens": 100, "total_tokens": 5100,
         "input_tokens_details": {
             "cached_tokens": 1000, "cache_write_tokens": 2000,
             "cache_write_tokens_details": {"ttl_30m_tokens": 1500, "ttl_12h_tokens": 500}},
         "output_tokens_details": {"reasoning_tokens": 0}},
        "0.01145", ((2000, "2"), (1000, "0.2"), (1500, "2.5"), (500, "5"), (100, "10")),
        note="both caches",
    ),
    Row(
        "openai", "responses", "gpt-5.1",
        {"input_tokens": 10_000, "output_tokens": 500, "total_tokens": 10_500},
        "0.07", ((10_000, "1.25"), (500, "10")), fees="0.0525",
        items=(
            {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "a"}},
            {"type": "web_search_call", "id": "ws_2", "action": {"type": "search", "query": "b"}},
            {"type": "web_search_call", "id": "ws_3", "action": {"type": "open_page", "url": "u"}},
            {"type": "file_search_call", "id": "fs_1", "queries": ["c"]},
            {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"},
            {"type": "code_interpreter_call", "id": "ci_2", "container_id": "cntr_1"},
        ),
        note="hosted tools",
    ),
    Row(
        "openai", "responses", "gpt-5.1", {"input_tokens": 1000, "output_tokens": 100},
        "0.01225", ((1000, "1.25"), (100, "10")), fees="0.01",
        items=(
            {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "a"}},
            {"type": "web_search_call", "id": "ws_2", "action": {"type": "search", "query": "b"}},
        ),
        more={"tool_usage": {"web_search": {"num_requests": 1}}},
        note="one of two searches is charged",
    ),
    Row(
        "openai", "embeddings", "text-embedding-ada-002",
        {"prompt_tokens": 8, "total_tokens": 8},
        "0.0000008", ((8, "0.1"),),
        note="recorded",
    ),
    Row(
        "openai", "chat", "gpt-5.6-luna",
        {"prompt_tokens": 21170, "completion_tokens": 957, "total_tokens": 22127,
         "cost": 0.02560135, "is_byok": False,
         "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 4379,
                                   "audio_tokens": 0, "video_tokens": 0},
         "completion_tokens_details": {"reasoning_tokens": 367, "image_tokens": 0},
         "server_tool_use_details": {"web_search_requests": 2}},
        "0.02560135", ((16791, "0.2"), (4379, "0.25"), (957, "1.2")), fees="0.02",
        note="as OpenRouter charged it",
    ),
    Row(
        "azure-openai", "chat", "gpt-4o",
        {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110,
         "prompt_tokens_details": None, "completion_tokens_details": None},
        "0.00035", ((100, "2.5"), (10, "10")),
        note="details null",
    ),
)  # fmt: skip

COMPATIBLE = (
    Row(
        "groq", "chat", "openai/gpt-oss-120b",
        {"queue_time": 0.36142086, "prompt_tokens": 90, "prompt_time": 0.028013544,
         "completion_tokens": 38, "completion_time": 0.079409871, "total_tokens": 128,
         "total_time": 0.107423415, "completion_tokens_details": {"reasoning_tokens": 7}},
        "0.0000363", ((90, "0.15"), (38, "0.6")),
        more={"service_tier": "on_demand"}, note="on demand",
    ),
    Row(
        "groq", "chat", "llama-3.3-70b-versatile",
        {"queue_time": 0.257818321, "prompt_tokens": 302, "prompt_time": 0.009547518,
         "completion_tokens": 1389, "completion_time": 3.367197664, "total_tokens": 1691,
         "total_time": 3.376745182},
        "0.00127549", ((302, "0.59"), (1389, "0.79")),
        more={"service_tier": "on_demand", "x_groq": {"id": "req_1"}, "usage_breakdown": None},
    ),
    Row(
        "deepseek", "chat", "deepseek-chat",
        {"prompt_tokens": 10_000, "completion_tokens": 500, "total_tokens": 10_500,
         "prompt_cache_hit_tokens": 9000, "prompt_cache_miss_tokens": 1000},
        "0.000742", ((1000, "0.28"), (9000, "0.028"), (500, "0.42")),
        note="hits and misses",
    ),
    Row(
        "xai", "responses", "grok-4.3",
        {"context_details": {"input_tokens": 26478, "output_tokens": 915},
         "cost_in_usd_ticks": 351809000, "input_tokens": 26478,
         "input_tokens_details": {"cached_tokens": 192}, "num_server_side_tools_used": 0,
         "num_sources_used": 0, "output_tokens": 914,
         "output_tokens_details": {"reasoning_tokens": 702}, "total_tokens": 27392},
        "0.0351809", ((26286, "1.25"), (192, "0.2"), (914, "2.5")),
        note="as xAI charged it",
    ),
    Row(
        "xai", "responses", "grok-4.3",
        {"input_tokens": 35734, "input_tokens_details": {"cached_tokens": 896},
         "output_tokens": 1274, "output_tokens_details": {"reasoning_tokens": 701},
         "total_tokens": 37008, "num_sources_used": 0, "num_server_side_tools_used": 0,
         "cost_in_usd_ticks": 469117000},
        "0.0469117", ((34838, "1.25"), (896, "0.2"), (1274, "2.5")),
        note="as xAI charged it too",
    ),
    Row(
        "xai", "responses", "grok-4.3",
        {"input_tokens": 36361, "input_tokens_details": {"cached_tokens": 192},
         "output_tokens": 1252, "output_tokens_details": {"reasoning_tokens": 763},
         "total_tokens": 37613, "cost_in_usd_ticks": 483796500},
        "0.04837965", ((36169, "1.25"), (192, "0.2"), (1252, "2.5")),
        note="as xAI charged it once more",
    ),
    Row(
        "xai", "chat", "grok-4-0709",
        {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
         "prompt_tokens_details": {"text_tokens": 32, "audio_tokens": 0, "image_tokens": 0,
                                   "cached_tokens": 6},
         "completion_tokens_details": {"reasoning_tokens": 94, "audio_tokens": 0},
         "num_sources_used": 0},
        "0.0016275", ((26, "3"), (6, "0.75"), (103, "15")),
        note="reasoning beside the answer, from its reference",
    ),
    Row(
        "xai", "chat", "grok-4.5",
        {"prompt_tokens": 125, "completion_tokens": 48, "total_tokens": 173,
         "prompt_tokens_details": {"text_tokens": 125, "cached_tokens": 98},
         "completion_tokens_details": {"reasoning_tokens": 0}},
        "0.0003714", ((27, "2"), (98, "0.3"), (48, "6")),
        note="cached, from its guide",
    ),
    Row(
        "google", "chat", "gemini-2.5-flash",
        {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 100},
        "0.0002302", ((9, "0.3"), (91, "2.5")),
        note="thoughts in the total alone",
    ),
    Row(
        "google", "chat", "gemini-2.5-flash", {"prompt_tokens": 9, "total_tokens": 100},
        "0.0002302", ((9, "0.3"), (91, "2.5")),
        note="only thoughts, zero left out",
    ),
    Row(
        "mistral", "chat", "mistral-medium-latest",
        {"prompt_tokens": 24, "completion_tokens": 27, "total_tokens": 51,
         "prompt_audio_seconds": {}},
        "0.0002385", ((24, "1.5"), (27, "7.5")),
        note="from its reference",
    ),
    Row(
        "mistral", "chat", "mistral-large-2512",
        {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010,
         "num_cached_tokens": 960},
        "0.000083", ((40, "0.5"), (960, "0.05"), (10, "1.5")),
        note="cached",
    ),
    Row(
        "moonshot", "chat", "kimi-k2.5",
        {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "cached_tokens": 80},
        "0.00008", ((20, "0.6"), (80, "0.1"), (20, "3")),
        note="cached beside the totals",
    ),
    Row(
        "moonshot", "chat", "kimi-k2.5",
        {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        "0.00512", ((100, "0.6"), (20, "3")), fees="0.005",
        items=({"id": "c1", "type": "builtin_function",
                "function": {"name": "$web_search", "arguments": "{}"}},),
        note="its own search",
    ),
    Row(
        "openrouter", "chat", "google/gemini-3.8-flash",
        {"prompt_tokens": 47, "completion_tokens": 1302, "total_tokens": 1349,
         "cost": 0.00491775, "is_byok": False,
         "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
         "completion_tokens_details": {"reasoning_tokens": 744, "image_tokens": 0}},
        "0.00491775", ((47, "0.75"), (1302, "3.75")),
        note="as OpenRouter charged it",
    ),
    Row(
        "openrouter", "chat", "anthropic/claude-sonnet-4.6",
        {"completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 0},
         "cost": 0.95, "cost_details": {"upstream_inference_cost": 19}, "prompt_tokens": 194,
         "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100,
                                   "audio_tokens": 0}, "total_tokens": 196},
        "0.000687", ((94, "3"), (100, "3.75"), (2, "15")),
        note="cache write, from its guide",
    ),
    Row(
        "openrouter", "chat", "openai/gpt-5.6-luna",
        {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30,
         "server_tool_use": {"web_search_requests": 1}},
        None, note="a search whose fee is not in the table",
    ),
    Row(
        "perplexity", "chat", "sonar-pro",
        {"completion_tokens": 1645, "prompt_tokens": 20, "total_tokens": 1665,
         "citation_tokens": None, "num_search_queries": None, "reasoning_tokens": None,
         "search_context_size": "low", "cost": {"total_cost": 0.03073}},
        None, note="a fee by the size of the search",
    ),
    Row(
        "perplexity", "chat", "sonar-deep-research",
        {"prompt_tokens": 1188, "completion_tokens": 4240, "total_tokens": 5428,
         "citation_tokens": 8014, "num_search_queries": 54, "reasoning_tokens": 92431,
         "cost": {"total_cost": 0.59962}},
        "1.061772", ((9202, "2"), (96671, "8")), fees="0.27",
        note="reasoning counted as answer, dearer than it was charged",
    ),
    Row(
        "cerebras", "chat", "gpt-oss-120b",
        {"prompt_tokens": 71, "completion_tokens": 42, "total_tokens": 113,
         "prompt_tokens_details": {"cached_tokens": 0}},
        "0.00005635", ((71, "0.35"), (42, "0.75")),
    ),
    Row(
        "fireworks", "chat", "accounts/fireworks/models/kimi-k3",
        {"prompt_tokens": 2000, "completion_tokens": 100, "total_tokens": 2100,
         "prompt_tokens_details": {"cached_tokens": 1500}},
        "0.00345", ((500, "3"), (1500, "0.3"), (100, "15")),
        note="cached",
    ),
    Row(
        "together", "chat", "moonshotai/Kimi-K3",
        {"prompt_tokens": 2000, "completion_tokens": 100, "total_tokens": 2100,
         "cached_tokens": 1500},
        "0.00345", ((500, "3"), (1500, "0.3"), (100, "15")),
        note="cached beside the totals",
    ),
    Row(
        "zai", "chat", "glm-4.7",
        {"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500,
         "prompt_tokens_details": {"cached_tokens": 1000}},
        "0.00089", ((200, "0.6"), (1000, "0.11"), (300, "2.2")),
        note="cached",
    ),
    Row(
        "voyage", "embeddings", "voyage-4", {"total_tokens": 10},
        "0.0000006", ((10, "0.06"),),
        note="the total alone",
    ),
    Row(
        "ollama", "ollama", "llama3.2:3b", {"prompt_eval_count": 26, "eval_count": 298},
        "0", note="one's own machine",
    ),
    Row(
        "ollama", "ollama-embeddings", "nomic-embed-text", {"prompt_eval_count": 12},
        "0", note="one's own machine",
    ),
)  # fmt: skip

ROWS = (*ANTHROPIC, *OPENAI, *COMPATIBLE)


def decoded(row: Row) -> tuple[Usage | None, str | None, str | None]:
    """The usage, the tier and the region, by the decoder that the vendor's answers go through."""
    request = ChatRequest(messages=(Message("user", "hi"),))
    call = Call(request=request, model=row.model)
    meta = ResponseMeta()
    base = {"id": "1", "model": row.model, "usage": row.usage, **row.more}
    if row.api == "messages":
        whole = {**base, "type": "message", "content": [{"type": "text", "text": "hi"}],
                 "stop_reason": "end_turn"}  # fmt: skip
        reply = decode_reply(
            body(whole), provider="p", model=row.model, meta=meta, answer_tool=None, warnings=(),
            region=row.region,
        )  # fmt: skip
    elif row.api == "chat":
        message = {"role": "assistant", "content": "hi", "tool_calls": list(row.items)}
        whole = {**base, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        reply = openai_chat_decode.decode(
            WireResponse(body(whole), meta), Encoded({}), provider="p", model=row.model,
            region=row.region,
        )  # fmt: skip
    elif row.api == "responses":
        whole = {**base, "status": "completed", "output": list(row.items)}
        reply = openai_responses_decode.decode(
            WireResponse(body(whole), meta), Encoded({}), provider="p", model=row.model, author="a",
            region=row.region,
        )  # fmt: skip
    elif row.api == "ollama":
        whole = {"model": row.model, "message": {"content": "hi"}, "done": True, **row.usage}
        reply = ollama_chat_decode.decode(
            WireResponse(body(whole), meta), call, Encoded({}), provider="p"
        )
    else:
        return embedded(row)
    return reply.usage, reply.tier, reply.region


def streamed(row: Row) -> tuple[Usage | None, str | None, str | None]:
    """The same, where the answer came piece by piece."""
    base = {"id": "1", "model": row.model}
    decoder: AnthropicDecoder | ChatDecoder | ResponsesDecoder
    if row.api == "messages":
        begun = {key: value for key, value in row.usage.items() if key != "output_tokens"}
        more = {"stop_reason": "end_turn", **row.more}
        chunks = [
            {"type": "message_start", "message": {**base, "usage": begun | {"output_tokens": 1}}},
            {"type": "message_delta", "delta": more, "usage": row.usage},
            {"type": "message_stop"},
        ]
        decoder = AnthropicDecoder(provider="p", model=row.model, region=row.region)
    elif row.api == "chat":
        calls = [{"index": place, **call} for place, call in enumerate(row.items)]
        said = {"content": "hi", "tool_calls": calls}
        chunks = [
            {**base, **row.more, "usage": None, "choices": [{"index": 0, "delta": said}]},
            {**base, **row.more, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**base, **row.more, "choices": [], "usage": row.usage},
        ]
        decoder = ChatDecoder(
            Encoded({}), done_marker=True, provider="p", model=row.model, region=row.region
        )
    else:
        events = [
            {"type": "response.output_item.done", "output_index": place, "item": item}
            for place, item in enumerate(row.items)
        ]
        whole = {**base, **row.more, "usage": row.usage, "output": list(row.items)}
        chunks = [*events, {"type": "response.completed", "response": whole}]
        decoder = ResponsesDecoder(
            provider="p", model=row.model, author="a", encoded=Encoded({}), region=row.region
        )
    for chunk in chunks:
        decoder.feed(b"data: " + body(chunk) + b"\n\n")
    decoder.feed(b"data: [DONE]\n\n")
    assert decoder.error is None
    assert decoder.finished
    reply = decoder.snapshot(ResponseMeta())
    return reply.usage, reply.tier, reply.region


def embedded(row: Row) -> tuple[Usage | None, str | None, str | None]:
    call = EmbedCall(inputs=("hi",), model=row.model)
    if row.api == "embeddings":
        whole = {"data": [{"embedding": [0.5], "index": 0}], "usage": row.usage, **row.more}
        reply = openai_embeddings.decode(
            WireResponse(body(whole), ResponseMeta()), call, provider="p"
        )
    else:
        whole = {"embeddings": [[0.5]], **row.usage}
        reply = ollama_embeddings.decode_embeddings(
            WireResponse(body(whole), ResponseMeta()), call, provider="p"
        )
    return reply.usage, reply.tier, None


def body(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_real_usage_costs_what_the_vendor_charges(row: Row) -> None:
    usage, tier, region = decoded(row)
    assert usage is not None
    assert usage.estimated is row.doubtful
    price = default_prices().lookup(row.table, row.model, row.day, tier=tier, region=region)
    if row.usd is None:
        assert price is None or cost_of(usage, price) is None, "unknown, never a silent zero"
        return
    assert price is not None
    assert cost_of(usage, price) == pico(row.usd)


STREAMS = [row for row in ROWS if row.api in {"messages", "chat", "responses"}]


@pytest.mark.parametrize("row", STREAMS, ids=lambda row: row.name)
def test_a_stream_says_the_same_of_its_usage(row: Row) -> None:
    assert streamed(row) == decoded(row)


@pytest.mark.parametrize("row", [row for row in ROWS if row.usd], ids=lambda row: row.name)
def test_the_bills_in_this_table_add_up(row: Row) -> None:
    tokens = sum((count * Decimal(usd) for count, usd in row.parts), Decimal(0)) / 1_000_000
    assert tokens * Decimal(row.times) + Decimal(row.fees) == Decimal(row.usd or "")


def test_the_table_covers_the_vendors() -> None:
    assert len(ROWS) >= 40
    assert len({row.table for row in ROWS}) >= 15
