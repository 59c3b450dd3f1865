"""A message as Anthropic's stream events, quirks of recorded traffic included."""

from __future__ import annotations

from collections.abc import Iterator

from ..answers import Answer
from ..rendering import Json, compact, pieces_of, split_json

__all__ = ["stream_events"]

_DELTA_USAGE = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "output_tokens_details",
)


def stream_events(message: Json, answer: Answer) -> Iterator[tuple[Json, bool]]:
    """The events of `message`, each with a flag that says whether it carries content."""
    usage = message["usage"]
    yield _start(message), False
    ping_due = answer.pings
    for index, block in enumerate(message["content"]):
        yield {"type": "content_block_start", "index": index, "content_block": _empty(block)}, False
        if ping_due:
            # The first ping comes after the first block has started, not before.
            yield {"type": "ping"}, False
            ping_due = False
        for delta in _deltas(block, answer):
            yield {"type": "content_block_delta", "index": index, "delta": delta}, True
        yield {"type": "content_block_stop", "index": index}, False
    delta = {key: message[key] for key in ("stop_reason", "stop_sequence", "stop_details")}
    yield (
        {
            "type": "message_delta",
            "delta": delta,
            "usage": {key: usage[key] for key in _DELTA_USAGE if key in usage},
        },
        False,
    )
    yield {"type": "message_stop"}, False


def _start(message: Json) -> Json:
    usage = {
        key: value for key, value in message["usage"].items() if key != "output_tokens_details"
    }
    started = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        # A few output tokens are counted before the first one is shown.
        "usage": {**usage, "output_tokens": min(1, message["usage"]["output_tokens"])},
    }
    return {"type": "message_start", "message": started}


def _empty(block: Json) -> Json:
    match block["type"]:
        case "text":
            return {"type": "text", "text": ""}
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
        case "tool_use":
            return {**block, "input": {}}
    return block


def _deltas(block: Json, answer: Answer) -> Iterator[Json]:
    match block["type"]:
        case "text":
            for piece in pieces_of(block["text"], answer.chunks):
                yield {"type": "text_delta", "text": piece}
        case "thinking":
            for piece in pieces_of(block["thinking"], None):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            # An empty delta always comes first, and stays alone where the tool takes no arguments.
            yield {"type": "input_json_delta", "partial_json": ""}
            if block["input"]:
                for piece in split_json(compact(block["input"]).decode()):
                    yield {"type": "input_json_delta", "partial_json": piece}
