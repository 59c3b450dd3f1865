"""The whole road for one stream: a breaking server, a real adapter and its SDK, a router."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from switchgear import (
    Completion,
    CompletionStream,
    LifecycleError,
    Router,
    StreamEvent,
    SwitchgearError,
)
from tests.wire.breaking import BreakingServer, Cut, Ending
from tests.wire.replay import Recording
from tests.wire.streams import Kind

__all__ = ["AT_ONCE", "Bench", "Result", "bench_of", "cut_of"]

AT_ONCE = 16
"""Streams that one bench reads at the same time."""


@dataclass
class Result:
    """How one stream ended for its caller."""

    events: list[StreamEvent] = field(default_factory=list)
    completion: Completion | None = None
    error: Exception | None = None
    asked: tuple[str, ...] = ()
    """The providers that got a request, in order."""


class Kept:
    """A real provider whom a router's end does not close, since many routers share it.

    Each case has a router of its own: what one has learnt of a provider's failures must not change
    how the next one treats it.
    """

    def __init__(self, provider: Any) -> None:
        self.inner = provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def aclose(self) -> None:
        pass


class Bench:
    """The server, and two of the real adapters pointed at it, ``first`` and ``second``."""

    def __init__(self, server: BreakingServer, kind: Kind, model: str) -> None:
        self.server = server
        self.model = model
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._providers: dict[str, Any] = {
            name: Kept(kind.provider(server.url, name)) for name in ("first", "second")
        }
        self._table: dict[str, Any] = {
            "providers": {
                name: {"plugin": kind.plugin, "base_url": server.url + kind.base}
                for name in self._providers
            },
            "groups": {
                "g": {"chain": [f"first/{model}", f"second/{model}"]},
                # For a silence that is waited for.
                "impatient": {
                    "chain": [
                        {"model": f"first/{model}", "attempt_timeout": 0.5},
                        f"second/{model}",
                    ]
                },
            },
            "retry": {"num_retries": 0},
        }

    async def aclose(self) -> None:
        for provider in self._providers.values():
            await provider.inner.aclose()

    async def ask(self, first: Cut, second: Cut | None = None, **options: Any) -> Result:
        """One stream through a router: of ``first`` alone, or with ``second`` behind it."""
        result = Result()
        with contextlib.suppress(SwitchgearError):
            async with self._streaming(result, first, second, options) as stream:
                async for event in stream:
                    result.events.append(event)
        return result

    async def give_up(self, cut: Cut, how: str) -> Result:
        """One stream, of which the caller ``leaves`` or is ``cancelled`` after the first event."""
        result = Result()
        begun = asyncio.Event()

        async def read() -> None:
            async with self._streaming(result, cut, None, {}) as stream:
                async for event in stream:
                    result.events.append(event)
                    begun.set()
                    if how == "leaves":
                        break

        task = asyncio.ensure_future(read())
        await begun.wait()
        if how == "cancelled":
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return result

    @contextlib.asynccontextmanager
    async def _streaming(
        self, result: Result, first: Cut, second: Cut | None, options: dict[str, Any]
    ) -> AsyncIterator[CompletionStream]:
        """An open stream; how it ended goes into the result."""
        place = len(self.server.cases)
        headers = {}
        for name, cut in (("first", first), ("second", second)):
            if cut is not None:
                headers[name] = {"x-case": f"{place}-{name}"}
                self.server.cases[f"{place}-{name}"] = cut
        group = "impatient" if first.ending == "stall" else "g"
        target = group if second is not None else f"first/{self.model}"
        async with self._slots, Router.from_dict(self._table, providers=self._providers) as router:
            stream = router.stream(target, "hi", extra_headers=headers, **options)
            try:
                async with stream:
                    yield stream
            except SwitchgearError as exc:
                result.error = exc
                raise
            finally:
                cases = (case.partition("-") for case in self.server.asked)
                result.asked = tuple(name for case, _, name in cases if case == str(place))
                with contextlib.suppress(LifecycleError):
                    completion = stream.completion
                    if result.error is None:
                        result.completion = completion


@contextlib.asynccontextmanager
async def bench_of(kind: Kind, recording: Recording) -> AsyncIterator[Bench]:
    async with BreakingServer() as server:
        bench = Bench(server, kind, recording.request_body["model"])
        try:
            yield bench
        finally:
            await bench.aclose()


def cut_of(recording: Recording, size: int, ending: Ending) -> Cut:
    """The recorded answer up to ``size`` bytes."""
    return Cut((recording.body[:size],), ending, recording.headers["content-type"])
