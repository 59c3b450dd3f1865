"""What is Gemini's own; what every adapter promises is in test_conformance.py."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from switchgear import (
    AuthenticationError,
    Message,
    QuotaExceededError,
    RateLimitError,
    Reasoning,
    Secret,
    Text,
    Tool,
    ToolCall,
)
from switchgear.providers import Call, ChatRequest, EmbedCall, ProviderSettings
from switchgear.testing import (
    Answer,
    ErrorReply,
    Fault,
    SimulatedProvider,
    SimulatedProviders,
    TokenUsage,
    ToolCall as Called,
)
from switchgear_gemini import GeminiProvider, create
from switchgear_gemini.testing import GeminiWire

MODEL = "gemini-3.8-flash"
WEATHER = Tool("weather", "The weather in a city.", {"type": "object", "properties": {}})


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedProviders]:
    with SimulatedProviders(wires={"gemini": GeminiWire}) as providers:
        yield providers


@pytest.fixture
def gemini(simulated: SimulatedProviders) -> SimulatedProvider:
    simulated.reset()
    return simulated["gemini"]


def provider(gemini: SimulatedProvider, key: str | None = "a-key") -> GeminiProvider:
    return create(
        ProviderSettings(
            name="gemini",
            plugin="gemini",
            api_key=Secret(key) if key else None,
            base_url=gemini.base_url,
        )
    )


def asking(*messages: Message, **request: object) -> Call:
    return Call(request=ChatRequest(messages=messages, **request), model=MODEL)  # type: ignore[arg-type]


def user(text: str) -> Message:
    return Message("user", text)


def test_a_thought_signature_goes_back_with_its_call(gemini: SimulatedProvider) -> None:
    gemini.script(Answer(tool_calls=(Called(name="weather"),), reasoning="Which city?"))

    async def two_turns() -> None:
        mine = provider(gemini)
        question = user("And the weather?")
        reply = await mine.complete(asking(question, tools=(WEATHER,)))
        assert isinstance(reply.parts[0], Reasoning)
        (call,) = (part for part in reply.parts if isinstance(part, ToolCall))
        history = (
            question,
            Message("assistant", reply.parts),
            Message("tool", "sunny", tool_call_id=call.id),
        )
        answer = await mine.complete(asking(*history, tools=(WEATHER,)))
        assert answer.warnings == ()
        await mine.aclose()

    asyncio.run(two_turns())
    _, call_turn, result_turn = gemini.last_request.body["contents"]
    (sent,) = call_turn["parts"]
    assert sent["thoughtSignature"] == "c2lnbmVk"
    assert result_turn["parts"][0]["functionResponse"]["response"] == {"output": "sunny"}


def test_a_call_of_another_model_gets_the_documented_stand_in(gemini: SimulatedProvider) -> None:
    history = (
        user("Weather in two cities?"),
        Message("assistant", (ToolCall("toolu_1", "weather"), ToolCall("toolu_2", "weather"))),
        Message("tool", "sunny", tool_call_id="toolu_1"),
        Message("tool", "no such city", tool_call_id="toolu_2", is_error=True),
    )

    async def ask() -> None:
        mine = provider(gemini)
        await mine.complete(asking(*history, tools=(WEATHER,)))
        await mine.aclose()

    asyncio.run(ask())
    _, calls, results = gemini.last_request.body["contents"]
    first, second = calls["parts"]
    assert first["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in second
    assert [part["functionResponse"]["response"] for part in results["parts"]] == [
        {"output": "sunny"},
        {"error": "no such city"},
    ]


def test_thoughts_count_as_output_and_cached_tokens_as_input(gemini: SimulatedProvider) -> None:
    usage = TokenUsage(
        input_tokens=100, cache_read_tokens=40, output_tokens=30, reasoning_tokens=10
    )
    gemini.script(Answer(text="Yes.", reasoning="Hm.", usage=usage))

    async def ask() -> None:
        mine = provider(gemini)
        reply = await mine.complete(asking(user("Well?")))
        assert reply.usage is not None
        assert (reply.usage.input_tokens, reply.usage.cache_read_tokens) == (100, 40)
        assert (reply.usage.output_tokens, reply.usage.reasoning_tokens) == (30, 10)
        await mine.aclose()

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("effort", "model", "thinking"),
    [
        ("low", "gemini-3.8-flash", {"thinkingLevel": "low", "includeThoughts": True}),
        ("none", "gemini-2.5-flash", {"thinkingBudget": 0, "includeThoughts": False}),
        ("medium", "gemini-2.5-flash", {"thinkingBudget": 8192, "includeThoughts": True}),
    ],
)
def test_effort_is_said_in_the_words_of_the_generation(
    gemini: SimulatedProvider, effort: str, model: str, thinking: dict[str, object]
) -> None:
    async def ask() -> None:
        mine = provider(gemini)
        request = ChatRequest(messages=(user("Well?"),), reasoning_effort=effort)
        await mine.complete(Call(request=request, model=model))
        await mine.aclose()

    asyncio.run(ask())
    assert gemini.last_request.body["generationConfig"]["thinkingConfig"] == thinking


@pytest.mark.parametrize(
    ("fault", "error", "wait"),
    [
        (Fault.rate_limit(), RateLimitError, 7.5),
        (Fault.insufficient_quota(), QuotaExceededError, None),
        (Fault.authentication(), AuthenticationError, None),
    ],
)
def test_the_words_of_an_error_win_over_its_status(
    gemini: SimulatedProvider, fault: ErrorReply, error: type[Exception], wait: float | None
) -> None:
    gemini.script(fault)

    async def ask() -> None:
        mine = provider(gemini)
        with pytest.raises(error) as refused:
            await mine.complete(asking(user("Well?")))
        assert getattr(refused.value, "retry_after", None) == wait
        await mine.aclose()

    asyncio.run(ask())


def test_a_blocked_prompt_ends_as_a_content_filter(gemini: SimulatedProvider) -> None:
    blocked = {"candidates": [], "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    gemini.script(Answer(extra=blocked))

    async def ask() -> None:
        mine = provider(gemini)
        reply = await mine.complete(asking(user("Well?")))
        assert (reply.finish_reason, reply.parts) == ("content_filter", ())
        await mine.aclose()

    asyncio.run(ask())


def test_counting_listing_and_embedding(gemini: SimulatedProvider) -> None:
    async def ask() -> None:
        mine = provider(gemini)
        assert await mine.count_tokens(asking(user("How many tokens are these?"))) > 5
        assert await mine.list_models() == [MODEL]
        wanted = EmbedCall(inputs=("a", "b"), model="gemini-embedding-1", dimensions=4)
        vectors = (await mine.embed(wanted)).vectors
        assert [len(vector) for vector in vectors] == [4, 4]
        assert vectors[0] != vectors[1]
        await mine.aclose()

    asyncio.run(ask())


def test_without_a_key_nothing_is_sent(
    gemini: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)

    async def ask() -> None:
        mine = provider(gemini, key=None)
        with pytest.raises(AuthenticationError, match="GEMINI_API_KEY"):
            await mine.complete(asking(user("Well?")))
        await mine.aclose()

    asyncio.run(ask())
    assert gemini.requests == []


def test_text_and_thoughts_keep_their_order_in_a_stream(gemini: SimulatedProvider) -> None:
    gemini.script(Answer(text="It is four.", reasoning="Two and two."))

    async def ask() -> None:
        mine = provider(gemini)
        stream = await mine.stream(asking(user("2 + 2?")))
        events = [event async for event in stream]
        assert "".join(event.reasoning for event in events) == "Two and two."
        assert "".join(event.text for event in events) == "It is four."
        assert stream.snapshot().parts == (Reasoning("Two and two."), Text("It is four."))
        await stream.aclose()
        await mine.aclose()

    asyncio.run(ask())
