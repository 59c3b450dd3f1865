from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchgear.providers.dialects.anthropic_schema import (
    InexpressibleError,
    closed,
    object_schema,
)

Schema = dict[str, Any]


def test_objects_are_closed_all_the_way_down() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}
    schema: Schema = {
        "type": "object",
        "properties": {"one": inner, "many": {"type": "array", "items": inner}},
        "$defs": {"D": inner},
    }
    result, lost = closed(schema)
    assert lost == ()
    assert result["additionalProperties"] is False
    for place in (
        result["properties"]["one"],
        result["properties"]["many"]["items"],
        result["$defs"]["D"],
    ):
        assert place == inner | {"additionalProperties": False}


def test_what_a_grammar_cannot_keep_is_told_in_the_description() -> None:
    schema: Schema = {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "minimum": 0, "description": "In years."},
            "mail": {"type": "string", "format": "email"},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        },
    }
    result, lost = closed(schema)
    assert lost == ("age.minimum", "tags.minItems")
    assert result["properties"]["age"] == {
        "type": "integer",
        "description": 'In years.\n\n{"minimum":0}',
    }
    assert result["properties"]["mail"] == {"type": "string", "format": "email"}


def test_exactly_one_becomes_any() -> None:
    result, _ = closed({"oneOf": [{"type": "string"}, {"type": "null"}]})
    assert result == {"anyOf": [{"type": "string"}, {"type": "null"}]}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "additionalProperties": True},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"x": {"type": "object"}}},
        {"type": "object", "properties": {"x": True}},
        {"type": "array", "items": {"type": ["object", "null"]}},
    ],
)
def test_open_objects_are_not_expressible(schema: Schema) -> None:
    with pytest.raises(InexpressibleError):
        closed(schema)


def test_an_empty_object_that_says_so_is_expressible() -> None:
    schema: Schema = {"type": "object", "properties": {}, "additionalProperties": False}
    assert closed(schema) == (schema, ())


simple = st.sampled_from(
    [{"type": "string"}, {"type": "integer", "maximum": 3}, {"enum": ["a", 1]}, {"const": None}]
)
schemas = st.recursive(
    simple,
    lambda inner: st.one_of(
        inner.map(lambda items: {"type": "array", "items": items}),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: {"anyOf": some}),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(
            lambda fields: {"type": "object", "properties": fields}
        ),
    ),
    max_leaves=8,
)


@given(schemas)
def test_closing_changes_nothing_the_second_time_and_never_the_original(schema: Schema) -> None:
    before = repr(schema)
    once, _ = closed(schema)
    assert repr(schema) == before
    assert closed(once) == (once, ())


def test_a_tools_schema_has_an_object_at_its_root() -> None:
    assert object_schema({}) == {"type": "object"}
    assert object_schema({"properties": {}}) == {"properties": {}, "type": "object"}
    assert object_schema({"type": "array"}) is None
    target = {"type": "object", "properties": {}}
    assert object_schema({"$ref": "#/$defs/A", "$defs": {"A": target}}) == {
        **target,
        "$defs": {"A": target},
    }
    assert object_schema({"$ref": "#/$defs/B", "$defs": {}}) is None
