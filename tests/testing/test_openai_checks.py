from __future__ import annotations

from typing import Any

import pytest

from switchgear.testing.openai.chat_checks import check_chat
from switchgear.testing.openai.responses import Store
from switchgear.testing.openai.responses_checks import check_responses

HELLO = {"role": "user", "content": "hello"}
BASE: dict[str, Any] = {"model": "gpt-4o", "messages": [HELLO]}


def call(identifier: str = "call_1", arguments: Any = "{}") -> dict[str, Any]:
    function = {"name": "weather", "arguments": arguments}
    return {"id": identifier, "type": "function", "function": function}


def said(*calls: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def result(identifier: str = "call_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identifier, "content": "rain"}


def schema(**changes: Any) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {
            "name": "x",
            "strict": True,
            "schema": {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "required": ["a"],
                "additionalProperties": False,
                **changes,
            },
        },
    }


@pytest.mark.parametrize(
    ("changes", "param", "message"),
    [
        ({"model": ""}, None, "you must provide a model parameter"),
        ({"top_k": 3}, None, "Unrecognized request argument supplied: top_k"),
        ({"messages": []}, "messages", "empty array"),
        (
            {"messages": [{"role": "bot", "content": "x"}]},
            "messages[0].role",
            "Invalid value: 'bot'",
        ),
        (
            {"messages": [HELLO, result()]},
            "messages.[1].role",
            "must be a response to a preceeding",
        ),
        (
            {"messages": [said(call())]},
            "messages.[1].role",
            "did not have response messages: call_1",
        ),
        (
            {"messages": [said(call()), HELLO]},
            "messages.[1].role",
            "did not have response messages",
        ),
        ({"messages": [said(call("x" * 41)), result("x" * 41)]}, None, "maximum length 40"),
        (
            {"messages": [said(call(arguments={})), result()]},
            None,
            "expected a string, but got an object",
        ),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content", "got null"),
        ({"temperature": 3}, "temperature", "Expected a value <= 2"),
        ({"model": "gpt-5", "max_tokens": 5}, "max_tokens", "Use 'max_completion_tokens' instead"),
        ({"model": "o3-mini", "temperature": 0.2}, "temperature", "does not support 0.2"),
        ({"reasoning_effort": "low"}, None, "reasoning_effort"),
        (
            {"stream_options": {"include_usage": True}},
            "stream_options",
            "only allowed when 'stream'",
        ),
        ({"tools": []}, "tools", "empty array"),
        ({"tool_choice": "auto"}, "tool_choice", "only allowed when 'tools'"),
        ({"response_format": schema(additionalProperties=True)}, "response_format", "to be false"),
        ({"response_format": schema(required=[])}, "response_format", "Missing 'a'"),
        ({"response_format": {"type": "json_object"}}, "messages", "must contain the word 'json'"),
    ],
)
def test_what_chat_completions_refuse(
    changes: dict[str, Any], param: str | None, message: str
) -> None:
    problem = check_chat({**BASE, **changes})
    assert problem is not None
    assert problem.status == 400
    assert message in str(problem.message)
    if param is not None:
        assert problem.param == param


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"messages": [HELLO, said(call("a"), call("b")), result("b"), result("a"), HELLO]},
        {"model": "gpt-5", "max_completion_tokens": 5, "temperature": 1},
        {"model": "gpt-5.2", "reasoning_effort": "none", "temperature": 0.3},
        {"response_format": schema()},
        {"max_tokens": 5, "stop": ["a"], "seed": 7},
    ],
)
def test_what_chat_completions_accept(changes: dict[str, Any]) -> None:
    assert check_chat({**BASE, **changes}) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"messages": []}, "Unknown parameter: 'messages'"),
        ({"max_output_tokens": 1}, "Expected a value >= 16"),
        ({"model": "gpt-5", "temperature": 0.1}, "'temperature' is not supported"),
        ({"reasoning": {"effort": "low"}}, "'reasoning.effort' is not supported"),
        ({"tools": [{"type": "function", "function": {"name": "a"}}]}, "'tools[0].name'"),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "'text'"),
        ({"input": [{"role": "assistant", "content": [{"type": "input_text"}]}]}, "'input_text'"),
        ({"include": ["everything"]}, "Invalid value: 'everything'"),
    ],
)
def test_what_responses_refuse(changes: dict[str, Any], message: str) -> None:
    problem = check_responses({"model": "gpt-4o", "input": "hello", **changes}, Store())
    assert problem is not None
    assert message in str(problem.message)
