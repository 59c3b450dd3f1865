"""From whatever a caller has at hand to the one frozen form of a conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from ..completion import Completion
from ..messages import (
    Audio,
    CacheTtl,
    File,
    Image,
    Message,
    NativeBlock,
    Part,
    Text,
)
from .assistant import assistant_parts
from .checks import invalid, mapping, refuse_unknown, text, text_or_none
from .exact import EXACT, restored
from .pairing import settle_tool_calls
from .parts import cache_mark, image_from_ollama, part_from_dict
from .typed import checked_part

__all__ = ["normalise_message", "normalise_messages"]

_ROLES = ("system", "developer", "user", "assistant", "tool")
_INSTRUCTION = frozenset({Text, NativeBlock})
_INPUT = frozenset({Text, Image, Audio, File, NativeBlock})
_ALLOWED = {"system": _INSTRUCTION, "developer": _INSTRUCTION, "user": _INPUT, "tool": _INPUT}

_COMMON = frozenset({"role", "content", "name", "cache_control", EXACT})
_USER = _COMMON | {"images"}
_TOOL = _COMMON | {"tool_call_id", "tool_name", "is_error"}
_PLAIN = frozenset({"system", "developer", "user", "assistant"})


def normalise_messages(messages: object) -> tuple[Message, ...]:
    """A conversation in the common form, checked.

    Each message may be a :class:`Message`, a :class:`Completion`, a dict in the manner of OpenAI
    (chat), Anthropic or Ollama, or one of these vendors' own reply objects; they may be mixed. A
    plain string is one user message. What is given is never changed.

    The form is canonical: empty arguments of a tool call become ``{}``, tool calls without an id
    get one, an Anthropic user message with tool results becomes tool messages and what is left.

    Raises:
        InvalidRequestError: Something is wrong; ``param`` names the place
            (``messages[2].content[0].image_url.url``) and the message says what to do.
    """
    if isinstance(messages, str):
        if not messages:
            raise invalid("messages", "is an empty string: say something")
        return (Message("user", text(messages, "messages")),)
    if isinstance(messages, (Mapping, Message, bytes)) or not isinstance(messages, Iterable):
        raise invalid(
            "messages", f"must be a list of messages or a string, not {type(messages).__name__}"
        )
    result: list[Message] = []
    origins: list[int] | None = None  # as long as each item is a message, its place is its index
    for index, item in enumerate(messages):
        # The common case, spelled out: nothing in it can be wrong.
        if (
            type(item) is dict
            and len(item) == 2
            and (content := item.get("content")).__class__ is str
            and content.isascii()
            and (role := item.get("role")).__class__ is str
            and role in _PLAIN
        ):
            result.append(Message(role, content))  # type: ignore[arg-type]
        else:
            result += normalise_message(item, f"messages[{index}]")
            if origins is None and len(result) != index + 1:
                origins = list(range(index))
        if origins is not None:
            origins += [index] * (len(result) - len(origins))
    if not result:
        raise invalid("messages", "is empty: a conversation needs at least one message")
    return settle_tool_calls(result, range(len(result)) if origins is None else origins)


def normalise_message(item: object, place: str = "message") -> list[Message]:
    """One message, by itself: nothing is said about whether tool results have their calls.

    A list, since an Anthropic user message may hold several tool results.

    Raises:
        InvalidRequestError: It is wrong; ``param`` begins with ``place``.
    """
    if isinstance(item, Message):
        return [_checked(item, place)]
    if isinstance(item, Completion):
        return [_checked(item.message, place)]
    if not isinstance(item, Mapping):
        dump = getattr(item, "model_dump", None)
        if isinstance(item, type) or not callable(dump):
            raise invalid(
                place,
                "must be a dict with a role and content, a Message, or a vendor's reply, "
                f"not {type(item).__name__}",
            )
        item = dump(mode="json", exclude_none=True, warnings=False)
    data = _unwrapped(mapping(item, place), place)
    role = data.get("role")
    convert = _BY_ROLE.get(role) if isinstance(role, str) else None
    if convert is None:
        raise _unknown_role(data, place)
    messages = convert(data, place)
    for message in messages:
        _check_kinds(message, place)
    return messages


def _unwrapped(data: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The message inside a vendor's whole answer."""
    if "role" in data:
        if data.get("type") == "message":
            # An answer of Anthropic's, or an item of OpenAI's Responses: the rest is envelope.
            return {"role": data["role"], "content": data.get("content")}
        return data
    choices = data.get("choices")
    if isinstance(choices, (list, tuple)):
        if not choices:
            raise invalid(f"{place}.choices", "is empty: there is no message in this answer")
        first = mapping(choices[0], f"{place}.choices[0]")
        return mapping(first.get("message"), f"{place}.choices[0].message")
    inner = data.get("message")
    return inner if isinstance(inner, Mapping) else data


def _unknown_role(data: Mapping[str, Any], place: str) -> Exception:
    if "role" not in data and isinstance(data.get("type"), str):
        return invalid(
            place,
            f"has no role; an item of type {data['type']!r} is not a chat message: "
            "a tool result is {'role': 'tool', 'tool_call_id': ..., 'content': ...}",
        )
    what = f"unknown role {data['role']!r}" if "role" in data else "missing"
    return invalid(f"{place}.role", f"{what}; it is one of {', '.join(_ROLES)}")


def _content(data: Mapping[str, Any], place: str) -> str | tuple[Part, ...] | None:
    content = data.get("content")
    if content is None:
        return None
    place = f"{place}.content"
    if isinstance(content, str):
        return text(content, place)
    if not isinstance(content, (list, tuple)):
        raise invalid(place, f"must be a string or a list of parts, not {type(content).__name__}")
    return tuple(_part(block, f"{place}[{index}]") for index, block in enumerate(content))


def _part(block: object, place: str) -> Part:
    if isinstance(block, Mapping):
        return part_from_dict(block, place)
    if isinstance(block, msgspec.Struct):
        return checked_part(block, place)
    if callable(dump := getattr(block, "model_dump", None)):
        return part_from_dict(dump(mode="json", exclude_none=True, warnings=False), place)
    raise invalid(place, f"must be a dict with a type, not {type(block).__name__}")


def _marked(
    content: str | tuple[Part, ...], ttl: CacheTtl | None, place: str
) -> str | tuple[Part, ...]:
    """The content with a message's cache mark on its last part that can hold one."""
    if ttl is None:
        return content
    parts: list[Part] = [Text(content)] if isinstance(content, str) else list(content)
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if isinstance(part, (Text, Image, File)):
            parts[index] = msgspec.structs.replace(part, cache=ttl)
            return tuple(parts)
    raise invalid(f"{place}.cache_control", "the message has no text, image or file to mark")


def _exactly(data: Mapping[str, Any], place: str) -> tuple[Message | None, bool]:
    if data.get(EXACT) is None:
        return None, False
    message, is_error = restored(data, place)
    return (None if message is None else _checked(message, f"{place}.{EXACT}")), is_error


def _instruction(data: Mapping[str, Any], place: str) -> list[Message]:
    return _plain(data, place, _COMMON)


def _user(data: Mapping[str, Any], place: str) -> list[Message]:
    blocks = data.get("content")
    if isinstance(blocks, (list, tuple)) and any(map(_is_tool_result, blocks)):
        return _user_with_results(data, blocks, place)
    return _plain(data, place, _USER)


def _plain(data: Mapping[str, Any], place: str, known: frozenset[str]) -> list[Message]:
    refuse_unknown(data, known, place)
    exact, _ = _exactly(data, place)
    if exact is not None:
        return [exact]
    content = _content(data, place)
    images = data.get("images") or ()
    if content is None and not images:
        raise invalid(f"{place}.content", "missing: a string or a list of parts")
    content = _marked(content or "", cache_mark(data, place), place) if content != () else ()
    if images:
        said = (Text(content),) if isinstance(content, str) and content else content or ()
        content = (*_images(images, place), *said)
    name = text_or_none(data.get("name"), f"{place}.name")
    return [Message(data["role"], content, name=name)]


def _images(images: object, place: str) -> tuple[Part, ...]:
    if not isinstance(images, (list, tuple)):
        raise invalid(f"{place}.images", "must be a list of base64 strings")
    return tuple(
        image_from_ollama(image, f"{place}.images[{index}]") for index, image in enumerate(images)
    )


def _is_tool_result(block: object) -> bool:
    return _kind(block) == "tool_result"


def _kind(block: object) -> object:
    return block.get("type") if isinstance(block, Mapping) else getattr(block, "type", None)


def _user_with_results(
    data: Mapping[str, Any], blocks: list[Any] | tuple[Any, ...], place: str
) -> list[Message]:
    """Anthropic's way: results are blocks of a user message. Its order is results first."""
    refuse_unknown(data, _COMMON, place)
    results: list[Message] = []
    rest: list[Part] = []
    for index, block in enumerate(blocks):
        at = f"{place}.content[{index}]"
        if _is_tool_result(block):
            results.append(_tool_result(mapping(block, at), at))
        else:
            rest.append(_part(block, at))
    name = text_or_none(data.get("name"), f"{place}.name")
    ttl = cache_mark(data, place)
    if rest:
        results.append(Message("user", _marked(tuple(rest), ttl, place), name=name))
    elif ttl is not None:
        last = results[-1]
        results[-1] = msgspec.structs.replace(last, content=_marked(last.content, ttl, place))
    return results


def _tool_result(block: Mapping[str, Any], place: str) -> Message:
    known = frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"})
    refuse_unknown(block, known, place)
    content = _marked(_content(block, place) or "", cache_mark(block, place), place)
    call_id = text_or_none(block.get("tool_use_id"), f"{place}.tool_use_id")
    return Message("tool", content, call_id, None, _flag(block, place))


def _flag(data: Mapping[str, Any], place: str) -> bool:
    value = data.get("is_error") or False
    if not isinstance(value, bool):
        raise invalid(f"{place}.is_error", f"must be true or false, not {value!r}")
    return value


def _tool(data: Mapping[str, Any], place: str) -> list[Message]:
    refuse_unknown(data, _TOOL, place)
    exact, is_error = _exactly(data, place)
    if exact is not None:
        return [exact]
    content = _content(data, place)
    name = text_or_none(data.get("name") or data.get("tool_name"), f"{place}.name")
    call_id = text_or_none(data.get("tool_call_id"), f"{place}.tool_call_id")
    marked = _marked("" if content is None else content, cache_mark(data, place), place)
    return [Message("tool", marked, call_id, name, is_error or _flag(data, place))]


def _assistant(data: Mapping[str, Any], place: str) -> list[Message]:
    exact, _ = _exactly(data, place)
    if exact is not None:
        return [exact]
    content = assistant_parts(data, _content(data, place), place)
    content = _marked(content, cache_mark(data, place), place)
    name = text_or_none(data.get("name"), f"{place}.name")
    return [Message("assistant", content, name=name)]


_BY_ROLE: dict[str, Callable[[Mapping[str, Any], str], list[Message]]] = {
    "system": _instruction,
    "developer": _instruction,
    "user": _user,
    "assistant": _assistant,
    "tool": _tool,
    # The form before tools: one call, answered by the function's name.
    "function": _tool,
}


def _checked(message: Message, place: str) -> Message:
    """A typed message whose fields hold what they promise."""
    role, content = message.role, message.content
    if role not in _ROLES:
        raise invalid(f"{place}.role", f"unknown role {role!r}; it is one of {', '.join(_ROLES)}")
    if role != "tool" and (message.tool_call_id is not None or message.is_error):
        raise invalid(place, f"tool_call_id and is_error belong to tool messages, not to {role}")
    if isinstance(content, str):
        text(content, f"{place}.content")
        return message
    if not isinstance(content, (list, tuple)):
        raise invalid(
            f"{place}.content",
            f"must be a string or a tuple of parts, not {type(content).__name__}",
        )
    parts = tuple(
        checked_part(part, f"{place}.content[{index}]") for index, part in enumerate(content)
    )
    if type(content) is not tuple or any(a is not b for a, b in zip(parts, content, strict=True)):
        message = msgspec.structs.replace(message, content=parts)
    _check_kinds(message, place)
    return message


def _check_kinds(message: Message, place: str) -> None:
    """Only an assistant thinks, calls and refuses; instructions are text."""
    allowed = _ALLOWED.get(message.role)
    if allowed is None or isinstance(message.content, str):
        return
    for index, part in enumerate(message.content):
        kind = type(part)
        if kind not in allowed:
            advice = "put it into a user message" if kind in _INPUT else "only an assistant's can"
            raise invalid(
                f"{place}.content[{index}]",
                f"a {message.role} message can't hold a part of type {kind.__name__}: {advice}",
            )
