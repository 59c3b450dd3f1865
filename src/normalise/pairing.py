"""Whether a conversation's tool calls and results belong together."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..messages import Message, Part, ToolCall
from .checks import invalid

__all__ = ["settle_tool_calls"]


def settle_tool_calls(messages: list[Message], origins: Sequence[int]) -> tuple[Message, ...]:
    """The conversation with every call named and every result tied to its call.

    Calls without an id are given one; results without an id answer the open calls by their tool's
    name, else in order. Only the last message may have calls that nothing has answered yet.

    Args:
        messages: The conversation; changed in place where ids are filled in.
        origins: For each message its index in what the caller gave, for the errors.

    Raises:
        InvalidRequestError: A result answers no call, a call stays without a result, or an id
            occurs twice in one message.
    """
    pending: dict[str, str] = {}
    answered: set[str] = set()
    asked_at = 0
    for position, message in enumerate(messages):
        role = message.role
        if role == "tool":
            place = f"messages[{origins[position]}]"
            call_id = _answers(message, pending, answered, place)
            del pending[call_id]
            answered.add(call_id)
            if call_id != message.tool_call_id:
                messages[position] = msgspec.structs.replace(message, tool_call_id=call_id)
        elif role in {"assistant", "user"}:
            if pending:
                raise _unanswered(pending, origins[asked_at])
            if role == "assistant" and not isinstance(message.content, str):
                named = _with_ids(message, position, f"messages[{origins[position]}]")
                messages[position] = named
                pending = {call.id: call.name for call in named.tool_calls}
                answered, asked_at = set(), position
    if pending and asked_at != len(messages) - 1:
        raise _unanswered(pending, origins[asked_at])
    return tuple(messages)


def _answers(message: Message, pending: dict[str, str], answered: set[str], place: str) -> str:
    """The id of the open call that this result answers."""
    call_id = message.tool_call_id
    if call_id:
        if call_id in pending:
            return call_id
        if call_id in answered:
            raise invalid(f"{place}.tool_call_id", f"the call {call_id!r} is answered already")
        open_ids = f"open are {', '.join(map(repr, pending))}" if pending else "none is open"
        raise invalid(
            f"{place}.tool_call_id",
            f"no call {call_id!r} in the assistant message before it ({open_ids}): "
            "keep the assistant message with its tool_calls in the history",
        )
    for open_id, name in pending.items():
        if message.name in {None, name}:
            return open_id
    wanted = f"tool call of {message.name!r}" if message.name else "tool call"
    raise invalid(place, f"a tool result without an open {wanted} before it")


def _unanswered(pending: dict[str, str], index: int) -> Exception:
    calls = ", ".join(f"{call_id!r} ({name})" for call_id, name in pending.items())
    return invalid(
        f"messages[{index}]",
        f"unanswered tool calls: {calls}. Put a tool message with each one's tool_call_id after "
        "it, before the next user or assistant message",
    )


def _with_ids(message: Message, position: int, place: str) -> Message:
    calls = message.tool_calls
    ids = {call.id for call in calls}
    if len(ids) == len(calls) and "" not in ids:
        return message
    seen: set[str] = set()
    parts: list[Part] = []
    for part in message.parts:
        new = part
        if isinstance(part, ToolCall):
            if not part.id:
                new = msgspec.structs.replace(part, id=_fresh(position, ids))
            elif part.id in seen:
                raise invalid(place, f"two of its tool calls have the id {part.id!r}")
            seen.add(part.id)
        parts.append(new)
    return msgspec.structs.replace(message, content=tuple(parts))


def _fresh(position: int, ids: set[str]) -> str:
    # Made from the place, not at random: the same history must stay the same request.
    number = 0
    while (call_id := f"call_{position}_{number}") in ids:
        number += 1
    ids.add(call_id)
    return call_id
