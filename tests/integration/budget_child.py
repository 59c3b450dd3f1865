"""A process of agents that spend one hard budget, at providers that bill and misbehave.

    python -m tests.integration.budget_child FOLDER URL SEED CALLS LIMIT STATE

Everything that the checker goes by is appended to files before anybody is told of it: ``billed``
by the provider as a request arrives, ``completed`` by the agent as its answer has been returned.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import random
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

from switchgear import Config, Router
from switchgear.completion import Usage
from switchgear.errors import (
    BudgetError,
    BudgetExceededError,
    LedgerError,
    OverloadedError,
    ProviderConnectionError,
    RateLimitError,
    ServerError,
    SwitchgearError,
)
from switchgear.messages import Text
from switchgear.providers.base import Call, Capabilities, Reply, ResponseMeta
from switchgear.testing.scripted import Scripted, ScriptedStream

__all__ = ["MODELS", "Biller", "bounds_of", "config_of"]

MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-3-haiku-20240307"}
"""Providers with the models that are asked, at prices that are not going to change any more."""

PICO_PER_TOKEN = {"openai": (150_000, 600_000), "anthropic": (250_000, 1_250_000)}
PROMPT = "Count to three."
MAX_TOKENS = 200
LONGEST_CALL = 20.0


def config_of(folder: Path, url: str, limit: str, **more: Any) -> dict[str, Any]:
    return {
        "providers": {name: {"plugin": name, "api_key": "env:HOME"} for name in MODELS},
        "groups": {
            "g": {
                "chain": [f"{name}/{model}" for name, model in MODELS.items()],
                "hedging": 0.02,
            }
        },
        "ledger": {"url": url, "journal": str(folder / "journal")},
        "budgets": [
            {"scope": "global", "usd": Decimal(limit), "period": "ever"},
            {"scope": "project:*", "usd": Decimal(limit), "period": "day"},
        ],
        # What misbehaves here is no outage.
        "breaker": {"failure_rate": 1.0, "consecutive_failures": 10_000, "minimum_calls": 10_000},
        **more,
    }


def bounds_of(provider: str, tokens: tuple[int, int]) -> int:
    """What a provider bills for its tokens, in 10⁻¹² USD."""
    prices = PICO_PER_TOKEN[provider]
    return prices[0] * tokens[0] + prices[1] * tokens[1]


class Lines:
    """A file to which whole lines are appended, whoever else does so."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, **line: Any) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


class Biller:
    """Bills each request that reaches it, and then answers, fails, hangs or breaks off."""

    client = None

    def __init__(
        self, name: str, bills: Lines | None, chance: random.Random, *, trouble: float = 0.35
    ) -> None:
        self.name = name
        self._bills = bills
        self._chance = chance
        self._trouble = trouble

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities()

    async def complete(self, call: Call) -> Reply:
        reply = await self._received(call)
        await self._fail(reply)
        return reply

    async def stream(self, call: Call) -> ScriptedStream:
        reply = await self._received(call)
        await self._fail(reply)
        cut = 2 if self._chance.random() < self._trouble / 3 else None
        error = ServerError("it broke", provider=self.name) if cut else None
        return ScriptedStream(
            Scripted(reply=reply, gap=0.001, events_before_error=cut, error=error)
        )

    async def aclose(self) -> None:
        """Nothing to close."""

    async def _received(self, call: Call) -> Reply:
        draw = self._chance.random()
        if draw < self._trouble / 3:
            # Neither of these is billed, as vendors say.
            if draw < self._trouble / 6:
                raise RateLimitError("slow down", provider=self.name, status=429, retry_after=0.01)
            error = ProviderConnectionError("refused", provider=self.name)
            error.unsent = True
            raise error
        most = call.request.max_tokens
        assert most is not None, "a hard budget always sends the longest answer"
        used = (self._chance.randint(1, 4), self._chance.randint(1, max(1, most // 3)))
        if self._chance.random() < 0.05:
            used = (used[0], most)
        identifier = uuid.uuid4().hex
        if self._bills is not None:
            self._bills.write(id=identifier, pico=bounds_of(self.name, used))
        return Reply(
            parts=(Text("one two three four five"),),
            finish_reason="stop",
            native_finish_reason="stop",
            usage=Usage(input_tokens=used[0], output_tokens=used[1]),
            id=identifier,
            meta=ResponseMeta(identifier),
        )

    async def _fail(self, reply: Reply) -> None:
        draw = self._chance.random()
        await asyncio.sleep(self._chance.choice([0.0, 0.005, 0.04]))
        if draw < self._trouble / 4:
            raise OverloadedError("busy", provider=self.name, status=529)
        if draw < self._trouble / 2:
            raise ProviderConnectionError("it hung up", provider=self.name)


class Agents:
    """Agents that call until the budget is closed."""

    def __init__(self, router: Router, completed: Lines, chance: random.Random) -> None:
        self._router = router
        self._completed = completed
        self._chance = chance
        self.calls = 0
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.latest = 0.0

    async def run(self, number: int) -> None:
        exceeded = 0
        while exceeded < 2:
            try:
                exceeded += await self._one(number)
            except Exception as exc:  # noqa: BLE001 - told to whoever reads the report
                self.outcomes[f"unexpected {type(exc).__name__}: {exc}"] += 1
                return

    async def _one(self, number: int) -> bool:
        """One call; whether the budget was closed to it."""
        began = asyncio.get_running_loop().time()
        task = asyncio.ensure_future(self._stream() if number % 3 == 0 else self._complete())
        if self._chance.random() < 0.1:
            await asyncio.wait([task], timeout=self._chance.uniform(0, 0.06))
            task.cancel()
        error: BaseException | None = None
        try:
            await task
        except (SwitchgearError, asyncio.CancelledError) as exc:
            error = exc
        self.calls += 1
        self.latest = max(self.latest, asyncio.get_running_loop().time() - began - LONGEST_CALL)
        self.outcomes[type(error).__name__ if error is not None else "answered"] += 1
        if isinstance(error, LedgerError):
            await asyncio.sleep(self._chance.uniform(0.02, 0.1))  # who decides is away
        if isinstance(error, BudgetError):
            assert error.budget
            assert error.limit is not None
        return isinstance(error, BudgetExceededError)

    async def _complete(self) -> None:
        reply = await self._router.complete("g", PROMPT, **self._options())
        self._completed.write(id=reply.id)

    async def _stream(self) -> None:
        leaves = self._chance.random() < 0.1
        async with self._router.stream("g", PROMPT, **self._options()) as stream:
            async for _ in stream:
                if leaves:
                    return
            self._completed.write(id=stream.completion.id)

    def _options(self) -> Any:
        return {
            "project_id": "p1",
            "max_tokens": self._chance.choice([MAX_TOKENS // 2, MAX_TOKENS]),
            "timeout": LONGEST_CALL,
        }


async def main(folder: Path, url: str, state: str, *, seed: int, calls: int, limit: str) -> None:
    chance = random.Random(seed)
    bills, completed = Lines(folder / "billed"), Lines(folder / "completed")
    providers = {name: Biller(name, bills, random.Random(chance.random())) for name in MODELS}
    more = {"state": {"url": state}} if state else {}
    config = Config.from_dict(config_of(folder, url, limit, **more))
    async with Router(config, providers=providers) as router:
        agents = Agents(router, completed, chance)
        await asyncio.gather(*(agents.run(number) for number in range(calls)))
    report = {"calls": agents.calls, "late": agents.latest, "outcomes": dict(agents.outcomes)}
    Lines(folder / "reports").write(**report)


if __name__ == "__main__":
    _, folder, url, seed, calls, limit, state = sys.argv
    work = main(Path(folder), url, state, seed=int(seed), calls=int(calls), limit=limit)
    asyncio.run(work)
