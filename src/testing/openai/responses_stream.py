"""A response as the Responses API's stream events.

There is no `[DONE]`: the last event is the terminal one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from ..answers import Answer
from ..rendering import Json, pieces_of, split_json

__all__ = ["response_events"]


def response_events(response: Json, answer: Answer) -> Iterator[tuple[Json, bool]]:
    """Events with sequence numbers, each with a flag that says whether it carries content."""
    for number, (event, content) in enumerate(_events(response, answer)):
        yield {**event, "sequence_number": number}, content


def _events(response: Json, answer: Answer) -> Iterator[tuple[Json, bool]]:
    begun = {
        **response,
        "status": "in_progress",
        "completed_at": None,
        "incomplete_details": None,
        "output": [],
        "service_tier": "auto",
        "usage": None,
    }
    yield {"type": "response.created", "response": begun}, False
    yield {"type": "response.in_progress", "response": begun}, False
    for index, item in enumerate(response["output"]):
        yield from _item_events(item, index, answer)
    yield {"type": f"response.{response['status']}", "response": response}, False


def _item_events(item: Json, index: int, answer: Answer) -> Iterator[tuple[Json, bool]]:
    match item["type"]:
        case "reasoning":
            # The encrypted content of the first event is not final.
            started = {**item, "summary": []}
        case "message":
            started = {**item, "status": "in_progress", "content": []}
        case _:
            started = {**item, "status": "in_progress", "arguments": ""}
    yield {"type": "response.output_item.added", "item": started, "output_index": index}, False
    place = {"item_id": item["id"], "output_index": index}
    match item["type"]:
        case "reasoning":
            yield from _summary_events(item, place)
        case "message":
            yield from _message_events(item, place, answer)
        case _:
            for piece in split_json(item["arguments"]):
                yield (
                    _padded(
                        {"type": "response.function_call_arguments.delta", "delta": piece, **place}
                    ),
                    True,
                )
            yield (
                {
                    "type": "response.function_call_arguments.done",
                    "arguments": item["arguments"],
                    **place,
                },
                False,
            )
    yield {"type": "response.output_item.done", "item": item, "output_index": index}, False


def _summary_events(item: Json, place: Json) -> Iterator[tuple[Json, bool]]:
    for number, part in enumerate(item["summary"]):
        where = {**place, "summary_index": number}
        empty = {"type": "summary_text", "text": ""}
        yield {"type": "response.reasoning_summary_part.added", "part": empty, **where}, False
        for piece in pieces_of(part["text"], None):
            yield (
                _padded({"type": "response.reasoning_summary_text.delta", "delta": piece, **where}),
                True,
            )
        yield {"type": "response.reasoning_summary_text.done", "text": part["text"], **where}, False
        yield {"type": "response.reasoning_summary_part.done", "part": part, **where}, False


def _message_events(item: Json, place: Json, answer: Answer) -> Iterator[tuple[Json, bool]]:
    for number, part in enumerate(item["content"]):
        where = {**place, "content_index": number}
        if part["type"] == "refusal":
            empty: Json = {"type": "refusal", "refusal": ""}
            yield {"type": "response.content_part.added", "part": empty, **where}, False
            for piece in pieces_of(part["refusal"], None):
                yield _padded({"type": "response.refusal.delta", "delta": piece, **where}), True
            yield {"type": "response.refusal.done", "refusal": part["refusal"], **where}, False
        else:
            yield (
                {"type": "response.content_part.added", "part": {**part, "text": ""}, **where},
                False,
            )
            for piece in pieces_of(part["text"], answer.chunks):
                yield (
                    _padded(
                        {
                            "type": "response.output_text.delta",
                            "delta": piece,
                            "logprobs": [],
                            **where,
                        }
                    ),
                    True,
                )
            yield (
                {
                    "type": "response.output_text.done",
                    "logprobs": [],
                    "text": part["text"],
                    **where,
                },
                False,
            )
        yield {"type": "response.content_part.done", "part": part, **where}, False


def _padded(event: Json) -> Json:
    return {**event, "obfuscation": secrets.token_urlsafe(12)[: 4 + secrets.randbelow(10)]}
