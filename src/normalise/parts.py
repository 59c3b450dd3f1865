"""Content parts as the vendors write them, turned into ours.

The forms of OpenAI's two APIs and of Anthropic's are told apart by their ``type``, so they may be
mixed freely.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..messages import (
    Audio,
    CacheTtl,
    File,
    Image,
    Native,
    NativeBlock,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from .checks import (
    base64_data,
    data_url,
    invalid,
    is_empty,
    mapping,
    refuse_unknown,
    text,
    text_or_none,
    tool_name,
)
from .typed import IMAGE_DETAILS

__all__ = [
    "arguments_text",
    "cache_mark",
    "image_from_ollama",
    "part_from_dict",
]

_SERVER_BLOCKS = frozenset(
    {"compaction", "container_upload", "fallback", "search_result", "tool_reference"}
)


def cache_mark(block: Mapping[str, Any], place: str) -> CacheTtl | None:
    """The ``cache_control`` of a part, a message or a tool."""
    value = block.get("cache_control")
    if value is None:
        return None
    place = f"{place}.cache_control"
    control = mapping(value, place)
    refuse_unknown(control, frozenset({"type", "ttl"}), place)
    ttl = control.get("ttl") or "5m"
    if control.get("type") != "ephemeral" or ttl not in ("5m", "1h"):
        raise invalid(place, 'must be {"type": "ephemeral"}, with "ttl": "5m" or "1h" if at all')
    return "1h" if ttl == "1h" else "5m"


def arguments_text(value: object, place: str) -> str:
    """A tool call's arguments as JSON text, ``{}`` where there are none.

    Text is kept as the model wrote it, right or wrong: ``ToolCall.parse`` judges it.
    """
    if value is None or value == "":
        return "{}"
    if isinstance(value, str):
        return text(value, place)
    if not isinstance(value, Mapping):
        raise invalid(place, f"must be JSON text or a dict, not {type(value).__name__}")
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError) as exc:
        raise invalid(place, f"can't be written as JSON: {exc}") from exc


def _image(block: Mapping[str, Any], url: object, place: str, at: str, detail: Any = None) -> Image:
    if detail not in IMAGE_DETAILS:
        raise invalid(f"{place}.detail", f"must be auto, low, high or original, not {detail!r}")
    cache = cache_mark(block, place)
    url = text(url, at)
    if url.startswith("data:"):
        media_type, data = data_url(url, at)
        return Image(data=data, media_type=media_type, detail=detail, cache=cache)
    if not url.startswith(("http://", "https://")):
        raise invalid(
            at, "must be an http(s) or data: URL; for a file on this machine use Image.from_path"
        )
    return Image(url=url, detail=detail, cache=cache)


# How the usual formats begin, in base64: Ollama's images come without a media type.
_MAGIC = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)


def image_from_ollama(image: object, place: str) -> Part:
    """One of a message's ``images``: base64 or bytes, a URL, or a content part."""
    if isinstance(image, Mapping):
        return part_from_dict(image, place)
    if isinstance(image, str) and image.startswith(("data:", "http://", "https://")):
        return _image({}, image, place, place)
    if isinstance(image, (bytes, bytearray, memoryview)):
        image = base64.b64encode(image).decode()
    data = base64_data(image, place)
    media_type = next((kind for start, kind in _MAGIC if data.startswith(start)), None)
    return Image(data=data, media_type=media_type)


def _text(block: Mapping[str, Any], place: str) -> Text:
    known = frozenset({"type", "text", "cache_control", "citations", "annotations", "logprobs"})
    refuse_unknown(block, known, place)
    native = None
    if not is_empty(block.get("citations")):
        native = Native("anthropic", {"citations": block["citations"]})
    elif not is_empty(block.get("annotations")):
        author = "openai-responses" if block["type"] == "output_text" else "openai-chat"
        native = Native(author, {"annotations": block["annotations"]})
    value = text(block.get("text"), f"{place}.text")
    return Text(value, cache_mark(block, place), native)


def _image_url(block: Mapping[str, Any], place: str) -> Image:
    refuse_unknown(block, frozenset({"type", "image_url", "cache_control"}), place)
    inner, place = block.get("image_url"), f"{place}.image_url"
    if isinstance(inner, str):
        return _image(block, inner, place, place)
    inner = mapping(inner, place)
    refuse_unknown(inner, frozenset({"url", "detail"}), place)
    return _image(block, inner.get("url"), place, f"{place}.url", inner.get("detail"))


def _input_image(block: Mapping[str, Any], place: str) -> Part:
    known = frozenset({"type", "image_url", "detail", "file_id", "cache_control"})
    refuse_unknown(block, known, place)
    if block.get("file_id"):
        return NativeBlock(Native("openai-responses", dict(block)))
    at = f"{place}.image_url"
    return _image(block, block.get("image_url"), place, at, block.get("detail"))


def _source(block: Mapping[str, Any], place: str) -> tuple[Mapping[str, Any], str, str]:
    place = f"{place}.source"
    source = mapping(block.get("source"), place)
    return source, str(source.get("type")), place


def _anthropic_image(block: Mapping[str, Any], place: str) -> Part:
    refuse_unknown(block, frozenset({"type", "source", "cache_control"}), place)
    source, kind, at = _source(block, place)
    if kind == "base64":
        data = base64_data(source.get("data"), f"{at}.data")
        media_type = text(source.get("media_type"), f"{at}.media_type")
        return Image(data=data, media_type=media_type, cache=cache_mark(block, place))
    if kind == "url":
        return _image(block, source.get("url"), place, f"{at}.url")
    if kind == "file":
        return NativeBlock(Native("anthropic", dict(block)))
    raise invalid(f"{at}.type", f"must be base64, url or file, not {kind!r}")


def _document(block: Mapping[str, Any], place: str) -> Part:
    known = frozenset({"type", "source", "title", "context", "citations", "cache_control"})
    refuse_unknown(block, known, place)
    source, kind, at = _source(block, place)
    cites = isinstance(block.get("citations"), Mapping) and block["citations"].get("enabled")
    if kind == "content" or cites or not is_empty(block.get("context")):
        return NativeBlock(Native("anthropic", dict(block)))
    cache, title = cache_mark(block, place), text_or_none(block.get("title"), f"{place}.title")
    if kind == "base64":
        data = base64_data(source.get("data"), f"{at}.data")
        media_type = text(source.get("media_type"), f"{at}.media_type")
        return File(data=data, media_type=media_type, filename=title, cache=cache)
    if kind == "text":
        data = base64.b64encode(text(source.get("data"), f"{at}.data").encode()).decode()
        return File(data=data, media_type="text/plain", filename=title, cache=cache)
    if kind == "url":
        return File(url=text(source.get("url"), f"{at}.url"), filename=title, cache=cache)
    if kind == "file":
        file_id = text(source.get("file_id"), f"{at}.file_id")
        return File(file_id=file_id, filename=title, cache=cache)
    raise invalid(f"{at}.type", f"must be base64, text, url, file or content, not {kind!r}")


def _input_audio(block: Mapping[str, Any], place: str) -> Audio:
    refuse_unknown(block, frozenset({"type", "input_audio"}), place)
    place = f"{place}.input_audio"
    inner = mapping(block.get("input_audio"), place)
    refuse_unknown(inner, frozenset({"data", "format"}), place)
    data = base64_data(inner.get("data"), f"{place}.data")
    return Audio(data, text(inner.get("format"), f"{place}.format"))


def _file(block: Mapping[str, Any], place: str) -> File:
    cache = cache_mark(block, place)
    if block["type"] == "file":
        refuse_unknown(block, frozenset({"type", "file", "cache_control"}), place)
        place = f"{place}.file"
        block = mapping(block.get("file"), place)
    known = frozenset({"type", "file_data", "file_id", "file_url", "filename", "cache_control"})
    refuse_unknown(block, known, place)
    data, media_type = block.get("file_data"), None
    if isinstance(data, str) and data.startswith("data:"):
        media_type, data = data_url(data, f"{place}.file_data")
    elif data is not None:
        data = base64_data(data, f"{place}.file_data")
    file_id = text_or_none(block.get("file_id"), f"{place}.file_id")
    url = text_or_none(block.get("file_url"), f"{place}.file_url")
    if not (data or file_id or url):
        raise invalid(place, "needs file_data (base64 or a data: URL), file_id or file_url")
    filename = text_or_none(block.get("filename"), f"{place}.filename")
    return File(data, media_type, filename, url, file_id, cache)


def _refusal(block: Mapping[str, Any], place: str) -> Refusal:
    refuse_unknown(block, frozenset({"type", "refusal"}), place)
    return Refusal(text(block.get("refusal"), f"{place}.refusal"))


def _thinking(block: Mapping[str, Any], place: str) -> Reasoning:
    refuse_unknown(block, frozenset({"type", "thinking", "signature"}), place)
    thought = text(block.get("thinking"), f"{place}.thinking")
    signature = text_or_none(block.get("signature"), f"{place}.signature")
    native = Native("anthropic", {"signature": signature}) if signature else None
    return Reasoning(thought, native)


def _redacted_thinking(block: Mapping[str, Any], place: str) -> Reasoning:
    data = text(block.get("data"), f"{place}.data")
    return Reasoning("", Native("anthropic", {"type": "redacted_thinking", "data": data}))


def _tool_use(block: Mapping[str, Any], place: str) -> ToolCall:
    cache_mark(block, place)
    extra = {
        key: value
        for key, value in block.items()
        if key not in {"type", "id", "name", "input"} and not is_empty(value)
    }
    if extra.get("caller") == {"type": "direct"}:
        # The default, spelled out by newer answers.
        del extra["caller"]
    return ToolCall(
        text(block.get("id") or "", f"{place}.id"),
        tool_name(block.get("name"), f"{place}.name"),
        arguments_text(block.get("input"), f"{place}.input"),
        Native("anthropic", extra) if extra else None,
    )


_BY_TYPE: dict[str, Callable[[Mapping[str, Any], str], Part]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "image_url": _image_url,
    "input_image": _input_image,
    "image": _anthropic_image,
    "input_audio": _input_audio,
    "file": _file,
    "input_file": _file,
    "document": _document,
    "refusal": _refusal,
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "tool_use": _tool_use,
}


def part_from_dict(block: Mapping[str, Any], place: str) -> Part:
    """One content part of any vendor.

    Raises:
        InvalidRequestError: It is none, or a wrong one; ``param`` names the place in it.
    """
    kind = block.get("type")
    convert = _BY_TYPE.get(kind) if isinstance(kind, str) else None
    if convert is not None:
        return convert(block, place)
    if isinstance(kind, str) and (
        kind in _SERVER_BLOCKS or kind.endswith(("_tool_use", "_tool_result"))
    ):
        return NativeBlock(Native("anthropic", dict(block)))
    if kind == "tool_result":
        raise invalid(place, "a tool_result stands in a user message's content, by itself")
    raise invalid(
        f"{place}.type",
        f"unknown content part {kind!r}; known are {', '.join(sorted(_BY_TYPE))}, tool_result, "
        "and Anthropic's server tool blocks",
    )
