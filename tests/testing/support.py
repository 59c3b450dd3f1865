"""Clients of the official SDKs for the simulator's own tests."""

from __future__ import annotations

from typing import Any

import anthropic
import openai

from switchgear.testing import SimulatedProviders

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
CLAUDE = "claude-haiku-4-5"
WEATHER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
CLAUDE_TOOLS: list[Any] = [{"name": "weather", "input_schema": WEATHER_SCHEMA}]
GPT_TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "weather", "parameters": WEATHER_SCHEMA}}
]


def claude(simulated: SimulatedProviders, **options: Any) -> anthropic.AsyncAnthropic:
    options = {"api_key": "sk-test", "max_retries": 0, **options}
    return anthropic.AsyncAnthropic(base_url=simulated.anthropic.base_url, **options)


def gpt(simulated: SimulatedProviders, **options: Any) -> openai.AsyncOpenAI:
    options = {"api_key": "sk-test", "max_retries": 0, **options}
    return openai.AsyncOpenAI(base_url=simulated.openai.base_url, **options)
