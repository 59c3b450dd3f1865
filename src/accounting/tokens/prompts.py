"""About how many tokens a request has: an estimate that aims at the middle."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ...messages import Audio, File, Image, NativeBlock, Reasoning, Refusal, Text, ToolCall
from .images import image_bound, image_tokens

if TYPE_CHECKING:
    from ...messages import Message, Part, Tool
    from ...request import ChatRequest

__all__ = [
    "Measure",
    "as_json",
    "characters_of",
    "decoded",
    "is_plain",
    "seconds_of",
    "tokens_of",
    "utf8_length",
]

Measure: TypeAlias = Callable[[str], int]
"""Tokens of a text."""

_PDF_PAGE: Final = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
# Anthropic's guide on PDFs: 1500 to 3000 tokens of text a page, and the page as an image besides.
_TOKENS_A_PAGE: Final = 2250
# Reading a larger file takes an event loop's time; its pages are guessed by its size.
_READ_CHARS: Final = 1_000_000
_CHARS_A_PAGE: Final = 60_000
_AUDIO_TOKENS_A_SECOND: Final = 10
_MP3_BYTES_A_SECOND: Final = 16_000

# OpenAI's cookbook ("How to count tokens with tiktoken"): three tokens a message besides its role,
# one for a name, three that open the answer. Other vendors publish none and are close to it.
_PER_REQUEST: Final = 3
_PER_MESSAGE: Final = 4
_PER_NAME: Final = 1
_PER_CALL: Final = 8

# What Anthropic puts before a prompt, by recorded traffic of Claude 4.5 and 4.6.
_CLAUDE_SCHEMA: Final = 150
_CLAUDE_THINKS: Final = 24


def tokens_of(request: ChatRequest, model: str, text: Measure) -> int:
    """About how many tokens a request has.

    Args:
        request: The request.
        model: The model as the provider calls it.
        text: Tokens of a text.
    """
    estimate = _Estimate(model, text)
    total = _PER_REQUEST + sum(map(estimate.message, request.messages))
    if request.tools:
        total += estimate.tools(request.tools)
    answer = request.response_format
    if answer is not None and answer.schema is not None:
        about = answer.name + (answer.description or "")
        total += text(as_json(answer.schema)) + text(about)
        total += _CLAUDE_SCHEMA if "claude" in model else 0
    if request.reasoning_effort not in {None, "none"} and "claude" in model:
        total += _CLAUDE_THINKS
    return total


def characters_of(request: ChatRequest) -> int:
    """How much text a tokenizer would have to read: in messages, calls and definitions."""
    total = 0
    for message in request.messages:
        content = message.content
        if isinstance(content, str):
            total += len(content)
            continue
        for part in content:
            if isinstance(part, Text | Reasoning | Refusal):
                total += len(part.text)
            elif isinstance(part, ToolCall):
                total += len(part.arguments)
            elif isinstance(part, File) and part.data is not None:
                total += len(part.data)
            elif isinstance(part, NativeBlock):
                total += len(as_json(part.native.data))
    for tool in request.tools:
        total += len(as_json(tool.parameters)) + len(tool.description)
    answer = request.response_format
    return total + (len(as_json(answer.schema)) if answer is not None else 0)


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


class _Estimate:
    def __init__(self, model: str, text: Measure) -> None:
        self._model = model
        self.text = text

    def message(self, message: Message) -> int:
        total = _PER_MESSAGE
        if message.name:
            total += _PER_NAME + self.text(message.name)
        content = message.content
        if isinstance(content, str):
            return total + (self.text(content) if content else 0)
        for part in content:
            if isinstance(part, Text | Refusal):
                total += self.text(part.text)
            elif isinstance(part, ToolCall):
                total += _PER_CALL + self.text(part.name) + self.text(part.arguments)
            else:
                total += self.part(part)
        return total

    def part(self, part: Part) -> int:
        """Images and sound by formula, documents by their pages, vendors' own blocks by text."""
        if isinstance(part, Image):
            return image_tokens(part, self._model)
        if isinstance(part, Audio):
            return math.ceil(seconds_of(part) * _AUDIO_TOKENS_A_SECOND)
        if isinstance(part, File):
            return self._file(part)
        if isinstance(part, Reasoning):
            return self.text(part.text)
        return self.text(as_json(part.native.data)) if isinstance(part, NativeBlock) else 0

    def tools(self, tools: tuple[Tool, ...]) -> int:
        """By the cookbook's formula for OpenAI; elsewhere the definitions and a preamble."""
        if "claude" in self._model:
            # Anthropic's table of preambles has 264 to 530 for Claude 3 and 346 since; recorded
            # traffic of Claude 4.5 shows some 150 more.
            preamble = 346 if "claude-3" in self._model else 496
            return preamble + sum(self.text(as_json(_tool(tool))) for tool in tools)
        return 12 + sum(self._function(tool) for tool in tools)

    def _function(self, tool: Tool) -> int:
        if tool.native is not None:
            return self.text(as_json(tool.native.data))
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
                total += self.text(as_json(nested))
        return total

    def _file(self, part: File) -> int:
        if len(part.data or "") > _READ_CHARS:
            return _TOKENS_A_PAGE * len(part.data or "") // _CHARS_A_PAGE
        data = decoded(part.data)
        if data is None:
            return _TOKENS_A_PAGE
        if part.media_type and part.media_type.startswith("text/"):
            return self.text(data.decode("utf-8", "replace"))
        page = _TOKENS_A_PAGE + (image_bound(self._model) or 0)
        return page * max(1, len(_PDF_PAGE.findall(data)))


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.native is not None:
        return tool.native.data
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}


def as_json(value: Any) -> str:
    """Compact JSON, as a model would read it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def decoded(data: str | None) -> bytes | None:
    """The bytes behind base64; ``None`` where there are none."""
    if data is None:
        return None
    try:
        return base64.b64decode(data)
    except (binascii.Error, ValueError):
        return None


def seconds_of(audio: Audio) -> float:
    """About how long a sound is, by its header where it has one."""
    size = len(audio.data) * 3 / 4
    if audio.format == "wav":
        head = decoded(audio.data[:64])
        if head and head[:4] == b"RIFF" and len(head) >= 32:
            return size / max(1, int.from_bytes(head[28:32], "little"))
    return size / _MP3_BYTES_A_SECOND
