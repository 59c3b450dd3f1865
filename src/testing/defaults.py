"""The answer given where a test scripted none.

An echo, a forced tool call, or the smallest instance of a schema.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from .answers import Answer, ToolCall
from .rendering import Json, estimate_tokens
from .wire import Ask

__all__ = ["default_answer", "embedding_of", "example_of"]

_MAX_DEPTH = 8


def default_answer(ask: Ask) -> Answer:
    """A deterministic answer that fits the request."""
    if ask.forced_tool is not None and ask.tools:
        name, schema = next(
            (tool for tool in ask.tools if tool[0] == ask.forced_tool), ask.tools[0]
        )
        return Answer(tool_calls=(ToolCall(name=name, arguments=example_of(schema)),))
    if ask.schema is not None:
        return Answer(text=msgspec.json.encode(example_of(ask.schema)).decode())
    if ask.json_mode:
        return Answer(text=msgspec.json.encode({"echo": ask.prompt}).decode())
    text = f"You said: {ask.prompt}" if ask.prompt else "You said nothing."
    if ask.max_tokens is not None and estimate_tokens(text) > ask.max_tokens:
        # Four bytes a token, as everywhere in the simulator; a cut inside a character is dropped
        # with it.
        short = text.encode()[: 4 * ask.max_tokens].decode(errors="ignore")
        return Answer(text=short, stop_reason="length")
    return Answer(text=text)


def example_of(schema: Json) -> Any:
    """The smallest instance of a JSON schema.

    It keeps to types, enums, required and local `$ref`s.
    """
    return _example(schema, schema, 0)


def _example(schema: Any, root: Json, depth: int) -> Any:  # noqa: C901 - one case a keyword of the schema language
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    if "$ref" in schema:
        return _example(_resolve(str(schema["$ref"]), root), root, depth + 1)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _example(schema[key][0], root, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), "null")
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties") or {}
        wanted = schema.get("required", list(properties))
        return {name: _example(properties.get(name, {}), root, depth + 1) for name in wanted}
    if kind == "array":
        return [_example(schema.get("items", {}), root, depth + 1)] * int(schema.get("minItems", 1))
    numbers = {
        "integer": int(schema.get("minimum", 1)),
        "number": float(schema.get("minimum", 1.5)),
    }
    return {"string": "text", "boolean": True, **numbers}.get(str(kind))


def _resolve(reference: str, root: Json) -> Any:
    node: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            node = node.get(part, {}) if isinstance(node, dict) else {}
    return node


def embedding_of(text: str, dimensions: int) -> tuple[float, ...]:
    """A unit vector that depends on nothing but the text."""
    raw: list[int] = []
    block = text.encode()
    while len(raw) < dimensions:
        block = hashlib.sha256(block).digest()
        raw.extend(block)
    numbers = [byte / 127.5 - 1.0 for byte in raw[:dimensions]]
    norm = sum(number * number for number in numbers) ** 0.5 or 1.0
    return tuple(number / norm for number in numbers)
