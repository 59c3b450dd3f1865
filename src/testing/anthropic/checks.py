"""What Anthropic's Messages API refuses before a model sees it, with the API's own messages.

Each check returns the message of a 400, or None. Paths are written as the API writes them:
`messages.1.content.0`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..rendering import Json
from .blocks import check_blocks

__all__ = ["check_messages", "model_version"]

_FIELDS = frozenset(
    [
        "model",
        "messages",
        "max_tokens",
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "stream",
        "stop_sequences",
        "metadata",
        "temperature",
        "top_p",
        "top_k",
        "cache_control",
        "container",
        "diagnostics",
        "inference_geo",
        "output_config",
        "output_format",
        "service_tier",
        "speed",
        "user_profile_id",
        "workspace_id",
        "mcp_servers",
        "context_management",
        "betas",
        "anthropic_version",
        "anthropic_beta",
    ]
)
_COUNTING_FIELDS = frozenset(
    [
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "cache_control",
        "output_config",
        "output_format",
        "speed",
        "mcp_servers",
        "context_management",
        "user_profile_id",
        "workspace_id",
        "betas",
        "anthropic_version",
    ]
)
_TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
_MAX_BREAKPOINTS = 4
_MIN_THINKING_BUDGET = 1024
_MIN_TOP_P_WITH_THINKING = 0.95


def model_version(model: str) -> tuple[int, int]:
    """`(4, 7)` for `claude-opus-4-7`, `(3, 5)` for `claude-3-5-sonnet-20241022`.

    `(0, 0)` where the name has no number.
    """
    match = re.search(r"claude-(?:[a-z]+-)?(\d)(?:-(\d{1,2})(?!\d))?", model)
    return (int(match[1]), int(match[2] or 0)) if match else (0, 0)


def check_messages(body: Any, *, counting: bool = False) -> str | None:
    """The first thing wrong with a request body, None where it would be accepted."""
    if not isinstance(body, dict):
        return "Input should be a valid dictionary"
    return (
        _check_shape(body, counting=counting)
        or (None if counting else _check_numbers(body))
        or _check_tools(body)
        or _check_thinking(body)
        or _check_sampling(body)
        or _check_turns(body)
        or check_blocks(merged_turns(body["messages"]), thinking=_thinking_mode(body))
        or _check_prefill(body)
        or _check_cache_control(body)
    )


def _check_shape(body: Json, *, counting: bool) -> str | None:
    required = ("model", "messages") if counting else ("model", "max_tokens", "messages")
    for name in required:
        if name not in body:
            return f"{name}: Field required"
    for name in body:
        if name not in (_COUNTING_FIELDS if counting else _FIELDS):
            return f"{name}: Extra inputs are not permitted"
    if not isinstance(body["model"], str):
        return "model: Input should be a valid string"
    if not body["model"]:
        return "model: String should have at least 1 character"
    if not isinstance(body["messages"], list):
        return "messages: Input should be a valid list"
    if not body["messages"]:
        return "messages: at least one message is required"
    return _check_system(body)


def _check_system(body: Json) -> str | None:
    system = body.get("system")
    if "system" in body and not isinstance(system, str | list):
        return "system: Input should be a valid string"
    if isinstance(system, list):
        for index, block in enumerate(system):
            if not isinstance(block, dict) or block.get("type") != "text":
                return f"system.{index}.type: Input should be 'text'"
            if not block.get("text"):
                return "system: text content blocks must be non-empty"
    if "stream" in body and not isinstance(body["stream"], bool):
        return "stream: Input should be a valid boolean"
    return None


def _check_numbers(body: Json) -> str | None:  # noqa: C901 - rules read from top to bottom
    limit = body["max_tokens"]
    if not isinstance(limit, int) or isinstance(limit, bool):
        return "max_tokens: Input should be a valid integer"
    if limit < 0 or (limit == 0 and body.get("stream")):
        return "max_tokens: Input should be greater than or equal to 1"
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            return f"{name}: Input should be a valid number"
        if value < 0:
            return f"{name}: range: 0..1"
        if value > 1:
            return f"{name}: range: 0..1"
    stops = body.get("stop_sequences")
    if stops is not None and not isinstance(stops, list):
        return "stop_sequences: Input should be a valid list"
    for index, stop in enumerate(stops or ()):
        if not isinstance(stop, str) or not stop.strip():
            return f"stop_sequences: each stop sequence must contain non-whitespace (index {index})"
    return None


def _check_tools(body: Json) -> str | None:
    tools = body.get("tools")
    if tools is not None and not isinstance(tools, list):
        return "tools: Input should be a valid list"
    if body.get("tool_choice") is not None and not tools:
        return "tool_choice: `tool_choice` may only be specified while providing `tools`."
    names: list[str] = []
    for index, tool in enumerate(tools or ()):
        problem = _check_tool(tool, f"tools.{index}")
        if problem:
            return problem
        names.append(tool.get("name", ""))
    if len(set(names)) != len(names):
        return "tools: Tool names must be unique."
    choice = body.get("tool_choice")
    if choice is not None:
        if not isinstance(choice, dict) or choice.get("type") not in {
            "auto",
            "any",
            "tool",
            "none",
        }:
            return (
                "tool_choice: Input tag found using 'type' does not match any of the "
                "expected tags: " + ("'any', 'auto', 'none', 'tool'")
            )
        if choice["type"] == "tool" and choice.get("name") not in names:
            return f"Tool '{choice.get('name')}' not found in provided tools"
    return None


def _check_tool(tool: Any, path: str) -> str | None:
    if not isinstance(tool, dict):
        return f"{path}: Input should be a valid dictionary"
    if tool.get("type") not in {None, "custom"}:
        return None  # a server tool: its own rules, and no schema
    if not isinstance(tool.get("name"), str):
        return f"{path}.custom.name: Field required"
    if not _TOOL_NAME.match(tool["name"]):
        return f"{path}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
    if "input_schema" not in tool:
        extra = next((key for key in tool if key in {"function", "parameters"}), None)
        return (
            f"{path}.custom.{extra}: Extra inputs are not permitted"
            if extra
            else f"{path}.custom.input_schema: Field required"
        )
    schema = tool["input_schema"]
    if not isinstance(schema, dict):
        return f"{path}.custom.input_schema: Input should be a valid dictionary"
    if "type" not in schema:
        return f"{path}.custom.input_schema.type: Field required"
    if schema["type"] != "object":
        return f"{path}.custom.input_schema.type: Input should be 'object'"
    return None


def _thinking_mode(body: Json) -> str | None:
    thinking = body.get("thinking")
    return thinking.get("type") if isinstance(thinking, dict) else None


def _check_thinking(body: Json) -> str | None:  # noqa: C901 - rules read from top to bottom
    thinking = body.get("thinking")
    if thinking is None:
        return None
    mode = _thinking_mode(body)
    if mode not in {"enabled", "disabled", "adaptive", "between_tools"}:
        return (
            "thinking: Input tag found using 'type' does not match any of the expected tags: "
            "'adaptive', " + ("'between_tools', 'disabled', 'enabled'")
        )
    if mode == "disabled":
        return None
    if mode == "enabled":
        if model_version(body["model"]) >= (4, 7):
            return (
                '"thinking.type.enabled" is not supported for this model. Use '
                '"thinking.type.adaptive" and '
                '"output_config.effort" to control thinking behavior.'
            )
        budget = thinking.get("budget_tokens")
        if budget is None:
            return "thinking.enabled.budget_tokens: Field required"
        if not isinstance(budget, int) or budget < _MIN_THINKING_BUDGET:
            return (
                "thinking.enabled.budget_tokens: Input should be greater than or equal to "
                f"{_MIN_THINKING_BUDGET}"
            )
        if "max_tokens" in body and body["max_tokens"] <= budget:
            return "`max_tokens` must be greater than `thinking.budget_tokens`."
    if (body.get("tool_choice") or {}).get("type") in {"any", "tool"}:
        return "Thinking may not be enabled when tool_choice forces tool use."
    if body.get("temperature") not in {None, 1}:
        return "`temperature` may only be set to 1 when thinking is enabled."
    if body.get("top_p") is not None and body["top_p"] < _MIN_TOP_P_WITH_THINKING:
        return "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."
    if body.get("top_k") is not None:
        return "`top_k` must be unset when thinking is enabled."
    return None


def _check_sampling(body: Json) -> str | None:
    version = model_version(body["model"])
    given = [name for name in ("temperature", "top_p", "top_k") if body.get(name) is not None]
    if version >= (4, 7):
        for name in given:
            if name != "temperature" or body[name] != 1:
                return f"`{name}` is deprecated for this model."
    if version >= (4, 5) and {"temperature", "top_p"} <= set(given):
        return (
            "`temperature` and `top_p` cannot both be specified for this model. Please use "
            "only one."
        )
    return None


def _check_turns(body: Json) -> str | None:
    version = model_version(body["model"])
    for index, message in enumerate(body["messages"]):
        path = f"messages.{index}"
        if not isinstance(message, dict):
            return f"{path}: Input should be a valid dictionary"
        for name in ("role", "content"):
            if name not in message:
                return f"{path}.{name}: Field required"
        extra = next((key for key in message if key not in {"role", "content"}), None)
        if extra is not None:
            return f"{path}.{extra}: Extra inputs are not permitted"
        role = message["role"]
        # From Opus 4.8 on a system message may stand inside the conversation; never first.
        if role == "system" and (index == 0 or version < (4, 8)):
            return (
                'messages: Unexpected role "system". The Messages API accepts a top-level '
                "`system` parameter, not "
                '"system" as an input message role.'
            )
        if role not in {"user", "assistant", "system"}:
            return f'messages: Unexpected role "{role}". Allowed roles are "user" or "assistant"'
    if body["messages"][0]["role"] != "user":
        return 'messages: first message must use the "user" role'
    return None


def merged_turns(messages: list[Json]) -> list[Json]:
    """Consecutive turns of one role combined, as the API does before it checks blocks.

    Each turn keeps the index of its first message under `index`.
    """
    turns: list[Json] = []
    for index, message in enumerate(messages):
        content = message["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if message["role"] == "system":
            continue
        if turns and turns[-1]["role"] == message["role"] and isinstance(content, list):
            turns[-1] = {**turns[-1], "content": [*turns[-1]["content"], *content], "last": index}
        else:
            turns.append(
                {"role": message["role"], "content": content, "index": index, "last": index}
            )
    return turns


def _check_prefill(body: Json) -> str | None:
    last = body["messages"][-1]
    if last["role"] != "assistant":
        return None
    if model_version(body["model"]) >= (4, 6):
        return (
            "This model does not support assistant message prefill. The conversation must "
            "end with a user message."
        )
    content = last["content"]
    text = content if isinstance(content, str) else content[-1].get("text", "") if content else ""
    if text and text != text.rstrip():
        return "messages: final assistant content cannot end with trailing whitespace"
    if _thinking_mode(body) == "enabled":
        return "messages: prefilling assistant responses is not supported when thinking is enabled"
    return None


def _check_cache_control(body: Json) -> str | None:
    found = 0
    for holder, path in _cacheable(body):
        control = holder.get("cache_control")
        if control is None:
            continue
        found += 1
        if not isinstance(control, dict) or control.get("type") != "ephemeral":
            return f"{path}.cache_control.type: Input should be 'ephemeral'"
        if control.get("ttl", "5m") not in {"5m", "1h"}:
            return f"{path}.cache_control.ephemeral.ttl: Input should be '5m' or '1h'"
        if holder.get("type") in {"thinking", "redacted_thinking"}:
            return f"{path}.cache_control: Extra inputs are not permitted"
    if found > _MAX_BREAKPOINTS:
        return (
            f"A maximum of {_MAX_BREAKPOINTS} blocks with cache_control may be provided. "
            f"Found {found}."
        )
    return None


def _cacheable(body: Json) -> Iterator[tuple[Json, str]]:
    yield body, "request"
    for index, tool in enumerate(body.get("tools") or ()):
        yield tool, f"tools.{index}"
    if isinstance(body.get("system"), list):
        for index, block in enumerate(body["system"]):
            yield block, f"system.{index}"
    for number, message in enumerate(body["messages"]):
        for index, block in enumerate(
            message["content"] if isinstance(message["content"], list) else ()
        ):
            yield block, f"messages.{number}.content.{index}"
            for inner, part in enumerate(
                block["content"] if isinstance(block.get("content"), list) else ()
            ):
                if isinstance(part, dict):
                    yield part, f"messages.{number}.content.{index}.content.{inner}"
