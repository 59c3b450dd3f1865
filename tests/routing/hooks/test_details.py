"""What hooks are given, and when."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from switchgear import (
    AllProvidersFailedError,
    BudgetExceededError,
    DeadlineExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
)
from switchgear.testing.scripted import Scripted, ScriptedProvider, scripted_reply
from tests.routing.bookkeeping import CLAUDE, hard, only_row, priced, rows_of
from tests.routing.hooks.hearing import Listening
from tests.routing.test_embedding import Embedder

pytestmark = pytest.mark.looptime

KEY = "sk-not-a-real-key-1234567890"


def claude(*script: Any) -> ScriptedProvider:
    return ScriptedProvider("anthropic", script)


async def test_an_attempt_is_told_before_and_after_and_as_it_is_booked() -> None:
    hook = Listening()
    answer = Scripted(reply=scripted_reply("hello"), delay=2)
    async with priced(claude(answer), budgets=[hard()], hooks=[hook]) as router:
        reply = await router.complete(
            "g", "hi", agent_id="a1", project_id="p1", tags={"team": "x"}, max_tokens=50
        )
        row = await only_row(router)
    [before], [after], [settled] = hook.before, hook.after, hook.settled
    labels = {"agent_id": "a1", "project_id": "p1", "tag:team": "x"}
    assert before.attempt_id == after.attempt_id == settled.attempt_id == row.id.hex()
    assert before.call_id == after.call_id == settled.call_id == row.call_id.hex()
    assert before.labels == after.labels == settled.labels == labels
    assert f"{before.provider}/{before.model}" == CLAUDE
    assert before.group == after.group == settled.group == "g"
    assert before.request is not None
    assert [message.text for message in before.request.messages] == ["hi"]
    assert before.max_tokens == 50
    assert before.bound is not None
    assert reply.cost is not None
    assert before.bound > reply.cost
    assert (after.outcome, after.error, after.text) == ("answered", None, "hello")
    assert after.latency == pytest.approx(2)
    assert after.time_to_first_token is None
    assert (after.usage, after.finish_reason) == (reply.usage, "stop")
    assert (settled.cost, settled.bound) == (reply.cost, reply.cost)
    assert settled.price.startswith(CLAUDE)
    assert settled.at == row.at / 1_000_000


async def test_every_repeat_and_every_candidate_is_an_attempt() -> None:
    hook = Listening()
    first = claude(ServerError("down", status=500), RateLimitError("slower", status=429))
    second = ScriptedProvider("openai", ["hello"])
    async with priced(first, second, hooks=[hook]) as router:
        await router.complete("g", "hi")
    assert [(each.provider, each.repeat) for each in hook.before] == [
        ("anthropic", 0),
        ("anthropic", 1),
        ("openai", 0),
    ]
    assert [(each.outcome, each.error, each.status) for each in hook.after] == [
        ("failed", "ServerError", 500),
        ("failed", "RateLimitError", 429),
        ("answered", None, None),
    ]
    assert [each.message for each in hook.after] == ["down", "slower", None]
    assert len({each.call_id for each in hook.after}) == 1


async def test_a_stream_is_an_attempt_whose_end_is_that_of_its_last_delta() -> None:
    hook = Listening()
    provider = claude(Scripted(reply=scripted_reply("one two three"), gap=1))
    async with priced(provider, hooks=[hook]) as router:
        async with router.stream("g", "hi") as stream:
            assert hook.after == []
            assert "".join([event.text async for event in stream]) == "one two three"
    [before], [after] = hook.before, hook.after
    assert before.stream
    assert (after.outcome, after.text) == ("answered", "one two three")
    assert after.time_to_first_token == pytest.approx(1)
    assert after.latency == pytest.approx(4)


async def test_a_broken_a_left_and_a_cancelled_answer_are_told_with_what_had_arrived() -> None:
    hook = Listening()
    long = scripted_reply("one two three")
    broken = Scripted(reply=long, error=ServerError("gone"), events_before_error=2)
    provider = claude(broken, Scripted(reply=long), Scripted(delay=60))
    async with priced(provider, hooks=[hook]) as router:
        with pytest.raises(StreamInterruptedError):
            async with router.stream("g", "hi") as stream:
                async for _ in stream:
                    pass
        async with router.stream("g", "hi") as stream:
            await anext(stream)
        call = asyncio.ensure_future(router.complete("g", "hi"))
        await asyncio.sleep(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    told = [(each.outcome, each.error, each.text) for each in hook.after]
    assert told == [
        ("interrupted", "ServerError", "one two"),
        ("cancelled", None, "one"),
        ("cancelled", None, ""),
    ]
    assert all(each.cost is not None and each.usage is not None for each in hook.settled)


async def test_an_attempt_that_is_outrun_is_told_too() -> None:
    hook = Listening()
    first = claude(Scripted(delay=10))
    second = ScriptedProvider("openai", ["quick"])
    async with priced(first, second, group={"hedging": 2}, hooks=[hook]) as router:
        assert (await router.complete("g", "hi")).text == "quick"
    assert [(each.provider, each.hedge) for each in hook.before] == [
        ("anthropic", False),
        ("openai", True),
    ]
    assert {(each.provider, each.outcome, each.hedge) for each in hook.after} == {
        ("openai", "answered", True),
        ("anthropic", "cancelled", False),
    }


async def test_an_embedding_is_an_attempt_at_texts() -> None:
    hook = Listening()
    async with priced(Embedder("openai"), hooks=[hook]) as router:
        await router.embed("g", ["one", "two"])
    [before], [after] = hook.before, hook.after
    assert (before.request, before.inputs) == (None, ("one", "two"))
    assert (after.outcome, after.parts) == ("answered", ())
    assert after.usage is not None
    assert after.usage.input_tokens == 3


async def test_what_is_not_sent_to_be_answered_is_no_attempt() -> None:
    hook = Listening()
    async with priced(claude(), budgets=[hard(Decimal("1e-9"))], hooks=[hook]) as router:
        await router.count_tokens("g", "hi")
        with pytest.raises(BudgetExceededError):
            await router.complete("g", "hi")
    assert (hook.before, hook.after, hook.settled) == ([], [], [])


async def test_a_cached_answer_is_settled_and_was_no_attempt() -> None:
    hook = Listening()
    config = {"cache": {"ttl": 60}}
    async with priced(claude(), config=config, hooks=[hook]) as router:
        first = await router.complete("g", "hi")
        await router.complete("g", "hi", agent_id="a2")
        _, hit = await rows_of(router)
    assert len(hook.before) == len(hook.after) == 1
    assert [each.outcome for each in hook.settled] == ["answered", "cached"]
    cached = hook.settled[1]
    assert (cached.attempt_id, cached.labels) == (hit.id.hex(), {"agent_id": "a2"})
    assert cached.cost == 0
    assert cached.saved == first.cost


async def test_no_credential_is_in_what_hooks_are_given() -> None:
    hook = Listening()
    provider = claude(ServerError(f"down, {KEY}"), "hello")
    async with priced(provider, hooks=[hook]) as router:
        await router.complete(
            "g",
            "hi",
            credentials={"anthropic": KEY},
            extra_headers={"anthropic": {"Authorization": f"Bearer {KEY}"}},
        )
    assert hook.before[0].own_key
    assert hook.before[0].request is not None
    assert hook.before[0].request.extra_headers == {}
    assert KEY not in repr((hook.before, hook.after, hook.settled))
    assert provider.calls[0].headers["Authorization"] == f"Bearer {KEY}"


async def test_what_they_are_given_can_not_be_changed() -> None:
    hook = Listening()
    async with priced(claude(), hooks=[hook]) as router:
        await router.complete("g", "hi")
    for details in (hook.before[0], hook.after[0], hook.settled[0]):
        with pytest.raises(AttributeError):
            details.provider = "other"  # type: ignore[misc]


async def test_a_chain_that_fails_and_a_call_that_runs_out_of_time_are_told_whole() -> None:
    hook = Listening()
    async with priced(claude(ServerError("down", status=500)), hooks=[hook]) as router:
        with pytest.raises(AllProvidersFailedError) as caught:
            await router.complete("g", "hi")
    assert len(hook.after) == len(caught.value.exceptions)
    slow = Listening()
    async with priced(claude(Scripted(delay=60)), hooks=[slow]) as router:
        with pytest.raises(DeadlineExceededError):
            await router.complete("g", "hi", timeout=5)
    assert [each.outcome for each in slow.after] == ["failed"]
    assert len(slow.settled) == 1


async def test_what_a_hook_changes_is_not_what_is_sent() -> None:
    class Meddling(Listening):
        def before_attempt(self, details: Any) -> None:
            details.request.extra["anthropic"]["max_tokens"] = 100_000
            details.request.tools[0].parameters["description"] = "long " * 1000

    provider = claude()
    extra = {"anthropic": {"top_k": 4}}
    tool = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    hook = Meddling()
    async with priced(provider, budgets=[hard()], hooks=[hook]) as router:
        await router.complete(
            "g", "hi", extra=extra, tools=[{"type": "function", "function": tool}]
        )
        assert router.health().hooks[0].failures == 0
    [call] = provider.calls
    assert call.extra == extra["anthropic"] == {"top_k": 4}
    assert call.request.tools[0].parameters == {"type": "object", "properties": {}}
