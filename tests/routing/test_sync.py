"""The router without await: the same calls, from any thread."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

from switchgear import (
    Config,
    InvalidRequestError,
    LifecycleError,
    StreamInterruptedError,
    SyncRouter,
)
from switchgear.providers.base import Call
from switchgear.testing.scripted import Scripted, ScriptedProvider, scripted_reply


def sync_router(provider: ScriptedProvider) -> SyncRouter:
    config = Config.from_dict(
        {"providers": {"a": {"plugin": "x"}}, "groups": {"g": {"chain": ["a/m"]}}}
    )
    return SyncRouter(config, providers={"a": provider})


def test_complete_and_stream() -> None:
    with sync_router(ScriptedProvider("a", ["one two"])) as router:
        assert router.complete("g", "hi").text == "one two"
        with router.stream("g", "hi") as stream:
            assert [event.text for event in stream] == ["one", " two"]
        assert stream.completion.text == "one two"
        assert router.count_tokens("g", "hello").tokens > 0


def test_it_works_from_many_threads_at_once() -> None:
    provider = ScriptedProvider("a", [Scripted(reply=scripted_reply("ok"), delay=0.01)])
    with sync_router(provider) as router, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: router.complete("g", "hi").text, range(64)))
    assert replies == ["ok"] * 64


def test_closing_ends_the_thread_and_refuses_calls() -> None:
    before = threading.active_count()
    router = sync_router(ScriptedProvider("a"))
    router.complete("g", "hi")
    router.close()
    router.close()
    assert threading.active_count() == before
    with pytest.raises(LifecycleError):
        router.complete("g", "hi")


def test_it_runs_on_uvloop_where_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[asyncio.AbstractEventLoop] = []

    def new_event_loop() -> asyncio.AbstractEventLoop:
        made.append(asyncio.SelectorEventLoop())
        return made[-1]

    installed = types.ModuleType("uvloop")
    installed.new_event_loop = new_event_loop  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uvloop", installed)
    with sync_router(ScriptedProvider("a", ["yes"])) as router:
        assert router.complete("g", "hi").text == "yes"
        (loop,) = made
        assert loop.is_running()
    assert loop.is_closed()


def test_it_runs_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)  # as if it were not installed
    with sync_router(ScriptedProvider("a", ["yes"])) as router:
        assert router.complete("g", "hi").text == "yes"


def test_it_starts_no_thread_before_it_is_used() -> None:
    before = threading.active_count()
    router = sync_router(ScriptedProvider("a"))
    assert threading.active_count() == before
    router.close()


def test_errors_come_through_as_they_are() -> None:
    broken = Scripted(reply=scripted_reply("one two"), cut_after=1)
    with sync_router(ScriptedProvider("a", [broken])) as router:
        with pytest.raises(InvalidRequestError):
            router.complete("nowhere", "hi")
        with pytest.raises(InvalidRequestError):
            router.stream("g", [])
        with pytest.raises(StreamInterruptedError), router.stream("g", "hi") as stream:
            list(stream)


def test_leaving_a_stream_early_closes_it() -> None:
    provider = ScriptedProvider("a", ["one two three"])
    with sync_router(provider) as router:
        with router.stream("g", "hi") as stream:
            next(stream)
        assert provider.streams[0].closed


def test_closing_frees_every_thread_that_waits() -> None:
    endless = Scripted(reply=scripted_reply("one two"), gap=3600)
    provider = ScriptedProvider("a", [Scripted(delay=3600), endless, Scripted(delay=3600)])
    router = sync_router(provider)
    ended: list[object] = []

    def ask() -> None:
        try:
            ended.append(router.complete("g", "hi"))
        except LifecycleError as exc:
            ended.append(exc)

    def read() -> None:
        try:
            with router.stream("g", "hi") as stream:
                ended.append(list(stream))
        except LifecycleError as exc:
            ended.append(exc)

    threads = [threading.Thread(target=target, daemon=True) for target in (ask, read, ask)]
    for count, thread in enumerate(threads, 1):
        thread.start()
        while len(provider.calls) < count:
            router.count_tokens("g", "hi")
    router.close()
    for thread in threads:
        thread.join(5)
    assert [type(each) for each in ended] == [LifecycleError] * 3


def test_whoever_calls_while_it_is_closed_is_told_and_never_left_waiting() -> None:
    for _ in range(20):
        router = sync_router(ScriptedProvider("a"))
        router.complete("g", "hi")
        threads = [threading.Thread(target=_until_closed, args=(router,)) for _ in range(3)]
        threads += [threading.Thread(target=router.close) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive()


def test_an_interrupted_wait_ends_the_call_and_closes_the_stream() -> None:
    def interrupt(_: Call) -> None:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    slow = Scripted(reply=scripted_reply("one two"), gap=3600)
    provider = ScriptedProvider("a", [slow], on_call=interrupt)
    with sync_router(provider) as router:
        with pytest.raises(KeyboardInterrupt), router.stream("g", "hi") as stream:
            next(stream)
        assert provider.streams[0].closed


def test_a_router_that_nobody_closed_ends_with_the_interpreter_and_without_a_word() -> None:
    program = """
from switchgear import SyncRouter
from switchgear.testing import SimulatedProviders

with SimulatedProviders() as simulated:
    router = SyncRouter.from_dict(
        {"providers": {"openai": {"api_key": "env:KEY", "base_url": simulated.openai.base_url}}}
    )
    print(router.complete("openai/gpt-4o-mini", "hi").finish_reason)
"""
    run = subprocess.run(
        [sys.executable, "-W", "default", "-c", program],
        env={**os.environ, "KEY": "not-a-real-key"},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert (run.stdout, run.stderr) == ("stop\n", "")


def test_a_router_that_nobody_refers_to_ends_its_thread_but_not_under_a_stream() -> None:
    stream = sync_router(ScriptedProvider("a", ["one two"])).stream("g", "hi")
    (thread,) = (t for t in threading.enumerate() if t.name == "switchgear-loop")
    with stream:
        assert [event.text for event in stream] == ["one", " two"]
    del stream
    thread.join(5)
    assert not thread.is_alive()


def _until_closed(router: SyncRouter) -> None:
    with pytest.raises(LifecycleError, match="closed"):
        while True:
            router.complete("g", "hi")
