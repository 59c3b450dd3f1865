"""OpenAI's rules for JSON schemas under `strict: true`."""

from __future__ import annotations

from typing import Any

from ..rendering import Json

__all__ = ["check_strict_schema"]


def check_strict_schema(schema: Json) -> str | None:
    """What the strict mode does not accept about a schema, in the vendor's words."""
    if schema.get("type") != "object" or "anyOf" in schema:
        return (
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: "
            f'"{schema.get("type")}"\'.'
        )
    return _walk(schema, ())


def _walk(node: Any, place: tuple[str, ...]) -> str | None:  # noqa: C901, PLR0912 - rules read from top to bottom
    if not isinstance(node, dict):
        return None
    context = (
        f"In context=({', '.join(repr(part) for part in place)}{',' if len(place) == 1 else ''})"
    )
    properties = node.get("properties")
    if node.get("type") == "object" or properties is not None:
        if node.get("additionalProperties") is not False:
            return f"{context}, 'additionalProperties' is required to be supplied and to be false."
        missing = [name for name in properties or {} if name not in (node.get("required") or ())]
        if missing:
            return (
                f"{context}, 'required' is required to be supplied and to be an array including "
                "every key in "
                f"properties. Missing '{missing[0]}'."
            )
    for name, child in (properties or {}).items():
        problem = _walk(child, (*place, "properties", name))
        if problem is not None:
            return problem
    for key in ("$defs", "definitions"):
        for name, child in (node.get(key) or {}).items():
            problem = _walk(child, (*place, key, name))
            if problem is not None:
                return problem
    for key in ("items", "additionalProperties"):
        problem = _walk(node.get(key), (*place, key))
        if problem is not None:
            return problem
    for index, child in enumerate(node.get("anyOf") or ()):
        problem = _walk(child, (*place, "anyOf", str(index)))
        if problem is not None:
            return problem
    return None
