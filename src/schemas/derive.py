"""JSON schemas of Python types: builtins, dataclasses, TypedDicts, msgspec's and pydantic's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, get_args, get_origin

import msgspec

__all__ = ["is_pydantic", "schema_of", "schemas_of"]

_REFS = "#/$defs/"


def is_pydantic(kind: object) -> bool:
    """A pydantic model or pydantic dataclass."""
    return isinstance(kind, type) and hasattr(kind, "__pydantic_core_schema__")


def schema_of(kind: Any) -> dict[str, Any]:
    """The schema of one type, with an object rather than a reference at its root.

    Raises:
        TypeError: JSON can't express the type.
    """
    (schema,), defs = schemas_of([kind])
    reference = schema.get("$ref")
    if reference is not None:
        name = reference.removeprefix(_REFS)
        schema = dict(defs[name])
        if not _mentions(list(defs.values()), reference):
            del defs[name]
    if defs:
        schema["$defs"] = defs
    return schema


def schemas_of(kinds: Sequence[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A schema for each type, and the definitions that they share under ``$defs``.

    Raises:
        TypeError: JSON can't express one of the types.
    """
    defs: dict[str, Any] = {}

    def by_pydantic(kind: Any) -> dict[str, Any]:
        # Its types can only have come from a module that has imported it.
        if "pydantic" not in sys.modules:
            raise NotImplementedError
        return _pydantic_schema(kind, defs)

    plain = [kind for kind in kinds if not _wants_pydantic(kind)]
    found, shared = msgspec.json.schema_components(
        plain, schema_hook=by_pydantic, ref_template=_REFS + "{name}"
    )
    rest = iter(found)
    result = [
        _pydantic_schema(kind, defs) if _wants_pydantic(kind) else next(rest) for kind in kinds
    ]
    _merge(defs, shared)
    return result, defs


def _wants_pydantic(kind: Any) -> bool:
    """Its own classes, and annotations with constraints that only it reads."""
    if get_origin(kind) is Annotated:
        base, *marks = get_args(kind)
        modules = {type(mark).__module__.partition(".")[0] for mark in marks}
        return bool(modules & {"pydantic", "annotated_types"}) or is_pydantic(base)
    return is_pydantic(kind)


def _pydantic_schema(kind: Any, defs: dict[str, Any]) -> dict[str, Any]:
    import pydantic

    try:
        adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(kind)
        schema = adapter.json_schema(ref_template=_REFS + "{model}")
    except pydantic.errors.PydanticUserError as exc:
        message = f"{kind!r}: {exc.message}"
        raise TypeError(message) from exc
    _merge(defs, schema.pop("$defs", {}))
    return schema


def _merge(defs: dict[str, Any], more: dict[str, Any]) -> None:
    for name, schema in more.items():
        if defs.setdefault(name, schema) != schema:
            message = f"two different types are called {name!r}: rename one of them"
            raise TypeError(message)


def _mentions(value: Any, reference: str) -> bool:
    if isinstance(value, dict):
        return value.get("$ref") == reference or _mentions(list(value.values()), reference)
    return isinstance(value, list) and any(_mentions(inner, reference) for inner in value)
