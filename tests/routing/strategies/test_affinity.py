from __future__ import annotations

import random
import sys
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchgear.completion import Usage
from switchgear.messages import File, Image, Message, Text, Tool
from switchgear.request import ChatRequest
from switchgear.routing.stats import CandidateStats, StatsSettings
from switchgear.routing.strategies import (
    AffinitySettings,
    Member,
    PoolContext,
    SessionAffinity,
    strategy_for,
)
from tests.routing.strategies.pools import HandClock, answered, failed, member, names

INPUT, CACHED = 3_000_000, 300_000
"""Pico-dollars a token: $3 and $0.30 a million."""

WRITTEN = Usage(input_tokens=10_500, cache_write_tokens=10_000, output_tokens=100)


def pool(clock: HandClock, **fields: Any) -> list[Member]:
    return [member(clock, n, saving=INPUT - CACHED, price=10_500 * INPUT, **fields) for n in "abc"]


def context(clock: HandClock, **fields: Any) -> PoolContext:
    return clock.context(conversation=b"one", pool="g/0", **fields)


def warmed(clock: HandClock, usage: Usage = WRITTEN, **settings: Any) -> SessionAffinity:
    """The conversation's first call was answered by ``b``."""
    affinity = SessionAffinity(AffinitySettings(**settings))
    affinity.remember(context(clock), "b", usage, began=clock.time)
    return affinity


def test_the_warm_one_comes_first_and_the_others_keep_their_order() -> None:
    clock = HandClock()
    affinity = warmed(clock)
    assert affinity.warm_at(context(clock)) == "b"
    assert names(affinity.prefer(pool(clock), context(clock))) == "bac"


def test_other_conversations_and_pools_are_left_alone() -> None:
    clock = HandClock()
    affinity, members = warmed(clock), pool(clock)
    for other in (
        clock.context(),
        clock.context(conversation=b"two", pool="g/0"),
        clock.context(conversation=b"one", pool="g/1"),
    ):
        assert affinity.warm_at(other) is None
        assert affinity.prefer(members, other) is members


def test_each_pool_of_a_chain_has_its_own_warm_one() -> None:
    clock = HandClock()
    affinity = warmed(clock)
    second = clock.context(conversation=b"one", pool="g/1")
    affinity.remember(second, "c", WRITTEN, began=clock.time)
    assert affinity.warm_at(context(clock)) == "b"
    assert affinity.warm_at(second) == "c"


def test_a_warm_one_that_is_not_in_the_pool_is_not_brought_in() -> None:
    clock = HandClock()
    affinity = warmed(clock)
    without = [each for each in pool(clock) if each.name != "b"]
    assert names(affinity.prefer(without, context(clock))) == "ac"


def test_a_cache_is_cold_after_five_minutes_from_when_it_was_used() -> None:
    clock = HandClock()
    affinity, members = warmed(clock), pool(clock)
    clock.advance(299)
    assert names(affinity.prefer(members, context(clock))) == "bac"
    affinity.remember(context(clock), "b", WRITTEN, began=clock.time - 60)
    clock.advance(239)
    assert names(affinity.prefer(members, context(clock))) == "bac"
    clock.advance(1)
    assert names(affinity.prefer(members, context(clock))) == "abc"
    assert len(affinity) == 0


def test_a_cache_that_was_marked_for_an_hour_keeps_that_long_also_when_it_is_only_read() -> None:
    clock = HandClock()
    for_an_hour = Usage(
        input_tokens=10_500, cache_write_tokens=10_000, cache_write_1h_tokens=10_000
    )
    affinity = warmed(clock, for_an_hour)
    clock.advance(3000)
    assert affinity.warm_at(context(clock)) == "b"
    read = Usage(input_tokens=10_600, cache_read_tokens=10_000)
    affinity.remember(context(clock), "b", read, began=clock.time)
    clock.advance(3000)
    assert affinity.warm_at(context(clock)) == "b"
    clock.advance(601)
    assert affinity.warm_at(context(clock)) is None


def test_another_answer_elsewhere_moves_the_conversation() -> None:
    clock = HandClock()
    affinity = warmed(clock)
    affinity.remember(context(clock), "c", WRITTEN, began=clock.time)
    assert names(affinity.prefer(pool(clock), context(clock))) == "cab"


# While it pays


@pytest.mark.parametrize(("longer", "order"), [(27.5, "bac"), (28.5, "abc")])
def test_it_stays_for_as_many_seconds_as_the_tokens_save(longer: float, order: str) -> None:
    """10 000 tokens save $0.027, which is 27 seconds, and one more of reading the prompt."""
    clock, forever = HandClock(), StatsSettings(half_life=1e9)
    members = [
        Member(name=n, stats=CandidateStats(clock, forever), price=0, saving=INPUT - CACHED)
        for n in "abc"
    ]
    for each, first in zip(members, (1.0, 1.0 + longer, 1.0), strict=True):
        answered(clock, each, first, tokens=0)

    affinity = warmed(clock)
    assert names(affinity.prefer(members, context(clock, output_tokens=0))) == order


def test_a_short_prompt_keeps_nobody() -> None:
    clock = HandClock()
    short = Usage(input_tokens=1000, cache_write_tokens=900)
    assert names(warmed(clock, short).prefer(pool(clock), context(clock))) == "abc"


def test_a_dearer_provider_keeps_only_who_it_is_cheaper_for() -> None:
    clock = HandClock()
    affinity = warmed(clock)
    a, b, _ = pool(clock)
    # Cold it is $0.0315; warm, $0.0045.
    for price, stays in ((10_000_000_000, True), (1_000_000_000, False)):
        cheap = Member(name="a", stats=a.stats, price=price, saving=0)
        assert (names(affinity.prefer([cheap, b], context(clock))) == "ba") is stays


def test_without_prices_the_time_that_reading_takes_decides() -> None:
    clock = HandClock()
    members = [member(clock, name) for name in "abc"]
    affinity = warmed(clock)
    assert names(affinity.prefer(members, context(clock))) == "bac"
    answered(clock, members[1], 20.0)
    answered(clock, members[0], 1.0)
    assert names(affinity.prefer(members, context(clock))) == "abc"


def test_a_failing_provider_keeps_nobody_until_it_is_well_again() -> None:
    clock = HandClock()
    affinity, members = warmed(clock), pool(clock)
    failed(clock, members[1], times=2)
    assert names(affinity.prefer(members, context(clock))) == "abc"
    clock.advance(60)
    assert names(affinity.prefer(members, context(clock))) == "bac"


def test_who_is_not_ready_keeps_nobody() -> None:
    clock = HandClock()
    a, b, c = pool(clock)
    out = Member(name="b", stats=b.stats, price=b.price, saving=b.saving, ready=False)
    ordered = strategy_for("priority").order([a, out, c], context(clock))
    assert names(warmed(clock).prefer(ordered, context(clock))) == "acb"


def test_a_cache_that_reports_nothing_is_hoped_for_once() -> None:
    clock = HandClock()
    silent = Usage(input_tokens=5000)
    affinity, members = warmed(clock, silent), pool(clock)
    assert names(affinity.prefer(members, context(clock))) == "bac"
    affinity.remember(context(clock), "b", silent, began=clock.time)
    assert names(affinity.prefer(members, context(clock))) == "abc"


def test_a_cache_that_reports_only_reads_stays_hoped_for() -> None:
    clock = HandClock()
    affinity, members = warmed(clock, Usage(input_tokens=5000)), pool(clock)
    read = Usage(input_tokens=6000, cache_read_tokens=4992)
    affinity.remember(context(clock), "b", read, began=clock.time)
    assert names(affinity.prefer(members, context(clock))) == "bac"


# Memory


def test_what_was_used_least_lately_is_forgotten_first() -> None:
    clock = HandClock()
    affinity = SessionAffinity(AffinitySettings(conversations=2))

    def of(key: bytes) -> PoolContext:
        return clock.context(conversation=key)

    for key in (b"1", b"2", b"1", b"3"):
        affinity.remember(of(key), "a", WRITTEN, began=clock.time)
    assert [affinity.warm_at(of(key)) for key in (b"1", b"2", b"3")] == ["a", None, "a"]


def test_without_a_conversation_nothing_is_remembered() -> None:
    clock = HandClock()
    affinity = SessionAffinity()
    affinity.remember(clock.context(), "a", WRITTEN, began=clock.time)
    assert len(affinity) == 0


@given(
    events=st.lists(st.tuples(st.sampled_from("abx"), st.integers(0, 5), st.floats(0, 400))),
    seed=st.integers(),
)
def test_every_member_stays_in_its_pool_exactly_once(
    events: list[tuple[str, int, float]], seed: int
) -> None:
    clock = HandClock()
    affinity = SessionAffinity(AffinitySettings(conversations=3))
    members, strategy = pool(clock), strategy_for("latency", random.Random(seed))
    for answered_by, conversation, seconds in events:
        clock.advance(seconds)
        now = clock.context(conversation=bytes([conversation]))
        ordered = affinity.prefer(strategy.order(members, now), now)
        assert sorted(names(ordered)) == ["a", "b", "c"]
        affinity.remember(now, answered_by, WRITTEN, began=clock.time)
        assert len(affinity) <= 3


# Which conversation


def request(*turns: str, system: str = "Be brief.", **fields: Any) -> ChatRequest:
    roles = ("user", "assistant")
    said = (Message(roles[i % 2], text) for i, text in enumerate(turns))  # type: ignore[arg-type]
    return ChatRequest(messages=(Message("system", system), *said), **fields)


@pytest.fixture
def affinity() -> SessionAffinity:
    return SessionAffinity(secret=b"k")


def test_a_session_is_known_by_its_id(affinity: SessionAffinity) -> None:
    one = affinity.conversation(request("a"), "s")
    assert one == affinity.conversation(request("b"), "s")
    assert one != affinity.conversation(request("a"), "t")
    assert one != affinity.conversation(request("a"), "s", scope="project")
    assert one != affinity.conversation(request("a"))


def test_without_one_a_conversation_is_known_by_how_it_begins(affinity: SessionAffinity) -> None:
    begun = affinity.conversation(request("hello"))
    assert begun == affinity.conversation(request("hello", "hi", "and now?"))
    for other in (
        request("hallo"),
        request("hello", system="Be long."),
        request("hello", tools=(Tool("search"),)),
    ):
        assert affinity.conversation(other) != begun


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Text("x"), Text("y")),
        (Image(url="https://a/1"), Image(url="https://a/2")),
        (Image(data="AAAA", media_type="image/png"), Image(data="BBBB", media_type="image/png")),
        (File(file_id="1"), File(file_id="2")),
    ],
)
def test_parts_tell_conversations_apart(affinity: SessionAffinity, one: Any, other: Any) -> None:
    first, second = (
        affinity.conversation(ChatRequest(messages=(Message("user", (Text("see"), part)),)))
        for part in (one, other)
    )
    assert first != second


@given(
    one=st.lists(st.text(max_size=5), min_size=1, max_size=3),
    other=st.lists(st.text(max_size=5), min_size=1, max_size=3),
)
def test_pieces_do_not_run_into_each_other(one: list[str], other: list[str]) -> None:
    affinity = SessionAffinity(secret=b"k")

    def key(texts: list[str]) -> bytes:
        message = Message("user", tuple(Text(text) for text in texts))
        return affinity.conversation(ChatRequest(messages=(message,)))

    assert (key(one) == key(other)) == (one == other)


def test_a_lone_surrogate_is_no_trouble(affinity: SessionAffinity) -> None:
    assert affinity.conversation(request("\ud800")) != affinity.conversation(request("\ud801"))


def test_the_key_is_hashed_with_a_secret_of_its_own_router() -> None:
    keys = {SessionAffinity().conversation(request("a"), "s") for _ in range(5)}
    assert len(keys) == 5
    assert all(len(key) == 16 for key in keys)


def test_nothing_of_a_conversation_is_kept(affinity: SessionAffinity) -> None:
    clock = HandClock()
    key = affinity.conversation(request("my secret plan"))
    affinity.remember(clock.context(conversation=key), "a", WRITTEN, began=clock.time)
    assert "plan" not in repr(affinity) + repr(dict(affinity._warm))
    assert sum(map(sys.getsizeof, affinity._warm)) < 300
