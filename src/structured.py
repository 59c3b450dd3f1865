"""Answers of a given form: what is asked for, and what the model made of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, is_typeddict

import msgspec

from .errors import MalformedResponseError
from .normalise.checks import invalid, mapping, refuse_unknown, text_or_none
from .request import ResponseFormat
from .schemas.check import schema_fault, without_placeholders
from .schemas.derive import is_pydantic, schema_of
from .schemas.form import schema_flaw
from .schemas.strict import strict_schema

__all__ = ["normalise_response_format", "parse_structured", "strict_schema"]

_PLACE = "response_format"
_SCHEMA_WORDS = frozenset(
    {"type", "properties", "$ref", "$defs", "anyOf", "oneOf", "allOf", "enum", "const", "items"}
)
_JSON_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]+")
_FENCE = re.compile(r"```[a-zA-Z0-9]*[ \t]*\r?\n(.*?)\r?\n?[ \t]*```", re.DOTALL)
_SHOWN = 5


def normalise_response_format(value: object) -> ResponseFormat | None:
    """The form that the answer must have; ``None`` is free text.

    Takes ``"json"``, ``"text"``, a JSON schema, OpenAI's dicts, and classes: a pydantic model, a
    msgspec Struct, a dataclass or a TypedDict. A class's schema takes tens to hundreds of
    microseconds, so convert it once and pass the result from then on.

    Raises:
        InvalidRequestError: It is none of these; ``param`` names the place.
    """
    if value is None or isinstance(value, ResponseFormat):
        return value
    if isinstance(value, str):
        if value not in ("json", "json_object", "text"):
            raise invalid(_PLACE, f'must be "json", "text", a schema or a class, not {value!r}')
        return None if value == "text" else ResponseFormat("json")
    if isinstance(value, Mapping):
        return _from_dict(value)
    if is_pydantic(value) or dataclasses.is_dataclass(value) or is_typeddict(value):
        return _from_class(value)
    if isinstance(value, type) and issubclass(value, msgspec.Struct):
        return _from_class(value)
    name = value.__name__ if isinstance(value, type) else type(value).__name__
    raise invalid(
        _PLACE,
        "must be a pydantic model, a msgspec Struct, a dataclass, a TypedDict, a JSON schema or "
        f'"json", not {name}; put another type into a class with one field',
    )


def _from_class(kind: Any) -> ResponseFormat:
    if not isinstance(kind, type):
        raise invalid(_PLACE, f"must be the class {type(kind).__name__}, not an instance of it")
    try:
        schema = schema_of(kind)
    except (TypeError, NameError) as exc:
        raise invalid(_PLACE, f"{kind.__name__} has no JSON schema: {exc}") from exc
    return ResponseFormat("schema", _name(kind.__name__), schema, type=kind)


def _from_dict(data: Mapping[str, Any]) -> ResponseFormat | None:
    kind = data.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return ResponseFormat("json")
    if kind == "json_schema":
        return _from_openai(data)
    if not _SCHEMA_WORDS & data.keys() or (isinstance(kind, str) and kind not in _JSON_TYPES):
        raise invalid(
            _PLACE, "is neither a JSON schema nor one of OpenAI's forms (json_schema, json_object)"
        )
    return ResponseFormat("schema", _name(data.get("title")), _schema(data, _PLACE))


def _schema(value: object, place: str) -> dict[str, Any]:
    schema = dict(mapping(value, place))
    if flaw := schema_flaw(schema):
        at, what = flaw
        raise invalid(place + at.removeprefix("$"), what)
    return schema


def _from_openai(data: Mapping[str, Any]) -> ResponseFormat:
    place = _PLACE
    if "json_schema" in data:
        refuse_unknown(data, frozenset({"type", "json_schema"}), place)
        place = f"{place}.json_schema"
        data = mapping(data["json_schema"], place)
    refuse_unknown(data, frozenset({"type", "name", "schema", "strict", "description"}), place)
    schema = _schema(data.get("schema"), f"{place}.schema")
    strict = data.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise invalid(f"{place}.strict", f"must be true or false, not {strict!r}")
    name = text_or_none(data.get("name"), f"{place}.name") or schema.get("title")
    description = text_or_none(data.get("description"), f"{place}.description")
    return ResponseFormat("schema", _name(name), schema, strict, description)


def _name(name: object) -> str:
    """A name that every vendor takes."""
    cleaned = _NOT_IN_NAMES.sub("_", name).strip("_") if isinstance(name, str) else ""
    return cleaned[:64] or "answer"


def parse_structured(fmt: ResponseFormat, text: str) -> Any:
    """The answer as the format asked for it: plain JSON data, or an instance of its type.

    White space and a code fence around the JSON are the model's manner, not an error.

    Raises:
        MalformedResponseError: The answer is not JSON or does not fit; ``param`` names the field
            (``$.items[0].age``).
    """
    body, value = _decoded(text)
    if fmt.kind == "json" and not isinstance(value, dict):
        raise _misfit("$", "expected a JSON object")
    if fmt.schema is not None:
        stripped = without_placeholders(fmt.schema, value)
        if stripped is not value:
            value, body = stripped, msgspec.json.encode(stripped).decode()
    if fmt.type is not None:
        return _pydantic(fmt.type, body) if is_pydantic(fmt.type) else _typed(fmt.type, body)
    if fmt.schema is not None and (fault := schema_fault(fmt.schema, value)):
        raise _misfit(*fault)
    return value


def _misfit(place: str, what: str) -> MalformedResponseError:
    message = f"the answer does not fit the response format at {place}: {what}"
    return MalformedResponseError(message, param=place)


def _decoded(text: str) -> tuple[str, Any]:
    body = text.strip().removeprefix("\ufeff")
    if not body:
        raise _misfit("$", "the answer is empty")
    try:
        return body, msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeEncodeError) as exc:
        for fenced in _FENCE.findall(body):
            try:
                return fenced, msgspec.json.decode(fenced)
            except (msgspec.DecodeError, UnicodeEncodeError):
                continue
        raise _misfit("$", f"not JSON: {exc}") from exc


def _typed(kind: Any, body: str) -> Any:
    try:
        return msgspec.json.decode(body, type=kind, dec_hook=_nested_pydantic)
    except msgspec.ValidationError as exc:
        # msgspec names the place at the end, and leaves it out at the root.
        what, _, place = str(exc).partition(" - at `")
        raise _misfit(place.removesuffix("`") or "$", what) from exc


def _nested_pydantic(kind: Any, value: Any) -> Any:
    import pydantic

    try:
        return pydantic.TypeAdapter(kind).validate_json(msgspec.json.encode(value))
    except pydantic.ValidationError as exc:
        message = "; ".join(f"{place}: {what}" for place, what in _pydantic_faults(exc))
        raise ValueError(message) from exc


def _pydantic(kind: Any, body: str) -> Any:
    import pydantic

    try:
        return pydantic.TypeAdapter(kind).validate_json(body)
    except pydantic.ValidationError as exc:
        (place, what), *more = _pydantic_faults(exc)
        further = "".join(f"; {at}: {why}" for at, why in more[:_SHOWN])
        raise _misfit(place, what + further) from exc


def _pydantic_faults(exc: Any) -> list[tuple[str, str]]:
    faults = []
    for error in exc.errors(include_url=False, include_context=False, include_input=False):
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])
        faults.append(("$" + "".join(steps), error["msg"]))
    return faults
