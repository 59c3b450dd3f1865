"""The official SDKs alone: as their documentation has it, and by the road that reads no answer."""

from __future__ import annotations

import time
from typing import Any

from ..answers import MODELS
from . import MAX_TOKENS, MESSAGES, Connected, Place

__all__ = ["connect"]

_KEY = "sk-of-a-benchmark-that-calls-only-itself"


def connect(place: Place) -> Connected:
    """One SDK's client, used in one way."""
    makers = {
        "openai": _openai,
        "openai-raw": _openai_raw,
        "anthropic": _anthropic,
        "anthropic-raw": _anthropic_raw,
    }
    return makers[place.variant](place.base_url)


def _openai(base_url: str) -> Connected:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key=_KEY, base_url=f"{base_url}/v1")
    asked: dict[str, Any] = {
        "model": MODELS["openai"],
        "messages": list(MESSAGES),
        "max_completion_tokens": MAX_TOKENS,
    }

    async def whole() -> tuple[int, float]:
        reply = await client.chat.completions.create(**asked)
        return len(reply.choices[0].message.content or ""), 0.0

    async def stream() -> tuple[int, float]:
        length, first = 0, 0.0
        chunks = await client.chat.completions.create(
            **asked, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in chunks:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                first = first or time.perf_counter()
                length += len(text)
        return length, first

    return Connected({"openai": whole, "openai-stream": stream}, client.close)


def _anthropic(base_url: str) -> Connected:
    from anthropic import AsyncAnthropic

    client = AsyncAnthropic(api_key=_KEY, base_url=base_url)
    asked: dict[str, Any] = {
        "model": MODELS["anthropic"],
        "system": MESSAGES[0]["content"],
        "messages": list(MESSAGES[1:]),
        "max_tokens": MAX_TOKENS,
    }

    async def whole() -> tuple[int, float]:
        reply = await client.messages.create(**asked)
        return sum(len(part.text) for part in reply.content if part.type == "text"), 0.0

    async def stream() -> tuple[int, float]:
        length, first = 0, 0.0
        events = await client.messages.create(**asked, stream=True)
        async for event in events:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                first = first or time.perf_counter()
                length += len(event.delta.text)
        return length, first

    return Connected({"anthropic": whole, "anthropic-stream": stream}, client.close)


def _openai_raw(base_url: str) -> Connected:
    import httpx2
    import msgspec
    from openai import AsyncOpenAI, DefaultAioHttpClient

    client = AsyncOpenAI(
        api_key=_KEY,
        base_url=f"{base_url}/v1",
        max_retries=0,
        http_client=DefaultAioHttpClient(),
    )
    asked = {
        "model": MODELS["openai"],
        "messages": MESSAGES,
        "max_completion_tokens": MAX_TOKENS,
    }

    async def whole() -> tuple[int, float]:
        body = msgspec.json.encode(asked)
        reply = await client.post("/chat/completions", cast_to=httpx2.Response, content=body)
        answer = msgspec.json.decode(reply.content)
        return len(answer["choices"][0]["message"]["content"]), 0.0

    return Connected({"openai": whole}, client.close)


def _anthropic_raw(base_url: str) -> Connected:
    import httpx2
    import msgspec
    from anthropic import AsyncAnthropic, DefaultAioHttpClient

    client = AsyncAnthropic(
        api_key=_KEY, base_url=base_url, max_retries=0, http_client=DefaultAioHttpClient()
    )
    asked = {
        "model": MODELS["anthropic"],
        "system": MESSAGES[0]["content"],
        "messages": MESSAGES[1:],
        "max_tokens": MAX_TOKENS,
    }

    async def whole() -> tuple[int, float]:
        body = msgspec.json.encode(asked)
        reply = await client.post("/v1/messages", cast_to=httpx2.Response, content=body)
        answer = msgspec.json.decode(reply.content)
        return len(answer["content"][0]["text"]), 0.0

    return Connected({"anthropic": whole}, client.close)
