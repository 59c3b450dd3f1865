"""Who may answer: groups, models, and the candidates that a request rules out."""

from decimal import Decimal
from typing import Any

import pytest

from switchgear import (
    ContextWindowExceededError,
    Image,
    InvalidRequestError,
    Message,
    Text,
    UnsupportedParameterError,
)
from switchgear.providers.base import Capabilities, Reply
from switchgear.testing.scripted import ScriptedProvider

from .helpers import router_over


def look_up(city: str) -> str:
    """Look up a city."""
    return city


PICTURE = Message("user", (Text("what is it?"), Image(url="https://example.org/a.png")))
REQUESTS: dict[str, dict[str, Any]] = {
    "tools": {"tools": [look_up]},
    "tool_choice": {"tools": [look_up], "tool_choice": "required"},
    "schema": {"response_format": {"type": "object", "properties": {}}},
    "images": {"messages": [PICTURE]},
}
LACKING = {
    "tools": Capabilities(tools=False),
    "tool_choice": Capabilities(tool_choice=False),
    "schema": Capabilities(schema=None, json_object=False),
    "images": Capabilities(images=False),
}


@pytest.mark.parametrize("need", REQUESTS)
async def test_a_candidate_that_lacks_a_capability_is_skipped_with_its_reason(need: str) -> None:
    first = ScriptedProvider("a", capabilities=LACKING[need])
    second = ScriptedProvider("b", ['{"fits": true}'])
    asked: dict[str, Any] = {"messages": "hi", **REQUESTS[need]}
    async with router_over(first, second) as router:
        reply = await router.complete("g", **asked)
    assert reply.provider == "b"
    assert first.calls == []
    assert reply.trace.steps[0].outcome == "skipped"
    assert reply.trace.steps[0].reason


@pytest.mark.parametrize("need", REQUESTS)
async def test_where_nobody_can_the_error_says_who_lacks_what(need: str) -> None:
    lone = ScriptedProvider("a", capabilities=LACKING[need])
    asked: dict[str, Any] = {"messages": "hi", **REQUESTS[need]}
    async with router_over(lone) as router:
        with pytest.raises(UnsupportedParameterError, match="a/m") as refused:
            await router.complete("g", **asked)
    assert refused.value.param == need
    assert lone.calls == []


async def test_a_configuration_may_let_a_lack_pass_with_a_warning() -> None:
    lone = ScriptedProvider("a", capabilities=Capabilities(tools=False))
    async with router_over(lone, config={"unsupported": "warn"}) as router:
        await router.complete("g", "hi", tools=[look_up])
    assert lone.calls[0].unsupported == "warn"


async def test_a_sampling_knob_rules_nobody_out_unless_configured() -> None:
    plain = Capabilities(sampling=frozenset())
    lone = ScriptedProvider("a", capabilities=plain)
    async with router_over(lone) as router:
        await router.complete("g", "hi", temperature=0.5)
    async with router_over(lone, config={"unsupported": "raise"}) as router:
        with pytest.raises(UnsupportedParameterError, match="temperature"):
            await router.complete("g", "hi", temperature=0.5)


async def test_an_answer_longer_than_the_model_gives_rules_it_out() -> None:
    short = ScriptedProvider("a", capabilities=Capabilities(max_output_tokens=4096))
    async with router_over(short, ScriptedProvider("b")) as router:
        reply = await router.complete("g", "hi", max_tokens=8000)
    assert reply.provider == "b"
    assert "4096" in reply.trace.steps[0].reason


async def test_a_prompt_that_cannot_fit_is_not_sent() -> None:
    small = ScriptedProvider("a", capabilities=Capabilities(context_window=1000))
    async with router_over(small) as router:
        with pytest.raises(ContextWindowExceededError):
            await router.complete("g", "word " * 20_000)
    assert small.calls == []


async def test_a_region_rules_out_every_other() -> None:
    a, b = ScriptedProvider("a"), ScriptedProvider("b")
    group = {"chain": ["a/m", {"model": "b/m", "region": "eu"}]}
    async with router_over(a, b, group=group) as router:
        reply = await router.complete("g", "hi", region="eu")
    assert reply.provider == "b"
    assert "eu" in reply.trace.steps[0].reason


@pytest.mark.parametrize("price", ["0.0000001", 0.0000001, Decimal("0.0000001")])
async def test_a_price_ceiling_rules_out_what_could_cost_more(price: Any) -> None:
    dear = ScriptedProvider("anthropic")
    free = ScriptedProvider("ollama")
    group = {"chain": ["anthropic/claude-3-5-sonnet-20241022", "ollama/llama3"]}
    async with router_over(dear, free, group=group) as router:
        reply = await router.complete("g", "hi", max_cost=price, max_tokens=100)
    assert (reply.provider, reply.cost) == ("ollama", Decimal(0))
    assert "$" in reply.trace.steps[0].reason


async def test_the_longest_answer_comes_from_call_entry_group_in_that_order() -> None:
    provider = ScriptedProvider("a")
    group = {"chain": [{"model": "a/m", "max_tokens": 20}, "a/n"], "max_tokens": 30}
    async with router_over(provider, group=group) as router:
        await router.complete("g", "hi", max_tokens=10)
        await router.complete("g", "hi")
    assert [call.request.max_tokens for call in provider.calls] == [10, 20]
    async with router_over(provider, group={"max_tokens": 30}) as router:
        await router.complete("g", "hi")
    assert provider.calls[-1].request.max_tokens == 30


async def test_a_model_is_named_with_a_slash_or_a_colon() -> None:
    provider = ScriptedProvider("a")
    async with router_over(provider) as router:
        for name in ("a/x:8b", "a:x:8b"):
            reply = await router.complete(name, "hi")
            assert reply.group is None
    assert [call.model for call in provider.calls] == ["x:8b", "x:8b"]


async def test_an_unknown_group_is_told_which_there_are() -> None:
    async with router_over(ScriptedProvider("a"), group={}) as router:
        with pytest.raises(InvalidRequestError, match="groups: g"):
            await router.complete("high-reasonning", "hi")
        with pytest.raises(InvalidRequestError, match="known: a"):
            await router.complete("nowhere/m", "hi")


async def test_fields_for_one_provider_reach_only_that_one() -> None:
    a, b = ScriptedProvider("a", [ConnectionError("x")]), ScriptedProvider("b")
    group = {"chain": [{"model": "a/m", "extra": {"k": 1, "own": True}}, "b/m"]}
    async with router_over(a, b, group=group) as router:
        await router.complete(
            "g",
            "hi",
            extra={"a": {"k": 2}},
            extra_headers={"b": {"x-y": "z"}},
            credentials={"b": "key-of-b"},
        )
    assert a.calls[0].extra == {"k": 2, "own": True}
    assert (b.calls[0].extra, b.calls[0].headers) == ({}, {"x-y": "z"})
    assert a.calls[0].credential is None
    assert b.calls[0].credential is not None
    assert b.calls[0].credential.reveal() == "key-of-b"
    assert "key-of-b" not in repr(b.calls[0])


BAD_OPTIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"temprature": 1}, "temprature", "temperature"),
    ({"temperature": 3}, "temperature", "0 to 2"),
    ({"temperature": float("nan")}, "temperature", "nan"),
    ({"max_tokens": 0}, "max_tokens", "from 1"),
    ({"max_tokens": True}, "max_tokens", "True"),
    ({"timeout": 0}, "timeout", "above 0"),
    ({"idle_timeout": "soon"}, "idle_timeout", "soon"),
    ({"agent_id": 7}, "agent_id", "string"),
    ({"tags": {"team": 7}}, "tags['team']", "string"),
    ({"extra": {"nobody": {}}}, "extra['nobody']", "nobody"),
    ({"extra": {"a": 1}}, "extra['a']", "dict"),
    ({"credentials": {"a": ""}}, "credentials['a']", "key"),
    ({"max_cost": "much"}, "max_cost", "USD"),
    ({"reasoning_effort": 3}, "reasoning_effort", "low"),
]


@pytest.mark.parametrize(("options", "param", "hint"), BAD_OPTIONS)
async def test_a_wrong_argument_is_named_before_anything_is_sent(
    options: dict[str, Any], param: str, hint: str
) -> None:
    provider = ScriptedProvider("a")
    async with router_over(provider) as router:
        with pytest.raises(InvalidRequestError) as refused:
            await router.complete("g", "hi", **options)
    assert refused.value.param == param
    assert hint in str(refused.value)
    assert provider.calls == []


async def test_labels_are_kept_in_the_trace() -> None:
    async with router_over(ScriptedProvider("a")) as router:
        reply = await router.complete(
            "g", "hi", agent_id="architect-1", project_id="p", tags={"team": "x"}
        )
    assert reply.trace.labels == {
        "agent_id": "architect-1",
        "project_id": "p",
        "tag:team": "x",
    }


async def test_an_uncounted_answer_is_estimated_and_flagged() -> None:
    uncounted = Reply(parts=(Text("four words are here"),), finish_reason="stop")
    async with router_over(ScriptedProvider("a", [uncounted])) as router:
        reply = await router.complete("g", "hello there")
    assert reply.usage.estimated
    assert reply.usage.input_tokens > 0
    assert reply.usage.output_tokens > 0


async def test_a_model_without_a_price_is_flagged_and_never_free() -> None:
    async with router_over(ScriptedProvider("a")) as router:
        reply = await router.complete("g", "hi")
    assert reply.cost is None
    assert any("no price" in warning for warning in reply.warnings)


async def test_a_known_model_costs_what_the_table_says() -> None:
    provider = ScriptedProvider("anthropic")  # 10 tokens in at $3, 5 out at $15 per million
    async with router_over(provider) as router:
        reply = await router.complete("anthropic/claude-3-5-sonnet-20241022", "hi")
    assert reply.cost == Decimal("0.000105")
    assert reply.trace.steps[-1].cost == reply.cost
