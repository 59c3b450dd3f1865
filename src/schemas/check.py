"""Whether a value fits a JSON schema, for the keywords that answers are asked for with."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["schema_fault", "without_placeholders"]

_Fault = tuple[str, str]

_LIMITS: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
    ("minimum", operator.ge),
    ("maximum", operator.le),
    ("exclusiveMinimum", operator.gt),
    ("exclusiveMaximum", operator.lt),
)


def schema_fault(schema: Mapping[str, Any], value: Any) -> _Fault | None:
    """The first place where the value does not fit (``$.items[0].age``) and why; None if it does.

    Knows types, enum, const, properties, required, additionalProperties, items, prefixItems,
    lengths and limits, pattern, anyOf, oneOf, allOf and references within the schema. Other
    keywords hold for every value.
    """
    return _Check(schema).fault(schema, value, "$")


def without_placeholders(schema: Mapping[str, Any], value: Any) -> Any:
    """The value without the nulls that stand for absent optional properties.

    Strict mode makes every property required, and an optional one nullable: a null that the
    original schema would not allow means that there is none. Unchanged values stay themselves.
    """
    return _Check(schema).stripped(schema, value)


def _is(value: Any, kind: str) -> bool:
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "integer":
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return whole and not isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
    return True


def _same(one: Any, other: Any) -> bool:
    # In Python True == 1, in JSON not.
    return one == other and isinstance(one, bool) == isinstance(other, bool)


class _Check:
    """One check, which knows the root that references start from."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def _resolved(self, schema: Any) -> Any:
        for _ in range(32):
            if not isinstance(schema, Mapping) or "$ref" not in schema:
                return schema
            found: Any = self._root
            for step in str(schema["$ref"]).split("/")[1:]:
                name = step.replace("~1", "/").replace("~0", "~")
                found = found.get(name, True) if isinstance(found, Mapping) else True
            beside = {key: inner for key, inner in schema.items() if key != "$ref"}
            schema = {**found, **beside} if isinstance(found, Mapping) else found
        return True

    def fault(self, schema: Any, value: Any, place: str) -> _Fault | None:
        schema = self._resolved(schema)
        if not isinstance(schema, Mapping):
            return (place, "must not be there") if schema is False else None
        kinds = schema.get("type")
        if kinds is not None:
            kinds = [kinds] if isinstance(kinds, str) else kinds
            if not any(_is(value, kind) for kind in kinds):
                return place, f"expected {' or '.join(kinds)}, got {_name(value)}"
        if "const" in schema and not _same(value, schema["const"]):
            return place, f"must be {schema['const']!r}"
        if "enum" in schema and not any(_same(value, option) for option in schema["enum"]):
            return place, f"must be one of {', '.join(map(repr, schema['enum']))}"
        return self._inside(schema, value, place) or self._combined(schema, value, place)

    def _inside(self, schema: Mapping[str, Any], value: Any, place: str) -> _Fault | None:
        if isinstance(value, dict):
            return self._object(schema, value, place)
        if isinstance(value, list):
            return self._array(schema, value, place)
        if isinstance(value, str):
            return self._string(schema, value, place)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            for key, holds in _LIMITS:
                if key in schema and not holds(value, schema[key]):
                    return place, f"{value} breaks {key} {schema[key]}"
        return None

    def _object(
        self, schema: Mapping[str, Any], value: dict[str, Any], place: str
    ) -> _Fault | None:
        for name in schema.get("required", ()):
            if name not in value:
                return f"{place}.{name}", "is missing"
        properties = schema.get("properties", {})
        more = schema.get("additionalProperties", True)
        for name, inner in value.items():
            expected = properties.get(name, more)
            if found := self.fault(expected, inner, f"{place}.{name}"):
                return found
        return None

    def _array(self, schema: Mapping[str, Any], value: list[Any], place: str) -> _Fault | None:
        if found := _length(schema, len(value), "Items", place):
            return found
        first = schema.get("prefixItems", ())
        rest = schema.get("items", True)
        for index, inner in enumerate(value):
            expected = first[index] if index < len(first) else rest
            if found := self.fault(expected, inner, f"{place}[{index}]"):
                return found
        return None

    def _string(self, schema: Mapping[str, Any], value: str, place: str) -> _Fault | None:
        if found := _length(schema, len(value), "Length", place):
            return found
        pattern = schema.get("pattern")
        try:
            fits = pattern is None or re.search(pattern, value)
        except re.error:
            # JSON schema's dialect is JavaScript's: what Python can't read, it can't judge.
            return None
        return None if fits else (place, f"does not match {pattern}")

    def _combined(self, schema: Mapping[str, Any], value: Any, place: str) -> _Fault | None:
        for part in schema.get("allOf", ()):
            if found := self.fault(part, value, place):
                return found
        for key in ("anyOf", "oneOf"):
            branches = schema.get(key)
            if not branches:
                continue
            faults = [self.fault(branch, value, place) for branch in branches]
            fitting = faults.count(None)
            if not fitting:
                # The branch that held longest is the one that was meant.
                return max((found for found in faults if found), key=lambda found: len(found[0]))
            if key == "oneOf" and fitting > 1:
                return place, "fits more than one of the alternatives"
        return None

    def stripped(self, schema: Any, value: Any) -> Any:
        schema = self._resolved(schema)
        if not isinstance(schema, Mapping):
            return value
        for branch in (*schema.get("allOf", ()), *self._meant(schema, value)):
            value = self.stripped(branch, value)
        if isinstance(value, list):
            items = schema.get("items", True)
            new = [self.stripped(items, inner) for inner in value]
            return new if any(a is not b for a, b in zip(new, value, strict=True)) else value
        if isinstance(value, dict):
            return self._stripped_object(schema, value)
        return value

    def _meant(self, schema: Mapping[str, Any], value: Any) -> list[Any]:
        """The alternative whose properties the value has."""
        branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        for branch in branches:
            found = self._resolved(branch)
            if isinstance(found, Mapping) and not isinstance(value, dict):
                if isinstance(value, list) and found.get("type") == "array":
                    return [branch]
            elif isinstance(found, Mapping):
                known = found.get("properties")
                trimmed = self._stripped_object(found, value) if known is not None else value
                if known is not None and self.fault(found, trimmed, "$") is None:
                    return [branch]
        return []

    def _stripped_object(self, schema: Mapping[str, Any], value: dict[str, Any]) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        new: dict[str, Any] = {}
        for name, inner in value.items():
            expected = properties.get(name, True)
            optional = name in properties and name not in required
            if inner is None and optional and self.fault(expected, None, "$"):
                continue
            new[name] = self.stripped(expected, inner)
        same = len(new) == len(value) and all(new[name] is value[name] for name in new)
        return value if same else new


def _length(schema: Mapping[str, Any], length: int, what: str, place: str) -> _Fault | None:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if least is not None and length < least:
        return place, f"has length {length}, less than min{what} {least}"
    if most is not None and length > most:
        return place, f"has length {length}, more than max{what} {most}"
    return None


def _name(value: Any) -> str:
    for kind in ("null", "boolean", "integer", "number", "string", "array"):
        if _is(value, kind):
            return kind
    return "object"
