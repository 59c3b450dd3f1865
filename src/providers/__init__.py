"""One adapter a vendor, all behind one protocol (``base``), found as plugins (``registry``).

What stands in ``__all__`` is what adapters of other packages are built with: the protocol and its
values, and the tools that the adapters here use as well. It changes only with the library's major
version. ``docs/providers.md`` shows how they go together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..request import ChatRequest, ResponseFormat
    from .assemble import Assembler, SseDecoder
    from .base import (
        SAMPLING_KNOBS,
        Call,
        Capabilities,
        CountsTokens,
        EmbedCall,
        Embedding,
        Embeds,
        ListsModels,
        Provider,
        ProviderFactory,
        ProviderSettings,
        Reply,
        ReplyStream,
        ResponseMeta,
    )
    from .denied import without_denied
    from .faults import response_error, stream_error, transport_error
    from .history import as_text, foreign, own, with_valid_ids
    from .http_wire import HttpWire
    from .options import capabilities_for, check_options
    from .sse import LineParser, SseParser
    from .stream import ByteSource, DecodedStream, Decoder
    from .unsupported import Unexpressed
    from .wire import WireRequest, WireResponse, WireStream

__all__ = [
    "SAMPLING_KNOBS",
    "Assembler",
    "ByteSource",
    "Call",
    "Capabilities",
    "ChatRequest",
    "CountsTokens",
    "DecodedStream",
    "Decoder",
    "EmbedCall",
    "Embedding",
    "Embeds",
    "HttpWire",
    "LineParser",
    "ListsModels",
    "Provider",
    "ProviderFactory",
    "ProviderSettings",
    "Reply",
    "ReplyStream",
    "ResponseFormat",
    "ResponseMeta",
    "SseDecoder",
    "SseParser",
    "Unexpressed",
    "WireRequest",
    "WireResponse",
    "WireStream",
    "as_text",
    "capabilities_for",
    "check_options",
    "foreign",
    "own",
    "response_error",
    "stream_error",
    "transport_error",
    "with_valid_ids",
    "without_denied",
]

_HOME_OF = {
    "Assembler": "assemble",
    "ByteSource": "stream",
    "ChatRequest": ".request",
    "DecodedStream": "stream",
    "Decoder": "stream",
    "HttpWire": "http_wire",
    "LineParser": "sse",
    "ResponseFormat": ".request",
    "SseDecoder": "assemble",
    "SseParser": "sse",
    "Unexpressed": "unsupported",
    "WireRequest": "wire",
    "WireResponse": "wire",
    "WireStream": "wire",
    "as_text": "history",
    "capabilities_for": "options",
    "check_options": "options",
    "foreign": "history",
    "own": "history",
    "response_error": "faults",
    "stream_error": "faults",
    "transport_error": "faults",
    "with_valid_ids": "history",
    "without_denied": "denied",
}
"""The module of each name; ``base`` for all others. Loaded late: one adapter needs few of them."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOME_OF.get(name, 'base')}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
