"""A conversation as the Responses API's input items.

The router owns the history and nothing is stored at the vendor, so every item goes back whole. Two
rules of the API decide what may go: a reasoning item needs its encrypted (or readable) content,
since its id alone refers to something that was never stored, and it needs the item that followed
it. An item that came with an id insists on the reasoning before it, so ids go back only where that
reasoning does.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ...messages import (
    Audio,
    CacheTtl,
    File,
    Image,
    Message,
    Native,
    NativeBlock,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from ..base import Capabilities
from ..history import foreign, own, with_valid_ids
from ..unsupported import Unexpressed

__all__ = ["AUTHOR", "InputWriter", "author_of"]

AUTHOR = "openai-responses"
"""The author of what a user writes in this API's own form: hosted tools, their approvals."""

_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

# The API keeps a breakpoint for 30 minutes or for 12 hours: an hour needs the longer.
_LONG_TTL = "12h"


def author_of(provider: str) -> str:
    """The author of a provider's answers: encrypted content belongs to one organisation."""
    return f"{AUTHOR}/{provider}"


class InputWriter:
    """Writes one conversation.

    Args:
        author: This provider's author name; what carries it goes back unmodified.
        capabilities: Of the model.
        notes: Takes what could not be expressed.
        stored: The caller has the vendor store the answers, so that an id alone suffices.
    """

    def __init__(
        self, *, author: str, capabilities: Capabilities, notes: Unexpressed, stored: bool = False
    ) -> None:
        self.author = author
        self._capabilities = capabilities
        self._notes = notes
        self._stored = stored
        self._items: list[dict[str, Any]] = []
        self._custom: set[str] = set()
        self._programs: dict[str, dict[str, Any]] = {}
        # Of the assistant message being written:
        self._speech: list[Text | Refusal] = []
        self._held: list[dict[str, Any]] = []
        self._gap = False

    def write(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """The input items, in order.

        Raises:
            UnsupportedParameterError: A part can't be expressed and may not be dropped.
        """
        for place, message in enumerate(with_valid_ids(messages, valid=_CALL_ID)):
            if message.role == "assistant":
                self._assistant(message)
            elif message.role == "tool":
                self._result(message)
            else:
                self._prompt(message)
            if message.name is not None and message.role != "tool":
                self._notes.note(f"messages[{place}].name: left out: this API has no names")
        return self._items

    def _prompt(self, message: Message) -> None:
        """A system, developer or user message."""
        if isinstance(message.content, str):
            self._say(message.role, message.content)
            return
        content: list[dict[str, Any]] = []
        for part in message.content:
            if isinstance(part, NativeBlock):
                # A block among the content (an approval, a computer's screen) is an item by itself.
                if content:
                    self._say(message.role, content)
                    content = []
                self._native(part)
            elif (piece := self._content(part, message.role)) is not None:
                content.append(piece)
        if content or not message.content:
            self._say(message.role, content or "")

    def _say(self, role: str, content: str | list[dict[str, Any]]) -> None:
        self._items.append({"type": "message", "role": role, "content": content})

    def _content(self, part: Part, role: str) -> dict[str, Any] | None:
        """A part of a prompt or of a tool's result; ``None`` for what had to be left out."""
        piece: dict[str, Any]
        match part:
            case Text():
                piece = {"type": "input_text", "text": part.text}
            case Refusal():
                piece = {"type": "input_text", "text": part.text}
            case Image():
                if not self._capabilities.images:
                    self._notes.meaning("images")
                    return None
                piece = {
                    "type": "input_image",
                    "detail": part.detail or "auto",
                    "image_url": part.url or _data_url(part.data, part.media_type or "image/png"),
                }
            case File():
                if not self._capabilities.files:
                    self._notes.meaning("files")
                    return None
                piece = _file(part)
            case Audio():
                self._notes.meaning("audio", "the Responses API takes none")
                return None
            case Reasoning():
                self._notes.note(foreign("reasoning", part.native))
                return None
            case _:
                what = type(part).__name__
                self._notes.note(f"messages: a {what} in a {role} message left out: no place there")
                return None
        self._cache(piece, getattr(part, "cache", None))
        return piece

    def _cache(self, piece: dict[str, Any], ttl: CacheTtl | None) -> None:
        if ttl is None:
            return
        if self._capabilities.prompt_cache:
            long = {"ttl": _LONG_TTL} if ttl == "1h" else {}
            piece["prompt_cache_breakpoint"] = {"mode": "explicit", **long}
        else:
            self._notes.knob("cache", "this model's prompts take no marks for their cache")

    def _result(self, message: Message) -> None:
        """What a tool answered."""
        call_id = message.tool_call_id or ""
        output: str | list[dict[str, Any]]
        if all(isinstance(part, Text) and part.cache is None for part in message.parts):
            output = message.text
        else:
            pieces = (self._content(part, "tool") for part in message.parts)
            output = [piece for piece in pieces if piece is not None]
        if message.is_error:
            output = _failed(output)
        kind = "custom_tool_call_output" if call_id in self._custom else "function_call_output"
        result: dict[str, Any] = {"type": kind, "call_id": call_id, "output": output or ""}
        if call_id in self._programs:
            result["caller"] = self._programs[call_id]
        self._items.append(result)

    def _assistant(self, message: Message) -> None:
        self._gap = False
        for part in message.parts:
            match part:
                case Text() | Refusal():
                    self._speak(part)
                case Reasoning():
                    self._flush()
                    self._reasoning(part)
                case ToolCall():
                    self._emit(self._call(part))
                case NativeBlock():
                    self._native(part)
                case Image():
                    self._notes.meaning("images", "an assistant's image has no place in a history")
                case File():
                    self._notes.meaning("files", "an assistant's file has no place in a history")
                case Audio():
                    self._notes.meaning("audio", "the Responses API takes none")
        self._flush()
        if self._held:
            self._held.clear()
            self._notes.note(
                "history: reasoning that nothing follows left out: this API refuses it alone"
            )

    def _emit(self, item: dict[str, Any]) -> None:
        """An item of an answer, after the text and the reasoning that came before it."""
        self._flush()
        self._items += self._held
        self._held.clear()
        self._items.append(item)

    def _reasoning(self, part: Reasoning) -> None:
        native = part.native
        if native is None or not own(native, self.author):
            self._notes.note(foreign("reasoning", native))
            return
        item = {key: value for key, value in native.data.items() if value is not None}
        if not (item.get("encrypted_content") or item.get("content") or self._stored):
            self._gap = True
            self._notes.note(
                "history: reasoning without encrypted content left out: its id refers to nothing"
            )
            return
        self._held.append(item)

    def _call(self, part: ToolCall) -> dict[str, Any]:
        item: dict[str, Any] = {}
        if own(part.native, self.author) and part.native is not None:
            item = {key: value for key, value in part.native.data.items() if value is not None}
            if self._gap:
                item.pop("id", None)
        elif part.native is not None:
            self._notes.note(foreign("a tool call's own form", part.native))
        item["call_id"] = part.id
        item["name"] = part.name
        caller = item.get("caller")
        if isinstance(caller, dict) and caller.get("type") == "program":
            self._programs[part.id] = caller
        if item.get("type") == "custom_tool_call":
            self._custom.add(part.id)
        else:
            item["type"] = "function_call"
            item["arguments"] = part.arguments or "{}"
        return item

    def _native(self, part: NativeBlock) -> None:
        native = part.native
        if own(native, self.author) or own(native, AUTHOR):
            self._emit(native.data)
        else:
            kind = native.data.get("type")
            what = f"a {kind}" if isinstance(kind, str) else "a block"
            self._notes.note(foreign(what, native))

    def _speak(self, part: Text | Refusal) -> None:
        """Gathers what is said in one message of the API."""
        if self._speech and _message_id(self._speech[-1]) != _message_id(part):
            self._flush()
        self._speech.append(part)
        if isinstance(part, Text) and part.cache is not None:
            self._notes.knob("cache", "an answer in the history takes no marks here")

    def _flush(self) -> None:
        if not self._speech:
            return
        speech, self._speech = self._speech, []
        if any(part.text for part in speech):
            self._emit(self._message(speech))

    def _message(self, speech: list[Text | Refusal]) -> dict[str, Any]:
        """Whole where it has annotations of ours to keep, else in the short form without an id."""
        natives = [part.native for part in speech if isinstance(part, Text) and part.native]
        phase = next((n.data["phase"] for n in natives if _kin(n) and n.data.get("phase")), None)
        mine = [n for n in natives if own(n, self.author) and n.data.get("id")]
        item: dict[str, Any]
        if any(native.data.get("annotations") for native in mine) and not self._gap:
            item = {
                "type": "message",
                "id": mine[0].data["id"],
                "role": "assistant",
                "status": mine[0].data.get("status") or "completed",
                "content": [_spoken(part) for part in speech],
            }
        else:
            item = {
                "type": "message",
                "role": "assistant",
                "content": "".join(part.text for part in speech),
            }
            self._lost(natives)
        if phase is not None:
            item["phase"] = phase
        return item

    def _lost(self, natives: Iterable[Native]) -> None:
        for native in natives:
            if not _kin(native) or native.data.get("annotations"):
                self._notes.note(foreign("a text's annotations", native))


def _kin(native: Native) -> bool:
    """Some provider of this API wrote it: what it says in the open holds at the others too."""
    return native.author.startswith(f"{AUTHOR}/")


def _message_id(part: Text | Refusal) -> object:
    # A refusal carries no id; it belongs to the text beside it.
    return part.native.data.get("id") if isinstance(part, Text) and part.native else None


def _spoken(part: Text | Refusal) -> dict[str, Any]:
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    data = part.native.data if part.native is not None else {}
    piece = {"type": "output_text", "text": part.text, "annotations": data.get("annotations") or []}
    if data.get("logprobs"):
        piece["logprobs"] = data["logprobs"]
    return piece


def _failed(output: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """The result of a tool that failed: this API has no other place to say so."""
    if isinstance(output, str):
        if output.lower().startswith("error"):
            return output
        return f"Error: {output}" if output else "Error: the tool failed"
    return [{"type": "input_text", "text": "Error:"}, *output]


def _file(part: File) -> dict[str, Any]:
    if part.file_id is not None:
        return {"type": "input_file", "file_id": part.file_id}
    if part.url is not None:
        return {"type": "input_file", "file_url": part.url}
    media_type = part.media_type or "application/pdf"
    return {
        "type": "input_file",
        "filename": part.filename or f"file{mimetypes.guess_extension(media_type) or ''}",
        "file_data": _data_url(part.data, media_type),
    }


def _data_url(data: str | None, media_type: str) -> str:
    return f"data:{media_type};base64,{data or ''}"
