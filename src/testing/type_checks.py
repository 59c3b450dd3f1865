"""Request bodies against the official SDKs' own request types.

Stricter than what the vendors accept in places and looser in others: it finds misspelt fields and
wrong types, which the vendors' hand-written rules (see the `*_checks` modules) say nothing about.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["TypeCheckError", "validate_request"]

_DEFAULT_ENDPOINTS = {
    "anthropic": "messages",
    "bedrock": "messages",
    "vertex": "messages",
    "openai": "chat",
    "azure": "chat",
    "compatible": "chat",
    "ollama": "chat",
}
# What the cloud vendors take out of or put into Anthropic's body, and fields the SDK sends outside
# its own types.
_EXTRA_FIELDS = frozenset({"anthropic_version", "anthropic_beta", "temperature", "top_p", "top_k"})


class TypeCheckError(ValueError):
    """A body does not fit the SDK's request type; the message lists where and why."""


def validate_request(vendor: str, body: Mapping[str, Any], *, endpoint: str | None = None) -> None:
    """Check `body` against the request type of the vendor's official SDK, which must be installed.

    `vendor` is a wire kind (`anthropic`, `openai`, ...), `endpoint` a name as in
    `RecordedRequest.endpoint`. Raises `TypeCheckError`; endpoints without a request type pass.
    """
    kind = {
        "bedrock": "anthropic",
        "vertex": "anthropic",
        "azure": "openai",
        "compatible": "openai",
    }.get(vendor, vendor)
    wanted = endpoint or _DEFAULT_ENDPOINTS.get(vendor, "chat")
    adapter = _adapter(kind, wanted)
    if adapter is None:
        return
    checked = dict(body)
    if kind == "anthropic":
        checked = {name: value for name, value in checked.items() if name not in _EXTRA_FIELDS}
        checked.setdefault("model", "in-the-path")
    from pydantic import ValidationError

    try:
        _exhaust(adapter.validate_python(checked))
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:8]]
        raise TypeCheckError("; ".join(lines)) from error


@functools.cache
def _adapter(kind: str, endpoint: str) -> TypeAdapter[Any] | None:
    from pydantic import ConfigDict, TypeAdapter

    wanted = _request_type(kind, endpoint)
    if wanted is None:
        return None
    if kind == "ollama":
        return TypeAdapter(wanted)
    # In a union the configuration reaches the typed dictionaries inside; a bare one would refuse
    # it.
    return TypeAdapter(
        wanted | None, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    )


def _request_type(kind: str, endpoint: str) -> Any:
    match kind, endpoint:
        case "anthropic", "messages":
            from anthropic.types import MessageCreateParams

            return MessageCreateParams
        case "anthropic", "count_tokens":
            from anthropic.types import MessageCountTokensParams

            return MessageCountTokensParams
        case "openai", "chat":
            from openai.types.chat import CompletionCreateParams

            return CompletionCreateParams
        case "openai", "responses":
            from openai.types.responses import ResponseCreateParams

            return ResponseCreateParams
        case "openai", "embeddings":
            from openai.types import EmbeddingCreateParams

            return EmbeddingCreateParams
        case "ollama", "chat":
            from ollama._types import ChatRequest

            return ChatRequest
        case "ollama", "embeddings":
            from ollama._types import EmbedRequest

            return EmbedRequest
    return None


def _exhaust(value: Any) -> None:
    """Walk a validated value: pydantic checks an `Iterable`'s items only when they are taken."""
    if isinstance(value, Mapping):
        for item in value.values():
            _exhaust(item)
    elif isinstance(value, list | tuple) or (
        isinstance(value, Iterator) and not isinstance(value, str)
    ):
        for item in value:
            _exhaust(item)
