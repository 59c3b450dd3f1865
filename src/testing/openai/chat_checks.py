"""What OpenAI's chat completions endpoint refuses, with its own messages, parameters and codes."""

from __future__ import annotations

from typing import Any

from ..faults import ErrorReply
from ..rendering import Json
from .models import is_reasoning, takes_sampling
from .refusals import bad, missing, wrong_type
from .tool_checks import check_format, check_tools

__all__ = ["check_chat"]

_FIELDS = frozenset(
    [
        "messages",
        "model",
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "modalities",
        "moderation",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    ]
)
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_MAX_ID = 40
_MAX_STOPS = 4
_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_DEFAULTS = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}


def check_chat(body: Any) -> ErrorReply | None:
    """The vendor's refusal of a chat completion request, None where it would accept it."""
    if not isinstance(body, dict):
        return bad(
            "We could not parse the JSON body of your request. (HINT: This likely means you "
            "aren't using your HTTP "
            "library correctly. The OpenAI API expects a JSON payload, but what was sent was "
            "not valid JSON.)"
        )
    return (
        _check_fields(body)
        or _check_model_rules(body)
        or _check_messages(body["messages"])
        or _check_pairs(body["messages"])
        or check_tools(body)
        or check_format(body)
    )


def _check_fields(body: Json) -> ErrorReply | None:
    if not body.get("model"):
        return bad("you must provide a model parameter")
    if not isinstance(body["model"], str):
        return wrong_type("model", "a string", body["model"])
    for name in body:
        if name not in _FIELDS:
            return bad(f"Unrecognized request argument supplied: {name}")
    if "messages" not in body:
        return missing("messages")
    if not isinstance(body["messages"], list):
        return wrong_type("messages", "an array of objects", body["messages"])
    if not body["messages"]:
        return bad(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got "
            "an empty array instead.",
            param="messages",
            code="empty_array",
        )
    return _check_sampling(body) or _check_counts(body)


def _check_sampling(body: Json) -> ErrorReply | None:
    for name, low, high in (
        ("temperature", 0, 2),
        ("top_p", 0, 1),
        ("presence_penalty", -2, 2),
        ("frequency_penalty", -2, 2),
    ):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            return wrong_type(name, "a decimal", value)
        if not low <= value <= high:
            word, bound, code = (
                ("above maximum", high, "decimal_above_max_value")
                if value > high
                else ("below minimum", low, "decimal_below_min_value")
            )
            side = "<=" if value > high else ">="
            return bad(
                f"Invalid '{name}': decimal {word} value. Expected a value {side} {bound}, but "
                f"got {value} instead.",
                param=name,
                code=code,
            )
    return None


def _check_counts(body: Json) -> ErrorReply | None:
    for name in ("max_tokens", "max_completion_tokens", "n", "seed"):
        value = body.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            return wrong_type(name, "an integer", value)
        if name != "seed" and isinstance(value, int) and value < 1:
            return bad(
                f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got "
                f"{value} instead.",
                param=name,
                code="integer_below_min_value",
            )
    stops = body.get("stop")
    if isinstance(stops, list) and len(stops) > _MAX_STOPS:
        return bad(
            "Invalid 'stop': array too long. Expected an array with maximum length "
            f"{_MAX_STOPS}, but got an array "
            f"with length {len(stops)} instead.",
            param="stop",
            code="array_above_max_length",
        )
    if body.get("stream_options") is not None and not body.get("stream"):
        return bad(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    return None


def _check_model_rules(body: Json) -> ErrorReply | None:
    model = body["model"]
    if not is_reasoning(model):
        if body.get("reasoning_effort") is not None:
            return bad("Unrecognized request argument supplied: reasoning_effort")
        if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
            return bad(
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not "
                "supported."
            )
        return None
    if body.get("max_tokens") is not None:
        return bad(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    if not takes_sampling(model, body.get("reasoning_effort")):
        for name in _SAMPLING:
            value = body.get(name)
            if value is not None and value != _DEFAULTS[name]:
                return bad(
                    f"Unsupported value: '{name}' does not support {value} with this model. "
                    "Only the default "
                    f"({_DEFAULTS[name]}) value is supported.",
                    param=name,
                    code="unsupported_value",
                )
        for name in ("logprobs", "top_logprobs", "logit_bias", "stop"):
            if body.get(name):
                return bad(
                    f"Unsupported parameter: '{name}' is not supported with this model.",
                    param=name,
                    code="unsupported_parameter",
                )
    return None


def _check_messages(messages: list[Any]) -> ErrorReply | None:
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            return wrong_type(path, "an object", message)
        role = message.get("role")
        if role is None:
            return missing(f"{path}.role")
        if role not in _ROLES:
            expected = ", ".join(
                f"'{name}'" for name in ("system", "assistant", "user", "function", "tool")
            )
            return bad(
                f"Invalid value: '{role}'. Supported values are: {expected}, and 'developer'.",
                param=f"{path}.role",
                code="invalid_value",
            )
        problem = _check_content(message, path) or _check_calls(message, path)
        if problem is not None:
            return problem
    return None


def _check_content(message: Json, path: str) -> ErrorReply | None:  # noqa: C901 - rules read from top to bottom
    content = message.get("content")
    if content is None:
        if message["role"] == "assistant" and any(
            message.get(key) for key in ("tool_calls", "function_call", "refusal", "audio")
        ):
            return None
        return bad(
            "Invalid value for 'content': expected a string, got null.",
            param=f"{path}.content",
            code=None,
        )
    if isinstance(content, str):
        return None
    if not isinstance(content, list):
        return wrong_type(f"{path}.content", "one of a string or array of objects", content)
    allowed = {
        "user": {"text", "image_url", "input_audio", "file"},
        "assistant": {"text", "refusal"},
    }.get(message["role"], {"text"})
    for index, part in enumerate(content):
        inner = f"{path}.content[{index}]"
        if not isinstance(part, dict):
            return wrong_type(inner, "an object", part)
        if part.get("type") not in allowed:
            supported = " and ".join(f"'{kind}'" for kind in sorted(allowed))
            return bad(
                f"Invalid value: '{part.get('type')}'. Supported values are: {supported}.",
                param=inner if "type" in part else f"{inner}.type",
                code="invalid_value",
            )
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            return missing(f"{inner}.text")
        if part["type"] == "image_url":
            problem = _check_image(part, inner)
            if problem is not None:
                return problem
    return None


def _check_image(part: Json, path: str) -> ErrorReply | None:
    image = part.get("image_url")
    if not isinstance(image, dict):
        return wrong_type(f"{path}.image_url", "an object", image)
    url = image.get("url")
    if not isinstance(url, str) or not url.startswith(("http://", "https://", "data:image/")):
        return bad(
            f"Invalid '{path}.image_url.url'. Expected a valid URL, but got a value with an "
            "invalid format.",
            param=f"{path}.image_url.url",
            code="invalid_value",
        )
    return None


def _check_calls(message: Json, path: str) -> ErrorReply | None:
    if message["role"] == "tool" and not isinstance(message.get("tool_call_id"), str):
        name = f"{path}.tool_call_id"
        return missing(name)
    calls = message.get("tool_calls")
    if calls is None:
        return None
    if message["role"] != "assistant":
        return bad(f"Unrecognized request argument supplied: {path}.tool_calls")
    if not calls:
        return bad(
            f"Invalid '{path}.tool_calls': empty array. Expected an array with minimum length "
            "1, but got an empty array "
            "instead.",
            param=f"{path}.tool_calls",
            code="empty_array",
        )
    for index, call in enumerate(calls):
        problem = _check_call(call, f"{path}.tool_calls[{index}]")
        if problem is not None:
            return problem
    return None


def _check_call(call: Any, path: str) -> ErrorReply | None:
    if not isinstance(call, dict):
        return wrong_type(path, "an object", call)
    for name in ("id", "type"):
        if not isinstance(call.get(name), str):
            return missing(f"{path}.{name}")
    if len(call["id"]) > _MAX_ID:
        return bad(
            f"Invalid '{path}.id': string too long. Expected a string with maximum length "
            f"{_MAX_ID}, but got a string "
            f"with length {len(call['id'])} instead.",
            param=f"{path}.id",
            code="string_above_max_length",
        )
    if call["type"] == "custom":
        return None
    function = call.get("function")
    if not isinstance(function, dict):
        return missing(f"{path}.function")
    for name in ("name", "arguments"):
        if name not in function:
            inner = f"{path}.function.{name}"
            return missing(inner)
        if not isinstance(function[name], str):
            return wrong_type(f"{path}.function.{name}", "a string", function[name])
    return None


def _check_pairs(messages: list[Json]) -> ErrorReply | None:
    """Every call answered right behind its message, every answer belonging to a call."""
    waiting: list[str] = []
    asked: set[str] = set()
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in asked:
                return bad(
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceeding message with "
                    "'tool_calls'.",
                    param=f"messages.[{index}].role",
                )
            waiting = [
                identifier for identifier in waiting if identifier != message["tool_call_id"]
            ]
            continue
        if waiting:
            return _unanswered(waiting, index)
        asked = {call["id"] for call in message.get("tool_calls") or ()}
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    return _unanswered(waiting, len(messages)) if waiting else None


def _unanswered(waiting: list[str], index: int) -> ErrorReply:
    return bad(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to "
        "each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(waiting)}",
        param=f"messages.[{index}].role",
    )
