"""OpenAI's error bodies: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import msgspec

from ..faults import ErrorReply
from ..records import RecordedRequest
from ..rendering import Json

__all__ = ["error_body", "error_object"]


class _Said(msgspec.Struct, frozen=True):
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None


_SAID = {
    "invalid_request": _Said("We could not parse the JSON body of your request."),
    "unprocessable": _Said("The request was well-formed but could not be processed."),
    "context_length": _Said(
        "This model's maximum context length is 128000 tokens. However, your messages resulted "
        "in 130000 tokens. "
        "Please reduce the length of the messages.",
        code="context_length_exceeded",
        param="messages",
    ),
    "content_filter": _Said(
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. "
        "Please try again with a "
        "different prompt.",
        code="invalid_prompt",
    ),
    "authentication": _Said(
        "Incorrect API key provided: sk-***. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    ),
    "permission": _Said(
        "You have insufficient permissions for this operation. Missing scopes: model.request.",
        code="missing_scope",
    ),
    "not_found": _Said("Invalid URL", code=None),
    "request_timeout": _Said("Request timed out.", type="server_error"),
    "conflict": _Said("The resource was updated by another request.", code="conflict"),
    "too_large": _Said("Maximum request size limit exceeded.", code="request_too_large"),
    "rate_limit": _Said(
        "Rate limit reached for the model in organization org-simulated on requests per min "
        "(RPM): Limit 500, Used "
        "500, Requested 1. Please try again in 120ms. Visit "
        "https://platform.openai.com/account/rate-limits to learn "
        "more.",
        type="requests",
        code="rate_limit_exceeded",
    ),
    "insufficient_quota": _Said(
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        type="insufficient_quota",
        code="insufficient_quota",
    ),
    "server_error": _Said(
        "The server had an error while processing your request. Sorry about that!",
        type="server_error",
    ),
    "unavailable": _Said(
        "The engine is currently overloaded, please try again later", type="server_error"
    ),
    "gateway_timeout": _Said("The server took too long to answer.", type="server_error"),
}
_SAME_AS = {
    "credit_balance": "insufficient_quota",
    "overloaded": "unavailable",
    "bad_gateway": "server_error",
    "response_failed": "server_error",
}
_BY_STATUS = {
    400: "invalid_request",
    401: "authentication",
    403: "permission",
    404: "not_found",
    408: "request_timeout",
    409: "conflict",
    413: "too_large",
    422: "unprocessable",
    429: "rate_limit",
    503: "unavailable",
    504: "gateway_timeout",
}


def error_object(call: RecordedRequest, problem: ErrorReply) -> Json:
    """What stands under `error`."""
    reason = problem.reason or _BY_STATUS.get(problem.status, "server_error")
    said = _said(call, _SAME_AS.get(reason, reason))
    return {
        "message": problem.message or said.message,
        "type": problem.type or said.type,
        "param": problem.param
        if problem.param is not None
        else (None if problem.message else said.param),
        "code": problem.code
        if problem.code is not None
        else (None if problem.message else said.code),
    }


def _said(call: RecordedRequest, reason: str) -> _Said:
    if reason == "model_not_found":
        return _Said(
            f"The model `{call.model}` does not exist or you do not have access to it.",
            code="model_not_found",
        )
    if reason == "not_found":
        return _Said(f"Invalid URL ({call.method} {call.path})")
    if reason == "context_length" and call.endpoint == "responses":
        return _Said(
            "Your input exceeds the context window of this model. Please adjust your input and "
            "try again.",
            code="context_length_exceeded",
            param="input",
        )
    return _SAID.get(reason, _SAID["server_error"])


def error_body(call: RecordedRequest, problem: ErrorReply) -> Json:
    """The body of an error answer, and of the error chunk inside a chat stream."""
    return {"error": error_object(call, problem)}
