"""A stream as every adapter serves it: bytes from a source, events from a decoder."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NoReturn, Protocol

from ..completion import StreamEvent
from ..errors import ProviderConnectionError, SwitchgearError
from .base import Reply, ResponseMeta

__all__ = ["ByteSource", "DecodedStream", "Decoder"]

_DRAIN_SECONDS = 0.05


class ByteSource(Protocol):
    """An open response body."""

    meta: ResponseMeta

    async def read(self) -> bytes:
        """The next bytes as they arrive; ``b""`` at the end of the body.

        Raises:
            SwitchgearError: The connection broke.
        """

    async def aclose(self) -> None:
        """Let go of the connection. Safe to call twice."""


class Decoder(Protocol):
    """One vendor's stream format, without any I/O."""

    @property
    def finished(self) -> bool:
        """The terminal event has been seen."""

    @property
    def error(self) -> SwitchgearError | None:
        """What ended the stream early: an error event, or data that the API does not promise."""

    def feed(self, data: bytes) -> Sequence[StreamEvent]:
        """The events that these bytes complete. Never raises: see ``error``.

        Events that came before the error are still given, so none is lost.
        """

    def end(self) -> Sequence[StreamEvent]:
        """The body is at its end: the events that only this completes.

        Sets ``error`` or leaves ``finished`` false where the body ended too early.
        """

    def snapshot(self, meta: ResponseMeta) -> Reply:
        """What has been decoded so far, as a reply."""


class DecodedStream:
    """A :class:`ReplyStream` made of a source and a decoder.

    Ends normally only after the vendor's terminal event: a body that merely stops is an error.
    """

    __slots__ = (
        "_closed",
        "_decoder",
        "_ended",
        "_model",
        "_provider",
        "_ready",
        "_source",
        "meta",
    )

    def __init__(self, source: ByteSource, decoder: Decoder, *, provider: str, model: str) -> None:
        self._source = source
        self._decoder = decoder
        self._provider = provider
        self._model = model
        self._ready: Iterator[StreamEvent] = iter(())
        self._closed = False
        self._ended = False
        self.meta = source.meta

    @property
    def finished(self) -> bool:
        """The provider said that the answer is complete."""
        return self._decoder.finished

    def snapshot(self) -> Reply:
        """What has arrived so far."""
        return self._decoder.snapshot(self.meta)

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    @property
    def ready(self) -> Iterator[StreamEvent]:
        """The events that have been decoded and not been given. To be taken once the last was."""
        return self._ready

    async def __anext__(self) -> StreamEvent:
        while True:
            for event in self._ready:
                return event
            self._ready = await self.more()

    async def more(self) -> Iterator[StreamEvent]:
        """The events of the next piece of the body, none where it completes none.

        Only once all that are ``ready`` have been taken.

        Raises:
            StopAsyncIteration: The answer is complete.
            SwitchgearError: The stream broke.
        """
        decoder = self._decoder
        if decoder.finished or self._ended or self._closed or decoder.error is not None:
            await self._end()
        data = await self._source.read()
        if data:
            return iter(decoder.feed(data))
        self._ended = True
        return iter(decoder.end())

    async def aclose(self) -> None:
        """Let go of the connection."""
        self._closed = True
        await self._source.aclose()

    async def _end(self) -> NoReturn:
        """Say how the stream ended."""
        decoder = self._decoder
        if decoder.error is not None:
            await self.aclose()
            raise decoder.error
        if decoder.finished:
            await self._drain()
            raise StopAsyncIteration
        await self.aclose()
        raise self._cut()

    async def _drain(self) -> None:
        """Read up to the end of the body, so that the connection can serve the next request.

        A peer that does not end its body is left alone: closing then drops the connection.
        """
        if not (self._closed or self._ended):
            with contextlib.suppress(SwitchgearError, TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    while await self._source.read():
                        pass
        await self.aclose()

    def _cut(self) -> SwitchgearError:
        return ProviderConnectionError(
            f"{self._provider}: the stream stopped before its end",
            provider=self._provider,
            model=self._model,
            request_id=self.meta.request_id,
        )
