"""Claude on Google Vertex AI: bearer tokens, Google's errors around Anthropic's."""

# ruff: noqa: D102 - the port, wire.py, says what every method takes and does.

from __future__ import annotations

import re
import urllib.parse
from typing import ClassVar

from ..faults import ErrorReply, Fault
from ..records import RecordedRequest
from ..rendering import Frame, Json, Reply, compact, new_id
from ..wire import retry_after_headers
from .checks import check_messages
from .wire import AnthropicWire

__all__ = ["VertexWire"]

_PATH = re.compile(
    r"/v1/projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)/publishers/anthropic/models/"
    r"(?P<model>[^/]+)(?::|%3A)(?P<verb>rawPredict|streamRawPredict)"
)
_STATUS_NAMES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
    "cookie or other valid "
    "authentication credential. See "
    "https://developers.google.com/identity/sign-in/web/devconsole-project."
)


class VertexWire(AnthropicWire):
    """`/v1/projects/{p}/locations/{r}/publishers/anthropic/models/{m}:rawPredict`."""

    kind: ClassVar[str] = "vertex"
    base_path: ClassVar[str] = "/v1"
    message_prefix: ClassVar[str] = "msg_vrtx_01"
    tool_prefix: ClassVar[str] = "toolu_vrtx_01"

    def route(self, call: RecordedRequest) -> bool:
        call.request_id = new_id("req_vrtx_011", 21)
        match = _PATH.fullmatch(call.path)
        if match is None or call.method != "POST":
            return False
        model = urllib.parse.unquote(match["model"])
        call.endpoint = "count_tokens" if model == "count-tokens" else "messages"
        body = call.body if isinstance(call.body, dict) else {}
        call.model = str(body.get("model", "")) if call.endpoint == "count_tokens" else model
        call.stream = match["verb"] == "streamRawPredict" and body.get("stream") is True
        return True

    def authenticate(self, call: RecordedRequest) -> ErrorReply | None:
        if call.header("authorization") == f"Bearer {self.settings.require_key}":
            return None
        return Fault.authentication()

    def check(self, call: RecordedRequest) -> ErrorReply | None:
        if not isinstance(call.body, dict):
            return Fault.invalid_request("The request body is not valid JSON")
        if not call.body.get("anthropic_version"):
            return Fault.invalid_request("anthropic_version: Field required")
        counting = call.endpoint == "count_tokens"
        if "model" in call.body and not counting:
            return Fault.invalid_request("model: Extra inputs are not permitted")
        problem = check_messages({**call.body, "model": call.model}, counting=counting)
        if problem is not None:
            return Fault.invalid_request(problem)
        if self.settings.models is not None and call.model not in self.settings.models:
            return Fault.model_not_found()
        return None

    def error(self, call: RecordedRequest, problem: ErrorReply) -> Reply:
        name = _STATUS_NAMES.get(problem.status)
        if name is None or problem.reason == "invalid_request":
            # What Anthropic's own servers say comes through as it is.
            return super().error(call, problem)
        return Reply(
            status=problem.status,
            content_type="application/json; charset=UTF-8",
            headers=retry_after_headers(problem),
            frames=[Frame(compact(_google_body(call, problem, name)), terminal=True)],
            latency=problem.latency,
        )

    def headers(self, call: RecordedRequest) -> dict[str, str]:
        return {
            "request-id": call.request_id,
            "server": "scaffolding on HTTPServer2",
            "x-vertex-ai-internal-trace": "0",
        }


def _google_body(call: RecordedRequest, problem: ErrorReply, name: str) -> Json:
    message = {
        "authentication": _UNAUTHENTICATED,
        "permission": "Permission 'aiplatform.endpoints.predict' denied on resource "
        f"'//aiplatform.googleapis.com/{call.path.strip('/')}' (or it may not exist).",
        "model_not_found": f"Publisher Model `{call.path.rpartition(':')[0].strip('/')}` was "
        "not found or your project "
        "does not have access to it. Please ensure you are using a valid model version.",
        "rate_limit": "Quota exceeded for "
        "aiplatform.googleapis.com/online_prediction_requests_per_base_model "
        "with base "
        f"model: anthropic-{call.model}. Please submit a quota increase request.",
        "insufficient_quota": "Quota exceeded for "
        "aiplatform.googleapis.com/online_prediction_requests_per_base_model "
        f"with base model: anthropic-{call.model}. Please submit a quota increase request.",
        "unavailable": "The service is currently unavailable.",
        "gateway_timeout": "Deadline expired before operation could complete.",
        "request_timeout": "Deadline expired before operation could complete.",
    }.get(problem.reason, "Internal error encountered.")
    return {
        "error": {"code": problem.status, "message": problem.message or message, "status": name}
    }
