"""Anthropic's stream: blocks that begin, grow and end, between ``message_start`` and ``_stop``."""

from __future__ import annotations

from typing import Any

import msgspec

from ...completion import StreamEvent
from .. import faults
from ..assemble import SseDecoder
from ..base import Reply, ResponseMeta
from .anthropic_decode import (
    StopDetails,
    finish_reason,
    native_of,
    refusal_warning,
    tool_native,
)
from .anthropic_usage import (
    RawUsage,
    billed_apart,
    later,
    raw_usage,
    region_of,
    tier_of,
    usage_of,
)
from .event_stream import EventStreamParser

__all__ = ["AnthropicDecoder"]


class _Kind(msgspec.Struct):
    type: str


class _Started(msgspec.Struct):
    id: str = ""
    model: str = ""
    usage: Any = None
    content: list[dict[str, Any]] = []
    stop_reason: str | None = None
    container: Any = None


class _MessageStart(msgspec.Struct):
    message: _Started


class _BlockStart(msgspec.Struct):
    index: int
    content_block: dict[str, Any]


class _Delta(msgspec.Struct):
    type: str
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""
    citation: Any = None


class _BlockDelta(msgspec.Struct):
    index: int
    delta: _Delta


class _AnyBlockDelta(msgspec.Struct):
    delta: dict[str, Any]


class _BlockStop(msgspec.Struct):
    index: int


class _Stop(msgspec.Struct):
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    container: Any = None


class _MessageDelta(msgspec.Struct):
    delta: _Stop
    usage: Any = None


_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_message_start = msgspec.json.Decoder(_MessageStart).decode
_decode_block_start = msgspec.json.Decoder(_BlockStart).decode
_decode_block_delta = msgspec.json.Decoder(_BlockDelta).decode
_decode_any_delta = msgspec.json.Decoder(_AnyBlockDelta).decode
_decode_block_stop = msgspec.json.Decoder(_BlockStop).decode
_decode_message_delta = msgspec.json.Decoder(_MessageDelta).decode


# Names, since a table of bound methods would tie each decoder into a cycle.
_METHODS = {
    b"content_block_delta": "_block_delta",
    b"content_block_start": "_block_start",
    b"content_block_stop": "_block_stop",
    b"message_delta": "_message_delta",
    b"message_start": "_message_start",
    b"message_stop": "_message_stop",
    b"error": "_stream_error",
}


class _Block:
    """A block that has begun: as it began, and what has been added to it."""

    __slots__ = ("citations", "data", "ended", "kind", "pieces", "signature")

    def __init__(self, kind: str, data: dict[str, Any]) -> None:
        self.kind = kind
        self.data = data
        self.ended = False
        self.pieces: list[str] = []
        self.signature = ""
        self.citations: list[Any] = []


class AnthropicDecoder(SseDecoder):
    """Decodes one stream.

    Args:
        provider: The provider's name in the configuration.
        model: The model that was asked.
        answer_tool: The tool whose arguments are the answer's text.
        warnings: What the request already has to say.
        request_id: For errors inside the stream.
        framed: The events come in AWS's binary frames, not as text.
        region: Where it is answered, where the platform knows better than the answer.
    """

    def __init__(
        self,
        *,
        provider: str,
        model: str,
        answer_tool: str | None = None,
        warnings: tuple[str, ...] = (),
        request_id: str | None = None,
        framed: bool = False,
        region: str | None = None,
    ) -> None:
        super().__init__(provider=provider, model=model)
        if framed:
            self._parser = EventStreamParser()
        self._answer_tool = answer_tool
        self._warnings = warnings
        self._request_id = request_id
        self._region = region
        self._container: Any = None
        self._started = _Started()
        self._usage: RawUsage | None = None
        self._stop_reason: str | None = None
        self._blocks: dict[int, _Block] = {}

    def snapshot(self, meta: ResponseMeta) -> Reply:
        """What has arrived, with the usage as far as it was told."""
        return Reply(
            parts=self.assembler.parts(),
            finish_reason=finish_reason(self._stop_reason, calls=self.assembler.calls > 0),
            native_finish_reason=self._stop_reason,
            usage=usage_of(self._usage, container=self._container, final=self.finished),
            id=self._started.id,
            model=self._started.model or self.model,
            meta=meta,
            warnings=(*self._warnings, *billed_apart(self._usage)),
            tier=tier_of(self._usage),
            region=self._region or region_of(self._usage),
        )

    def _event(self, name: bytes, payload: bytes, events: list[StreamEvent]) -> None:
        event: StreamEvent | list[StreamEvent] | None
        try:
            if name == b"content_block_delta":  # nearly every event is one
                event = self._block_delta(payload)
            else:
                if not name:
                    name = _decode_kind(payload).type.encode()
                method = _METHODS.get(name)
                if method is None:
                    return  # a ping, or younger than this code: the API asks to pass it over
                event = getattr(self, method)(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self.malformed(f"{name.decode('utf-8', 'replace')}: {exc}") from exc
        if isinstance(event, list):
            events.extend(event)
        elif event is not None:
            events.append(event)

    def _message_start(self, payload: bytes) -> list[StreamEvent]:
        if self._blocks:
            # A gateway began anew on the same stream; what was given out can't be taken back.
            raise self.malformed("message_start: a message inside a message")
        self._started = started = _decode_message_start(payload).message
        self._usage = raw_usage(started.usage)
        self._container = started.container
        self._stop_reason = started.stop_reason
        # Where a program goes on to its next tool call, the blocks may all be here at once.
        return [event for block in started.content for event in self._whole_block(block)]

    def _whole_block(self, data: dict[str, Any]) -> list[StreamEvent]:
        index = -1 - len(self._blocks)  # not an index that a later block can have
        given = (self._begin(index, data), self._end(index))
        return [event for event in given if event is not None]

    def _block_start(self, payload: bytes) -> StreamEvent | None:
        start = _decode_block_start(payload)
        return self._begin(start.index, start.content_block)

    def _begin(self, index: int, data: dict[str, Any]) -> StreamEvent | None:
        kind = data.get("type")
        if not isinstance(kind, str):
            raise self.malformed("content_block_start: a block without a type")
        if index in self._blocks:
            raise self.malformed(f"content_block_start: block {index} begins twice")
        if kind == "tool_use" and data.get("name") == (self._answer_tool or ""):
            kind = "answer"
        block = self._blocks[index] = _Block(kind, data)
        if kind == "text":
            block.citations = list(data.get("citations") or ())
            return self._add(index, block, data.get("text") or "")
        if kind == "thinking":
            block.signature = data.get("signature") or ""
            return self._add(index, block, data.get("thinking") or "")
        if kind == "redacted_thinking":
            self.assembler.reasoning(index, "")
            self.assembler.set_native("reasoning", index, native_of(data))
        elif kind == "tool_use":
            return self._tool_start(index, data)
        elif kind == "answer":
            return self._add(index, block, _text_of(data.get("input")))
        else:
            self.assembler.native_block(index, native_of(data))
        return None

    def _tool_start(self, index: int, data: dict[str, Any]) -> StreamEvent | None:
        call_id, name = data.get("id"), data.get("name")
        if not (isinstance(call_id, str) and isinstance(name, str)):
            raise self.malformed("content_block_start: a tool_use without id or name")
        arguments = _text_of(data.get("input"))
        if arguments:
            self._blocks[index].pieces.append(arguments)
        return self.assembler.tool_call(index, id=call_id, name=name, arguments=arguments)

    def _block_delta(self, payload: bytes) -> StreamEvent | None:
        change = _decode_block_delta(payload)
        block = self._blocks.get(change.index)
        if block is None:
            raise self.malformed(f"content_block_delta: no block {change.index} has begun")
        if block.ended:
            raise self.malformed(f"content_block_delta: block {change.index} has ended")
        delta = change.delta
        match delta.type:
            case "text_delta":
                return self._add(change.index, block, delta.text)
            case "input_json_delta":
                return self._add(change.index, block, delta.partial_json)
            case "thinking_delta":
                return self._add(change.index, block, delta.thinking)
            case "signature_delta":
                block.signature += delta.signature
            case "citations_delta":
                block.citations.append(delta.citation)
            case _:
                if block.kind not in {"text", "thinking", "tool_use", "answer"}:
                    _grow(block.data, _decode_any_delta(payload).delta)
        return None

    def _add(self, index: int, block: _Block, piece: Any) -> StreamEvent | None:
        if not isinstance(piece, str):
            raise self.malformed(f"content_block_start: the {block.kind} is not a string")
        if piece:
            block.pieces.append(piece)
        match block.kind:
            case "text" | "answer":
                return self.assembler.text(index, piece)
            case "thinking":
                return self.assembler.reasoning(index, piece)
            case "tool_use" if piece:
                return self.assembler.tool_call(index, arguments=piece)
        return None

    def _block_stop(self, payload: bytes) -> StreamEvent | None:
        return self._end(_decode_block_stop(payload).index)

    def _end(self, index: int) -> StreamEvent | None:
        block = self._blocks.get(index)
        if block is None:
            raise self.malformed(f"content_block_stop: no block {index} has begun")
        if block.ended:
            return None
        block.ended = True
        whole = "".join(block.pieces)
        match block.kind:
            case "text" if block.citations:
                self.assembler.set_native("text", index, native_of({"citations": block.citations}))
            case "thinking" if block.signature:
                native = native_of({"signature": block.signature})
                self.assembler.set_native("reasoning", index, native)
            case "answer" if not whole:
                return self.assembler.text(index, "{}")
            case "tool_use" if (own := tool_native(block.data)) is not None:
                self.assembler.set_native("tool", index, own)
            case "text" | "thinking" | "redacted_thinking" | "answer" | "tool_use":
                pass
            case _ if whole:
                self.assembler.native_block(index, native_of(block.data | _input(whole)))
        return None

    def _message_delta(self, payload: bytes) -> None:
        change = _decode_message_delta(payload)
        self._stop_reason = change.delta.stop_reason or self._stop_reason
        self._container = change.delta.container or self._container
        warning = refusal_warning(change.delta.stop_details)
        if warning is not None and warning not in self._warnings:
            self._warnings = (*self._warnings, warning)
        told = raw_usage(change.usage)
        if told is not None:
            self._usage = later(self._usage, told)

    def _message_stop(self, payload: bytes) -> None:
        del payload
        if not self._started.id and not self._blocks and self._stop_reason is None:
            raise self.malformed("message_stop: no message has begun")
        # A gateway whose own source broke off may end the message all the same.
        if not all(block.ended for block in self._blocks.values()):
            raise self.malformed("message_stop: inside a block")
        if self._stop_reason is None:
            raise self.malformed("message_stop: without a stop_reason")
        self.finished = True

    def _stream_error(self, payload: bytes) -> None:
        raise faults.stream_error(
            msgspec.json.decode(payload),
            provider=self.provider,
            model=self.model,
            request_id=self._request_id,
        )


def _text_of(given: object) -> str:
    """The input that a block begins with: empty at the vendor's, whole at compatible servers."""
    return msgspec.json.encode(given).decode() if given else ""


def _input(text: str) -> dict[str, Any]:
    """The input of a server's tool; nothing where ``max_tokens`` cut it short."""
    try:
        return {"input": msgspec.json.decode(text)}
    except msgspec.DecodeError:
        return {}


def _grow(data: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add a delta of a kind that is not known to a block of a kind that is not known either."""
    for name, value in delta.items():
        if name == "type":
            continue
        known = data.get(name)
        if isinstance(value, str) and isinstance(known, str):
            data[name] = known + value
        elif isinstance(value, list) and isinstance(known, list):
            data[name] = [*known, *value]
        else:
            data[name] = value
