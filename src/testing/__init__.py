"""Simulated providers: the vendors' wire formats on a loopback port, for tests.

>>> from switchgear.testing import Answer, Fault, SimulatedProviders
>>> with SimulatedProviders() as simulated:  # doctest: +SKIP
...     simulated.openai.script(Fault.rate_limit(retry_after=1), Answer(text="Hello."))
...     client = openai.OpenAI(base_url=simulated.openai.base_url, api_key="any")

A vendor that is not built in is simulated by a subclass of `Wire`, in some 150 lines; what a `Wire`
is made with (`Frame`, `Reply`, `sse_reply`, `usage_of` and the like) is here as well. The package
`switchgear.testing.conformance` holds an adapter against what every adapter promises.

The server is imported on first use only, so that a test run which has the pytest plugin installed
but does not use it pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answers import Answer, RateLimits, TokenUsage, ToolCall
from .faults import BrokenReply, ErrorReply, Fault, Outcome
from .records import RecordedRequest

if TYPE_CHECKING:
    from .defaults import default_answer, embedding_of, example_of
    from .provider import Handler, SimulatedProvider
    from .rendering import (
        Frame,
        Json,
        Reply,
        compact,
        estimate_tokens,
        hex_id,
        json_reply,
        merged,
        new_id,
        pieces_of,
        pretty,
        split_json,
        sse,
        sse_reply,
    )
    from .server import SimulatedProviders
    from .type_checks import TypeCheckError, validate_request
    from .wire import Ask, Settings, Spent, Wire, retry_after_headers, rfc3339, usage_of

__all__ = [
    "Answer",
    "Ask",
    "BrokenReply",
    "ErrorReply",
    "Fault",
    "Frame",
    "Handler",
    "Json",
    "Outcome",
    "RateLimits",
    "RecordedRequest",
    "Reply",
    "Settings",
    "SimulatedProvider",
    "SimulatedProviders",
    "Spent",
    "TokenUsage",
    "ToolCall",
    "TypeCheckError",
    "Wire",
    "compact",
    "default_answer",
    "embedding_of",
    "estimate_tokens",
    "example_of",
    "hex_id",
    "json_reply",
    "merged",
    "new_id",
    "pieces_of",
    "pretty",
    "retry_after_headers",
    "rfc3339",
    "split_json",
    "sse",
    "sse_reply",
    "usage_of",
    "validate_request",
]

_HOMES = {
    "defaults": ("default_answer", "embedding_of", "example_of"),
    "provider": ("Handler", "SimulatedProvider"),
    "rendering": (
        "Frame",
        "Json",
        "Reply",
        "compact",
        "estimate_tokens",
        "hex_id",
        "json_reply",
        "merged",
        "new_id",
        "pieces_of",
        "pretty",
        "split_json",
        "sse",
        "sse_reply",
    ),
    "server": ("SimulatedProviders",),
    "type_checks": ("TypeCheckError", "validate_request"),
    "wire": ("Ask", "Settings", "Spent", "Wire", "retry_after_headers", "rfc3339", "usage_of"),
}
_LAZY = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    return getattr(import_module(f".{module}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
