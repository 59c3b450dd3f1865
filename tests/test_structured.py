"""Answers of a given form: what is asked for, and what the model made of it."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import enum
import json
from decimal import Decimal
from typing import Any, Literal, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given, strategies as st

from switchgear.errors import (
    InvalidRequestError,
    MalformedResponseError,
    UnsupportedParameterError,
)
from switchgear.request import ResponseFormat
from switchgear.structured import normalise_response_format, parse_structured, strict_schema


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Item(msgspec.Struct):
    name: str
    price: Decimal
    mood: Mood = Mood.GOOD
    parent: Item | None = None


class Cart(pydantic.BaseModel):
    """A cart."""

    items: list[str]
    when: dt.date | None = None
    count: int = pydantic.Field(default=3, ge=1)


@dataclasses.dataclass
class Pair:
    left: int
    right: int = 0

    def __post_init__(self) -> None:
        if self.left < 0:
            raise ValueError("left is negative")


class Movie(TypedDict):
    title: str
    year: int


class Mixed(msgspec.Struct):
    cart: Cart


_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
        "kind": {"enum": ["a", "b"]},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"tag": {"type": "string", "pattern": "^[a-z]+$"}},
}


def _format(value: object) -> ResponseFormat:
    fmt = normalise_response_format(value)
    assert fmt is not None
    return fmt


def _misfit(fmt: ResponseFormat, text: str) -> MalformedResponseError:
    with pytest.raises(MalformedResponseError) as caught:
        parse_structured(fmt, text)
    return caught.value


# --- what is asked for


@pytest.mark.parametrize(
    ("value", "fmt"),
    [
        (None, None),
        ("text", None),
        ({"type": "text"}, None),
        ("json", ResponseFormat("json")),
        ({"type": "json_object"}, ResponseFormat("json")),
        (_SCHEMA, ResponseFormat("schema", schema=_SCHEMA)),
        (
            {"title": "My Person", **_SCHEMA},
            ResponseFormat("schema", "My_Person", {"title": "My Person", **_SCHEMA}),
        ),
        (
            {
                "type": "json_schema",
                "json_schema": {
                    "name": "person",
                    "schema": _SCHEMA,
                    "strict": True,
                    "description": "One.",
                },
            },
            ResponseFormat("schema", "person", _SCHEMA, strict=True, description="One."),
        ),
        (
            {"type": "json_schema", "name": "person", "schema": _SCHEMA},
            ResponseFormat("schema", "person", _SCHEMA),
        ),
        (ResponseFormat("json"), ResponseFormat("json")),
    ],
)
def test_every_way_to_ask(value: object, fmt: ResponseFormat | None) -> None:
    assert normalise_response_format(value) == fmt


@pytest.mark.parametrize("kind", [Item, Cart, Pair, Movie, Mixed])
def test_a_class_gives_its_name_its_schema_and_itself(kind: type) -> None:
    fmt = _format(kind)
    assert (fmt.kind, fmt.name, fmt.type) == ("schema", kind.__name__, kind)
    assert fmt.schema is not None
    assert fmt.schema["type"] == "object"
    assert set(fmt.schema["properties"]) == set(kind.__annotations__)


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ("xml", "response_format"),
        (int, "response_format"),
        (7, "response_format"),
        (Pair(1), "response_format"),
        (Cart(items=[]), "response_format"),
        ({}, "response_format"),
        ({"type": "jsonschema"}, "response_format"),
        ({"colour": "red"}, "response_format"),
        ({"type": "json_schema"}, "response_format.schema"),
        ({"type": "json_schema", "json_schema": 7}, "response_format.json_schema"),
        (
            {"type": "json_schema", "json_schema": {"schema": {}, "strict": "yes"}},
            "response_format.json_schema.strict",
        ),
        (
            {"type": "json_schema", "json_schema": {"schema": {}, "extra": 1}},
            "response_format.json_schema.extra",
        ),
    ],
)
def test_a_form_that_is_none_is_refused(value: object, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        normalise_response_format(value)
    assert caught.value.param == param


def test_a_class_that_json_cannot_express_is_refused() -> None:
    class Opaque(msgspec.Struct):
        thing: MalformedResponseError

    Opaque.__annotations__["thing"] = MalformedResponseError
    with pytest.raises(InvalidRequestError, match="Opaque"):
        normalise_response_format(Opaque)


# --- what the model made of it


@pytest.mark.parametrize(
    ("kind", "text", "parsed"),
    [
        (
            Item,
            '{"name": "a", "price": "1.10", "parent": {"name": "b", "price": "2", "mood": "bad"}}',
            Item("a", Decimal("1.10"), parent=Item("b", Decimal(2), Mood.BAD)),
        ),
        (Cart, '{"items": [], "when": "2026-01-02"}', Cart(items=[], when=dt.date(2026, 1, 2))),
        (Pair, '{"left": 1}', Pair(1)),
        (Movie, '{"title": "a", "year": 1}', {"title": "a", "year": 1}),
        (Mixed, '{"cart": {"items": ["a"]}}', Mixed(Cart(items=["a"]))),
        ("json", '{"anything": [1, null]}', {"anything": [1, None]}),
        (_SCHEMA, '{"name": "a", "tags": ["b"]}', {"name": "a", "tags": ["b"]}),
    ],
)
def test_a_fitting_answer_is_parsed(kind: object, text: str, parsed: object) -> None:
    assert parse_structured(_format(kind), text) == parsed


_OBJECTS = st.dictionaries(
    st.text(max_size=5), st.text(max_size=20) | st.integers(-(2**60), 2**60) | st.booleans()
)


@given(
    _OBJECTS,
    st.sampled_from(
        ["{}", "  \n{}\n", "```json\n{}\n```", "```\n{}```", "Here it is:\n```json\n{}\n```\nBye."]
    ),
)
def test_a_fence_and_white_space_are_no_fault(value: dict[str, Any], manner: str) -> None:
    body = json.dumps(value)
    if "```" in body:
        return
    assert parse_structured(ResponseFormat("json"), manner.replace("{}", body)) == value


def test_nulls_in_place_of_absent_fields_become_defaults() -> None:
    assert parse_structured(_format(Cart), '{"items": [], "when": null, "count": null}') == Cart(
        items=[]
    )
    inner = {"name": "b", "price": "1", "mood": None, "parent": None}
    nested = {**inner, "name": "a", "parent": inner}
    assert parse_structured(_format(Item), json.dumps(nested)) == Item(
        "a", Decimal(1), parent=Item("b", Decimal(1))
    )
    assert parse_structured(_format(_SCHEMA), '{"name": "a", "age": null}') == {"name": "a"}


@pytest.mark.parametrize(
    ("kind", "text", "place"),
    [
        (Item, '{"name": "a", "price": "1", "parent": {"name": 1, "price": "1"}}', "$.parent.name"),
        (Item, '{"name": "a"}', "$"),
        (Item, "[]", "$"),
        (Cart, '{"items": ["a", 7]}', "$.items[1]"),
        (Cart, '{"items": [], "count": 0}', "$.count"),
        (Cart, "{}", "$.items"),
        (Pair, '{"left": -1}', "$"),
        (Movie, '{"title": "a", "year": "x"}', "$.year"),
        (Mixed, '{"cart": {"items": 7}}', "$.cart"),
        ("json", "[1]", "$"),
        ("json", "certainly!", "$"),
        ("json", '{"cut": "off', "$"),
        ("json", "", "$"),
        ("json", "```json\n{\n```", "$"),
        (_SCHEMA, "{}", "$.name"),
        (_SCHEMA, '{"name": ""}', "$.name"),
        (_SCHEMA, '{"name": "a", "age": -1}', "$.age"),
        (_SCHEMA, '{"name": "a", "age": true}', "$.age"),
        (_SCHEMA, '{"name": "a", "age": 1.5}', "$.age"),
        (_SCHEMA, '{"name": "a", "tags": ["b", "C"]}', "$.tags[1]"),
        (_SCHEMA, '{"name": "a", "kind": "c"}', "$.kind"),
        (_SCHEMA, '{"name": "a", "more": 1}', "$.more"),
    ],
)
def test_a_misfit_names_the_field(kind: object, text: str, place: str) -> None:
    error = _misfit(_format(kind), text)
    assert error.param == place
    assert f"at {place}:" in error.message


def test_a_cut_answer_is_never_taken_for_a_whole_one() -> None:
    fmt = _format(Item)
    whole = '{"name": "abc", "price": "10", "mood": "good", "parent": null}'
    for end in range(len(whole)):
        _misfit(fmt, whole[:end])


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "1", "[]"),
        ({"oneOf": [{"const": 1}, {"type": "integer"}]}, "2", "1"),
        ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, "3", "2"),
        ({"type": ["string", "null"]}, "null", "1"),
        ({"type": "array", "minItems": 1, "maxItems": 2}, "[1]", "[]"),
        ({"prefixItems": [{"type": "string"}], "items": False}, '["a"]', '["a",1]'),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, '{"a":1}', '{"a":"b"}'),
        ({"const": 1}, "1", "true"),
        ({"enum": [True]}, "true", "1"),
        ({"type": "integer"}, "2.0", "2.5"),
        ({"type": "number", "exclusiveMaximum": 1}, "0.5", "1"),
        ({"$ref": "#/$defs/t", "$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}},
         "[[], [[]]]", "[[1]]"),
    ],
)  # fmt: skip
def test_the_keywords_that_a_plain_schema_is_checked_for(
    schema: dict[str, Any], good: str, bad: str
) -> None:
    fmt = ResponseFormat("schema", schema=schema)
    assert parse_structured(fmt, good) == json.loads(good)
    _misfit(fmt, bad)


# --- strict mode


def _objects(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [found for inner in schema for found in _objects(inner)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if "properties" in schema and "type" in schema else []
    return own + [found for inner in schema.values() for found in _objects(inner)]


@pytest.mark.parametrize("kind", [Item, Cart, Pair, Movie, Mixed, _SCHEMA])
def test_a_strict_schema_closes_and_requires_everything(kind: object) -> None:
    schema = _format(kind).schema
    assert schema is not None
    before = copy.deepcopy(schema)
    strict = strict_schema(schema)
    assert schema == before
    assert _objects(strict)
    for found in _objects(strict):
        assert found["additionalProperties"] is False
        assert found["required"] == list(found["properties"])
    assert strict_schema(strict) == strict


def test_an_optional_property_may_be_null_instead() -> None:
    strict = strict_schema(_SCHEMA)
    assert strict["properties"]["age"] == {"type": ["integer", "null"], "minimum": 0}
    assert strict["properties"]["kind"] == {
        "anyOf": [{"enum": ["a", "b"], "type": "string"}, {"type": "null"}]
    }
    assert strict["properties"]["name"] == {"type": "string", "description": "(minLength: 1)"}
    answer = '{"name": "a", "age": null, "tags": null, "kind": null}'
    assert parse_structured(_format(_SCHEMA), answer) == {"name": "a"}


def test_the_root_is_an_object_and_nothing_stands_beside_a_reference() -> None:
    leaf = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    schema = {
        "$ref": "#/$defs/root",
        "$defs": {
            "leaf": leaf,
            "root": {
                "type": "object",
                "properties": {
                    "one": {"$ref": "#/$defs/leaf"},
                    "two": {"$ref": "#/$defs/leaf", "description": "the other"},
                },
                "required": ["one", "two"],
            },
        },
    }
    strict = strict_schema(schema)
    closed = {**leaf, "additionalProperties": False}
    assert strict["type"] == "object"
    assert strict["properties"]["one"] == {"$ref": "#/$defs/leaf"}
    assert strict["properties"]["two"] == {**closed, "description": "the other"}
    assert strict["$defs"]["leaf"] == closed


def _with(inner: object) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": inner}, "required": ["a"]}


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "array", "items": {"type": "string"}}, "$"),
        ({"anyOf": [_with({"type": "string"})]}, "$"),
        ({"type": "object"}, "$"),
        (_with({"type": "object", "additionalProperties": {"type": "string"}}), "$.a"),
        ({**_with({"type": "string"}), "additionalProperties": True}, "$"),
        (_with({}), "$.a"),
        (_with(True), "$.a"),
        (_with({"not": {"type": "string"}}), "$.a"),
        (_with({"type": "array"}), "$.a"),
        (_with({"type": "array", "prefixItems": [{"type": "string"}]}), "$.a"),
        (_with({"allOf": [{"type": "string"}, {"minimum": 1}]}), "$.a"),
        (_with({"$ref": "#/$defs/none"}), "$.a"),
        (_with(_with({"if": {}, "type": "string"})), "$.a.a"),
    ],
)
def test_what_cannot_be_strict_is_reported_with_its_place(schema: Any, place: str) -> None:
    with pytest.raises(UnsupportedParameterError) as caught:
        strict_schema(schema)
    assert caught.value.param == place


def test_literals_have_a_type_in_strict_mode() -> None:
    class Choice(msgspec.Struct):
        pick: Literal["a", "b"]
        level: Literal[1, 2]

    properties = strict_schema(msgspec.json.schema(Choice)["$defs"]["Choice"])["properties"]
    assert properties["pick"]["type"] == "string"
    assert properties["level"]["type"] == "integer"


_WORDS = (
    *("type", "properties", "required", "items", "additionalProperties", "prefixItems", "enum"),
    *("$ref", "$defs", "anyOf", "allOf", "minimum", "schema", "json_schema", "a"),
)
_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["object", "string", "#/$defs/a"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(_WORDS),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(_JUNK, _JUNK)
def test_a_junk_schema_is_used_or_refused(schema: object, value: object) -> None:
    try:
        fmt = normalise_response_format(schema)
        if fmt is not None and fmt.schema is not None:
            parse_structured(fmt, json.dumps(value))
            strict_schema(fmt.schema)
    except (InvalidRequestError, MalformedResponseError) as error:
        assert error.param  # noqa: PT017 - not every schema is refused
