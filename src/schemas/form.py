"""Whether something is a JSON schema at all, before anybody relies on its keywords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["schema_flaw"]

_MAPS = ("properties", "$defs", "definitions", "patternProperties")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_INNER = ("items", "additionalProperties", "not")
_NUMBERS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
)
_STRINGS = ("$ref", "pattern", "format", "description", "title")
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


def schema_flaw(schema: Any, place: str = "$") -> tuple[str, str] | None:
    """The first place where a schema is not one, and why; None for a schema."""
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, Mapping):
        return place, f"a schema is an object, not {type(schema).__name__}"
    return _wrong_word(schema, place) or _inner_flaw(schema, place)


def _wrong_word(schema: Mapping[str, Any], place: str) -> tuple[str, str] | None:
    kinds = schema.get("type", "object")
    for kind in kinds if isinstance(kinds, list) and kinds else [kinds]:
        if not isinstance(kind, str) or kind not in _TYPES:
            return f"{place}.type", f"{kind!r} is no type of JSON's"
    for key in _NUMBERS:
        value = schema.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"{place}.{key}", "must be a number"
    for key in _STRINGS:
        if not isinstance(schema.get(key, ""), str):
            return f"{place}.{key}", "must be a string"
    required = schema.get("required", [])
    if not isinstance(required, (list, tuple)) or not all(isinstance(n, str) for n in required):
        return f"{place}.required", "must be a list of property names"
    if not isinstance(schema.get("enum", []), (list, tuple)):
        return f"{place}.enum", "must be a list of values"
    return None


def _inner_flaw(schema: Mapping[str, Any], place: str) -> tuple[str, str] | None:
    inner: list[tuple[str, Any]] = []
    for key in _MAPS:
        named = schema.get(key, {})
        if not isinstance(named, Mapping):
            return f"{place}.{key}", "must be an object of schemas"
        inner += [(f"{place}.{key}.{name}", value) for name, value in named.items()]
    for key in _LISTS:
        listed = schema.get(key, [])
        if not isinstance(listed, (list, tuple)):
            return f"{place}.{key}", "must be a list of schemas"
        inner += [(f"{place}.{key}[{index}]", value) for index, value in enumerate(listed)]
    inner += [(f"{place}.{key}", schema[key]) for key in _INNER if key in schema]
    flaws = (schema_flaw(value, at) for at, value in inner)
    return next((flaw for flaw in flaws if flaw), None)
