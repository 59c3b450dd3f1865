"""any-llm, with a client for each vendor that is kept, as its documentation advises."""

from __future__ import annotations

import time
from typing import Any

from any_llm import AnyLLM

from ..answers import MODELS
from . import MAX_TOKENS, MESSAGES, Connected, Operation, Place

__all__ = ["connect"]

_KEY = "sk-of-a-benchmark-that-calls-only-itself"


def connect(place: Place) -> Connected:
    """Its clients."""
    addresses = {"openai": f"{place.base_url}/v1", "anthropic": place.base_url}
    clients = {
        vendor: AnyLLM.create(vendor, api_key=_KEY, api_base=addresses[vendor]) for vendor in MODELS
    }
    asked: dict[str, Any] = {"messages": list(MESSAGES), "max_tokens": MAX_TOKENS}

    def whole(vendor: str) -> Operation:
        client, model = clients[vendor], MODELS[vendor]

        async def call() -> tuple[int, float]:
            reply = await client.acompletion(model=model, **asked)
            return len(reply.choices[0].message.content or ""), 0.0

        return call

    def stream(vendor: str) -> Operation:
        client, model = clients[vendor], MODELS[vendor]

        async def call() -> tuple[int, float]:
            length, first = 0, 0.0
            chunks = await client.acompletion(model=model, stream=True, **asked)
            async for chunk in chunks:
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    first = first or time.perf_counter()
                    length += len(text)
            return length, first

        return call

    async def aclose() -> None:
        """They have no way to be closed, and end with the process."""

    operations = {vendor: whole(vendor) for vendor in MODELS}
    operations |= {f"{vendor}-stream": stream(vendor) for vendor in MODELS}
    return Connected(operations, aclose)
