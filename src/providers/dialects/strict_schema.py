"""How a JSON schema becomes one that OpenAI's strict mode takes."""

from __future__ import annotations

from typing import Any

from ...errors import UnsupportedParameterError
from ...request import ResponseFormat
from ...structured import strict_schema
from ..unsupported import Unexpressed

__all__ = ["bound_schema", "strict_obstacle"]

# The subset in OpenAI's guide to structured outputs (checked 2026-11-23). Anything else in a
# schema is a 400 under `strict: true`.
_KEYWORDS = frozenset({
    "$defs", "$ref", "additionalProperties", "anyOf", "const", "definitions", "description", "enum",
    "exclusiveMaximum", "exclusiveMinimum", "format", "items", "maxItems", "maximum", "minItems",
    "minimum", "multipleOf", "pattern", "properties", "required", "title", "type",
})  # fmt: skip


def bound_schema(wanted: ResponseFormat, notes: Unexpressed) -> tuple[dict[str, Any], bool]:
    """The schema of an answer, in the strict subset where it has such a form, and whether it does.

    Raises:
        UnsupportedParameterError: It has not, and strict was asked for; as ``notes`` decides.
    """
    schema = wanted.schema or {}
    if wanted.strict is False:
        return schema, False
    if strict_obstacle(schema) is None:
        return schema, True
    try:
        return strict_schema(schema), True
    except UnsupportedParameterError as exc:
        if wanted.strict:
            notes.meaning("response_format", exc.message)
        else:
            notes.note(f"response_format: the schema guides but does not bind: {exc.message}")
        return schema, False


def strict_obstacle(schema: dict[str, Any]) -> str | None:
    """What keeps a schema out of strict mode, as a clause with its place; ``None`` if nothing does.

    Every object must close itself (``additionalProperties: false``) and require all of its
    properties, and only some keywords are known.
    """
    if schema.get("type") != "object":
        return "its root is not an object"
    return _obstacle(schema, "$")


def _obstacle(schema: Any, place: str) -> str | None:
    if not isinstance(schema, dict):
        return f"{place} is not a schema"
    if "$ref" in schema:
        return None if len(schema) == 1 else f"{place} has keywords beside $ref"
    for key in schema:
        if key not in _KEYWORDS:
            return f"{place} has {key!r}"
    properties = schema.get("properties", {})
    if (schema.get("type") == "object") or properties:
        if schema.get("additionalProperties") is not False:
            return f"{place} allows additional properties"
        if optional := set(properties) - set(schema.get("required", ())):
            return f"{place} has optional properties ({', '.join(sorted(optional))})"
    return _inside(schema, place)


def _inside(schema: dict[str, Any], place: str) -> str | None:
    for key in ("properties", "$defs", "definitions"):
        for name, inner in schema.get(key, {}).items():
            obstacle = _obstacle(inner, f"{place}.{name}")
            if obstacle is not None:
                return obstacle
    if "items" in schema and (obstacle := _obstacle(schema["items"], f"{place}[]")) is not None:
        return obstacle
    for inner in schema.get("anyOf", ()):
        if (obstacle := _obstacle(inner, place)) is not None:
            return obstacle
    return None
