"""Ollama's ``/api/embed``, and the list of its models.

``/api/embeddings``, its predecessor, takes one text a request and is not used.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...completion import Usage
from ...errors import MalformedResponseError
from ..base import EmbedCall, Embedding
from ..faults import stream_error
from ..wire import WireResponse
from .counts import Count, count
from .ollama_chat_encode import ChatDefaults

__all__ = ["decode_embeddings", "decode_models", "encode_embeddings"]


class _Answer(msgspec.Struct):
    embeddings: tuple[tuple[float, ...], ...] | None = None
    model: str | None = None
    prompt_eval_count: Count = None
    error: Any = None


class _Model(msgspec.Struct):
    name: str | None = None
    model: str | None = None


class _Tags(msgspec.Struct):
    models: list[_Model] | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_TAGS = msgspec.json.Decoder(_Tags)


def encode_embeddings(call: EmbedCall, defaults: ChatDefaults) -> dict[str, Any]:
    """The body; a text that is too long is refused unless the table says ``truncate``."""
    body: dict[str, Any] = {
        "model": call.model,
        "input": list(call.inputs),
        "truncate": defaults.truncate,
    }
    if call.dimensions is not None:
        body["dimensions"] = call.dimensions
    if defaults.options:
        body["options"] = dict(defaults.options)
    if defaults.keep_alive is not None:
        body["keep_alive"] = defaults.keep_alive
    body.update(call.extra)
    return body


def decode_embeddings(response: WireResponse, call: EmbedCall, *, provider: str) -> Embedding:
    """Read the vectors.

    Raises:
        MalformedResponseError: There is not one vector for each input.
        SwitchgearError: The body is an error in spite of its status.
    """
    try:
        answer = _ANSWER.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise _malformed(str(exc), provider, call.model) from exc
    if answer.error:
        raise stream_error(
            {"error": answer.error}, provider=provider, model=call.model, where="the answer"
        )
    vectors = answer.embeddings or ()
    if len(vectors) != len(call.inputs):
        detail = f"embeddings: {len(vectors)} vectors for {len(call.inputs)} inputs"
        raise _malformed(detail, provider, call.model)
    counted = count(answer.prompt_eval_count)
    return Embedding(
        vectors=vectors,
        usage=Usage(input_tokens=counted) if counted is not None else None,
        model=answer.model or call.model,
        meta=response.meta,
    )


def decode_models(response: WireResponse, *, provider: str) -> tuple[str, ...]:
    """The names in an answer of ``/api/tags``.

    Raises:
        MalformedResponseError: It is none.
    """
    try:
        tags = _TAGS.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise _malformed(str(exc), provider, None) from exc
    return tuple(name for item in tags.models or () if (name := item.model or item.name))


def _malformed(detail: str, provider: str, model: str | None) -> MalformedResponseError:
    message = f"{provider}: malformed answer: {detail}"
    return MalformedResponseError(message, provider=provider, model=model)
