"""LiteLLM's Router, with a deployment for each vendor."""

from __future__ import annotations

import time
from typing import Any

from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients
from litellm.router import Router

from ..answers import MODELS
from . import MAX_TOKENS, MESSAGES, Connected, Operation, Place

__all__ = ["connect"]

_KEY = "sk-of-a-benchmark-that-calls-only-itself"


def connect(place: Place) -> Connected:
    """A router whose model names are the vendors."""
    addresses = {"openai": f"{place.base_url}/v1", "anthropic": place.base_url}
    router = Router(
        model_list=[
            {
                "model_name": vendor,
                "litellm_params": {
                    "model": f"{vendor}/{model}",
                    "api_key": _KEY,
                    "api_base": addresses[vendor],
                },
            }
            for vendor, model in MODELS.items()
        ]
    )
    asked: dict[str, Any] = {"messages": list(MESSAGES), "max_tokens": MAX_TOKENS}

    def whole(vendor: str) -> Operation:
        async def call() -> tuple[int, float]:
            reply = await router.acompletion(model=vendor, **asked)
            return len(reply.choices[0].message.content or ""), 0.0

        return call

    def stream(vendor: str) -> Operation:
        async def call() -> tuple[int, float]:
            length, first = 0, 0.0
            chunks = await router.acompletion(
                model=vendor, stream=True, stream_options={"include_usage": True}, **asked
            )
            async for chunk in chunks:
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    first = first or time.perf_counter()
                    length += len(text)
            return length, first

        return call

    operations = {vendor: whole(vendor) for vendor in MODELS}
    operations |= {f"{vendor}-stream": stream(vendor) for vendor in MODELS}
    return Connected(operations, close_litellm_async_clients)
