"""Simulated providers: the vendors' wire formats on a loopback port, for tests.

>>> from switchgear.testing import Answer, Fault, SimulatedProviders
>>> with SimulatedProviders() as simulated:  # doctest: +SKIP
...     simulated.openai.script(Fault.rate_limit(retry_after=1), Answer(text="Hello."))
...     client = openai.OpenAI(base_url=simulated.openai.base_url, api_key="any")

The server is imported on first use only, so that a test run which has the pytest plugin installed
but does not use it pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answers import Answer, RateLimits, TokenUsage, ToolCall
from .faults import BrokenReply, ErrorReply, Fault, Outcome
from .records import RecordedRequest

if TYPE_CHECKING:
    from .provider import Handler, SimulatedProvider
    from .server import SimulatedProviders
    from .type_checks import TypeCheckError, validate_request

__all__ = [
    "Answer",
    "BrokenReply",
    "ErrorReply",
    "Fault",
    "Handler",
    "Outcome",
    "RateLimits",
    "RecordedRequest",
    "SimulatedProvider",
    "SimulatedProviders",
    "TokenUsage",
    "ToolCall",
    "TypeCheckError",
    "validate_request",
]

_LAZY = {
    "Handler": "provider",
    "SimulatedProvider": "provider",
    "SimulatedProviders": "server",
    "TypeCheckError": "type_checks",
    "validate_request": "type_checks",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    return getattr(import_module(f".{module}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
