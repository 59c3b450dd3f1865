"""Going on with a stream that broke: what is asked for, and how the halves become one answer."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ..completion import Completion, Usage
from ..messages import Message, Part, Reasoning, Text
from ..request import ChatRequest

__all__ = ["can_resume", "continuation", "joined"]

_GO_ON = (
    "Your answer was cut off by a technical fault. Go on exactly where it stopped, in the middle "
    "of a word if need be. Repeat nothing, and add no introduction."
)


def can_resume(arrived: Completion, request: ChatRequest) -> bool:
    """Whether another model can go on: text alone can be continued by somebody else.

    Half a tool call can't, and neither can an answer that has to keep to a schema.
    """
    plain = all(isinstance(part, Text | Reasoning) for part in arrived.parts)
    return plain and bool(arrived.text) and request.response_format is None


def continuation(request: ChatRequest, arrived: Completion) -> ChatRequest:
    """The request that asks for the rest."""
    spent = arrived.usage.output_tokens
    left = None if request.max_tokens is None else max(1, request.max_tokens - spent)
    said = Message("assistant", arrived.text)
    messages = (*request.messages, said, Message("user", _GO_ON))
    return msgspec.structs.replace(request, messages=messages, max_tokens=left)


def joined(first: Completion, rest: Completion) -> Completion:
    """One answer out of what had arrived and what came after: texts joined, tokens and cost added.

    Everything else is the second half's: who answered last, why it ended.
    """
    line = (
        f"stream: broke at {first.provider}/{first.model} and was gone on with by "
        f"{rest.provider}/{rest.model}"
    )
    cost: Decimal | None = None
    if first.cost is not None and rest.cost is not None:
        cost = first.cost + rest.cost
    return msgspec.structs.replace(
        rest,
        message=Message("assistant", _merged((*first.parts, *rest.parts))),
        usage=_added(first.usage, rest.usage),
        cost=cost,
        time_to_first_token=first.time_to_first_token,
        warnings=(*first.warnings, line, *rest.warnings),
    )


def _merged(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    merged: list[Part] = []
    for part in parts:
        last = merged[-1] if merged else None
        if isinstance(part, Text) and isinstance(last, Text) and not (part.native or last.native):
            merged[-1] = Text(last.text + part.text)
        else:
            merged.append(part)
    return tuple(merged)


def _added(first: Usage, second: Usage) -> Usage:
    counts = {
        name: getattr(first, name) + getattr(second, name)
        for name in Usage.__struct_fields__
        if name != "estimated"
    }
    return Usage(**counts, estimated=first.estimated or second.estimated)
