"""A call as a body for ``POST /api/chat``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ...errors import InvalidRequestError
from ...messages import Tool
from ...request import ChatRequest
from ..base import Call, Capabilities
from ..history import own
from ..unsupported import Unexpressed
from . import Encoded
from .ollama_chat_messages import AUTHOR, Body, write_messages

__all__ = ["ChatDefaults", "encode"]

_KNOBS = ("temperature", "top_p", "stop", "seed")
# gpt-oss thinks always, in three strengths; every other model thinks or does not.
_LEVELS = {
    "none": "low",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


class ChatDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider's table adds to every request.

    Attributes:
        options: Ollama's own options (``num_ctx``, ``top_k``, ...); the request's fields win.
        keep_alive: How long the model stays loaded after the answer: seconds or ``"10m"``.
        truncate: A prompt that is too long loses its beginning, as is Ollama's default. Off, the
            server refuses it (servers before 0.12.6 don't know the field and still cut).
    """

    options: Mapping[str, Any] = {}
    keep_alive: str | float | None = None
    truncate: bool = False


def encode(
    call: Call,
    capabilities: Capabilities,
    defaults: ChatDefaults,
    *,
    provider: str,
    levels: bool,
    stream: bool,
) -> Encoded:
    """Write the body.

    Args:
        call: What to write.
        capabilities: What the model can do.
        defaults: From the provider's table.
        provider: The provider's name in the configuration.
        levels: The model takes ``think`` in levels.
        stream: The answer is wanted piece by piece.

    Raises:
        InvalidRequestError: ``extra`` asks for what would change the answer's form.
        UnsupportedParameterError: Something can't be expressed and may not be dropped.
    """
    if "stream" in call.extra:
        raise InvalidRequestError(
            f"{provider}: extra.stream: choose by calling stream() or complete()",
            provider=provider,
            model=call.model,
            param="extra.stream",
        )
    request = call.request
    notes = Unexpressed(call.unsupported, provider, call.model)
    body: Body = {
        "model": call.model,
        "messages": write_messages(request.messages, capabilities, notes),
        # Left out, it means yes.
        "stream": stream,
        "truncate": defaults.truncate,
    }
    tools = _tools(request, capabilities, notes)
    if tools:
        body["tools"] = tools
    _format(body, request, capabilities, notes)
    _think(body, request, capabilities, notes, levels=levels)
    options = _options(request, capabilities, defaults, notes)
    if options:
        body["options"] = options
    if defaults.keep_alive is not None:
        body["keep_alive"] = defaults.keep_alive
    _merge(body, call.extra)
    return Encoded(body, notes.warnings)


def _tools(request: ChatRequest, capabilities: Capabilities, notes: Unexpressed) -> list[Body]:
    if not request.tools:
        return []
    if not capabilities.tools:
        notes.meaning("tools", f"{notes.model} is not known to call tools")
        return []
    choice = request.tool_choice
    if choice is not None and choice.mode == "none":
        # The only way in which Ollama keeps a model from its tools.
        return []
    if choice is not None and (choice.mode == "required" or choice.name is not None):
        notes.meaning("tool_choice", "Ollama can't make a model use a tool")
    if request.parallel_tool_calls is False:
        notes.knob("parallel_tool_calls", "Ollama can't keep a model to one tool at a time")
    return [written for tool in request.tools if (written := _tool(tool, notes)) is not None]


def _tool(tool: Tool, notes: Unexpressed) -> Body | None:
    if tool.cache is not None:
        notes.knob("cache", "Ollama caches prompts by itself and takes no marks")
    if tool.native is not None and not own(tool.native, AUTHOR):
        notes.meaning("tools", f"{tool.name} is a tool of {tool.native.author}")
        return None
    if tool.native is not None:
        return tool.native.data
    if tool.strict:
        notes.knob("strict", "Ollama does not keep a tool's arguments to their schema")
    function: Body = {"name": tool.name, "parameters": tool.parameters}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _format(
    body: Body, request: ChatRequest, capabilities: Capabilities, notes: Unexpressed
) -> None:
    wanted = request.response_format
    if wanted is None:
        return
    if wanted.kind == "json" or wanted.schema is None:
        if not capabilities.json_object:
            notes.meaning("response_format", f"{notes.model} has no JSON mode")
            return
        body["format"] = "json"
    elif capabilities.schema == "native":
        body["format"] = wanted.schema
    else:
        notes.meaning("response_format", f"{notes.model} can't keep to a schema")
        return
    if "tools" in body:
        notes.approximate(
            "response_format",
            "Ollama binds every answer to it, which may keep tools from being used",
        )


def _think(
    body: Body,
    request: ChatRequest,
    capabilities: Capabilities,
    notes: Unexpressed,
    *,
    levels: bool,
) -> None:
    effort = request.reasoning_effort
    if effort is None:
        return
    if not capabilities.reasoning:
        if effort != "none":
            notes.knob("reasoning_effort", f"{notes.model} is not known to think")
        return
    if levels:
        level = _LEVELS.get(effort, "medium")
        if level != effort:
            notes.approximate("reasoning_effort", f"{effort} became {level}, the nearest there is")
        body["think"] = level
        return
    body["think"] = effort != "none"
    if effort not in {"none", "medium"}:
        notes.approximate("reasoning_effort", f"{notes.model} thinks or does not, without degrees")


def _options(
    request: ChatRequest, capabilities: Capabilities, defaults: ChatDefaults, notes: Unexpressed
) -> Body:
    options = dict(defaults.options)
    if request.max_tokens is not None:
        options["num_predict"] = request.max_tokens
    for knob in _KNOBS:
        value = getattr(request, knob)
        if value is None or value == ():
            continue
        if knob in capabilities.sampling:
            options[knob] = list(value) if knob == "stop" else value
        else:
            notes.knob(knob)
    return options


def _merge(body: Body, extra: Mapping[str, Any]) -> None:
    """The caller's own fields win; ``options`` field by field."""
    for key, value in extra.items():
        ours = body.get(key)
        if key == "options" and isinstance(ours, dict) and isinstance(value, Mapping):
            body[key] = {**ours, **value}
        else:
            body[key] = value
