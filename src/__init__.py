"""Switchgear: one interface to every language model, with failover, cost and limits.

::

    from switchgear import Router

    async with Router.from_file("switchgear.toml") as router:
        reply = await router.complete("high-reasoning", "Compare Raft and Paxos.")
        print(reply.text, reply.cost)
        print(reply.trace)

Everything a user needs is importable from here. Names are loaded when they are first used, so
that ``import switchgear`` costs next to nothing and loads no vendor's SDK.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .accounting.budgets.watch import BudgetEvent
    from .accounting.reports.spend import Spend, SpendRow
    from .accounting.reports.standing import BudgetStatus
    from .caching.stats import CacheStats
    from .clock import Clock, SystemClock
    from .completion import (
        Completion,
        EmbeddingResult,
        FinishReason,
        StreamEvent,
        TokenCount,
        ToolCallDelta,
        Usage,
    )
    from .config import Config
    from .credentials import Secret
    from .decision import Step, Trace
    from .errors import (
        AllProvidersFailedError,
        AuthenticationError,
        BudgetBusyError,
        BudgetError,
        BudgetExceededError,
        ConfigError,
        ContentFilterError,
        ContextWindowExceededError,
        DeadlineExceededError,
        HookVetoError,
        InvalidRequestError,
        LedgerError,
        LifecycleError,
        MalformedResponseError,
        ModelNotFoundError,
        OverloadedError,
        PermissionDeniedError,
        PluginError,
        ProviderConnectionError,
        ProviderError,
        ProviderTimeoutError,
        QuotaExceededError,
        RateLimitError,
        ServerError,
        StreamInterruptedError,
        SwitchgearError,
        UnboundedCostError,
        UnsupportedParameterError,
    )
    from .gateway import LLMGateway, SyncLLMGateway
    from .messages import (
        Audio,
        File,
        Image,
        Message,
        Native,
        NativeBlock,
        Part,
        Reasoning,
        Refusal,
        Text,
        Tool,
        ToolCall,
        ToolChoice,
    )
    from .request import ResponseFormat
    from .routing.hooks.values import (
        AttemptDetails,
        AttemptResult,
        Hook,
        HookSettings,
        Settlement,
        StateChange,
    )
    from .routing.options import CallOptions
    from .routing.router import Router
    from .routing.streaming import CompletionStream
    from .routing.sync import SyncCompletionStream, SyncRouter

__version__ = "0.1.0"

_HOMES = {
    "accounting.budgets.watch": ("BudgetEvent",),
    "accounting.reports.spend": ("Spend", "SpendRow"),
    "accounting.reports.standing": ("BudgetStatus",),
    "caching.stats": ("CacheStats",),
    "clock": ("Clock", "SystemClock"),
    "completion": (
        "Completion",
        "EmbeddingResult",
        "FinishReason",
        "StreamEvent",
        "TokenCount",
        "ToolCallDelta",
        "Usage",
    ),
    "config": ("Config",),
    "credentials": ("Secret",),
    "decision": ("Step", "Trace"),
    "errors": (
        "AllProvidersFailedError",
        "AuthenticationError",
        "BudgetBusyError",
        "BudgetError",
        "BudgetExceededError",
        "ConfigError",
        "ContentFilterError",
        "ContextWindowExceededError",
        "DeadlineExceededError",
        "HookVetoError",
        "InvalidRequestError",
        "LedgerError",
        "LifecycleError",
        "MalformedResponseError",
        "ModelNotFoundError",
        "OverloadedError",
        "PermissionDeniedError",
        "PluginError",
        "ProviderConnectionError",
        "ProviderError",
        "ProviderTimeoutError",
        "QuotaExceededError",
        "RateLimitError",
        "ServerError",
        "StreamInterruptedError",
        "SwitchgearError",
        "UnboundedCostError",
        "UnsupportedParameterError",
    ),
    "gateway": ("LLMGateway", "SyncLLMGateway"),
    "messages": (
        "Audio",
        "File",
        "Image",
        "Message",
        "Native",
        "NativeBlock",
        "Part",
        "Reasoning",
        "Refusal",
        "Text",
        "Tool",
        "ToolCall",
        "ToolChoice",
    ),
    "request": ("ResponseFormat",),
    "routing.hooks.values": (
        "AttemptDetails",
        "AttemptResult",
        "Hook",
        "HookSettings",
        "Settlement",
        "StateChange",
    ),
    "routing.options": ("CallOptions",),
    "routing.router": ("Router",),
    "routing.streaming": ("CompletionStream",),
    "routing.sync": ("SyncCompletionStream", "SyncRouter"),
}

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AllProvidersFailedError",
    "AttemptDetails",
    "AttemptResult",
    "Audio",
    "AuthenticationError",
    "BudgetBusyError",
    "BudgetError",
    "BudgetEvent",
    "BudgetExceededError",
    "BudgetStatus",
    "CacheStats",
    "CallOptions",
    "Clock",
    "Completion",
    "CompletionStream",
    "Config",
    "ConfigError",
    "ContentFilterError",
    "ContextWindowExceededError",
    "DeadlineExceededError",
    "EmbeddingResult",
    "File",
    "FinishReason",
    "Hook",
    "HookSettings",
    "HookVetoError",
    "Image",
    "InvalidRequestError",
    "LLMGateway",
    "LedgerError",
    "LifecycleError",
    "MalformedResponseError",
    "Message",
    "ModelNotFoundError",
    "Native",
    "NativeBlock",
    "OverloadedError",
    "Part",
    "PermissionDeniedError",
    "PluginError",
    "ProviderConnectionError",
    "ProviderError",
    "ProviderTimeoutError",
    "QuotaExceededError",
    "RateLimitError",
    "Reasoning",
    "Refusal",
    "ResponseFormat",
    "Router",
    "Secret",
    "ServerError",
    "Settlement",
    "Spend",
    "SpendRow",
    "StateChange",
    "Step",
    "StreamEvent",
    "StreamInterruptedError",
    "SwitchgearError",
    "SyncCompletionStream",
    "SyncLLMGateway",
    "SyncRouter",
    "SystemClock",
    "Text",
    "TokenCount",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "Trace",
    "UnboundedCostError",
    "UnsupportedParameterError",
    "Usage",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
