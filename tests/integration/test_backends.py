"""The same router on our own adapters and on LiteLLM: one line of its configuration apart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pydantic
import pytest

from switchgear import (
    AllProvidersFailedError,
    AuthenticationError,
    Completion,
    ConfigError,
    ContextWindowExceededError,
    OverloadedError,
    RateLimitError,
    Router,
    ServerError,
    StreamInterruptedError,
    SwitchgearError,
)
from switchgear.testing import Answer, Fault, SimulatedProviders
from switchgear.testing.answers import TokenUsage, ToolCall

pytestmark = [
    pytest.mark.xdist_group("litellm"),
    # What LiteLLM is warned of by pydantic is not ours to mend.
    pytest.mark.filterwarnings("ignore:Accessing the .model_"),
    pytest.mark.filterwarnings("ignore:Item .* on TypedDict class:UserWarning"),
]

MODELS = {"anthropic": "claude-haiku-4-5", "openai": "gpt-4o-mini", "ollama": "llama3.1"}
BACKENDS = ("native", "litellm")

on_both = pytest.mark.parametrize("backend", BACKENDS)
at_each = pytest.mark.parametrize("vendor", MODELS)


def config(simulated: SimulatedProviders, backend: str, **sections: Any) -> dict[str, Any]:
    """All three vendors; nothing but ``[backend]`` says who serves them."""
    keys = {"anthropic": "sk-test-0123456789", "openai": "sk-test-0123456789"}
    return {
        "providers": {
            name: {"base_url": simulated[name].base_url}
            | ({"api_key": keys[name]} if name in keys else {})
            for name in MODELS
        },
        "backend": {"default": backend},
        "retry": {"num_retries": 0},
        **sections,
    }


def model(vendor: str) -> str:
    return f"{vendor}/{MODELS[vendor]}"


class City(pydantic.BaseModel):
    name: str
    people: int


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def outline(reply: Completion) -> Mapping[str, Any]:
    """What a caller relies on, whoever served."""
    return {
        "text": reply.text,
        "finish_reason": reply.finish_reason,
        "usage": reply.usage,
        "cost": reply.cost,
        "provider": reply.provider,
        "model": reply.model,
        "outcome": reply.trace.steps[-1].outcome,
    }


ANSWER = Answer(
    text="Hello there, friend.",
    usage=TokenUsage(input_tokens=1200, output_tokens=34, cache_read_tokens=0),
)


@at_each
async def test_text_usage_and_cost_are_the_same(
    simulated_providers: SimulatedProviders, vendor: str
) -> None:
    simulated_providers[vendor].always(ANSWER)
    found = []
    for backend in BACKENDS:
        async with Router.from_dict(config(simulated_providers, backend)) as router:
            found.append(outline(await router.complete(model(vendor), "Hi")))
    assert found[0] == found[1]
    assert found[0]["usage"].input_tokens == 1200
    assert found[0]["cost"] is not None


@at_each
async def test_a_stream_gives_the_same_text_usage_and_cost(
    simulated_providers: SimulatedProviders, vendor: str
) -> None:
    simulated_providers[vendor].always(ANSWER)
    found = []
    for backend in BACKENDS:
        async with Router.from_dict(config(simulated_providers, backend)) as router:
            async with router.stream(model(vendor), "Hi") as stream:
                text = "".join([event.text async for event in stream])
            assert text == stream.completion.text
            found.append(outline(stream.completion))
    assert found[0] == found[1]
    assert found[0]["text"] == ANSWER.text


@on_both
@at_each
async def test_tools_go_round(
    simulated_providers: SimulatedProviders, vendor: str, backend: str
) -> None:
    simulated_providers[vendor].script(
        Answer(tool_calls=(ToolCall(name="weather", arguments={"city": "Oslo"}),)),
        Answer(text="It is sunny."),
    )
    asked: list[Any] = [{"role": "user", "content": "How is the weather in Oslo?"}]
    async with Router.from_dict(config(simulated_providers, backend)) as router:
        first = await router.complete(model(vendor), asked, tools=[weather])
        [call] = first.message.tool_calls
        assert (first.finish_reason, call.name) == ("tool_calls", "weather")
        assert json.loads(call.arguments) == {"city": "Oslo"}
        asked += [
            first,
            {"role": "tool", "tool_call_id": call.id, "content": "sunny in Oslo"},
        ]
        last = await router.complete(model(vendor), asked, tools=[weather])
    assert last.text == "It is sunny."
    seen = simulated_providers[vendor].last_request
    assert seen.refused is None
    assert b"sunny in Oslo" in seen.raw


@on_both
@at_each
@pytest.mark.parametrize("form", [City, City.model_json_schema()], ids=["model", "schema"])
async def test_an_answer_in_a_form_is_parsed(
    simulated_providers: SimulatedProviders, vendor: str, backend: str, form: Any
) -> None:
    simulated_providers[vendor].always(Answer(text='{"name": "Oslo", "people": 700000}'))
    async with Router.from_dict(config(simulated_providers, backend)) as router:
        reply = await router.complete(model(vendor), "Which?", response_format=form)
    parsed = reply.parsed
    found = parsed.model_dump() if isinstance(parsed, City) else parsed
    assert found == {"name": "Oslo", "people": 700000}
    assert isinstance(parsed, City) == (form is City)


FAILURES: dict[int, tuple[Any, type[SwitchgearError]]] = {
    401: (Fault.status(401), AuthenticationError),
    429: (Fault.rate_limit(retry_after=20), RateLimitError),
    500: (Fault.status(500), ServerError),
    400: (Fault.context_length(), ContextWindowExceededError),
}


@on_both
@at_each
@pytest.mark.parametrize("status", FAILURES)
async def test_failures_are_of_one_kind(
    simulated_providers: SimulatedProviders, vendor: str, backend: str, status: int
) -> None:
    fault, kind = FAILURES[status]
    simulated_providers[vendor].always(fault)
    async with Router.from_dict(config(simulated_providers, backend)) as router:
        with pytest.raises(AllProvidersFailedError) as caught:
            await router.complete(model(vendor), "Hi")
    [error] = caught.value.exceptions
    assert type(error) is kind
    assert isinstance(error, SwitchgearError)
    assert error.status == status
    if kind is RateLimitError:
        assert error.retry_after == pytest.approx(20, abs=1)


@on_both
async def test_an_overloaded_vendor_is_survived_by_the_next(
    simulated_providers: SimulatedProviders, backend: str
) -> None:
    simulated_providers.anthropic.always(Fault.status(529))
    simulated_providers.openai.always(ANSWER)
    chain = {"g": {"chain": [model("anthropic"), model("openai")]}}
    async with Router.from_dict(config(simulated_providers, backend, groups=chain)) as router:
        reply = await router.complete("g", "Hi")
        with pytest.raises(AllProvidersFailedError) as alone:
            await router.complete(model("anthropic"), "Hi")
    assert (reply.text, reply.provider) == (ANSWER.text, "openai")
    assert isinstance(alone.value.exceptions[0], OverloadedError)


@on_both
@at_each
async def test_a_stream_that_is_cut_is_never_taken_for_whole(
    simulated_providers: SimulatedProviders, vendor: str, backend: str
) -> None:
    simulated_providers[vendor].always(Fault.cut(answer=ANSWER, after_chunks=2))
    async with Router.from_dict(config(simulated_providers, backend)) as router:
        async with router.stream(model(vendor), "Hi") as stream:
            with pytest.raises(StreamInterruptedError):
                async for _ in stream:
                    pass
    assert stream.completion.finish_reason == "error"
    assert stream.completion.usage.estimated


@on_both
@at_each
async def test_who_leaves_closes_the_connection(
    simulated_providers: SimulatedProviders, vendor: str, backend: str
) -> None:
    simulated_providers[vendor].always(Answer(text="late", latency=60))
    async with Router.from_dict(config(simulated_providers, backend)) as router:
        asking = asyncio.create_task(router.complete(model(vendor), "Hi"))
        await simulated_providers.arrivals(1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await simulated_providers.disconnect()).vendor == vendor


@at_each
async def test_a_single_provider_is_switched_by_its_own_line(
    simulated_providers: SimulatedProviders, vendor: str
) -> None:
    simulated_providers[vendor].always(ANSWER)
    mapping = config(simulated_providers, "native")
    mapping["providers"][vendor]["backend"] = "litellm"
    async with Router.from_dict(mapping) as router:
        reply = await router.complete(model(vendor), "Hi")
        # Our own adapters would have theirs; LiteLLM is a module.
        with pytest.raises(ConfigError, match="no SDK client"):
            router.client(vendor)
    assert reply.text == ANSWER.text
