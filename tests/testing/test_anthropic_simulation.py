from __future__ import annotations

from typing import Any

import anthropic
import pytest

from switchgear.testing import Answer, Fault, SimulatedProviders, TokenUsage, ToolCall
from tests.testing.support import CLAUDE, CLAUDE_TOOLS, HELLO, claude


async def test_text_has_the_shape_and_headers_of_the_real_service(
    simulated_providers: SimulatedProviders,
) -> None:
    async with claude(simulated_providers) as client:
        raw = await client.messages.with_raw_response.create(
            model=CLAUDE, max_tokens=50, messages=HELLO
        )
        message = await raw.parse()
    assert message.content[0].to_dict() == {"type": "text", "text": "You said: hello"}
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert raw.headers["request-id"].startswith("req_011")
    assert raw.headers["anthropic-ratelimit-requests-limit"] == "4000"
    assert raw.headers["anthropic-ratelimit-requests-remaining"] == "3999"
    assert raw.headers["anthropic-ratelimit-tokens-reset"].endswith("Z")


async def test_stream_has_the_events_of_recorded_traffic_in_order(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated_providers.anthropic.script(Answer(chunks=("Hel", "lo.")))
    async with claude(simulated_providers) as client:
        stream = await client.messages.create(
            model=CLAUDE, max_tokens=50, messages=HELLO, stream=True
        )
        events = [event async for event in stream]
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    # The SDK swallows the ping, which is there.
    assert simulated_providers.anthropic.last_request.events_sent == 8


async def test_usage_is_split_as_anthropic_splits_it(
    simulated_providers: SimulatedProviders,
) -> None:
    usage = TokenUsage(
        input_tokens=100,
        cache_read_tokens=60,
        cache_write_tokens=20,
        cache_write_1h_tokens=5,
        output_tokens=9,
    )
    simulated_providers.anthropic.script(
        Answer(text="x", usage=usage), Answer(text="x", usage=usage)
    )
    async with claude(simulated_providers) as client:
        whole = await client.messages.create(model=CLAUDE, max_tokens=50, messages=HELLO)
        async with client.messages.stream(model=CLAUDE, max_tokens=50, messages=HELLO) as stream:
            streamed = await stream.get_final_message()
    for message in (whole, streamed):
        assert message.usage.input_tokens == 15
        assert message.usage.cache_read_input_tokens == 60
        assert message.usage.cache_creation_input_tokens == 25
        assert message.usage.output_tokens == 9
    assert whole.usage.cache_creation is not None
    assert whole.usage.cache_creation.ephemeral_1h_input_tokens == 5


@pytest.mark.parametrize("streamed", [False, True])
async def test_parallel_tool_calls_make_a_round_trip(
    simulated_providers: SimulatedProviders, streamed: bool
) -> None:
    calls = (
        ToolCall(name="weather", arguments={"city": "Reykjavík"}),
        ToolCall(name="weather", arguments={}),
    )
    simulated_providers.anthropic.script(Answer(text="Let me look.", tool_calls=calls))
    ask: dict[str, Any] = {"model": CLAUDE, "max_tokens": 50, "tools": CLAUDE_TOOLS}
    async with claude(simulated_providers) as client:
        if streamed:
            async with client.messages.stream(messages=HELLO, **ask) as stream:
                first: anthropic.types.Message = await stream.get_final_message()
        else:
            first = await client.messages.create(messages=HELLO, **ask)
        used = [block for block in first.content if block.type == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "rain"} for block in used
        ]
        history = [
            *HELLO,
            {"role": "assistant", "content": [block.to_dict() for block in first.content]},
            {"role": "user", "content": results},
        ]
        for block in history[1]["content"]:
            block.pop("citations", None)
            block.pop("parsed_output", None)
        second = await client.messages.create(messages=history, **ask)
    assert first.stop_reason == "tool_use"
    assert [block.input for block in used] == [{"city": "Reykjavík"}, {}]
    assert second.content[0].to_dict()["text"] == "You said: rain rain"


async def test_thinking_comes_with_a_signature_that_must_come_back_unmodified(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated_providers.anthropic.script(
        Answer(reasoning="Rain is likely.", tool_calls=(ToolCall(name="weather"),))
    )
    ask: dict[str, Any] = {
        "model": CLAUDE,
        "max_tokens": 2000,
        "tools": CLAUDE_TOOLS,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    async with claude(simulated_providers) as client:
        async with client.messages.stream(messages=HELLO, **ask) as stream:
            first = await stream.get_final_message()
        thought, used = first.content
        assert thought.type == "thinking"
        assert thought.thinking == "Rain is likely."
        assert used.type == "tool_use"
        result = {"type": "tool_result", "tool_use_id": used.id, "content": "rain"}
        call = {"type": "tool_use", "id": used.id, "name": "weather", "input": {}}

        def history(*blocks: Any) -> list[Any]:
            return [
                *HELLO,
                {"role": "assistant", "content": list(blocks)},
                {"role": "user", "content": [result]},
            ]

        back = {"type": "thinking", "thinking": thought.thinking, "signature": thought.signature}
        await client.messages.create(messages=history(back, call), **ask)
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking`"):
            await client.messages.create(
                messages=history({**back, "thinking": "Sun is likely."}, call), **ask
            )
        with pytest.raises(anthropic.BadRequestError, match="must start with a thinking block"):
            await client.messages.create(messages=history(call), **ask)


async def test_schema_gets_an_instance_without_a_script(
    simulated_providers: SimulatedProviders,
) -> None:
    async with claude(simulated_providers) as client:
        message = await client.messages.create(
            model=CLAUDE,
            max_tokens=50,
            messages=HELLO,
            output_config={"format": {"type": "json_schema", "schema": WEATHER}},
        )
    assert message.content[0].to_dict()["text"] == '{"city":"text"}'


WEATHER: dict[str, Any] = CLAUDE_TOOLS[0]["input_schema"]


async def test_forced_tool_is_called_without_a_script(
    simulated_providers: SimulatedProviders,
) -> None:
    async with claude(simulated_providers) as client:
        message = await client.messages.create(
            model=CLAUDE,
            max_tokens=50,
            messages=HELLO,
            tools=CLAUDE_TOOLS,
            tool_choice={"type": "any"},
        )
    assert message.content[0].to_dict()["input"] == {"city": "text"}


async def test_refusal_has_its_stop_reason(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.anthropic.script(Answer(refusal="I will not."))
    async with claude(simulated_providers) as client:
        message = await client.messages.create(model=CLAUDE, max_tokens=50, messages=HELLO)
    assert message.stop_reason == "refusal"


async def test_count_and_models(simulated_providers: SimulatedProviders) -> None:
    async with claude(simulated_providers) as client:
        count = await client.messages.count_tokens(model=CLAUDE, messages=HELLO)
        message = await client.messages.create(model=CLAUDE, max_tokens=50, messages=HELLO)
        models = await client.models.list()
    assert count.input_tokens == message.usage.input_tokens
    assert models.data[0].id.startswith("claude-")


@pytest.mark.parametrize(
    ("fault", "error", "kind"),
    [
        (Fault.invalid_request("no"), anthropic.BadRequestError, "invalid_request_error"),
        (Fault.credit_balance(), anthropic.BadRequestError, "invalid_request_error"),
        (Fault.context_length(), anthropic.BadRequestError, "invalid_request_error"),
        (Fault.authentication(), anthropic.AuthenticationError, "authentication_error"),
        (Fault.permission(), anthropic.PermissionDeniedError, "permission_error"),
        (Fault.model_not_found(), anthropic.NotFoundError, "not_found_error"),
        (Fault.request_timeout(), anthropic.APIStatusError, "timeout_error"),
        (Fault.conflict(), anthropic.ConflictError, "conflict_error"),
        (Fault.too_large(), anthropic.APIStatusError, "request_too_large"),
        (Fault.unprocessable(), anthropic.UnprocessableEntityError, "invalid_request_error"),
        (Fault.rate_limit(), anthropic.RateLimitError, "rate_limit_error"),
        (Fault.server_error(), anthropic.InternalServerError, "api_error"),
        (Fault.bad_gateway(), anthropic.InternalServerError, None),
        (Fault.unavailable(), anthropic.InternalServerError, "api_error"),
        (Fault.gateway_timeout(), anthropic.InternalServerError, "timeout_error"),
        (Fault.overloaded(), anthropic.OverloadedError, "overloaded_error"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_error_answers_become_the_sdks_own_exceptions(
    simulated_providers: SimulatedProviders,
    fault: Any,
    error: type[anthropic.APIStatusError],
    kind: str | None,
    streamed: bool,
) -> None:
    simulated_providers.anthropic.script(fault)
    async with claude(simulated_providers) as client:
        with pytest.raises(error) as caught:
            await client.messages.create(
                model=CLAUDE, max_tokens=50, messages=HELLO, stream=streamed
            )
    assert caught.value.status_code == fault.status
    assert caught.value.type == kind
    assert caught.value.request_id is not None


async def test_error_event_inside_a_stream(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.anthropic.script(Fault.stream_error(after_chunks=2))
    seen: list[str] = []
    async with claude(simulated_providers) as client:
        stream = await client.messages.create(
            model=CLAUDE, max_tokens=50, messages=HELLO, stream=True
        )
        with pytest.raises(anthropic.APIStatusError) as caught:
            seen.extend([event.type async for event in stream])
    assert caught.value.type == "overloaded_error"
    assert caught.value.status_code == 200


async def test_required_key(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.anthropic.configure(require_key="sk-test")
    async with claude(simulated_providers) as client:
        await client.messages.create(model=CLAUDE, max_tokens=50, messages=HELLO)
    async with claude(simulated_providers, api_key="sk-wrong") as client:
        with pytest.raises(anthropic.AuthenticationError):
            await client.messages.create(model=CLAUDE, max_tokens=50, messages=HELLO)
    assert simulated_providers.anthropic.last_request.refused
