"""The public interface as a type checker sees it. Checked by mypy, never run."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, assert_type

from switchgear import (
    Completion,
    CompletionStream,
    EmbeddingResult,
    LLMGateway,
    Message,
    Router,
    StreamEvent,
    SyncLLMGateway,
    SyncRouter,
    Text,
    TokenCount,
    Tool,
    Trace,
    Usage,
)


def look_up(city: str) -> str:
    """Look up a city."""
    return city


async def calls(router: Router) -> None:
    reply = await router.complete(
        "high-reasoning",
        [{"role": "user", "content": "hi"}, Message("assistant", (Text("hello"),))],
        agent_id="architect-1",
        project_id="syndarix",
        tools=[look_up, Tool("other")],
        response_format={"type": "object"},
        max_tokens=800,
        timeout=60,
        max_cost=Decimal("0.1"),
        extra={"openai": {"store": False}},
    )
    assert_type(reply, Completion)
    assert_type(reply.text, str)
    assert_type(reply.cost, Decimal | None)
    assert_type(reply.usage, Usage)
    assert_type(reply.trace, Trace)
    assert_type(reply.to_openai(), dict[str, Any])

    async with router.stream("fast-response", "hi") as stream:
        assert_type(stream, CompletionStream)
        async for event in stream:
            assert_type(event, StreamEvent)
            assert_type(event.text, str)
        assert_type(stream.completion, Completion)

    assert_type(await router.embed("openai/text-embedding-3-small", ["a"]), EmbeddingResult)
    assert_type(await router.count_tokens("g", "hi"), TokenCount)


async def for_agents(router: Router) -> None:
    gateway = LLMGateway(router)
    assert_type(gateway.router, Router)
    assert_type(gateway.agent_types, Mapping[str, str])
    reply = await gateway.complete(
        agent_id="a1",
        project_id="p1",
        messages=[{"role": "user", "content": "hi"}],
        model_preference="high-reasoning",
    )
    assert_type(reply, Completion)
    assert_type(reply["choices"][0]["message"]["content"], Any)
    assert_type({**reply}, dict[str, Any])
    await gateway.complete("a1", "p1", "hi", "fast-response", max_tokens=5, tags={"team": "x"})
    async with gateway.stream("a1", "p1", "hi", agent_type="QA Engineer") as stream:
        assert_type(stream, CompletionStream)
    async with LLMGateway() as owner, LLMGateway.from_file("switchgear.toml") as other:
        assert_type(owner, LLMGateway)
        assert_type(other, LLMGateway)


async def refused_to_agents(gateway: LLMGateway) -> None:
    await gateway.complete("a1", "p1")  # type: ignore[call-arg]
    await gateway.complete("a1", "p1", "hi", temprature=1)  # type: ignore[call-arg]
    await gateway.complete("a1", None, "hi")  # type: ignore[arg-type]


def for_agents_in_threads(router: SyncRouter) -> None:
    with SyncLLMGateway(router) as gateway:
        assert_type(gateway.router, SyncRouter)
        assert_type(gateway.complete("a1", "p1", "hi", agent_type="QA Engineer"), Completion)
        with gateway.stream("a1", "p1", "hi") as stream:
            for event in stream:
                assert_type(event, StreamEvent)


async def refused(router: Router) -> None:
    await router.complete("g", "hi", temprature=1)  # type: ignore[call-arg]
    await router.complete("g", "hi", max_tokens="many")  # type: ignore[arg-type]
    await router.complete("g", "hi", cache="maybe")  # type: ignore[arg-type]
    await router.complete("g")  # type: ignore[call-arg]


def from_threads(settings: Mapping[str, Any]) -> None:
    with SyncRouter.from_dict(settings) as router:
        assert_type(router, SyncRouter)
        assert_type(router.complete("g", "hi"), Completion)
        with router.stream("g", "hi") as stream:
            for event in stream:
                assert_type(event, StreamEvent)
