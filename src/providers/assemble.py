"""Puts a streamed answer together, piece by piece, for every dialect alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..completion import StreamEvent, ToolCallDelta
from ..errors import MalformedResponseError, SwitchgearError
from ..messages import Native, NativeBlock, Part, Reasoning, Refusal, Text, ToolCall
from .sse import SseParser

__all__ = ["Assembler", "EventParser", "SseDecoder"]

_NO_KEY = object()


class _Slot:
    """One part on its way. ``key`` is the vendor's own index of the block, whatever that is."""

    __slots__ = ("arguments", "id", "index", "key", "kind", "name", "native", "pieces")

    def __init__(self, kind: str, key: object) -> None:
        self.kind = kind
        self.key = key
        self.pieces: list[str] = []
        self.native: Native | None = None
        self.id = ""
        self.name = ""
        self.index = 0


class Assembler:
    """Collects deltas into parts, in the order in which the parts began.

    Each method takes the vendor's ``key`` of the block that the delta belongs to, adds to that
    block (begun when first seen) and returns the event to hand on, or ``None`` for nothing new.
    """

    __slots__ = ("_calls", "_slots", "_table", "_text")

    def __init__(self) -> None:
        self._slots: list[_Slot] = []
        self._table: dict[tuple[str, object], _Slot] = {}
        self._calls = 0
        self._text = _Slot("text", _NO_KEY)  # the text that grew last, which mostly grows on

    def _slot(self, kind: str, key: object) -> _Slot:
        slot = self._table.get((kind, key))
        if slot is None:
            slot = self._table[kind, key] = _Slot(kind, key)
            self._slots.append(slot)
        return slot

    def text(self, key: object, piece: str) -> StreamEvent | None:
        """More text."""
        slot = self._text
        if slot.key != key:
            slot = self._text = self._slot("text", key)
        slot.pieces.append(piece)
        return StreamEvent(piece) if piece else None

    def refusal(self, key: object, piece: str) -> StreamEvent | None:
        """More of a refusal; it reads as text on the way."""
        self._slot("refusal", key).pieces.append(piece)
        return StreamEvent(piece) if piece else None

    def reasoning(self, key: object, piece: str) -> StreamEvent | None:
        """More reasoning; begins the block even when there is nothing to read in it."""
        self._slot("reasoning", key).pieces.append(piece)
        return StreamEvent("", piece) if piece else None

    def tool_call(
        self,
        key: object,
        *,
        id: str = "",  # noqa: A002 - what every vendor calls it
        name: str = "",
        arguments: str = "",
    ) -> StreamEvent | None:
        """More of a tool call. A repeated id or name is taken once."""
        slot = self._table.get(("tool", key))
        if slot is None:
            slot = self._slot("tool", key)
            slot.index = self._calls
            self._calls += 1
        new_id = id if not slot.id else ""
        new_name = name if not slot.name else ""
        slot.id = slot.id or id
        slot.name = slot.name or name
        if arguments:
            slot.pieces.append(arguments)
        if not (new_id or new_name or arguments):
            return None
        return StreamEvent("", "", ToolCallDelta(slot.index, new_id, new_name, arguments))

    def native_block(self, key: object, native: Native) -> None:
        """A vendor's own block, whole."""
        self._slot("native", key).native = native

    def set_native(self, kind: str, key: object, native: Native) -> None:
        """The author's own form of a ``text``, ``reasoning`` or ``tool`` block."""
        self._slot(kind, key).native = native

    def said(self, kind: str, key: object) -> str:
        """What a block (``text``, ``reasoning``, ``refusal``, ``tool``) holds so far."""
        slot = self._table.get((kind, key))
        return "".join(slot.pieces) if slot is not None else ""

    def has(self, kind: str, key: object) -> bool:
        """Such a block has begun."""
        return (kind, key) in self._table

    @property
    def calls(self) -> int:
        """How many tool calls have begun."""
        return self._calls

    def parts(self) -> tuple[Part, ...]:
        """The parts so far. Empty text and nameless calls are left out."""
        return tuple(part for slot in self._slots if (part := _part(slot)) is not None)


def _part(slot: _Slot) -> Part | None:
    body = "".join(slot.pieces)
    if slot.kind == "text":
        return Text(body, native=slot.native) if body else None
    if slot.kind == "reasoning":
        return Reasoning(body, slot.native) if body or slot.native else None
    if slot.kind == "refusal":
        return Refusal(body) if body else None
    if slot.kind == "tool":
        # Some vendors send no id, or an empty one: every call needs one to be answered.
        call_id = slot.id or f"call_{slot.index}"
        return ToolCall(call_id, slot.name, body or "{}", slot.native) if slot.name else None
    return NativeBlock(slot.native) if slot.native is not None else None


class EventParser(Protocol):
    """Cuts bytes into events; ``SseParser`` for text, others for other framings."""

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The events that these bytes complete, as pairs of name and data."""


class SseDecoder:
    """The common half of a decoder for server-sent events.

    A dialect implements ``_event``, which may raise: the error is kept, and the events before it
    are still given.
    """

    def __init__(self, *, provider: str, model: str) -> None:
        self.provider = provider
        self.model = model
        self.finished = False
        self.error: SwitchgearError | None = None
        self.assembler = Assembler()
        self._parser: EventParser = SseParser()

    def feed(self, data: bytes) -> Sequence[StreamEvent]:
        """The events that these bytes complete."""
        events: list[StreamEvent] = []
        try:
            for name, payload in self._parser.feed(data):
                if self.finished:
                    break
                self._event(name, payload, events)
        except SwitchgearError as exc:
            self.error = exc
        except (AttributeError, LookupError, TypeError, ValueError) as exc:
            # Where a dialect takes a vendor's value as it is, any kind of value may stand.
            self.error = self.malformed(f"a value of another kind: {exc}")
            self.error.__cause__ = exc
        return events

    def end(self) -> Sequence[StreamEvent]:
        """Nothing waits for the end of a body in this format."""
        return ()

    def _event(self, name: bytes, payload: bytes, events: list[StreamEvent]) -> None:
        raise NotImplementedError

    def malformed(self, detail: str) -> MalformedResponseError:
        """The error for data that the API does not promise."""
        message = f"{self.provider}: malformed stream: {detail}"
        return MalformedResponseError(message, provider=self.provider, model=self.model)
