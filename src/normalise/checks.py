"""Small checks of what a caller handed in, each with an error that names the place."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidRequestError

__all__ = [
    "base64_data",
    "data_url",
    "invalid",
    "is_empty",
    "mapping",
    "refuse_unknown",
    "text",
    "text_or_none",
    "tool_name",
]

_BASE64_HELP = (
    "not base64: encode the bytes with base64.b64encode(...).decode(), without line breaks, "
    "or read a file with Image.from_path or File.from_path"
)


def invalid(place: str, what: str) -> InvalidRequestError:
    """The error for a fault at ``place``, which becomes its ``param``."""
    return InvalidRequestError(f"{place}: {what}" if place else what, param=place or None)


def is_empty(value: object) -> bool:
    """Says nothing: None, an empty string or container, or a mapping of such values."""
    if value is None or (isinstance(value, (str, list, tuple)) and not value):
        return True
    return isinstance(value, Mapping) and all(is_empty(inner) for inner in value.values())


def refuse_unknown(data: Mapping[str, Any], known: frozenset[str], place: str) -> None:
    """Nothing is dropped silently: a field that means something must be one that we know.

    Raises:
        InvalidRequestError: A field outside ``known`` is not empty.
    """
    if data.keys() <= known:
        return
    for key, value in data.items():
        if key not in known and not is_empty(value):
            raise invalid(
                f"{place}.{key}",
                f"unknown field; known here are {', '.join(sorted(known))}. "
                "Provider-specific fields of a request go into extra={provider: {...}}",
            )


def text(value: object, place: str) -> str:
    """A string that can be sent, that is, without lone surrogates."""
    if not isinstance(value, str):
        raise invalid(place, f"must be a string, not {type(value).__name__}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as exc:
            raise invalid(
                place,
                f"has a lone surrogate at position {exc.start}, which UTF-8 can't say: "
                "decode its bytes with errors='replace'",
            ) from exc
    return value


def text_or_none(value: object, place: str) -> str | None:
    """A string, or None where nothing or an empty string was given."""
    return text(value, place) or None if value is not None else None


def tool_name(value: object, place: str) -> str:
    """The name of the tool that is called."""
    name = text(value, place)
    if not name:
        raise invalid(place, "is empty: which tool is called?")
    return name


def mapping(value: object, place: str) -> Mapping[str, Any]:
    """A dict with string keys."""
    if not isinstance(value, Mapping):
        raise invalid(place, f"must be a dict, not {type(value).__name__}")
    return value


def base64_data(value: object, place: str) -> str:
    """A string of standard base64, not empty."""
    if not isinstance(value, str):
        raise invalid(place, f"must be a base64 string, not {type(value).__name__}")
    try:
        binascii.a2b_base64(value, strict_mode=True)
    except ValueError as exc:
        raise invalid(place, _BASE64_HELP) from exc
    if not value:
        raise invalid(place, "is empty")
    return value


def data_url(url: str, place: str) -> tuple[str | None, str]:
    """The media type and the base64 of a ``data:`` URL."""
    header, comma, data = url[5:].partition(",")
    if not comma or not header.endswith(";base64"):
        raise invalid(place, "a data: URL must read data:MEDIA/TYPE;base64,DATA")
    return header.removesuffix(";base64") or None, base64_data(data, place)
