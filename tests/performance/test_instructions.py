"""What a call that meets no trouble may cost, in instructions of our own code.

A timing would say more about the machine than about the code. Whoever makes a call dearer meets one
of these figures and has to say why; whoever makes it cheaper lowers it. They leave some room, since
the compilers of other versions of Python make other instructions of the same source.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from switchgear import Router
from switchgear.request import ChatRequest
from switchgear.routing.asking import measured
from switchgear.routing.limits import Need

from .canned import Canned
from .counting import counted
from .everything_on import MESSAGES, everything_on, options

if TYPE_CHECKING:
    import pytest

CALLS = 31

WHOLE_CALL = 11_000
"""Encoding, decoding, every gate, the books and the trace."""

EACH_EVENT = 650
"""Of a stream whose events arrive one by one."""


def router(folder: Path, *, chunks: int = 100) -> Router:
    providers = {name: Canned(name, chunks) for name in ("openai", "anthropic")}
    return everything_on(folder, providers=providers)


async def instructions(work: Callable[[], Awaitable[object]]) -> float:
    """Of the middlemost of some calls: one in a few dozen also tidies up or writes a batch."""
    for _ in range(CALLS):
        await work()
    counts: list[int] = []
    for _ in range(CALLS):
        with counted() as counter:
            await work()
        counts.append(counter.instructions)
    return statistics.median(counts)


async def stream(router: Router) -> None:
    async with router.stream("g", MESSAGES, **options()) as events:
        async for _ in events:
            pass


async def test_a_call_with_everything_on(tmp_path: Path) -> None:
    async with router(tmp_path) as everything:
        cost = await instructions(lambda: everything.complete("g", MESSAGES, **options()))
    assert cost <= WHOLE_CALL


async def test_an_event_of_a_stream(tmp_path: Path) -> None:
    costs: list[float] = []
    for chunks in (50, 150):
        folder = tmp_path / str(chunks)
        folder.mkdir()
        async with router(folder, chunks=chunks) as everything:
            costs.append(await instructions(lambda: stream(everything)))
    short, long = costs
    assert (long - short) / 100 <= EACH_EVENT


async def test_what_is_dearer_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard itself: a request that is measured a hundred times does not get by."""

    def wasteful(request: ChatRequest) -> tuple[int, Need]:
        for _ in range(99):
            measured(request)
        return measured(request)

    monkeypatch.setattr("switchgear.routing.planning.measured", wasteful)
    async with router(tmp_path) as everything:
        cost = await instructions(lambda: everything.complete("g", MESSAGES, **options()))
    assert cost > WHOLE_CALL
