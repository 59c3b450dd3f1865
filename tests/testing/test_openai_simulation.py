from __future__ import annotations

import math
from typing import Any

import openai
import pytest

from switchgear.testing import Answer, Fault, SimulatedProviders, TokenUsage, ToolCall
from tests.testing.support import GPT_TOOLS, HELLO, WEATHER_SCHEMA, gpt

CALLS = (
    ToolCall(name="weather", arguments={"city": "Reykjavík"}),
    ToolCall(name="weather", arguments={"city": "Oslo"}),
)


async def test_chat_text_and_headers(simulated_providers: SimulatedProviders) -> None:
    async with gpt(simulated_providers) as client:
        raw = await client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO)
    completion = raw.parse()
    assert completion.choices[0].message.content == "You said: hello"
    assert completion.model == "gpt-4o-2024-08-06"
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-ratelimit-remaining-requests"] == "3999"
    assert raw.headers["x-ratelimit-reset-tokens"] == "1s"


async def test_chat_stream_sends_usage_only_when_asked(
    simulated_providers: SimulatedProviders,
) -> None:
    usage = TokenUsage(input_tokens=2000, cache_read_tokens=1024, output_tokens=7)
    simulated_providers.openai.always(Answer(text="One two.", usage=usage))
    async with gpt(simulated_providers) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        plain = [chunk async for chunk in stream]
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        counted = [chunk async for chunk in stream]
    assert all(chunk.usage is None for chunk in plain)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in plain) == "One two."
    assert plain[0].to_dict()["obfuscation"]
    assert counted[-1].choices == []
    last = counted[-1].usage
    assert last is not None
    assert (last.prompt_tokens, last.completion_tokens, last.total_tokens) == (2000, 7, 2007)
    assert last.prompt_tokens_details is not None
    assert last.prompt_tokens_details.cached_tokens == 1024


async def test_streamed_tool_calls_come_in_pieces(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.script(Answer(tool_calls=CALLS))
    async with gpt(simulated_providers) as client:
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=HELLO, tools=GPT_TOOLS, stream=True
        )
        arguments = ["", ""]
        pieces = 0
        async for chunk in stream:
            for call in chunk.choices[0].delta.tool_calls or ():
                assert call.function is not None
                arguments[call.index] += call.function.arguments or ""
                pieces += 1
    assert arguments == ['{"city":"Reykjavík"}', '{"city":"Oslo"}']
    assert pieces > 4


async def test_tool_loop_makes_a_round_trip(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.script(Answer(tool_calls=CALLS))
    async with gpt(simulated_providers) as client:
        first = await client.chat.completions.create(
            model="gpt-4o", messages=HELLO, tools=GPT_TOOLS
        )
        message = first.choices[0].message
        history: list[Any] = [*HELLO, message.to_dict()]
        with pytest.raises(openai.BadRequestError, match="did not have response messages"):
            await client.chat.completions.create(model="gpt-4o", messages=history, tools=GPT_TOOLS)
        history += [
            {"role": "tool", "tool_call_id": call.id, "content": "rain"}
            for call in message.tool_calls or ()
        ]
        second = await client.chat.completions.create(
            model="gpt-4o", messages=history, tools=GPT_TOOLS
        )
    assert first.choices[0].finish_reason == "tool_calls"
    assert second.choices[0].message.content == "You said: rain"


async def test_refusal_and_schema(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.script(Answer(refusal="I will not."))
    async with gpt(simulated_providers) as client:
        refused = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        wanted: Any = {
            "type": "json_schema",
            "json_schema": {"name": "weather", "strict": True, "schema": WEATHER_SCHEMA},
        }
        shaped = await client.chat.completions.create(
            model="gpt-4o", messages=HELLO, response_format=wanted
        )
    assert refused.choices[0].message.refusal == "I will not."
    assert refused.choices[0].finish_reason == "stop"
    assert shaped.choices[0].message.content == '{"city":"text"}'


@pytest.mark.parametrize(
    ("fault", "error", "status", "code"),
    [
        (Fault.context_length(), openai.BadRequestError, 400, "context_length_exceeded"),
        (Fault.authentication(), openai.AuthenticationError, 401, "invalid_api_key"),
        (Fault.permission(), openai.PermissionDeniedError, 403, "missing_scope"),
        (Fault.model_not_found(), openai.NotFoundError, 404, "model_not_found"),
        (Fault.request_timeout(), openai.APIStatusError, 408, None),
        (Fault.conflict(), openai.ConflictError, 409, "conflict"),
        (Fault.unprocessable(), openai.UnprocessableEntityError, 422, None),
        (Fault.rate_limit(), openai.RateLimitError, 429, "rate_limit_exceeded"),
        (Fault.insufficient_quota(), openai.RateLimitError, 429, "insufficient_quota"),
        (Fault.server_error(), openai.InternalServerError, 500, None),
        (Fault.bad_gateway(), openai.InternalServerError, 502, None),
        (Fault.unavailable(), openai.InternalServerError, 503, None),
        (Fault.overloaded(), openai.InternalServerError, 503, None),
    ],
)
async def test_error_answers_become_the_sdks_own_exceptions(
    simulated_providers: SimulatedProviders,
    fault: Any,
    error: type[openai.APIStatusError],
    status: int,
    code: str | None,
) -> None:
    simulated_providers.openai.script(fault)
    async with gpt(simulated_providers) as client:
        with pytest.raises(error) as caught:
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert caught.value.status_code == status
    assert caught.value.code == code


async def test_error_inside_a_chat_stream(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.script(Fault.stream_error())
    async with gpt(simulated_providers) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError, match="overloaded"):
            [chunk async for chunk in stream]


async def test_responses_reasoning_round_trips_encrypted(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated_providers.openai.script(
        Answer(reasoning="Rain is likely.", tool_calls=(ToolCall(name="weather"),))
    )
    ask: dict[str, Any] = {
        "model": "gpt-5",
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tools": [{"type": "function", "name": "weather", "parameters": None, "strict": False}],
    }
    async with gpt(simulated_providers) as client:
        first = await client.responses.create(input=HELLO, **ask)
        reasoning, call = (item.to_dict() for item in first.output)
        output: Any = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
        second = await client.responses.create(input=[*HELLO, reasoning, call, output], **ask)
        assert second.output_text == "You said: rain"
        forged = {**reasoning, "encrypted_content": "gAAAAABforged"}
        for items, message in (
            ([*HELLO, forged, call, output], "could not be verified"),
            ([*HELLO, reasoning, call], "No tool output found for function call"),
            ([*HELLO, output], "No tool call found"),
            ([*HELLO, call, output], "without its required 'reasoning' item"),
            ([*HELLO, reasoning], "without its required following item"),
            ([*HELLO, {**call, "id": call["call_id"]}, output], "begins with 'fc'"),
        ):
            with pytest.raises(openai.BadRequestError, match=message):
                await client.responses.create(input=items, **ask)
    assert first.usage is not None
    assert first.usage.output_tokens_details.reasoning_tokens > 0


async def test_responses_stream_and_stored_conversation(
    simulated_providers: SimulatedProviders,
) -> None:
    async with gpt(simulated_providers) as client:
        async with client.responses.stream(
            model="gpt-5", input="hello", reasoning={"effort": "low", "summary": "auto"}
        ) as stream:
            kinds = [event.type async for event in stream]
            first = await stream.get_final_response()
        second = await client.responses.create(
            model="gpt-5", input="more", previous_response_id=first.id
        )
        with pytest.raises(openai.BadRequestError, match="not found"):
            await client.responses.create(
                model="gpt-5", input="more", previous_response_id="resp_unknown"
            )
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert "response.reasoning_summary_text.delta" in kinds
    assert kinds[-1] == "response.completed"
    assert first.output_text == "You said: hello"
    assert second.output_text == "You said: more"


async def test_responses_that_fail_or_stay_incomplete(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated_providers.openai.script(
        Fault.response_failed(),
        Fault.response_failed("rate_limit_exceeded"),
        Answer(text="So", stop_reason="length"),
    )
    async with gpt(simulated_providers) as client:
        stream = await client.responses.create(model="gpt-4o", input="hello", stream=True)
        events = [event async for event in stream]
        failed = await client.responses.create(model="gpt-4o", input="hello")
        short = await client.responses.create(model="gpt-4o", input="hello")
    assert events[-1].type == "response.failed"
    assert [event.to_dict()["sequence_number"] for event in events] == list(range(len(events)))
    assert failed.error is not None
    assert failed.error.code == "rate_limit_exceeded"
    assert short.status == "incomplete"
    assert short.incomplete_details is not None
    assert short.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_embeddings(simulated_providers: SimulatedProviders, encoding: Any) -> None:
    async with gpt(simulated_providers) as client:
        made = await client.embeddings.create(
            model="text-embedding-3-small",
            input=["a", "b", "a"],
            encoding_format=encoding,
            dimensions=64,
        )
    if encoding == "float":
        vectors = [item.embedding for item in made.data]
        assert vectors[0] == vectors[2] != vectors[1]
        assert math.isclose(sum(number**2 for number in vectors[0]), 1.0, rel_tol=1e-6)
    assert made.usage.prompt_tokens == 3


async def test_models_can_be_limited(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.openai.configure(models={"gpt-4o"})
    async with gpt(simulated_providers) as client:
        assert [model.id async for model in client.models.list()] == ["gpt-4o"]
        with pytest.raises(openai.NotFoundError, match="The model `gpt-9` does not exist"):
            await client.chat.completions.create(model="gpt-9", messages=HELLO)


async def test_compatible_server_shows_reasoning_and_oddities(
    simulated_providers: SimulatedProviders,
) -> None:
    server = simulated_providers.compatible
    server.script(Answer(reasoning="Hm.", text="Yes.", tool_calls=(ToolCall(name="a", id=""),)))
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        made = await client.chat.completions.create(
            model="local", messages=HELLO, extra_body={"top_k": 3}
        )
    message = made.choices[0].message
    assert message.to_dict()["reasoning_content"] == "Hm."
    assert message.tool_calls is not None
    assert message.tool_calls[0].id == ""
