"""Tools: what a caller hands in, and how it may be used, in the one common form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .messages import Native, Tool, ToolChoice
from .normalise.checks import invalid, is_empty, mapping, refuse_unknown, text
from .normalise.parts import cache_mark
from .schemas.signature import callable_name, callable_tool

__all__ = ["normalise_stop", "normalise_tool_choice", "normalise_tools", "tool_from_callable"]

# What every vendor takes; some take more.
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

_ANTHROPIC_TYPE = re.compile(r".+_\d{8}|mcp_toolset")
_RESPONSES_TYPES = frozenset(
    {
        "apply_patch",
        "code_interpreter",
        "computer",
        "computer_use_preview",
        "file_search",
        "image_generation",
        "local_shell",
        "mcp",
        "programmatic_tool_calling",
        "shell",
        "tool_search",
        "web_search",
    }
)
_FUNCTION = frozenset({"name", "description", "parameters", "strict"})
_FLAT = _FUNCTION | {"type", "cache_control"}
_ANTHROPIC = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})


def normalise_tools(tools: object) -> tuple[Tool, ...]:
    """Tools in the common form, checked; ``None`` is none.

    Each may be a :class:`Tool`, a dict in the manner of OpenAI (chat or Responses) or Anthropic, a
    vendor's own server tool, or an annotated Python callable. Reading a callable's signature takes
    tens of microseconds, so convert such tools once and pass the result from then on.

    Raises:
        InvalidRequestError: A tool is wrong, or two have the same name; ``param`` names the place.
    """
    if tools is None:
        return ()
    if isinstance(tools, (str, bytes, Mapping, Tool)) or not isinstance(tools, Iterable):
        raise invalid("tools", f"must be a list of tools, not {type(tools).__name__}")
    result: list[Tool] = []
    names: dict[str, int] = {}
    for index, item in enumerate(tools):
        tool = _tool(item, f"tools[{index}]")
        first = names.setdefault(tool.name, index)
        if first != index:
            raise invalid(
                f"tools[{index}]", f"has the name {tool.name!r}, as tools[{first}] has already"
            )
        result.append(tool)
    return tuple(result)


def tool_from_callable(fn: Callable[..., Any]) -> Tool:
    """A tool that stands for a Python callable, sync or async.

    Its name is the callable's, its description the docstring's first paragraph, its parameters
    those of the signature. A parameter's description comes from ``Annotated[T, "..."]``, from
    msgspec's ``Meta`` or pydantic's ``Field`` in the annotation, else from the docstring.
    Arguments that a ``functools.partial`` fixes are not the model's to choose.

    Raises:
        InvalidRequestError: A parameter has no annotation, one that JSON can't express, or can't
            be passed by name.
    """
    return _checked(callable_tool(fn, "tool"), "tool")


def _tool(item: object, place: str) -> Tool:
    if isinstance(item, Tool):
        return _checked(item, place)
    if isinstance(item, Mapping):
        return _checked(_from_dict(item, place), place)
    if not isinstance(item, type) and callable(dump := getattr(item, "model_dump", None)):
        dumped = mapping(dump(mode="json", exclude_none=True, by_alias=True), place)
        return _checked(_from_dict(dumped, place), place)
    if callable(item):
        return _checked(callable_tool(item, place), place)
    raise invalid(place, f"must be a dict, a Tool or a callable, not {type(item).__name__}")


def _from_dict(data: Mapping[str, Any], place: str) -> Tool:
    kind = data.get("type")
    if kind == "function" and "function" in data:
        refuse_unknown(data, frozenset({"type", "function", "cache_control"}), place)
        at = f"{place}.function"
        return _function(mapping(data["function"], at), _FUNCTION, data, at)
    if "input_schema" in data and kind in (None, "custom"):
        refuse_unknown(data, _ANTHROPIC, place)
        renamed = {**data, "parameters": data["input_schema"]}
        return _function(renamed, _ANTHROPIC | {"parameters"}, data, place)
    if kind == "function" or (kind is None and "name" in data):
        return _function(data, _FLAT, data, place)
    if isinstance(kind, str) and (author := _author(kind, data)):
        named = mapping(data["custom"], f"{place}.custom") if "custom" in data else data
        name = named.get("name") or kind
        return Tool(text(name, f"{place}.name"), native=Native(author, dict(data)))
    raise invalid(
        f"{place}.type",
        f"unknown kind of tool {kind!r}: it is a function of OpenAI's form, "
        "{'name', 'description', 'input_schema'}, or a vendor's server tool",
    )


def _author(kind: str, data: Mapping[str, Any]) -> str | None:
    """Whose server tool this is."""
    if kind == "custom":
        # OpenAI's free-text tools; its two APIs nest them differently.
        return "openai-chat" if "custom" in data else "openai-responses"
    if kind in _RESPONSES_TYPES or kind.startswith("web_search_preview"):
        return "openai-responses"
    return "anthropic" if _ANTHROPIC_TYPE.fullmatch(kind) else None


def _function(
    data: Mapping[str, Any], known: frozenset[str], outer: Mapping[str, Any], place: str
) -> Tool:
    refuse_unknown(data, known, place)
    strict = data.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise invalid(f"{place}.strict", f"must be true or false, not {strict!r}")
    description = text(data.get("description") or "", f"{place}.description")
    name = text(data.get("name"), f"{place}.name")
    cache = cache_mark(outer, place)
    if is_empty(parameters := data.get("parameters")):
        return Tool(name, description, strict=strict, cache=cache)
    schema = dict(mapping(parameters, f"{place}.parameters"))
    return Tool(name, description, schema, strict, cache)


def _checked(tool: Tool, place: str) -> Tool:
    if tool.native is not None:
        return tool
    if not _NAME.fullmatch(text(tool.name, f"{place}.name")):
        raise invalid(
            f"{place}.name",
            f"{tool.name!r} must be 1 to 64 letters, digits, underscores and hyphens",
        )
    parameters = mapping(tool.parameters, f"{place}.parameters")
    if parameters.get("type") != "object":
        raise invalid(
            f"{place}.parameters",
            'must be the JSON schema of an object: {"type": "object", "properties": {...}}',
        )
    return tool


def normalise_tool_choice(value: object, tools: Sequence[Tool]) -> ToolChoice | None:
    """How tools may be used; ``None`` leaves it to the provider.

    Takes ``"auto"``, ``"none"``, ``"required"`` (``"any"``), a tool's name or the tool itself, and
    the dicts of OpenAI and Anthropic.

    Raises:
        InvalidRequestError: It names no tool of these, or there are none.
    """
    if value is None:
        return None
    if not tools:
        raise invalid("tool_choice", "is given without tools: leave it out or pass tools")
    choice = _choice(value)
    if choice.mode not in ("auto", "required", "none"):
        raise invalid("tool_choice", f"mode must be auto, required or none, not {choice.mode!r}")
    if choice.name is not None and choice.name not in {tool.name for tool in tools}:
        known = ", ".join(tool.name for tool in tools)
        raise invalid("tool_choice", f"names no tool {choice.name!r}; the tools are {known}")
    return choice


def _choice(value: object) -> ToolChoice:
    if isinstance(value, ToolChoice):
        return value
    if isinstance(value, str):
        return _choice_by_word(value)
    if isinstance(value, Tool):
        return ToolChoice("required", value.name)
    if isinstance(value, Mapping):
        return _choice_by_dict(value)
    if callable(value):
        return ToolChoice("required", callable_name(value))
    raise invalid("tool_choice", f"must be a string or a dict, not {type(value).__name__}")


def _choice_by_word(word: str) -> ToolChoice:
    if word in ("auto", "none", "required"):
        return ToolChoice(word)  # type: ignore[arg-type]
    return ToolChoice("required") if word == "any" else ToolChoice("required", word)


def _choice_by_dict(data: Mapping[str, Any]) -> ToolChoice:
    known = frozenset({"type", "name", "function", "custom", "disable_parallel_tool_use"})
    refuse_unknown(data, known, "tool_choice")
    if data.get("disable_parallel_tool_use"):
        raise invalid(
            "tool_choice.disable_parallel_tool_use", "say parallel_tool_calls=False instead"
        )
    kind = data.get("type")
    if kind in ("auto", "none", "required", "any"):
        return _choice_by_word(str(kind))
    if kind in ("function", "tool", "custom"):
        inner = mapping(data.get(kind, data), f"tool_choice.{kind}")
        name = text(inner.get("name"), "tool_choice.name")
        return ToolChoice("required", name)
    raise invalid("tool_choice.type", f"must be auto, none, required, any or function: {kind!r}")


def normalise_stop(value: object) -> tuple[str, ...]:
    """The strings that end an answer; ``None`` is none.

    Raises:
        InvalidRequestError: It is neither a string nor a list of strings, or one is empty.
    """
    if value is None:
        return ()
    words = (value,) if isinstance(value, str) else value
    if not isinstance(words, (list, tuple)):
        raise invalid("stop", f"must be a string or a list of strings, not {type(value).__name__}")
    for index, word in enumerate(words):
        place = "stop" if words is not value else f"stop[{index}]"
        if not text(word, place):
            raise invalid(place, "is empty: every answer would end before it begins")
    return tuple(words)
