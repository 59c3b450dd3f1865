"""The most tokens that a prompt can be: never less than any vendor will count.

Text counts by bytes of UTF-8, since no token is shorter than one, or by a tokenizer known to be the
model's own. The fixed amounts are above every overhead that Anthropic or OpenAI has published (7
tokens a message, 12 and 7 a function, 530 for the preamble of tools), and above what the adapters
themselves put in (the mark around a late system message, a result for a tool call without one).
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from ...messages import Audio, File, Image, NativeBlock, Reasoning, Refusal, Text, ToolCall
from .images import image_bound
from .prompts import Measure, decoded, seconds_of, utf8_length
from .vendor_tools import tool_bound

if TYPE_CHECKING:
    from ...messages import Message, Native, Part
    from ...request import ChatRequest

__all__ = ["Marks", "PromptBound", "byte_bound", "json_bound", "prompt_bound", "schema_bound"]

Marks: TypeAlias = Literal[0, 1, 2]
"""The longest-lived cache mark in a prompt: none, the usual time, the long one."""

_PER_REQUEST: Final = 256
_PER_MESSAGE: Final = 32
_PER_NAME: Final = 8
_PER_CALL: Final = 96
_PER_PART: Final = 16
_PER_TOOL: Final = 64
_PREAMBLE: Final = 1024
# Two more for the seams where pieces are joined before they are cut into tokens.
_SEAMS: Final = 2
_DECODED: Final = 1_000_000
_PDF: Final = "JVBERi"

# Blocks in a vendor's own form that hold all that they say: their bytes bound them. Any other may
# stand for something that is kept at the vendor, which only the window bounds.
_SELF_CONTAINED: Final = frozenset(
    {
        "text",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "server_tool_use",
        "web_search_tool_result",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
    }
)


class PromptBound(msgspec.Struct, frozen=True, gc=False):
    """What the walk over a request found.

    Attributes:
        tokens: The most tokens; ``None`` where only the context window bounds them.
        marks: Its cache marks.
        audio: Something in it may be spoken.
        why: What its tools have that has no bound at all, in words that go on from ``tools``;
            empty where all of it has one.
    """

    tokens: int | None
    marks: Marks = 0
    audio: bool = False
    why: str = ""

    @property
    def is_plain(self) -> bool:
        """Nothing in it is priced apart, and nothing of it is without a bound."""
        return not (self.marks or self.audio or self.why or self.tokens is None)


def byte_bound(text: str) -> int:
    """Bytes of a text, in whichever normal form has more of them.

    Some tokenizers bring text into the form NFKC first, in which ``½`` has three characters.
    """
    if text.isascii():
        return len(text)
    size = utf8_length(text)
    if unicodedata.is_normalized("NFKC", text):
        return size
    return max(size, utf8_length(unicodedata.normalize("NFKC", text)))


def json_bound(value: Any) -> int:
    """Bytes of a value as JSON, at least as many as in any way in which a vendor may write it."""
    try:
        raw = msgspec.json.encode(value, enc_hook=str)
    except (TypeError, ValueError):
        raw = json.dumps(value, default=str).encode()
    # A blank behind each comma and colon; escapes for what is not ASCII.
    blanks = raw.count(b",") + raw.count(b":")
    return blanks + (len(raw) if raw.isascii() else 3 * byte_bound(raw.decode()))


def schema_bound(schema: Any) -> int:
    """Bytes of a schema that an adapter may rewrite into a vendor's strict subset.

    Every property is named again as a required one, every object closed, and what the subset lacks
    is told in a description.
    """
    raw = json_bound(schema)
    try:
        objects = msgspec.json.encode(schema, enc_hook=str).count(b"{")
    except (TypeError, ValueError):
        objects = raw
    return 2 * raw + 40 * objects


def prompt_bound(
    request: ChatRequest, model: str, text: Callable[[str], int] = byte_bound
) -> PromptBound:
    """Walk over a request.

    Args:
        request: The request.
        model: The model as the provider calls it.
        text: Tokens of a text, at most.
    """
    total = _PER_REQUEST
    others: list[Message] = []
    for message in request.messages:
        content = message.content
        if type(content) is str and message.name is None and message.tool_call_id is None:
            total += _PER_MESSAGE + _SEAMS + text(content)
        else:
            others.append(message)
    if not others and not request.tools and request.response_format is None:
        return PromptBound(total)
    walk = _Walk(model, text)
    for message in others:
        total += walk.message(message)
    if request.tools:
        total += walk.tools(request)
    elif walk.calls:
        # A history of calls is refused without their tools: an adapter declares them by name.
        total += _PREAMBLE
    if request.response_format is not None:
        total += walk.answer(request)
    tokens = None if walk.unseen else total
    return PromptBound(tokens, walk.marks, walk.audio, walk.why)


class _Walk:
    """Collects what a request has besides plain text."""

    __slots__ = ("_model", "_text", "audio", "calls", "marks", "unseen", "why")

    def __init__(self, model: str, text: Measure) -> None:
        self._model = model
        self._text = text
        self.marks: Marks = 0
        self.audio = False
        self.unseen = False
        self.calls = False
        self.why = ""

    def message(self, message: Message) -> int:
        total = _PER_MESSAGE
        if message.name:
            total += _PER_NAME + self._text(message.name)
        if message.tool_call_id:
            total += byte_bound(message.tool_call_id) + _SEAMS
            self.calls = True
        for part in message.parts:
            if isinstance(part, Text):
                total += self._text(part.text) + _SEAMS + self._native(part.native)
                self._mark(part.cache)
            else:
                total += self._part(part)
        return total

    def tools(self, request: ChatRequest) -> int:
        total = _PREAMBLE
        for tool in request.tools:
            self._mark(tool.cache)
            if tool.native is None:
                rewritten = tool.strict or "$ref" in tool.parameters
                schema = (schema_bound if rewritten else json_bound)(tool.parameters)
                total += json_bound((tool.name, tool.description)) + schema + _PER_TOOL
                continue
            bound = tool_bound(tool.native)
            if bound.why:
                self.why = f"have {tool.name}, which {bound.why}"
            elif bound.tokens is None:
                self.unseen = True
            else:
                total += bound.tokens
            total += self._native(tool.native) + _PER_TOOL
        return total

    def answer(self, request: ChatRequest) -> int:
        form = request.response_format
        if form is None:
            return 0
        # An instruction in words; a tool may carry the schema.
        total = _PER_REQUEST + self._text(form.name + (form.description or ""))
        if form.schema is not None:
            total += _PREAMBLE + schema_bound(form.schema)
        return total

    def _part(self, part: Part) -> int:
        if isinstance(part, ToolCall):
            self.calls = True
            blanks = part.arguments.count(",") + part.arguments.count(":")
            said = self._text(part.name) + self._text(part.arguments) + 2 * _SEAMS + blanks
            # The name twice: in the call, and for a tool that is declared by its name alone.
            again = byte_bound(part.name) + byte_bound(part.id)
            return _PER_CALL + said + again + self._native(part.native)
        if isinstance(part, Refusal):
            return self._text(part.text) + _SEAMS
        if isinstance(part, Reasoning):
            return self._text(part.text) + _PER_PART + self._reasoning(part.native)
        if isinstance(part, NativeBlock):
            return self._block(part.native)
        if isinstance(part, Image):
            self._mark(part.cache)
            return self._image()
        if isinstance(part, Audio):
            self.audio = True
            # 10 tokens a second at OpenAI, 32 at Google. No codec speaks with 32 bytes a second,
            # but a header may say so.
            return max(len(part.data), math.ceil(32 * seconds_of(part))) + _PER_PART
        return self._file(part) if isinstance(part, File) else 0

    def _image(self) -> int:
        bound = image_bound(self._model)
        if bound is None:
            self.unseen = True
            return 0
        return bound + _PER_PART

    def _file(self, part: File) -> int:
        self._mark(part.cache)
        kind = part.media_type or ""
        if kind.startswith("image/") and part.data is not None:
            return self._image()
        if kind.startswith("audio/"):
            self.audio = True
        data = part.data or ""
        if not data or not kind.startswith("text/") or data.startswith(_PDF):
            self.unseen = True
            return 0
        return _text_file(data) + byte_bound(part.filename or "") + 64

    def _reasoning(self, native: Native | None) -> int:
        if native is None:
            return 0
        data = native.data
        if data.get("id") and not (data.get("encrypted_content") or data.get("content")):
            self.unseen = True  # kept at the vendor, under its id
        return self._native(native)

    def _block(self, native: Native) -> int:
        data = native.data
        if native.author == "openai-chat" and "audio" in data:
            self.audio = True
        if str(data.get("type")) not in _SELF_CONTAINED:
            self.unseen = True
        return self._native(native) + 64

    def _native(self, native: Native | None) -> int:
        """A part in its author's own form, by bytes, since its vendor may show it to the model."""
        if native is None:
            return 0
        if "cache_control" in native.data or "prompt_cache_breakpoint" in native.data:
            self.marks = 2
        return json_bound(native.data) + _PER_PART

    def _mark(self, cache: str | None) -> None:
        if cache is not None:
            self.marks = 2 if cache == "1h" or self.marks == 2 else 1


def _text_file(data: str) -> int:
    """Bytes of the text behind base64, at most."""
    if len(data) > _DECODED:
        # Unread: a byte stands for at most eleven in another normal form.
        return 11 * len(data)
    raw = decoded(data)
    if raw is None:
        return 11 * len(data)
    # Bytes that are no UTF-8 may arrive as replacement characters of three bytes.
    return len(raw) if raw.isascii() else 3 * byte_bound(raw.decode("utf-8", "replace"))
