"""OpenAI's models on Azure, by deployments and by the v1 API."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from switchgear.credentials import Secret
from switchgear.errors import (
    AuthenticationError,
    ConfigError,
    ContentFilterError,
    ModelNotFoundError,
    SwitchgearError,
)
from switchgear.messages import Message, Text, Tool
from switchgear.providers.azure import AzureProvider, create
from switchgear.providers.base import Call, EmbedCall, ListsModels, ProviderSettings
from switchgear.request import ChatRequest
from switchgear.testing import Answer, Fault, SimulatedProvider, SimulatedProviders

KEY = "azure-key-0123456789"
VERSION = "2024-10-21"
DATED: dict[str, Any] = {"api_version": VERSION}
V1: dict[str, Any] = {}
DIRECT: dict[str, Any] = {"wire": "direct"}
THROUGH_THE_SDK = pytest.mark.parametrize("options", [DATED, V1], ids=["deployments", "v1"])
ALL = pytest.mark.parametrize("options", [DATED, V1, DIRECT], ids=["deployments", "v1", "direct"])


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AZURE_OPENAI_API_KEY",
        "AZURE_OPENAI_AD_TOKEN",
        "AZURE_OPENAI_ENDPOINT",
        "OPENAI_API_KEY",
        "OPENAI_API_VERSION",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def simulated(simulated_providers: SimulatedProviders) -> SimulatedProvider:
    simulated_providers.azure.configure(require_key=KEY)
    return simulated_providers.azure


@contextlib.asynccontextmanager
async def opened(
    endpoint: str, *, key: str | None = KEY, **options: Any
) -> AsyncIterator[AzureProvider]:
    made = create(settings(endpoint, key=key, **options))
    try:
        yield made
    finally:
        await made.aclose()


def settings(endpoint: str | None, *, key: str | None = KEY, **options: Any) -> ProviderSettings:
    return ProviderSettings(
        name="az",
        plugin="azure-openai",
        api_key=Secret(key) if key else None,
        base_url=endpoint,
        options=options,
    )


def call(model: str = "gpt-4o", **fields: Any) -> Call:
    own = {key: fields.pop(key) for key in list(fields) if key in Call.__struct_fields__}
    request = ChatRequest(messages=(Message("user", "Hi"),), **fields)
    return Call(request=request, model=model, **own)


@ALL
async def test_an_answer_and_a_stream(
    simulated: SimulatedProvider, options: dict[str, Any]
) -> None:
    simulated.always(Answer(text="Hello"))
    async with opened(simulated.endpoint, **options) as provider:
        reply = await provider.complete(call("our chat", max_tokens=5))
        stream = await provider.stream(call("our chat"))
        text = "".join([event.text async for event in stream])
        same = stream.snapshot()
        await stream.aclose()
    assert reply.parts == same.parts == (Text("Hello"),)
    assert text == "Hello"
    assert same.usage is not None
    for request in simulated.requests:
        assert request.model == "our chat"
        if options == DATED:
            assert request.path == "/openai/deployments/our%20chat/chat/completions"
            assert request.query["api-version"] == VERSION
        else:
            assert request.path == "/openai/v1/chat/completions"
    assert simulated.requests[0].body["max_tokens"] == 5


@ALL
async def test_vectors(simulated: SimulatedProvider, options: dict[str, Any]) -> None:
    simulated.script(Answer(embeddings=((0.5, -1.0),)))
    async with opened(simulated.endpoint, **options) as provider:
        made = await provider.embed(EmbedCall(inputs=("a",), model="embed"))
    assert made.vectors == ((0.5, -1.0),)


@ALL
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.content_filter(), ContentFilterError),
        (Fault.authentication(), AuthenticationError),
        (Fault.model_not_found(), ModelNotFoundError),
    ],
    ids=["content filter", "key", "deployment"],
)
async def test_refusals_are_our_errors(
    simulated: SimulatedProvider,
    options: dict[str, Any],
    fault: Any,
    error: type[SwitchgearError],
) -> None:
    simulated.script(fault)
    async with opened(simulated.endpoint, **options) as provider:
        with pytest.raises(error) as caught:
            await provider.complete(call())
    assert (caught.value.provider, caught.value.model) == ("az", "gpt-4o")


@ALL
async def test_a_calls_own_key(simulated: SimulatedProvider, options: dict[str, Any]) -> None:
    async with opened(simulated.endpoint, key=None, **options) as provider:
        with pytest.raises(AuthenticationError, match="AZURE_OPENAI_API_KEY"):
            await provider.complete(call())
        assert simulated.requests == []
        assert (await provider.complete(call(credential=Secret(KEY)))).parts


@ALL
async def test_a_calls_own_key_in_place_of_a_token(
    simulated: SimulatedProvider, options: dict[str, Any]
) -> None:
    async with opened(simulated.endpoint, key=None, azure_ad_token="wrong", **options) as provider:
        assert (await provider.complete(call(credential=Secret(KEY)))).parts
    headers = simulated.last_request.headers
    assert "wrong" not in str(headers)
    assert headers.get("authorization", f"Bearer {KEY}") == f"Bearer {KEY}"


@THROUGH_THE_SDK
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_tokens_are_asked_for_at_every_request_and_never_block_the_loop(
    simulated: SimulatedProvider, options: dict[str, Any], kind: str
) -> None:
    threads: list[threading.Thread] = []

    def blocking() -> str:
        threads.append(threading.current_thread())
        return KEY

    async def awaiting() -> str:
        await asyncio.sleep(0)
        return blocking()

    tokens = blocking if kind == "sync" else awaiting
    async with opened(
        simulated.endpoint, key=None, azure_ad_token_provider=tokens, **options
    ) as provider:
        await provider.complete(call())
        await provider.complete(call())
    assert len(threads) == 2
    on_the_loop = [thread is threading.main_thread() for thread in threads]
    assert on_the_loop == [kind == "async"] * 2
    used = {request.headers["authorization"] for request in simulated.requests}
    assert used == {f"Bearer {KEY}"}


@ALL
async def test_the_environment(
    simulated: SimulatedProvider, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", simulated.endpoint)
    if options:
        monkeypatch.setenv("OPENAI_API_VERSION", VERSION)
    made = create(settings(None, key=None))
    try:
        assert (await made.complete(call())).parts
    finally:
        await made.aclose()
    assert ("/deployments/" in simulated.last_request.path) is bool(options)


async def test_entra_id_without_its_package_says_which_one(simulated: SimulatedProvider) -> None:
    async with opened(simulated.endpoint, key=None, entra_id=True, **V1) as provider:
        with pytest.raises(AuthenticationError, match="azure-identity"):
            await provider.complete(call())
    assert simulated.requests == []


async def test_a_deployment_is_judged_by_the_model_behind_it(
    simulated: SimulatedProvider,
) -> None:
    async with opened(
        simulated.endpoint, deployments={"thinker": "gpt-5-mini"}, **DATED
    ) as provider:
        assert provider.capabilities("thinker").reasoning is True
        assert provider.capabilities("chat").reasoning is False
        reply = await provider.complete(call("thinker", max_tokens=9, temperature=0.1))
    body = simulated.last_request.body
    assert body["max_completion_tokens"] == 9
    assert "temperature" not in body
    assert reply.warnings[0].startswith("temperature")


@ALL
async def test_responses_where_they_were_chosen(
    simulated: SimulatedProvider, options: dict[str, Any]
) -> None:
    tool = Tool("weather")
    async with opened(simulated.endpoint, api="auto", **options) as provider:
        await provider.complete(call("gpt-5", tools=(tool,)))
    assert simulated.last_request.endpoint == "responses"


def test_its_models_are_deployments_which_only_the_portal_lists(
    simulated: SimulatedProvider,
) -> None:
    assert not isinstance(create(settings(simulated.endpoint)), ListsModels)


@pytest.mark.parametrize(
    ("table", "param"),
    [
        (settings(None), "providers.az.base_url"),
        (settings("https://x", azure_ad_token="t"), "providers.az.azure_ad_token"),
        (settings("https://x", key=None, azure_ad_token=7), "providers.az.azure_ad_token"),
        (
            settings("https://x", key=None, azure_ad_token_provider="m:f"),
            "providers.az.azure_ad_token_provider",
        ),
        (settings("https://x", version="1"), "providers.az.version"),
        (settings("https://x", wire="direct", api_version=VERSION), "providers.az.wire"),
        (settings("https://x", key=None, wire="direct", entra_id=True), "providers.az.wire"),
    ],
)
def test_a_wrong_table_is_named(table: ProviderSettings, param: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create(table)
    assert caught.value.param == param
