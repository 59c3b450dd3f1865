"""Anthropic's error bodies: `{"type": "error", "error": {"type", "message"}, "request_id"}`."""

from __future__ import annotations

from ..faults import ErrorReply
from ..records import RecordedRequest
from ..rendering import Json

__all__ = ["error_body", "error_type"]

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_MESSAGES = {
    "authentication": "invalid x-api-key",
    "permission": "Your API key does not have permission to use the specified resource.",
    "context_length": "prompt is too long: 210000 tokens > 200000 maximum",
    "credit_balance": "Your credit balance is too low to access the Anthropic API. "
    "Please go to Plans & Billing to upgrade or purchase credits.",
    "insufficient_quota": "You have reached your specified API usage limits. "
    "You will regain access on 2030-01-01 at 00:00 UTC.",
    "content_filter": "Output blocked by content filtering policy",
    "request_timeout": "Request timed out. Please try again.",
    "conflict": "The resource is being modified by another request.",
    "too_large": "Request exceeds the maximum size",
    "rate_limit": "This request would exceed your organization's rate limit of 50 requests per "
    "minute. For details, "
    "refer to: https://docs.claude.com/en/api/rate-limits. You can see the response headers for "
    "current usage.",
    "server_error": "Internal server error",
    "unavailable": "Service temporarily unavailable",
    "gateway_timeout": "Request timed out",
    "overloaded": "Overloaded",
    "invalid_request": "messages: Input should be a valid list",
    "unprocessable": "messages: Input should be a valid list",
    "not_found": "Not Found",
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
    500: "server_error",
    503: "unavailable",
    504: "gateway_timeout",
    529: "overloaded",
}


def error_type(problem: ErrorReply) -> str:
    """The `error.type` that goes with a status."""
    return problem.type or _TYPES.get(problem.status, "api_error")


def error_body(call: RecordedRequest, problem: ErrorReply, *, with_request_id: bool = True) -> Json:
    """The body of an error answer, or of the `error` event in a stream."""
    reason = problem.reason or _BY_STATUS.get(problem.status, "server_error")
    message = problem.message or _MESSAGES.get(reason)
    if reason == "model_not_found":
        message = problem.message or f"model: {call.model}"
    error: Json = {"type": error_type(problem), "message": message or "Error"}
    if problem.details is not None:
        error["details"] = dict(problem.details)
    body: Json = {"type": "error", "error": error}
    if with_request_id:
        body["request_id"] = call.request_id
    return body
