"""Everything that can go wrong at a provider, as values that `Fault` makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from .answers import Answer

__all__ = ["BrokenReply", "ErrorReply", "Fault", "Outcome", "RetryAfterForm"]

RetryAfterForm = Literal["seconds", "ms", "http-date"]
BreakKind = Literal[
    "broken_json",
    "cut",
    "drip",
    "empty_body",
    "endless",
    "garbage",
    "no_terminal",
    "redirect_loop",
    "reset",
    "stall",
    "stream_error",
    "wrong_content_type",
]


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP error answer with the vendor's own body.

    `reason` picks the vendor's standard body (see `Fault`); the other fields override parts of it.
    `body`, when given, is sent as it is. `retry_after` is seconds, sent in the form
    `retry_after_form`. `latency` is seconds.
    """

    status: int
    reason: str = ""
    message: str | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    details: Mapping[str, Any] | None = None
    retry_after: float | None = None
    retry_after_form: RetryAfterForm = "seconds"
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes | None = None
    content_type: str | None = None
    latency: float = 0.0


class BrokenReply(msgspec.Struct, frozen=True, kw_only=True):
    """A good answer that the network, a proxy or a dying server spoils on its way.

    Where it breaks: nothing set means before the response headers; `after_headers` right after
    them; `after_bytes`, `after_events` (events or lines of a stream, pings included) and
    `after_chunks` (events that carry content) after that much of the body. An event count is half
    of the body where the answer is not a stream.
    """

    kind: BreakKind
    answer: Answer | None = None
    after_headers: bool = False
    after_bytes: int | None = None
    after_events: int | None = None
    after_chunks: int | None = None
    seconds: float | None = None
    size: int = 1
    error: ErrorReply | None = None
    framing: Literal["chunked", "content-length"] | None = None
    content_type: str = "text/html; charset=utf-8"

    @property
    def before_headers(self) -> bool:
        """Whether the client sees nothing of the response."""
        return (
            not self.after_headers
            and self.after_bytes is self.after_events is self.after_chunks is None
        )


Outcome = Answer | ErrorReply | BrokenReply


class Fault:
    """Constructors of faults: frozen values for a script or a handler to return.

    >>> Fault.rate_limit(retry_after=2).status
    429
    """

    # --- error answers ----------------------------------------------------------------------------

    @staticmethod
    def status(status: int, **fields: Any) -> ErrorReply:
        """Any HTTP status with the vendor's usual body; `fields` are those of `ErrorReply`."""
        return ErrorReply(status=status, **fields)

    @staticmethod
    def invalid_request(message: str | None = None, **fields: Any) -> ErrorReply:
        """400: the vendor does not like the request."""
        return ErrorReply(status=400, reason="invalid_request", message=message, **fields)

    @staticmethod
    def context_length(message: str | None = None, **fields: Any) -> ErrorReply:
        """400: the prompt is longer than the model's window."""
        return ErrorReply(status=400, reason="context_length", message=message, **fields)

    @staticmethod
    def credit_balance(**fields: Any) -> ErrorReply:
        """400, Anthropic's "credit balance is too low"; at OpenAI `insufficient_quota`."""
        return ErrorReply(status=400, reason="credit_balance", **fields)

    @staticmethod
    def content_filter(**fields: Any) -> ErrorReply:
        """400: the prompt was blocked by a content policy (in Azure's form where it has one)."""
        return ErrorReply(status=400, reason="content_filter", **fields)

    @staticmethod
    def authentication(**fields: Any) -> ErrorReply:
        """401 (403 at Bedrock): the key is wrong."""
        return ErrorReply(status=401, reason="authentication", **fields)

    @staticmethod
    def permission(**fields: Any) -> ErrorReply:
        """403: the key may not do that."""
        return ErrorReply(status=403, reason="permission", **fields)

    @staticmethod
    def model_not_found(**fields: Any) -> ErrorReply:
        """404: no such model, in the vendor's words."""
        return ErrorReply(status=404, reason="model_not_found", **fields)

    @staticmethod
    def request_timeout(**fields: Any) -> ErrorReply:
        """408."""
        return ErrorReply(status=408, reason="request_timeout", **fields)

    @staticmethod
    def conflict(**fields: Any) -> ErrorReply:
        """409."""
        return ErrorReply(status=409, reason="conflict", **fields)

    @staticmethod
    def too_large(**fields: Any) -> ErrorReply:
        """413: the request has too many bytes."""
        return ErrorReply(status=413, reason="too_large", **fields)

    @staticmethod
    def unprocessable(message: str | None = None, **fields: Any) -> ErrorReply:
        """422."""
        return ErrorReply(status=422, reason="unprocessable", message=message, **fields)

    @staticmethod
    def rate_limit(
        retry_after: float | None = None, *, form: RetryAfterForm = "seconds", **fields: Any
    ) -> ErrorReply:
        """429: too fast.

        `retry_after` seconds are said in `form`: `retry-after`, `retry-after-ms` or an HTTP date.
        """
        return ErrorReply(
            status=429,
            reason="rate_limit",
            retry_after=retry_after,
            retry_after_form=form,
            **fields,
        )

    @staticmethod
    def insufficient_quota(**fields: Any) -> ErrorReply:
        """429, OpenAI's "exceeded your current quota": waiting does not help."""
        return ErrorReply(status=429, reason="insufficient_quota", **fields)

    @staticmethod
    def server_error(**fields: Any) -> ErrorReply:
        """500."""
        return ErrorReply(status=500, reason="server_error", **fields)

    @staticmethod
    def bad_gateway(**fields: Any) -> ErrorReply:
        """502 with a proxy's HTML page instead of JSON."""
        return ErrorReply(status=502, reason="bad_gateway", **fields)

    @staticmethod
    def unavailable(retry_after: float | None = None, **fields: Any) -> ErrorReply:
        """503."""
        return ErrorReply(status=503, reason="unavailable", retry_after=retry_after, **fields)

    @staticmethod
    def gateway_timeout(**fields: Any) -> ErrorReply:
        """504."""
        return ErrorReply(status=504, reason="gateway_timeout", **fields)

    @staticmethod
    def overloaded(retry_after: float | None = None, **fields: Any) -> ErrorReply:
        """529, Anthropic's "Overloaded" (503 at the vendors that do not know that status)."""
        return ErrorReply(status=529, reason="overloaded", retry_after=retry_after, **fields)

    # --- broken answers ---------------------------------------------------------------------------

    @staticmethod
    def reset(**where: Any) -> BrokenReply:
        """The connection is reset (TCP RST) before the response, or where `where` says."""
        return BrokenReply(kind="reset", **where)

    @staticmethod
    def cut(**where: Any) -> BrokenReply:
        """The connection is closed cleanly (FIN) too early.

        Inside a chunked body, or short of its content length.
        """
        return BrokenReply(kind="cut", **where)

    @staticmethod
    def stall(seconds: float | None = None, **where: Any) -> BrokenReply:
        """Silence for `seconds`, then the answer goes on; None lasts until the client leaves."""
        return BrokenReply(kind="stall", seconds=seconds, **where)

    @staticmethod
    def stream_error(error: ErrorReply | None = None, **where: Any) -> BrokenReply:
        """A 200 whose stream ends in the vendor's in-stream error event.

        The error is "overloaded" unless `error` says otherwise; by default it comes after the first
        event with content.

        An answer that is not streamed becomes `error` itself.
        """
        if not {"after_bytes", "after_events", "after_chunks"} & where.keys():
            where["after_chunks"] = 1
        return BrokenReply(kind="stream_error", error=error or Fault.overloaded(), **where)

    @staticmethod
    def response_failed(
        code: str = "server_error", message: str | None = None, **where: Any
    ) -> BrokenReply:
        """OpenAI's Responses API: a 200 whose response has the status `failed`, streamed or not."""
        error = ErrorReply(status=500, reason="response_failed", code=code, message=message)
        return Fault.stream_error(error, **where)

    @staticmethod
    def no_terminal(**fields: Any) -> BrokenReply:
        """A stream that ends, properly framed, without its last event, or where `fields` say.

        The last event is `message_stop`, `[DONE]` or `done: true`.
        """
        return BrokenReply(kind="no_terminal", **fields)

    @staticmethod
    def broken_json(**where: Any) -> BrokenReply:
        """A body, or one event of a stream, cut in half.

        In a stream it is the first event unless `after_events` says how many are good.
        """
        return BrokenReply(kind="broken_json", **where)

    @staticmethod
    def empty_body(**fields: Any) -> BrokenReply:
        """200 with the right content type and no body at all."""
        return BrokenReply(kind="empty_body", **fields)

    @staticmethod
    def wrong_content_type(
        content_type: str = "text/html; charset=utf-8", **fields: Any
    ) -> BrokenReply:
        """200 with an HTML page, as a captive portal or a misled proxy sends."""
        return BrokenReply(kind="wrong_content_type", content_type=content_type, **fields)

    @staticmethod
    def drip(seconds: float = 0.001, *, size: int = 1, **fields: Any) -> BrokenReply:
        """The whole good answer, `size` bytes at a time with `seconds` between."""
        return BrokenReply(kind="drip", seconds=seconds, size=size, **fields)

    @staticmethod
    def endless(seconds: float = 0.0, **fields: Any) -> BrokenReply:
        """A body that never ends: content repeats, `seconds` apart, until the client leaves."""
        return BrokenReply(kind="endless", seconds=seconds, **fields)

    @staticmethod
    def redirect_loop() -> BrokenReply:
        """307 to itself, for ever."""
        return BrokenReply(kind="redirect_loop")

    @staticmethod
    def garbage() -> BrokenReply:
        """Bytes that are no HTTP, then the end of the connection."""
        return BrokenReply(kind="garbage")
