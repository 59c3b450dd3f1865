"""A whole answer as the stream that it might have been."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..completion import StreamEvent, ToolCallDelta
from ..messages import Part, Reasoning, Refusal, Text, ToolCall

__all__ = ["replay"]

# Up to 64 characters, ended after white space where there is some.
_PIECE = re.compile(r".{1,64}(?<=\s)|.{1,64}", re.DOTALL)


def replay(parts: Iterable[Part]) -> Iterator[StreamEvent]:
    """The deltas of an answer, in order. Put together they are the answer again.

    A refusal reads as text, and a vendor's own block is in the completion only, as in any stream.
    """
    calls = 0
    for part in parts:
        if isinstance(part, Text | Refusal):
            for piece in _PIECE.findall(part.text):
                yield StreamEvent(text=piece)
        elif isinstance(part, Reasoning):
            for piece in _PIECE.findall(part.text):
                yield StreamEvent(reasoning=piece)
        elif isinstance(part, ToolCall):
            yield StreamEvent(tool_call=ToolCallDelta(calls, part.id, part.name))
            for piece in _PIECE.findall(part.arguments):
                yield StreamEvent(tool_call=ToolCallDelta(calls, arguments=piece))
            calls += 1
