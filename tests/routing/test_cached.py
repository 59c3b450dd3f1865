"""The response cache in front of a router: what a hit costs, and what it is taken for."""

import asyncio
import contextlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from switchgear import (
    AllProvidersFailedError,
    BudgetExceededError,
    Completion,
    InvalidRequestError,
    LifecycleError,
    RateLimitError,
    Router,
    ServerError,
    StreamInterruptedError,
    SyncRouter,
)
from switchgear.caching.stats import CacheStats
from switchgear.config import Config
from switchgear.providers.base import Call, Capabilities, Reply
from switchgear.testing.scripted import Scripted, ScriptedProvider, scripted_reply

from .bookkeeping import CLAUDE, assert_nothing_is_left, hard, priced, rows_of, soft
from .helpers import router_over, virtual

pytestmark = pytest.mark.looptime

COST = Decimal("0.000035")
"""Of one answer of Claude's: ten tokens in, five out."""

FREE = Decimal(0)

DOWN = ServerError("down", status=500)
NO_RETRIES = {"retry": {"num_retries": 0}}


def claude(*script: Any) -> ScriptedProvider:
    return ScriptedProvider("anthropic", script)


def caching(*providers: ScriptedProvider, cache: Any = None, **settings: Any) -> Router:
    config = {"cache": cache or {}, **NO_RETRIES, **settings.pop("config", {})}
    return priced(*providers, config=config, **settings)


async def streamed(router: Router, **options: Any) -> tuple[list[str], Completion]:
    async with router.stream("g", "hi", **options) as stream:
        texts = [event.text async for event in stream]
    return texts, stream.completion


# What a hit is


async def test_the_second_answer_costs_nothing_and_is_booked_with_what_it_saved() -> None:
    provider = claude("hello")
    async with caching(provider) as router:
        first = await router.complete("g", "hi", agent_id="a1")
        await asyncio.sleep(12)
        again = await router.complete("g", "hi", agent_id="a2")
        rows = await rows_of(router)
        spend = await router.spend()
        assert_nothing_is_left(router)
    assert (first.cached, first.cost) == (False, COST)
    assert (again.cached, again.cost, again.text) == (True, FREE, "hello")
    assert again.usage == first.usage
    assert (again.provider, again.group) == ("anthropic", "g")
    assert len(provider.calls) == 1
    _, hit = rows
    assert (hit.outcome, hit.cost, hit.bound, hit.usage) == ("cached", 0, 0, None)
    assert (hit.agent_id, hit.group, f"{hit.provider}/{hit.model}") == ("a2", "g", CLAUDE)
    assert hit.call_id == hit.id
    assert hit.saved == rows[0].cost == COST * 10**12
    assert (spend.cost, spend.saved, spend.calls, spend.failed) == (COST, COST, 2, 0)
    assert spend.usage.input_tokens == first.usage.input_tokens


async def test_the_trace_says_where_it_comes_from() -> None:
    async with caching(claude()) as router:
        await router.complete("g", "hi")
        await asyncio.sleep(12)
        reply = await router.complete("g", "hi", tags={"team": "x"})
    [step] = reply.trace.steps
    assert (step.candidate, step.outcome, step.cost) == (CLAUDE, "cached", FREE)
    assert step.reason == "stored 12 s ago"
    assert reply.trace.attempts == ()
    assert reply.trace.labels == {"tag:team": "x"}
    assert "stored 12 s ago" in str(reply.trace)


async def test_without_the_table_every_call_is_made() -> None:
    provider = claude()
    async with priced(provider) as router:
        await router.complete("g", "hi", cache="use")
        await router.complete("g", "hi", cache="use")
    assert len(provider.calls) == 2


async def test_the_router_counts_what_the_cache_did() -> None:
    provider = claude(Scripted(reply=scripted_reply("hello"), delay=1), "hello", DOWN)
    async with caching(provider, cache={"ttl": 60, "stale_if_error": 600}) as router:
        assert router.cache_stats() == CacheStats(entries=0, bytes=0, evicted=0)
        await asyncio.gather(router.complete("g", "hi"), router.complete("g", "hi"))
        await router.complete("g", "hi")
        await router.complete("g", "hi", cache="skip")
        await asyncio.sleep(100)
        await router.complete("g", "hi")
        stats = router.cache_stats()
    assert stats == CacheStats(
        misses=1,
        joined=1,
        hits=1,
        stale=1,
        stored=1,
        saved=3 * COST,
        entries=1,
        bytes=stats.bytes,
        evicted=0,
    )
    assert stats.bytes


async def test_without_a_cache_it_did_nothing() -> None:
    async with priced(claude()) as router:
        await router.complete("g", "hi")
        assert router.cache_stats() == CacheStats()


async def test_a_hit_needs_no_budget() -> None:
    budget = hard(0.00036)
    async with caching(claude(), budgets=[budget]) as router:
        await router.complete("g", "hi", max_tokens=10)
        with pytest.raises(BudgetExceededError):
            await router.complete("g", "ho", max_tokens=10)
        assert (await router.complete("g", "hi", max_tokens=10)).cached
        assert [row.outcome for row in await rows_of(router)] == ["answered", "cached"]
        assert_nothing_is_left(router)


async def test_a_hit_asks_no_gate() -> None:
    provider = claude("hello", RateLimitError("slow down", status=429, retry_after=900))
    async with caching(provider) as router:
        await router.complete("g", "hi")
        with pytest.raises(AllProvidersFailedError):
            await router.complete("g", "other", timeout=5)
        assert (await router.complete("g", "hi")).cached
    assert len(provider.calls) == 2


# What a call can say


async def test_a_call_may_leave_the_cache_alone() -> None:
    provider = claude("one", "two", "three")
    async with caching(provider) as router:
        assert (await router.complete("g", "hi", cache="skip")).text == "one"
        assert (await router.complete("g", "hi")).text == "two"
        assert (await router.complete("g", "hi", cache="skip")).text == "three"
        assert (await router.complete("g", "hi")).text == "two"


async def test_a_call_may_ask_anew_and_replace_what_was_there() -> None:
    provider = claude("one", "two")
    async with caching(provider) as router:
        await router.complete("g", "hi")
        fresh = await router.complete("g", "hi", cache="refresh")
        assert (fresh.text, fresh.cached) == ("two", False)
        assert (await router.complete("g", "hi")).text == "two"


async def test_answers_grow_old() -> None:
    provider = claude("one", "two", "three")
    async with caching(provider, cache={"ttl": 60}) as router:
        await router.complete("g", "hi")
        await asyncio.sleep(59)
        assert (await router.complete("g", "hi")).text == "one"
        await asyncio.sleep(2)
        assert (await router.complete("g", "hi", cache_ttl=600)).text == "two"
        await asyncio.sleep(59)
        assert (await router.complete("g", "hi", cache_ttl=30)).text == "three"


@pytest.mark.parametrize("ttl", [0, -1, "3600", True, float("nan")])
@pytest.mark.parametrize("cache", [{}, {"cache": {}}])
async def test_a_ttl_is_a_number_of_seconds(ttl: Any, cache: Any) -> None:
    async with priced(claude(), config=cache) as router:
        with pytest.raises(InvalidRequestError) as caught:
            await router.complete("g", "hi", cache_ttl=ttl)
    assert caught.value.param == "cache_ttl"


# What is one question


async def test_projects_do_not_see_each_others_answers_unless_they_share_them() -> None:
    for cache, calls in (({}, 3), ({"scope": "global"}, 1)):
        provider = claude()
        async with caching(provider, cache=cache) as router:
            for project in ("p1", "p2", None):
                await router.complete("g", "hi", project_id=project)
                assert (await router.complete("g", "hi", project_id=project)).cached
        assert len(provider.calls) == calls


async def test_whoever_brings_a_key_sees_what_that_key_has_paid_for() -> None:
    provider = claude()
    async with caching(provider) as router:
        for key in ("sk-one", "sk-two"):
            keys = {"anthropic": key}
            assert not (await router.complete("g", "hi", credentials=keys)).cached
            assert (await router.complete("g", "hi", credentials=keys)).cached
        assert not (await router.complete("g", "hi")).cached
        rows = await rows_of(router)
    assert [row.own_key for row in rows] == [True] * 4 + [False]


async def test_a_high_temperature_wants_another_answer_each_time() -> None:
    provider = claude()
    async with caching(provider) as router:
        await router.complete("g", "hi", temperature=0.3)
        assert (await router.complete("g", "hi", temperature=0.3)).cached
        await router.complete("g", "hi", temperature=0.7)
        assert not (await router.complete("g", "hi", temperature=0.7)).cached
        await router.complete("g", "hi", temperature=0.7, cache="use")
        assert (await router.complete("g", "hi", temperature=0.7, cache="use")).cached


async def test_tools_act_so_they_are_cached_only_where_that_is_asked_for() -> None:
    cases: list[tuple[Any, Any, bool]] = [
        ({}, {}, False),
        ({}, {"cache": "use"}, True),
        ({"tools": True}, {}, True),
    ]
    for cache, options, cached in cases:
        async with caching(claude(), cache=cache) as router:
            await router.complete("g", "hi", tools=[look_up], **options)
            again = await router.complete("g", "hi", tools=[look_up], **options)
        assert again.cached is cached


async def test_a_fallbacks_answer_does_not_outlive_the_outage() -> None:
    for cache, names in (({}, ["openai", "anthropic"]), ({"fallbacks": True}, ["openai"] * 2)):
        first, second = claude(DOWN, "first"), ScriptedProvider("openai", ["second"])
        async with caching(first, second, cache=cache) as router:
            found = [(await router.complete("g", "hi")).provider for _ in range(2)]
        assert found == names


def look_up(city: str) -> str:
    """Look up a city."""
    return city


PLAIN = Capabilities(tools=False, context_window=1000)
"""What a model can do that neither calls tools nor reads much."""


@pytest.mark.parametrize(
    ("text", "options"), [("hi", {"tools": [look_up]}), ("long " * 10_000, {})]
)
async def test_the_first_choice_is_the_first_that_could_serve_the_request(
    text: str, options: Any
) -> None:
    """What the first step can never answer has nothing to wait for there."""
    first = ScriptedProvider("anthropic", capabilities=PLAIN)
    second = ScriptedProvider("openai", ["second"])
    async with caching(first, second, cache={"tools": True}) as router:
        found = [await router.complete("g", text, **options) for _ in range(2)]
        alone = await router.complete("g", text, fallback=False, **options)
    assert [(reply.provider, reply.cached) for reply in (*found, alone)] == [
        ("openai", False),
        ("openai", True),
        ("openai", True),
    ]


async def test_of_those_who_could_serve_it_the_second_is_still_a_fallback() -> None:
    unable = ScriptedProvider("ollama", capabilities=PLAIN)
    down, well = claude(DOWN, "first"), ScriptedProvider("openai", ["second"])
    async with caching(unable, down, well, cache={"tools": True}) as router:
        found = [(await router.complete("g", "hi", tools=[look_up])).provider for _ in range(3)]
    assert found == ["openai", "anthropic", "anthropic"]


async def test_a_pool_of_which_one_could_serve_it_is_the_first_choice() -> None:
    unable = ScriptedProvider("ollama", capabilities=PLAIN)
    able, last = claude(DOWN, "able"), ScriptedProvider("openai", ["last"])
    group = {"chain": [["ollama/llama3", CLAUDE], "openai/gpt-4o-mini"]}
    settings: Any = {"cache": {"tools": True}, "group": group}
    async with caching(unable, able, last, **settings) as router:
        found = [await router.complete("g", "hi", tools=[look_up]) for _ in range(3)]
    assert [(reply.text, reply.cached) for reply in found] == [
        ("last", False),
        ("able", False),
        ("able", True),
    ]


async def test_what_is_too_dear_for_one_call_is_still_the_first_choice_of_others() -> None:
    first, second = claude("dear"), ScriptedProvider("openai", ["cheap"])
    async with caching(first, second) as router:
        low = [await router.complete("g", "hi", max_tokens=1000, max_cost=0.002) for _ in range(2)]
        free = await router.complete("g", "hi", max_tokens=1000)
    assert [(reply.text, reply.cached) for reply in (*low, free)] == [
        ("cheap", False),
        ("cheap", False),
        ("dear", False),
    ]


async def test_a_call_without_fallback_takes_no_fallbacks_answer() -> None:
    first, second = claude(DOWN, "first"), ScriptedProvider("openai", ["second"])
    async with caching(first, second, cache={"fallbacks": True}) as router:
        await router.complete("g", "hi")
        reply = await router.complete("g", "hi", fallback=False)
    assert (reply.text, reply.cached) == ("first", False)


async def test_the_answer_of_a_cheaper_group_is_not_kept_as_the_dear_ones() -> None:
    exchange = {"at": 0.5, "groups": {"g": "cheap"}}
    groups = {"g": {"chain": [CLAUDE]}, "cheap": {"chain": ["ollama/llama3"]}}
    providers = [claude(), ScriptedProvider("ollama")]
    budgets = [soft(0, downgrade=exchange)]
    config = {"cache": {}, "groups": groups, "budgets": budgets}
    async with virtual(*providers, config=config) as router:
        for _ in range(2):
            reply = await router.complete("g", "hi")
            assert (reply.provider, reply.cached) == ("ollama", False)


# Streams


async def test_a_whole_stream_is_kept_and_given_again_as_one() -> None:
    provider = claude("one two three")
    async with caching(provider) as router:
        texts, first = await streamed(router)
        again, reply = await streamed(router)
        plain = await router.complete("g", "hi")
        rows = await rows_of(router)
    assert not first.cached
    assert "".join(again) == "".join(texts) == plain.text == "one two three"
    assert (reply.cached, reply.cost, plain.cached) == (True, FREE, True)
    assert reply.time_to_first_token is not None
    assert len(provider.calls) == 1
    assert [(row.outcome, row.stream) for row in rows] == [
        ("answered", True),
        ("cached", True),
        ("cached", False),
    ]


async def test_a_stream_that_is_left_or_breaks_is_not_kept() -> None:
    broken = Scripted(
        reply=scripted_reply("one two three"), error=DOWN, events_before_error=1, gap=0.1
    )
    cut = Scripted(reply=scripted_reply("one two three"), cut_after=1)
    provider = claude(broken, cut, Scripted(reply=scripted_reply("one two three"), gap=1), "whole")
    async with caching(provider) as router:
        for _ in range(2):
            with pytest.raises(StreamInterruptedError) as caught:
                await streamed(router)
            assert caught.value.completion is not None
            assert caught.value.completion.text == "one"
        async with router.stream("g", "hi") as stream:
            assert (await anext(stream)).text == "one"
        assert stream.completion.finish_reason == "error"
        assert stream.completion.text == "one"
        assert provider.streams[-1].closed
        assert (await router.complete("g", "hi")).text == "whole"
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    outcomes = ["interrupted", "interrupted", "cancelled", "answered"]
    assert [row.outcome for row in rows] == outcomes


async def test_a_stored_answer_that_is_left_early_is_booked_all_the_same() -> None:
    long = "word " * 100
    async with caching(claude(long)) as router:
        await streamed(router)
        async with router.stream("g", "hi") as stream:
            await anext(stream)
        rows = await rows_of(router)
    assert (stream.completion.cached, stream.completion.cost) == (True, FREE)
    assert [row.outcome for row in rows] == ["answered", "cached"]


async def test_failures_before_the_first_token_come_at_the_opening() -> None:
    async with caching(claude(DOWN)) as router:
        with pytest.raises(AllProvidersFailedError) as caught:
            await streamed(router)
        assert caught.value.trace is not None
        assert not router._streams


async def test_a_stream_may_be_closed_from_another_task() -> None:
    provider = claude(Scripted(reply=scripted_reply("one two"), gap=10))
    async with caching(provider) as router:
        stream = router.stream("g", "hi")
        async with stream:
            await anext(stream)
            reading = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(1)
            await stream.aclose()
            with pytest.raises(LifecycleError, match="closed before its end"):
                await reading
        assert provider.streams[0].closed
        assert not router._streams


# Together


async def test_identical_calls_at_once_are_one_call() -> None:
    provider = claude(Scripted(reply=scripted_reply("hello"), delay=1))
    async with caching(provider) as router:
        calls = [router.complete("g", "hi", agent_id=f"a{i}") for i in range(20)]
        replies = await asyncio.gather(*calls)
        rows = await rows_of(router)
        assert_nothing_is_left(router)
    assert len(provider.calls) == 1
    assert sorted(reply.cost or 0 for reply in replies) == [0] * 19 + [COST]
    assert sum(reply.cached for reply in replies) == 19
    assert sorted(row.outcome for row in rows) == ["answered"] + ["cached"] * 19
    assert {row.agent_id for row in rows} == {f"a{i}" for i in range(20)}
    assert [r.trace.steps[-1].reason for r in replies].count("joined an identical call") == 19


async def test_whoever_joined_gets_the_answer_though_the_first_one_left() -> None:
    provider = claude(Scripted(reply=scripted_reply("hello"), delay=2))
    async with caching(provider) as router:
        leader = asyncio.ensure_future(router.complete("g", "hi", agent_id="leader"))
        await asyncio.sleep(0.5)
        follower = asyncio.ensure_future(router.complete("g", "hi", agent_id="follower"))
        await asyncio.sleep(0.5)
        leader.cancel()
        reply = await follower
        assert leader.cancelled()
        rows = await rows_of(router)
    assert (reply.text, reply.cost) == ("hello", FREE)
    assert len(provider.calls) == 1
    assert [(row.agent_id, row.outcome) for row in rows] == [
        ("leader", "answered"),
        ("follower", "cached"),
    ]


async def test_the_last_one_who_leaves_ends_the_call() -> None:
    provider = claude(Scripted(reply=scripted_reply("hello"), delay=60))
    async with caching(provider) as router:
        calls = [asyncio.ensure_future(router.complete("g", "hi")) for _ in range(3)]
        await asyncio.sleep(1)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        assert asyncio.get_running_loop().time() < 10
        [row] = await rows_of(router)
        assert_nothing_is_left(router)
    assert row.outcome == "cancelled"


async def test_a_stream_that_is_under_way_is_joined_from_its_first_delta_on() -> None:
    provider = claude(Scripted(reply=scripted_reply("one two three"), gap=1))
    async with caching(provider) as router:
        async with router.stream("g", "hi") as leading:
            assert (await anext(leading)).text == "one"
            following = asyncio.ensure_future(streamed(router))
            await asyncio.sleep(0.5)
        texts, reply = await following
        rows = await rows_of(router)
        assert not router._streams
    assert texts == ["one", " two", " three"]
    assert (reply.text, reply.cost, reply.cached) == ("one two three", FREE, True)
    assert leading.completion.finish_reason == "error"
    assert leading.completion.text == "one"
    assert leading.completion.cost is None
    assert [row.outcome for row in rows] == ["answered", "cached"]


async def test_whoever_has_less_time_keeps_what_has_arrived_in_it() -> None:
    provider = claude(Scripted(reply=scripted_reply("one two three four five"), gap=1))
    async with caching(provider) as router:
        leading = asyncio.ensure_future(streamed(router))
        await asyncio.sleep(0.5)
        with pytest.raises(StreamInterruptedError) as caught:
            await streamed(router, timeout=2)
        assert (await leading)[1].text == "one two three four five"
    arrived = caught.value.completion
    assert arrived is not None
    assert (arrived.text, arrived.finish_reason, arrived.cost) == ("one two", "error", FREE)


async def test_a_stream_that_breaks_costs_only_whoever_brought_it() -> None:
    script = Scripted(reply=scripted_reply("one two"), error=DOWN, events_before_error=1, gap=1)
    async with caching(claude(script)) as router:
        calls = [streamed(router, agent_id=f"a{number}") for number in range(2)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        [row] = await rows_of(router)
    assert row.agent_id == "a0"
    costs = []
    for number, error in enumerate(found):
        assert isinstance(error, StreamInterruptedError)
        assert error.completion is not None
        assert error.completion.text == "one"
        assert error.completion.trace.labels == {"agent_id": f"a{number}"}
        costs.append(error.completion.cost)
    assert costs[0]
    assert costs[1] == 0


async def test_an_error_is_everybodys_and_each_ones_trace_is_their_own() -> None:
    provider = claude(Scripted(error=DOWN, delay=1))
    async with caching(provider) as router:
        calls = [router.complete("g", "hi", agent_id=f"a{i}") for i in range(3)]
        found = await asyncio.gather(*calls, return_exceptions=True)
    assert len(provider.calls) == 1
    for number, error in enumerate(found):
        assert isinstance(error, AllProvidersFailedError)
        assert error.trace is not None
        assert error.trace.labels == {"agent_id": f"a{number}"}
        assert [step.outcome for step in error.trace.steps] == ["failed"]


async def test_closing_the_router_ends_calls_that_others_wait_for() -> None:
    provider = claude(Scripted(reply=scripted_reply("one two"), delay=60))
    router = caching(provider)
    plain = [asyncio.ensure_future(router.complete("g", "hi")) for _ in range(2)]
    stream = asyncio.ensure_future(streamed(router, max_tokens=5))
    await asyncio.sleep(1)
    await router.aclose()
    for call in (*plain, stream):
        with pytest.raises(LifecycleError):
            await call
    assert asyncio.get_running_loop().time() < 10
    assert provider.closed == 1


async def test_a_plugin_that_does_not_heed_its_end_does_not_keep_the_router_open() -> None:
    class Stubborn(ScriptedProvider):
        async def complete(self, call: Call) -> Reply:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            await asyncio.sleep(60)
            return await super().complete(call)

    router = caching(Stubborn("anthropic"))
    call = asyncio.ensure_future(router.complete("g", "hi"))
    await asyncio.sleep(1)
    await router.aclose()
    assert asyncio.get_running_loop().time() < 10
    await asyncio.wait({call})


# When everything fails


async def test_an_expired_answer_is_better_than_none() -> None:
    provider = claude("hello", DOWN)
    async with caching(provider, cache={"ttl": 60, "stale_if_error": 600}) as router:
        await router.complete("g", "hi")
        await asyncio.sleep(100)
        replies = await asyncio.gather(*(router.complete("g", "hi") for _ in range(2)))
        texts, stream = await streamed(router)
        rows = await rows_of(router)
    for reply in (*replies, stream):
        assert (reply.text, reply.cached, reply.cost) == ("hello", True, FREE)
        assert any("expired" in line for line in reply.warnings)
        failed, cached = reply.trace.steps
        assert (failed.outcome, cached.outcome) == ("failed", "cached")
        assert "every candidate failed" in cached.reason
    assert "".join(texts) == "hello"
    assert sorted(row.outcome for row in rows) == ["answered", *["cached"] * 3, *["failed"] * 2]


# Structured output


class City(msgspec.Struct):
    name: str


def _stricter() -> type[Any]:
    """The same schema in a later version of a program, which checks more than a schema can say."""

    class City(msgspec.Struct):
        name: str

        def __post_init__(self) -> None:
            if self.name == "Bern":
                raise ValueError("not this one")

    return City


async def test_a_stored_answer_is_parsed_again() -> None:
    provider = claude('{"name": "Bern"}')
    async with caching(provider) as router:
        for _ in range(2):
            assert (await router.complete("g", "hi", response_format=City)).parsed == City("Bern")
        _, stream = await streamed(router, response_format=City)
    assert (stream.parsed, stream.cached) == (City("Bern"), True)
    assert len(provider.calls) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_one_that_has_not_the_form_any_more_is_forgotten_and_asked_anew(stream: bool) -> None:
    provider, stricter = claude('{"name": "Bern"}', '{"name": "Biel"}'), _stricter()
    async with caching(provider) as router:
        await router.complete("g", "hi", response_format=City)
        if stream:
            texts, reply = await streamed(router, response_format=stricter)
            assert "".join(texts) == '{"name": "Biel"}'
        else:
            reply = await router.complete("g", "hi", response_format=stricter)
        assert not router._streams
    assert (reply.parsed, reply.cached) == (stricter("Biel"), False)
    assert [step.outcome for step in reply.trace.steps] == ["answered"]


# Stores, and what becomes of calls without them


@pytest.mark.looptime(False)
async def test_a_file_is_shared_by_routers(tmp_path: Path) -> None:
    cache = {"url": f"sqlite:{tmp_path / 'answers.db'}", "timeout": 10}
    providers = [ScriptedProvider("a", ["hello"]) for _ in range(2)]
    for provider in providers:
        async with router_over(provider, config={"cache": cache}) as router:
            assert (await router.complete("g", "hi")).text == "hello"
    assert [len(provider.calls) for provider in providers] == [1, 0]


@pytest.mark.looptime(False)
async def test_a_redis_that_is_away_is_a_miss(tmp_path: Path) -> None:
    provider = ScriptedProvider("a", ["hello"])
    cache = {"url": f"unix://{tmp_path}/nothing-listens-here"}
    async with router_over(provider, config={"cache": cache}) as router:
        for _ in range(3):
            assert (await router.complete("g", "hi")).text == "hello"
        async with router.stream("g", "hi") as stream:
            assert "".join([event.text async for event in stream]) == "hello"
    assert len(provider.calls) == 4


@pytest.mark.looptime(False)
async def test_a_hit_is_in_a_ledger_on_disk(tmp_path: Path) -> None:
    provider = claude("hello")
    group = {"chain": [CLAUDE]}
    config = {"cache": {}, "ledger": {"url": f"sqlite:{tmp_path / 'ledger.db'}"}}
    async with router_over(provider, group=group, config=config) as router:
        for _ in range(3):
            await router.complete("g", "hi")
    async with router_over(provider, group=group, config=config) as router:
        spend = await router.spend(by="outcome")
    assert {row.keys["outcome"]: (row.calls, row.saved) for row in spend.rows} == {
        "answered": (1, FREE),
        "cached": (2, 2 * COST),
    }


@pytest.mark.looptime(False)
async def test_a_hit_is_given_though_the_ledger_is_broken(tmp_path: Path) -> None:
    cache = {"url": f"sqlite:{tmp_path / 'answers.db'}", "timeout": 10}
    provider = ScriptedProvider("a", ["hello"])
    async with router_over(provider, config={"cache": cache}) as router:
        await router.complete("g", "hi")
    (tmp_path / "file").write_text("no folder")
    ledger = {"url": f"sqlite:{tmp_path}/file/ledger.db", "on_error": "fail"}
    async with router_over(provider, config={"cache": cache, "ledger": ledger}) as router:
        assert (await router.complete("g", "hi")).cached


@pytest.mark.looptime(False)
def test_without_a_loop_it_is_the_same() -> None:
    provider = ScriptedProvider("a", ["one two"])
    config = Config.from_dict(
        {"providers": {"a": {"plugin": "x"}}, "groups": {"g": {"chain": ["a/m"]}}, "cache": {}}
    )
    with SyncRouter(config, providers={"a": provider}) as router:
        assert not router.complete("g", "hi").cached
        assert router.complete("g", "hi").cached
        with router.stream("g", "hi") as stream:
            assert "".join(event.text for event in stream) == "one two"
        assert stream.completion.cached
        with router.stream("g", "more") as stream:
            next(stream)
        assert stream.completion.text.startswith("one")
