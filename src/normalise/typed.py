"""Whether typed parts hold what their fields promise; Python itself does not check that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..messages import (
    Audio,
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
from .checks import base64_data, invalid, text, tool_name

__all__ = ["IMAGE_DETAILS", "checked_part"]

IMAGE_DETAILS = (None, "auto", "low", "high", "original")


def _check_cache(part: Text | Image | File, place: str) -> None:
    if part.cache not in (None, "5m", "1h"):
        raise invalid(f"{place}.cache", f'must be "5m" or "1h", not {part.cache!r}')


def _check_native(native: object, place: str) -> None:
    if not isinstance(native, Native):
        raise invalid(f"{place}.native", f"must be a Native, not {type(native).__name__}")


def _checked_text(part: Text, place: str) -> Text:
    text(part.text, f"{place}.text")
    _check_cache(part, place)
    if part.native is not None:
        _check_native(part.native, place)
    return part


def _checked_image(part: Image, place: str) -> Image:
    _check_cache(part, place)
    if (part.url is None) == (part.data is None):
        raise invalid(place, "an Image has either url or data (base64); see Image.from_path")
    if part.data is not None:
        base64_data(part.data, f"{place}.data")
    elif not text(part.url, f"{place}.url").startswith(("http://", "https://")):
        raise invalid(f"{place}.url", "must be http(s); put base64 into data and media_type")
    if part.detail not in IMAGE_DETAILS:
        raise invalid(f"{place}.detail", "must be auto, low, high or original")
    return part


def _checked_file(part: File, place: str) -> File:
    _check_cache(part, place)
    if part.data is not None:
        base64_data(part.data, f"{place}.data")
    elif part.url is None and part.file_id is None:
        raise invalid(place, "a File needs data (base64), url or file_id; see File.from_path")
    return part


def _checked_audio(part: Audio, place: str) -> Audio:
    base64_data(part.data, f"{place}.data")
    text(part.format, f"{place}.format")
    return part


def _checked_reasoning(part: Reasoning, place: str) -> Reasoning:
    text(part.text, f"{place}.text")
    if part.native is not None:
        _check_native(part.native, place)
    return part


def _checked_refusal(part: Refusal, place: str) -> Refusal:
    text(part.text, f"{place}.text")
    return part


def _checked_call(part: ToolCall, place: str) -> ToolCall:
    text(part.id, f"{place}.id")
    tool_name(part.name, f"{place}.name")
    if part.native is not None:
        _check_native(part.native, place)
    if text(part.arguments, f"{place}.arguments"):
        return part
    return msgspec.structs.replace(part, arguments="{}")


def _checked_block(part: NativeBlock, place: str) -> NativeBlock:
    _check_native(part.native, place)
    return part


_CHECKS: dict[type, Callable[[Any, str], Part]] = {
    Text: _checked_text,
    Image: _checked_image,
    File: _checked_file,
    Audio: _checked_audio,
    Reasoning: _checked_reasoning,
    Refusal: _checked_refusal,
    ToolCall: _checked_call,
    NativeBlock: _checked_block,
}


def checked_part(part: object, place: str) -> Part:
    """A typed part whose fields hold what they promise; Python itself does not check that.

    Raises:
        InvalidRequestError: They do not, or it is no part at all.
    """
    check = _CHECKS.get(type(part))
    if check is None:
        raise invalid(place, f"must be a content part, not {type(part).__name__}")
    return check(part, place)
