"""What a response's headers say about waiting, and which request it answers."""

from __future__ import annotations

import email.utils
import math
from collections.abc import Iterable, Mapping

__all__ = ["SECRET_HEADERS", "Unshown", "lowered", "request_id", "retry_after"]

_LONGEST = 86_400.0 * 31

# Anthropic's name, OpenAI's and most others', AWS's, Azure's, Mistral's, DeepSeek's; last what a
# proxy in front of a vendor without a name of its own gives.
_REQUEST_IDS = (
    "request-id",
    "x-request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "mistral-correlation-id",
    "x-kong-request-id",
    "x-ds-trace-id",
    "cf-ray",
)


SECRET_HEADERS = frozenset(
    {
        "api-key",
        "authorization",
        "cookie",
        "proxy-authorization",
        "x-amz-security-token",
        "x-api-key",
        "x-goog-api-key",
    }
)
"""Headers of requests that hold credentials."""


class Unshown(str):
    """A header's value that can be sent and not shown.

    At level DEBUG the Anthropic SDK logs the options of each request, and tools that report errors
    show the local variables of every frame.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def lowered(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers of an answer as ``ResponseMeta`` holds them, one that came twice in one line."""
    found: dict[str, str] = {}
    for spelled, given in headers:
        name, value = spelled.lower(), given
        if not value.isascii():
            # Bytes that are no UTF-8 arrive as lone surrogates, which nothing can write down.
            value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's id of the request, by which its support finds it.

    Args:
        headers: Response headers, names in lower case or case-insensitive.
    """
    for name in _REQUEST_IDS:
        if value := headers.get(name):
            return value
    return None


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds to wait, from ``retry-after-ms`` or ``retry-after`` (seconds or an HTTP date).

    Honour it on errors only: some providers send it on successes too, where it means nothing.
    A value that makes no sense (negative, not a number, more than a month) counts as absent, a
    date in the past as zero.

    Args:
        headers: Response headers, names in lower case or case-insensitive.
        now: Seconds since the epoch, against which a date is read.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    wait = max(0.0, moment - now)
    return wait if wait <= _LONGEST else None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return number if 0 <= number <= _LONGEST else None
