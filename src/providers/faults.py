"""Every vendor's way of saying no, turned into one of our errors.

Vendors differ in the shape of an error body but not much in what they say, so one table of words
and one of statuses serves all of them. The words win over the status: a 429 may be an exhausted
quota, a 400 an overlong prompt, and an error inside a stream has no status at all.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from ..credentials import Secret, hide
from ..errors import (
    AuthenticationError,
    ContentFilterError,
    ContextWindowExceededError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    SwitchgearError,
)
from .headers import request_id, retry_after

__all__ = [
    "redact",
    "response_error",
    "root_cause",
    "stream_error",
    "transport_error",
    "unknown_error",
]

_BY_WORD: dict[str, type[SwitchgearError]] = {
    "authentication_error": AuthenticationError,
    "invalid_api_key": AuthenticationError,
    "expiredtokenexception": AuthenticationError,
    "invalidsignatureexception": AuthenticationError,
    "missingauthenticationtokenexception": AuthenticationError,
    "unrecognizedclientexception": AuthenticationError,
    "accessdeniedexception": PermissionDeniedError,
    "permission_error": PermissionDeniedError,
    "unsupported_country_region_territory": PermissionDeniedError,
    "billing_error": QuotaExceededError,
    "insufficient_quota": QuotaExceededError,
    "billing_hard_limit_reached": QuotaExceededError,
    "billing_not_active": QuotaExceededError,
    "contract_spend_limit_reached": QuotaExceededError,
    "enforced_spend_limit_reached": QuotaExceededError,
    "linked_organization_spend_limit_reached": QuotaExceededError,
    "organization_on_hold": QuotaExceededError,
    "servicequotaexceededexception": QuotaExceededError,
    "model_not_found": ModelNotFoundError,
    "deploymentnotfound": ModelNotFoundError,
    "invalid_model": ModelNotFoundError,
    "model_decommissioned": ModelNotFoundError,
    "model_terms_required": PermissionDeniedError,
    "not_found_error": ModelNotFoundError,
    "context_length_exceeded": ContextWindowExceededError,
    "string_above_max_length": ContextWindowExceededError,
    "exceed_context_size_error": ContextWindowExceededError,
    "request_too_large": ContextWindowExceededError,
    "content_filter": ContentFilterError,
    "content_policy_violation": ContentFilterError,
    "invalid_prompt": ContentFilterError,
    "bio_policy": ContentFilterError,
    "misalignment_policy_violation": ContentFilterError,
    "image_content_policy_violation": ContentFilterError,
    "rate_limit_error": RateLimitError,
    "rate_limit_exceeded": RateLimitError,
    "throttlingexception": RateLimitError,
    "overloaded_error": OverloadedError,
    "server_overloaded": OverloadedError,
    "serviceunavailableexception": OverloadedError,
    "timeout_error": ProviderTimeoutError,
    "vector_store_timeout": ProviderTimeoutError,
    "modeltimeoutexception": ProviderTimeoutError,
    "api_error": ServerError,
    "server_error": ServerError,
    "internal_server_error": ServerError,
    "internalserverexception": ServerError,
    "modelstreamerrorexception": ServerError,
    # Groq's way of saying that the model wrote what could not be read; the request was fine.
    "json_validate_failed": MalformedResponseError,
    "output_parse_failed": MalformedResponseError,
    "tool_use_failed": MalformedResponseError,
    "invalid_request_error": InvalidRequestError,
    "validationexception": InvalidRequestError,
    "invalid_image": InvalidRequestError,
    "invalid_image_format": InvalidRequestError,
    "invalid_base64_image": InvalidRequestError,
    "invalid_image_url": InvalidRequestError,
    "image_too_large": InvalidRequestError,
    "image_too_small": InvalidRequestError,
    "image_parse_error": InvalidRequestError,
    "invalid_image_mode": InvalidRequestError,
    "image_file_too_large": InvalidRequestError,
    "unsupported_image_media_type": InvalidRequestError,
    "empty_image_file": InvalidRequestError,
    "failed_to_download_image": InvalidRequestError,
    "image_file_not_found": InvalidRequestError,
    "data_residency_mismatch": InvalidRequestError,
}

_BY_STATUS: dict[int, type[SwitchgearError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    404: ModelNotFoundError,
    405: InvalidRequestError,
    408: ProviderTimeoutError,
    413: ContextWindowExceededError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    424: ServerError,
    429: RateLimitError,
    503: OverloadedError,
    504: ProviderTimeoutError,
    529: OverloadedError,
}

# Refinements that only the message tells. Each holds only beside a status or word that fits it.
_TOO_LONG = re.compile(
    r"prompt is too long|maximum context length|context window|context size|context limit"
    r"|input is too long|too many tokens in (?:the )?prompt|reduce the length of the messages"
    r"|exceeds the context length|too large to process"
    r"|tokens \+ `max_new_tokens` must be",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(
    r"credit balance|exceeded your current quota|billing|out of credits|available credits"
    r"|any credits|spending limit|free allocation",
    re.IGNORECASE,
)
_SURELY_NO_CREDIT = re.compile(r"credit balance|api usage limits|any credits", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"not a valid model|model not exist|invalid model\b|model identifier is invalid"
    r"|\bmodel\b.{0,80}(?:does not exist|has been decommissioned)",
    re.IGNORECASE,
)
_NO_KEY = re.compile(r"(?:incorrect|invalid) api key|api key not valid", re.IGNORECASE)
_FLAGGED = re.compile(
    r"requires moderation|input was flagged|blocked by content filtering", re.IGNORECASE
)
_RETRY_IN = re.compile(r"(?:retry|try again) in (\d+(?:\.\d+)?)\s?(ms|s)\b", re.IGNORECASE)

_CONNECTING = frozenset(
    {
        "ClientConnectorError",
        "ConnectError",
        "ConnectTimeout",
        "ConnectionTimeoutError",
        "PoolTimeout",
    }
)
"""What aiohttp, httpx and httpx2 call a failure before there was a connection, by class name:
three libraries that need not all be loaded."""

_LONGEST_MESSAGE = 600


def response_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    provider: str,
    model: str | None = None,
    secret: Secret | None = None,
    now: float | None = None,
) -> SwitchgearError:
    """The error that an HTTP answer with a status outside 200–299 means.

    Args:
        status: The HTTP status.
        headers: The answer's headers, for ``retry-after`` and the request's id.
        body: The answer's body, JSON in one of the vendors' shapes or anything else.
        provider: The provider's name in the configuration.
        model: The model that was asked.
        secret: The credential in use, never to be seen in the message.
        now: Seconds since the epoch, for a ``retry-after`` that is a date.
    """
    word, message, param = _read(body)
    word = word or headers.get("x-amzn-errortype", "").partition(":")[0] or None
    cls = _classify(status, word, message)
    if 300 <= status < 400:
        target = headers.get("location", "elsewhere")
        message = f"redirects to {target}, which is not followed: set base_url to the final address"
    error = cls(
        f"{provider}: {status}: {redact(message, secret) or 'no message'}",
        provider=provider,
        model=model,
        status=status,
        code=word,
        param=param,
        retry_after=_wait(cls, message, headers, time.time() if now is None else now),
        request_id=request_id(headers),
    )
    # A copy: an error may outlive its answer, and be sent to another process.
    error.headers = {name.lower(): value for name, value in headers.items()}
    return error


def stream_error(
    data: object,
    *,
    provider: str,
    model: str | None = None,
    request_id: str | None = None,
    where: str = "the stream",
) -> SwitchgearError:
    """The error that an error inside a stream or an answer means; its status was a 200."""
    word, message, param = _fields(data)
    status = _status_in(data)
    cls = _classify(status, word, message)
    if cls is ProviderError:
        cls = ServerError
    return cls(
        f"{provider}: error inside {where}: {redact(message, None) or word or 'no message'}",
        provider=provider,
        model=model,
        status=status,
        code=word,
        param=param,
        request_id=request_id,
    )


def transport_error(
    exc: BaseException, *, provider: str, model: str | None = None
) -> SwitchgearError:
    """The error that a failed connection means. Raise it ``from exc``.

    Goes by the root cause, since transports on the way call a refused connection a time-out.
    """
    root = root_cause(exc)
    timed_out = isinstance(root, TimeoutError) or "timeout" in type(root).__name__.lower()
    cls = ProviderTimeoutError if timed_out else ProviderConnectionError
    what = "no answer in time" if timed_out else "connection failed"
    detail = redact(str(root), None) or type(root).__name__
    error: ProviderError = cls(f"{provider}: {what}: {detail}", provider=provider, model=model)
    error.unsent = _never_connected(exc)
    return error


def unknown_error(
    exc: BaseException, *, provider: str, model: str | None, secret: Secret | None
) -> ProviderError:
    """The error that any other failure means. Raise it ``from exc``.

    Args:
        exc: What an SDK or a library raised.
        provider: Whom it was meant for.
        model: Which of its models.
        secret: The credential, to keep it out of the message.
    """
    message = f"{provider}: {type(exc).__name__}: {redact(str(exc), secret)}"
    return ProviderError(message, provider=provider, model=model)


def _never_connected(exc: BaseException) -> bool:
    """Whether the failure is that of connecting, so that nothing can have been sent."""
    # By causes alone: the context may be an earlier call's failure, in whose handler this call is
    # made as a fallback.
    chain: list[BaseException] = []
    while not any(exc is each for each in chain):
        chain.append(exc)
        exc = exc.__cause__ or exc
    # From the inside out, and as far as aiohttp's own word: the transport above it calls a reset
    # and a disconnect, both behind the request, a time-out of the connecting.
    for each in reversed(chain):
        if isinstance(each, ConnectionRefusedError | socket.gaierror):
            return True
        if any(cls.__name__ in _CONNECTING for cls in type(each).__mro__):
            return True
        if type(each).__module__.startswith("aiohttp."):
            return False
    return False


def root_cause(exc: BaseException) -> BaseException:
    """The exception that began it: transports wrap a refused connection three times over."""
    seen = {id(exc)}
    while True:
        inner = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
        # A time limit that cancelled something is the cause, not the cancelling.
        if (
            not isinstance(inner, Exception)
            or id(inner) in seen
            or isinstance(inner, StopIteration)
        ):
            return exc
        seen.add(id(inner))
        exc = inner


def redact(message: str, secret: Secret | None) -> str:
    """The message, shortened, without the credential and without what looks like one."""
    message = " ".join(hide(message, secret).split())
    return message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…"


def _wait(
    cls: type[SwitchgearError], message: str, headers: Mapping[str, str], now: float
) -> float | None:
    """Seconds to wait: from the headers, else as the message of a rate limit says."""
    told = retry_after(headers, now=now)
    if told is not None or cls is not RateLimitError:
        return told
    found = _RETRY_IN.search(message)
    if found is None:
        return None
    return float(found[1]) / (1000 if found[2].lower() == "ms" else 1)


def _classify(status: int | None, word: str | None, message: str) -> type[SwitchgearError]:
    by_word = _BY_WORD.get(word.lower()) if word else None
    by_status = None
    if status is not None and status >= 400:
        by_status = _BY_STATUS.get(status, ServerError if status >= 500 else ProviderError)
    cls = by_word or by_status or ProviderError
    if cls in {InvalidRequestError, ServerError}:
        # A vague word must not hide a telling status (OpenAI's 401 says invalid_request_error).
        cls = by_status or cls
    if cls in {InvalidRequestError, ServerError, ProviderError} and _TOO_LONG.search(message):
        return ContextWindowExceededError
    return _by_message(cls, message)


def _by_message(cls: type[SwitchgearError], message: str) -> type[SwitchgearError]:
    """What only the message tells, where status and word leave it open."""
    if cls not in {InvalidRequestError, PermissionDeniedError, RateLimitError}:
        return cls
    if _SURELY_NO_CREDIT.search(message):
        return QuotaExceededError
    if cls is RateLimitError:
        # Gemini calls the end of a minute's quota by the same words as the end of the money.
        exhausted = _NO_CREDIT.search(message) and not _RETRY_IN.search(message)
        return QuotaExceededError if exhausted else cls
    if _FLAGGED.search(message):
        return ContentFilterError
    if cls is InvalidRequestError:
        if _NO_KEY.search(message):
            return AuthenticationError
        if _NO_MODEL.search(message):
            return ModelNotFoundError
    return cls


def _read(body: bytes) -> tuple[str | None, str, str | None]:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # A gateway's HTML page: its first line of text says enough.
        text = re.sub(r"<[^>]*>", " ", body[:4096].decode("utf-8", "replace"))
        return None, text, None
    return _fields(data)


def _fields(data: object) -> tuple[str | None, str, str | None]:
    """Code, message and parameter out of any vendor's error body."""
    if isinstance(data, list) and data:
        data = data[0]  # Vertex
    if not isinstance(data, dict):
        return None, str(data) if data else "", None
    inner: Any = data.get("error", data)
    listed = data.get("errors")
    if inner is data and isinstance(listed, list) and listed:
        inner = listed[0]  # Cloudflare
    if isinstance(inner, str):
        return _word(data.get("code"), data.get("type")), inner, None
    if not isinstance(inner, dict):
        inner = data
    message = inner.get("message") or inner.get("Message") or inner.get("detail") or ""
    param = inner.get("param")
    details = inner.get("details")
    return (
        _word(
            details.get("error_code") if isinstance(details, dict) else None,
            inner.get("code"),
            inner.get("type"),
            inner.get("status"),
            inner.get("__type"),
        ),
        message if isinstance(message, str) else str(message),
        param if isinstance(param, str) else None,
    )


def _word(*candidates: object) -> str | None:
    """The most telling word: one that the table knows, else the first."""
    words = [word for word in candidates if isinstance(word, str) and word and word != "error"]
    for word in words:
        if word.lower() in _BY_WORD and _BY_WORD[word.lower()] is not InvalidRequestError:
            return word
    return words[0] if words else None


def _status_in(data: object) -> int | None:
    inner = data.get("error", data) if isinstance(data, dict) else None
    code = inner.get("code") or inner.get("status") if isinstance(inner, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else None
