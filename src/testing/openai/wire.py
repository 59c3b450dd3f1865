"""OpenAI's API: routes, headers, errors. The bodies are in the modules of each endpoint."""

# ruff: noqa: D102 - the port, wire.py, documents what every method does.

from __future__ import annotations

from typing import Any, ClassVar

from ..answers import Answer
from ..faults import ErrorReply, Fault
from ..records import RecordedRequest
from ..rendering import Frame, Json, Reply, hex_id, json_reply, pretty, sse
from ..wire import Ask, Wire, retry_after_headers
from .chat import Dialect, render_chat
from .chat_checks import check_chat
from .embeddings import check_embeddings, inputs_of, render_embeddings
from .errors import error_body, error_object
from .responses import Store, failed_response, render_responses, responses_ask
from .responses_checks import check_responses

__all__ = ["CompatibleWire", "OpenAIWire"]

_MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-5-mini", "text-embedding-3-small")
_ENDPOINTS = {"/chat/completions": "chat", "/responses": "responses", "/embeddings": "embeddings"}


class OpenAIWire(Wire):
    """Chat completions, responses, embeddings and models; `base_url` ends in `/v1`."""

    kind: ClassVar[str] = "openai"
    base_path: ClassVar[str] = "/v1"
    dialect: ClassVar[Dialect] = Dialect()

    def __init__(self, name: str, settings: Any) -> None:
        super().__init__(name, settings)
        self.store = Store()

    def forget(self) -> None:
        super().forget()
        self.store = Store()

    def route(self, call: RecordedRequest) -> bool:
        call.request_id = hex_id("req_", 32)
        return (
            self.route_path(call, call.path.removeprefix(self.base_path))
            if (call.path.startswith(self.base_path))
            else False
        )

    def route_path(self, call: RecordedRequest, path: str) -> bool:
        """Route the part of the path behind the base URL."""
        if call.method == "GET" and path.startswith("/models"):
            call.endpoint = "models" if path == "/models" else "model"
            call.model = path.removeprefix("/models").removeprefix("/")
            return True
        endpoint = _ENDPOINTS.get(path) if call.method == "POST" else None
        if endpoint is None:
            return False
        call.endpoint = endpoint
        if isinstance(call.body, dict):
            call.model = str(call.body.get("model", call.model))
            call.stream = call.body.get("stream") is True
        return True

    def authenticate(self, call: RecordedRequest) -> ErrorReply | None:
        sent = call.header("authorization") or ""
        if not sent.startswith("Bearer "):
            return Fault.authentication(
                message="You didn't provide an API key. You need to provide your API key in an "
                "Authorization header "
                "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
            )
        key = sent.removeprefix("Bearer ")
        if key == self.settings.require_key:
            return None
        shown = f"{key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}"
        return Fault.authentication(
            message=f"Incorrect API key provided: {shown}. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            code="invalid_api_key",
        )

    def check(self, call: RecordedRequest) -> ErrorReply | None:
        if call.method == "GET":
            known = self.settings.models
            return (
                Fault.model_not_found()
                if call.model and known is not None and call.model not in known
                else None
            )
        problem = self.check_body(call)
        if (
            problem is None
            and self.settings.models is not None
            and call.model not in self.settings.models
        ):
            return Fault.model_not_found()
        return problem

    def check_body(self, call: RecordedRequest) -> ErrorReply | None:
        """The rules of the endpoint."""
        if call.endpoint == "chat":
            return check_chat(call.body)
        if call.endpoint == "embeddings":
            return check_embeddings(call.body)
        return check_responses(call.body, self.store)

    def ask(self, call: RecordedRequest) -> Ask:
        body = call.body
        if call.endpoint == "embeddings":
            return Ask(prompt="", inputs=len(inputs_of(body.get("input"))))
        if call.endpoint == "responses":
            return responses_ask(body)
        choice = body.get("tool_choice")
        forced = (
            "*"
            if choice == "required"
            else choice["function"]["name"]
            if isinstance(choice, dict) and "function" in choice
            else None
        )
        wanted = body.get("response_format") or {}
        tools = tuple(
            (tool["function"]["name"], tool["function"].get("parameters") or {})
            for tool in body.get("tools") or ()
            if tool.get("type") == "function"
        )
        return Ask(
            prompt=_text(body["messages"][-1].get("content")) if body.get("messages") else "",
            tools=tools,
            forced_tool=forced,
            schema=(wanted.get("json_schema") or {}).get("schema"),
            json_mode=wanted.get("type") == "json_object",
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        )

    def render(self, call: RecordedRequest, answer: Answer) -> Reply:
        match call.endpoint:
            case "models":
                names = sorted(self.settings.models or _MODELS)
                return json_reply(
                    pretty({"object": "list", "data": [_model(name) for name in names]}), answer
                )
            case "model":
                return json_reply(pretty(_model(call.model)), answer)
            case "embeddings":
                return render_embeddings(call, answer)
            case "responses":
                return render_responses(call, answer, self.store)
        return render_chat(call, answer, self.dialect)

    def error(self, call: RecordedRequest, problem: ErrorReply) -> Reply:
        if problem.reason == "response_failed" and call.endpoint == "responses":
            return Reply(
                frames=[
                    Frame(pretty(failed_response(call, error_object(call, problem))), terminal=True)
                ]
            )
        # OpenAI has no 529; what Anthropic says with it, OpenAI says with 503.
        status = (
            503
            if problem.status == 529
            else 429
            if problem.reason == "credit_balance"
            else problem.status
        )
        return Reply(
            status=status,
            headers=retry_after_headers(problem),
            frames=[Frame(pretty(error_body(call, problem)), terminal=True)],
            latency=problem.latency,
        )

    def stream_error(self, call: RecordedRequest, problem: ErrorReply, sequence: int) -> Frame:
        if call.endpoint == "responses":
            said = error_object(call, problem)
            event: Json
            if problem.reason == "response_failed":
                event = {
                    "type": "response.failed",
                    "response": failed_response(call, said),
                    "sequence_number": sequence,
                }
                return sse(event, event="response.failed", terminal=True)
            event = {
                "type": "error",
                "sequence_number": sequence,
                "code": said["code"] or said["type"],
                "message": said["message"],
                "param": said["param"],
            }
            return sse(event, event="error", terminal=True)
        return sse(error_body(call, problem), terminal=True)

    def headers(self, call: RecordedRequest) -> dict[str, str]:
        limits = self.settings.limits
        requests, tokens, _ = self.remaining()
        reset = _duration(limits.reset_after)
        return {
            "server": "cloudflare",
            "openai-version": "2020-10-01",
            "openai-organization": "org-simulated",
            "openai-processing-ms": "12",
            "x-request-id": call.request_id,
            "x-ratelimit-limit-requests": str(limits.requests_limit),
            "x-ratelimit-limit-tokens": str(limits.input_tokens_limit),
            "x-ratelimit-remaining-requests": str(requests),
            "x-ratelimit-remaining-tokens": str(tokens),
            "x-ratelimit-reset-requests": reset,
            "x-ratelimit-reset-tokens": reset,
        }


class _CompatibleDialect(Dialect):
    obfuscation = False
    reasoning_field = "reasoning_content"


class CompatibleWire(OpenAIWire):
    """A server that speaks OpenAI's chat format and little else.

    No checks beyond the shape, reasoning in the open.
    """

    kind: ClassVar[str] = "compatible"
    dialect: ClassVar[Dialect] = _CompatibleDialect()

    def check_body(self, call: RecordedRequest) -> ErrorReply | None:
        if isinstance(call.body, dict) and (
            call.endpoint != "chat" or isinstance(call.body.get("messages"), list)
        ):
            return None
        return Fault.invalid_request("Request body is not a valid chat completion request.")


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": 1715367049, "owned_by": "system"}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(
        str(part["text"]) for part in content or () if isinstance(part, dict) and "text" in part
    )


def _duration(seconds: float) -> str:
    """A duration as OpenAI writes it: `9ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"
