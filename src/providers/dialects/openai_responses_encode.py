"""A call as a body for ``POST /responses``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import InvalidRequestError
from ...messages import Tool, ToolChoice
from ...request import ChatRequest, ResponseFormat
from ..base import Call, Capabilities
from ..unsupported import Unexpressed
from . import Encoded
from .openai_responses_items import AUTHOR, InputWriter
from .strict_schema import bound_schema

__all__ = ["encode"]

_ENCRYPTED = "reasoning.encrypted_content"

_SHORTEST_ANSWER = 16
"""Tokens; the API refuses to be asked for less."""

_ANY_OBJECT: dict[str, Any] = {"type": "object"}
_BOUND_TO_JSON = "Answer with one JSON object, and with nothing else."

_NOT_HERE = {
    "background": "answers are waited for here; to fetch one later use the SDK's client",
    "stream": "choose by calling stream() or complete()",
}


def encode(
    call: Call,
    capabilities: Capabilities,
    *,
    provider: str,
    author: str,
    stream: bool,
) -> Encoded:
    """Write the body.

    Nothing is stored at the vendor unless ``extra`` says so, and a reasoning model is asked for
    its encrypted reasoning, which the next request gives back.

    Raises:
        InvalidRequestError: ``extra`` asks for what would change the answer's form.
        UnsupportedParameterError: Something can't be expressed and may not be dropped.
    """
    request = call.request
    _check_extra(call, provider)
    notes = Unexpressed(call.unsupported, provider, call.model)
    writer = InputWriter(
        author=author,
        capabilities=capabilities,
        notes=notes,
        stored=call.extra.get("store") is True,
    )
    body: dict[str, Any] = {
        "model": call.model,
        "input": writer.write(request.messages),
        "store": False,
    }
    if stream:
        body["stream"] = True
    if capabilities.reasoning:
        body["include"] = [_ENCRYPTED]
    _knobs(body, request, capabilities, notes)
    tools = _tools(request.tools, author, capabilities, notes)
    if tools:
        body["tools"] = tools
        _tool_use(body, request, capabilities, notes)
    answer_tool = _format(body, request, capabilities, notes)
    _merge(body, call.extra)
    return Encoded(body, notes.warnings, answer_tool)


def _check_extra(call: Call, provider: str) -> None:
    for field, way_out in _NOT_HERE.items():
        if call.extra.get(field):
            raise InvalidRequestError(
                f"{provider}: extra.{field}: {way_out}",
                provider=provider,
                model=call.model,
                param=f"extra.{field}",
            )


def _knobs(
    body: dict[str, Any],
    request: ChatRequest,
    capabilities: Capabilities,
    notes: Unexpressed,
) -> None:
    if request.max_tokens is not None:
        body["max_output_tokens"] = max(request.max_tokens, _SHORTEST_ANSWER)
        if request.max_tokens < _SHORTEST_ANSWER:
            notes.approximate("max_tokens", f"{_SHORTEST_ANSWER}, the least that this API takes")
    if request.reasoning_effort is not None:
        if capabilities.reasoning:
            body["reasoning"] = {"effort": request.reasoning_effort}
        else:
            notes.knob("reasoning_effort", "the model does not reason")
    for knob in ("temperature", "top_p"):
        value = getattr(request, knob)
        if value is None:
            continue
        if knob in capabilities.sampling:
            body[knob] = value
        else:
            notes.knob(knob)
    if request.stop:
        notes.knob("stop", "the Responses API has no stop sequences")
    if request.seed is not None:
        notes.knob("seed", "the Responses API has no seed")


def _tools(
    tools: tuple[Tool, ...], author: str, capabilities: Capabilities, notes: Unexpressed
) -> list[dict[str, Any]]:
    if tools and not capabilities.tools:
        notes.meaning("tools")
        return []
    result: list[dict[str, Any]] = []
    for tool in tools:
        if tool.cache is not None:
            notes.knob("cache", "a tool takes no marks here")
        if tool.native is None:
            result.append(_function(tool))
        elif tool.native.author in {AUTHOR, author}:
            result.append(tool.native.data)
        else:
            notes.meaning("tools", f"{tool.name} is a tool of {tool.native.author}")
    return result


def _function(tool: Tool) -> dict[str, Any]:
    # Left out, `strict` means yes here (and no in chat completions): the API would then turn
    # optional arguments into required ones. Only who asked for it gets that.
    written: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "parameters": tool.parameters,
        "strict": bool(tool.strict),
    }
    if tool.description:
        written["description"] = tool.description
    return written


def _tool_use(
    body: dict[str, Any], request: ChatRequest, capabilities: Capabilities, notes: Unexpressed
) -> None:
    choice = request.tool_choice
    if choice is not None:
        if capabilities.tool_choice or (choice.mode == "auto" and choice.name is None):
            body["tool_choice"] = _choice(choice, body["tools"], request.tools)
        else:
            notes.meaning("tool_choice")
    if request.parallel_tool_calls is not None:
        if capabilities.parallel_tool_calls:
            body["parallel_tool_calls"] = request.parallel_tool_calls
        else:
            notes.knob("parallel_tool_calls")


def _choice(
    choice: ToolChoice, written: list[dict[str, Any]], tools: tuple[Tool, ...]
) -> str | dict[str, Any]:
    if choice.name is None:
        return choice.mode
    named = next((tool for tool in tools if tool.name == choice.name), None)
    native = named.native.data if named is not None and named.native is not None else None
    if native is None or native not in written:
        return {"type": "function", "name": choice.name}
    kind = native.get("type")
    if kind in {"function", "custom"}:
        return {"type": kind, "name": native.get("name", choice.name)}
    if kind == "mcp":
        return {"type": kind, "server_label": native.get("server_label")}
    return {"type": kind}


def _format(
    body: dict[str, Any], request: ChatRequest, capabilities: Capabilities, notes: Unexpressed
) -> str | None:
    """Asks for the answer's form; the name of the forced tool where that is the way."""
    wanted = request.response_format
    if wanted is None:
        return None
    if wanted.kind == "json" or wanted.schema is None:
        return _any_json(body, request, wanted, capabilities, notes)
    if capabilities.schema == "native":
        schema, strict = bound_schema(wanted, notes)
        # Left out, `strict` means yes here too, whatever the schema.
        form: dict[str, Any] = {
            "type": "json_schema",
            "name": wanted.name,
            "schema": schema,
            "strict": strict,
        }
        if wanted.description:
            form["description"] = wanted.description
        body["text"] = {"format": form}
        return None
    if capabilities.schema == "tool" and capabilities.tools:
        return _answer_tool(body, wanted, wanted.schema, capabilities)
    notes.meaning("response_format", "the model can't keep to a schema")
    return None


def _any_json(
    body: dict[str, Any],
    request: ChatRequest,
    wanted: ResponseFormat,
    capabilities: Capabilities,
    notes: Unexpressed,
) -> str | None:
    if not capabilities.json_object:
        if capabilities.schema == "tool" and capabilities.tools:
            return _answer_tool(body, wanted, _ANY_OBJECT, capabilities)
        notes.meaning("response_format", "the model has no JSON mode")
        return None
    body["text"] = {"format": {"type": "json_object"}}
    # Without the word in the input, the API refuses the mode.
    if not any("json" in message.text.lower() for message in request.messages):
        told = {"type": "message", "role": "system", "content": _BOUND_TO_JSON}
        body["input"].insert(0, told)
        notes.note("response_format: JSON mode wants an instruction that says so: it was added")
    return None


def _answer_tool(
    body: dict[str, Any],
    wanted: ResponseFormat,
    schema: dict[str, Any],
    capabilities: Capabilities,
) -> str | None:
    """Adds a tool whose arguments are the answer; beside other tools, some tool must be used."""
    others: list[dict[str, Any]] = body.get("tools", [])
    choice = body.get("tool_choice", "auto")
    if others and choice not in ("auto", "none"):
        return None  # the caller wants a tool used in this turn: the answer comes in a later one
    name = wanted.name
    taken = {tool.get("name") for tool in others}
    while name in taken:
        name += "_"
    tool = {
        "type": "function",
        "name": name,
        "description": wanted.description or "Gives the final answer.",
        "parameters": schema,
        "strict": bool(wanted.strict),
    }
    body["tools"] = [*others, tool]
    free = others and choice == "auto" and capabilities.tool_choice
    body["tool_choice"] = "required" if free else {"type": "function", "name": name}
    if capabilities.parallel_tool_calls:
        body["parallel_tool_calls"] = False
    return name


def _merge(body: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """The caller's own fields win; ``reasoning`` and ``text`` field by field.

    ``include`` adds to ours, without which a reasoning model could not be continued; an empty one
    takes ours away.
    """
    for key, value in extra.items():
        ours = body.get(key)
        if key in {"reasoning", "text"} and isinstance(ours, dict) and isinstance(value, Mapping):
            body[key] = {**ours, **value}
        elif key == "include" and ours and value:
            body[key] = list(dict.fromkeys([*ours, *value]))
        else:
            body[key] = value
