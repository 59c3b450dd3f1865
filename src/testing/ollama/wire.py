"""Ollama's own API: NDJSON streams, durations in nanoseconds, errors as `{"error": "..."}`."""

# ruff: noqa: ARG002, D102 - the port, wire.py, says what every method takes and does.

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from typing import Any, ClassVar

from ..answers import Answer
from ..defaults import embedding_of
from ..faults import ErrorReply, Fault
from ..records import RecordedRequest
from ..rendering import Frame, Json, Reply, compact, estimate_tokens, json_reply, merged, pieces_of
from ..wire import Ask, Wire, retry_after_headers, usage_of
from .checks import check_chat, check_embed

__all__ = ["OllamaWire"]

_ENDPOINTS = {
    ("POST", "/api/chat"): "chat",
    ("POST", "/api/embed"): "embeddings",
    ("GET", "/api/tags"): "tags",
    ("POST", "/api/show"): "show",
    ("GET", "/api/version"): "version",
}
_MODELS = ("llama3:latest", "qwen3:latest", "nomic-embed-text:latest")
_DIMENSIONS = 768
_MESSAGES = {
    "authentication": "unauthorized",
    "permission": "forbidden",
    "context_length": "the input length exceeds the context length",
    "request_timeout": "timed out waiting for llama runner to start",
    "rate_limit": "too many requests",
    "server_error": "llama runner process has terminated: signal: killed",
    "unavailable": "server busy, please try again.  maximum pending requests exceeded",
    "overloaded": "server busy, please try again.  maximum pending requests exceeded",
    "not_found": "404 page not found",
    "invalid_request": "invalid character 'x' looking for beginning of value",
}
_BY_STATUS = {
    400: "invalid_request",
    401: "authentication",
    403: "permission",
    404: "not_found",
    408: "request_timeout",
    429: "rate_limit",
    500: "server_error",
    503: "unavailable",
}


class OllamaWire(Wire):
    """`/api/chat`, `/api/embed`, `/api/tags`, `/api/show`, `/api/version`.

    The base URL is the host itself.
    """

    kind: ClassVar[str] = "ollama"

    def route(self, call: RecordedRequest) -> bool:
        endpoint = _ENDPOINTS.get((call.method, call.path))
        if endpoint is None:
            return False
        call.endpoint = endpoint
        if isinstance(call.body, dict):
            call.model = str(call.body.get("model") or "")
            # Ollama streams unless it is told not to.
            call.stream = endpoint == "chat" and call.body.get("stream") is not False
        return True

    def authenticate(self, call: RecordedRequest) -> ErrorReply | None:
        if call.header("authorization") == f"Bearer {self.settings.require_key}":
            return None
        return Fault.authentication()

    def check(self, call: RecordedRequest) -> ErrorReply | None:
        if call.method == "GET":
            return None
        if call.body is None:
            message = "missing request body" if not call.raw else _MESSAGES["invalid_request"]
            return Fault.invalid_request(message)
        if call.endpoint == "chat":
            problem = check_chat(call.body)
        elif call.endpoint == "embeddings":
            problem = check_embed(call.body)
        else:
            problem = None if call.body.get("model") else "model is required"
        if problem is not None:
            return Fault.invalid_request(problem)
        known = self.settings.models
        if known is not None and not {call.model, f"{call.model}:latest"} & known:
            return Fault.model_not_found()
        return None

    def ask(self, call: RecordedRequest) -> Ask:
        body = call.body
        if call.endpoint == "embeddings":
            return Ask(prompt="")
        wanted = body.get("format")
        options = body.get("options") or {}
        limit = options.get("num_predict")
        return Ask(
            prompt=str(body["messages"][-1].get("content") or "") if body.get("messages") else "",
            schema=wanted if isinstance(wanted, dict) else None,
            json_mode=wanted == "json",
            max_tokens=limit if isinstance(limit, int) and limit > 0 else None,
        )

    def render(self, call: RecordedRequest, answer: Answer) -> Reply:
        match call.endpoint:
            case "tags":
                names = sorted(self.settings.models or _MODELS)
                return _json(compact({"models": [_tag(name) for name in names]}), answer)
            case "show":
                return _json(compact(_show(call.model)), answer)
            case "version":
                return _json(compact({"version": "0.12.6"}), answer)
            case "embeddings":
                return _json(compact(self._embeddings(call, answer)), answer)
        lines = list(_lines(call, answer))
        if not call.stream:
            return _json(compact(_together(lines)), answer)
        frames = [
            Frame(compact(line) + b"\n", content=not line["done"], terminal=bool(line["done"]))
            for line in lines
        ]
        return Reply(
            content_type="application/x-ndjson",
            headers=dict(answer.headers),
            frames=frames,
            stream=True,
            latency=answer.latency,
            first_token_delay=answer.first_token_delay,
            chunk_delay=answer.chunk_delay,
        )

    def _embeddings(self, call: RecordedRequest, answer: Answer) -> Json:
        entered = call.body["input"]
        inputs = entered if isinstance(entered, list) else [entered]
        size = call.body.get("dimensions") or _DIMENSIONS
        vectors = answer.embeddings or tuple(embedding_of(str(item), size) for item in inputs)
        stated = answer.usage.input_tokens if answer.usage is not None else None
        body = {
            "model": answer.model or call.model,
            "embeddings": [list(vector) for vector in vectors],
            "total_duration": 14143917,
            "load_duration": 1019500,
            "prompt_eval_count": stated
            if stated is not None
            else sum(estimate_tokens(item) for item in inputs),
        }
        return merged(body, answer.extra)

    def error(self, call: RecordedRequest, problem: ErrorReply) -> Reply:
        status = 503 if problem.status == 529 else problem.status
        if problem.reason == "not_found" and not problem.message:
            # A path that does not exist is answered by the router below the API, in plain text.
            return Reply(
                status=404,
                content_type="text/plain",
                frames=[Frame(b"404 page not found", terminal=True)],
            )
        return Reply(
            status=status,
            content_type="application/json; charset=utf-8",
            headers=retry_after_headers(problem),
            frames=[Frame(compact(_error(call, problem)), terminal=True)],
            latency=problem.latency,
        )

    def stream_error(self, call: RecordedRequest, problem: ErrorReply, sequence: int) -> Frame:
        return Frame(compact(_error(call, problem)) + b"\n", terminal=True)

    def headers(self, call: RecordedRequest) -> dict[str, str]:
        return {}

    def generates(self, call: RecordedRequest) -> bool:
        return call.endpoint in {"chat", "embeddings"}


def _error(call: RecordedRequest, problem: ErrorReply) -> Json:
    reason = problem.reason or _BY_STATUS.get(problem.status, "server_error")
    if reason == "model_not_found":
        return {"error": problem.message or f"model '{call.model}' not found"}
    return {"error": problem.message or _MESSAGES.get(reason, _MESSAGES["server_error"])}


def _json(body: bytes, answer: Answer) -> Reply:
    reply = json_reply(body, answer)
    reply.content_type = "application/json; charset=utf-8"
    return reply


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")


def _lines(call: RecordedRequest, answer: Answer) -> Iterator[Json]:
    """The lines of a stream: thinking, text, each tool call whole, and the line with the counts."""
    model = answer.model or call.model

    def line(**message: Any) -> Json:
        return {
            "model": model,
            "created_at": _now(),
            "message": {"role": "assistant", "content": "", **message},
            "done": False,
        }

    if call.body.get("think") and answer.reasoning != "":
        for piece in pieces_of(answer.reasoning or "Let me think about that.", None):
            yield line(thinking=piece)
    text = answer.text if answer.text is not None else answer.refusal or ""
    for piece in pieces_of(text, answer.chunks):
        yield line(content=piece)
    for call_ in answer.tool_calls:
        yield line(
            tool_calls=[{"function": {"name": call_.name, "arguments": call_.arguments_object()}}]
        )
    last = line()
    finish = answer.finish()
    # Ollama says "stop" with tool calls as well.
    last["done_reason"] = {"length": "length"}.get(finish, "stop" if finish in _OURS else finish)
    last["done"] = True
    if answer.send_usage:
        last.update(_counts(call, answer))
    yield merged(last, answer.extra)


_OURS = frozenset({"stop", "tool_calls", "content_filter", "refusal", "pause", "stop_sequence"})


def _counts(call: RecordedRequest, answer: Answer) -> Json:
    usage = usage_of(
        call, answer, prompt={"messages": call.body["messages"], "tools": call.body.get("tools")}
    )
    counts: Json = {"total_duration": 482007750, "load_duration": 52719542}
    if usage.cache_read_tokens < (usage.input_tokens or 0):
        # A prompt that is wholly cached is not counted at all.
        counts["prompt_eval_count"] = usage.input_tokens
    counts.update(
        {
            "prompt_eval_duration": 44457208,
            "eval_count": usage.output_tokens,
            "eval_duration": 384438167,
        }
    )
    return counts


def _together(lines: list[Json]) -> Json:
    message: Json = {
        "role": "assistant",
        "content": "".join(line["message"]["content"] for line in lines),
    }
    thinking = "".join(line["message"].get("thinking", "") for line in lines)
    if thinking:
        message["thinking"] = thinking
    calls = [made for line in lines for made in line["message"].get("tool_calls", ())]
    if calls:
        message["tool_calls"] = calls
    return {**lines[-1], "message": message}


def _tag(name: str) -> Json:
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-01-01T00:00:00Z",
        "size": 4661224676,
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "details": _DETAILS,
    }


_DETAILS: Json = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "8.0B",
    "quantization_level": "Q4_0",
}


def _show(model: str) -> Json:
    return {
        "modelfile": f"FROM {model}\n",
        "parameters": "",
        "template": "{{ .Prompt }}",
        "details": _DETAILS,
        "model_info": {
            "general.architecture": "llama",
            "llama.context_length": 8192,
            "llama.embedding_length": 4096,
        },
        "capabilities": ["embedding"]
        if "embed" in model
        else ["completion", "tools", "thinking", "vision"],
        "modified_at": "2026-01-01T00:00:00Z",
    }
