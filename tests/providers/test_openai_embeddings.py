"""Vectors, packed or as numbers."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchgear.completion import Usage
from switchgear.errors import MalformedResponseError, RateLimitError
from switchgear.providers.base import EmbedCall, Embedding, ResponseMeta
from switchgear.providers.dialects import openai_embeddings
from switchgear.providers.wire import WireResponse

FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1)


def pack(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def item(value: Any, index: int | None = None) -> dict[str, Any]:
    return {"embedding": value} if index is None else {"embedding": value, "index": index}


def read(body: object, *inputs: str) -> Embedding:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    call = EmbedCall(inputs=inputs or ("a",), model="asked")
    response = WireResponse(raw, ResponseMeta("req_1"))
    return openai_embeddings.decode(response, call, provider="p")


def test_what_is_sent() -> None:
    call = EmbedCall(inputs=("a", "b"), model="m", dimensions=3, extra={"user": "u"})
    assert openai_embeddings.encode(call) == {
        "input": ["a", "b"],
        "model": "m",
        "encoding_format": "base64",
        "dimensions": 3,
        "user": "u",
    }
    plain = EmbedCall(inputs=("a",), model="m")
    assert openai_embeddings.encode(plain, as_base64=False) == {"input": ["a"], "model": "m"}


@given(FLOATS)
def test_packed_and_written_vectors_are_the_same(numbers: list[float]) -> None:
    packed = read({"data": [item(pack(numbers))]})
    written = read({"data": [item(numbers)]})
    assert packed.vectors == written.vectors == (tuple(numbers),)


def test_vectors_stand_in_the_order_of_the_inputs() -> None:
    body = {
        "data": [item([2.0], 1), item([1.0], 0)],
        "model": "answered",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }
    made = read(body, "a", "b")
    assert made.vectors == ((1.0,), (2.0,))
    assert made.usage == Usage(input_tokens=5)
    assert made.model == "answered"
    assert read({"data": [item([2.0]), item([1.0])]}, "a", "b").vectors == ((2.0,), (1.0,))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"oops", "malformed"),
        ({}, "0 vectors for 1 inputs"),
        ({"data": [item([1.0]), item([1.0])]}, "2 vectors for 1 inputs"),
        ({"data": [item([1.0], 7)]}, "index"),
        ({"data": [item("not base64!")]}, "embedding"),
        ({"data": [item(base64.b64encode(b"12345").decode())]}, "embedding"),
        ({"data": [item(["x"])]}, "embedding"),
        ({"data": [{}]}, "embedding"),
    ],
)
def test_what_are_no_vectors_is_named(body: object, field: str) -> None:
    with pytest.raises(MalformedResponseError, match=field) as caught:
        read(body)
    assert (caught.value.provider, caught.value.model) == ("p", "asked")


def test_an_error_with_the_status_of_a_success() -> None:
    with pytest.raises(RateLimitError):
        read({"error": {"message": "slow down", "code": 429}})
