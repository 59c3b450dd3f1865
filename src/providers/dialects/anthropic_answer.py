"""How an answer is kept to a form at Anthropic: natively, by a forced tool, or in words."""

from __future__ import annotations

import itertools
import re
from typing import Any

import msgspec

from ...request import ChatRequest, ResponseFormat
from ..base import Capabilities
from ..unsupported import Unexpressed
from .anthropic_schema import InexpressibleError, closed, object_schema

__all__ = ["AnswerForm", "answer_form"]

_ONE_OBJECT = (
    "Answer with exactly one JSON object and nothing else: no prose before or after it, "
    "no code fence around it."
)
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]+")
_LONGEST_NAME = 64


class AnswerForm(msgspec.Struct, frozen=True):
    """What of a request asks for the form. All ``None`` for free text.

    Attributes:
        native: ``output_config.format``.
        tool: A tool whose arguments are the answer.
        words: A sentence for the system prompt.
    """

    native: dict[str, Any] | None = None
    tool: dict[str, Any] | None = None
    words: str | None = None

    @property
    def tool_name(self) -> str | None:
        """The name of the tool, if there is one."""
        return None if self.tool is None else self.tool["name"]


_FREE = AnswerForm()


def answer_form(request: ChatRequest, capabilities: Capabilities, notes: Unexpressed) -> AnswerForm:
    """The best way that the model has.

    Raises:
        UnsupportedParameterError: It has none.
    """
    wanted = request.response_format
    if wanted is None:
        return _FREE
    if wanted.kind == "json" or wanted.schema is None:
        if not capabilities.json_object:
            notes.meaning("response_format", "this model is not to be asked for any JSON object")
        # An open schema makes the arguments of a forced tool come out empty now and then. Today's
        # models obey the words, and only the guarantee is missing.
        notes.approximate("response_format", "asked for in words: there is no mode for any object")
        return AnswerForm(words=_ONE_OBJECT)
    why = "this model can't keep an answer to a schema"
    if capabilities.schema == "native":
        try:
            schema, lost = closed(wanted.schema)
        except InexpressibleError as exc:
            why = f"the API can't promise this schema: {exc}"
        else:
            if lost:
                told = ", ".join(lost)
                notes.approximate("response_format", f"not enforced, only told: {told}")
            return AnswerForm(native={"type": "json_schema", "schema": schema})
    if capabilities.tool_choice:
        schema_of_tool = object_schema(wanted.schema)
        if schema_of_tool is not None:
            return _by_tool(request, wanted, schema_of_tool, notes)
        why = "its root is not an object, and this model needs one"
    notes.meaning("response_format", why)
    text = msgspec.json.encode(wanted.schema).decode()
    return AnswerForm(
        words=f"Answer with JSON that fits this JSON schema, and nothing else: {text}"
    )


def _by_tool(
    request: ChatRequest, wanted: ResponseFormat, schema: dict[str, Any], notes: Unexpressed
) -> AnswerForm:
    choice = request.tool_choice
    if request.tools and choice is not None and (choice.mode == "required" or choice.name):
        notes.note("response_format: not in this turn, which must call a tool")
        return AnswerForm()
    stem = _NOT_IN_NAME.sub("_", wanted.name)[:_LONGEST_NAME] or "answer"
    taken = {tool.name for tool in request.tools}
    free = (f"{stem}_{number}" for number in itertools.count(2))
    name = stem if stem not in taken else next(name for name in free if name not in taken)
    description = wanted.description or "The answer."
    return AnswerForm(
        tool={
            "name": name,
            "description": f"{description} Call this last, with the whole answer.",
            "input_schema": schema,
        }
    )
