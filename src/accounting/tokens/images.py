"""How many tokens an image is, by the vendors' published formulas.

Sources: OpenAI's guide "Images and vision" (tiles of 512 pixels for some models, patches of 32 for
the others), Anthropic's guide "Vision" (patches of 28 pixels after scaling). Sizes are read from
the image's own header; an image behind a URL is taken at the model's maximum.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from ...messages import Image

__all__ = ["image_bound", "image_size", "image_tokens"]

_HEADER_CHARS: Final = 400_000  # of base64: enough for the metadata that a camera puts first


class _Tiles(msgspec.Struct, frozen=True):
    base: int
    tile: int

    def low(self) -> int:
        return self.base

    def at(self, width: int, height: int) -> int:
        width, height = _fit(width, height, 2048)
        if min(width, height) > 768:
            scale = 768 / min(width, height)
            width, height = round(width * scale), round(height * scale)
        return self.base + self.tile * math.ceil(width / 512) * math.ceil(height / 512)

    def most(self) -> int:
        return self.base + 8 * self.tile  # 2048 by 768


class _Patches(msgspec.Struct, frozen=True):
    size: int
    cap: int
    longest: int
    factor: float = 1.0

    def low(self) -> int:
        return math.ceil(min(self.cap, (512 // self.size) ** 2) * self.factor)

    def at(self, width: int, height: int) -> int:
        width, height = _fit(width, height, self.longest)
        patches = math.ceil(width / self.size) * math.ceil(height / self.size)
        return math.ceil(min(patches, self.cap) * self.factor)

    def most(self) -> int:
        return math.ceil(self.cap * self.factor)


_CLAUDE = _Patches(size=28, cap=1568, longest=1568)
_CLAUDE_HIGH = _Patches(size=28, cap=4784, longest=2576)
_ORIGINAL = _Patches(size=32, cap=10_000, longest=6000)
_HIGH = _Patches(size=32, cap=2500, longest=2048)

_RULES: Final[tuple[tuple[str, _Tiles | _Patches], ...]] = (
    (r"claude-(?:3|opus-4(?:-[0156]\b|-2|$)|sonnet-4|haiku-4)", _CLAUDE),
    (r"claude", _CLAUDE_HIGH),
    (r"gpt-4o-mini", _Tiles(2833, 5667)),
    (r"gpt-4\.1-mini|gpt-5-mini|gpt-5\.4-mini", _Patches(32, 1536, 2048, 1.62)),
    (r"gpt-4\.1-nano|gpt-5-nano|gpt-5\.4-nano", _Patches(32, 1536, 2048, 2.46)),
    (r"o4-mini", _Patches(32, 1536, 2048, 1.72)),
    (r"gpt-4o|gpt-4\.1|gpt-4\.5|gpt-4-|chatgpt-4o", _Tiles(85, 170)),
    (r"o1|o3", _Tiles(75, 150)),
    (r"gpt-5(?:$|-|\.1)", _Tiles(70, 140)),
    (r"gpt-5\.[23]", _Patches(32, 1536, 2048)),
    (r"gpt-", _HIGH),
)
_FIRST: Final = tuple((re.compile(pattern), rule) for pattern, rule in _RULES)


def image_tokens(image: Image, model: str) -> int:
    """About how many tokens an image is to a model; its maximum where the size is not known."""
    rule = _rule(model)
    if isinstance(rule, _Patches) and image.detail == "original" and rule is _HIGH:
        rule = _ORIGINAL
    if image.detail == "low" and "claude" not in model:
        return rule.low()
    size = image_size(image)
    return rule.at(*size) if size else rule.most()


def image_bound(model: str) -> int | None:
    """The most tokens that one image can be to a model, whatever its size and detail.

    ``None`` for a model whose vendor states no maximum, or none that is known here.
    """
    rule = _known(model)
    if rule is None:
        return None
    return max(rule.most(), _ORIGINAL.most()) if rule is _HIGH else rule.most()


def image_size(image: Image) -> tuple[int, int] | None:
    """Width and height in pixels, from the header of a PNG, JPEG, GIF or WebP image."""
    if not image.data:
        return None
    start = image.data[:_HEADER_CHARS]
    try:
        head = base64.b64decode(start[: len(start) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    try:
        size = _sniff(head)
    except (struct.error, IndexError):
        return None
    return size if size and size[0] > 0 and size[1] > 0 else None


def _rule(model: str) -> _Tiles | _Patches:
    return _known(model) or _HIGH


def _known(model: str) -> _Tiles | _Patches | None:
    for pattern, rule in _FIRST:
        if pattern.search(model):
            return rule
    return None


def _fit(width: int, height: int, longest: int) -> tuple[int, int]:
    if max(width, height) <= longest:
        return width, height
    scale = longest / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _sniff(head: bytes) -> tuple[int, int] | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack(">II", head[16:24])
        return width, height
    if head.startswith((b"GIF87a", b"GIF89a")):
        width, height = struct.unpack("<HH", head[6:10])
        return width, height
    if head.startswith(b"\xff\xd8"):
        return _jpeg(head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(head)
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 + int(struct.unpack(">H", head[at + 2 : at + 4])[0])
    return None


def _webp(head: bytes) -> tuple[int, int] | None:
    form = head[12:16]
    if form == b"VP8X":
        width = int.from_bytes(head[24:27], "little") + 1
        return width, int.from_bytes(head[27:30], "little") + 1
    if form == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if form == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None
