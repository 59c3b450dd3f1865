"""A call as the body of ``generateContent``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from switchgear.providers import Call, Capabilities, ChatRequest, Unexpressed, own, without_denied

from .contents import AUTHOR, Json, write_contents
from .models import thinks_by_level, wants_signatures

__all__ = ["encode"]

# Gemini 3 knows four words for how hard to think. 2.5 knows tokens: these are the ones that
# Google's own OpenAI-compatible address takes for the same words.
_LEVELS = {
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
_BUDGETS = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}


def encode(call: Call, capabilities: Capabilities, provider: str) -> tuple[Json, tuple[str, ...]]:
    """The body, and a line for each thing that was left out or changed.

    Raises:
        UnsupportedParameterError: Something can't be expressed and may not be left out.
    """
    notes = Unexpressed(call.unsupported, provider, call.model)
    request = without_denied(call.request, capabilities, notes)
    system, contents = write_contents(
        request.messages, notes, signatures=wants_signatures(call.model)
    )
    body: Json = {"contents": contents}
    if system is not None:
        body["systemInstruction"] = system
    _tools(body, request, capabilities, notes)
    config = _generation(request, capabilities, notes)
    _answer_form(config, request, capabilities, notes)
    if config:
        body["generationConfig"] = config
    return _with_extra(body, call.extra), notes.warnings


def _tools(
    body: Json, request: ChatRequest, capabilities: Capabilities, notes: Unexpressed
) -> None:
    functions: list[Json] = []
    vendor: list[Json] = []
    for tool in request.tools:
        if tool.native is None:
            functions.append(
                {
                    "name": tool.name,
                    "description": tool.description,
                    "parametersJsonSchema": tool.parameters,
                }
            )
        elif own(tool.native, AUTHOR):
            vendor.append(tool.native.data)
        else:
            notes.meaning("tools", f"{tool.name} is a tool of {tool.native.author}")
    if functions:
        vendor.append({"functionDeclarations": functions})
    if vendor:
        body["tools"] = vendor
        _tool_use(body, request, capabilities, notes)


def _tool_use(
    body: Json, request: ChatRequest, capabilities: Capabilities, notes: Unexpressed
) -> None:
    choice = request.tool_choice
    if choice is None:
        return
    must = choice.mode == "required" or choice.name is not None
    if must and not capabilities.tool_choice:
        notes.meaning("tool_choice", f"{notes.model} can't be made to use a tool")
        return
    calling: Json = {"mode": "ANY" if must else choice.mode.upper()}
    if choice.name is not None:
        calling["allowedFunctionNames"] = [choice.name]
    body["toolConfig"] = {"functionCallingConfig": calling}


def _generation(request: ChatRequest, capabilities: Capabilities, notes: Unexpressed) -> Json:
    config: Json = {}
    if request.max_tokens is not None:
        config["maxOutputTokens"] = request.max_tokens
    knobs: dict[str, tuple[str, Any]] = {
        "temperature": ("temperature", request.temperature),
        "top_p": ("topP", request.top_p),
        "stop": ("stopSequences", list(request.stop) or None),
        "seed": ("seed", request.seed),
    }
    for knob, (name, value) in knobs.items():
        if value is None:
            continue
        if knob in capabilities.sampling:
            config[name] = value
        else:
            notes.knob(knob)
    effort = request.reasoning_effort
    if effort is not None and capabilities.reasoning:
        thinking = _thinking(effort, notes)
        if thinking is not None:
            config["thinkingConfig"] = thinking
    return config


def _thinking(effort: str, notes: Unexpressed) -> Json | None:
    table: Mapping[str, str | int] = _LEVELS if thinks_by_level(notes.model) else _BUDGETS
    word = "thinkingLevel" if table is _LEVELS else "thinkingBudget"
    if effort not in table:
        notes.knob("reasoning_effort", f"{notes.model} knows no {effort!r}")
        return None
    if effort in ("xhigh", "max"):
        notes.approximate("reasoning_effort", f"{effort} is asked for as high, the most there is")
    return {word: table[effort], "includeThoughts": effort != "none"}


def _answer_form(
    config: Json, request: ChatRequest, capabilities: Capabilities, notes: Unexpressed
) -> None:
    wanted = request.response_format
    if wanted is None:
        return
    by_schema = wanted.kind == "schema" and wanted.schema is not None
    if (by_schema and capabilities.schema is None) or not capabilities.json_object:
        notes.meaning("response_format")
        return
    config["responseMimeType"] = "application/json"
    if by_schema:
        config["responseJsonSchema"] = wanted.schema


def _with_extra(body: Json, extra: Mapping[str, Any]) -> Json:
    """The caller's own fields win; those of ``generationConfig`` one by one."""
    for key, value in extra.items():
        ours = body.get(key)
        if isinstance(ours, dict) and isinstance(value, Mapping):
            body[key] = {**ours, **value}
        else:
            body[key] = value
    return body
