"""OpenAI's rules for tool definitions and response formats, in its own words."""

from __future__ import annotations

import re
from typing import Any

from ..faults import ErrorReply
from ..rendering import Json
from .refusals import bad, missing, wrong_type
from .schema import check_strict_schema

__all__ = ["check_format", "check_function", "check_tools"]

_MAX_TOOLS = 128


def check_tools(body: Json) -> ErrorReply | None:
    """The vendor's refusal of the tools and the tool choice of a chat request."""
    tools = body.get("tools")
    if tools is None:
        if (
            body.get("tool_choice") not in {None, "none"}
            if not isinstance(body.get("tool_choice"), dict)
            else True
        ):
            return bad(
                "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' "
                "are specified.",
                param="tool_choice",
            )
        if body.get("parallel_tool_calls") is not None:
            return bad(
                "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed "
                "when 'tools' are specified.",
                param="parallel_tool_calls",
            )
        return None
    if not isinstance(tools, list):
        return wrong_type("tools", "an array of objects", tools)
    if not tools:
        return bad(
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead.",
            param="tools",
            code="empty_array",
        )
    if len(tools) > _MAX_TOOLS:
        return bad(
            "Invalid 'tools': array too long. Expected an array with maximum length "
            f"{_MAX_TOOLS}, but got an array "
            f"with length {len(tools)} instead.",
            param="tools",
            code="array_above_max_length",
        )
    for index, tool in enumerate(tools):
        problem = _check_tool(tool, f"tools[{index}]")
        if problem is not None:
            return problem
    return None


def _check_tool(tool: Any, path: str) -> ErrorReply | None:
    if not isinstance(tool, dict) or "type" not in tool:
        return missing(f"{path}.type")
    if tool["type"] != "function":
        return None
    if not isinstance(tool.get("function"), dict):
        return missing(f"{path}.function")
    return check_function(tool["function"], f"{path}.function")


def check_function(function: Json, path: str) -> ErrorReply | None:
    """A function's name and schema; the Responses API has the same rules."""
    name = function.get("name")
    if not isinstance(name, str):
        return missing(f"{path}.name")
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
        return bad(
            f"Invalid '{path}.name': string does not match pattern. Expected a string that "
            "matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
            param=f"{path}.name",
            code="invalid_value",
        )
    schema = function.get("parameters")
    if schema is None:
        return None
    if not isinstance(schema, dict) or (schema and schema.get("type") != "object"):
        got = schema.get("type") if isinstance(schema, dict) else None
        return bad(
            f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: "
            "\"object\"', got 'type: "
            f'"{got}"\'.',
            param=f"{path}.parameters",
            code="invalid_function_parameters",
        )
    if function.get("strict"):
        problem = check_strict_schema(schema)
        if problem is not None:
            return bad(
                f"Invalid schema for function '{name}': {problem}",
                param=f"{path}.parameters",
                code="invalid_function_parameters",
            )
    return None


def check_format(body: Json) -> ErrorReply | None:
    """The vendor's refusal of a chat request's `response_format`."""
    wanted = body.get("response_format")
    if wanted is None:
        return None
    if not isinstance(wanted, dict) or wanted.get("type") not in {
        "text",
        "json_object",
        "json_schema",
    }:
        return bad(
            "Invalid value: '{}'. Supported values are: 'json_object', 'json_schema', and "
            "'text'.".format(wanted.get("type") if isinstance(wanted, dict) else wanted),
            param="response_format.type",
            code="invalid_value",
        )
    if wanted["type"] == "json_object" and "json" not in str(body["messages"]).lower():
        return bad(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
            param="messages",
        )
    if wanted["type"] != "json_schema":
        return None
    schema = wanted.get("json_schema")
    if not isinstance(schema, dict):
        return missing("response_format.json_schema")
    if not isinstance(schema.get("name"), str):
        return missing("response_format.json_schema.name")
    problem = check_strict_schema(schema.get("schema") or {}) if schema.get("strict") else None
    if problem is not None:
        return bad(
            f"Invalid schema for response_format '{schema['name']}': {problem}",
            param="response_format",
        )
    return None
