"""A call as a body for ``POST /chat/completions``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ...errors import InvalidRequestError
from ...messages import Tool, ToolChoice
from ...request import ChatRequest, ResponseFormat
from .. import openai_models
from ..base import Call, Capabilities
from ..history import own
from ..unsupported import Unexpressed
from . import Encoded
from .openai_chat_messages import add_instruction, cache_control, write_messages
from .openai_chat_quirks import AUTHOR, ChatQuirks
from .strict_schema import bound_schema

__all__ = ["encode"]

Body = dict[str, Any]

_ANY_OBJECT: dict[str, Any] = {"type": "object"}
_BOUND_TO_SCHEMA = (
    "Answer with one JSON object that keeps to this JSON schema, and with nothing else:\n"
)
_BOUND_TO_JSON = "Answer with one JSON object, and with nothing else."


def encode(
    call: Call, capabilities: Capabilities, quirks: ChatQuirks, *, provider: str, stream: bool
) -> Encoded:
    """Write the body.

    Raises:
        InvalidRequestError: ``extra`` asks for what would break the answer's form (``n`` above 1).
        UnsupportedParameterError: Something can't be expressed and may not be dropped.
    """
    request = call.request
    _check_extra(call, provider)
    notes = Unexpressed(call.unsupported, provider, call.model)
    body: Body = {
        "model": call.model,
        "messages": write_messages(request.messages, capabilities, quirks, notes),
    }
    if stream:
        body["stream"] = True
        if quirks.stream_usage:
            body["stream_options"] = {"include_usage": True}
    _knobs(body, call, capabilities, quirks, notes)
    tools = _tools(request.tools, capabilities, quirks, notes)
    if tools:
        body["tools"] = tools
    _tool_use(body, request, capabilities, notes)
    answer_tool = _format(body, request, capabilities, quirks, notes)
    _merge(body, call.extra)
    return Encoded(body, notes.warnings, answer_tool)


def _check_extra(call: Call, provider: str) -> None:
    several = call.extra.get("n")
    if several is not None and several != 1:
        raise InvalidRequestError(
            f"{provider}: extra.n: one answer a call; for {several} answers make {several} calls",
            provider=provider,
            model=call.model,
            param="extra.n",
        )
    if "stream" in call.extra:
        raise InvalidRequestError(
            f"{provider}: extra.stream: choose by calling stream() or complete()",
            provider=provider,
            model=call.model,
            param="extra.stream",
        )


def _knobs(
    body: Body, call: Call, capabilities: Capabilities, quirks: ChatQuirks, notes: Unexpressed
) -> None:
    request = call.request
    if request.max_tokens is not None:
        body[quirks.max_tokens_field] = request.max_tokens
    effort = request.reasoning_effort
    if effort is not None:
        if capabilities.reasoning:
            body["reasoning_effort"] = effort
        else:
            notes.knob("reasoning_effort", f"{call.model} is not known to reason")
            effort = None
    knobs = capabilities.sampling
    if quirks.openai_models:
        knobs = openai_models.sampling(quirks.known_as or call.model, effort, knobs)
    wanted = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop) or None,
        "seed": request.seed,
    }
    for knob, value in wanted.items():
        if value is None:
            continue
        if knob not in knobs:
            notes.knob(knob)
        elif knob == "stop" and quirks.openai_models and len(request.stop) > 4:
            notes.knob(knob, "at most 4 stop sequences; the first 4 were sent")
            body[knob] = value[:4] if isinstance(value, list) else value
        else:
            body[knob] = value


def _tools(
    tools: Sequence[Tool], capabilities: Capabilities, quirks: ChatQuirks, notes: Unexpressed
) -> list[Body]:
    if tools and not capabilities.tools:
        notes.meaning("tools")
        return []
    written: list[Body] = []
    marks = quirks.cache_control and capabilities.prompt_cache
    for tool in tools:
        if tool.cache is not None and not marks:
            notes.knob("cache", "a tool takes no mark for the prompt's cache here")
        if tool.native is None:
            function = _function(tool)
            if tool.cache is not None and marks:
                function["cache_control"] = cache_control(tool.cache)
            written.append(function)
        elif own(tool.native, AUTHOR):
            written.append(tool.native.data)
        else:
            notes.meaning("tools", f"{tool.name} is a tool of {tool.native.author}")
    return written


def _function(tool: Tool) -> Body:
    function: Body = {"name": tool.name, "parameters": tool.parameters}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_use(
    body: Body, request: ChatRequest, capabilities: Capabilities, notes: Unexpressed
) -> None:
    if "tools" not in body:
        return  # without tools both are refused, and mean nothing
    choice = request.tool_choice
    if choice is not None:
        must = choice.mode == "required" or choice.name is not None
        if must and not capabilities.tool_choice:
            notes.meaning("tool_choice", f"{notes.model} can't be made to use a tool")
        else:
            body["tool_choice"] = _choice(choice, request.tools)
    if request.parallel_tool_calls is not None:
        if capabilities.parallel_tool_calls:
            body["parallel_tool_calls"] = request.parallel_tool_calls
        else:
            notes.knob("parallel_tool_calls")


def _choice(choice: ToolChoice, tools: Sequence[Tool]) -> str | Body:
    if choice.name is None:
        return choice.mode
    for tool in tools:
        if tool.name == choice.name and tool.native is not None:
            kind = tool.native.data.get("type")
            if kind == "custom":
                return {"type": "custom", "custom": {"name": choice.name}}
    return {"type": "function", "function": {"name": choice.name}}


def _format(
    body: Body,
    request: ChatRequest,
    capabilities: Capabilities,
    quirks: ChatQuirks,
    notes: Unexpressed,
) -> str | None:
    """Asks for the answer's form; gives the name of the forced tool where that is the way."""
    wanted = request.response_format
    if wanted is None:
        return None
    if wanted.kind == "json" or wanted.schema is None:
        return _any_json(body, request, capabilities, quirks, notes)
    by_json_mode = quirks.schema == "json_object" and capabilities.json_object
    if capabilities.schema == "native" and by_json_mode:
        body["response_format"] = {"type": "json_object"}
        schema = msgspec.json.encode(wanted.schema).decode()
        add_instruction(body["messages"], _BOUND_TO_SCHEMA + schema, quirks.system_role)
        notes.note("response_format: the schema guides but does not bind: it is an instruction")
        return None
    if capabilities.schema == "native":
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": _schema(wanted, quirks, notes),
        }
        return None
    if capabilities.schema == "tool" and capabilities.tools:
        return _answer_tool(body, wanted, wanted.schema, capabilities)
    notes.meaning("response_format", f"{notes.model} can't keep to a schema")
    return None


def _any_json(
    body: Body,
    request: ChatRequest,
    capabilities: Capabilities,
    quirks: ChatQuirks,
    notes: Unexpressed,
) -> str | None:
    wanted = request.response_format
    if wanted is not None and not capabilities.json_object:
        if capabilities.schema == "tool" and capabilities.tools:
            return _answer_tool(body, wanted, _ANY_OBJECT, capabilities)
        notes.meaning("response_format", f"{notes.model} has no JSON mode")
        return None
    body["response_format"] = {"type": "json_object"}
    # Without the word in the messages, the API refuses the mode (and a model may never stop).
    if not any("json" in message.text.lower() for message in request.messages):
        add_instruction(body["messages"], _BOUND_TO_JSON, quirks.system_role)
        notes.note("response_format: JSON mode wants an instruction that says so: it was added")
    return None


def _schema(wanted: ResponseFormat, quirks: ChatQuirks, notes: Unexpressed) -> Body:
    form: Body = {"name": wanted.name, "schema": wanted.schema}
    if wanted.description:
        form["description"] = wanted.description
    if wanted.strict or (wanted.strict is None and quirks.strict):
        form["schema"], form["strict"] = bound_schema(wanted, notes)
    elif wanted.strict is not None:
        form["strict"] = wanted.strict
    return form


def _answer_tool(
    body: Body, wanted: ResponseFormat, schema: dict[str, Any], capabilities: Capabilities
) -> str | None:
    """Adds a tool whose arguments are the answer; beside other tools, some tool must be used."""
    others: list[Body] = body.get("tools", [])
    choice = body.get("tool_choice", "auto")
    if others and choice not in ("auto", "none"):
        return None  # the caller wants a tool used in this turn: the answer comes in a later one
    name = wanted.name
    taken = {tool.get("function", {}).get("name") for tool in others}
    while name in taken:
        name += "_"
    description = wanted.description or "Gives the final answer."
    tool = Tool(name, description, schema, wanted.strict)
    body["tools"] = [*others, _function(tool)]
    free = others and choice == "auto" and capabilities.tool_choice
    body["tool_choice"] = "required" if free else {"type": "function", "function": {"name": name}}
    if capabilities.parallel_tool_calls:
        body["parallel_tool_calls"] = False
    return name


def _merge(body: Body, extra: Mapping[str, Any]) -> None:
    """The caller's own fields win; ``stream_options`` field by field."""
    for key, value in extra.items():
        ours = body.get(key)
        if key == "stream_options" and isinstance(value, Mapping):
            if "stream" in body:
                body[key] = {**(ours or {}), **value}
        elif not (key == "n" and value == 1):
            body[key] = value
