from __future__ import annotations

from typing import Any

import pytest

from switchgear.testing.anthropic.checks import check_messages, model_version

HELLO = {"role": "user", "content": "hello"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"}
BASE: dict[str, Any] = {"model": "claude-sonnet-4-5", "max_tokens": 10, "messages": [HELLO]}


def said(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


THINKING = {"type": "enabled", "budget_tokens": 1024}
CACHED = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_tokens": None}, "max_tokens: Input should be a valid integer"),
        ({"messages": []}, "at least one message is required"),
        ({"frequency_penalty": 1}, "frequency_penalty: Extra inputs are not permitted"),
        ({"messages": [{"role": "system", "content": "x"}, HELLO]}, 'Unexpected role "system"'),
        ({"messages": [{"role": "tool", "content": "x"}]}, 'Unexpected role "tool"'),
        ({"messages": [{**HELLO, "name": "Bo"}]}, "messages.0.name: Extra inputs"),
        ({"messages": [said(text("x"))]}, 'first message must use the "user" role'),
        ({"messages": [user(text(""))]}, "text content blocks must be non-empty"),
        ({"messages": [{"role": "user", "content": ""}]}, "text content blocks must be non-empty"),
        ({"messages": [user(text("  "))]}, "must contain non-whitespace text"),
        ({"messages": [HELLO, said(CALL)]}, "without `tool_result` blocks immediately after"),
        ({"messages": [HELLO, said(CALL), HELLO]}, "messages.1: `tool_use` ids were found without"),
        ({"messages": [HELLO, said(CALL), user(text("so"), RESULT)]}, "`tool_use` ids were found"),
        ({"messages": [user(RESULT)]}, "unexpected `tool_use_id` found"),
        (
            {"messages": [HELLO, said({**CALL, "id": "call:1"}), user(RESULT)]},
            "messages.1.content.0.tool_use.id: String should match pattern",
        ),
        (
            {"messages": [HELLO, said({**CALL, "input": "{}"}), user(RESULT)]},
            "tool_use.input: Input should be a valid dictionary",
        ),
        ({"messages": [HELLO, said(text("so "))]}, "cannot end with trailing whitespace"),
        (
            {"messages": [HELLO, said({"type": "thinking", "thinking": "x"})]},
            "signature: Field required",
        ),
        ({"thinking": THINKING}, "`max_tokens` must be greater than `thinking.budget_tokens`"),
        (
            {"thinking": THINKING, "max_tokens": 2000, "temperature": 0.5},
            "`temperature` may only be",
        ),
        ({"thinking": {**THINKING, "budget_tokens": 5}}, "greater than or equal to 1024"),
        ({"temperature": 0.5, "top_p": 0.5}, "cannot both be specified"),
        ({"model": "claude-opus-4-7", "temperature": 0.5}, "deprecated for this model"),
        ({"model": "claude-opus-4-7", "thinking": THINKING}, "is not supported for this model"),
        ({"model": "claude-opus-4-6", "messages": [HELLO, said(text("so"))]}, "prefill"),
        ({"messages": [user(*[{**text("x"), **CACHED}] * 5)]}, "A maximum of 4 blocks"),
        ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "should match pattern"),
        ({"tools": [{"type": "function", "function": {}}]}, None),
        ({"tools": [{"name": "a"}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [{"name": "a", "input_schema": {}}]}, "input_schema.type: Field required"),
        ({"tool_choice": {"type": "auto"}}, "may only be specified while providing `tools`"),
    ],
)
def test_what_the_messages_api_refuses(changes: dict[str, Any], message: str | None) -> None:
    problem = check_messages({**BASE, **changes})
    assert problem is None if message is None else problem is not None and message in problem, (
        problem
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"temperature": 0.5},
        {"messages": [HELLO, HELLO, said(text("a")), said(text("b")), HELLO]},
        {"messages": [HELLO, said(text("I look"), CALL), user(RESULT, text("so?"))]},
        {"messages": [HELLO, said(CALL), user(RESULT), user(text("so?"))]},
        {"messages": [HELLO, said(text("The answer is"))]},
        {
            "model": "claude-opus-4-8",
            "messages": [HELLO, {"role": "system", "content": "Be brief."}],
        },
        {"system": [{**text("x"), **CACHED}], "messages": [user({**text("x"), **CACHED})]},
    ],
)
def test_what_the_messages_api_accepts(changes: dict[str, Any]) -> None:
    assert check_messages({**BASE, **changes}) is None


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("claude-opus-4-7", (4, 7)),
        ("claude-opus-4-20250514", (4, 0)),
        ("claude-3-5-sonnet-20241022", (3, 5)),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", (4, 5)),
        ("claude-fable-5", (5, 0)),
        ("my-model", (0, 0)),
    ],
)
def test_model_versions(model: str, version: tuple[int, int]) -> None:
    assert model_version(model) == version
