"""A request taken apart into what costs tokens, and the rulers that measure the pieces.

One walk over the request, two rulers: :class:`Estimate` aims at the middle, :class:`Bound` stays
above whatever the vendor may count.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from ..messages import Audio, File, Image, NativeBlock, Reasoning, Refusal, Text, ToolCall
from .images import image_bound, image_tokens

if TYPE_CHECKING:
    from ..messages import Message, Native, Part, Tool
    from ..request import ChatRequest

__all__ = ["Bound", "Estimate", "Measure", "is_plain", "tokens_of", "utf8_length"]

Measure: TypeAlias = Callable[[str], int]
"""Tokens of a text."""

_PDF_PAGE: Final = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
# Anthropic's guide on PDFs: 1500 to 3000 tokens of text a page, and the page as an image besides.
_TOKENS_A_PAGE: Final = 2250
_AUDIO_TOKENS_A_SECOND: Final = 10
_MP3_BYTES_A_SECOND: Final = 16_000


class Ruler(Protocol):
    """Measures pieces of a request; ``None`` for a piece that nothing bounds."""

    per_request: int
    per_message: int
    per_name: int
    per_call: int

    def text(self, text: str) -> int:
        """Tokens of a text."""

    def aside(self, identifier: str | None, native: Native | None) -> int:
        """Tokens of what goes along with a text or a call: its id, its author's own form."""

    def part(self, part: Part) -> int | None:
        """Tokens of anything that is neither text nor a call."""

    def tools(self, tools: tuple[Tool, ...]) -> int | None:
        """Tokens of all tools."""

    def schema(self, schema: Mapping[str, Any]) -> int:
        """Tokens of the answer's schema."""


def tokens_of(request: ChatRequest, ruler: Ruler) -> int | None:
    """Tokens of a request by that ruler; ``None`` where a piece of it has no bound."""
    total = ruler.per_request
    for message in request.messages:
        tokens = _of_message(message, ruler)
        if tokens is None:
            return None
        total += tokens
    if request.tools:
        tokens = ruler.tools(request.tools)
        if tokens is None:
            return None
        total += tokens
    answer = request.response_format
    if answer is not None and answer.schema is not None:
        total += ruler.schema(answer.schema) + ruler.text(answer.name + (answer.description or ""))
    return total


def is_plain(request: ChatRequest) -> bool:
    """Whether the request is text alone, so that the published overheads are the whole story."""
    if request.tools or request.response_format is not None:
        return False
    return all(
        message.tool_call_id is None and all(isinstance(part, Text) for part in message.parts)
        for message in request.messages
    )


def utf8_length(text: str) -> int:
    """Bytes of the text. Every BPE token stands for at least one of them."""
    return len(text.encode("utf-8", "surrogatepass"))


def _of_message(message: Message, ruler: Ruler) -> int | None:
    total = ruler.per_message
    if message.name:
        total += ruler.per_name + ruler.text(message.name)
    total += ruler.aside(message.tool_call_id, None)
    for part in message.parts:
        if isinstance(part, Text):
            total += ruler.text(part.text) + ruler.aside(None, part.native)
        elif isinstance(part, Refusal):
            total += ruler.text(part.text)
        elif isinstance(part, ToolCall):
            total += ruler.per_call + ruler.text(part.name) + ruler.text(part.arguments)
            total += ruler.aside(part.id, part.native)
        else:
            tokens = ruler.part(part)
            if tokens is None:
                return None
            total += tokens
    return total


class Estimate:
    """Aims at the middle.

    The overheads are those of OpenAI's cookbook ("How to count tokens with tiktoken"): three tokens
    a message besides its role, one for a name, three that open the answer. Other vendors publish
    none and are close to it.
    """

    per_request = 3
    per_message = 4
    per_name = 1
    per_call = 8

    def __init__(self, model: str, text: Measure) -> None:
        self._model = model
        self.text = text

    def aside(self, identifier: str | None, native: Native | None) -> int:  # noqa: ARG002 - a Ruler
        """Nothing: vendors count what the model reads."""
        return 0

    def part(self, part: Part) -> int:
        """Images and sound by formula, documents by their pages, vendors' own blocks by text."""
        if isinstance(part, Image):
            return image_tokens(part, self._model)
        if isinstance(part, Audio):
            return math.ceil(_seconds(part) * _AUDIO_TOKENS_A_SECOND)
        if isinstance(part, File):
            return self._file(part)
        if isinstance(part, Reasoning):
            return self.text(part.text)
        return self.text(_json(part.native.data)) if isinstance(part, NativeBlock) else 0

    def tools(self, tools: tuple[Tool, ...]) -> int:
        """By the cookbook's formula for OpenAI; elsewhere the definitions and a preamble."""
        if "claude" in self._model:
            # Anthropic's table of tool-use preambles: 346 tokens on most models.
            return 346 + sum(self.text(_json(_tool(tool))) for tool in tools)
        return 12 + sum(self._function(tool) for tool in tools)

    def schema(self, schema: Mapping[str, Any]) -> int:
        """The schema as text."""
        return self.text(_json(schema))

    def _function(self, tool: Tool) -> int:
        if tool.native is not None:
            return self.text(_json(tool.native.data))
        total = 7 + self.text(f"{tool.name}:{tool.description.removesuffix('.')}")
        properties = tool.parameters.get("properties")
        if not isinstance(properties, Mapping) or not properties:
            return total
        total += 3
        for key, value in properties.items():
            total += 3
            if not isinstance(value, Mapping):
                continue
            choices = value.get("enum")
            if isinstance(choices, list | tuple):
                total += -3 + sum(3 + self.text(str(choice)) for choice in choices)
            about = str(value.get("description", "")).removesuffix(".")
            total += self.text(f"{key}:{value.get('type', '')}:{about}")
            nested = {k: v for k, v in value.items() if k in {"items", "properties", "anyOf"}}
            if nested:
                total += self.text(_json(nested))
        return total

    def _file(self, part: File) -> int:
        data = _decoded(part.data)
        if data is None:
            return _TOKENS_A_PAGE
        if part.media_type and part.media_type.startswith("text/"):
            return self.text(data.decode("utf-8", "replace"))
        page = _TOKENS_A_PAGE + image_bound(self._model)
        return page * max(1, len(_PDF_PAGE.findall(data)))


class Bound:
    """Never below what the vendor counts.

    Text counts by a measure that never falls short (bytes, or a tokenizer known to be the model's).
    The fixed amounts are above every overhead that Anthropic or OpenAI has published: at most 7
    tokens a message, 12 and 7 a function, a preamble of 935 for tools, 245 to 735 for a built-in
    tool.
    """

    per_request = 64
    per_message = 16
    per_name = 8
    per_call = 48

    def __init__(self, model: str, text: Measure) -> None:
        self._model = model
        self._text = text

    def text(self, text: str) -> int:
        """Pieces may be joined before they are cut into tokens: two more for the seams."""
        return self._text(text) + 2

    def aside(self, identifier: str | None, native: Native | None) -> int:
        """By bytes, since a vendor may show them to the model."""
        size = utf8_length(identifier) + 2 if identifier else 0
        return size + (utf8_length(_ascii(native.data)) + 16 if native else 0)

    def part(self, part: Part) -> int | None:
        """Images by the documented maximum, sound and text by bytes; other documents: none."""
        if isinstance(part, Image):
            return image_bound(self._model) + 16
        if isinstance(part, Audio):
            # Ten tokens a second; no codec speaks with ten bytes a second.
            return len(part.data) + 16
        if isinstance(part, File):
            data = _decoded(part.data)
            if data is None or not (part.media_type or "").startswith("text/"):
                return None
            # Bytes that are no UTF-8 may arrive as replacement characters of three bytes.
            return 3 * len(data) + utf8_length(part.filename or "") + 64
        if isinstance(part, Reasoning):
            native = utf8_length(_ascii(part.native.data)) if part.native else 0
            return self.text(part.text) + native + 16
        if isinstance(part, NativeBlock):
            return utf8_length(_ascii(part.native.data)) + 64
        return 0

    def tools(self, tools: tuple[Tool, ...]) -> int | None:
        """Definitions by bytes and a preamble; a vendor's own tool runs there, without bound."""
        if any(tool.native is not None for tool in tools):
            return None
        return 1024 + sum(len(_ascii(_tool(tool))) + 64 for tool in tools)

    def schema(self, schema: Mapping[str, Any]) -> int:
        """Bytes of the schema: vendors render it each in their own way. A tool may carry it."""
        return 1024 + len(_ascii(schema)) + 256


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.native is not None:
        return tool.native.data
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _ascii(value: Any) -> str:
    # Escapes and blanks: at least as long as any way in which a vendor may write it down.
    return json.dumps(value, ensure_ascii=True, default=str)


def _decoded(data: str | None) -> bytes | None:
    if data is None:
        return None
    try:
        return base64.b64decode(data)
    except (binascii.Error, ValueError):
        return None


def _seconds(audio: Audio) -> float:
    size = len(audio.data) * 3 / 4
    if audio.format == "wav":
        head = _decoded(audio.data[:64])
        if head and head[:4] == b"RIFF" and len(head) >= 32:
            return size / max(1, int.from_bytes(head[28:32], "little"))
    return size / _MP3_BYTES_A_SECOND
