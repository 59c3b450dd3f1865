"""What Ollama refuses: mostly what Go's JSON decoder cannot put into its structs."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ..rendering import Json

__all__ = ["check_chat", "check_embed"]

_GO_NAMES = {
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}
_THINK_LEVELS = ("high", "medium", "low")


def _cannot(value: object, field: str, go_type: str) -> str:
    name = _GO_NAMES.get(type(value), "value")
    return f"json: cannot unmarshal {name} into Go struct field {field} of type {go_type}"


def check_chat(body: Any) -> str | None:
    """The message of the 400 for a chat request, None where it would be accepted."""
    if not isinstance(body, dict):
        return (
            f"json: cannot unmarshal {_GO_NAMES.get(type(body), 'value')} into Go value of "
            "type api.ChatRequest"
        )
    if not body.get("model"):
        return "model is required"
    messages = body.get("messages")
    if messages is not None and not isinstance(messages, list):
        return _cannot(messages, "ChatRequest.messages", "[]api.Message")
    for message in messages or ():
        problem = _check_message(message)
        if problem is not None:
            return problem
    return _check_think(body) or _check_format(body) or _check_options(body) or _check_tools(body)


def _check_message(message: Any) -> str | None:
    if not isinstance(message, dict):
        return _cannot(message, "ChatRequest.messages", "api.Message")
    role = message.get("role")
    if not isinstance(role, str):
        return _cannot(role, "ChatRequest.messages.role", "string")
    if message.get("content") is not None and not isinstance(message["content"], str):
        return _cannot(message["content"], "ChatRequest.messages.content", "string")
    for image in message.get("images") or ():
        problem = _check_image(image)
        if problem is not None:
            return problem
    for call in message.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            return _cannot(
                function, "ChatRequest.messages.tool_calls.function", "api.ToolCallFunction"
            )
        if not isinstance(function.get("arguments", {}), dict):
            field = "ChatRequest.messages.tool_calls.function.arguments"
            return _cannot(function["arguments"], field, "api.ToolCallFunctionArguments")
    return None


def _check_image(image: Any) -> str | None:
    if not isinstance(image, str):
        return _cannot(image, "ChatRequest.messages.images", "api.ImageData")
    try:
        base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        alphabet = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
        place = next(
            (index for index, letter in enumerate(image) if letter not in alphabet), len(image)
        )
        return f"illegal base64 data at input byte {place}"
    return None


def _check_think(body: Json) -> str | None:
    think = body.get("think")
    if think is None or isinstance(think, bool) or think in _THINK_LEVELS:
        return None
    shown = f'"{think}"' if isinstance(think, str) else str(think)
    return f'invalid think value: {shown} (must be "high", "medium", "low", true, or false)'


def _check_format(body: Json) -> str | None:
    wanted = body.get("format")
    if wanted in (None, "", "json") or isinstance(wanted, dict):
        return None
    return f'invalid format: "{wanted}"; expected "json" or a valid JSON Schema object'


def _check_options(body: Json) -> str | None:
    options = body.get("options")
    if options is not None and not isinstance(options, dict):
        return _cannot(options, "ChatRequest.options", "map[string]interface {}")
    for name in ("temperature", "top_p", "num_predict", "num_ctx", "seed", "top_k"):
        value = (options or {}).get(name)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            return (
                f'option "{name}" must be of type '
                f"{'float32' if name in {'temperature', 'top_p'} else 'integer'}"
            )
    return None


def _check_tools(body: Json) -> str | None:
    tools = body.get("tools")
    if tools is not None and not isinstance(tools, list):
        return _cannot(tools, "ChatRequest.tools", "api.Tools")
    for tool in tools or ():
        if not isinstance(tool, dict) or not isinstance(tool.get("function"), dict):
            return _cannot(tool, "ChatRequest.tools.function", "api.ToolFunction")
    return None


def check_embed(body: Any) -> str | None:
    """The message of the 400 for an embed request, None where it would be accepted."""
    if not isinstance(body, dict):
        return (
            f"json: cannot unmarshal {_GO_NAMES.get(type(body), 'value')} into Go value of "
            "type api.EmbedRequest"
        )
    if not body.get("model"):
        return "model is required"
    entered = body.get("input")
    if isinstance(entered, str) or (
        isinstance(entered, list) and all(isinstance(item, str) for item in entered)
    ):
        return None
    return "invalid input type"
