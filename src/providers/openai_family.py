"""What the providers that speak OpenAI's APIs share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from ..credentials import Secret
from ..errors import AuthenticationError, MalformedResponseError
from . import openai_models
from .base import Call, Capabilities, EmbedCall, Embedding, ProviderSettings, Reply
from .dialects import Dialect, Encoded, openai_embeddings
from .dialects.openai_chat import ChatDialect, ChatQuirks
from .dialects.openai_responses import ResponsesDialect
from .options import capabilities_for
from .stream import DecodedStream
from .wire import Wire, WireRequest

__all__ = [
    "Api",
    "FamilyProvider",
    "Transport",
    "bearer",
    "http_client",
    "list_models",
    "own_headers",
    "wants_responses",
]

Api = Literal["auto", "chat", "responses"]
"""Which of OpenAI's two APIs answers a call."""

Transport = Literal["aiohttp", "httpx"]

_RESPONSES_AUTHOR = "openai-responses"
_LIST_SECONDS = 30.0


class FamilyProvider:
    """A provider whose vendor speaks Chat Completions, and perhaps Responses.

    Args:
        settings: The provider's table.
        wire: What carries its requests.
        missing_key: What to say where there is no key, neither the provider's nor the call's;
            ``None`` where the provider has a key or needs none.
    """

    def __init__(
        self, settings: ProviderSettings, wire: Wire, *, missing_key: str | None = None
    ) -> None:
        self._settings = settings
        self._wire = wire
        self._missing_key = missing_key
        self._region: str | None = None  # where it answers, if that has a price of its own

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._settings.name

    @property
    def client(self) -> Any:
        """The official SDK's client. Making it, on first use, blocks for up to a second."""
        return self._wire.client

    def capabilities(self, model: str) -> Capabilities:
        """What that model can do, the configuration's own word included."""
        return capabilities_for(self._settings, model, self._declared(model))

    async def complete(self, call: Call) -> Reply:
        """Answer a request."""
        dialect, encoded = self._encode(call, stream=False)
        response = await self._wire.send(self._request(call, dialect.path, encoded.body))
        return dialect.decode(response, call, encoded)

    async def stream(self, call: Call) -> DecodedStream:
        """Open a stream."""
        dialect, encoded = self._encode(call, stream=True)
        source = await self._wire.open(self._request(call, dialect.path, encoded.body))
        decoder = dialect.decoder(call, encoded)
        return DecodedStream(source, decoder, provider=self.name, model=call.model)

    async def embed(self, call: EmbedCall) -> Embedding:
        """Turn texts into vectors."""
        body = openai_embeddings.encode(call, as_base64=self._embeds_base64())
        response = await self._wire.send(self._request(call, openai_embeddings.PATH, body))
        return openai_embeddings.decode(response, call, provider=self.name)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._wire.aclose()

    def _declared(self, model: str) -> Capabilities:
        """What that model can do, without the configuration's overrides."""
        raise NotImplementedError

    def _quirks(self, model: str) -> ChatQuirks:
        """How this provider's Chat Completions differ, for one model."""
        raise NotImplementedError

    def _uses_responses(self, call: Call) -> bool:
        """The call goes to the Responses API."""
        del call
        return False

    def _embeds_base64(self) -> bool:
        return True

    def _encode(self, call: Call, *, stream: bool) -> tuple[Dialect, Encoded]:
        self._check_key(call)
        capabilities = self.capabilities(call.model)
        quirks = self._quirks(call.model)
        dialect: Dialect
        if self._uses_responses(call):
            dialect = ResponsesDialect(self.name, region=self._region)
            if quirks.openai_models:
                capabilities = _with_effort(call, capabilities, quirks.known_as or call.model)
        else:
            dialect = ChatDialect(self.name, quirks, region=self._region)
        return dialect, dialect.encode(call, capabilities, stream=stream)

    def _check_key(self, call: Call | EmbedCall) -> None:
        if self._missing_key is not None and call.credential is None:
            raise AuthenticationError(
                f"{self.name}: no API key: {self._missing_key}",
                provider=self.name,
                model=call.model,
                code="missing_api_key",
                param=f"providers.{self.name}.api_key",
            )

    def _request(self, call: Call | EmbedCall, path: str, body: Mapping[str, Any]) -> WireRequest:
        self._check_key(call)
        return WireRequest(
            path=path,
            body=body,
            model=call.model,
            headers=call.headers,
            timeout=call.timeout,
            credential=call.credential,
        )


def wants_responses(api: Api, call: Call, known_as: str) -> bool:
    """Whether a call goes to the Responses API.

    With ``auto`` it does where the model exists nowhere else, and where a reasoning model uses
    tools: there its encrypted reasoning travels from turn to turn, and Chat Completions refuse
    tools beside reasoning from GPT-5.4 on.

    Args:
        api: The provider's option.
        call: The call.
        known_as: OpenAI's name of the model.
    """
    if api != "auto":
        return api == "responses"
    known = openai_models.facts(known_as)
    if known.responses_only:
        return True
    if not known.reasoning or "n" in call.extra:
        return False
    request = call.request
    return bool(request.tools) or any(
        native is not None and native.author.startswith(_RESPONSES_AUTHOR)
        for message in request.messages
        if message.role == "assistant"
        for part in message.parts
        if (native := getattr(part, "native", None)) is not None
    )


async def list_models(wire: Wire, provider: str, missing_key: str | None) -> Sequence[str]:
    """The names that ``GET /models`` gives.

    Raises:
        SwitchgearError: It could not be asked, or answered with something else.
    """
    if missing_key is not None:
        raise AuthenticationError(
            f"{provider}: no API key: {missing_key}",
            provider=provider,
            code="missing_api_key",
            param=f"providers.{provider}.api_key",
        )
    response = await wire.send(WireRequest(path="/models", timeout=_LIST_SECONDS))
    try:
        # Together sends the bare list.
        listed = msgspec.json.decode(response.body, type=_Models | list[_Model])
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedResponseError(
            f"{provider}: malformed answer: {exc}",
            provider=provider,
            request_id=response.meta.request_id,
        ) from exc
    models = listed if isinstance(listed, list) else listed.data or []
    return [model.id for model in models]


def bearer(credential: Secret) -> Mapping[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Bearer {credential.reveal()}"}


def http_client(transport: Transport, *, placeholder: str | None = None) -> Any:
    """The HTTP client under the SDK: ours over aiohttp, or the SDK's own. Imports the SDK.

    Args:
        transport: Which one.
        placeholder: An ``Authorization`` that the SDK insists on and nobody wants: left out.
    """
    if transport == "httpx":
        import openai

        async def without_placeholder(request: Any) -> None:
            if request.headers.get("authorization") == placeholder:
                del request.headers["authorization"]

        hooks = {} if placeholder is None else {"request": [without_placeholder]}
        return openai.DefaultAsyncHttpxClient(event_hooks=hooks)
    from .lean_client import LeanClient

    return LeanClient(placeholder=placeholder)


def own_headers(headers: Mapping[str, str], secret: Secret | None) -> dict[str, Any]:
    """Headers for a client that is not OpenAI's own, as ``default_headers`` of its SDK.

    The SDK reads OpenAI's variables, but the organization, project and headers that they name are
    no other vendor's business.

    Args:
        headers: What every request carries.
        secret: The client's key; ``None`` where it authorises each request by itself.
    """
    import openai

    given = {name.lower() for name in headers}
    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    foreign = [line.partition(":")[0].strip() for line in lines if ":" in line]
    foreign += ["OpenAI-Organization", "OpenAI-Project"]
    replaced: dict[str, Any] = {name: openai.omit for name in foreign if name.lower() not in given}
    if "authorization" not in given:
        own = openai.omit if secret is None else bearer(secret)["Authorization"]
        replaced = {k: v for k, v in replaced.items() if k.lower() != "authorization"}
        replaced["Authorization"] = own
    return {**replaced, **headers}


def _with_effort(call: Call, capabilities: Capabilities, known_as: str) -> Capabilities:
    effort = call.request.reasoning_effort if capabilities.reasoning else None
    knobs = openai_models.sampling(known_as, effort, capabilities.sampling)
    if knobs == capabilities.sampling:
        return capabilities
    return msgspec.structs.replace(capabilities, sampling=knobs)


class _Model(msgspec.Struct, frozen=True):
    id: str


class _Models(msgspec.Struct, frozen=True):
    data: list[_Model] | None = None
