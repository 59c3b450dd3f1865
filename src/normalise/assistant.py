"""What an assistant's dict says beside its content: calls, reasoning, refusals, extras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..messages import Native, NativeBlock, Part, Reasoning, Refusal, Text, ToolCall
from .checks import invalid, is_empty, mapping, refuse_unknown, text, text_or_none, tool_name
from .exact import EXACT
from .parts import arguments_text, image_from_ollama, part_from_dict

__all__ = ["assistant_parts"]

_REASONING = ("reasoning_content", "reasoning", "thinking")
_PLAIN = frozenset({"role", "content", "name", "cache_control", EXACT})
_KNOWN = _PLAIN | {
    *_REASONING,
    "annotations",
    "audio",
    "function_call",
    "images",
    "reasoning_details",
    "refusal",
    "thinking_blocks",
    "tool_calls",
}


def assistant_parts(
    data: Mapping[str, Any], content: str | tuple[Part, ...] | None, place: str
) -> str | tuple[Part, ...]:
    """The content of an assistant's message, in the order in which models speak.

    That is reasoning, text and other content, a refusal, tool calls. A message that has nothing
    but a string keeps it.
    """
    refuse_unknown(data, _KNOWN, place)
    if isinstance(content, str) and data.keys() <= _PLAIN:
        return content
    before = _reasoning(data, place)
    said = _said(data, content, place)
    after = _after(data, place)
    if isinstance(said, str):
        if not before and not after:
            return said
        said = (Text(said),) if said else ()
    return (*before, *said, *after)


def _reasoning(data: Mapping[str, Any], place: str) -> tuple[Part, ...]:
    thought = ""
    for key in _REASONING:
        said = text_or_none(data.get(key), f"{place}.{key}")
        if said and thought and said != thought:
            raise invalid(f"{place}.{key}", "differs from the reasoning said under another key")
        thought = said or thought
    blocks = data.get("thinking_blocks")
    if not is_empty(blocks):
        return tuple(_blocks(blocks, f"{place}.thinking_blocks"))
    details = data.get("reasoning_details")
    if not is_empty(details):
        items = _list(details, f"{place}.reasoning_details")
        thought = thought or "".join(
            str(item.get("text") or item.get("summary") or "")
            for item in items
            if isinstance(item, Mapping)
        )
        return (Reasoning(thought, Native("openai-chat", {"reasoning_details": items})),)
    return (Reasoning(thought),) if thought else ()


def _blocks(blocks: object, place: str) -> list[Part]:
    parts: list[Part] = []
    for index, block in enumerate(_list(blocks, place)):
        at = f"{place}[{index}]"
        part = part_from_dict(mapping(block, at), at)
        if not isinstance(part, Reasoning):
            raise invalid(f"{at}.type", "must be thinking or redacted_thinking")
        parts.append(part)
    return parts


def _said(
    data: Mapping[str, Any], content: str | tuple[Part, ...] | None, place: str
) -> str | tuple[Part, ...]:
    said: str | tuple[Part, ...] = () if content is None else content
    audio = data.get("audio")
    if not is_empty(audio):
        spoken = mapping(audio, f"{place}.audio")
        # Only its author can play it; the others read what was said.
        if not said and (transcript := text_or_none(spoken.get("transcript"), f"{place}.audio")):
            said = (Text(transcript),)
        parts = (Text(said),) if isinstance(said, str) and said else said or ()
        said = (*parts, NativeBlock(Native("openai-chat", {"audio": dict(spoken)})))
    annotations = data.get("annotations")
    if not is_empty(annotations):
        said = _annotated(said, _list(annotations, f"{place}.annotations"), place)
    return said


def _annotated(said: str | tuple[Part, ...], notes: list[Any], place: str) -> tuple[Part, ...]:
    native = Native("openai-chat", {"annotations": notes})
    parts: list[Part] = [Text(said)] if isinstance(said, str) else list(said)
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if isinstance(part, Text):
            if part.native is not None:
                raise invalid(f"{place}.annotations", "the text has citations of its own already")
            parts[index] = Text(part.text, part.cache, native)
            return tuple(parts)
    return (*parts, NativeBlock(native))


def _after(data: Mapping[str, Any], place: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    refusal = text_or_none(data.get("refusal"), f"{place}.refusal")
    if refusal:
        parts.append(Refusal(refusal))
    for index, image in enumerate(_list(data.get("images") or [], f"{place}.images")):
        parts.append(image_from_ollama(image, f"{place}.images[{index}]"))
    for index, call in enumerate(_list(data.get("tool_calls") or [], f"{place}.tool_calls")):
        at = f"{place}.tool_calls[{index}]"
        parts.append(_tool_call(mapping(call, at), at))
    old = data.get("function_call")
    if not is_empty(old):
        at = f"{place}.function_call"
        if data.get("tool_calls"):
            raise invalid(at, "is the old form of tool_calls: give one of the two")
        parts.append(_function("", mapping(old, at), at, None))
    return tuple(parts)


def _tool_call(call: Mapping[str, Any], place: str) -> ToolCall:
    known = frozenset({"id", "type", "index", "function", "custom"})
    extras = {"extra_content", "provider_specific_fields"}
    refuse_unknown(call, known | extras, place)
    call_id = text(call.get("id") or "", f"{place}.id")
    kept = {key: call[key] for key in sorted(extras) if not is_empty(call.get(key))}
    kind = call.get("type") or "function"
    if kind == "custom":
        custom = mapping(call.get("custom"), f"{place}.custom")
        name = tool_name(custom.get("name"), f"{place}.custom.name")
        given = text(custom.get("input"), f"{place}.custom.input")
        kept["custom"] = dict(custom)
        arguments = arguments_text({"input": given}, place)
        return ToolCall(call_id, name, arguments, Native("openai-chat", kept))
    if kind != "function":
        raise invalid(f"{place}.type", f"must be function or custom, not {kind!r}")
    at = f"{place}.function"
    native = Native("openai-chat", kept) if kept else None
    return _function(call_id, mapping(call.get("function"), at), at, native)


def _function(
    call_id: str, function: Mapping[str, Any], place: str, native: Native | None
) -> ToolCall:
    known = frozenset({"name", "arguments", "index", "parsed_arguments"})
    refuse_unknown(function, known, place)
    name = tool_name(function.get("name"), f"{place}.name")
    arguments = arguments_text(function.get("arguments"), f"{place}.arguments")
    return ToolCall(call_id, name, arguments, native)


def _list(value: object, place: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise invalid(place, f"must be a list, not {type(value).__name__}")
    return list(value)
