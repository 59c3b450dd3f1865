"""What a provider is: the protocol, and the plain values that cross it.

An adapter turns a :class:`Call` into its vendor's request and the vendor's answer into a
:class:`Reply`. It keeps no state about calls, does not retry, does not wait, does not price: that
is the router's. Every failure leaves it as one of the errors of ``switchgear.errors``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from ..completion import FinishReason, StreamEvent, Usage
from ..credentials import Secret
from ..messages import Part
from ..request import ChatRequest

__all__ = [
    "SAMPLING_KNOBS",
    "Call",
    "Capabilities",
    "CountsTokens",
    "EmbedCall",
    "Embedding",
    "Embeds",
    "ListsModels",
    "Provider",
    "ProviderFactory",
    "ProviderSettings",
    "Reply",
    "ReplyStream",
    "ResponseMeta",
    "Unsupported",
]

Unsupported: TypeAlias = Literal["raise", "warn"] | None
"""What becomes of what a provider can't do; ``None``: warn for sampling knobs, else raise."""

SAMPLING_KNOBS = frozenset({"temperature", "top_p", "stop", "seed"})
"""Request fields that change how an answer is drawn, not what it means."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What one model can do, as its adapter declares it. The router relies on it being true.

    Attributes:
        tools: It can ask for tools.
        tool_choice: It can be made to use a tool, or a named one.
        parallel_tool_calls: ``parallel_tool_calls`` can be set.
        schema: How it keeps an answer to a JSON schema: its API's own way, by way of a forced
            tool, or not at all.
        json_object: It has a mode for any JSON object.
        images: It reads images.
        files: It reads documents.
        audio: It hears.
        reasoning: ``reasoning_effort`` means something to it.
        sampling: Which of the sampling knobs it takes.
        prompt_cache: Cache marks mean something to it.
        context_window: Tokens of prompt and answer together; ``None`` where unknown.
        max_output_tokens: The longest answer in tokens; ``None`` where unknown.
        local: It runs on this machine: nothing leaves it.
    """

    tools: bool = True
    tool_choice: bool = True
    parallel_tool_calls: bool = True
    schema: Literal["native", "tool"] | None = "native"
    json_object: bool = True
    images: bool = True
    files: bool = True
    audio: bool = False
    reasoning: bool = False
    sampling: frozenset[str] = SAMPLING_KNOBS
    prompt_cache: bool = False
    context_window: int | None = None
    max_output_tokens: int | None = None
    local: bool = False


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[providers.NAME]`` table, secrets resolved.

    Attributes:
        name: NAME.
        plugin: The plugin that serves it.
        api_key: Its credential; ``None`` leaves it to the SDK's own environment variable.
        base_url: Its address; ``None`` is the vendor's.
        options: The rest of the table, for the plugin to check and to use.
        models: Capabilities by model that override what the plugin declares.
    """

    name: str
    plugin: str
    api_key: Secret | None = None
    base_url: str | None = None
    options: Mapping[str, Any] = {}
    models: Mapping[str, Mapping[str, Any]] = {}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt: a request for a certain model.

    Attributes:
        request: What is asked.
        model: The model as the provider calls it.
        timeout: Seconds for the whole attempt. The router enforces it; an adapter hands it to its
            SDK so that sockets don't outlive it.
        credential: A key for this call only, in place of the provider's own.
        headers: Additional request headers.
        extra: Fields that are merged into the body as they are.
        unsupported: What becomes of a part of the request that can't be expressed.
    """

    request: ChatRequest
    model: str
    timeout: float = 600.0
    credential: Secret | None = None
    headers: Mapping[str, str] = {}
    extra: Mapping[str, Any] = {}
    unsupported: Unsupported = None


class ResponseMeta(msgspec.Struct, frozen=True):
    """What an answer's headers say.

    Attributes:
        request_id: The provider's id of the request.
        headers: All response headers, names in lower case.
    """

    request_id: str | None = None
    headers: Mapping[str, str] = {}


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's whole answer.

    Attributes:
        parts: The answer in order: text, reasoning, tool calls, the vendor's own blocks.
        finish_reason: Why it ended.
        native_finish_reason: The same in the provider's own word.
        usage: Tokens; ``None`` where the provider did not count.
        id: The provider's id of the answer.
        model: The model that answered, as the provider says.
        meta: Headers.
        warnings: What the adapter dropped or changed, one line each.
        body: The answer as received; empty for a stream.
        tier: The service tier that answered, in the vendor's word; ``None`` where it said nothing.
        region: Where it was answered, in the vendor's word, where that has a price of its own.
        stated_cost: What it cost in USD by the adapter's own word, for models without a price.
    """

    parts: tuple[Part, ...]
    finish_reason: FinishReason
    native_finish_reason: str | None = None
    usage: Usage | None = None
    id: str = ""
    model: str = ""
    meta: ResponseMeta = ResponseMeta()
    warnings: tuple[str, ...] = ()
    body: bytes = b""
    tier: str | None = None
    region: str | None = None
    stated_cost: Decimal | None = None


class EmbedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A request for vectors. ``dimensions`` shortens them, where the model can."""

    inputs: tuple[str, ...]
    model: str
    dimensions: int | None = None
    timeout: float = 600.0
    credential: Secret | None = None
    headers: Mapping[str, str] = {}
    extra: Mapping[str, Any] = {}


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """Vectors, one for each input and in its order; ``tier`` as in :class:`Reply`."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None = None
    model: str = ""
    meta: ResponseMeta = ResponseMeta()
    warnings: tuple[str, ...] = ()
    tier: str | None = None


class ReplyStream(Protocol):
    """An answer on its way. Owned by whoever opened it, who must ``aclose`` it."""

    @property
    def finished(self) -> bool:
        """The provider said that the answer is complete. False after a cut."""

    @property
    def meta(self) -> ResponseMeta:
        """The headers, known from the start."""

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        """The deltas, in order, each once."""

    async def __anext__(self) -> StreamEvent:
        """The next delta.

        Raises:
            StopAsyncIteration: The answer is complete.
            SwitchgearError: The stream broke, or ended without saying that it was complete.
        """

    def snapshot(self) -> Reply:
        """What has arrived so far; the whole answer once ``finished``. Never waits."""

    async def aclose(self) -> None:
        """Let go of the connection. Safe to call at any time and twice."""


@runtime_checkable
class Provider(Protocol):
    """One configured provider. Made without I/O; used from one event loop."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""

    @property
    def client(self) -> Any:
        """The official SDK's own client, or ``None`` where there is none."""

    def capabilities(self, model: str) -> Capabilities:
        """What that model can do. No I/O; an unknown model gets the vendor's usual."""

    async def complete(self, call: Call) -> Reply:
        """Answer a request.

        Raises:
            SwitchgearError: One of ours, the original as its cause.
        """

    async def stream(self, call: Call) -> ReplyStream:
        """Open a stream; returns once the provider has accepted the request.

        Raises:
            SwitchgearError: One of ours, the original as its cause.
        """

    async def aclose(self) -> None:
        """Close every connection. Safe to call twice."""


@runtime_checkable
class Embeds(Protocol):
    """A provider that also makes embeddings."""

    async def embed(self, call: EmbedCall) -> Embedding:
        """Turn texts into vectors."""


@runtime_checkable
class CountsTokens(Protocol):
    """A provider that counts the tokens of a prompt itself."""

    async def count_tokens(self, call: Call) -> int:
        """The input tokens that this call would have."""


@runtime_checkable
class ListsModels(Protocol):
    """A provider that knows which models it has."""

    async def list_models(self) -> Sequence[str]:
        """The models' names, as ``Call.model`` takes them."""


class ProviderFactory(Protocol):
    """What an entry point of the group ``switchgear.providers`` leads to."""

    def __call__(self, settings: ProviderSettings) -> Provider:
        """Make the provider. No I/O.

        Raises:
            ConfigError: The settings are wrong; ``param`` names the key.
        """
