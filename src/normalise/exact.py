"""What of a message OpenAI's chat shape can show, and the extra key for what it can't."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..messages import Audio, File, Image, Message, Part, Reasoning, Refusal, Text, ToolCall
from .checks import invalid, is_empty, mapping

__all__ = ["EXACT", "exact_form", "restored", "visible"]

EXACT = "switchgear"
"""The key under which a message's exact parts travel, where the shape can't hold them."""

_MESSAGE_FIELDS = ("annotations", "audio", "reasoning_details")


def visible(message: Message, *, flat: bool = False) -> dict[str, Any]:
    """The message as OpenAI's clients read it.

    Args:
        message: Any message.
        flat: An assistant's content is a string or None, as in an answer, never parts.
    """
    content = message.content
    shown: dict[str, Any] = {"role": message.role}
    if message.role == "assistant" and not isinstance(content, str):
        _show_assistant(content, shown, flat=flat)
    elif isinstance(content, str):
        shown["content"] = content
    else:
        shown["content"] = [block for part in content if (block := _block(part))]
    if message.tool_call_id is not None:
        shown["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        shown["name"] = message.name
    return shown


def _show_assistant(parts: tuple[Part, ...], shown: dict[str, Any], *, flat: bool) -> None:
    said = [part for part in parts if isinstance(part, (Text, Image, Audio, File))]
    texts = [part.text for part in said if isinstance(part, Text)]
    # A lone text beside reasoning or calls reads back as it was; a lone text without them would
    # read back as a plain string, and several would become one.
    alone = len(parts) == len(said)
    plain = len(said) == len(texts) == 1 and not alone
    if flat or plain or not said:
        shown["content"] = "".join(texts) if texts else None
    else:
        shown["content"] = [_block(part) for part in said]
    thought = "".join(part.text for part in parts if isinstance(part, Reasoning))
    if thought:
        shown["reasoning_content"] = thought
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    if refusals:
        shown["refusal"] = "".join(refusals)
    calls = [_call(part) for part in parts if isinstance(part, ToolCall)]
    if calls:
        shown["tool_calls"] = calls
    for part in parts:
        native = getattr(part, "native", None)
        if native is not None and native.author == "openai-chat":
            shown.update((k, v) for k, v in native.data.items() if k in _MESSAGE_FIELDS)


def _call(part: ToolCall) -> dict[str, Any]:
    function = {"name": part.name, "arguments": part.arguments}
    return {"id": part.id, "type": "function", "function": function}


def _block(part: Part) -> dict[str, Any] | None:
    match part:
        case Text():
            block: dict[str, Any] = {"type": "text", "text": part.text}
        case Image():
            url = part.url or f"data:{part.media_type or ''};base64,{part.data}"
            image = {"url": url}
            if part.detail is not None:
                image["detail"] = part.detail
            block = {"type": "image_url", "image_url": image}
        case Audio():
            return {
                "type": "input_audio",
                "input_audio": {"data": part.data, "format": part.format},
            }
        case File():
            block = {"type": "file", "file": _file(part)}
        case _:
            return None
    if part.cache is not None:
        block["cache_control"] = {"type": "ephemeral"}
        if part.cache != "5m":
            block["cache_control"]["ttl"] = part.cache
    return block


def _file(part: File) -> dict[str, str]:
    data = part.data
    if data is not None and part.media_type is not None:
        data = f"data:{part.media_type};base64,{data}"
    fields = {
        "file_data": data,
        "file_id": part.file_id,
        "file_url": part.url,
        "filename": part.filename,
    }
    return {key: value for key, value in fields.items() if value is not None}


def exact_form(message: Message) -> dict[str, Any]:
    """What goes under :data:`EXACT`."""
    content = message.content
    plain = content if isinstance(content, str) else [msgspec.to_builtins(part) for part in content]
    exact: dict[str, Any] = {"content": plain}
    if message.is_error:
        exact["is_error"] = True
    return exact


def restored(data: Mapping[str, Any], place: str) -> tuple[Message | None, bool]:
    """The exact message that a dict carries, and whether it is a failed tool's.

    The message is None where the visible fields were edited since: then they hold.

    Raises:
        InvalidRequestError: What stands under :data:`EXACT` was not written by this library.
    """
    place = f"{place}.{EXACT}"
    exact = mapping(data[EXACT], place)
    try:
        content = msgspec.convert(exact.get("content"), str | tuple[Part, ...])
        is_error = msgspec.convert(exact.get("is_error", False), bool)
    except msgspec.ValidationError as exc:
        raise invalid(place, f"is not what to_openai() wrote; leave the key out: {exc}") from exc
    message = Message(data["role"], content, data.get("tool_call_id"), data.get("name"), is_error)
    given = _filled(data)
    for flat in (False, True):
        if _filled(visible(message, flat=flat)) == given:
            return message, is_error
    return None, is_error


def _filled(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != EXACT and not is_empty(value)}
