"""What is stored, as bytes: it comes back whole, or not at all."""

from __future__ import annotations

import zlib
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, strategies as st

from switchgear import Trace, Usage
from switchgear.caching import codec
from switchgear.caching.codec import DamagedEntryError, decode, encode
from switchgear.caching.entry import Answer, Entry
from switchgear.messages import Native, NativeBlock, Reasoning, Text, ToolCall
from tests.caching.values import entry, made

KEY = bytes(range(32))
LIMIT = 1 << 20
PARTS = (
    Reasoning("hm", Native("anthropic", {"signature": "xyz", "n": [1, 2.5, None, True]})),
    Text("näive 🦊", native=Native("openai-responses", {"citations": [{"url": "u"}]})),
    ToolCall("call_1", "f", '{"a": 1}'),
    NativeBlock(Native("anthropic", {"type": "server_tool_use"})),
)


def stored(value: Entry, *, compress: bool = False, limit: int = LIMIT) -> bytes:
    data = encode(KEY, value, compress=compress, limit=limit)
    assert data is not None
    return data


@pytest.mark.parametrize("compress", [False, True])
def test_an_answer_comes_back_as_it_was(compress: bool) -> None:
    whole = entry(*PARTS, raw_body=b"{}" * 1000)
    assert decode(KEY, stored(whole, compress=compress), limit=LIMIT) == whole


def test_a_reply_is_made_again_of_what_is_stored() -> None:
    live = made(*PARTS).completion
    back = decode(KEY, stored(entry(*PARTS)), limit=LIMIT)
    reply = Answer(entry=back).completion_for(trace=Trace("g"), group="g", latency=0.001)
    gained = {"cached": True, "cost": Decimal(0), "latency": 0.001}
    assert reply == msgspec.structs.replace(live, **gained)
    assert reply.raw == {"id": "msg_1"}
    assert reply.tool_calls[0].parse() == {"a": 1}


def test_compression_makes_it_smaller_only_where_it_does() -> None:
    long = entry(Text("again and again " * 500))
    assert len(stored(long, compress=True)) < len(stored(long)) / 10
    short = entry(Text("hi"), raw_body=b"")
    assert len(stored(short, compress=True)) == len(stored(short))


def test_what_is_larger_than_an_entry_may_be_is_not_stored() -> None:
    large = entry(Text("x" * 5000))
    assert encode(KEY, large, compress=True, limit=4096) is None
    assert encode(KEY, large, compress=True, limit=8192) is not None


def test_a_few_bytes_that_unfold_to_gigabytes_are_not_unfolded() -> None:
    bomb = stored(entry(Text("x" * 3_000_000)), compress=True, limit=1 << 23)
    assert len(bomb) < 20_000
    with pytest.raises(DamagedEntryError, match="larger"):
        decode(KEY, bomb, limit=LIMIT)


def test_what_is_no_plain_data_is_not_stored() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"d": deep}
    for data in ({"n": 2**80}, {"o": object()}, deep):
        block = NativeBlock(Native("x", data))
        assert encode(KEY, entry(block), compress=False, limit=LIMIT) is None


def test_an_entry_holds_only_under_its_own_key() -> None:
    with pytest.raises(DamagedEntryError, match="another key"):
        decode(KEY[::-1], stored(entry()), limit=LIMIT)


def test_plain_data_of_another_form_is_no_entry() -> None:
    good = msgspec.msgpack.decode(msgspec.msgpack.encode(entry()))
    assert isinstance(good, list)
    names = Entry.__struct_fields__
    wrong: dict[str, Any] = {
        "stored_at": -1,
        "ttl": "long",
        "parts": [{"type": "image_of_doom"}],
        "finish_reason": "whim",
        "usage": [],
        "cost": -5,
        "created": -1,
        "provider": None,
    }
    for name, value in wrong.items():
        fields = list(good)
        fields[names.index(name)] = value
        with pytest.raises(DamagedEntryError):
            decode(KEY, sealed(msgspec.msgpack.encode(fields)), limit=LIMIT)
    packed = zlib.compress(msgspec.msgpack.encode(good))
    for body in (packed + b"more", packed[:-1]):
        with pytest.raises(DamagedEntryError):
            decode(KEY, sealed(body, 1), limit=LIMIT)
    for body in (b"", b"\xc1", b"\x91" * 100_000, msgspec.msgpack.encode({"a": 1})):
        with pytest.raises(DamagedEntryError):
            decode(KEY, sealed(body), limit=LIMIT)
    assert decode(KEY, sealed(msgspec.msgpack.encode(good)), limit=LIMIT) == entry()


def sealed(body: bytes, flags: int = 0) -> bytes:
    """A body with a checksum that holds, as somebody who knows how could write it."""
    return b"SGC1" + bytes([flags]) + codec._checksum(KEY, bytes([flags]) + body) + body


@given(st.binary(max_size=200), st.integers(0, 255))
@example(zlib.compress(b"x")[:-1], 1)
def test_whatever_somebody_writes_there_is_an_entry_or_damaged(body: bytes, flags: int) -> None:
    for data in (body, b"SGC1" + body, sealed(body, flags)):
        with pytest.raises(DamagedEntryError):
            decode(KEY, data, limit=LIMIT)


@given(st.data(), st.booleans())
def test_a_flipped_bit_or_a_missing_end_is_noticed(data: st.DataObject, compress: bool) -> None:
    good = stored(entry(*PARTS), compress=compress)
    at = data.draw(st.integers(0, len(good) * 8 - 1))
    flipped = bytearray(good)
    flipped[at // 8] ^= 1 << at % 8
    cut = good[: data.draw(st.integers(0, len(good) - 1))]
    longer = good + data.draw(st.binary(min_size=1, max_size=5))
    for damaged in (bytes(flipped), cut, longer):
        with pytest.raises(DamagedEntryError):
            decode(KEY, damaged, limit=LIMIT)


counts = st.integers(0, 2**40)
texts = st.text(max_size=20)
parts = st.one_of(
    st.builds(Text, texts),
    st.builds(Reasoning, texts),
    st.builds(ToolCall, texts, texts, texts),
    st.builds(
        NativeBlock, st.builds(Native, texts, st.dictionaries(texts, counts | texts, max_size=3))
    ),
)
usages = st.builds(Usage, counts, counts, cache_read_tokens=counts, estimated=st.booleans())


@given(
    st.lists(parts, max_size=4).map(tuple),
    usages,
    st.none() | st.integers(0, 2**62),
    st.sampled_from(["stop", "length", "tool_calls", "refusal"]),
    texts,
)
def test_every_answer_comes_back(
    said: Any, usage: Usage, cost: int | None, reason: Any, text: str
) -> None:
    whole = msgspec.structs.replace(
        entry(cost=cost), parts=said, usage=usage, finish_reason=reason, id=text, warnings=(text,)
    )
    for compress in (False, True):
        assert decode(KEY, stored(whole, compress=compress), limit=LIMIT) == whole
