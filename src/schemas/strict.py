"""Schemas that OpenAI's strict mode accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UnsupportedParameterError
from .form import schema_flaw

__all__ = ["strict_schema"]

_KEPT = frozenset(
    {
        "$ref",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "title",
        "type",
    }
)
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
_DROPPED = frozenset(
    {"$schema", "$id", "$comment", "default", "deprecated", "examples", "example", "readOnly"}
    | {"writeOnly", "discriminator"}
)
# Constraints that strict mode can't keep but a model can read.
_TOLD = frozenset({"minLength", "maxLength", "uniqueItems", "minProperties", "maxProperties"})
_HANDLED = frozenset(
    {"$defs", "definitions", "properties", "required", "additionalProperties", "items"}
    | {"anyOf", "oneOf", "allOf"}
)
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema for strict mode that means the same; the given one stays as it is.

    Objects are closed and all their properties required; an optional one may be null instead of
    absent, which ``parse_structured`` undoes. Constraints that strict mode does not know go into
    the description for the model to read.

    Raises:
        UnsupportedParameterError: The schema can't be made strict (free-form objects, ``not``,
            tuples, conditions); ``param`` names the place in it.
    """
    if flaw := schema_flaw(schema):
        raise _impossible(*flaw)
    root = _Strict(schema)
    result = root.convert(schema, "$")
    if result.get("type") != "object":
        raise _impossible("$", "the root must be an object: wrap it in one with a single property")
    defs = {**schema.get("definitions", {}), **schema.get("$defs", {})}
    if defs:
        result["$defs"] = {name: root.convert(d, f"$.$defs.{name}") for name, d in defs.items()}
    return result


def _impossible(place: str, what: str) -> UnsupportedParameterError:
    return UnsupportedParameterError(f"schema at {place} can't be strict: {what}", param=place)


class _Strict:
    """One conversion, which knows the definitions of its root."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._defs = {**root.get("definitions", {}), **root.get("$defs", {})}

    def convert(self, schema: Any, place: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
        if not isinstance(schema, Mapping):
            raise _impossible(place, f"a schema must be an object here, not {schema!r}")
        if "$ref" in schema:
            return self._reference(schema, place, seen)
        parts = list(schema.get("allOf") or ())
        if len(parts) == 1:
            merged = {**parts[0], **{k: v for k, v in schema.items() if k != "allOf"}}
            return self.convert(merged, place, seen)
        result = self._plain(schema, place)
        for branches in (schema.get("anyOf"), schema.get("oneOf")):
            if branches:
                result["anyOf"] = [
                    self.convert(branch, f"{place}.anyOf[{index}]")
                    for index, branch in enumerate(branches)
                ]
        self._name_type(result, schema, place)
        kinds = result.get("type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        if "object" in kinds:
            self._close(result, schema, place)
        if "array" in kinds:
            if "items" not in schema:
                raise _impossible(place, "an array must say what its items are")
            result["items"] = self.convert(schema["items"], f"{place}.items")
        return result

    def _reference(
        self, schema: Mapping[str, Any], place: str, seen: tuple[str, ...]
    ) -> dict[str, Any]:
        reference = str(schema["$ref"])
        name = reference.rpartition("/")[2]
        beside = {k: v for k, v in schema.items() if k not in _DROPPED | {"$ref", "$defs"}}
        if reference != "#" and name not in self._defs:
            raise _impossible(place, f"{reference} leads nowhere in this schema")
        root = place == "$"
        if (not beside and not root) or reference == "#":
            target = "#" if reference == "#" else f"#/$defs/{name}"
            return {"$ref": target}
        if name in seen:
            raise _impossible(place, f"{reference} refers to itself with other keywords beside it")
        # Strict mode takes nothing beside a reference, so what it refers to moves in here.
        merged = {**self._defs[name], **beside}
        return self.convert(merged, place, (*seen, name))

    def _plain(self, schema: Mapping[str, Any], place: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        told: list[str] = []
        for key, value in schema.items():
            if key in _TOLD or (key == "format" and value not in _FORMATS):
                told.append(f"{key}: {value}")
            elif key in _KEPT:
                result[key] = value
            elif key not in _HANDLED and key not in _DROPPED and not key.startswith("x-"):
                raise _impossible(place, f"strict mode has no {key}")
        if len(schema.get("allOf") or ()) > 1:
            raise _impossible(place, "strict mode has no allOf: write its parts as one object")
        if told:
            said = result.get("description", "")
            result["description"] = f"{said} ({', '.join(told)})".strip()
        return result

    def _name_type(self, result: dict[str, Any], schema: Mapping[str, Any], place: str) -> None:
        """Strict mode wants a type wherever there is neither a reference nor a choice."""
        if "type" in result or "anyOf" in result:
            return
        values = result.get("enum", [result["const"]] if "const" in result else [])
        kinds = {_TYPES.get(type(value)) for value in values}
        if values and None not in kinds:
            names = sorted(str(kind) for kind in kinds)
            result["type"] = names[0] if len(names) == 1 else names
        elif "properties" in schema:
            result["type"] = "object"
        else:
            raise _impossible(place, "it says nothing about the type, so anything would fit")

    def _close(self, result: dict[str, Any], schema: Mapping[str, Any], place: str) -> None:
        more = schema.get("additionalProperties")
        free = "properties" not in schema and more is not False
        if free or more not in (None, False):
            raise _impossible(
                place, "an object with free keys: use a list of {key, value} objects instead"
            )
        properties = schema.get("properties") or {}
        required = schema.get("required") or ()
        result["properties"] = {
            name: self._property(inner, f"{place}.{name}", optional=name not in required)
            for name, inner in properties.items()
        }
        result["required"] = list(properties)
        result["additionalProperties"] = False

    def _property(self, schema: Any, place: str, *, optional: bool) -> dict[str, Any]:
        result = self.convert(schema, place)
        if not optional or _nullable(result):
            return result
        kind = result.get("type")
        if isinstance(kind, str) and "enum" not in result and "const" not in result:
            return {**result, "type": [kind, "null"]}
        outside = {"description": result.pop("description")} if "description" in result else {}
        return {**outside, "anyOf": [result, {"type": "null"}]}


def _nullable(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind):
        return True
    return any(_nullable(branch) for branch in schema.get("anyOf", ()))
