"""A conversation as Gemini's ``contents``: two roles that take turns, and parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from switchgear import (
    Audio,
    File,
    Image,
    InvalidRequestError,
    Message,
    NativeBlock,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from switchgear.providers import Unexpressed, foreign, own, with_valid_ids

__all__ = ["AUTHOR", "Json", "write_contents"]

Json = dict[str, Any]

AUTHOR = "gemini"
"""The author of what only Gemini can read: thought signatures."""

# Google's documented stand-in for the signature of a call that another model wrote. Without any,
# Gemini 3 refuses the history.
_NO_SIGNATURE = "skip_thought_signature_validator"

_ANY_ID = re.compile(r".+", re.DOTALL)
_DATA_URL = re.compile(r"data:([^;,]+);base64,(.*)", re.IGNORECASE | re.DOTALL)


def write_contents(
    messages: Sequence[Message], notes: Unexpressed, *, signatures: bool
) -> tuple[Json | None, list[Json]]:
    """The system instruction and the turns.

    Args:
        messages: The conversation, whoever wrote its turns.
        notes: Where what can't be expressed goes.
        signatures: Calls of other models need the stand-in for a signature.
    """
    system: list[Json] = []
    contents: list[Json] = []
    names: dict[str, str] = {}
    for message in with_valid_ids(messages, valid=_ANY_ID):
        if message.role in ("system", "developer"):
            system += _parts(message.parts, notes)
            continue
        if message.role == "assistant":
            role, parts = "model", _answer(message, names, notes, signatures=signatures)
        elif message.role == "tool":
            role, parts = "user", [_result(message, names, notes)]
        else:
            role, parts = "user", _parts(message.parts, notes)
        if message.name is not None and message.role == "user":
            notes.knob("name", "Gemini has no names of participants")
        # Several results of one step, and what the user says after them, are one turn.
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    return ({"parts": system} if system else None), contents


def _answer(
    message: Message, names: dict[str, str], notes: Unexpressed, *, signatures: bool
) -> list[Json]:
    parts: list[Json] = []
    first_call = True
    for part in message.parts:
        match part:
            case ToolCall():
                names[part.id] = part.name
                stand_in = _NO_SIGNATURE if signatures and first_call else None
                parts.append(_call(part, notes, stand_in))
                first_call = False
            case Text():
                if part.text:
                    parts.append(_signed({"text": part.text}, part, notes, "a text's signature"))
            case Refusal():
                parts.append({"text": part.text})
            case Reasoning():
                # Gemini wants its signatures back, not its summaries of what it thought.
                if part.native is not None and not own(part.native, AUTHOR):
                    notes.note(foreign("reasoning", part.native))
            case NativeBlock():
                notes.note(foreign("a block", part.native))
            case _:
                parts += _parts((part,), notes)
    return parts


def _call(part: ToolCall, notes: Unexpressed, stand_in: str | None) -> Json:
    try:
        arguments = part.parse()
    except InvalidRequestError:
        # Another model wrote it and the tool has answered it: the conversation goes on.
        notes.note(f"messages: the arguments of call {part.id} are no JSON object, sent as text")
        arguments = {"arguments": part.arguments}
    written: Json = {"functionCall": {"id": part.id, "name": part.name, "args": arguments}}
    written = _signed(written, part, notes, "a tool call's signature")
    if stand_in is not None:
        written.setdefault("thoughtSignature", stand_in)
    return written


def _signed(written: Json, part: Text | ToolCall, notes: Unexpressed, what: str) -> Json:
    if own(part.native, AUTHOR) and part.native is not None:
        written |= part.native.data
    elif part.native is not None:
        notes.note(foreign(what, part.native))
    return written


def _result(message: Message, names: dict[str, str], notes: Unexpressed) -> Json:
    call_id = message.tool_call_id or ""
    said = message.text
    others = [part for part in message.parts if not isinstance(part, Text)]
    response: Json = {
        "id": call_id,
        "name": names.get(call_id) or message.name or "tool",
        "response": {"error" if message.is_error else "output": said},
    }
    if others:
        response["parts"] = _parts(others, notes)
    return {"functionResponse": response}


def _parts(parts: Sequence[Part], notes: Unexpressed) -> list[Json]:
    return [written for part in parts for written in _part(part, notes)]


def _part(part: Part, notes: Unexpressed) -> Iterator[Json]:
    match part:
        case Text():
            if part.text:
                yield {"text": part.text}
        case Image():
            if part.detail not in {None, "auto"}:
                notes.knob("detail", "Gemini has one resolution for a whole request")
            yield _data(part.data, part.url, part.media_type)
        case Audio():
            yield {"inlineData": {"mimeType": f"audio/{part.format}", "data": part.data}}
        case File(file_id=str()):
            notes.meaning("files", "an uploaded file belongs to the vendor that keeps it")
        case File():
            yield _data(part.data, part.url, part.media_type)
        case NativeBlock():
            notes.note(foreign("a block", part.native))
        case _:
            notes.meaning("messages", f"a {type(part).__name__} has no place here")


def _data(data: str | None, url: str | None, media_type: str | None) -> Json:
    """The bytes themselves, or where Google may fetch them."""
    inside = _DATA_URL.fullmatch(data or url or "")
    if inside is not None:
        return {"inlineData": {"mimeType": inside[1], "data": inside[2]}}
    kind = {"mimeType": media_type} if media_type else {}
    if data is not None:
        return {"inlineData": {"mimeType": media_type or "application/octet-stream", "data": data}}
    return {"fileData": {**kind, "fileUri": url}}
