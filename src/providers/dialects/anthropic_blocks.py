"""Single parts as Anthropic's content blocks."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ...errors import InvalidRequestError
from ...messages import Audio, CacheTtl, File, Image, NativeBlock, Part, Refusal, Text, ToolCall
from .. import history
from ..unsupported import Unexpressed

__all__ = ["AUTHOR", "Block", "cache_control", "input_block", "tool_use_block"]

AUTHOR = "anthropic"
"""All platforms that serve Anthropic's models read each other's signatures."""

Block = dict[str, Any]

_IMAGE_STARTS = (
    ("/9j/", "image/jpeg"),
    ("iVBOR", "image/png"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)


def input_block(part: Part, notes: Unexpressed) -> Block | None:
    """A part of what the model reads as a block; ``None`` for nothing to say."""
    if isinstance(part, Text):
        return _cached({"type": "text", "text": part.text}, part.cache) if _says(part) else None
    if isinstance(part, Image):
        if part.detail not in (None, "auto"):
            notes.knob("detail", "Anthropic sizes images by itself")
        return _cached({"type": "image", "source": _image_source(part)}, part.cache)
    if isinstance(part, File):
        return _document(part, notes)
    if isinstance(part, NativeBlock):
        if history.own(part.native, AUTHOR):
            return part.native.data
        notes.note(history.foreign("a block", part.native))
        return None
    if isinstance(part, Refusal):
        return {"type": "text", "text": part.text} if part.text.strip() else None
    if isinstance(part, Audio):
        notes.meaning("audio", "Anthropic's models don't hear")
    return None


def tool_use_block(part: ToolCall, notes: Unexpressed) -> Block:
    """A call that was made, in its author's own form where that was Anthropic."""
    try:
        arguments = part.parse()
    except InvalidRequestError:
        # Another vendor's model wrote it, the tool has answered it: the conversation goes on.
        notes.note(
            f"messages: the arguments of tool call {part.id} are no JSON object, sent as text"
        )
        arguments = {"arguments": part.arguments}
    block = {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments}
    if part.native is not None and history.own(part.native, AUTHOR):
        return part.native.data | block
    return block


def _says(part: Text) -> bool:
    # The API refuses text that is empty or nothing but white space.
    return not part.text.isspace() and bool(part.text)


def _cached(block: Block, ttl: CacheTtl | None) -> Block:
    if ttl is not None:
        block["cache_control"] = cache_control(ttl)
    return block


def cache_control(ttl: CacheTtl) -> Block:
    """The mark at the end of a prefix worth caching; five minutes are the API's default."""
    return {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}


def _image_source(image: Image) -> Block:
    if image.data is None:
        return {"type": "url", "url": image.url}
    media_type = image.media_type
    if media_type is None:
        known = (kind for start, kind in _IMAGE_STARTS if image.data.startswith(start))
        media_type = next(known, "image/png")
    elif media_type == "image/jpg":
        media_type = "image/jpeg"
    return {"type": "base64", "media_type": media_type, "data": image.data}


def _document(file: File, notes: Unexpressed) -> Block | None:
    media_type = file.media_type or ""
    if media_type.startswith("image/") and file.data is not None:
        image = Image(data=file.data, media_type=media_type)
        return _cached({"type": "image", "source": _image_source(image)}, file.cache)
    source = _document_source(file, media_type)
    if source is None:
        notes.meaning("files", f"Anthropic reads PDF and plain text, not {media_type or 'this'}")
        return None
    block: Block = {"type": "document", "source": source}
    if file.filename:
        block["title"] = file.filename
    return _cached(block, file.cache)


def _document_source(file: File, media_type: str) -> Block | None:
    if file.file_id is not None:
        return {"type": "file", "file_id": file.file_id}
    if file.url is not None:
        return {"type": "url", "url": file.url}
    data = file.data or ""
    if media_type == "application/pdf" or data.startswith("JVBERi"):
        return {"type": "base64", "media_type": "application/pdf", "data": data}
    if media_type.startswith("text/") or media_type in {"application/json", "application/xml"}:
        try:
            text = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        return {"type": "text", "media_type": "text/plain", "data": text}
    return None
