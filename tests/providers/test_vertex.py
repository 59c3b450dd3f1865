"""Claude on Google Cloud: paths, tokens, Google's errors, over the real SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from switchgear.credentials import Secret
from switchgear.errors import (
    AuthenticationError,
    ConfigError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from switchgear.messages import Message, Text
from switchgear.providers.base import (
    Call,
    CountsTokens,
    ListsModels,
    Provider,
    ProviderSettings,
)
from switchgear.providers.vertex import create
from switchgear.request import ChatRequest
from switchgear.testing import Answer, Fault, SimulatedProviders, TokenUsage

MODEL = "claude-haiku-4-5@20251001"
PLACE = {"region": "europe-west1", "project_id": "acme"}


@pytest.fixture(autouse=True)
def no_google(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A machine without any Google credentials of its own."""
    for name in (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "CLOUD_ML_REGION",
        "ANTHROPIC_VERTEX_PROJECT_ID",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def make(simulated: SimulatedProviders, options: Any = None, **fields: Any) -> Any:
    fields = {"api_key": Secret("ya29.token"), **fields}
    return create(
        ProviderSettings(
            name="vertex",
            plugin="vertex",
            base_url=simulated.vertex.base_url,
            options=PLACE if options is None else options,
            **fields,
        )
    )


def call(model: str = MODEL, **fields: Any) -> Call:
    return Call(
        request=ChatRequest(messages=(Message("user", "hello"),), **fields), model=model, timeout=10
    )


@pytest.fixture
async def provider(simulated_providers: SimulatedProviders) -> AsyncIterator[Any]:
    simulated_providers.vertex.configure(require_key="ya29.token")
    made = make(simulated_providers)
    yield made
    await made.aclose()


async def test_an_answer(simulated_providers: SimulatedProviders, provider: Any) -> None:
    simulated_providers.vertex.script(Answer(text="Hi."))
    reply = await provider.complete(call())
    assert reply.parts == (Text("Hi."),)
    assert reply.region == "europe-west1"
    seen = simulated_providers.vertex.last_request
    assert "/projects/acme/locations/europe-west1/publishers/anthropic/models/" in seen.path
    assert seen.path.endswith(":rawPredict")
    assert seen.model == MODEL
    assert seen.body["anthropic_version"] == "2026-10-21"
    await provider.complete(call(temperature=0.5))
    assert simulated_providers.vertex.last_request.body["anthropic_version"] == "vertex-2023-10-16"


async def test_a_stream(simulated_providers: SimulatedProviders, provider: Any) -> None:
    simulated_providers.vertex.script(Answer(text="Hi there."))
    stream = await provider.stream(call())
    assert "".join([event.text async for event in stream]) == "Hi there."
    assert stream.finished
    assert simulated_providers.vertex.last_request.path.endswith(":streamRawPredict")


async def test_counting_tokens(simulated_providers: SimulatedProviders, provider: Any) -> None:
    simulated_providers.vertex.script(
        Answer(usage=TokenUsage(input_tokens=12)), endpoint="count_tokens"
    )
    assert await provider.count_tokens(call()) == 12


async def test_a_token_for_one_call(simulated_providers: SimulatedProviders, provider: Any) -> None:
    simulated_providers.vertex.configure(require_key="ya29.another")
    own = Call(request=call().request, model=MODEL, credential=Secret("ya29.another"), timeout=10)
    assert (await provider.complete(own)).finish_reason == "stop"
    with pytest.raises(AuthenticationError):
        await provider.complete(call())


async def test_without_credentials_the_error_says_what_to_do(
    simulated_providers: SimulatedProviders,
) -> None:
    made = make(simulated_providers, api_key=None)
    with pytest.raises(AuthenticationError, match="gcloud auth application-default login"):
        await made.complete(call())
    assert simulated_providers.vertex.requests == []
    await made.aclose()


async def test_without_a_region_the_error_says_what_to_do(
    simulated_providers: SimulatedProviders,
) -> None:
    made = make(simulated_providers, {"project_id": "acme"})
    with pytest.raises(ConfigError, match="CLOUD_ML_REGION") as error:
        await made.complete(call())
    assert error.value.param == "providers.vertex.region"


async def test_without_a_project_the_error_says_what_to_do(
    simulated_providers: SimulatedProviders,
) -> None:
    made = make(simulated_providers, {"region": "global"})
    with pytest.raises(ConfigError, match="ANTHROPIC_VERTEX_PROJECT_ID") as error:
        await made.complete(call())
    assert error.value.param == "providers.vertex.project_id"


def test_wrong_settings_are_named(simulated_providers: SimulatedProviders) -> None:
    with pytest.raises(ConfigError) as error:
        make(simulated_providers, {"project": "acme"})
    assert error.value.param == "providers.vertex.project"
    assert "project_id" in error.value.message
    with pytest.raises(ConfigError, match="access tokens") as error:
        make(simulated_providers, {"wire": "direct"})
    assert error.value.param == "providers.vertex.wire"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.rate_limit(3), RateLimitError),
        (Fault.permission(), PermissionDeniedError),
        (Fault.model_not_found(), ModelNotFoundError),
        (Fault.server_error(), ServerError),
        (Fault.unavailable(), OverloadedError),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
async def test_failures(
    simulated_providers: SimulatedProviders,
    provider: Any,
    fault: Any,
    error: Any,
    streaming: bool,
) -> None:
    simulated_providers.vertex.script(fault)
    with pytest.raises(error):
        await (provider.stream(call()) if streaming else provider.complete(call()))
    assert len(simulated_providers.vertex.requests) == 1


async def test_an_error_inside_a_stream(
    simulated_providers: SimulatedProviders, provider: Any
) -> None:
    simulated_providers.vertex.script(Fault.stream_error(after_chunks=1))
    stream = await provider.stream(call())
    with pytest.raises(OverloadedError):
        while True:
            await stream.__anext__()


def test_what_it_is_able_to_do(simulated_providers: SimulatedProviders) -> None:
    made = make(simulated_providers)
    assert isinstance(made, Provider)
    assert isinstance(made, CountsTokens)
    assert not isinstance(made, ListsModels)
