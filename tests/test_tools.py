"""Tools and their choice, from whatever a caller has at hand."""

from __future__ import annotations

import dataclasses
import enum
import functools
from typing import Annotated, Any, Literal, Optional, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given, strategies as st
from ollama import Tool as OllamaTool
from openai import pydantic_function_tool

from switchgear.errors import InvalidRequestError
from switchgear.messages import Native, Tool, ToolChoice
from switchgear.tools import (
    normalise_stop,
    normalise_tool_choice,
    normalise_tools,
    tool_from_callable,
)

_SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Place:
    city: str
    country: str = "NL"


class Box(TypedDict, total=False):
    width: int


class Point(msgspec.Struct):
    x: int
    next: Optional[Point] = None  # noqa: UP045 - both spellings of an optional


class Order(pydantic.BaseModel):
    sku: str
    count: int = pydantic.Field(default=1, ge=1)


def _fault(tools: object) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        normalise_tools(tools)
    return caught.value


# --- dicts


@pytest.mark.parametrize(
    "given",
    [
        {
            "type": "function",
            "function": {
                "name": "search",
                "description": "Find.",
                "parameters": _SCHEMA,
                "strict": True,
            },
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {
            "type": "function",
            "name": "search",
            "description": "Find.",
            "parameters": _SCHEMA,
            "strict": True,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {
            "name": "search",
            "description": "Find.",
            "input_schema": _SCHEMA,
            "strict": True,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        Tool("search", "Find.", _SCHEMA, strict=True, cache="1h"),
    ],
    ids=["chat", "responses", "anthropic", "typed"],
)
def test_every_form_of_the_same_tool_is_the_same_tool(given: object) -> None:
    assert normalise_tools([given]) == (Tool("search", "Find.", _SCHEMA, strict=True, cache="1h"),)


def test_no_tools() -> None:
    assert normalise_tools(None) == ()
    assert normalise_tools([]) == ()


def test_a_tool_without_parameters_takes_none() -> None:
    (tool,) = normalise_tools([{"type": "function", "function": {"name": "now"}}])
    assert tool.parameters == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("given", "author", "name"),
    [
        ({"type": "web_search_20250305", "name": "web_search"}, "anthropic", "web_search"),
        ({"type": "code_execution_20250825", "name": "code"}, "anthropic", "code"),
        ({"type": "mcp_toolset", "mcp_server_name": "a"}, "anthropic", "mcp_toolset"),
        ({"type": "web_search"}, "openai-responses", "web_search"),
        ({"type": "web_search_preview_2025_03_11"}, "openai-responses", None),
        ({"type": "file_search", "vector_store_ids": ["v"]}, "openai-responses", "file_search"),
        ({"type": "custom", "name": "sql"}, "openai-responses", "sql"),
        ({"type": "custom", "custom": {"name": "sql"}}, "openai-chat", "sql"),
    ],
)
def test_vendors_own_tools_keep_their_form(
    given: dict[str, Any], author: str, name: str | None
) -> None:
    (tool,) = normalise_tools([given])
    assert tool.native == Native(author, given)
    assert tool.name == (name or given["type"])


def test_what_other_libraries_make_of_a_tool() -> None:
    (by_openai,) = normalise_tools([pydantic_function_tool(Order, name="order")])
    assert by_openai.name == "order"
    assert by_openai.strict is True
    ollama_tool = OllamaTool.model_validate(
        {"type": "function", "function": {"name": "f", "parameters": _SCHEMA}}
    )
    assert normalise_tools([ollama_tool])[0].name == "f"


def test_the_input_is_not_changed_and_not_shared() -> None:
    given = {"type": "function", "function": {"name": "f", "parameters": dict(_SCHEMA)}}
    (tool,) = normalise_tools([given])
    tool.parameters["title"] = "x"
    assert given["function"]["parameters"] == _SCHEMA  # type: ignore[index]


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ("search", "tools"),
        ({"name": "f"}, "tools"),
        ([7], "tools[0]"),
        ([Place], "tools[0]"),
        ([{"type": "telepathy"}], "tools[0].type"),
        ([{}], "tools[0].type"),
        ([{"type": "function", "function": "f"}], "tools[0].function"),
        ([{"type": "function", "function": {"name": "get weather"}}], "tools[0].name"),
        ([{"type": "function", "function": {"name": "x" * 65}}], "tools[0].name"),
        ([{"type": "function", "function": {"description": "a"}}], "tools[0].function.name"),
        (
            [{"type": "function", "function": {"name": "f", "args": {"a": 1}}}],
            "tools[0].function.args",
        ),
        ([{"name": "f", "input_schema": {"type": "string"}}], "tools[0].parameters"),
        ([{"name": "f", "input_schema": {"a": "string"}}], "tools[0].parameters"),
        ([{"name": "f", "parameters": [1]}], "tools[0].parameters"),
        ([{"name": "f", "strict": "yes"}], "tools[0].strict"),
        ([Tool("f"), {"name": "g"}, {"name": "f"}], "tools[2]"),
        ([Tool("a b")], "tools[0].name"),
        ([Tool("f", parameters={})], "tools[0].parameters"),
    ],
)
def test_a_wrong_tool_is_named_by_its_place(tools: object, param: str) -> None:
    assert _fault(tools).param == param


# --- callables


def test_a_functions_signature_becomes_its_schema() -> None:
    async def plan_trip(  # noqa: PLR0917
        place: Place,
        colour: Colour,
        kind: Literal["car", "bike"] = "bike",
        days: Annotated[int, "How long, in days."] = 3,
        note: str | None = None,
        tags: list[str] | None = None,
    ) -> str:
        """Plan a trip
        to a place.

        Not meant for the model.
        """
        raise NotImplementedError

    tool = tool_from_callable(plan_trip)
    assert tool.name == "plan_trip"
    assert tool.description == "Plan a trip to a place."
    properties = tool.parameters["properties"]
    assert list(properties) == ["place", "colour", "kind", "days", "note", "tags"]
    assert tool.parameters["required"] == ["place", "colour"]
    assert tool.parameters["additionalProperties"] is False
    assert properties["kind"] == {"enum": ["bike", "car"], "default": "bike"}
    assert properties["days"] == {
        "type": "integer",
        "description": "How long, in days.",
        "default": 3,
    }
    assert properties["note"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    defs = tool.parameters["$defs"]
    assert defs["Colour"]["enum"] == ["blue", "red"]
    assert defs["Place"]["required"] == ["city"]


def test_models_of_every_library_can_be_parameters() -> None:
    def use(
        order: Order,
        point: Point,
        box: Box,
        count: Annotated[int, msgspec.Meta(ge=1, description="m")],
        rate: Annotated[float, pydantic.Field(gt=0, description="p")],
    ) -> None: ...

    tool = tool_from_callable(use)
    properties = tool.parameters["properties"]
    defs = tool.parameters["$defs"]
    assert properties["count"] == {"type": "integer", "minimum": 1, "description": "m"}
    assert properties["rate"] == {"type": "number", "exclusiveMinimum": 0, "description": "p"}
    assert properties["order"]["properties"]["count"]["minimum"] == 1
    assert properties["point"] == {"$ref": "#/$defs/Point"}
    assert defs["Point"]["properties"]["next"]["anyOf"][0] == {"$ref": "#/$defs/Point"}
    assert defs["Box"]["properties"] == {"width": {"type": "integer"}}


_GOOGLE = """Look it up.

    Args:
        word: What to look up,
            in lower case.
        limit: How many.
    """
_NUMPY = """Look it up.

    Parameters
    ----------
    word : str
        What to look up,
        in lower case.
    limit : int
        How many.
    """
_REST = """Look it up.

    :param word: What to look up,
        in lower case.
    :param limit: How many.
    """


@pytest.mark.parametrize("doc", [_GOOGLE, _NUMPY, _REST], ids=["google", "numpy", "rest"])
def test_descriptions_come_from_the_docstring(doc: str) -> None:
    def look(word: str, limit: Annotated[int, "Mine wins."] = 1) -> None: ...

    look.__doc__ = doc
    tool = tool_from_callable(look)
    assert tool.description == "Look it up."
    properties = tool.parameters["properties"]
    assert properties["word"]["description"] == "What to look up, in lower case."
    assert properties["limit"]["description"] == "Mine wins."


class Shop:
    """A shop."""

    def buy(self, sku: str) -> None:
        """Buy one."""

    @classmethod
    def open(cls, hour: int) -> None:
        """Open it."""

    @staticmethod
    def close(hour: int) -> None:
        """Close it."""

    def __call__(self, word: str) -> None:
        """Ask for it."""


def test_methods_and_callable_objects() -> None:
    buy, opened, close, shop = normalise_tools([Shop().buy, Shop.open, Shop.close, Shop()])
    assert (buy.name, buy.description) == ("buy", "Buy one.")
    assert list(buy.parameters["properties"]) == ["sku"]
    assert list(opened.parameters["properties"]) == ["hour"]
    assert close.name == "close"
    assert (shop.name, shop.description) == ("Shop", "Ask for it.")
    assert list(shop.parameters["properties"]) == ["word"]


def test_what_a_partial_fixes_is_not_the_models_to_choose() -> None:
    def send(to: str, body: str, urgent: bool = False) -> None:
        """Send it."""

    tool = tool_from_callable(functools.partial(send, "a@example.org", urgent=True))
    assert (tool.name, tool.description) == ("send", "Send it.")
    assert list(tool.parameters["properties"]) == ["body"]


def test_a_decorated_function_keeps_its_signature() -> None:
    def logged(fn: Any) -> Any:
        @functools.wraps(fn)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return fn(*args, **kwargs)

        return wrapper

    @logged
    def search(query: str) -> None:
        """Search."""

    tool = tool_from_callable(search)
    assert (tool.name, list(tool.parameters["properties"])) == ("search", ["query"])


def test_a_default_that_json_cannot_say_leaves_the_parameter_optional() -> None:
    marker = object()

    def f(a: str = marker) -> None: ...  # type: ignore[assignment]

    assert tool_from_callable(f).parameters["properties"] == {"a": {"type": "string"}}
    assert "required" not in tool_from_callable(f).parameters


def _starred(*words: str) -> None: ...
def _double_starred(**words: str) -> None: ...
def _bare(word) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001
def _positional(word: str, /) -> None: ...
def _unresolved(word: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def _opaque(word: str, thing: Shop) -> None: ...


@pytest.mark.parametrize(
    ("fn", "says"),
    [
        (_starred, "*words"),
        (_double_starred, "**words"),
        (_bare, "word has no annotation"),
        (_positional, "positional-only"),
        (_unresolved, "Nowhere"),
        (_opaque, "thing has no JSON schema"),
        (Shop.buy, "bound method"),
        (lambda: None, "<lambda>"),
    ],
)
def test_a_signature_that_a_model_cannot_fill_is_refused(fn: Any, says: str) -> None:
    error = _fault([Tool("first"), fn])
    assert says in error.message
    assert error.message.startswith("tools[1]")
    assert (error.param or "").startswith("tools[1]")


# --- the choice

_TOOLS = (Tool("search"), Tool("now"))


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        (None, None),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ("any", ToolChoice("required")),
        ("search", ToolChoice("required", "search")),
        ({"type": "function", "function": {"name": "now"}}, ToolChoice("required", "now")),
        ({"type": "function", "name": "now"}, ToolChoice("required", "now")),
        ({"type": "tool", "name": "now"}, ToolChoice("required", "now")),
        ({"type": "custom", "custom": {"name": "now"}}, ToolChoice("required", "now")),
        ({"type": "any"}, ToolChoice("required")),
        ({"type": "auto", "disable_parallel_tool_use": False}, ToolChoice("auto")),
        (ToolChoice("required", "now"), ToolChoice("required", "now")),
        (Tool("now"), ToolChoice("required", "now")),
    ],
)
def test_every_way_to_choose(given: object, choice: ToolChoice | None) -> None:
    assert normalise_tool_choice(given, _TOOLS) == choice


def test_a_callable_chooses_itself() -> None:
    def now() -> None: ...

    assert normalise_tool_choice(now, normalise_tools([now])) == ToolChoice("required", "now")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("serach", "search, now"),
        ({"type": "tool", "name": "x"}, "'x'"),
        (ToolChoice("required", "x"), "'x'"),
        (ToolChoice("sometimes"), "mode"),  # type: ignore[arg-type]
        ({"type": "maybe"}, "maybe"),
        ({"type": "auto", "disable_parallel_tool_use": True}, "parallel_tool_calls=False"),
        ({"type": "function"}, "name"),
        (7, "int"),
    ],
)
def test_a_choice_of_nothing_is_refused(given: object, says: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        normalise_tool_choice(given, _TOOLS)
    assert says in caught.value.message
    assert (caught.value.param or "").startswith("tool_choice")


def test_a_choice_without_tools_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="without tools"):
        normalise_tool_choice("auto", ())


# --- stop


def test_stop_is_a_string_or_several() -> None:
    assert normalise_stop(None) == ()
    assert normalise_stop("END") == ("END",)
    assert normalise_stop(["a", "b"]) == ("a", "b")


@pytest.mark.parametrize(
    ("given", "param"), [("", "stop"), (["a", ""], "stop[1]"), (7, "stop"), ([7], "stop[0]")]
)
def test_a_wrong_stop_is_refused(given: object, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        normalise_stop(given)
    assert caught.value.param == param


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "name", "function", "custom", "input_schema", "parameters"]),
            inner | st.sampled_from(["function", "custom", "web_search", "tool", "object"]),
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(_JUNK)
def test_junk_is_read_or_refused(junk: object) -> None:
    for read in (
        lambda: normalise_tools([junk]),
        lambda: normalise_tool_choice(junk, _TOOLS),
        lambda: normalise_stop(junk),
    ):
        try:
            read()
        except InvalidRequestError as error:
            assert error.param  # noqa: PT017 - not all junk is refused
