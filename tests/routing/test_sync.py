"""The router without await: the same calls, from any thread."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from switchgear import (
    Config,
    InvalidRequestError,
    LifecycleError,
    StreamInterruptedError,
    SyncRouter,
)
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
