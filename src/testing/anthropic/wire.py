"""Anthropic's Messages API: routes, headers, and messages that are not streamed."""

# ruff: noqa: ARG002, D102 - the port, wire.py, says what every method takes and does.

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from ..answers import Answer, TokenUsage
from ..faults import ErrorReply, Fault
from ..records import RecordedRequest
from ..rendering import (
    Frame,
    Json,
    Reply,
    compact,
    estimate_tokens,
    json_reply,
    merged,
    new_id,
    sse,
    sse_reply,
)
from ..seals import seal
from ..wire import Ask, Wire, retry_after_headers, rfc3339, usage_of
from .checks import check_messages
from .errors import error_body
from .stream import stream_events

__all__ = ["AnthropicWire", "message_body", "text_of"]

_MODELS = ("claude-opus-4-8", "claude-sonnet-4-6", "claude-haiku-4-5-20251001")
_MAX_REQUEST_BYTES = 32 * 1024 * 1024
_STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "stop_sequence": "stop_sequence",
}


class AnthropicWire(Wire):
    """`/v1/messages`, `/v1/messages/count_tokens` and `/v1/models` under the vendor's base URL."""

    kind: ClassVar[str] = "anthropic"
    message_prefix: ClassVar[str] = "msg_01"
    tool_prefix: ClassVar[str] = "toolu_01"

    def route(self, call: RecordedRequest) -> bool:
        endpoint = {
            ("POST", "/v1/messages"): "messages",
            ("POST", "/v1/messages/count_tokens"): "count_tokens",
            ("GET", "/v1/models"): "models",
        }.get((call.method, call.path))
        if endpoint is None and call.method == "GET" and call.path.startswith("/v1/models/"):
            endpoint, call.model = "model", call.path.removeprefix("/v1/models/")
        if endpoint is None:
            return False
        call.endpoint = endpoint
        call.request_id = new_id("req_011", 21)
        if isinstance(call.body, dict):
            call.model = str(call.body.get("model", call.model))
            call.stream = call.body.get("stream") is True
        return True

    def authenticate(self, call: RecordedRequest) -> ErrorReply | None:
        key = call.header("x-api-key")
        token = (call.header("authorization") or "").removeprefix("Bearer ")
        if key is None and not token:
            return Fault.authentication(message="x-api-key header is required")
        if self.settings.require_key in {key, token}:
            return None
        return Fault.authentication(
            message="invalid x-api-key" if key is not None else "Invalid bearer token"
        )

    def check(self, call: RecordedRequest) -> ErrorReply | None:
        if len(call.raw) > _MAX_REQUEST_BYTES:
            return Fault.too_large()
        if call.method == "GET":
            return None
        if not call.header("anthropic-version"):
            return Fault.invalid_request("anthropic-version: header is required")
        return self.check_body(call)

    def check_body(self, call: RecordedRequest) -> ErrorReply | None:
        """The checks that Bedrock and Vertex share."""
        if call.body is None:
            return Fault.invalid_request("The request body is not valid JSON")
        problem = check_messages(call.body, counting=call.endpoint == "count_tokens")
        if problem is not None:
            return Fault.invalid_request(problem)
        if self.settings.models is not None and call.model not in self.settings.models:
            return Fault.model_not_found()
        return None

    def ask(self, call: RecordedRequest) -> Ask:
        body = call.body
        choice = body.get("tool_choice") or {}
        forced = choice.get("name", "*") if choice.get("type") in {"any", "tool"} else None
        output = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
        return Ask(
            prompt=text_of(body["messages"][-1]["content"]) if body.get("messages") else "",
            tools=tuple(
                (tool["name"], tool.get("input_schema") or {}) for tool in body.get("tools") or ()
            ),
            forced_tool=forced,
            schema=output.get("schema"),
            max_tokens=body.get("max_tokens"),
        )

    def render(self, call: RecordedRequest, answer: Answer) -> Reply:
        if call.endpoint == "models":
            return json_reply(compact(self._models()), answer)
        if call.endpoint == "model":
            return json_reply(compact(_model(call.model)), answer)
        if call.endpoint == "count_tokens":
            stated = answer.usage.input_tokens if answer.usage else None
            return json_reply(compact({"input_tokens": stated or prompt_tokens(call.body)}), answer)
        message = self.message(call, answer)
        if not call.stream:
            return json_reply(compact(message), answer)
        return self.stream_reply(call, stream_events(message, answer), answer)

    def stream_reply(
        self, call: RecordedRequest, events: Iterable[tuple[Json, bool]], answer: Answer
    ) -> Reply:
        """Server-sent events; Bedrock wraps the same events in binary frames."""
        frames = (
            sse(
                event,
                event=event["type"],
                content=content,
                terminal=event["type"] == "message_stop",
            )
            for event, content in events
        )
        return sse_reply(frames, answer)

    def message(self, call: RecordedRequest, answer: Answer) -> Json:
        """The complete message, and the traffic it costs."""
        message = message_body(
            call, answer, message_prefix=self.message_prefix, tool_prefix=self.tool_prefix
        )
        usage = message["usage"]
        self.spent.input_tokens += usage["input_tokens"] + usage["cache_creation_input_tokens"]
        self.spent.output_tokens += usage["output_tokens"]
        return message

    def error(self, call: RecordedRequest, problem: ErrorReply) -> Reply:
        return Reply(
            status=problem.status,
            headers={**retry_after_headers(problem), **_should_retry(problem)},
            frames=[Frame(compact(error_body(call, problem)), terminal=True)],
            latency=problem.latency,
        )

    def stream_error(self, call: RecordedRequest, problem: ErrorReply, sequence: int) -> Frame:
        return sse(error_body(call, problem), event="error", terminal=True)

    def headers(self, call: RecordedRequest) -> dict[str, str]:
        limits = self.settings.limits
        requests, entered, output = self.remaining()
        reset = rfc3339(limits.reset_after)
        both = limits.input_tokens_limit + limits.output_tokens_limit
        rows = {
            "requests": (limits.requests_limit, requests),
            "tokens": (both, entered + output),
            "input-tokens": (limits.input_tokens_limit, entered),
            "output-tokens": (limits.output_tokens_limit, output),
        }
        headers = {
            "server": "cloudflare",
            "request-id": call.request_id,
            "x-robots-tag": "none",
            "via": "1.1 google",
        }
        for name, (limit, left) in rows.items():
            headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(left)
            headers[f"anthropic-ratelimit-{name}-reset"] = reset
        return headers

    def _models(self) -> Json:
        names = sorted(self.settings.models or _MODELS)
        return {
            "data": [_model(name) for name in names],
            "has_more": False,
            "first_id": names[0] if names else None,
            "last_id": names[-1] if names else None,
        }


def _model(name: str) -> Json:
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
    }


def _should_retry(problem: ErrorReply) -> dict[str, str]:
    # The service itself tells its SDKs which statuses are worth another try.
    return {
        "x-should-retry": "true"
        if problem.status in {408, 409, 429} or problem.status >= 500
        else "false"
    }


def message_body(
    call: RecordedRequest, answer: Answer, *, message_prefix: str, tool_prefix: str
) -> Json:
    """A complete `message` object."""
    thought = reasoning_for(call.body, answer)
    answer_usage = usage_of(
        call, msgspec.structs.replace(answer, reasoning=thought), prompt=_prompt(call.body)
    )
    content = content_blocks(call.body, answer, thought, tool_prefix)
    stop = answer.finish()
    body: Json = {
        "model": answer.model or call.model,
        "id": answer.id or new_id(message_prefix),
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": _STOPS.get(stop, stop),
        "stop_sequence": answer.stop_sequence,
        "stop_details": None,
        "usage": usage_body(answer_usage),
    }
    if body["stop_reason"] == "refusal":
        body["stop_details"] = {"type": "refusal", "category": None, "explanation": answer.refusal}
    return merged(body, answer.extra)


def reasoning_for(body: Json, answer: Answer) -> str:
    """The thinking text that the request's `thinking` setting lets through."""
    mode = (body.get("thinking") or {}).get("type")
    if mode not in {"enabled", "adaptive", "between_tools"}:
        return ""
    if answer.reasoning is not None:
        return answer.reasoning
    return "Let me think about that." if mode == "enabled" else ""


def content_blocks(body: Json, answer: Answer, thought: str, tool_prefix: str) -> list[Json]:
    """Thinking first, then text, then tool calls, as the model writes them."""
    blocks: list[Json] = []
    if thought and answer.redacted_reasoning:
        blocks.append({"type": "redacted_thinking", "data": seal("redacted", "")})
    elif thought:
        shown = "" if (body.get("thinking") or {}).get("display") == "omitted" else thought
        blocks.append({"type": "thinking", "thinking": shown, "signature": seal("thinking", shown)})
    text = answer.text if answer.text is not None else answer.refusal
    if text:
        blocks.append({"type": "text", "text": text})
    blocks.extend(
        {
            "type": "tool_use",
            "id": call.id or new_id(tool_prefix),
            "name": call.name,
            "input": call.arguments_object(),
            "caller": {"type": "direct"},
        }
        for call in answer.tool_calls
    )
    return blocks


def usage_body(usage: TokenUsage) -> Json:
    """Anthropic's arithmetic: `input_tokens` leaves out what the cache read or wrote."""
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    body: Json = {
        "input_tokens": (usage.input_tokens or 0) - usage.cache_read_tokens - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
        "output_tokens": usage.output_tokens,
        "service_tier": "standard",
        "inference_geo": "not_available",
    }
    if usage.reasoning_tokens:
        body["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return body


def _prompt(body: Json) -> Json:
    return {key: body[key] for key in ("system", "messages", "tools") if key in body}


def prompt_tokens(body: Json) -> int:
    """What `count_tokens` says, and what a prompt costs when a script states no usage."""
    return estimate_tokens(_prompt(body))


def text_of(content: Any) -> str:
    """The text of a message's content, tool results included."""
    if isinstance(content, str):
        return content
    blocks = [block for block in content or () if isinstance(block, dict)]
    parts = [
        block["text"] if "text" in block else text_of(block.get("content")) for block in blocks
    ]
    return " ".join(part for part in parts if part)
