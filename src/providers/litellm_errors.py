"""What LiteLLM's exceptions mean, by what the vendor said and not by what LiteLLM makes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ..credentials import Secret, hide
from ..errors import (
    MalformedResponseError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    SwitchgearError,
    UnsupportedParameterError,
)
from . import faults
from .litellm_exchange import Exchange

__all__ = ["Place", "cut", "error_of", "told"]

_OWN_WORDS = re.compile(r"^(?:litellm\.\w+: |\w+Error: |\w+Exception(?: \w+Error)? - )+")
# A traceback, or the whole answer, which is nobody's business.
_BESIDE = re.compile(r"\nTraceback \(most recent call last\)|,? Original Response:")
_NAMED = re.compile(r"parameters: \['([^']+)'")
_STOPPED = re.compile(r"stream ended before", re.IGNORECASE)

_TRANSPORTS = frozenset({"aiohttp", "botocore", "httpcore", "httpx", "httpx2", "urllib3"})

_CODES = {
    "ContextWindowExceededError": "context_length_exceeded",
    "ContentPolicyViolationError": "content_policy_violation",
}


class Place(msgspec.Struct, frozen=True):
    """Where an error happened.

    Attributes:
        provider: The provider's name in the configuration.
        model: The model that was asked.
        secrets: What must not be seen in a message.
    """

    provider: str
    model: str
    secrets: tuple[Secret | None, ...] = ()


def error_of(exc: Exception, exchange: Exchange, place: Place) -> SwitchgearError:
    """The error that an exception of LiteLLM's means. Raise it ``from exc``."""
    if isinstance(exc, SwitchgearError):
        return exc
    known = told(exchange, place)
    if known is not None:
        return known
    names = {cls.__name__ for cls in type(exc).__mro__}
    text = _text(exc, place)
    if "UnsupportedParamsError" in names:
        found = _NAMED.search(text)
        return UnsupportedParameterError(
            f"{place.provider}: can't be expressed: {text}",
            provider=place.provider,
            model=place.model,
            param=found[1] if found is not None else None,
        )
    if exchange.finished is False or _STOPPED.search(text):
        return cut(exchange, place)
    status = getattr(exc, "status_code", None)
    vague = not isinstance(status, int) or status >= 500 or "APIConnectionError" in names
    if exchange.status is not None and vague:
        return _malformed(text, exchange, place)
    if "Timeout" in names:
        message = f"{place.provider}: no answer in time: {text}"
        return ProviderTimeoutError(message, provider=place.provider, model=place.model)
    if "APIConnectionError" in names and _is_transports(faults.root_cause(exc)):
        message = f"{place.provider}: connection failed: {text}"
        return ProviderConnectionError(message, provider=place.provider, model=place.model)
    if not isinstance(status, int) or "APIConnectionError" in names:
        message = f"{place.provider}: {type(exc).__name__}: {text}"
        return ProviderError(message, provider=place.provider, model=place.model)
    word = next((_CODES[name] for name in names if name in _CODES), None)
    body = {"error": {"message": text, "code": word or getattr(exc, "code", None)}}
    return faults.response_error(
        status,
        _headers(exc),
        msgspec.json.encode(body, enc_hook=str),
        provider=place.provider,
        model=place.model,
    )


def told(exchange: Exchange, place: Place) -> SwitchgearError | None:
    """The error that shows on the wire; ``None`` where nothing does."""
    if exchange.failure is not None:
        return faults.transport_error(exchange.failure, provider=place.provider, model=place.model)
    if exchange.status is not None and exchange.status >= 300:
        body = hide(exchange.body.decode("utf-8", "replace"), *place.secrets).encode()
        return faults.response_error(
            exchange.status,
            exchange.meta.headers,
            body,
            provider=place.provider,
            model=place.model,
        )
    exchange.look()
    if exchange.error is not None:
        try:
            data = msgspec.json.decode(hide(exchange.error.decode(), *place.secrets))
        except (msgspec.DecodeError, UnicodeDecodeError):
            data = None
        return faults.stream_error(
            data,
            provider=place.provider,
            model=place.model,
            request_id=exchange.meta.request_id,
            where="the stream" if exchange.streamed else "the answer",
        )
    if exchange.damaged is not None:
        return _malformed(exchange.damaged, exchange, place)
    return None


def cut(exchange: Exchange, place: Place) -> SwitchgearError:
    """The error for a stream that merely stopped."""
    return ProviderConnectionError(
        f"{place.provider}: the stream stopped before its end",
        provider=place.provider,
        model=place.model,
        request_id=exchange.meta.request_id,
    )


def _is_transports(exc: BaseException) -> bool:
    """It comes from a connection: LiteLLM says so of every exception that it does not know."""
    home = type(exc).__module__.partition(".")[0]
    return isinstance(exc, OSError) or home in _TRANSPORTS


def _malformed(text: str, exchange: Exchange, place: Place) -> MalformedResponseError:
    return MalformedResponseError(
        f"{place.provider}: malformed answer: {text}",
        provider=place.provider,
        model=place.model,
        request_id=exchange.meta.request_id,
    )


def _text(exc: Exception, place: Place) -> str:
    """What LiteLLM says, without its own words around it and without credentials."""
    said = getattr(exc, "message", None)
    text = said if isinstance(said, str) and said else str(exc)
    text = _BESIDE.split(text, maxsplit=1)[0]
    return faults.redact(hide(_OWN_WORDS.sub("", text), *place.secrets), None)


def _headers(exc: Exception) -> Mapping[str, str]:
    """The vendor's headers, where LiteLLM kept them."""
    headers: Any = getattr(exc, "litellm_response_headers", None)
    if headers is None:
        headers = getattr(getattr(exc, "response", None), "headers", None)
    try:
        return {str(name).lower(): str(value) for name, value in dict(headers or {}).items()}
    except (TypeError, ValueError):
        return {}
