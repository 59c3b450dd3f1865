"""What a caller asks for, out of its arguments: normalised, checked, and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InvalidRequestError
from ..messages import Image
from ..normalise import normalise_messages
from ..request import ChatRequest
from ..structured import normalise_response_format
from ..tools import normalise_stop, normalise_tool_choice, normalise_tools
from .limits import Need
from .options import CallOptions, by_provider, flag, headers_by_provider, number, whole

__all__ = ["asked", "measured"]

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_IMAGE = 1000
_TOKENS_PER_TOOL = 100
_USUAL_ANSWER = 512
"""Rough figures for the rate limits, which are set right by the provider's own count."""


def asked(messages: object, options: CallOptions) -> ChatRequest:
    """The request. Only what is given is looked at: most calls give one or two of these.

    Raises:
        InvalidRequestError: Something in it is wrong; ``param`` names the place.
    """
    fields: dict[str, Any] = {"messages": normalise_messages(messages)}
    for name, value in options.items():
        read = _FIELDS.get(name)
        if read is not None and value is not None:
            fields[name] = read(options)
    choice = options.get("tool_choice")
    if choice is not None:
        fields["tool_choice"] = normalise_tool_choice(choice, fields.get("tools", ()))
    return ChatRequest(**fields)


def measured(request: ChatRequest) -> tuple[int, Need]:
    """How long the prompt's text is, and what the request may take of rate limits.

    Returns:
        Characters; and tokens, counted by characters.
    """
    characters = 0
    tokens = _TOKENS_PER_TOOL * len(request.tools)
    for message in request.messages:
        content = message.content
        if isinstance(content, str):
            length = len(content)
        else:
            length = len(message.text)
            images = sum(isinstance(part, Image) for part in content)
            arguments = sum(len(call.arguments) for call in message.tool_calls)
            tokens += images * _TOKENS_PER_IMAGE + arguments // _CHARACTERS_PER_TOKEN
        characters += length
        tokens += length // _CHARACTERS_PER_TOKEN + _TOKENS_PER_MESSAGE
    longest = request.max_tokens
    return characters, Need(tokens, longest or _USUAL_ANSWER, longest)


def _reasoning(options: CallOptions) -> Any:
    effort: object = options.get("reasoning_effort")
    if not isinstance(effort, str):
        message = "reasoning_effort: expected a word such as 'low' or 'high'"
        raise InvalidRequestError(message, param="reasoning_effort")
    return effort


_FIELDS: Mapping[str, Callable[[CallOptions], Any]] = {
    "tools": lambda options: normalise_tools(options.get("tools")),
    "response_format": lambda options: normalise_response_format(options.get("response_format")),
    "temperature": lambda options: number(options, "temperature", 0, 2),
    "top_p": lambda options: number(options, "top_p", 0, 1),
    "max_tokens": lambda options: whole(options, "max_tokens", 1),
    "stop": lambda options: normalise_stop(options.get("stop")),
    "seed": lambda options: whole(options, "seed", None),
    "reasoning_effort": _reasoning,
    "parallel_tool_calls": lambda options: flag(options, "parallel_tool_calls"),
    "extra": lambda options: by_provider(options, "extra"),
    "extra_headers": headers_by_provider,
}
