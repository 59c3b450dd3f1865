"""The provider: Gemini's requests and answers over plain HTTP."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from switchgear import AuthenticationError, MalformedResponseError, Secret
from switchgear.providers import (
    Call,
    Capabilities,
    DecodedStream,
    EmbedCall,
    Embedding,
    HttpWire,
    ProviderSettings,
    Reply,
    WireRequest,
    WireResponse,
    capabilities_for,
    check_options,
)

from .answer import GeminiDecoder, decode
from .models import DEFAULT_BASE_URL, capabilities_of
from .request import encode

__all__ = ["GeminiProvider", "create"]

_KEY_VARIABLE = "GEMINI_API_KEY"
_LIST_SECONDS = 30.0


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of the provider's table beyond the common ones."""

    headers: Mapping[str, str] = {}


class _Vector(msgspec.Struct):
    values: tuple[float, ...]


class _Vectors(msgspec.Struct):
    embeddings: list[_Vector]


class _Count(msgspec.Struct, rename="camel"):
    total_tokens: int


class _Model(msgspec.Struct):
    name: str


class _Models(msgspec.Struct):
    models: list[_Model] = []


def create(settings: ProviderSettings) -> GeminiProvider:
    """What the entry point leads to. No I/O.

    Raises:
        ConfigError: The provider's table is wrong.
    """
    return GeminiProvider(settings)


class GeminiProvider:
    """Gemini (a ``Provider`` that also embeds, counts tokens and lists its models)."""

    def __init__(self, settings: ProviderSettings) -> None:
        options = check_options(settings, _Options)
        key = settings.api_key
        if key is None and (found := os.environ.get(_KEY_VARIABLE)):
            key = Secret(found)
        self._settings = settings
        self._has_key = key is not None
        self._wire = HttpWire(
            provider=settings.name,
            base_url=settings.base_url or DEFAULT_BASE_URL,
            auth_headers=lambda secret: {"x-goog-api-key": secret.reveal()},
            secret=key,
            headers=options.headers,
        )

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._settings.name

    @property
    def client(self) -> Any:
        """The HTTP client; there is no SDK behind this."""
        return self._wire.client

    def capabilities(self, model: str) -> Capabilities:
        """What a model can do, the configuration's own word included."""
        return capabilities_for(self._settings, model, capabilities_of(model))

    async def complete(self, call: Call) -> Reply:
        """Answer a request."""
        body, warnings = encode(call, self.capabilities(call.model), self.name)
        response = await self._send(call, "generateContent", body)
        return decode(response, call, warnings, provider=self.name)

    async def stream(self, call: Call) -> DecodedStream:
        """Open a stream."""
        body, warnings = encode(call, self.capabilities(call.model), self.name)
        source = await self._wire.open(self._request(call, "streamGenerateContent?alt=sse", body))
        decoder = GeminiDecoder(call, warnings, provider=self.name)
        return DecodedStream(source, decoder, provider=self.name, model=call.model)

    async def embed(self, call: EmbedCall) -> Embedding:
        """Turn texts into vectors. Gemini counts no tokens for them."""
        one: dict[str, Any] = {"model": f"models/{call.model}", **call.extra}
        if call.dimensions is not None:
            one["outputDimensionality"] = call.dimensions
        requests = [{**one, "content": {"parts": [{"text": text}]}} for text in call.inputs]
        response = await self._send(call, "batchEmbedContents", {"requests": requests})
        vectors = self._read(response, _Vectors).embeddings
        if len(vectors) != len(call.inputs):
            raise self._malformed(f"{len(vectors)} vectors for {len(call.inputs)} inputs")
        return Embedding(
            vectors=tuple(vector.values for vector in vectors),
            model=call.model,
            meta=response.meta,
        )

    async def count_tokens(self, call: Call) -> int:
        """The input tokens that this call would have."""
        body, _ = encode(call, self.capabilities(call.model), self.name)
        asked = {"generateContentRequest": {"model": f"models/{call.model}", **body}}
        tokens: int = self._read(await self._send(call, "countTokens", asked), _Count).total_tokens
        return tokens

    async def list_models(self) -> Sequence[str]:
        """The models that the key may use."""
        self._check_key(None)
        request = WireRequest(path="/models?pageSize=1000", timeout=_LIST_SECONDS)
        listed = self._read(await self._wire.send(request), _Models)
        return [model.name.removeprefix("models/") for model in listed.models]

    async def aclose(self) -> None:
        """Close every connection."""
        await self._wire.aclose()

    async def _send(
        self, call: Call | EmbedCall, method: str, body: Mapping[str, Any]
    ) -> WireResponse:
        return await self._wire.send(self._request(call, method, body))

    def _request(self, call: Call | EmbedCall, method: str, body: Mapping[str, Any]) -> WireRequest:
        self._check_key(call)
        return WireRequest(
            path=f"/models/{call.model}:{method}",
            body=body,
            model=call.model,
            headers=call.headers,
            timeout=call.timeout,
            credential=call.credential,
        )

    def _check_key(self, call: Call | EmbedCall | None) -> None:
        if not self._has_key and (call is None or call.credential is None):
            raise AuthenticationError(
                f"{self.name}: no API key: set {_KEY_VARIABLE}, or providers.{self.name}.api_key",
                provider=self.name,
                model=call.model if call is not None else None,
                code="missing_api_key",
                param=f"providers.{self.name}.api_key",
            )

    def _read(self, response: WireResponse, form: type[Any]) -> Any:
        try:
            return msgspec.json.decode(response.body, type=form)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self._malformed(str(exc)) from exc

    def _malformed(self, what: str) -> MalformedResponseError:
        return MalformedResponseError(f"{self.name}: malformed answer: {what}", provider=self.name)
