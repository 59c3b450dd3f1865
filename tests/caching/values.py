"""Requests and answers for the tests of the cache."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from switchgear import Completion, Message, Trace, Usage
from switchgear.caching.entry import Entry, Made
from switchgear.caching.keys import CacheTarget, target_of
from switchgear.config import Config
from switchgear.messages import Part, Text
from switchgear.request import ChatRequest


class HandClock:
    """Time that passes when a test says so; ``sleep`` gives way and returns."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


CONFIG = Config.from_dict(
    {
        "groups": {
            "g": {"chain": ["ollama/first", "ollama/second"]},
            "h": {"chain": ["ollama/first", "ollama/second"]},
            "pool": {"chain": [["ollama/first", "ollama/beside"], "ollama/second"]},
        }
    },
    environ={},
)


def target(name: str = "g", config: Config = CONFIG) -> CacheTarget:
    group = config.groups[name]
    return target_of(group, group.chain, config.providers.get)


def request(text: str = "hello", **fields: Any) -> ChatRequest:
    return ChatRequest(messages=(Message("user", text),), **fields)


def made(*parts: Part, first_choice: bool = True, cost: int | None = 42, **fields: Any) -> Made:
    values: dict[str, Any] = {
        "id": "msg_1",
        "message": Message("assistant", parts or (Text("an answer"),)),
        "finish_reason": "stop",
        "native_finish_reason": "end_turn",
        "usage": Usage(input_tokens=3, output_tokens=2, cache_read_tokens=1),
        "provider": "ollama",
        "model": "first-2026",
        "trace": Trace("g"),
        "cost": Decimal(cost) / 10**12 if cost is not None else None,
        "group": "g",
        "request_id": "req_1",
        "created": 1_000,
        "raw_body": b'{"id": "msg_1"}',
        "warnings": ("seed: left out",),
    }
    return Made(
        completion=Completion(**(values | fields)),
        asked="first",
        cost=cost,
        first_choice=first_choice,
        tier="default",
    )


def entry(*parts: Part, now: float = 1_000_000.0, ttl: float = 3600.0, **fields: Any) -> Entry:
    return Entry.of(made(*parts, **fields), now=now, ttl=ttl)
