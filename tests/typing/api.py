"""The public interface as a type checker sees it. Checked by mypy, never run."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, assert_type

from switchgear import (
    Completion,
    CompletionStream,
    EmbeddingResult,
    Message,
    Router,
    StreamEvent,
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
