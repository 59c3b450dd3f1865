"""When two requests are the same."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from switchgear.caching.canonical import NoCanonicalFormError, encode, json_form
from switchgear.caching.keys import key_of, key_soon
from switchgear.config import Config
from switchgear.credentials import Secret
from switchgear.messages import (
    Audio,
    File,
    Image,
    Message,
    Native,
    NativeBlock,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
)
from switchgear.normalise import normalise_messages
from switchgear.request import ChatRequest, ResponseFormat
from switchgear.structured import normalise_response_format
from switchgear.tools import normalise_tools
from tests.caching.values import request, target


def key(asked: ChatRequest, name: str = "g", **terms: Any) -> bytes:
    return key_of(asked, target(name), **{"project": "p1", **terms})


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}

FULL = request(
    "hi",
    tools=(Tool("f", "does", SCHEMA),),
    tool_choice=ToolChoice("required", "f"),
    response_format=ResponseFormat("schema", schema=SCHEMA),
    temperature=0.5,
    top_p=0.9,
    max_tokens=10,
    stop=("a", "b"),
    seed=7,
    reasoning_effort="low",
    parallel_tool_calls=True,
    extra={"ollama": {"mirostat": 1}},
    extra_headers={"ollama": {"x-beta": "on"}},
)


def test_the_encoding_of_version_1_never_changes() -> None:
    """Whoever changes what a key is made of has to raise ENCODING, and then these."""
    assert key(request()).hex() == GOLDEN["plain"]
    assert key(FULL).hex() == GOLDEN["full"]


def test_every_field_of_a_request_counts() -> None:
    changed: dict[str, Any] = {
        "messages": (Message("user", "other"),),
        "tools": (),
        "tool_choice": None,
        "response_format": None,
        "temperature": 0.6,
        "top_p": 0.8,
        "max_tokens": 11,
        "stop": ("a",),
        "seed": 8,
        "reasoning_effort": "high",
        "parallel_tool_calls": False,
        "extra": {"ollama": {"mirostat": 2}},
        "extra_headers": {"ollama": {"x-beta": "off"}},
    }
    assert set(changed) == set(ChatRequest.__struct_fields__), "a new field must change the key"
    keys = {key(msgspec.structs.replace(FULL, **{name: value})) for name, value in changed.items()}
    assert len(keys | {key(FULL)}) == len(changed) + 1


@pytest.mark.parametrize(
    ("base", "changes", "no_meaning"),
    [
        (Text("a", native=Native("x", {})), {"text": "b", "native": None}, {"cache": "5m"}),
        (
            Image(url="u", data="d", media_type="m", detail="low"),
            {"url": "v", "data": "e", "media_type": "n", "detail": "high"},
            {"cache": "1h"},
        ),
        (Audio("d", "wav"), {"data": "e", "format": "mp3"}, {}),
        (
            File("d", "m", "n", "u", "i"),
            {"data": "e", "media_type": "x", "filename": "x", "url": "x", "file_id": "x"},
            {"cache": "5m"},
        ),
        (Reasoning("a", Native("x", {"s": 1})), {"text": "b", "native": Native("y", {"s": 1})}, {}),
        (Refusal("a"), {"text": "b"}, {}),
        (
            ToolCall("i", "n", "{}", Native("x", {})),
            {"id": "j", "name": "m", "arguments": '{"a":1}', "native": None},
            {},
        ),
        (NativeBlock(Native("x", {"a": 1})), {"native": Native("x", {"a": 2})}, {}),
        (
            Tool("n", "d", SCHEMA, True, None, Native("x", {})),
            {"name": "m", "description": "e", "parameters": {}, "strict": None, "native": None},
            {"cache": "5m"},
        ),
        (
            Message("user", (Text("a"),), "i", "n", False),
            {
                "role": "assistant",
                "content": "b",
                "tool_call_id": "j",
                "name": "m",
                "is_error": True,
            },
            {},
        ),
        (
            ResponseFormat("schema", "n", SCHEMA, True, "d"),
            {"kind": "json", "name": "m", "schema": None, "strict": None, "description": "e"},
            {"type": int},
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, msgspec.Struct) else "",
)
def test_every_field_of_every_part_counts_or_is_known_not_to(
    base: Any, changes: dict[str, Any], no_meaning: dict[str, Any]
) -> None:
    assert {*changes, *no_meaning} == set(base.__struct_fields__)

    def of(value: Any) -> bytes:
        if isinstance(value, Tool):
            return key(request(tools=(value,)))
        if isinstance(value, ResponseFormat):
            return key(request(response_format=value))
        message = value if isinstance(value, Message) else Message("assistant", (value,))
        return key(ChatRequest(messages=(message,)))

    same = {of(msgspec.structs.replace(base, **{n: v})) for n, v in no_meaning.items()}
    assert same <= {of(base)}
    different = {of(msgspec.structs.replace(base, **{n: v})) for n, v in changes.items()}
    assert len(different | {of(base)}) == len(changes) + 1


def test_how_tools_may_be_used_counts_whole() -> None:
    choices = [None, *(ToolChoice(m, n) for m in ("auto", "required") for n in (None, "f"))]
    assert len({key(request(tool_choice=choice)) for choice in choices}) == 5


def test_a_request_is_the_same_however_it_was_built() -> None:
    dicts = normalise_messages(
        [
            {"content": "be brief", "role": "system"},
            {"role": "user", "content": [{"text": "hi", "type": "text"}]},
        ]
    )
    values = (Message("system", "be brief"), Message("user", "hi"))
    assert key(ChatRequest(messages=dicts)) == key(ChatRequest(messages=values))
    openai = {"type": "function", "function": {"parameters": SCHEMA, "name": "f"}}
    anthropic = {
        "name": "f",
        "input_schema": {"properties": SCHEMA["properties"], "type": "object"},
    }
    assert key(request(tools=normalise_tools([openai]))) == key(
        request(tools=normalise_tools([anthropic]))
    )
    assert key(request(response_format=normalise_response_format(SCHEMA))) == key(
        request(response_format=normalise_response_format(dict(reversed(SCHEMA.items()))))
    )


def test_a_number_is_its_value_and_true_is_no_number() -> None:
    def of(value: object) -> bytes:
        return key(request(extra={"ollama": {"n": value}}))

    assert of(1) == of(1.0)
    assert of(0.0) == of(-0.0) == of(0)
    assert of(2**60) == of(float(2**60))
    different = [1, True, "1", 1.5, None, [1], {"1": 1}, 2**53, 2**53 + 1, 2**70, 2**70 + 1]
    assert len({of(value) for value in different}) == len(different)
    assert key(request(temperature=0)) == key(request(temperature=0.0))
    assert key(request(temperature=0)) != key(request())


def test_a_name_that_stands_for_one_request_only_does_not_count() -> None:
    def of(**headers: str) -> bytes:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return key(request(extra_headers={"ollama": named}))

    assert of(x_request_id="1") == of(X_Request_ID="2") == of() == key(request())
    assert of(X_Beta="1") == of(x_beta="1") != of(x_beta="2")


def test_what_is_for_providers_that_are_not_asked_does_not_count() -> None:
    asked = request(extra={"openai": {"a": 1}, "ollama": {}}, extra_headers={"openai": {"b": "c"}})
    assert key(asked) == key(request())
    assert key(request(), credentials={"openai": Secret("k")}) == key(request())


def test_projects_regions_and_groups_are_apart() -> None:
    keys = {
        key(request()),
        key(request(), project="p2"),
        key(request(), project=""),
        key(request(), project=None),
        key(request(), region="eu"),
        key(request(), "h"),
    }
    assert len(keys) == 6


def test_a_key_of_the_calls_own_isolates_and_can_not_be_found_by_hashing_it() -> None:
    one = key(request(), credentials={"ollama": Secret("sk-one")})
    two = key(request(), credentials={"ollama": Secret("sk-two")})
    assert len({one, two, key(request())}) == 3
    assert b"sk-one" not in one


def test_how_a_provider_is_configured_counts_but_its_key_does_not() -> None:
    def of(**settings: Any) -> bytes:
        chain = {"g": {"chain": ["vllm/m"]}}
        table = {"plugin": "openai-compatible", "base_url": "http://a/v1", **settings}
        config = Config.from_dict({"providers": {"vllm": table}, "groups": chain}, environ={})
        return key_of(request(), target("g", config), project=None)

    usual = of()
    assert of(api_key="one-key-of-mine") == of(api_key="another-of-mine") == usual
    assert of(base_url="http://b/v1") != usual
    assert of(headers={"x-tenant": "1"}) != of(headers={"x-tenant": "2"})
    assert of(headers={"authorization": "a"}) != of(headers={"authorization": "b"})


def test_what_an_entry_of_a_chain_sends_along_counts_but_not_how_long_it_may_take() -> None:
    def of(**settings: Any) -> bytes:
        groups = {"g": {"chain": [{"model": "ollama/m", **settings}]}}
        return key_of(
            request(), target("g", Config.from_dict({"groups": groups}, environ={})), project=None
        )

    assert of(timeout=3, attempt_timeout=2) == of()
    assert len({of(), of(max_tokens=5), of(extra={"a": 1}), of(region="eu")}) == 4


@pytest.mark.parametrize(
    "value",
    [object(), math.nan, math.inf, {1: 2}, b"x", "\ud800", {"a": {1, 2}}, [10**5000]],
    ids=type,
)
def test_what_is_not_json_has_no_key(value: object) -> None:
    with pytest.raises(NoCanonicalFormError):
        key(request(extra={"ollama": {"x": value}}))


def test_json_without_end_has_no_key() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(NoCanonicalFormError):
        key(request(extra={"ollama": endless}))


async def test_megabytes_are_hashed_in_a_thread_with_the_same_result() -> None:
    image = Image(data="QUJD" * 1_000_000, media_type="image/png")
    asked = ChatRequest(messages=(Message("user", (Text("what?"), image)),))
    soon = asyncio.ensure_future(key_soon(asked, target(), project="p1"))
    await asyncio.sleep(0)
    assert not soon.done()
    assert await soon == key(asked)


# -- properties ------------------------------------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    """The same JSON value, its objects put together in another order."""
    if isinstance(value, dict):
        items = draw(st.permutations(list(value.items())))
        return {k: shuffled(v, draw) for k, v in items}
    if isinstance(value, list):
        made = [shuffled(item, draw) for item in value]
        return tuple(made) if draw(st.booleans()) else made
    if isinstance(value, float) and value.is_integer() and draw(st.booleans()):
        return int(value)
    return value


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same JSON, straight from what that means."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    numbers = (int, float)
    if isinstance(a, numbers) and isinstance(b, numbers):
        return a == b
    return type(a) is type(b) and bool(a == b)


@given(st.data())
def test_order_and_spelling_of_json_never_matter(data: st.DataObject) -> None:
    value = data.draw(values)
    assert encode(json_form(value)) == encode(json_form(shuffled(value, data.draw)))


@given(values, values)
def test_two_json_values_share_a_form_only_where_they_are_the_same(a: Any, b: Any) -> None:
    assert (encode(json_form(a)) == encode(json_form(b))) is same(a, b)


words = st.text("ab\0\x80é", max_size=3)
optional_words = st.none() | words
natives = st.none() | st.builds(Native, words, st.dictionaries(words, scalars, max_size=2))
parts = st.one_of(
    st.builds(Text, words, native=natives),
    st.builds(Image, url=optional_words, data=optional_words),
    st.builds(File, data=optional_words, filename=optional_words),
    st.builds(Reasoning, words, natives),
    st.builds(ToolCall, words, words, words),
    st.builds(Refusal, words),
)
messages = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "tool"]),
    words | st.lists(parts, max_size=3).map(tuple),
    tool_call_id=optional_words,
    is_error=st.booleans(),
)
requests = st.builds(
    ChatRequest,
    messages=st.lists(messages, max_size=3).map(tuple),
    tools=st.lists(st.builds(Tool, words, words), max_size=2).map(tuple),
    temperature=st.none() | st.sampled_from([0.0, 0.5, 1.0]),
    max_tokens=st.none() | st.integers(1, 3),
    stop=st.lists(words, max_size=2).map(tuple),
    seed=st.none() | st.integers(0, 2),
    reasoning_effort=optional_words,
)


def plain(asked: ChatRequest) -> ChatRequest:
    """With every message as parts: the one thing about which two equal requests may differ."""
    spelt = tuple(msgspec.structs.replace(m, content=m.parts) for m in asked.messages)
    return msgspec.structs.replace(asked, messages=spelt)


@settings(max_examples=200, deadline=None)
@given(requests, requests)
def test_different_requests_have_different_keys(a: ChatRequest, b: ChatRequest) -> None:
    same_json = msgspec.json.encode(plain(a)) == msgspec.json.encode(plain(b))
    assert (key(a) == key(b)) is same_json


@given(requests)
def test_a_key_depends_on_the_request_alone(asked: ChatRequest) -> None:
    assert key(asked) == key(plain(asked)) == key(msgspec.structs.replace(asked))


GOLDEN = {
    "plain": "9a69ed2cd3b26e9f0c5077993f2a88d663d6bbc5d68c260553d857eb397a3f58",
    "full": "b34ca2121b68ff24a225a06f1b1c9ff8f39c07bd01ca7a113aac87bfcca5f61f",
}
