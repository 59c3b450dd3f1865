"""Which failure goes where: the table of the design, row by row."""

import asyncio

import pytest

from switchgear import (
    AllProvidersFailedError,
    AuthenticationError,
    ContentFilterError,
    ContextWindowExceededError,
    DeadlineExceededError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    PluginError,
    ProviderConnectionError,
    ProviderTimeoutError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    SwitchgearError,
    UnsupportedParameterError,
)
from switchgear.messages import Text
from switchgear.providers.base import Capabilities, Reply
from switchgear.testing.scripted import Scripted, ScriptedProvider, scripted_reply

from .helpers import virtual

pytestmark = pytest.mark.looptime

NOT_REPEATED = [
    AuthenticationError,
    PermissionDeniedError,
    ModelNotFoundError,
    QuotaExceededError,
    RateLimitError,
    ProviderTimeoutError,
    UnsupportedParameterError,
]
REPEATED_ONCE = [ProviderConnectionError, ServerError, OverloadedError, MalformedResponseError]


@pytest.mark.parametrize("kind", NOT_REPEATED)
async def test_the_next_candidate_answers_at_once(kind: type[SwitchgearError]) -> None:
    first, second = ScriptedProvider("a", [kind("no")]), ScriptedProvider("b", ["yes"])
    async with virtual(first, second) as router:
        reply = await router.complete("g", "hi")
    assert (reply.text, reply.provider) == ("yes", "b")
    assert len(first.calls) == 1
    assert reply.latency == 0


@pytest.mark.parametrize("kind", REPEATED_ONCE)
async def test_a_passing_fault_is_tried_again_once_before_the_next_candidate(
    kind: type[SwitchgearError],
) -> None:
    first, second = ScriptedProvider("a", [kind("no")]), ScriptedProvider("b", ["yes"])
    async with virtual(first, second) as router:
        reply = await router.complete("g", "hi")
    assert reply.provider == "b"
    assert len(first.calls) == 2
    assert [step.outcome for step in reply.trace.steps] == ["failed", "failed", "answered"]
    assert reply.trace.steps[1].repeat == 1
    assert 0 < reply.trace.steps[1].waited <= 0.5


async def test_a_passing_fault_that_has_passed_needs_no_other_candidate() -> None:
    first, second = ScriptedProvider("a", [ServerError("no"), "yes"]), ScriptedProvider("b")
    async with virtual(first, second) as router:
        reply = await router.complete("g", "hi")
    assert reply.provider == "a"
    assert second.calls == []


async def test_the_last_candidate_gets_all_the_repeats() -> None:
    only = ScriptedProvider("a", [ServerError("no")] * 3 + ["yes"])
    async with virtual(only) as router:
        reply = await router.complete("g", "hi")
    assert reply.text == "yes"
    assert [step.repeat for step in reply.trace.steps] == [0, 1, 2, 3]


async def test_num_retries_bounds_the_repeats_of_the_whole_call() -> None:
    a, b = (ScriptedProvider(name, [ServerError("no")]) for name in "ab")
    async with virtual(a, b, config={"retry": {"num_retries": 2}}) as router:
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.complete("g", "hi")
    assert (len(a.calls), len(b.calls)) == (2, 2)
    assert len(failed.value.exceptions) == 4


async def test_no_repeats_are_made_where_none_are_allowed() -> None:
    only = ScriptedProvider("a", [ServerError("no")])
    async with virtual(only, config={"retry": {"num_retries": 0}}) as router:
        with pytest.raises(AllProvidersFailedError):
            await router.complete("g", "hi")
    assert len(only.calls) == 1


@pytest.mark.parametrize("kind", [InvalidRequestError, ContentFilterError])
async def test_what_would_be_wrong_anywhere_goes_nowhere_else(kind: type[SwitchgearError]) -> None:
    first, second = ScriptedProvider("a", [kind("no", status=400)]), ScriptedProvider("b")
    async with virtual(first, second) as router:
        with pytest.raises(kind) as failed:
            await router.complete("g", "hi")
    assert second.calls == []
    assert failed.value.trace is not None
    assert [step.status for step in failed.value.trace.steps] == [400]


async def test_a_declined_request_goes_on_where_the_group_says_so() -> None:
    first, second = ScriptedProvider("a", [ContentFilterError("no")]), ScriptedProvider("b")
    group = {"fallback_on_content_filter": True}
    async with virtual(first, second, group=group) as router:
        assert (await router.complete("g", "hi")).provider == "b"


async def test_a_refusal_is_an_answer_unless_the_group_says_otherwise() -> None:
    refusal = Reply(parts=(), finish_reason="refusal", native_finish_reason="refusal")
    async with virtual(ScriptedProvider("a", [refusal]), ScriptedProvider("b")) as router:
        assert (await router.complete("g", "hi")).finish_reason == "refusal"
    group = {"fallback_on_content_filter": True}
    first, second = ScriptedProvider("a", [refusal]), ScriptedProvider("b")
    async with virtual(first, second, group=group) as router:
        assert (await router.complete("g", "hi")).provider == "b"


async def test_an_overlong_prompt_goes_only_to_a_larger_window() -> None:
    a, b, c = (
        ScriptedProvider(name, script, capabilities=Capabilities(context_window=window))
        for name, window, script in (
            ("a", 8_000, [ContextWindowExceededError("too long")]),
            ("b", 4_000, []),
            ("c", 16_000, ["fits"]),
        )
    )
    async with virtual(a, b, c) as router:
        reply = await router.complete("g", "hi")
    assert reply.provider == "c"
    assert b.calls == []
    assert [step.outcome for step in reply.trace.steps] == ["failed", "skipped", "answered"]
    assert "4000" in reply.trace.steps[1].reason


async def test_a_rate_limit_on_the_last_candidate_is_waited_out() -> None:
    only = ScriptedProvider("a", [RateLimitError("slow down", retry_after=7), "yes"])
    async with virtual(only) as router:
        reply = await router.complete("g", "hi", timeout=30)
    assert 7 <= reply.trace.steps[1].waited < 8
    assert reply.latency == pytest.approx(reply.trace.steps[1].waited)


async def test_nobody_waits_longer_than_the_deadline_leaves() -> None:
    only = ScriptedProvider("a", [RateLimitError("slow down", retry_after=60)])
    loop = asyncio.get_running_loop()
    async with virtual(only) as router:
        began = loop.time()
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.complete("g", "hi", timeout=30)
    assert loop.time() == began
    assert failed.value.retry_after == 60


async def test_a_quota_is_never_waited_for() -> None:
    only = ScriptedProvider("a", [QuotaExceededError("no credit", retry_after=1)])
    async with virtual(only) as router:
        with pytest.raises(AllProvidersFailedError):
            await router.complete("g", "hi")
    assert len(only.calls) == 1


async def test_a_slow_candidate_is_left_for_the_next_one() -> None:
    slow = ScriptedProvider("a", [Scripted(delay=100)])
    async with virtual(slow, ScriptedProvider("b", ["yes"])) as router:
        reply = await router.complete("g", "hi", attempt_timeout=5)
    assert reply.provider == "b"
    assert reply.latency == pytest.approx(5)
    assert reply.trace.steps[0].error == "ProviderTimeoutError"


async def test_the_deadline_ends_the_call_wherever_it_is() -> None:
    slow, never = ScriptedProvider("a", [Scripted(delay=100)]), ScriptedProvider("b")
    loop = asyncio.get_running_loop()
    async with virtual(slow, never) as router:
        began = loop.time()
        with pytest.raises(DeadlineExceededError) as failed:
            await router.complete("g", "hi", timeout=3)
    assert loop.time() - began == pytest.approx(3, abs=0.05)
    assert never.calls == []
    assert isinstance(failed.value, TimeoutError)
    assert failed.value.trace is not None
    assert failed.value.trace.steps[0].candidate == "a/m"


async def test_each_attempt_gets_what_the_deadline_leaves() -> None:
    first = ScriptedProvider("a", [Scripted(delay=4)])
    second = ScriptedProvider("b", ["yes"])
    async with virtual(first, second) as router:
        await router.complete("g", "hi", timeout=10, attempt_timeout=3)
    assert first.calls[0].timeout == pytest.approx(3)
    assert second.calls[0].timeout == pytest.approx(3)
    async with virtual(first, second) as router:
        await router.complete("g", "hi", timeout=5, attempt_timeout=3)
    assert second.calls[1].timeout == pytest.approx(2)


async def test_an_entry_may_have_a_timeout_of_its_own() -> None:
    slow, quick = ScriptedProvider("a", [Scripted(delay=9)]), ScriptedProvider("b", ["yes"])
    group = {"chain": [{"model": "a/m", "attempt_timeout": 2}, "b/m"]}
    async with virtual(slow, quick, group=group) as router:
        reply = await router.complete("g", "hi")
    assert reply.latency == pytest.approx(2)


async def test_an_entry_may_bound_what_a_call_spends_on_it_with_its_repeats() -> None:
    only = ScriptedProvider("a", [Scripted(delay=2, error=ServerError("no"))])
    group = {"chain": [{"model": "a/m", "timeout": 5}]}
    async with virtual(only, group=group) as router:
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.complete("g", "hi")
    assert failed.value.trace is not None
    ended = failed.value.trace.steps[-1]
    assert ended.started + ended.duration <= 5


async def test_the_calls_own_attempt_timeout_wins_over_the_entrys() -> None:
    slow, quick = ScriptedProvider("a", [Scripted(delay=9)]), ScriptedProvider("b", ["yes"])
    group = {"chain": [{"model": "a/m", "attempt_timeout": 2}, "b/m"], "attempt_timeout": 1}
    async with virtual(slow, quick, group=group) as router:
        reply = await router.complete("g", "hi", attempt_timeout=3)
    assert reply.latency == pytest.approx(3)


async def test_an_exhausted_chain_names_every_attempt() -> None:
    a = ScriptedProvider("a", [AuthenticationError("bad key", status=401)])
    b = ScriptedProvider("b", [RateLimitError("slow down", status=429, retry_after=900)])
    async with virtual(a, b) as router:
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.complete("g", "hi", timeout=10)
    error = failed.value
    assert [type(exc) for exc in error.exceptions] == [AuthenticationError, RateLimitError]
    assert error.retry_after == 900
    assert error.trace is not None
    assert [step.status for step in error.trace.steps] == [401, 429]
    assert "bad key" in str(error)


async def test_an_exception_that_is_not_ours_is_the_plugins_fault() -> None:
    class BrokenProvider(ScriptedProvider):
        async def complete(self, call: object) -> Reply:
            raise KeyError("choices")

    async with virtual(BrokenProvider("a"), ScriptedProvider("b", ["yes"])) as router:
        reply = await router.complete("g", "hi")
    assert reply.provider == "b"
    assert reply.trace.steps[0].error == PluginError.__name__
    assert "KeyError" in reply.trace.steps[0].reason


async def test_a_timeout_of_the_plugins_own_is_not_taken_for_the_deadline() -> None:
    class Impatient(ScriptedProvider):
        async def complete(self, call: object) -> Reply:
            raise TimeoutError("mine")

    async with virtual(Impatient("a"), ScriptedProvider("b", ["yes"])) as router:
        reply = await router.complete("g", "hi")
    assert reply.trace.steps[0].error == PluginError.__name__


async def test_without_fallback_only_the_first_candidate_is_asked() -> None:
    first, second = ScriptedProvider("a", [AuthenticationError("no")]), ScriptedProvider("b")
    async with virtual(first, second) as router:
        with pytest.raises(AllProvidersFailedError):
            await router.complete("g", "hi", fallback=False)
    assert second.calls == []


async def test_a_cancelled_call_ends_at_once_and_tries_nobody_else() -> None:
    slow, never = ScriptedProvider("a", [Scripted(delay=100)]), ScriptedProvider("b")
    async with virtual(slow, never) as router:
        task = asyncio.ensure_future(router.complete("g", "hi"))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert never.calls == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_answer_that_misses_its_schema_is_asked_for_again() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    only = ScriptedProvider("a", ["not json", scripted_reply('{"n": 3}')])
    async with virtual(only) as router:
        reply = await router.complete("g", "hi", response_format=schema)
    assert reply.parsed == {"n": 3}
    assert reply.trace.steps[0].error == MalformedResponseError.__name__


@pytest.mark.parametrize("before", ["Let me see.", '{"n": 3}'])
async def test_the_last_of_several_texts_may_be_the_answer_by_itself(before: str) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    several = Reply(parts=(Text(before), Text('{"n": 3}')), finish_reason="stop")
    async with virtual(ScriptedProvider("a", [several])) as router:
        reply = await router.complete("g", "hi", response_format=schema)
    assert reply.parsed == {"n": 3}


async def test_a_truncated_answer_is_not_taken_for_a_malformed_one() -> None:
    cut = Reply(parts=scripted_reply('{"n": ').parts, finish_reason="length")
    only = ScriptedProvider("a", [cut])
    async with virtual(only) as router:
        reply = await router.complete("g", "hi", response_format="json")
    assert (reply.parsed, reply.finish_reason) == (None, "length")
