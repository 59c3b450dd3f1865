"""A stream of ``chat.completion.chunk``, event by event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ...completion import StreamEvent
from ...errors import MalformedResponseError, SwitchgearError
from ...messages import Native, ToolCall
from ..assemble import SseDecoder
from ..base import Reply, ResponseMeta
from ..faults import stream_error
from ..sse import LONGEST_EVENT
from ..wire import WireResponse
from . import Encoded
from .counts import word
from .openai_chat_calls import CallKeys
from .openai_chat_decode import call_native, decode, details_text
from .openai_chat_quirks import AUTHOR
from .openai_chat_thinking import ThinkingPieces
from .openai_chat_usage import usage_of
from .openai_chat_values import (
    Audio,
    Choice,
    Completion,
    Said,
    WrittenCall,
    arguments_text,
    finish_reason,
    split,
)

__all__ = ["ChatDecoder"]

_CHUNK = msgspec.json.Decoder(Completion)
_TEXT = 0


class ChatDecoder(SseDecoder):
    """Reads one streamed answer.

    The stream is complete at ``[DONE]``. Some servers send none: for them it is complete where the
    body ends in order after a finish reason. Everything else is a cut.

    A server that answers a request for a stream with one plain JSON body is understood too.

    Args:
        encoded: The request's body and what goes with it.
        done_marker: The server always sends ``[DONE]``.
        provider: The provider's name in the configuration.
        model: The model that was asked.
        region: Where it answers, where that has a price of its own.
    """

    def __init__(
        self,
        encoded: Encoded,
        *,
        done_marker: bool,
        provider: str,
        model: str,
        region: str | None = None,
    ) -> None:
        super().__init__(provider=provider, model=model)
        self._done_marker = done_marker
        self._encoded = encoded
        self._chunks = 0
        self._id = ""
        self._answered_by = ""
        self._native_finish: str | None = None
        self._counted: Any = None
        self._tier: str | None = None
        self._region = region
        self._keys = CallKeys()
        self._hidden: set[int] = set()
        self._thinking = ThinkingPieces()
        self._custom: dict[int, list[str]] = {}
        self._details: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._images: list[dict[str, Any]] = []
        self._audio: dict[str, Any] = {}
        self._plain: bytearray | None = None
        self._begun = False

    def feed(self, data: bytes) -> Sequence[StreamEvent]:
        """The events that these bytes complete."""
        if self._begun and self._plain is None:
            return SseDecoder.feed(self, data)
        if not self._begun and (start := data.lstrip()):
            self._begun = True
            if start[:1] == b"{":
                self._plain = bytearray()
        if self._plain is not None:
            self._plain += data
            if len(self._plain) > LONGEST_EVENT and self.error is None:
                self.error = self.malformed(f"a body of more than {LONGEST_EVENT} bytes")
            return ()
        return super().feed(data)

    def end(self) -> Sequence[StreamEvent]:
        """What only the end of the body completes."""
        if self.error is not None or self.finished:
            return ()
        if self._plain is not None:
            return self._whole(bytes(self._plain))
        if self._native_finish is None or self._done_marker:
            return ()
        # The last event may lack the empty line after it. One that was cut is not needed:
        # the answer was complete before it.
        events = list(super().feed(b"\n\n"))
        if not isinstance(self.error, MalformedResponseError | None):
            return events
        self.error = None
        try:
            self._finish(events)
        except SwitchgearError as exc:
            self.error = exc
        return events

    def snapshot(self, meta: ResponseMeta) -> Reply:
        """What has been decoded so far."""
        assembler = self.assembler
        if self._details:
            details = Native(AUTHOR, {"reasoning_details": self._details})
            assembler.set_native("reasoning", _TEXT, details)
        if self._annotations and assembler.has("text", _TEXT):
            notes = Native(AUTHOR, {"annotations": self._annotations})
            assembler.set_native("text", _TEXT, notes)
        if self._audio:
            assembler.native_block("audio", Native(AUTHOR, {"audio": self._audio}))
        if self._images:
            assembler.native_block("images", Native(AUTHOR, {"images": self._images}))
        for key, pieces in self._custom.items():
            custom = {"name": list(self._keys)[key], "input": "".join(pieces)}
            assembler.set_native("tool", key, Native(AUTHOR, {"custom": custom}))
        refused = assembler.has("refusal", _TEXT)
        parts = assembler.parts()
        model = self._answered_by or self.model
        called = [part.name for part in parts if isinstance(part, ToolCall)]
        return Reply(
            parts=parts,
            finish_reason=finish_reason(
                self._native_finish, calls=assembler.calls > 0, refused=refused
            ),
            native_finish_reason=self._native_finish,
            usage=usage_of(self._counted, model=model, called=called),
            id=self._id,
            model=model,
            meta=meta,
            warnings=self._encoded.warnings,
            tier=self._tier,
            region=self._region,
        )

    def _event(self, name: bytes, payload: bytes, events: list[StreamEvent]) -> None:
        payload = payload.strip()
        if payload == b"[DONE]":
            self._done(events)
            return
        if not payload:
            return
        if name == b"error":
            raise self._failure(_anything(payload))
        try:
            chunk = _CHUNK.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self.malformed(str(exc)) from exc
        self._chunk(chunk, events)

    def _chunk(self, chunk: Completion, events: list[StreamEvent]) -> None:
        if chunk.error:
            raise self._failure({"error": chunk.error})
        if chunk.object == "error":
            raise self._failure({"message": chunk.message})
        self._chunks += 1
        if not self._id and chunk.id:
            self._id = chunk.id
        if not self._answered_by and chunk.model:
            self._answered_by = chunk.model
        if chunk.service_tier != self._tier:
            self._tier = word(chunk.service_tier) or self._tier
        if chunk.usage:
            self._counted = chunk.usage
        elif chunk.x_groq is not None and chunk.x_groq.usage:
            self._counted = chunk.x_groq.usage
        for choice in chunk.choices or ():
            if not choice.index:
                self._choice(choice, events)

    def _choice(self, choice: Choice, events: list[StreamEvent]) -> None:
        if choice.error:
            raise self._failure({"error": choice.error})
        said = choice.delta or choice.message
        if said is not None:
            text = said.content
            if type(text) is str and said == Said(text):  # nearly every delta is text alone
                if text:
                    _emit(events, self.assembler.text(_TEXT, text))
            else:
                self._said(said, events)
        if choice.finish_reason:
            self._native_finish = choice.finish_reason
        if choice.usage:
            self._counted = choice.usage

    def _said(self, said: Said, events: list[StreamEvent]) -> None:
        thought, text = split(said.content)
        thought = said.reasoning_content or said.reasoning or thought
        if said.thinking_blocks:
            events += self._thinking.add(said.thinking_blocks, self.assembler)
            thought = ""
        if said.reasoning_details:
            for item in said.reasoning_details:
                _add_detail(self._details, item)
            thought = thought or details_text(said.reasoning_details)
            self.assembler.reasoning(_TEXT, "")
        if thought:
            _emit(events, self.assembler.reasoning(_TEXT, thought))
        if text:
            _emit(events, self.assembler.text(_TEXT, text))
        if said.audio is not None:
            self._heard(said.audio, events)
        self._annotations += said.annotations or ()
        self._images += said.images or ()
        if said.refusal:
            _emit(events, self.assembler.refusal(_TEXT, said.refusal))
        pieces = said.tool_calls or ()
        for place, piece in enumerate(pieces):
            self._call(piece, events, place if len(pieces) > 1 else None)
        if said.function_call is not None:
            self._call(WrittenCall(index=-1, function=said.function_call), events)

    def _call(
        self, piece: WrittenCall, events: list[StreamEvent], place: int | None = None
    ) -> None:
        key = self._keys.key(piece, place)
        function, custom = piece.function, piece.custom
        arguments = arguments_text(function.arguments) if function is not None else ""
        name = (function.name if function is not None else None) or ""
        if self._encoded.answer_tool is not None and name == self._encoded.answer_tool:
            self._hidden.add(key)
        if key in self._hidden:
            if arguments:
                _emit(events, self.assembler.text(_TEXT, arguments))
            return
        if arguments and self._is_said(key, arguments):
            return
        if custom is not None:
            name = custom.name or ""
            arguments = self._input(key, custom.input or "")
        call_id = piece.id or ""
        if not self.assembler.has("tool", key):
            # A call needs an id to be answered, and it comes with its first piece.
            call_id = call_id or f"call_{self.assembler.calls}"
        _emit(events, self.assembler.tool_call(key, id=call_id, name=name, arguments=arguments))
        if (native := call_native(piece)) is not None:
            self.assembler.set_native("tool", key, native)

    def _is_said(self, key: int, arguments: str) -> bool:
        """The whole arguments come a second time; behind a JSON object, nothing else can."""
        if arguments[0] != "{" or arguments[-1] != "}":
            return False
        return arguments == self.assembler.said("tool", key) and _is_json(arguments)

    def _input(self, key: int, text: str) -> str:
        """A custom tool's free text, as the next piece of ``{"input": "..."}``."""
        pieces = self._custom.get(key)
        start = ""
        if pieces is None:
            pieces = self._custom[key] = []
            start = '{"input":"'
        pieces.append(text)
        return start + msgspec.json.encode(text).decode()[1:-1]

    def _heard(self, audio: Audio, events: list[StreamEvent]) -> None:
        for field, value in msgspec.to_builtins(audio).items():
            if value is None:
                continue
            if field in {"data", "transcript"}:
                self._audio[field] = self._audio.get(field, "") + value
            else:
                self._audio[field] = value
        if audio.transcript:
            _emit(events, self.assembler.text(_TEXT, audio.transcript))

    def _done(self, events: list[StreamEvent]) -> None:
        """``[DONE]``, which some gateways send even where their own source broke off."""
        if self._native_finish is None and self._counted is None and self._chunks:
            if self._done_marker:
                raise self.malformed("[DONE] without a finish reason before it")
            line = "finish_reason: the server gave none, so the answer may not be whole"
            warnings = (*self._encoded.warnings, line)
            self._encoded = msgspec.structs.replace(self._encoded, warnings=warnings)
        self._finish(events)

    def _finish(self, events: list[StreamEvent]) -> None:
        if self.finished:
            return
        if not self._chunks:
            raise self.malformed("[DONE] and nothing before it")
        if finish_reason(self._native_finish, calls=False, refused=False) == "error":
            message = f"the server broke off, with the finish reason {self._native_finish!r}"
            raise self._failure({"error": {"message": message, "code": self._native_finish}})
        if not all(self._keys):
            raise self.malformed("a tool call without a name")
        for key in self._custom:
            _emit(events, self.assembler.tool_call(key, arguments='"}'))
        self.finished = True

    def _whole(self, body: bytes) -> Sequence[StreamEvent]:
        """The events of an answer that came in one piece although a stream was asked for."""
        events: list[StreamEvent] = []
        try:
            response = WireResponse(body, ResponseMeta())
            reply = decode(response, self._encoded, provider=self.provider, model=self.model)
            self._encoded = msgspec.structs.replace(self._encoded, warnings=reply.warnings)
            whole = _CHUNK.decode(body)
            self._chunk(msgspec.structs.replace(whole, choices=_first(whole)), events)
            self._finish(events)
        except SwitchgearError as exc:
            self.error = exc
        return events

    def _failure(self, data: object) -> SwitchgearError:
        return stream_error(data, provider=self.provider, model=self.model)


def _emit(events: list[StreamEvent], event: StreamEvent | None) -> None:
    if event is not None:
        events.append(event)


def _anything(payload: bytes) -> object:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return payload.decode("utf-8", "replace")


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


def _first(whole: Completion) -> list[Choice]:
    choice = min(whole.choices or (), key=lambda choice: choice.index or 0)
    return [msgspec.structs.replace(choice, index=0)]


def _add_detail(details: list[dict[str, Any]], item: dict[str, Any]) -> None:
    """Joins a piece of a reasoning detail to what has come of it."""
    last = details[-1] if details else None
    if (
        last is None
        or last.get("type") != item.get("type")
        or last.get("index") != item.get("index")
        or (item.get("id") and last.get("id") and item["id"] != last["id"])
    ):
        details.append(dict(item))
        return
    for field, value in item.items():
        if field in {"text", "summary", "data"} and isinstance(value, str):
            last[field] = (last.get(field) or "") + value
        elif value is not None:
            last[field] = value
