"""TensorZero's gateway (Rust), embedded in the process, without a database behind it."""

from __future__ import annotations

import os
import time
from typing import Any

from tensorzero import AsyncTensorZeroGateway

from ..answers import MODELS
from . import MAX_TOKENS, MESSAGES, Connected, Operation, Place

__all__ = ["connect"]

_CONFIG = """
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true

[models.openai]
routing = ["upstream"]
[models.openai.providers.upstream]
type = "openai"
model_name = "{openai}"
api_base = "{base_url}/v1/"
api_key_location = "env::SWITCHGEAR_BENCH_KEY"

[models.anthropic]
routing = ["upstream"]
[models.anthropic.providers.upstream]
type = "anthropic"
model_name = "{anthropic}"
api_base = "{base_url}/v1/messages"
api_key_location = "env::SWITCHGEAR_BENCH_KEY"
"""


async def connect(place: Place) -> Connected:
    """A gateway whose models are the vendors."""
    os.environ["SWITCHGEAR_BENCH_KEY"] = "sk-of-a-benchmark-that-calls-only-itself"
    file = place.folder / "tensorzero.toml"
    file.write_text(_CONFIG.format(base_url=place.base_url, **MODELS), encoding="utf-8")
    gateway: Any = await AsyncTensorZeroGateway.build_embedded(config_file=str(file))
    system, *rest = MESSAGES
    asked: dict[str, Any] = {
        "input": {"system": system["content"], "messages": rest},
        "params": {"chat_completion": {"max_tokens": MAX_TOKENS}},
    }

    def whole(vendor: str) -> Operation:
        async def call() -> tuple[int, float]:
            reply = await gateway.inference(model_name=vendor, **asked)
            return sum(len(part.text or "") for part in reply.content), 0.0

        return call

    def stream(vendor: str) -> Operation:
        async def call() -> tuple[int, float]:
            length, first = 0, 0.0
            chunks = await gateway.inference(model_name=vendor, stream=True, **asked)
            async for chunk in chunks:
                for part in chunk.content:
                    if part.text:
                        first = first or time.perf_counter()
                        length += len(part.text)
            return length, first

        return call

    operations = {vendor: whole(vendor) for vendor in MODELS}
    operations |= {f"{vendor}-stream": stream(vendor) for vendor in MODELS}
    return Connected(operations, gateway.close)
