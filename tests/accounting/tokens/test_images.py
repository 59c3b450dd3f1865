from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given, strategies as st

from switchgear.accounting.tokens.images import image_bound, image_size, image_tokens
from switchgear.messages import Image

WIDTH, HEIGHT = 640, 481


def jpeg() -> bytes:
    app0 = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + b"\0" * 9
    return b"\xff\xd8" + app0 + b"\xff\xc0" + struct.pack(">HBHH", 17, 8, HEIGHT, WIDTH) + b"\0" * 9


def webp(form: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 100) + b"WEBP" + form + body


HEADS = {
    "png": b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", WIDTH, HEIGHT),
    "gif": b"GIF89a" + struct.pack("<HH", WIDTH, HEIGHT),
    "jpeg": jpeg(),
    "webp lossy": webp(b"VP8 ", b"\0" * 10 + struct.pack("<HH", WIDTH, HEIGHT)),
    "webp lossless": webp(
        b"VP8L", b"\0" * 4 + b"\x2f" + struct.pack("<I", WIDTH - 1 | (HEIGHT - 1) << 14)
    ),
    "webp extended": webp(
        b"VP8X", b"\0" * 8 + (WIDTH - 1).to_bytes(3, "little") + (HEIGHT - 1).to_bytes(3, "little")
    ),
}


def image(raw: bytes) -> Image:
    return Image(data=base64.b64encode(raw).decode(), media_type="image/png")


@pytest.mark.parametrize("form", HEADS)
def test_the_size_is_read_from_the_header(form: str) -> None:
    assert image_size(image(HEADS[form] + b"\0" * 40)) == (WIDTH, HEIGHT)


@given(st.sampled_from(sorted(HEADS)), st.integers(0, 60), st.binary(max_size=20))
def test_a_broken_header_is_no_size_and_no_crash(form: str, cut: int, tail: bytes) -> None:
    size = image_size(image(HEADS[form][:cut] + tail))
    assert size is None or (size[0] > 0 and size[1] > 0)


@pytest.mark.parametrize("data", ["", "not base64 at all!", "AAAA", "\N{SNOWMAN}"])
def test_what_is_no_image_has_no_size(data: str) -> None:
    assert image_size(Image(data=data, media_type="image/png")) is None


MODELS = [
    "claude-3-haiku-20240307",
    "claude-opus-4-1-20250805",
    "claude-opus-4-7",
    "claude-haiku-5-5",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1-mini",
    "gpt-5",
    "gpt-5-nano",
    "gpt-5.2",
    "gpt-5.4",
    "gpt-5.4-mini",
    "gpt-6.2-sol",
    "o3",
    "o4-mini",
]


@given(
    st.sampled_from(MODELS),
    st.integers(1, 20_000),
    st.integers(1, 20_000),
    st.sampled_from([None, "auto", "low", "high", "original"]),
)
def test_no_image_is_more_than_its_bound(model: str, width: int, height: int, detail: str) -> None:
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    data = base64.b64encode(head + b"\0" * 10).decode()
    one = Image(data=data, media_type="image/png", detail=detail)  # type: ignore[arg-type]
    bound = image_bound(model)
    assert bound is not None
    assert 0 < image_tokens(one, model) <= bound
    assert image_tokens(Image(url="https://example.org/x"), model) <= bound


def test_an_image_has_no_bound_where_no_vendor_states_one() -> None:
    assert image_bound("llava") is None
