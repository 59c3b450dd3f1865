from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import ollama
import pytest

from switchgear.testing import Answer, Fault, SimulatedProviders, TokenUsage, ToolCall
from switchgear.testing.ollama.checks import check_chat

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
async def client(simulated_providers: SimulatedProviders) -> AsyncIterator[ollama.AsyncClient]:
    made = ollama.AsyncClient(host=simulated_providers.ollama.base_url)
    yield made
    await made._client.aclose()


async def test_chat(client: ollama.AsyncClient, simulated_providers: SimulatedProviders) -> None:
    usage = TokenUsage(input_tokens=11, output_tokens=5)
    simulated_providers.ollama.script(Answer(text="Hi.", usage=usage))
    reply = await client.chat("llama3", messages=HELLO)
    assert reply.message.content == "Hi."
    assert (reply.prompt_eval_count, reply.eval_count) == (11, 5)
    assert reply.done_reason == "stop"


async def test_stream_with_thinking_and_tools(
    client: ollama.AsyncClient, simulated_providers: SimulatedProviders
) -> None:
    call = ToolCall(name="weather", arguments={"city": "Oslo"})
    simulated_providers.ollama.script(Answer(reasoning="Hm.", text="A b", tool_calls=(call,)))
    stream = await client.chat("qwen3", messages=HELLO, think=True, stream=True)
    parts = [part async for part in stream]
    assert "".join(part.message.thinking or "" for part in parts) == "Hm."
    assert "".join(part.message.content or "" for part in parts) == "A b"
    calls = [made for part in parts for made in part.message.tool_calls or ()]
    assert calls[0].function.arguments == {"city": "Oslo"}
    assert parts[-1].done
    assert parts[-1].done_reason == "stop"


async def test_schema_and_json(client: ollama.AsyncClient) -> None:
    schema: Any = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert (await client.chat("llama3", messages=HELLO, format=schema)).message.content == '{"n":1}'
    plain = await client.chat("llama3", messages=HELLO, format="json")
    assert plain.message.content == '{"echo":"hello"}'


async def test_embed_list_show(client: ollama.AsyncClient) -> None:
    made = await client.embed("nomic-embed-text", ["a", "b"])
    assert [len(vector) for vector in made.embeddings] == [768, 768]
    assert (await client.list()).models[0].model == "llama3:latest"
    assert "tools" in ((await client.show("llama3")).capabilities or ())


@pytest.mark.parametrize(
    ("fault", "status", "message"),
    [
        (Fault.model_not_found(), 404, "model 'llama3' not found"),
        (Fault.server_error(), 500, "llama runner process has terminated"),
        (Fault.overloaded(), 503, "server busy"),
    ],
)
async def test_errors(
    client: ollama.AsyncClient,
    simulated_providers: SimulatedProviders,
    fault: Any,
    status: int,
    message: str,
) -> None:
    simulated_providers.ollama.script(fault)
    with pytest.raises(ollama.ResponseError, match=message) as caught:
        await client.chat("llama3", messages=HELLO)
    assert caught.value.status_code == status


async def test_error_line_inside_a_stream(
    client: ollama.AsyncClient, simulated_providers: SimulatedProviders
) -> None:
    simulated_providers.ollama.script(Fault.stream_error())
    stream = await client.chat("llama3", messages=HELLO, stream=True)
    with pytest.raises(ollama.ResponseError, match="server busy"):
        [part async for part in stream]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ""}, "model is required"),
        ({"think": "hard"}, "invalid think value"),
        ({"format": "yaml"}, "invalid format"),
        ({"options": {"temperature": "hot"}}, 'option "temperature" must be of type float32'),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "cannot unmarshal array"),
        (
            {
                "messages": [
                    {"role": "user", "content": "x", "images": ["data:image/png;base64,AA"]}
                ]
            },
            "illegal base64 data at input byte 4",
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [{"function": {"name": "a", "arguments": "{}"}}],
                    }
                ]
            },
            "cannot unmarshal string into Go struct field",
        ),
    ],
)
def test_what_ollama_refuses(changes: dict[str, Any], message: str) -> None:
    problem = check_chat({"model": "llama3", "messages": HELLO, **changes})
    assert problem is not None
    assert message in problem
