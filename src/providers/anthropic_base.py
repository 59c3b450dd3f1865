"""What Anthropic's own platform, Bedrock and Vertex have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ..credentials import Secret
from ..errors import AuthenticationError, ProviderError
from .anthropic_models import capabilities_of, traits_of
from .base import Call, Capabilities, ProviderSettings, Reply, ReplyStream
from .dialects.anthropic_decode import decode_count, decode_reply
from .dialects.anthropic_encode import Encoded, Platform, encode, encode_count
from .dialects.anthropic_stream import AnthropicDecoder
from .direct_wire import MISSING_KEY
from .options import capabilities_for
from .roads import Road
from .stream import DecodedStream
from .wire import Wire, WireRequest, WireResponse

__all__ = ["AnthropicFamily", "CommonOptions", "bearer", "http_client"]

_MESSAGES = "/v1/messages"
_COUNT = "/v1/messages/count_tokens"
_NO_CREDENTIAL = ("authentication", "credential", "config file", "profile")


class CommonOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options that all three platforms take.

    Attributes:
        transport: What carries HTTP under the SDK; aiohttp costs half of httpx.
        wire: ``direct`` sends past the SDK, with its client's headers and address: cheaper. Not
            where the client signs each request.
        thinking_display: Whether thinking can be read (``summarized``) or only sent back
            (``omitted``); unset leaves it to the model's default.
        headers: Additional headers of every request, ``anthropic-beta`` among them.
    """

    transport: Literal["aiohttp", "httpx"] = "aiohttp"
    wire: Road = "sdk"
    thinking_display: Literal["summarized", "omitted"] | None = None
    headers: dict[str, str] = {}


class AnthropicFamily:
    """A provider that speaks the Messages API, over whichever client.

    Args:
        settings: The provider's table.
        options: Its checked options.
        wire: The way to the provider.
        platform: Who serves the models.
        no_key: What to do when the SDK finds no credential.
    """

    def __init__(
        self,
        settings: ProviderSettings,
        *,
        options: CommonOptions,
        wire: Wire,
        platform: Platform,
        no_key: str,
    ) -> None:
        self._settings = settings
        self._options = options
        self._wire = wire
        self._platform: Platform = platform
        self._no_key = no_key

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._settings.name

    @property
    def client(self) -> Any:
        """The SDK's own client. Made on first use, which takes a second."""
        return self._wire.client

    def capabilities(self, model: str) -> Capabilities:
        """What that model can do."""
        return capabilities_for(self._settings, model, capabilities_of(model))

    async def complete(self, call: Call) -> Reply:
        """Answer a request."""
        encoded = self._encode(call)
        response = await self._send(self._request(call, encoded, _MESSAGES, encoded.body))
        return decode_reply(
            response.body,
            provider=self.name,
            model=call.model,
            meta=response.meta,
            answer_tool=encoded.answer_tool,
            warnings=encoded.warnings,
            region=self._region(call.model),
        )

    async def stream(self, call: Call) -> ReplyStream:
        """Open a stream."""
        encoded = self._encode(call, stream=True)
        request = self._request(call, encoded, _MESSAGES, encoded.body)
        try:
            source = await self._wire.open(request)
        except ProviderError as exc:
            raise self._explained(exc) from exc.__cause__
        decoder = AnthropicDecoder(
            provider=self.name,
            model=call.model,
            answer_tool=encoded.answer_tool,
            warnings=encoded.warnings,
            request_id=source.meta.request_id,
            framed="eventstream" in source.meta.headers.get("content-type", ""),
            region=self._region(call.model),
        )
        return DecodedStream(source, decoder, provider=self.name, model=call.model)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._wire.aclose()

    def _region(self, model: str) -> str | None:
        """Where a model is run, where that has a price and the answer does not say it."""
        del model
        return None

    async def _count(self, call: Call) -> int:
        encoded = self._encode(call)
        request = self._request(call, encoded, _COUNT, encode_count(encoded))
        response = await self._send(request)
        return decode_count(response.body, provider=self.name, model=call.model, meta=response.meta)

    def _encode(self, call: Call, *, stream: bool = False) -> Encoded:
        return encode(
            call,
            provider=self.name,
            traits=traits_of(call.model),
            capabilities=self.capabilities(call.model),
            platform=self._platform,
            display=self._options.thinking_display,
            stream=stream,
        )

    def _request(
        self, call: Call, encoded: Encoded, path: str, body: Mapping[str, Any]
    ) -> WireRequest:
        return WireRequest(
            path=path,
            body=body,
            model=call.model,
            headers=encoded.headers,
            timeout=call.timeout,
            credential=call.credential,
        )

    async def _send(self, request: WireRequest) -> WireResponse:
        try:
            return await self._wire.send(request)
        except ProviderError as exc:
            raise self._explained(exc) from exc.__cause__

    def _explained(self, exc: ProviderError) -> ProviderError:
        """The SDKs find out late, and say vaguely, that there is no credential."""
        if exc.code == MISSING_KEY:
            message = f"{self.name}: no credential: {self._no_key}"
            return AuthenticationError(
                message, provider=self.name, model=exc.model, code=MISSING_KEY
            )
        words = str(exc.__cause__).lower() if type(exc) is ProviderError else ""
        if not any(word in words for word in _NO_CREDENTIAL):
            return exc
        message = f"{self.name}: no credential: {self._no_key} (the SDK says: {exc.__cause__})"
        return AuthenticationError(message, provider=self.name, model=exc.model)


def bearer(secret: Secret) -> Mapping[str, str]:
    """The header that puts a credential in place of the client's own."""
    return {"Authorization": f"Bearer {secret.reveal()}"}


def http_client(transport: str) -> Any:
    """The HTTP client under the SDK. Imports the SDK, for its own with its defaults."""
    if transport == "httpx":
        import anthropic

        return anthropic.DefaultAsyncHttpxClient()
    from .lean_client import LeanClient

    return LeanClient()
