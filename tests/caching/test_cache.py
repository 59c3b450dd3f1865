"""The cache as routing uses it: what is asked once, and what is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from switchgear import AllProvidersFailedError, InvalidRequestError, StreamEvent, Trace
from switchgear.caching.cache import ResponseCache
from switchgear.caching.entry import Answer, Made
from switchgear.caching.flight import Emit
from switchgear.caching.store import CacheStore
from switchgear.clock import SystemClock
from switchgear.config.cache import CacheConfig, CacheRules, GroupCache
from switchgear.credentials import Secret
from switchgear.messages import Native, NativeBlock, Text, ToolCall
from switchgear.request import ChatRequest
from tests.caching.values import CONFIG, made, request, target

if TYPE_CHECKING:
    from tests.caching.values import HandClock

Cache = Callable[..., ResponseCache]


class Provider:
    """Answers as it is told to; knows how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.made: Made | None = None
        self.error: Exception | None = None
        self.pieces: list[str] = []
        self.go: asyncio.Event | None = None
        self.begun = asyncio.Semaphore(0)

    async def __call__(self, emit: Emit) -> Made:
        self.asked += 1
        self.begun.release()
        for piece in self.pieces:
            emit(StreamEvent(text=piece))
            await asyncio.sleep(0)
        if self.go is not None:
            await self.go.wait()
        if self.error is not None:
            raise self.error
        return self.made or made(Text("".join(self.pieces) or f"answer {self.asked}"))


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest_asyncio.fixture
async def caches(store: CacheStore, clock: HandClock) -> AsyncIterator[Cache]:
    """Caches on one store, of every kind of store."""
    opened: list[ResponseCache] = []

    def cache(**settings: Any) -> ResponseCache:
        # A clock turned by hand is no time limit; the store is real.
        made = ResponseCache(CacheConfig(timeout=10.0, **settings), clock=clock, store=store)
        opened.append(made)
        return made

    yield cache
    for each in opened:
        await each.aclose()


async def ask(
    cache: ResponseCache,
    provider: Provider,
    asked: ChatRequest | None = None,
    *,
    group: str = "g",
    **terms: Any,
) -> Answer | None:
    """An answer by way of the cache; ``None`` where the request is none of its business."""
    terms = {"project_id": "p1", **terms}
    ticket = await cache.ticket(asked or request(), target(group), **terms)
    if ticket is None:
        return None
    async with cache.ask(ticket, provider, timeout=60) as asking:
        return await asking.answer()


async def text(*arguments: Any, **terms: Any) -> str:
    answer = await ask(*arguments, **terms)
    assert answer is not None
    (part,) = answer.entry.parts
    assert isinstance(part, Text)
    return part.text


async def heard(
    cache: ResponseCache, provider: Provider, **terms: Any
) -> tuple[list[StreamEvent], Answer]:
    ticket = await cache.ticket(request(), target(), project_id="p1", **terms)
    assert ticket is not None
    async with cache.ask(ticket, provider, timeout=60) as asking:
        events = []
        while (event := await asking.event()) is not None:
            events.append(event)
        return events, await asking.answer()


# -- hits ------------------------------------------------------------------------------------


async def test_the_second_time_it_is_there_and_costs_nothing(
    caches: Cache, provider: Provider
) -> None:
    cache = caches()
    first = await ask(cache, provider)
    second = await ask(cache, provider)
    assert provider.asked == 1
    assert first is not None
    assert second is not None
    assert (first.live, second.live, second.fresh, second.joined) == (True, False, True, False)
    assert first.completion is not None
    assert first.completion.text == "answer 1"
    assert second.completion is None
    reply = second.completion_for(trace=Trace("g"), group="g", latency=0.0)
    assert (reply.text, reply.cost, reply.cached) == ("answer 1", Decimal(0), True)
    assert reply.warnings == ("seed: left out",)
    assert second.entry.cost == 42
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.stored) == (1, 1, 1)
    assert stats.saved == Decimal("0.000000000042")


async def test_another_replica_finds_it(caches: Cache, provider: Provider) -> None:
    assert await text(caches(), provider) == await text(caches(), provider) == "answer 1"


async def test_projects_do_not_see_each_others_answers_unless_told(
    caches: Cache, provider: Provider
) -> None:
    cache = caches()
    assert await text(cache, provider, project_id="p1") == "answer 1"
    assert await text(cache, provider, project_id="p2") == "answer 2"
    assert await text(cache, provider, project_id=None) == "answer 3"
    shared = caches(scope="global")
    assert await text(shared, provider, project_id="p1") == "answer 4"
    assert await text(shared, provider, project_id="p2") == "answer 4"


async def test_whoever_brings_a_key_sees_only_what_that_key_paid_for(
    caches: Cache, provider: Provider
) -> None:
    cache = caches(scope="global")
    for credential, expected in (("a", 1), ("b", 2), ("a", 1)):
        keys = {"ollama": Secret(credential)}
        assert await text(cache, provider, credentials=keys) == f"answer {expected}"
    assert await text(cache, provider) == "answer 3"


async def test_groups_are_apart(caches: Cache, provider: Provider) -> None:
    cache = caches()
    assert await text(cache, provider, group="g") == "answer 1"
    assert await text(cache, provider, group="h") == "answer 2"


# -- time ------------------------------------------------------------------------------------


async def test_an_answer_is_given_for_its_time_and_no_longer(
    caches: Cache, provider: Provider, clock: HandClock
) -> None:
    cache = caches()
    await ask(cache, provider)
    clock.time += 3599
    assert await text(cache, provider) == "answer 1"
    clock.time += 1
    assert await text(cache, provider) == "answer 2"


async def test_groups_and_calls_have_their_own_time(
    caches: Cache, provider: Provider, clock: HandClock
) -> None:
    cache = caches(groups={"h": GroupCache(ttl=10.0)})
    await ask(cache, provider, group="g")
    await ask(cache, provider, group="h")
    await ask(cache, provider, request("other"), ttl=5.0)
    assert provider.asked == 3
    clock.time += 6
    await ask(cache, provider, request("other"))
    assert provider.asked == 4
    clock.time += 6
    await ask(cache, provider, group="h")
    assert provider.asked == 5
    await ask(cache, provider, group="g")
    assert provider.asked == 5


async def test_no_call_gets_an_answer_older_than_it_takes(
    caches: Cache, provider: Provider, clock: HandClock
) -> None:
    cache = caches()
    await ask(cache, provider, ttl=86_400.0)
    clock.time += 30
    assert await text(cache, provider, ttl=60.0) == "answer 1"
    assert await text(cache, provider, ttl=20.0) == "answer 2"


async def test_a_clock_that_goes_back_breaks_nothing(
    caches: Cache, provider: Provider, clock: HandClock
) -> None:
    cache = caches()
    await ask(cache, provider)
    clock.time -= 500
    answer = await ask(cache, provider)
    assert answer is not None
    assert (answer.live, answer.age) == (False, 0.0)


# -- the call's own word ---------------------------------------------------------------------


async def test_skip_neither_reads_nor_stores(caches: Cache, provider: Provider) -> None:
    cache = caches()
    assert await ask(cache, provider, mode="skip") is None
    assert await text(cache, provider) == "answer 1"


async def test_refresh_asks_again_and_replaces(caches: Cache, provider: Provider) -> None:
    cache = caches()
    await ask(cache, provider)
    assert await text(cache, provider, mode="refresh") == "answer 2"
    assert await text(cache, provider) == "answer 2"


async def test_what_has_no_canonical_form_is_not_cached(caches: Cache, provider: Provider) -> None:
    cache = caches()
    assert await ask(cache, provider, request(extra={"ollama": {"x": object()}})) is None


# -- what is not stored ----------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["refusal", "content_filter", "error", "pause", "length"])
async def test_what_is_no_whole_answer_is_given_and_not_kept(
    caches: Cache, provider: Provider, reason: str
) -> None:
    cache = caches()
    provider.made = made(finish_reason=reason)
    await ask(cache, provider)
    await ask(cache, provider)
    assert provider.asked == 2
    assert cache.stats().stored == 0


async def test_an_error_is_not_kept(caches: Cache, provider: Provider) -> None:
    cache = caches()
    provider.error = InvalidRequestError("no")
    with pytest.raises(InvalidRequestError):
        await ask(cache, provider)
    provider.error = None
    assert await text(cache, provider) == "answer 2"


async def test_a_fallbacks_answer_is_not_given_for_the_first_choices_unless_asked(
    caches: Cache, provider: Provider
) -> None:
    cache = caches()
    provider.made = made(first_choice=False)
    await ask(cache, provider)
    await ask(cache, provider)
    assert provider.asked == 2
    asked = caches(rules=CacheRules(fallbacks=True))
    await ask(asked, provider)
    await ask(asked, provider)
    assert provider.asked == 3
    await ask(asked, provider, first_only=True)
    assert provider.asked == 4, "a call without fallback takes no fallback's answer"


async def test_what_two_candidates_said_between_them_is_not_kept(
    caches: Cache, provider: Provider
) -> None:
    cache = caches()
    whole = made()
    provider.made = Made(completion=whole.completion, whole=False)
    await ask(cache, provider)
    await ask(cache, provider)
    assert provider.asked == 2


async def test_what_is_too_large_is_given_and_not_kept(caches: Cache, provider: Provider) -> None:
    cache = caches(max_entry_kb=1)
    provider.made = made(Text("x" * 2000))
    await ask(cache, provider)
    await ask(cache, provider)
    assert provider.asked == 2


async def test_a_long_answer_is_packed_aside_and_comes_back(
    caches: Cache, provider: Provider
) -> None:
    cache = caches()
    provider.made = made(Text("lorem ipsum " * 50_000))
    assert await text(cache, provider) == await text(cache, provider) == "lorem ipsum " * 50_000
    assert provider.asked == 1


async def test_a_poisoned_entry_is_a_miss_and_is_replaced(
    caches: Cache, provider: Provider, store: CacheStore
) -> None:
    cache = caches()
    await ask(cache, provider)
    ticket = await cache.ticket(request(), target(), project_id="p1")
    assert ticket is not None
    good = await store.get(ticket.key)
    assert good is not None
    for number, poison in enumerate((b"\x80\x04cos\nsystem\n", good[:-1], good[::-1], b"S"), 2):
        await store.put(ticket.key, poison, 60)
        assert await text(cache, provider) == f"answer {number}"
        assert await text(cache, provider) == f"answer {number}"
    assert cache.stats().damaged >= 4


async def test_what_turned_out_to_be_of_no_use_is_forgotten(
    caches: Cache, provider: Provider
) -> None:
    cache = caches()
    await ask(cache, provider)
    ticket = await cache.ticket(request(), target(), project_id="p1")
    assert ticket is not None
    await cache.forget(ticket)
    assert await text(cache, provider) == "answer 2"


# -- stale if error --------------------------------------------------------------------------

STALE = CacheRules(ttl=60.0, stale_if_error=600.0)
FAILED = AllProvidersFailedError("every candidate failed", [OSError("down")])


async def test_where_every_candidate_fails_an_expired_answer_is_given_and_says_so(
    caches: Cache, provider: Provider, clock: HandClock
) -> None:
    cache = caches(rules=STALE)
    await ask(cache, provider)
    clock.time += 300
    provider.error = FAILED
    answer = await ask(cache, provider)
    assert answer is not None
    assert (answer.fresh, answer.live, answer.age) == (False, False, 300.0)
    assert answer.error is FAILED
    reply = answer.completion_for(trace=Trace("g"), group="g", latency=0.0)
    assert reply.text == "answer 1"
    assert "expired; stored 300 s ago" in reply.warnings[-1]
    assert cache.stats().stale == 1
    clock.time += 360
    with pytest.raises(AllProvidersFailedError):
        await ask(cache, provider)


async def test_an_expired_answer_is_given_for_no_other_reason(
    caches: Cache, provider: Provider, clock: HandClock
) -> None:
    cache = caches(rules=STALE)
    await ask(cache, provider)
    clock.time += 300
    provider.error = InvalidRequestError("the request is wrong")
    with pytest.raises(InvalidRequestError):
        await ask(cache, provider)
    provider.error = None
    assert await text(cache, provider) == "answer 3"


async def test_without_the_option_an_outage_is_an_error(
    caches: Cache, provider: Provider, clock: HandClock
) -> None:
    cache = caches()
    await ask(cache, provider)
    clock.time += 3601
    provider.error = FAILED
    with pytest.raises(AllProvidersFailedError):
        await ask(cache, provider)


# -- streams ---------------------------------------------------------------------------------


async def test_a_stream_is_kept_when_complete_and_comes_again_as_a_stream(
    caches: Cache, provider: Provider
) -> None:
    cache = caches()
    provider.pieces = ["Once ", "upon ", "a time."]
    events, first = await heard(cache, provider)
    assert [event.text for event in events] == provider.pieces
    assert first.live
    again, second = await heard(cache, provider)
    assert "".join(event.text for event in again) == "Once upon a time."
    assert not second.live
    assert provider.asked == 1
    assert await text(cache, provider) == "Once upon a time.", "and as a whole"


async def test_a_whole_answer_comes_as_a_stream_too(caches: Cache, provider: Provider) -> None:
    cache = caches()
    provider.made = made(Text("so: "), ToolCall("c", "f", '{"a":1}'), NativeBlock(Native("x", {})))
    await ask(cache, provider)
    events, _ = await heard(cache, provider)
    assert events[0].text == "so: "
    calls = [event.tool_call for event in events[1:] if event.tool_call]
    assert (calls[0].id, calls[0].name) == ("c", "f")
    assert "".join(call.arguments for call in calls) == '{"a":1}'


async def test_a_stream_that_breaks_is_not_kept(caches: Cache, provider: Provider) -> None:
    cache = caches()
    provider.pieces, provider.error = ["Once "], InvalidRequestError("broke")
    with pytest.raises(InvalidRequestError):
        await heard(cache, provider)
    provider.error = None
    await heard(cache, provider)
    assert provider.asked == 2


async def test_a_stream_that_is_left_early_is_not_kept(caches: Cache, provider: Provider) -> None:
    cache = caches()
    provider.pieces, provider.go = ["Once "], asyncio.Event()
    ticket = await cache.ticket(request(), target(), project_id="p1")
    assert ticket is not None
    async with cache.ask(ticket, provider, timeout=60) as asking:
        assert await asking.event() == StreamEvent(text="Once ")
    provider.go.set()
    await heard(cache, provider)
    assert provider.asked == 2


# -- at once ---------------------------------------------------------------------------------


async def test_a_hundred_at_once_make_one_call_and_the_others_cost_nothing(
    caches: Cache, provider: Provider
) -> None:
    cache = caches()
    answers = await asyncio.gather(*(ask(cache, provider) for _ in range(100)))
    assert provider.asked == 1
    live = [answer for answer in answers if answer is not None and answer.live]
    assert len(live) == 1
    assert all(answer is not None and (answer.live or answer.joined) for answer in answers)
    stats = cache.stats()
    assert (stats.misses, stats.joined, stats.saved) == (1, 99, 99 * Decimal("42E-12"))


async def test_streams_and_whole_answers_join_each_other(caches: Cache, provider: Provider) -> None:
    cache = caches()
    provider.pieces, provider.go = ["Once ", "upon"], asyncio.Event()
    streams = [asyncio.ensure_future(heard(cache, provider)) for _ in range(3)]
    await provider.begun.acquire()
    plain = asyncio.ensure_future(ask(cache, provider))
    for _ in range(5):
        await asyncio.sleep(0)
    provider.go.set()
    for events, _ in await asyncio.gather(*streams):
        assert [event.text for event in events] == ["Once ", "upon"]
    answer = await plain
    assert answer is not None
    assert answer.joined
    assert provider.asked == 1


async def test_calls_on_other_terms_are_not_joined(caches: Cache, provider: Provider) -> None:
    cache = caches()
    provider.go = asyncio.Event()
    ways: list[dict[str, Any]] = [
        {},
        {"terms": ("max_cost", 1)},
        {"first_only": True},
        {"mode": "refresh"},
    ]
    asking = [asyncio.ensure_future(ask(cache, provider, **way)) for way in ways]
    for _ in ways:
        await provider.begun.acquire()
    provider.go.set()
    answers = await asyncio.gather(*asking)
    assert all(answer is not None and answer.live for answer in answers)
    assert provider.asked == 4


async def test_what_is_not_kept_is_still_shared_by_those_who_waited(
    caches: Cache, provider: Provider
) -> None:
    cache = caches()
    provider.made = made(finish_reason="refusal")
    answers = await asyncio.gather(*(ask(cache, provider) for _ in range(5)))
    assert provider.asked == 1
    assert {answer.entry.finish_reason for answer in answers if answer} == {"refusal"}


# -- no store can fail a call ----------------------------------------------------------------


async def test_a_redis_that_is_not_there_costs_next_to_nothing(provider: Provider) -> None:
    config = CacheConfig(url="redis://127.0.0.1:1/0", timeout=0.02)
    cache = ResponseCache(config, clock=SystemClock())
    for number in range(1, 6):
        assert await text(cache, provider) == f"answer {number}"
    await cache.aclose()
    assert provider.asked == 5


async def test_a_target_is_worked_out_once() -> None:
    cache = ResponseCache(CacheConfig())
    group = CONFIG.groups["g"]
    asked = []

    def settings(name: str) -> Any:
        asked.append(name)
        return CONFIG.providers.get(name)

    first = cache.target(group, group.chain, settings)
    assert cache.target(group, group.chain, settings) is first
    assert first == target("g")
    assert asked == ["ollama"]
    await cache.aclose()
