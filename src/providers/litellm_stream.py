"""A stream through LiteLLM, which ends only where the vendor has said that it is complete."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from ..completion import StreamEvent, Usage
from ..errors import SwitchgearError
from ..messages import ToolCall
from .base import Reply, ResponseMeta
from .dialects import Encoded
from .dialects.anthropic_decode import finish_reason
from .dialects.openai_chat_stream import ChatDecoder
from .dialects.openai_chat_usage import usage_of
from .litellm_errors import Place, cut, error_of, told
from .litellm_exchange import Exchange

__all__ = ["LiteLLMStream", "finished_reply"]

# Anthropic's words for an answer that was bound to no place.
_NOWHERE = frozenset({"global", "not_available"})


class LiteLLMStream:
    """A ``ReplyStream``.

    LiteLLM gives a finish reason at every end, also where there was none, and gives it before it
    has read all that comes. So that chunk is held back until the end has been looked at.

    Args:
        wrapper: LiteLLM's stream.
        exchange: What goes over the wire.
        encoded: The request.
        place: For errors.
        vendor: LiteLLM's name of the vendor, which it may put before the model's.
        needs_done: The vendor's streams end with ``[DONE]``.
        price: What LiteLLM says that a usage costs.
        region: Where the model is run, where the answer does not say it.
    """

    def __init__(
        self,
        wrapper: Any,
        exchange: Exchange,
        encoded: Encoded,
        place: Place,
        *,
        vendor: str,
        needs_done: bool,
        price: Callable[[Mapping[str, Any]], Decimal | None],
        region: str | None = None,
    ) -> None:
        # LiteLLM would put all chunks together again, and count their tokens where the vendor has
        # not: on the loop before an error, and with tables that it downloads.
        wrapper.partial_response = lambda: None
        wrapper._async_build_complete_streaming_response = _nothing  # noqa: SLF001
        # Hooks of other code, which it would look for in litellm.callbacks.
        wrapper._post_streaming_hooks = []  # noqa: SLF001
        self._wrapper = wrapper
        self._exchange = exchange
        self._place = place
        self._vendor = vendor
        self._needs_done = needs_done
        self._price = price
        self._region = region
        self._decoder = ChatDecoder(
            encoded, done_marker=True, provider=place.provider, model=place.model
        )
        self._events: Sequence[StreamEvent] = ()
        self._position = 0
        self._closed = False
        self._last: bytes | None = None
        self._failure: SwitchgearError | None = None
        self._cost: Decimal | None = None
        self.meta: ResponseMeta = exchange.meta

    @property
    def finished(self) -> bool:
        """The vendor said that the answer is complete."""
        return self._decoder.finished

    def snapshot(self) -> Reply:
        """What has arrived so far."""
        reply = self._decoder.snapshot(self.meta)
        counted = _counted(self._wrapper)
        if reply.usage is None and counted:
            partial = usage_of(counted, model=reply.model)
            reply = msgspec.structs.replace(reply, usage=_estimated(partial))
        reply = finished_reply(reply, counted, self._exchange, vendor=self._vendor, cost=self._cost)
        return reply if reply.region else msgspec.structs.replace(reply, region=self._region)

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        while self._position >= len(self._events):
            await self._advance()
        event = self._events[self._position]
        self._position += 1
        return event

    async def aclose(self) -> None:
        """Let go of the connection."""
        if self._closed:
            return
        self._closed = True
        try:
            with contextlib.suppress(Exception):
                await self._wrapper.aclose()
        finally:
            await self._exchange.aclose()

    async def _advance(self) -> None:
        failure = self._failure or self._decoder.error
        if failure is not None:
            await self.aclose()
            raise failure
        if self._decoder.finished:
            await self.aclose()
            raise StopAsyncIteration
        if self._closed:
            raise cut(self._exchange, self._place)
        try:
            chunk = await anext(self._wrapper, None)
        except Exception as exc:
            self._failure = error_of(exc, self._exchange, self._place)
            await self.aclose()
            raise self._failure from exc
        if chunk is not None and self._last is None:
            self._events = self._take(chunk)
        else:
            # LiteLLM is content with a finish reason, and may not have read what comes after it.
            await self._exchange.read_on()
            self._events = self._conclude()
        self._position = 0

    def _take(self, chunk: Any) -> Sequence[StreamEvent]:
        """The events of a chunk."""
        body: bytes = chunk.model_dump_json(exclude_none=True, warnings=False).encode()
        if any(choice.finish_reason for choice in chunk.choices):
            self._last = body
            return ()
        return self._decoder.feed(_event(body))

    def _conclude(self) -> Sequence[StreamEvent]:
        """The end of what LiteLLM gives, which may be none."""
        self._failure = self._broken()
        if self._failure is not None or self._last is None:
            return ()
        events = [*self._decoder.feed(_event(self._last))]
        counted = _counted(self._wrapper)
        if counted:
            self._cost = self._price(counted)
            usage = msgspec.json.encode({"choices": [], "usage": counted})
            events += self._decoder.feed(_event(usage))
        return [*events, *self._decoder.feed(_event(b"[DONE]"))]

    def _broken(self) -> SwitchgearError | None:
        """Why the end that LiteLLM gives is none."""
        failure = told(self._exchange, self._place)
        if failure is not None:
            return failure
        wrapper, finished = self._wrapper, self._exchange.finished
        if finished is None:
            # An answer that came whole is handed on as a stream by LiteLLM.
            finished = not (self._needs_done and self._exchange.streamed)
        said = wrapper.received_finish_reason or wrapper.intermittent_finish_reason
        if self._last is None or not said or not finished:
            return cut(self._exchange, self._place)
        return None


def finished_reply(
    reply: Reply,
    counted: Mapping[str, Any],
    exchange: Exchange,
    *,
    vendor: str,
    cost: Decimal | None,
) -> Reply:
    """The reply with what LiteLLM says elsewhere than a server of this API.

    Args:
        reply: The reply as read.
        counted: Its usage as it came.
        exchange: What went over the wire.
        vendor: LiteLLM's name of the vendor.
        cost: What LiteLLM says that it cost.
    """
    tier, region = counted.get("service_tier"), counted.get("inference_geo")
    place = (
        region if isinstance(region, str) and region not in {"global", "not_available"} else None
    )
    if exchange.stop_reason is not None:
        calls = any(isinstance(part, ToolCall) for part in reply.parts)
        reply = msgspec.structs.replace(
            reply,
            finish_reason=finish_reason(exchange.stop_reason, calls=calls),
            native_finish_reason=exchange.stop_reason,
        )
    return msgspec.structs.replace(
        reply,
        id=exchange.id or reply.id,
        model=exchange.model or reply.model.removeprefix(f"{vendor}/"),
        tier=reply.tier or (tier if isinstance(tier, str) and tier else None),
        region=reply.region or place,
        stated_cost=cost,
    )


async def _nothing() -> None:
    """What LiteLLM makes of all chunks together."""


def _event(body: bytes) -> bytes:
    return b"data: " + body + b"\n\n"


def _counted(wrapper: Any) -> dict[str, Any]:
    """The usage as the vendor told it, in one piece or several; empty where it told none.

    LiteLLM itself would make up for what is missing with an estimate, and not say so. Anthropic
    tells the prompt at the start and the answer at the end; what is told twice only grows.
    """
    merged: dict[str, Any] = {}
    for chunk in wrapper.chunks:
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            _merge(merged, usage.model_dump(exclude_none=True, warnings=False))
    merged.pop("cost", None)
    if "prompt_tokens" in merged and "completion_tokens" in merged:
        merged.pop("total_tokens", None)
    return merged


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        known = into.get(name)
        if isinstance(value, dict):
            inner = known if isinstance(known, dict) else {}
            _merge(inner, value)
            into[name] = inner
        elif isinstance(value, int | float) and isinstance(known, int | float):
            into[name] = max(known, value)
        else:
            into[name] = value


def _estimated(usage: Usage | None) -> Usage | None:
    return msgspec.structs.replace(usage, estimated=True) if usage is not None else None
