"""A ledger that is slow holds calls up, within their deadlines, and never makes them pay twice."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from switchgear import DeadlineExceededError, LifecycleError, Router
from switchgear.accounting.ledger.row import Row
from switchgear.testing.scripted import Scripted, ScriptedProvider

from .bookkeeping import CLAUDE, assert_nothing_is_left, hard, only_row, priced, rows_of

pytestmark = pytest.mark.looptime


def slow(router: Router, name: str, seconds: float, patch: pytest.MonkeyPatch) -> None:
    """The disk takes so long over every record of a kind."""
    real: Callable[[Any], None] = getattr(router._ledger, name)

    def later(record: Any) -> Any:
        real(record)
        return asyncio.ensure_future(asyncio.sleep(seconds))

    patch.setattr(router._ledger, name, later)


@pytest.mark.parametrize("budgets", [[hard()], []], ids=["hard budget", "no budget"])
async def test_an_attempt_is_not_sent_before_it_is_written_down(
    budgets: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = ScriptedProvider("anthropic")
    async with priced(provider, budgets=budgets) as router:
        slow(router, "begin", 5, monkeypatch)
        began = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceededError) as late:
            await router.complete("g", "hi", timeout=3)
        assert asyncio.get_running_loop().time() - began == pytest.approx(3, abs=0.01)
        assert provider.calls == []
        assert await rows_of(router) == []
        assert_nothing_is_left(router)
        assert late.value.trace is not None
        reply = await router.complete("g", "hi", timeout=20)
        assert reply.latency == pytest.approx(5)
        await only_row(router)


async def test_an_attempt_gets_only_the_time_that_writing_it_down_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider = ScriptedProvider("anthropic", [Scripted(delay=1)])
    async with priced(provider) as router:
        slow(router, "begin", 5, monkeypatch)
        await router.complete("g", "hi", timeout=8)
    assert provider.calls[0].timeout == pytest.approx(3)


@pytest.mark.parametrize("target", ["g", CLAUDE])
async def test_an_answer_that_is_slow_to_be_written_down_is_not_asked_for_again(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = ScriptedProvider("anthropic", [Scripted(delay=1)])
    async with priced(provider) as router:
        slow(router, "end", 10, monkeypatch)
        began = asyncio.get_running_loop().time()
        reply = await router.complete(target, "hi", attempt_timeout=2)
        assert asyncio.get_running_loop().time() - began == pytest.approx(11)
        row = await only_row(router)
    assert reply.text == "ok"
    assert row.outcome == "answered"
    assert len(provider.calls) == 1


async def test_an_answer_that_is_never_safe_is_not_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider = ScriptedProvider("anthropic")
    async with priced(provider, budgets=[hard()]) as router:
        slow(router, "end", 1000, monkeypatch)
        with pytest.raises(DeadlineExceededError):
            await router.complete("g", "hi", timeout=3)
        row: Row = await only_row(router)
    assert row.outcome == "answered"


async def test_a_closed_router_ends_the_wait_for_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider = ScriptedProvider("anthropic")
    router = priced(provider, budgets=[hard()])
    slow(router, "begin", 1000, monkeypatch)
    task = asyncio.ensure_future(router.complete("g", "hi"))
    await asyncio.sleep(1)
    await router.aclose()
    [outcome] = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, LifecycleError)
    assert provider.calls == []
    assert_nothing_is_left(router)
