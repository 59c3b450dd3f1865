from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from switchgear.testing import Answer, Fault, SimulatedProviders, ToolCall
from tests.testing.support import GPT_TOOLS, HELLO

BEDROCK_MODEL = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
VERTEX_MODEL = "claude-haiku-4-5@20251001"


def azure(simulated: SimulatedProviders, **options: Any) -> openai.AsyncAzureOpenAI:
    options = {"api_key": "key", "max_retries": 0, **options}
    endpoint = simulated.azure.endpoint
    return openai.AsyncAzureOpenAI(azure_endpoint=endpoint, api_version="2024-10-21", **options)


async def test_azure_deployments(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.azure.configure(require_key="key")
    simulated_providers.azure.script(Answer(tool_calls=(ToolCall(name="weather"),)))
    async with azure(simulated_providers) as client:
        whole = await client.chat.completions.create(
            model="my-deployment", messages=HELLO, tools=GPT_TOOLS
        )
        stream = await client.chat.completions.create(
            model="my-deployment", messages=HELLO, stream=True
        )
        chunks = [chunk async for chunk in stream]
    assert whole.choices[0].finish_reason == "tool_calls"
    assert chunks[0].choices == []
    assert "prompt_filter_results" in chunks[0].to_dict()
    seen = simulated_providers.azure.requests[0]
    assert seen.path == "/openai/deployments/my-deployment/chat/completions"
    assert seen.query == {"api-version": "2024-10-21"}
    assert seen.model == "my-deployment"


async def test_azure_v1_and_bearer(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.azure.configure(require_key="entra-token")
    async with azure(simulated_providers, api_key=None, azure_ad_token="entra-token") as client:
        made = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert made.choices[0].message.content == "You said: hello"
    base_url = simulated_providers.azure.base_url
    async with openai.AsyncOpenAI(base_url=base_url, api_key="entra-token") as plain:
        assert (await plain.responses.create(model="gpt-5", input="hello")).output_text


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (Fault.model_not_found(), openai.NotFoundError, "DeploymentNotFound"),
        (Fault.rate_limit(2), openai.RateLimitError, "429"),
        (Fault.authentication(), openai.AuthenticationError, "401"),
        (Fault.content_filter(), openai.BadRequestError, "content_filter"),
    ],
)
async def test_azure_errors(
    simulated_providers: SimulatedProviders,
    fault: Any,
    error: type[openai.APIStatusError],
    code: str,
) -> None:
    simulated_providers.azure.script(fault)
    async with azure(simulated_providers) as client:
        with pytest.raises(error) as caught:
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert caught.value.code == code


def bedrock(simulated: SimulatedProviders, secret: str) -> anthropic.AsyncAnthropicBedrock:
    pytest.importorskip("boto3")
    return anthropic.AsyncAnthropicBedrock(
        base_url=simulated.bedrock.base_url,
        aws_access_key="AKIDEXAMPLE",
        aws_secret_key=secret,
        aws_region="eu-west-1",
        max_retries=0,
    )


async def test_bedrock_signature_and_frames(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.bedrock.configure(aws_access_key="AKIDEXAMPLE", aws_secret_key="right")
    async with bedrock(simulated_providers, "right") as client:
        ask: dict[str, Any] = {"model": BEDROCK_MODEL, "max_tokens": 50, "messages": HELLO}
        whole = await client.messages.create(**ask)
        async with client.messages.stream(**ask) as stream:
            streamed = await stream.get_final_message()
        simulated_providers.bedrock.script(Fault.stream_error(Fault.rate_limit()))
        events = await client.messages.create(stream=True, **ask)
        with pytest.raises(anthropic.APIStatusError, match="throttlingException"):
            [event async for event in events]
    assert whole.id.startswith("msg_bdrk_01")
    assert whole.content[0].to_dict()["text"] == "You said: hello"
    assert streamed.content[0].to_dict()["text"] == "You said: hello"
    async with bedrock(simulated_providers, "wrong") as client:
        with pytest.raises(anthropic.PermissionDeniedError, match="signature we calculated"):
            await client.messages.create(**ask)


async def test_bedrock_bearer_key(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.bedrock.configure(require_key="bedrock-key")
    base_url = simulated_providers.bedrock.base_url
    async with anthropic.AsyncAnthropicBedrock(
        base_url=base_url, api_key="bedrock-key", aws_region="eu-west-1", max_retries=0
    ) as client:
        made = await client.messages.create(model=BEDROCK_MODEL, max_tokens=50, messages=HELLO)
        simulated_providers.bedrock.script(Fault.rate_limit(), Fault.overloaded())
        for error in (anthropic.RateLimitError, anthropic.InternalServerError):
            with pytest.raises(error):
                await client.messages.create(model=BEDROCK_MODEL, max_tokens=50, messages=HELLO)
    assert made.stop_reason == "end_turn"
    assert simulated_providers.bedrock.requests[0].model == BEDROCK_MODEL


async def test_vertex(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.vertex.configure(require_key="token")
    async with anthropic.AsyncAnthropicVertex(
        base_url=simulated_providers.vertex.base_url,
        access_token="token",
        project_id="project",
        region="europe-west1",
        max_retries=0,
    ) as client:
        ask: dict[str, Any] = {"model": VERTEX_MODEL, "max_tokens": 50, "messages": HELLO}
        whole = await client.messages.create(**ask)
        async with client.messages.stream(**ask) as stream:
            streamed = await stream.get_final_message()
        count = await client.messages.count_tokens(model=VERTEX_MODEL, messages=HELLO)
        simulated_providers.vertex.script(Fault.rate_limit(), Fault.model_not_found())
        with pytest.raises(anthropic.RateLimitError, match="RESOURCE_EXHAUSTED"):
            await client.messages.create(**ask)
        with pytest.raises(anthropic.NotFoundError, match="Publisher Model"):
            await client.messages.create(**ask)
        with pytest.raises(anthropic.BadRequestError, match="at least one message"):
            await client.messages.create(**{**ask, "messages": []})
    assert whole.id.startswith("msg_vrtx_01")
    assert streamed.content[0].to_dict()["text"] == "You said: hello"
    assert count.input_tokens == whole.usage.input_tokens
    assert simulated_providers.vertex.requests[0].model == VERTEX_MODEL
