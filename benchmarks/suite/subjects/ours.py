"""Switchgear with everything on, over the SDKs' road or the direct one."""

from __future__ import annotations

import time
from typing import Any

from switchgear import Config, Router
from switchgear.errors import StreamInterruptedError

from ..answers import MODELS
from . import MAX_TOKENS, MESSAGES, Connected, Operation, Place

__all__ = ["configuration", "connect"]

_KEY = "sk-of-a-benchmark-that-calls-only-itself"
_NEVER = 10**9
_ASKED: dict[str, Any] = {"max_tokens": MAX_TOKENS, "project_id": "p", "agent_id": "a"}


def configuration(place: Place) -> dict[str, Any]:
    """Limits, a hard budget and a ledger on disk; breaker, prices and trace are always on."""
    high = {"rpm": 100_000_000, "tpm": 100_000_000_000, "concurrency": 5000}
    first, second = (f"{vendor}/{model}" for vendor, model in MODELS.items())
    return {
        "providers": {
            "openai": {"api_key": _KEY, "base_url": f"{place.base_url}/v1"},
            "anthropic": {"api_key": _KEY, "base_url": place.base_url},
        },
        "groups": {"openai": {"chain": [first, second]}, "anthropic": {"chain": [second, first]}},
        "limits": {"openai": high, "anthropic": high},
        "budgets": [
            {"scope": "project:p", "usd": 1_000_000, "period": "day", "enforcement": "hard"}
        ],
        "ledger": {"url": f"sqlite:{place.folder / 'ledger.db'}"},
    }


def connect(place: Place) -> Connected:
    """A router whose groups are the vendors."""
    config = configuration(place)
    broken = place.base_url.endswith("/broken")
    if broken:  # or it would rightly be left alone after five of them
        config["breaker"] = {"minimum_calls": _NEVER, "consecutive_failures": _NEVER}
    if place.variant == "direct":
        for table in config["providers"].values():
            table["wire"] = "direct"
    router = Router(Config.from_dict(config))
    operations = {vendor: _whole(router, vendor) for vendor in MODELS}
    operations |= {f"{vendor}-stream": _stream(router, vendor, broken=broken) for vendor in MODELS}
    return Connected(operations, router.aclose)


def _whole(router: Router, group: str) -> Operation:
    async def call() -> tuple[int, float]:
        reply = await router.complete(group, MESSAGES, **_ASKED)
        return len(reply.text), 0.0

    return call


def _stream(router: Router, group: str, *, broken: bool) -> Operation:
    async def call() -> tuple[int, float]:
        length, first = 0, 0.0
        try:
            async with router.stream(group, MESSAGES, **_ASKED) as events:
                async for event in events:
                    if text := event.text:
                        first = first or time.perf_counter()
                        length += len(text)
        except StreamInterruptedError:
            if not broken:
                raise
        return length, first

    return call
