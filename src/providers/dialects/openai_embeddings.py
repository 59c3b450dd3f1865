"""OpenAI's embeddings, asked for in base64: a third of the bytes and no numbers to parse."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

import msgspec

from ...errors import MalformedResponseError
from ..base import EmbedCall, Embedding
from ..faults import stream_error
from ..wire import WireResponse
from .counts import word
from .openai_chat_usage import embedding_usage

__all__ = ["decode", "encode"]

PATH = "/embeddings"


class _Item(msgspec.Struct, frozen=True):
    embedding: str | list[float]
    index: int | None = None


class _Answer(msgspec.Struct, frozen=True):
    data: list[_Item] | None = None
    model: str | None = None
    usage: Any = None
    service_tier: Any = None
    error: Any = None


_DECODER = msgspec.json.Decoder(_Answer)


def encode(call: EmbedCall, *, as_base64: bool = True) -> dict[str, Any]:
    """Write the body.

    A server that does not know base64 answers with numbers, which are read as well.
    """
    body: dict[str, Any] = {"input": list(call.inputs), "model": call.model}
    if as_base64:
        body["encoding_format"] = "base64"
    if call.dimensions is not None:
        body["dimensions"] = call.dimensions
    body.update(call.extra)
    return body


def decode(response: WireResponse, call: EmbedCall, *, provider: str) -> Embedding:
    """Read the vectors, into the order of the inputs.

    Raises:
        MalformedResponseError: A vector is missing or not one.
        SwitchgearError: The body is an error in spite of its status.
    """
    request_id = response.meta.request_id

    def malformed(what: str) -> MalformedResponseError:
        return MalformedResponseError(
            f"{provider}: malformed answer: {what}",
            provider=provider,
            model=call.model,
            request_id=request_id,
        )

    try:
        answer = _DECODER.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise malformed(str(exc)) from exc
    if answer.error:
        raise stream_error(
            answer.error,
            provider=provider,
            model=call.model,
            request_id=request_id,
            where="the answer",
        )
    items = answer.data or []
    if len(items) != len(call.inputs):
        raise malformed(f"data: {len(items)} vectors for {len(call.inputs)} inputs")
    if all(item.index is not None for item in items):
        items = sorted(items, key=lambda item: item.index or 0)
        if [item.index for item in items] != list(range(len(items))):
            raise malformed("data: an index is missing or given twice")
    try:
        vectors = tuple(_vector(item.embedding) for item in items)
    except (binascii.Error, ValueError, struct.error) as exc:
        raise malformed(f"data[].embedding: {exc}") from exc
    return Embedding(
        vectors=vectors,
        usage=embedding_usage(answer.usage),
        model=answer.model or call.model,
        meta=response.meta,
        tier=word(answer.service_tier),
    )


def _vector(value: str | list[float]) -> tuple[float, ...]:
    if not isinstance(value, str):
        return tuple(value)
    packed = base64.b64decode(value, validate=True)
    # Little-endian single precision, whatever this machine is.
    return struct.unpack(f"<{len(packed) // 4}f", packed)
