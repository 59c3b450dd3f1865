"""JSON schemas as Anthropic's constrained decoding takes them.

The API compiles a schema into a grammar. It wants every object closed and refuses the keywords that
a grammar can't keep (lengths, ranges, patterns). Those move into the description, where the model
reads them, and are reported, since nothing enforces them any more.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["InexpressibleError", "closed", "object_schema"]

Schema = dict[str, Any]

_KEPT = frozenset({"$ref", "const", "default", "description", "enum", "required", "title", "type"})
_NESTING = frozenset({"$defs", "allOf", "anyOf", "definitions", "items", "oneOf", "properties"})
_IGNORED = frozenset({"$schema", "$id", "$comment", "examples"})
_FORMATS = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"}
)
_DEEPEST = 100


class InexpressibleError(Exception):
    """The schema means something that the API can't promise; the message says what."""


def closed(schema: Schema) -> tuple[Schema, tuple[str, ...]]:
    """The schema in the API's subset, and the keywords that only the description still tells.

    Raises:
        InexpressibleError: It describes an open object, which the API would close.
    """
    lost: dict[str, None] = {}
    return _closed(schema, "", lost, 0), tuple(lost)


def object_schema(schema: Schema) -> Schema | None:
    """The schema as a tool's ``input_schema``: with ``type: object`` at its root, or ``None``."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        definitions = schema.get("$defs", {})
        target = definitions.get(reference.removeprefix("#/$defs/"))
        if not isinstance(target, dict):
            return None
        schema = {**target, "$defs": definitions}
    kind = schema.get("type")
    if kind == "object":
        return schema
    if kind is None and ("properties" in schema or not schema):
        return {**schema, "type": "object"}
    return None


def _closed(schema: Any, path: str, lost: dict[str, None], depth: int) -> Schema:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        raise InexpressibleError(f"{path or 'the schema'} is not a JSON schema object")
    result: Schema = {}
    told: Schema = {}
    for key, value in schema.items():
        if key in _NESTING:
            # A grammar has no "exactly one"; alternatives are alternatives.
            name = "anyOf" if key == "oneOf" else key
            result[name] = _nested(key, value, path, lost, depth + 1)
        elif key == "additionalProperties":
            if not isinstance(value, bool):
                raise InexpressibleError(f"{path or 'its root'} is an object with keys of any name")
        elif _kept(key, value):
            result[key] = value
        elif key not in _IGNORED:
            told[key] = value
    _close_object(schema, result, path)
    if told:
        words = msgspec.json.encode(told).decode()
        result["description"] = f"{result.get('description', '')}\n\n{words}".strip()
        lost.update(dict.fromkeys(f"{path}.{key}".lstrip(".") for key in told))
    return result


def _nested(key: str, value: Any, path: str, lost: dict[str, None], depth: int) -> Any:
    if key == "items":
        return _closed(value, f"{path}[]", lost, depth)
    if isinstance(value, list):
        return [_closed(inner, path, lost, depth) for inner in value]
    if isinstance(value, dict):
        return {
            name: _closed(inner, f"{path}.{name}".lstrip("."), lost, depth)
            for name, inner in value.items()
        }
    raise InexpressibleError(f"{path or 'its root'}: {key} is malformed")


def _kept(key: str, value: Any) -> bool:
    if key == "minItems":
        return value in (0, 1)
    if key == "format":
        return isinstance(value, str) and value in _FORMATS
    return key in _KEPT


def _close_object(schema: Schema, result: Schema, path: str) -> None:
    kind = schema.get("type")
    is_object = kind == "object" or (isinstance(kind, list) and "object" in kind)
    if not is_object and "properties" not in schema:
        return
    if not schema.get("properties") and schema.get("additionalProperties") is not False:
        raise InexpressibleError(f"{path or 'its root'} is an object with any keys")
    result["additionalProperties"] = False
