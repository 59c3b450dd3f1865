"""Anthropic's rules for content blocks.

Their fields, the pairing of tool calls and results, thinking signatures.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from ..rendering import Json
from ..seals import verify

__all__ = ["check_blocks"]

_TOOL_ID = re.compile(r"^[a-zA-Z0-9_-]+$")
_MEDIA_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_KNOWN = frozenset(
    [
        "text",
        "image",
        "document",
        "tool_use",
        "tool_result",
        "thinking",
        "redacted_thinking",
        "search_result",
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "container_upload",
        "compaction",
    ]
)
_FIELDS = {
    "text": {"type", "text", "cache_control", "citations"},
    "tool_use": {"type", "id", "name", "input", "cache_control", "caller", "toolset_name"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
}


def check_blocks(turns: list[Json], *, thinking: str | None) -> str | None:
    """The first thing wrong with the blocks of merged turns, None where all is well."""
    for number, turn in enumerate(turns):
        path = f"messages.{turn['index']}"
        if not isinstance(turn["content"], list):
            return f"{path}.content: Input should be a valid list"
        if not turn["content"] and number != len(turns) - 1:
            return (
                f"{path}: all messages must have non-empty content except for the optional "
                "final assistant message"
            )
        for index, block in enumerate(turn["content"]):
            problem = _check_block(block, turn["role"], f"{path}.content.{index}")
            if problem:
                return problem
    return _check_pairs(turns) or _check_final_thinking(turns, thinking)


def _check_block(block: Any, role: str, path: str) -> str | None:  # noqa: C901 - rules read from top to bottom
    if not isinstance(block, dict):
        return f"{path}: Input should be a valid dictionary"
    kind = block.get("type")
    if kind is None:
        return f"{path}.type: Field required"
    if kind not in _KNOWN:
        return (
            f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        )
    extra = next((key for key in block if key not in _FIELDS.get(kind, block)), None)
    if extra is not None:
        return f"{path}.{kind}.{extra}: Extra inputs are not permitted"
    if kind in {"tool_use", "thinking", "redacted_thinking"} and role != "assistant":
        return f"{path}: `{kind}` blocks can only be in `assistant` messages"
    if kind == "tool_result" and role != "user":
        return f"{path}: `tool_result` blocks can only be in `user` messages"
    match kind:
        case "text":
            return _check_text(block, role, path)
        case "tool_use":
            return _check_tool_use(block, path)
        case "tool_result":
            return _check_tool_result(block, path)
        case "thinking":
            return _check_thinking(block, path)
        case "redacted_thinking":
            return (
                None
                if verify(block.get("data"), "redacted", "")
                else f"{path}: Invalid `data` in `redacted_thinking` block"
            )
        case "image":
            return _check_image(block, path)
    return None


def _check_text(block: Json, role: str, path: str) -> str | None:
    if not isinstance(block.get("text"), str):
        return (
            f"{path}.text.text: Field required"
            if "text" not in block
            else f"{path}.text.text: Input should be a valid string"
        )
    if not block["text"]:
        return "messages: text content blocks must be non-empty"
    # Recorded traffic has a lone space in an assistant's turn, accepted.
    if role == "user" and not block["text"].strip():
        return "messages: text content blocks must contain non-whitespace text"
    return None


def _check_tool_use(block: Json, path: str) -> str | None:
    for name in ("id", "name", "input"):
        if name not in block:
            return f"{path}.tool_use.{name}: Field required"
    if not isinstance(block["id"], str) or not _TOOL_ID.match(block["id"]):
        return f"{path}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
    if not isinstance(block["input"], dict):
        return f"{path}.tool_use.input: Input should be a valid dictionary"
    return None


def _check_tool_result(block: Json, path: str) -> str | None:
    if "tool_use_id" not in block:
        return f"{path}.tool_result.tool_use_id: Field required"
    if not isinstance(block["tool_use_id"], str) or not _TOOL_ID.match(block["tool_use_id"]):
        return f"{path}.tool_result.tool_use_id: String should match pattern '^[a-zA-Z0-9_-]+$'"
    content = block.get("content", "")
    if not isinstance(content, str | list):
        return f"{path}.tool_result.content: Input should be a valid list"
    for index, part in enumerate(content if isinstance(content, list) else ()):
        inner = f"{path}.tool_result.content.{index}"
        if not isinstance(part, dict) or part.get("type") not in {
            "text",
            "image",
            "document",
            "search_result",
            "tool_reference",
        }:
            return f"{inner}: Input tag found using 'type' does not match any of the expected tags"
        problem = _check_block(part, "user", inner)
        if problem:
            return problem
    return None


def _check_thinking(block: Json, path: str) -> str | None:
    for name in ("signature", "thinking"):
        if not isinstance(block.get(name), str):
            return f"{path}.thinking.{name}: Field required"
    if not verify(block["signature"], "thinking", block["thinking"]):
        return f"{path}: Invalid `signature` in `thinking` block"
    return None


def _check_image(block: Json, path: str) -> str | None:
    source = block.get("source")
    if not isinstance(source, dict):
        return f"{path}.image.source: Field required"
    if source.get("type") != "base64":
        return None
    if source.get("media_type") not in _MEDIA_TYPES:
        expected = "'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
        return f"{path}.image.source.base64.media_type: Input should be {expected}"
    try:
        base64.b64decode(str(source.get("data", "")), validate=True)
    except (binascii.Error, ValueError):
        return f"{path}.image.source.base64: invalid base64 data"
    return None


def _check_pairs(turns: list[Json]) -> str | None:
    for number, turn in enumerate(turns):
        blocks = turn["content"]
        if turn["role"] == "assistant":
            asked = [block["id"] for block in blocks if block["type"] == "tool_use"]
            if len(set(asked)) != len(asked):
                return f"messages.{turn['index']}: `tool_use` ids must be unique"
            following = turns[number + 1]["content"] if number + 1 < len(turns) else []
            missing = [
                identifier for identifier in asked if identifier not in _leading_results(following)
            ]
            if missing:
                return (
                    f"messages.{turn['last']}: `tool_use` ids were found without `tool_result` "
                    "blocks immediately "
                    f"after: {', '.join(missing)}. Each `tool_use` block must have a "
                    "corresponding `tool_result` "
                    "block in the next message."
                )
            continue
        previous = turns[number - 1]["content"] if number else []
        known = {block["id"] for block in previous if block["type"] == "tool_use"}
        answered: set[str] = set()
        for index, block in enumerate(blocks):
            if block["type"] != "tool_result":
                continue
            identifier = block["tool_use_id"]
            if identifier not in known:
                return (
                    f"messages.{turn['index']}.content.{index}: unexpected `tool_use_id` found "
                    "in `tool_result` "
                    f"blocks: {identifier}. Each `tool_result` block must have a corresponding "
                    "`tool_use` block in "
                    "the previous message."
                )
            if identifier in answered:
                return (
                    f"messages.{turn['index']}.content.{index}: each tool_use must have a "
                    "single result. Found "
                    f"multiple `tool_result` blocks with id: {identifier}"
                )
            answered.add(identifier)
    return None


def _leading_results(blocks: list[Json]) -> set[str]:
    """The results that come before anything else: one behind a text block is not seen."""
    found: set[str] = set()
    for block in blocks:
        if block["type"] != "tool_result":
            break
        found.add(block["tool_use_id"])
    return found


def _check_final_thinking(turns: list[Json], thinking: str | None) -> str | None:
    """With a budget, the assistant turn of an open tool loop begins with its thinking."""
    if thinking != "enabled":
        return None
    loop = turns[-1]["role"] == "user" and any(
        block["type"] == "tool_result" for block in turns[-1]["content"]
    )
    assistant = [turn for turn in turns if turn["role"] == "assistant"]
    if not loop or not assistant:
        return None
    # In a loop of several rounds the turn that counts is the first after the last real user
    # message.
    first = assistant[-1]
    for turn in reversed(turns):
        if turn["role"] == "user" and not any(
            block["type"] == "tool_result" for block in turn["content"]
        ):
            break
        if turn["role"] == "assistant":
            first = turn
    kind = first["content"][0]["type"] if first["content"] else "nothing"
    if kind in {"thinking", "redacted_thinking"}:
        return None
    return (
        f"messages.{first['index']}.content.0.type: Expected `thinking` or `redacted_thinking`, "
        f"but found `{kind}`. "
        "When `thinking` is enabled, a final `assistant` message must start with a thinking "
        "block (preceeding the "
        "lastmost set of `tool_use` and `tool_result` blocks). We recommend you include "
        "thinking blocks from previous "
        "turns. To avoid this requirement, disable `thinking`."
    )
