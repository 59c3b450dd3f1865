"""A conversation as Chat Completions take it, wherever it was begun."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ...errors import InvalidRequestError
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
from .openai_chat_quirks import AUTHOR, ChatQuirks
from .openai_chat_thinking import block_of

__all__ = ["add_instruction", "cache_control", "write_messages"]

# OpenAI refuses ids of more than 40 characters; the set of characters is what vendors use.
_ANY_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,40}")
_NINE = re.compile(r"[A-Za-z0-9]{9}")
_NAME = re.compile(r"[^\s<|\\/>]{1,64}")

Block = dict[str, Any]


def write_messages(
    messages: Sequence[Message], capabilities: Capabilities, quirks: ChatQuirks, notes: Unexpressed
) -> list[Block]:
    """The messages, tool-call ids and foreign parts made to fit.

    Raises:
        UnsupportedParameterError: A part can't be expressed, as ``notes`` decides.
    """
    writer = _Writer(capabilities, quirks, notes)
    for message in with_valid_ids(messages, valid=_ANY_ID):
        writer.add(message)
    writer.flush()
    return writer.written


def add_instruction(written: list[Block], text: str, role: str) -> None:
    """Put a sentence into the instructions, which some chat templates allow only once, at first."""
    if not written or written[0]["role"] not in {"system", "developer"}:
        written.insert(0, {"role": role, "content": text})
        return
    first = written[0]
    content = first["content"]
    if isinstance(content, str):
        first["content"] = f"{content}\n\n{text}" if content else text
    else:
        content.append({"type": "text", "text": text})


def cache_control(ttl: CacheTtl) -> Block:
    """Anthropic's mark for the prompt's cache."""
    return {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}


class _Writer:
    """Writes one conversation."""

    def __init__(self, capabilities: Capabilities, quirks: ChatQuirks, notes: Unexpressed) -> None:
        self.written: list[Block] = []
        self._capabilities = capabilities
        self._quirks = quirks
        self._notes = notes
        self._shown: list[Block] = []  # what tool results show, for the user's message after them

    def add(self, message: Message) -> None:
        """One more message."""
        if message.role == "tool":
            self._tool(message)
            return
        self.flush()
        if message.role == "assistant":
            self._assistant(message)
            return
        role = message.role if message.role == "user" else self._quirks.system_role
        content = message.content
        block: Block = {
            "role": role,
            "content": content if isinstance(content, str) else self._content(content, role),
        }
        self._name(message, block)
        self.written.append(block)

    def flush(self) -> None:
        """A tool's message holds text only: its pictures follow in a message of the user's."""
        if self._shown:
            self.written.append({"role": "user", "content": self._shown})
            self._shown = []

    def _name(self, message: Message, block: Block) -> None:
        if message.name is not None:
            if _NAME.fullmatch(message.name):
                block["name"] = message.name
            else:
                self._notes.note(f"name: left out: {message.name!r} is not a name for this API")

    def _content(self, parts: Iterable[Part], role: str) -> str | list[Block]:
        blocks = [block for part in parts if (block := self._block(part, role)) is not None]
        if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
            text: str = blocks[0]["text"]
            return text
        return blocks or ""

    def _block(self, part: Part, role: str) -> Block | None:
        match part:
            case Text():
                self._foreign_native("the native form of a text", part.native)
                return self._marked({"type": "text", "text": part.text}, part.cache)
            case Refusal():
                return {"type": "text", "text": part.text}
            case Image() | File() | Audio() if role != "user":
                self._notes.meaning(_kind(part), f"a {role} message holds text only")
            case Image():
                return self._image(part)
            case Audio():
                if self._capabilities.audio:
                    audio = {"data": part.data, "format": part.format}
                    return {"type": "input_audio", "input_audio": audio}
                self._notes.meaning("audio")
            case File():
                return self._file(part)
            case Reasoning() | NativeBlock():
                self._notes.note(foreign("a block", part.native))
            case ToolCall():
                raise InvalidRequestError(
                    f"a {role} message calls a tool, which only an assistant can", param="messages"
                )
        return None

    def _image(self, part: Image) -> Block | None:
        if not self._capabilities.images:
            self._notes.meaning("images")
            return None
        image: Block = {"url": part.url or f"data:{part.media_type};base64,{part.data}"}
        if part.detail is not None:
            image["detail"] = part.detail
        return self._marked({"type": "image_url", "image_url": image}, part.cache)

    def _file(self, part: File) -> Block | None:
        media_type = part.media_type or ""
        if part.data and media_type.startswith("image/"):
            return self._image(Image(data=part.data, media_type=media_type, cache=part.cache))
        if not self._capabilities.files:
            self._notes.meaning("files")
            return None
        if part.data:
            # The API tells what a document is by its name, and refuses one without.
            extension = mimetypes.guess_extension(media_type) or ".pdf"
            file = {
                "filename": part.filename or f"document{extension}",
                "file_data": f"data:{media_type or 'application/pdf'};base64,{part.data}",
            }
        elif part.file_id is not None and self._quirks.file_ids:
            file = {"file_id": part.file_id}
        else:
            why = "Chat Completions takes no file by its address; give its data"
            if part.file_id is not None:
                why = "this provider keeps no uploaded files; give its data"
            self._notes.meaning("files", why)
            return None
        return self._marked({"type": "file", "file": file}, part.cache)

    def _marked(self, block: Block, cache: CacheTtl | None) -> Block:
        if cache is None:
            return block
        if self._quirks.cache_control and self._capabilities.prompt_cache:
            block["cache_control"] = cache_control(cache)
            return block
        if not self._quirks.cache_breakpoints:
            self._notes.knob("cache", "this model's prompts take no marks for their cache")
            return block
        if cache != "5m":
            self._notes.note("cache: the provider keeps it for 30 minutes instead of an hour")
        block["prompt_cache_breakpoint"] = {"mode": "explicit"}
        return block

    def _foreign_native(self, what: str, native: Native | None) -> None:
        if native is not None and not own(native, AUTHOR):
            self._notes.note(foreign(what, native))

    def _tool(self, message: Message) -> None:
        texts: list[Part] = []
        shown: list[Part] = []
        for part in message.parts:
            (shown if isinstance(part, Image | File | Audio) else texts).append(part)
        content = self._content(texts, "tool")
        blocks = [block for part in shown if (block := self._block(part, "user")) is not None]
        if blocks:
            label = f"What the tool call {message.tool_call_id} showed:"
            self._shown.extend([{"type": "text", "text": label}, *blocks])
            content = content or "The result follows in the next message."
        if message.is_error:
            content = _failed(content)
        call_id = self._call_id(message.tool_call_id or "")
        self.written.append({"role": "tool", "tool_call_id": call_id, "content": content})

    def _call_id(self, call_id: str) -> str:
        if self._quirks.tool_call_ids == "any" or _NINE.fullmatch(call_id):
            return call_id
        return hashlib.sha256(call_id.encode()).hexdigest()[:9]

    def _assistant(self, message: Message) -> None:
        block: Block = {"role": "assistant", "content": None}
        said = refusal = ""
        thought: list[Reasoning] = []
        calls: list[Block] = []
        for part in message.parts:
            match part:
                case Text():
                    said += part.text
                    self._said(part, block)
                case Refusal():
                    refusal += part.text
                case Reasoning():
                    thought.append(part)
                case ToolCall():
                    calls.append(self._call(part))
                case NativeBlock():
                    self._own_fields(part.native, block)
                case _:
                    self._notes.meaning(_kind(part), "an assistant message holds text only")
        optional = {"refusal": refusal, "tool_calls": calls}
        block.update((key, value) for key, value in optional.items() if value)
        if said or block.keys() <= {"role", "content", "annotations"}:
            block["content"] = self._marked_text(message) or said
        self._reasoning(thought, block)
        self._name(message, block)
        self.written.append(block)

    def _said(self, part: Text, block: Block) -> None:
        if part.native is not None:
            self._own_fields(part.native, block)
        if part.cache is not None and not self._quirks.cache_control:
            self._notes.knob("cache", "an assistant message takes no mark for the prompt's cache")

    def _marked_text(self, message: Message) -> list[Block]:
        """The text in blocks, where one of them bears a mark that can be expressed."""
        texts = [part for part in message.parts if isinstance(part, Text)]
        if not self._quirks.cache_control or all(part.cache is None for part in texts):
            return []
        return [self._marked({"type": "text", "text": part.text}, part.cache) for part in texts]

    def _own_fields(self, native: Native, block: Block) -> None:
        """What this API wrote goes back as it came: annotations, and audio by its id."""
        if not own(native, AUTHOR) or not self._quirks.extra_fields:
            self._notes.note(foreign("a block", native))
            return
        for key, value in native.data.items():
            if key == "audio" and isinstance(value, dict):
                block["audio"] = {"id": value.get("id")}
            elif key == "annotations":
                block["annotations"] = value
            elif key == "images":
                self._notes.note("history: images that the model made left out: none go back")

    def _call(self, part: ToolCall) -> Block:
        call: Block = {"id": self._call_id(part.id), "type": "function"}
        data: dict[str, Any] = {}
        if part.native is not None:
            if own(part.native, AUTHOR) and self._quirks.extra_fields:
                data = part.native.data
            else:
                self._notes.note(foreign("the native form of a tool call", part.native))
        if "custom" in data:
            call["type"] = "custom"
            call["custom"] = data["custom"]
            return call
        call["function"] = {"name": part.name, "arguments": part.arguments or "{}"}
        # Gemini's thought signatures travel here, and it refuses a history without them.
        if "extra_content" in data:
            if self._quirks.openai_models:
                self._notes.note(foreign("the signature of a tool call", part.native))
            else:
                call["extra_content"] = data["extra_content"]
        if "provider_specific_fields" in data:
            if self._quirks.call_fields:
                call["provider_specific_fields"] = data["provider_specific_fields"]
            else:
                self._notes.note(foreign("the vendor's own fields of a tool call", part.native))
        return call

    def _signed(self, thought: Sequence[Reasoning], block: Block) -> list[Reasoning]:
        """Gives Anthropic its own thinking back; what is left is not Anthropic's."""
        signed = [own_block for part in thought if (own_block := block_of(part)) is not None]
        if signed:
            block["thinking_blocks"] = signed
        return [part for part in thought if block_of(part) is None]

    def _reasoning(self, thought: Sequence[Reasoning], block: Block) -> None:
        quirks = self._quirks
        readable = ""
        details: list[Any] = []
        if quirks.thinking_blocks:
            thought = self._signed(thought, block)
        for part in thought:
            if part.native is None:
                readable += part.text
            elif not own(part.native, AUTHOR):
                self._notes.note(foreign("reasoning", part.native))
            elif quirks.reasoning_details:
                details.extend(part.native.data.get("reasoning_details", ()))
            else:
                readable += part.text
        if details:
            block["reasoning_details"] = details
        field = quirks.reasoning_field
        if field is None:
            if readable:
                self._notes.note("history: reasoning left out: this provider takes none back")
        elif readable or ("tool_calls" in block and not details):
            # DeepSeek refuses a call without the field, even where nothing was thought.
            block[field] = readable


def _failed(content: str | list[Block]) -> str | list[Block]:
    """The result of a tool that failed: this API has no other place to say so."""
    if isinstance(content, str):
        if content.lower().startswith("error"):
            return content
        return f"Error: {content}" if content else "Error: the tool failed"
    return [{"type": "text", "text": "Error:"}, *content]


def _kind(part: Image | File | Audio) -> str:
    return "audio" if isinstance(part, Audio) else f"{type(part).__name__.lower()}s"
