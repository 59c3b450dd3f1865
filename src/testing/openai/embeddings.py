"""OpenAI embeddings: as numbers or as base64 of little-endian 32-bit floats."""

from __future__ import annotations

import base64
import struct
from typing import Any

from ..answers import Answer
from ..defaults import embedding_of
from ..faults import ErrorReply, Fault
from ..records import RecordedRequest
from ..rendering import Json, Reply, estimate_tokens, json_reply, merged, pretty

__all__ = ["check_embeddings", "inputs_of", "render_embeddings"]

_DIMENSIONS = {"text-embedding-3-large": 3072}
_DEFAULT_DIMENSIONS = 1536
_MAX_INPUTS = 2048


def inputs_of(value: Any) -> list[Any]:
    """The inputs one by one: of a string, strings, tokens, or lists of tokens."""
    if isinstance(value, list) and not (value and isinstance(value[0], int)):
        return value
    return [value]


def check_embeddings(body: Any) -> ErrorReply | None:
    """The vendor's refusal of an embeddings request."""
    if not isinstance(body, dict):
        return Fault.invalid_request("We could not parse the JSON body of your request.")
    if not body.get("model"):
        return Fault.invalid_request("you must provide a model parameter")
    known = {"input", "model", "dimensions", "encoding_format", "user"}
    extra = next((name for name in body if name not in known), None)
    if extra is not None:
        return Fault.invalid_request(f"Unrecognized request argument supplied: {extra}")
    inputs = inputs_of(body.get("input"))
    if not inputs or any(item is None or item in ("", []) for item in inputs):
        return Fault.invalid_request("'$.input' is invalid. Please check the API reference.")
    if len(inputs) > _MAX_INPUTS:
        return Fault.invalid_request(
            f"'$.input' is invalid: at most {_MAX_INPUTS} inputs are allowed."
        )
    if body.get("dimensions") is not None and not body["model"].startswith("text-embedding-3"):
        return Fault.invalid_request("This model does not support specifying dimensions.")
    return None


def render_embeddings(call: RecordedRequest, answer: Answer) -> Reply:
    """The reply to an embeddings request."""
    body = call.body
    inputs = inputs_of(body["input"])
    size = body.get("dimensions") or _DIMENSIONS.get(call.model, _DEFAULT_DIMENSIONS)
    vectors = answer.embeddings or tuple(embedding_of(str(item), size) for item in inputs)
    stated = answer.usage.input_tokens if answer.usage is not None else None
    tokens = stated if stated is not None else sum(estimate_tokens(item) for item in inputs)
    as_text = body.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _packed(vector) if as_text else list(vector),
        }
        for index, vector in enumerate(vectors)
    ]
    reply: Json = {
        "object": "list",
        "data": data,
        "model": answer.model or call.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return json_reply(pretty(merged(reply, answer.extra)), answer)


def _packed(vector: tuple[float, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
