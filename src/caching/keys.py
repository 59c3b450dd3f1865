"""When two requests are the same: the key under which an answer is kept.

A key is a SHA-256 over everything that can change an answer. What only changes who pays, how long
the caller waits or whom the call is for is left out.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ..config.values import FrozenDict, GroupConfig, Pool, ProviderConfig
from ..credentials import Secret
from ..messages import Audio, File, Image, Message
from ..request import ChatRequest
from .canonical import encode, format_form, json_form, message_form, tool_form

__all__ = ["ENCODING", "CacheTarget", "key_of", "key_soon", "target_of"]

ENCODING: Final = 1
"""The version of what follows. Whatever changes a key must raise it: keys of two versions never
meet, so a fleet in which both run shares no answer that one of them would key otherwise."""

_LARGE: Final = 256 * 1024
"""Characters. A SHA-256 of more than this takes longer than a hop to a thread."""

_NO_MEANING = frozenset(
    {
        "baggage",
        "idempotency-key",
        "traceparent",
        "tracestate",
        "x-client-request-id",
        "x-correlation-id",
        "x-request-id",
        "x-trace-id",
    }
)
"""Headers that name one request, so that no two are equal, and that no answer depends on."""


class CacheTarget(msgspec.Struct, frozen=True):
    """What a call asks: a group with its chain, or one model.

    Attributes:
        group: The group's name; ``None`` where a model was named.
        pools: The chain.
        providers: The names of its providers.
        fingerprint: A hash of the chain and of how its providers are configured.
    """

    group: str | None
    pools: tuple[Pool, ...]
    providers: frozenset[str]
    fingerprint: bytes


def target_of(
    group: GroupConfig | None,
    pools: tuple[Pool, ...],
    settings: Callable[[str], ProviderConfig | None],
) -> CacheTarget:
    """What a call asks, with the fingerprint of all that the configuration says about it.

    Args:
        group: The group; ``None`` where a model was named.
        pools: Its chain, or the model as a pool of one.
        settings: How a provider is configured; ``None`` where that is not known.

    Raises:
        NoCanonicalFormError: A table of a provider holds what is not JSON.
    """
    names = {entry.provider for pool in pools for entry in pool.candidates}
    form = [
        None if group is None else [group.name, group.max_tokens],
        [[_entry(entry) for entry in pool.candidates] for pool in pools],
        {name: _provider(settings(name)) for name in names},
    ]
    digest = hashlib.sha256(encode(form)).digest()
    name = group.name if group is not None else None
    return CacheTarget(name, pools, frozenset(names), digest)


def _entry(entry: Any) -> list[Any]:
    extra, headers = _settings(entry.extra), _settings(entry.extra_headers)
    return [entry.provider, entry.model, entry.region, entry.max_tokens, extra, headers]


def _provider(settings: ProviderConfig | None) -> list[Any] | None:
    if settings is None:
        return None
    options, models = _settings(settings.options), _settings(settings.models)
    return [settings.plugin, settings.base_url, settings.unsupported, options, models]


def _settings(value: Any) -> Any:
    """A table of the configuration; a credential in it counts, and can't be read back."""
    if isinstance(value, FrozenDict):
        return {
            key: _keyed(Secret(repr(item)), key) if key in value.masked else _settings(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_settings(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return json_form(value)


def key_of(
    request: ChatRequest,
    target: CacheTarget,
    *,
    project: str | None,
    region: str | None = None,
    credentials: Mapping[str, Secret] | None = None,
) -> bytes:
    """The key of a request: 32 bytes.

    Args:
        request: What is asked.
        target: Whom.
        project: The project whose answers these are; ``None`` where all share them.
        region: Where it must be answered.
        credentials: Keys for this call, by provider. Each goes in as a hash that it is itself the
            key of.

    Raises:
        NoCanonicalFormError: The request holds what is not JSON.
    """
    names = target.providers
    choice = request.tool_choice
    form = [
        ENCODING,
        None if project is None else [project],
        target.fingerprint,
        region,
        {n: _keyed(s, n) for n, s in (credentials or {}).items() if n in names},
        [message_form(message) for message in request.messages],
        [tool_form(tool) for tool in request.tools],
        None if choice is None else [choice.mode, choice.name],
        format_form(request.response_format),
        [
            json_form(request.temperature),
            json_form(request.top_p),
            request.max_tokens,
            json_form(request.seed),
            request.reasoning_effort,
            request.parallel_tool_calls,
            list(request.stop),
        ],
        {n: json_form(extra) for n, extra in request.extra.items() if extra and n in names},
        _headers(request.extra_headers, names),
    ]
    return hashlib.sha256(encode(form)).digest()


async def key_soon(
    request: ChatRequest,
    target: CacheTarget,
    *,
    project: str | None,
    region: str | None = None,
    credentials: Mapping[str, Secret] | None = None,
) -> bytes:
    """The same without keeping the event loop from its work where there are megabytes to hash."""

    def key() -> bytes:
        return key_of(request, target, project=project, region=region, credentials=credentials)

    size = sum(map(_size, request.messages))
    return key() if size <= _LARGE else await asyncio.to_thread(key)


def _size(message: Message) -> int:
    if isinstance(message.content, str):
        return len(message.content)
    # Whatever is no text counts as a kilobyte, unless it is known to be more.
    return sum(
        len(part.data or "")
        if isinstance(part, Image | Audio | File)
        else len(getattr(part, "text", "")) + 1024
        for part in message.content
    )


def _headers(
    by_provider: Mapping[str, Mapping[str, str]], names: frozenset[str]
) -> dict[str, dict[str, str]]:
    found = {
        provider: {
            lower: value
            for name, value in headers.items()
            if (lower := name.lower()) not in _NO_MEANING
        }
        for provider, headers in by_provider.items()
        if provider in names
    }
    return {provider: headers for provider, headers in found.items() if headers}


def _keyed(secret: Secret, name: str) -> bytes:
    label = b"switchgear cache\0" + name.encode(errors="surrogatepass")
    return hmac.digest(secret.reveal().encode(errors="surrogatepass"), label, "sha256")
