"""What the names of OpenAI's models tell."""

from __future__ import annotations

from typing import get_args

import pytest
from openai.types.shared import all_models, chat_model

from switchgear.providers.openai_models import facts, sampling

CHAT = get_args(chat_model.ChatModel)
ONLY_RESPONSES = [
    name for part in get_args(all_models.AllModels) for name in get_args(part) if name not in CHAT
]


@pytest.mark.parametrize("model", ONLY_RESPONSES)
def test_what_the_sdk_lists_beside_the_chat_models_exists_in_responses_only(model: str) -> None:
    assert facts(model).responses_only


@pytest.mark.parametrize("model", CHAT)
def test_chat_models_answer_chat(model: str) -> None:
    # These two kinds are listed for chat too, and refused there.
    odd = "codex" in model or "-pro" in model
    assert facts(model).responses_only is odd


@pytest.mark.parametrize(
    ("model", "version", "reasoning"),
    [
        ("gpt-4o-mini", (4, 0), False),
        ("gpt-4.1-nano", (4, 1), False),
        ("gpt-5", (5, 0), True),
        ("gpt-5-2025-08-07", (5, 0), True),
        ("gpt-5.4-mini", (5, 4), True),
        ("gpt-5-chat-latest", (5, 0), False),
        ("gpt-6-astra", (6, 0), True),
        ("gpt-7.3", (7, 3), True),
        ("o3-mini", (0, 0), True),
        ("o9", (0, 0), True),
        ("ft:gpt-4o-mini-2024-07-18:acme::x1", (4, 0), False),
        ("ft:o4-mini:acme::x1", (0, 0), True),
        ("my-deployment", (0, 0), False),
        ("omni-moderation", (0, 0), False),
    ],
)
def test_versions_and_reasoning(model: str, version: tuple[int, int], reasoning: bool) -> None:
    assert facts(model).version == version
    assert facts(model).reasoning is reasoning
    assert facts(model).capabilities.reasoning is reasoning


@pytest.mark.parametrize(
    ("model", "schema", "can", "cannot", "window"),
    [
        ("gpt-3.5-turbo", "tool", {"tools", "json_object"}, {"images", "audio"}, 16_385),
        ("gpt-4", "tool", {"tools"}, {"json_object", "images"}, 8_192),
        ("gpt-4-turbo", "tool", {"json_object", "images"}, {"files"}, 128_000),
        ("gpt-4-turbo-preview", "tool", {"json_object"}, {"images"}, 128_000),
        ("gpt-4o", "native", {"tools", "images", "files"}, {"audio", "reasoning"}, 128_000),
        ("gpt-4o-audio-preview", "tool", {"tools", "audio"}, {"images"}, 128_000),
        ("gpt-4o-search-preview", "native", {"json_object"}, {"tools"}, 128_000),
        ("gpt-4.1", "native", {"tools", "images"}, {"reasoning"}, 1_047_576),
        ("o1", "native", {"tools", "images"}, {"parallel_tool_calls"}, 200_000),
        ("o3-mini", "native", {"tools", "reasoning"}, {"images"}, 200_000),
        ("gpt-5", "native", {"tools", "images", "reasoning"}, {"audio"}, 400_000),
        ("gpt-7", "native", {"tools", "prompt_cache"}, {"audio"}, None),
        ("unheard-of", "native", {"tools", "images"}, {"reasoning"}, None),
    ],
)
def test_capabilities(
    model: str, schema: str, can: set[str], cannot: set[str], window: int | None
) -> None:
    found = facts(model).capabilities
    assert found.schema == schema
    assert {name for name in can | cannot if getattr(found, name)} == can
    assert found.context_window == window


def test_sampling_of_a_model_that_never_rests() -> None:
    declared = facts("gpt-5").capabilities.sampling
    assert declared == {"seed"}
    assert sampling("gpt-5", "none", declared) == declared
    assert sampling("gpt-4o", "high", frozenset({"temperature"})) == {"temperature"}
