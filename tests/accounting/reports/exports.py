"""Vendors' exports, made up in their real formats."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

CONSOLE_USAGE = (
    "usage_date_utc",
    "model_version",
    "api_key",
    "workspace",
    "usage_type",
    "context_window",
    "usage_input_tokens_no_cache",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
    "usage_input_tokens_cache_read",
    "usage_output_tokens",
    "web_search_count",
    "inference_geo",
    "speed",
)
CONSOLE_COST = (
    "usage_date_utc",
    "model",
    "workspace",
    "api_key",
    "usage_type",
    "context_window",
    "token_type",
    "cost_usd",
    "list_price_usd",
    "cost_type",
    "inference_geo",
    "speed",
)
DASHBOARD_USAGE = (
    "start_time",
    "end_time",
    "start_time_iso",
    "end_time_iso",
    "project_id",
    "num_model_requests",
    "user_id",
    "api_key_id",
    "model",
    "batch",
    "service_tier",
    "input_tokens",
    "output_tokens",
    "input_cached_tokens",
    "input_uncached_tokens",
    "input_audio_tokens",
    "input_cached_audio_tokens",
    "output_audio_tokens",
)
DASHBOARD_COST = (
    "start_time",
    "end_time",
    "start_time_iso",
    "end_time_iso",
    "amount_value",
    "amount_currency",
    "line_item",
    "project_id",
    "organization_id",
    "organization_name",
)


def table(
    columns: Sequence[str], *rows: Mapping[str, object], delimiter: str = ",", bom: bool = False
) -> bytes:
    """A CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return (("\ufeff" if bom else "") + text.getvalue()).encode()


def anthropic(*days: tuple[str, Sequence[Mapping[str, Any]]], more: bool = False) -> bytes:
    """A page of the Admin API: a bucket a day."""
    buckets = [
        {
            "starting_at": f"{day}T00:00:00Z",
            "ending_at": f"{dt.date.fromisoformat(day) + dt.timedelta(days=1)}T00:00:00Z",
            "results": list(results),
        }
        for day, results in days
    ]
    page = {"data": buckets, "has_more": more, "next_page": "page_2" if more else None}
    return json.dumps(page).encode()


def usage(model: str | None = "claude-haiku-4-5-20251001", **counts: Any) -> dict[str, Any]:
    """A result of Anthropic's usage report."""
    return {
        "uncached_input_tokens": counts.get("fresh", 0),
        "cache_creation": {
            "ephemeral_1h_input_tokens": counts.get("hour", 0),
            "ephemeral_5m_input_tokens": counts.get("short", 0),
        },
        "cache_read_input_tokens": counts.get("read", 0),
        "output_tokens": counts.get("output", 0),
        "server_tool_use": {"web_search_requests": counts.get("searches", 0)},
        "api_key_id": counts.get("key"),
        "workspace_id": counts.get("workspace"),
        "model": model,
        "service_tier": None,
        "context_window": None,
        "inference_geo": None,
    }


def cost(
    cents: str, model: str | None = "claude-haiku-4-5-20251001", kind: str = "tokens"
) -> dict[str, Any]:
    """A result of Anthropic's cost report."""
    return {
        "amount": cents,
        "currency": "USD",
        "cost_type": kind,
        "description": f"Something about {kind}",
        "model": model,
        "workspace_id": None,
        "token_type": "output_tokens" if model else None,
        "service_tier": "standard" if model else None,
        "context_window": None,
        "inference_geo": None,
    }


def seconds(day: str) -> int:
    """The first second of a day in UTC."""
    return int(dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC).timestamp())


def openai(*days: tuple[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """A page of OpenAI's usage or costs API: a bucket a day."""
    buckets = [
        {
            "object": "bucket",
            "start_time": seconds(day),
            "end_time": seconds(day) + 86_400,
            "results": list(results),
        }
        for day, results in days
    ]
    page = {"object": "page", "data": buckets, "has_more": False, "next_page": None}
    return json.dumps(page).encode()


def completions(model: str | None = "gpt-5-2025-08-07", **fields: Any) -> dict[str, Any]:
    """A result of OpenAI's usage of completions."""
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": 0,
        "output_tokens": 0,
        "input_cached_tokens": 0,
        "num_model_requests": 0,
        "project_id": None,
        "user_id": None,
        "api_key_id": None,
        "model": model,
        "batch": None,
        **fields,
    }


def charge(value: float | str, item: str | None) -> dict[str, Any]:
    """A result of OpenAI's costs."""
    return {
        "object": "organization.costs.result",
        "amount": {"value": value, "currency": "usd"},
        "line_item": item,
        "project_id": None,
    }
