"""Ollama: models on this machine or another, through its own API.

::

    [providers.ollama]
    base_url = "http://127.0.0.1:11434"      # default: OLLAMA_HOST, else this
    api_key = "env:OLLAMA_API_KEY"           # only for ollama.com or a proxy in front
    options = { num_ctx = 16384, top_k = 40 }
    keep_alive = "10m"
    truncate = false                         # true: overlong prompts silently lose their beginning
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ..config.providers import host_reach
from ..errors import ConfigError
from .base import (
    Call,
    Capabilities,
    EmbedCall,
    Embedding,
    ProviderSettings,
    Reply,
    ReplyStream,
)
from .dialects import Encoded
from .dialects.ollama_chat_decode import ChatDecoder, decode
from .dialects.ollama_chat_encode import ChatDefaults, encode
from .dialects.ollama_embeddings import decode_embeddings, decode_models, encode_embeddings
from .ollama_models import capabilities_of, is_cloud_model, thinks_in_levels
from .ollama_wire import OllamaWire
from .options import capabilities_for, check_options
from .stream import DecodedStream
from .wire import Wire, WireRequest

__all__ = ["OllamaProvider", "create"]

_CHAT = "/api/chat"
_EMBED = "/api/embed"
_TAGS = "/api/tags"
_LIST_SECONDS = 30.0


class _Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    options: dict[str, Any] = {}
    keep_alive: str | int | float | None = None
    truncate: bool = False
    headers: dict[str, str] = {}


def create(settings: ProviderSettings) -> OllamaProvider:
    """The provider of one ``[providers.NAME]`` table. No I/O, and the SDK is not yet loaded.

    Raises:
        ConfigError: An option is unknown or wrong; ``param`` names it.
    """
    return OllamaProvider(settings)


class OllamaProvider:
    """One Ollama server (a ``Provider`` that also embeds and lists its models)."""

    def __init__(self, settings: ProviderSettings) -> None:
        options = check_options(settings, _Options)
        _check_address(settings)
        self._settings = settings
        self._defaults = ChatDefaults(
            options=options.options, keep_alive=options.keep_alive, truncate=options.truncate
        )
        window = options.options.get("num_ctx")
        self._window = window if isinstance(window, int) and window > 0 else None
        address = settings.base_url or os.environ.get("OLLAMA_HOST", "")
        self._local = host_reach(address) == "loopback"
        self._headers = options.headers
        self._wire: Wire = OllamaWire(
            provider=settings.name, make_client=self._make_client, secret=settings.api_key
        )

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._settings.name

    @property
    def client(self) -> Any:
        """The ``ollama.AsyncClient``."""
        return self._wire.client

    def capabilities(self, model: str) -> Capabilities:
        """What the model can do: by its name, and as the provider's ``models`` table says.

        A model that the server hands on to Ollama's cloud is not local.
        """
        declared = msgspec.structs.replace(
            capabilities_of(model),
            context_window=self._window,
            local=self._local and not is_cloud_model(model),
        )
        return capabilities_for(self._settings, model, declared)

    async def complete(self, call: Call) -> Reply:
        """Answer a request."""
        encoded = self._encode(call, stream=False)
        response = await self._wire.send(_request(_CHAT, encoded.body, call))
        return decode(response, call, encoded, provider=self.name)

    async def stream(self, call: Call) -> ReplyStream:
        """Open a stream."""
        encoded = self._encode(call, stream=True)
        source = await self._wire.open(_request(_CHAT, encoded.body, call))
        decoder = ChatDecoder(call, encoded, provider=self.name)
        return DecodedStream(source, decoder, provider=self.name, model=call.model)

    async def embed(self, call: EmbedCall) -> Embedding:
        """Turn texts into vectors, in one request."""
        body = encode_embeddings(call, self._defaults)
        response = await self._wire.send(_request(_EMBED, body, call))
        return decode_embeddings(response, call, provider=self.name)

    async def list_models(self) -> Sequence[str]:
        """The models that have been pulled, with their tags."""
        response = await self._wire.send(WireRequest(path=_TAGS, timeout=_LIST_SECONDS))
        return decode_models(response, provider=self.name)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._wire.aclose()

    def _encode(self, call: Call, *, stream: bool) -> Encoded:
        return encode(
            call,
            self.capabilities(call.model),
            self._defaults,
            provider=self.name,
            levels=thinks_in_levels(call.model),
            stream=stream,
        )

    def _make_client(self) -> Any:
        import ollama

        headers = dict(self._headers)
        if self._settings.api_key is not None:
            headers["authorization"] = f"Bearer {self._settings.api_key.reveal()}"
        # What is meant for this machine must not go through a proxy of the environment, which
        # would see it, and could not reach it.
        more: dict[str, Any] = {"trust_env": False} if self._local else {}
        try:
            return ollama.AsyncClient(host=self._settings.base_url, headers=headers, **more)
        except ValueError as exc:
            param = f"providers.{self.name}.base_url"
            where = "OLLAMA_HOST" if self._settings.base_url is None else param
            raise ConfigError(f"{where}: is no address: {exc}", param=param) from exc


def _request(path: str, body: Mapping[str, Any], call: Call | EmbedCall) -> WireRequest:
    return WireRequest(
        path=path,
        body=body,
        model=call.model,
        headers=call.headers,
        timeout=call.timeout,
        credential=call.credential,
    )


def _check_address(settings: ProviderSettings) -> None:
    """The most frequent mistake: the address of the OpenAI-compatible API, or of an endpoint."""
    path = urlsplit(settings.base_url or "").path.rstrip("/")
    for wrong in ("/v1", "/api", _CHAT):
        if path.endswith(wrong):
            param = f"providers.{settings.name}.base_url"
            message = f"{param}: must be the server's root, so leave {wrong} out"
            if wrong == "/v1":
                message += ' (with it, use plugin = "openai-compatible")'
            raise ConfigError(message, param=param)
