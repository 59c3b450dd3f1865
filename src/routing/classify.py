"""What a failure means for the rest of the call: the table of the design, as a table."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from ..errors import (
    AuthenticationError,
    ContentFilterError,
    ContextWindowExceededError,
    InvalidRequestError,
    LifecycleError,
    MalformedResponseError,
    ModelNotFoundError,
    PermissionDeniedError,
    PluginError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    UnsupportedParameterError,
)

__all__ = ["Verdict", "classify"]

Repeat: TypeAlias = Literal["no", "backoff", "retry-after"]
Next: TypeAlias = Literal["yes", "no", "larger-window", "if-configured"]


class Verdict(msgspec.Struct, frozen=True):
    """Whether the same candidate may be tried again, and whether the next one is.

    Attributes:
        repeat: ``backoff`` (full jitter) or ``retry-after`` (the provider's own word first).
        next: ``larger-window`` is for a prompt that is too long, ``if-configured`` for a refusal.
    """

    repeat: Repeat
    next: Next


_TABLE: tuple[tuple[type[BaseException], Verdict], ...] = (
    # The first class that fits decides, so subclasses stand before their parents.
    (LifecycleError, Verdict("no", "no")),
    (UnsupportedParameterError, Verdict("no", "yes")),
    (ContextWindowExceededError, Verdict("no", "larger-window")),
    (InvalidRequestError, Verdict("no", "no")),
    (ContentFilterError, Verdict("no", "if-configured")),
    (StreamInterruptedError, Verdict("no", "no")),
    (QuotaExceededError, Verdict("no", "yes")),
    (RateLimitError, Verdict("retry-after", "yes")),
    (AuthenticationError, Verdict("no", "yes")),
    (PermissionDeniedError, Verdict("no", "yes")),
    (ModelNotFoundError, Verdict("no", "yes")),
    (ProviderTimeoutError, Verdict("backoff", "yes")),
    (ProviderConnectionError, Verdict("backoff", "yes")),
    (ServerError, Verdict("backoff", "yes")),
    (MalformedResponseError, Verdict("backoff", "yes")),
    (PluginError, Verdict("no", "yes")),
    (ProviderError, Verdict("no", "yes")),
)

_UNKNOWN = Verdict("no", "yes")


def classify(error: BaseException) -> Verdict:
    """The verdict on one failure. An error that is not ours is a plugin's: the next may serve."""
    for cls, verdict in _TABLE:
        if isinstance(error, cls):
            return verdict
    return _UNKNOWN
