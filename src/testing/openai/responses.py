"""OpenAI's Responses API: response objects, their items, and what the server remembers of them."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from ..answers import Answer, TokenUsage
from ..records import RecordedRequest
from ..rendering import Json, Reply, hex_id, json_reply, merged, new_id, pretty, sse, sse_reply
from ..seals import seal
from ..wire import Ask, usage_of
from .models import is_reasoning, snapshot
from .responses_stream import response_events

__all__ = ["Store", "encrypted_for", "failed_response", "render_responses", "responses_ask"]

_CIPHER_PREFIX = "gAAAAAB"
"""How the encrypted content of a real reasoning item begins."""


class Store(msgspec.Struct):
    """What the server keeps: responses, items, which reasoning goes before which item."""

    responses: dict[str, list[Json]] = msgspec.field(default_factory=dict)
    items: set[str] = msgspec.field(default_factory=set)
    reasoning_before: dict[str, str] = msgspec.field(default_factory=dict)


def encrypted_for(item_id: str) -> str:
    """The encrypted content issued for a reasoning item."""
    return _CIPHER_PREFIX + seal("reasoning", item_id)


def responses_ask(body: Json) -> Ask:
    """The request in neutral form."""
    choice = body.get("tool_choice")
    forced = (
        "*" if choice == "required" else choice.get("name") if isinstance(choice, dict) else None
    )
    wanted = (body.get("text") or {}).get("format") or {}
    tools = tuple(
        (tool["name"], tool.get("parameters") or {})
        for tool in body.get("tools") or ()
        if tool.get("type") == "function"
    )
    return Ask(
        prompt=_last_text(body.get("input", "")),
        tools=tools,
        forced_tool=forced,
        schema=wanted.get("schema"),
        json_mode=wanted.get("type") == "json_object",
        max_tokens=body.get("max_output_tokens"),
    )


def _last_text(entered: Any) -> str:
    if isinstance(entered, str):
        return entered
    for item in reversed(entered or ()):
        if item.get("type") == "function_call_output":
            return str(item.get("output", ""))
        content = item.get("content")
        if isinstance(content, str):
            return content
        if isinstance(content, list):
            return " ".join(str(part["text"]) for part in content if "text" in part)
    return ""


def render_responses(call: RecordedRequest, answer: Answer, store: Store) -> Reply:
    """The reply to a responses request."""
    body = call.body
    shown = answer if is_reasoning(call.model) else msgspec.structs.replace(answer, reasoning="")
    prompt = {key: body[key] for key in ("input", "instructions", "tools") if key in body}
    shown = msgspec.structs.replace(shown, reasoning=_thought(body, shown))
    usage = usage_of(call, shown, prompt=prompt)
    output = _items(body, shown)
    response = _response(call, shown, usage, output)
    _remember(store, body, response)
    if call.stream:
        events = response_events(response, answer)
        return sse_reply(
            (
                sse(
                    event, event=event["type"], content=content, terminal=event["type"] in _TERMINAL
                )
                for event, content in events
            ),
            answer,
        )
    return json_reply(pretty(response), answer)


_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})


def _thought(body: Json, answer: Answer) -> str:
    """What the model thought: a reasoning model thinks unless it is told not to."""
    if answer.reasoning is not None:
        return answer.reasoning
    effort = (body.get("reasoning") or {}).get("effort")
    return "" if effort in {"none", "minimal"} else "Let me think about that."


def _items(body: Json, answer: Answer) -> list[Json]:
    items: list[Json] = []
    if answer.reasoning:
        items.append(_reasoning_item(body, answer.reasoning))
    if answer.refusal is not None or answer.text is not None:
        part: Json = (
            {"type": "refusal", "refusal": answer.refusal}
            if answer.refusal is not None
            else {"type": "output_text", "annotations": [], "logprobs": [], "text": answer.text}
        )
        items.append(
            {
                "id": hex_id("msg_"),
                "type": "message",
                "status": "incomplete"
                if answer.finish() in {"length", "content_filter"}
                else "completed",
                "content": [part],
                "role": "assistant",
            }
        )
    items.extend(
        {
            "id": hex_id("fc_"),
            "type": "function_call",
            "status": "completed",
            "arguments": call.arguments_text(),
            "call_id": call.id if call.id is not None else new_id("call_", 24),
            "name": call.name,
        }
        for call in answer.tool_calls
    )
    return items


def _reasoning_item(body: Json, text: str) -> Json:
    item: Json = {"id": hex_id("rs_"), "type": "reasoning", "summary": []}
    if "reasoning.encrypted_content" in (body.get("include") or ()):
        item["encrypted_content"] = encrypted_for(item["id"])
    if (body.get("reasoning") or {}).get("summary"):
        item["summary"] = [{"type": "summary_text", "text": text}]
    return item


def _response(call: RecordedRequest, answer: Answer, usage: TokenUsage, output: list[Json]) -> Json:
    body = call.body
    finish = answer.finish()
    incomplete = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish)
    now = int(time.time())
    entered, spent = usage.input_tokens or 0, usage.output_tokens or 0
    response: Json = {
        "id": answer.id or hex_id("resp_"),
        "object": "response",
        "created_at": now,
        "status": "incomplete" if incomplete else "completed",
        "background": False,
        "billing": {"payer": "developer"},
        "completed_at": None if incomplete else now,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": {"reason": incomplete} if incomplete else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "model": answer.model or snapshot(call.model),
        "output": output,
        "moderation": None,
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "presence_penalty": 0.0,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "prompt_cache_retention": body.get("prompt_cache_retention"),
        "reasoning": {"effort": (body.get("reasoning") or {}).get("effort"), "summary": None},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": {
            "format": (body.get("text") or {}).get("format", {"type": "text"}),
            "verbosity": "medium",
        },
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_logprobs": 0,
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
        "usage": {
            "input_tokens": entered,
            "input_tokens_details": {
                "cached_tokens": usage.cache_read_tokens,
                "cache_write_tokens": usage.cache_write_tokens,
            },
            "output_tokens": spent,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
            "total_tokens": entered + spent,
        },
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }
    return merged(response, answer.extra)


def failed_response(call: RecordedRequest, said: Json) -> Json:
    """A response whose model run failed after it had been accepted."""
    response = _response(call, Answer(text=""), TokenUsage(), [])
    error = {"code": said["code"] or "server_error", "message": said["message"]}
    return {**response, "status": "failed", "completed_at": None, "error": error, "usage": None}


def _remember(store: Store, body: Json, response: Json) -> None:
    reasoning: str | None = None
    for item in response["output"]:
        if item["type"] == "reasoning":
            reasoning = item["id"]
        elif reasoning is not None:
            store.reasoning_before[item["id"]] = reasoning
            reasoning = None
    if body.get("store", True):
        store.responses[response["id"]] = response["output"]
        store.items.update(item["id"] for item in response["output"])
