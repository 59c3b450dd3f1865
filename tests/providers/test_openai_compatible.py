"""Servers that speak Chat Completions with an accent."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from switchgear.credentials import Secret
from switchgear.errors import ConfigError, UnsupportedParameterError
from switchgear.messages import Image, Message, Reasoning, Text
from switchgear.providers.base import Call, EmbedCall, ProviderSettings
from switchgear.providers.openai_compatible import CompatibleProvider, create
from switchgear.request import ChatRequest, ResponseFormat
from switchgear.testing import Answer, SimulatedProvider, SimulatedProviders

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


ROADS = pytest.mark.parametrize("road", ["sdk", "direct"])


@pytest.fixture
def simulated(simulated_providers: SimulatedProviders) -> SimulatedProvider:
    return simulated_providers.compatible


@contextlib.asynccontextmanager
async def opened(
    base_url: str, *, key: str | None = None, **options: Any
) -> AsyncIterator[CompatibleProvider]:
    made = create(settings(base_url, key=key, **options))
    try:
        yield made
    finally:
        await made.aclose()


def settings(base_url: str | None, *, key: str | None = None, **options: Any) -> ProviderSettings:
    return ProviderSettings(
        name="vllm",
        plugin="openai-compatible",
        api_key=Secret(key) if key else None,
        base_url=base_url,
        options=options,
    )


def call(*messages: Message, **fields: Any) -> Call:
    own = {key: fields.pop(key) for key in list(fields) if key in Call.__struct_fields__}
    request = ChatRequest(messages=messages or (Message("user", "Hi"),), **fields)
    return Call(request=request, model="qwen3", **own)


@ROADS
async def test_an_answer_and_a_stream_without_any_key(
    simulated: SimulatedProvider, monkeypatch: pytest.MonkeyPatch, road: str
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    simulated.always(Answer(text="Hello", reasoning="Hm."))
    async with opened(simulated.base_url, wire=road) as provider:
        reply = await provider.complete(call(max_tokens=9))
        stream = await provider.stream(call(max_tokens=9))
        events = [event async for event in stream]
        same = stream.snapshot()
        await stream.aclose()
    assert reply.parts == same.parts == (Reasoning("Hm."), Text("Hello"))
    assert "".join(event.reasoning for event in events) == "Hm."
    assert same.usage is not None
    for request in simulated.requests:
        assert "authorization" not in request.headers
        assert request.body["max_tokens"] == 9


@ROADS
async def test_openais_environment_is_none_of_another_servers_business(
    simulated: SimulatedProvider, monkeypatch: pytest.MonkeyPatch, road: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: secret\nAuthorization: Bearer secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/secret")
    async with opened(simulated.base_url, wire=road, headers={"x-mine": "1"}) as provider:
        await provider.complete(call())
    headers = simulated.last_request.headers
    assert not any("secret" in value for value in headers.values())
    assert headers["x-mine"] == "1"


@ROADS
async def test_keys_of_the_table_and_of_the_call(simulated: SimulatedProvider, road: str) -> None:
    async with opened(simulated.base_url, wire=road, key="table-key") as provider:
        await provider.complete(call())
        await provider.complete(call(credential=Secret("call-key")))
    async with opened(simulated.base_url, wire=road) as provider:
        await provider.complete(call(credential=Secret("call-key")))
    used = [request.headers["authorization"] for request in simulated.requests]
    assert used == ["Bearer table-key", "Bearer call-key", "Bearer call-key"]


@ROADS
async def test_a_header_of_the_table_may_authorise(simulated: SimulatedProvider, road: str) -> None:
    async with opened(
        simulated.base_url, wire=road, headers={"authorization": "Basic x"}
    ) as provider:
        await provider.complete(call())
    assert simulated.last_request.headers["authorization"] == "Basic x"


async def test_the_accent_of_a_server_can_be_told(simulated: SimulatedProvider) -> None:
    simulated.configure(validate=False)
    async with opened(
        simulated.base_url,
        stream_usage=False,
        max_tokens_field="max_completion_tokens",
        system_role="developer",
        reasoning_field="reasoning",
    ) as provider:
        stream = await provider.stream(
            call(
                Message("system", "Be brief."),
                Message("assistant", (Reasoning("Hm."), Text("Hello"))),
                Message("user", "Go on"),
                max_tokens=5,
            )
        )
        _ = [event async for event in stream]
        await stream.aclose()
    body = simulated.last_request.body
    assert "stream_options" not in body
    assert body["max_completion_tokens"] == 5
    assert body["messages"][0]["role"] == "developer"
    assert body["messages"][1]["reasoning"] == "Hm."


@pytest.mark.parametrize(
    ("schema", "claimed"),
    [("native", "native"), ("json_object", "native"), ("tool", "tool"), ("none", None)],
)
async def test_ways_to_keep_to_a_schema(
    simulated: SimulatedProvider, schema: str, claimed: str | None
) -> None:
    wanted = call(response_format=ResponseFormat("schema", "count", SCHEMA))
    async with opened(simulated.base_url, schema=schema) as provider:
        assert provider.capabilities("qwen3").schema == claimed
        if claimed is None:
            with pytest.raises(UnsupportedParameterError):
                await provider.complete(wanted)
            return
        await provider.complete(wanted)
    body = simulated.last_request.body
    if schema == "tool":
        assert body["tool_choice"]["function"]["name"] == "count"
    else:
        kinds = {"native": "json_schema", "json_object": "json_object"}
        assert body["response_format"]["type"] == kinds[schema]


def test_nothing_is_claimed_that_nobody_said() -> None:
    usual = create(settings("http://127.0.0.1:8000/v1")).capabilities("qwen3")
    assert (usual.images, usual.files, usual.audio, usual.reasoning) == (False,) * 4
    assert (usual.tools, usual.schema, usual.local) == (True, "native", False)


def test_what_the_models_can_do_is_said_for_all_and_for_one() -> None:
    table = ProviderSettings(
        name="vllm",
        plugin="openai-compatible",
        base_url="http://127.0.0.1:8000/v1",
        options={"images": True, "local": True, "context_window": 8192, "sampling": ["seed"]},
        models={"text-only": {"images": False}},
    )
    made = create(table)
    assert made.capabilities("qwen3").images is True
    assert made.capabilities("qwen3").local is True
    assert made.capabilities("qwen3").context_window == 8192
    assert made.capabilities("qwen3").sampling == {"seed"}
    assert made.capabilities("text-only").images is False


@pytest.mark.parametrize(
    ("host", "images", "reasoning", "schema"),
    [
        ("api.deepseek.com", False, True, "native"),
        ("openrouter.ai", True, True, "native"),
        ("api.groq.com", False, False, "native"),
        ("unknown.example", False, False, "native"),
    ],
)
def test_known_hosts(host: str, images: bool, reasoning: bool, schema: str) -> None:
    usual = create(settings(f"https://{host}/v1")).capabilities("m")
    assert (usual.images, usual.reasoning, usual.schema) == (images, reasoning, schema)


def test_the_table_wins_over_what_is_known_of_a_host() -> None:
    made = create(settings("https://api.mistral.ai/v1", sampling=["seed", "stop"], images=True))
    assert made.capabilities("m").sampling == {"seed", "stop"}
    assert made.capabilities("m").images is True


async def test_an_image_for_a_model_that_nobody_said_could_see(
    simulated: SimulatedProvider,
) -> None:
    shown = call(Message("user", (Text("See"), Image(url="https://x/i.png"))))
    async with opened(simulated.base_url) as provider:
        with pytest.raises(UnsupportedParameterError) as caught:
            await provider.complete(shown)
    assert caught.value.param == "images"
    assert simulated.requests == []


async def test_models_and_vectors(simulated: SimulatedProvider) -> None:
    simulated.configure(models={"qwen3", "bge"})
    async with opened(simulated.base_url, embedding_format="float") as provider:
        assert await provider.list_models() == ["bge", "qwen3"]
        simulated.script(Answer(embeddings=((0.5, -1.0),)))
        made = await provider.embed(EmbedCall(inputs=("a",), model="bge"))
    assert made.vectors == ((0.5, -1.0),)
    assert "encoding_format" not in simulated.last_request.body


@pytest.mark.parametrize("address", [None, "", "127.0.0.1:8000/v1", "ftp://x/v1", "http:///v1"])
def test_it_must_be_said_where_the_server_is(address: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        create(settings(address))
    assert caught.value.param == "providers.vllm.base_url"
    assert "http://127.0.0.1:8000/v1" in str(caught.value)


def test_an_unknown_key_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match="stream_usage") as caught:
        create(settings("http://x/v1", streaming_usage=True))
    assert caught.value.param == "providers.vllm.streaming_usage"
