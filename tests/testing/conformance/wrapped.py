"""An adapter that can be spoiled in one place: everything goes through to a healthy one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import msgspec

from switchgear.completion import StreamEvent
from switchgear.errors import SwitchgearError
from switchgear.messages import Message, Part
from switchgear.providers.base import (
    Call,
    Capabilities,
    EmbedCall,
    Embedding,
    Provider,
    ProviderSettings,
    Reply,
    ReplyStream,
    ResponseMeta,
)
from switchgear.providers.openai_compatible import create
from switchgear.request import ChatRequest


class Wrapped:
    """A provider that hands everything on. A saboteur overrides one of its methods.

    ``asked``, ``answered`` and ``failed`` are for those that change a call, a reply (whole, or a
    stream's snapshot) or an error on its way; ``stream_class`` for those that change a stream.
    ``left_open`` is what a test has to close after it.
    """

    stream_class: ClassVar[type[WrappedStream]]

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        self.left_open: list[ReplyStream] = []
        self.inner: Any = self.make(settings)

    def make(self, settings: ProviderSettings) -> Provider:
        return create(settings)

    def asked(self, call: Call) -> Call:
        return call

    def answered(self, reply: Reply) -> Reply:
        return reply

    def failed(self, error: SwitchgearError) -> Exception:
        return error

    @property
    def name(self) -> str:
        return str(self.inner.name)

    @property
    def client(self) -> Any:
        return self.inner.client

    def capabilities(self, model: str) -> Capabilities:
        found: Capabilities = self.inner.capabilities(model)
        return found

    async def complete(self, call: Call) -> Reply:
        try:
            return self.answered(await self.inner.complete(self.asked(call)))
        except SwitchgearError as exc:
            raise self.failed(exc) from exc.__cause__

    async def stream(self, call: Call) -> Any:
        try:
            return self.stream_class(await self.inner.stream(self.asked(call)), self)
        except SwitchgearError as exc:
            raise self.failed(exc) from exc.__cause__

    async def embed(self, call: EmbedCall) -> Embedding:
        made: Embedding = await self.inner.embed(call)
        return made

    async def list_models(self) -> Sequence[str]:
        names: Sequence[str] = await self.inner.list_models()
        return names

    async def count_tokens(self, call: Call) -> int:
        return int(await self.inner.count_tokens(call))

    async def aclose(self) -> None:
        await self.inner.aclose()


class WrappedStream:
    """A stream that hands everything on."""

    def __init__(self, inner: ReplyStream, provider: Wrapped) -> None:
        self.inner = inner
        self.provider = provider

    @property
    def finished(self) -> bool:
        return self.inner.finished

    @property
    def meta(self) -> ResponseMeta:
        return self.inner.meta

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        try:
            return await self.inner.__anext__()
        except SwitchgearError as exc:
            raise self.provider.failed(exc) from exc.__cause__

    def snapshot(self) -> Reply:
        return self.provider.answered(self.inner.snapshot())

    async def aclose(self) -> None:
        await self.inner.aclose()


Wrapped.stream_class = WrappedStream


def with_request(call: Call, **changes: Any) -> Call:
    """The call, with these fields of its request changed."""
    request: ChatRequest = msgspec.structs.replace(call.request, **changes)
    return msgspec.structs.replace(call, request=request)


def without(call: Call, *kinds: type[Part]) -> Call:
    """The call, without parts of these kinds."""
    messages = tuple(_without(message, kinds) for message in call.request.messages)
    return with_request(call, messages=messages)


def _without(message: Message, kinds: tuple[type[Part], ...]) -> Message:
    parts = tuple(part for part in message.parts if not isinstance(part, kinds))
    return msgspec.structs.replace(message, content=parts) if message.parts else message
