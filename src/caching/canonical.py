"""One sequence of bytes for everything that a request says, however it was built.

The form is MessagePack over lists of fixed length: every value carries its kind and its length, so
no two forms share a byte sequence. Two rules are added: keys of objects are sorted, and a number is
its value, so that 1 and 1.0 are the same and ``true`` is another.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..messages import (
    Audio,
    File,
    Image,
    Message,
    Native,
    NativeBlock,
    Part,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
)
from ..request import ResponseFormat

__all__ = [
    "NoCanonicalFormError",
    "encode",
    "format_form",
    "json_form",
    "message_form",
    "tool_form",
]

_BLOB: Final = 1
_BIG: Final = 2
_INT64: Final = range(-(2**63), 2**64)

_ENCODER = msgspec.msgpack.Encoder(order="sorted")


class NoCanonicalFormError(Exception):
    """A request holds something that is not JSON, so it can't be told from another."""


def encode(form: Any) -> bytes:
    """The bytes of a form.

    Raises:
        NoCanonicalFormError: Something in it has no canonical form.
    """
    try:
        return _ENCODER.encode(form)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise NoCanonicalFormError(f"holds what is not JSON: {exc}") from exc


def json_form(value: Any) -> Any:
    """A free JSON value, its numbers by their value.

    Raises:
        NoCanonicalFormError: It is no JSON value.
    """
    try:
        return _json(value)
    except (RecursionError, ValueError) as exc:
        raise NoCanonicalFormError(f"holds what is not JSON: {exc}") from exc


def _json(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if value in _INT64 else msgspec.msgpack.Ext(_BIG, b"%d" % value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise NoCanonicalFormError("has a key that is not a string")
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    raise NoCanonicalFormError(f"holds a {type(value).__name__}, which is not JSON")


def _number(value: float) -> Any:
    if not math.isfinite(value):
        raise NoCanonicalFormError(f"holds {value!r}, which is not JSON")
    return _json(int(value)) if value.is_integer() else value


def message_form(message: Message) -> list[Any]:
    """A message. A plain string is the same as one part of text.

    Marks for the provider's prompt cache are left out: they change the bill, not the answer.
    """
    content = message.content
    parts: list[Any]
    if isinstance(content, str):
        parts = [["text", content, None]] if content else []
    else:
        parts = [_part(part) for part in content]
    return [message.role, parts, message.tool_call_id, message.name, message.is_error]


def _part(part: Part) -> list[Any]:
    if isinstance(part, Text):
        return ["text", part.text, _native(part.native)]
    if isinstance(part, Image):
        return ["image", part.url, _blob(part.data), part.media_type, part.detail]
    if isinstance(part, Audio):
        return ["audio", _blob(part.data), part.format]
    if isinstance(part, File):
        data = _blob(part.data)
        return ["file", data, part.media_type, part.filename, part.url, part.file_id]
    if isinstance(part, ToolCall):
        return ["tool_call", part.id, part.name, part.arguments, _native(part.native)]
    if isinstance(part, Reasoning):
        return ["reasoning", part.text, _native(part.native)]
    if isinstance(part, Refusal):
        return ["refusal", part.text]
    if isinstance(part, NativeBlock):
        return ["native", _native(part.native)]
    raise NoCanonicalFormError(f"holds a part of an unknown kind, {type(part).__name__}")


def _native(native: Native | None) -> list[Any] | None:
    return None if native is None else [native.author, _json(native.data)]


def _blob(data: str | None) -> Any:
    """What may be megabytes, by its hash."""
    if data is None:
        return None
    return msgspec.msgpack.Ext(_BLOB, hashlib.sha256(data.encode(errors="surrogatepass")).digest())


def tool_form(tool: Tool) -> list[Any]:
    """A tool, without its mark for the provider's prompt cache."""
    parameters = _json(tool.parameters)
    return [tool.name, tool.description, parameters, tool.strict, _native(tool.native)]


def format_form(form: ResponseFormat | None) -> list[Any] | None:
    """The form of the answer. The Python type that it is read into is the caller's own affair."""
    if form is None:
        return None
    return [form.kind, form.name, _json(form.schema), form.strict, form.description]
