"""One loop, one process, no use after close: each breach says what to do."""

import asyncio
import multiprocessing
import os
import threading

import pytest

from switchgear import LifecycleError, Router
from switchgear.testing.scripted import Scripted, ScriptedProvider

from .helpers import router_over


async def test_a_closed_router_refuses_calls() -> None:
    router = router_over(ScriptedProvider("a"))
    await router.aclose()
    await router.aclose()
    with pytest.raises(LifecycleError, match="closed"):
        await router.complete("g", "hi")
    with pytest.raises(LifecycleError, match="closed"):
        router.stream("g", "hi")


async def test_closing_closes_every_provider_even_when_one_fails_to() -> None:
    class Stuck(ScriptedProvider):
        async def aclose(self) -> None:
            raise RuntimeError("stuck")

    good = ScriptedProvider("b")
    router = router_over(Stuck("a"), good)
    with pytest.raises(ExceptionGroup):
        await router.aclose()
    assert good.closed == 1


async def test_a_call_under_way_does_not_go_on_to_others_after_close() -> None:
    slow = ScriptedProvider("a", [Scripted(delay=0.05, error=ConnectionError("gone"))])
    other = ScriptedProvider("b")
    router = router_over(slow, other)
    task = asyncio.ensure_future(router.complete("g", "hi"))
    await asyncio.sleep(0)
    await router.aclose()
    with pytest.raises(LifecycleError, match="closed"):
        await task
    assert other.calls == []


def test_a_second_event_loop_is_told_what_to_do() -> None:
    router = router_over(ScriptedProvider("a"))
    asyncio.run(_call(router))
    with pytest.raises(LifecycleError, match="SyncRouter"):
        asyncio.run(_call(router))


async def test_a_second_event_loop_in_another_thread_is_told_as_well() -> None:
    router = router_over(ScriptedProvider("a"))
    await router.complete("g", "hi")
    caught: list[BaseException] = []

    def other() -> None:
        try:
            asyncio.run(_call(router))
        except LifecycleError as exc:
            caught.append(exc)

    thread = threading.Thread(target=other)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert len(caught) == 1
    await router.aclose()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_told_what_to_do() -> None:
    router = router_over(ScriptedProvider("a"))
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        try:
            asyncio.run(_call(router))
        except LifecycleError as exc:
            sender.send(str(exc))
        else:
            sender.send("no error")

    process = context.Process(target=child)
    process.start()
    process.join(10)
    assert receiver.poll()
    assert "child" in receiver.recv()


def test_where_no_loop_runs_it_says_what_to_do() -> None:
    router = router_over(ScriptedProvider("a"))
    with pytest.raises(LifecycleError, match="SyncRouter"):
        router.stream("g", "hi")


async def test_a_closed_router_makes_no_client() -> None:
    router = Router.from_dict({"groups": {"g": {"chain": ["ollama/llama3"]}}})
    assert router.client("ollama")
    await router.aclose()
    with pytest.raises(LifecycleError, match="closed"):
        router.client("ollama")


def test_a_router_is_made_without_a_loop_and_without_io() -> None:
    router = Router.from_dict({"groups": {"g": {"chain": ["ollama/llama3"]}}})
    assert "g" in repr(router)


async def _call(router: Router) -> None:
    await router.complete("g", "hi")
