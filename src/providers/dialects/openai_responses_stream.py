"""The Responses API's stream, event by event.

An item's ``done`` event is authoritative: it brings the ids and the encrypted content, and it tells
whether every delta has arrived, so a delta that comes after it is a late double. The terminal event
brings the items once more, so that one whose ``done`` was left out is not lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from ...completion import StreamEvent
from ...messages import Native
from .. import faults
from ..assemble import SseDecoder
from ..base import Reply, ResponseMeta
from . import Encoded
from .counts import word
from .openai_responses_decode import (
    Answer,
    Unpromised,
    call_item,
    finish,
    message_contents,
    reasoning_text,
    text_native,
)
from .openai_responses_usage import billed_apart, usage_of

__all__ = ["ResponsesDecoder"]

_Key = int | str
_Handler = Callable[..., None]


class _Event(msgspec.Struct):
    type: str = ""
    sequence_number: int | None = None


class _Delta(_Event):
    delta: str = ""
    # Some servers of this API leave the index out and name the item instead.
    output_index: int | None = None
    item_id: str | None = None
    content_index: int = 0
    summary_index: int = 0


class _Item(_Event, kw_only=True):
    item: dict[str, Any]
    output_index: int | None = None


class _Begun(msgspec.Struct):
    id: str = ""
    model: str | None = None
    service_tier: Any = None


class _Beginning(_Event, kw_only=True):
    response: _Begun = msgspec.field(default_factory=_Begun)


class _Ending(_Event, kw_only=True):
    response: Answer


class _Failed(msgspec.Struct):
    error: dict[str, Any] | None = None


class _Failing(_Event, kw_only=True):
    response: _Failed


_head = msgspec.json.Decoder(_Event)
_any_item = msgspec.json.Decoder(dict[str, Any])
_deltas = msgspec.json.Decoder(_Delta)
_items = msgspec.json.Decoder(_Item)
_beginnings = msgspec.json.Decoder(_Beginning)
_endings = msgspec.json.Decoder(_Ending)
_failings = msgspec.json.Decoder(_Failing)


class ResponsesDecoder(SseDecoder):
    """Reads one stream.

    Args:
        provider: The provider's name in the configuration.
        model: The model that was asked.
        author: The author's name of what only this provider can read.
        encoded: The request.
        region: Where it answers, where that has a price of its own.
    """

    def __init__(
        self,
        *,
        provider: str,
        model: str,
        author: str,
        encoded: Encoded,
        region: str | None = None,
    ) -> None:
        super().__init__(provider=provider, model=model)
        self._author = author
        self._encoded = encoded
        self._region = region
        self._tools: dict[_Key, dict[str, Any]] = {}
        self._next: int | None = None
        self._indexes: dict[str, int] = {}
        self._settled: set[_Key] = set()
        self._answers: set[_Key] = set()
        self._thought: dict[_Key, tuple[str, int]] = {}
        self._begun = _Begun()
        self._answer: Answer | None = None

    def snapshot(self, meta: ResponseMeta) -> Reply:
        """What has been decoded so far; before the end its finish reason is ``error``."""
        parts = self.assembler.parts()
        answer = self._answer
        if answer is None:
            return Reply(
                parts=parts,
                finish_reason="error",
                id=self._begun.id,
                model=self._begun.model or self.model,
                meta=meta,
                warnings=self._encoded.warnings,
                tier=word(self._begun.service_tier),
                region=self._region,
            )
        finish_reason, native_finish_reason = finish(answer, parts)
        items = tuple(self._tools.values())
        return Reply(
            parts=parts,
            finish_reason=finish_reason,
            native_finish_reason=native_finish_reason,
            usage=usage_of(answer.usage, answer.tool_usage, items),
            id=answer.id or self._begun.id,
            model=answer.model or self._begun.model or self.model,
            meta=meta,
            warnings=(*self._encoded.warnings, *billed_apart(items)),
            tier=word(answer.service_tier) or word(self._begun.service_tier),
            region=self._region,
        )

    def _event(self, name: bytes, payload: bytes, events: list[StreamEvent]) -> None:
        if payload == b"[DONE]":
            return  # not OpenAI's, but some gateways add it out of habit
        kind = name.decode("utf-8", "replace")
        try:
            if kind not in self._HANDLERS:
                # An event without a name, or of a kind that does not matter but still counts.
                head = _head.decode(payload)
                kind = head.type
                if kind not in self._HANDLERS:
                    self._in_turn(head)
                    return
            decoder, handle, always = self._HANDLERS[kind]
            event = decoder.decode(payload)
            if always or self._in_turn(event):
                handle(self, event, events)
        except (msgspec.DecodeError, UnicodeDecodeError, Unpromised) as exc:
            raise self.malformed(f"{kind or 'an event without a type'}: {exc}") from exc

    def _in_turn(self, event: _Event) -> bool:
        """The event is new. Servers that do not number their events are taken at their word."""
        number = event.sequence_number
        if number is None:
            return True
        expected = self._next
        if expected is not None and number < expected:
            return False
        if number > (1 if expected is None else expected):
            raise Unpromised(f"event {number} came where {expected or 0} was due: some are lost")
        self._next = number + 1
        return True

    def _key(self, event: _Delta | _Item) -> _Key:
        """The item that an event is about, by its index, or by its id where only that is known."""
        item_id = event.item.get("id") if isinstance(event, _Item) else event.item_id
        index = event.output_index
        if not isinstance(item_id, str):
            return index or 0
        if index is not None:
            self._indexes[item_id] = index
            return index
        return self._indexes.get(item_id, item_id)

    def _begin(self, event: _Beginning, _events: list[StreamEvent]) -> None:
        self._begun = event.response

    def _text_delta(self, event: _Delta, events: list[StreamEvent]) -> None:
        key = self._key(event)
        if key not in self._settled:
            _give(events, self.assembler.text((key, event.content_index), event.delta))

    def _refusal_delta(self, event: _Delta, events: list[StreamEvent]) -> None:
        key = self._key(event)
        if key not in self._settled:
            _give(events, self.assembler.refusal((key, event.content_index), event.delta))

    def _summary_delta(self, event: _Delta, events: list[StreamEvent]) -> None:
        self._think(self._key(event), ("summary", event.summary_index), event.delta, events)

    def _reasoning_delta(self, event: _Delta, events: list[StreamEvent]) -> None:
        self._think(self._key(event), ("content", event.content_index), event.delta, events)

    def _think(
        self, key: _Key, place: tuple[str, int], piece: str, events: list[StreamEvent]
    ) -> None:
        """More reasoning; its parts are set apart by an empty line."""
        if key in self._settled:
            return
        last = self._thought.get(key)
        if piece and last != place:
            self._thought[key] = place
            if last is not None:
                piece = f"\n\n{piece}"
        _give(events, self.assembler.reasoning(key, piece))

    def _arguments_delta(self, event: _Delta, events: list[StreamEvent]) -> None:
        key = self._key(event)
        if key in self._settled:
            return
        if key in self._answers:
            _give(events, self.assembler.text((key, 0), event.delta))
        else:
            _give(events, self.assembler.tool_call(key, arguments=event.delta))

    def _added(self, event: _Item, events: list[StreamEvent]) -> None:
        """An item begins: a call's id and name are known before its arguments."""
        item, key = event.item, self._key(event)
        kind = item.get("type")
        if kind == "reasoning":
            self.assembler.reasoning(key, "")
        elif kind in {"function_call", "custom_tool_call"} and item.get("name"):
            call = call_item({**item, "arguments": "", "input": ""}, self._author)
            if call.name == self._encoded.answer_tool:
                self._answers.add(key)
            else:
                _give(events, self.assembler.tool_call(key, id=call.id, name=call.name))

    def _done(self, event: _Item, events: list[StreamEvent]) -> None:
        self._settle(self._key(event), event.item, events)

    def _settle(self, key: _Key, item: dict[str, Any], events: list[StreamEvent]) -> None:
        """An item is whole: what its deltas left out is given now."""
        if key in self._settled:
            return
        self._settled.add(key)
        match item.get("type"):
            case "message":
                self._settle_message(key, item, events)
            case "reasoning":
                self._settle_reasoning(key, item, events)
            case "function_call" | "custom_tool_call":
                self._settle_call(key, item, events)
            case str():
                self._tools[key] = item
                self.assembler.native_block(key, Native(self._author, item))
            case _:
                raise Unpromised("the item has no type")

    def _settle_message(self, key: _Key, item: dict[str, Any], events: list[StreamEvent]) -> None:
        for place, content in message_contents(item):
            at = (key, place)
            if content.get("type") == "refusal":
                rest = _rest(self.assembler.said("refusal", at), content.get("refusal"), "refusal")
                _give(events, self.assembler.refusal(at, rest))
                continue
            rest = _rest(self.assembler.said("text", at), content.get("text"), "text")
            _give(events, self.assembler.text(at, rest))
            native = text_native(item, content, self._author)
            if native is not None:
                self.assembler.set_native("text", at, native)

    def _settle_reasoning(self, key: _Key, item: dict[str, Any], events: list[StreamEvent]) -> None:
        said, text = self.assembler.said("reasoning", key), reasoning_text(item)
        # What can be read may be told in another form than it was streamed; only more is news.
        rest = text[len(said) :] if text.startswith(said) else ""
        _give(events, self.assembler.reasoning(key, rest))
        self.assembler.set_native("reasoning", key, Native(self._author, item))

    def _settle_call(self, key: _Key, item: dict[str, Any], events: list[StreamEvent]) -> None:
        call = call_item(item, self._author)
        if key in self._answers or call.name == self._encoded.answer_tool:
            at = (key, 0)
            rest = _rest(self.assembler.said("text", at), call.arguments, "arguments")
            _give(events, self.assembler.text(at, rest))
            return
        rest = _rest(self.assembler.said("tool", key), call.arguments, "arguments")
        _give(
            events,
            self.assembler.tool_call(key, id=call.id, name=call.name, arguments=rest),
        )
        if call.native is not None:
            self.assembler.set_native("tool", key, call.native)

    def _end(self, event: _Ending, events: list[StreamEvent]) -> None:
        answer = event.response
        for index, raw in enumerate(answer.output):
            item = _any_item.decode(raw)
            item_id = item.get("id")
            if index not in self._settled and item_id not in self._settled:
                self._settle(index, item, events)
        # Only the event's type says how it ended; some servers leave the status as it was.
        answer.status = event.type.rpartition(".")[2] or answer.status
        self._answer = answer
        self.finished = True

    def _fail(self, event: _Failing, _events: list[StreamEvent]) -> None:
        error = {"error": event.response.error or {}}
        raise faults.stream_error(error, provider=self.provider, model=self.model)

    def _error(self, event: dict[str, Any], _events: list[StreamEvent]) -> None:
        raise faults.stream_error(event, provider=self.provider, model=self.model)

    # By type: the decoder, the handler, and whether it holds even where events before it are lost.
    _HANDLERS: ClassVar[dict[str, tuple[msgspec.json.Decoder[Any], _Handler, bool]]] = {
        "response.created": (_beginnings, _begin, False),
        "response.output_text.delta": (_deltas, _text_delta, False),
        "response.refusal.delta": (_deltas, _refusal_delta, False),
        "response.reasoning_summary_text.delta": (_deltas, _summary_delta, False),
        "response.reasoning_text.delta": (_deltas, _reasoning_delta, False),
        "response.function_call_arguments.delta": (_deltas, _arguments_delta, False),
        "response.output_item.added": (_items, _added, False),
        "response.output_item.done": (_items, _done, False),
        "response.completed": (_endings, _end, False),
        "response.incomplete": (_endings, _end, False),
        "response.failed": (_failings, _fail, True),
        "error": (_any_item, _error, True),
    }


def _rest(said: str, whole: object, what: str) -> str:
    """What the deltas left out of the whole.

    Raises:
        Unpromised: The deltas said something else, so one of them is lost or doubled.
    """
    if not isinstance(whole, str):
        if whole is None:
            return ""
        raise Unpromised(f"`{what}` is not text")
    if whole.startswith(said):
        return whole[len(said) :]
    if not whole or whole.strip() == said.strip():
        return ""
    raise Unpromised(f"the {what} is not what its deltas said: some are lost or doubled")


def _give(events: list[StreamEvent], event: StreamEvent | None) -> None:
    if event is not None:
        events.append(event)
