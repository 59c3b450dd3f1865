"""Claude on Bedrock: signatures, binary frames, names, over the real SDK and boto3."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from switchgear.credentials import Secret
from switchgear.errors import (
    AuthenticationError,
    ConfigError,
    ContextWindowExceededError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderConnectionError,
    RateLimitError,
    ServerError,
    SwitchgearError,
)
from switchgear.messages import Message, Text, Tool
from switchgear.providers.base import (
    Call,
    CountsTokens,
    ListsModels,
    Provider,
    ProviderSettings,
)
from switchgear.providers.bedrock import create
from switchgear.request import ChatRequest
from switchgear.testing import Answer, Fault, SimulatedProviders, TokenUsage
from switchgear.testing.answers import ToolCall as SimulatedCall

MODEL = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
KEYS = {"region": "eu-central-1", "aws_access_key": "AKIDEXAMPLE", "aws_secret_key": "wJalrXUt"}


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A machine without any AWS configuration of its own."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_BEARER_TOKEN_BEDROCK",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def make(
    simulated: SimulatedProviders, options: dict[str, Any] | None = None, **fields: Any
) -> Any:
    return create(
        ProviderSettings(
            name="bedrock",
            plugin="bedrock",
            base_url=simulated.bedrock.base_url,
            options=KEYS if options is None else options,
            **fields,
        )
    )


def call(model: str = MODEL, **fields: Any) -> Call:
    fields.setdefault("messages", (Message("user", "hello"),))
    return Call(request=ChatRequest(**fields), model=model, timeout=10)


@pytest.fixture
async def provider(simulated_providers: SimulatedProviders) -> AsyncIterator[Any]:
    simulated_providers.bedrock.configure(
        aws_access_key=KEYS["aws_access_key"], aws_secret_key=KEYS["aws_secret_key"]
    )
    made = make(simulated_providers)
    yield made
    await made.aclose()


async def test_an_answer_to_a_signed_request(
    simulated_providers: SimulatedProviders, provider: Any
) -> None:
    simulated_providers.bedrock.script(
        Answer(text="Hi.", usage=TokenUsage(input_tokens=9, output_tokens=2))
    )
    reply = await provider.complete(call(temperature=0.5))
    assert reply.parts == (Text("Hi."),)
    assert reply.usage.input_tokens == 9
    assert reply.region == "eu", "the profile's"
    seen = simulated_providers.bedrock.last_request
    assert seen.path == "/model/eu.anthropic.claude-haiku-4-5-20251001-v1:0/invoke"
    assert seen.body["anthropic_version"] == "bedrock-2023-05-31"
    assert "model" not in seen.body
    assert "/eu-central-1/bedrock/aws4_request" in (seen.header("authorization") or "")


async def test_newer_models_speak_the_newer_version(
    simulated_providers: SimulatedProviders, provider: Any
) -> None:
    reply = await provider.complete(call("anthropic.claude-opus-4-8"))
    assert reply.region == "eu-central-1", "the configured one's"
    seen = simulated_providers.bedrock.last_request
    assert seen.body["anthropic_version"] == "2026-10-21"


async def test_a_stream_in_binary_frames(
    simulated_providers: SimulatedProviders, provider: Any
) -> None:
    simulated_providers.bedrock.script(
        Answer(
            reasoning="Look it up.",
            text="Looking, ünd wie.",
            tool_calls=(SimulatedCall(name="clock", arguments={"zone": "CET"}),),
        )
    )
    stream = await provider.stream(call(tools=(Tool("clock"),), reasoning_effort="low"))
    events = [event async for event in stream]
    reply = stream.snapshot()
    message = Message("assistant", reply.parts)
    assert "".join(event.text for event in events) == message.text == "Looking, ünd wie."
    assert message.reasoning == "Look it up."
    assert message.tool_calls[0].parse() == {"zone": "CET"}
    assert reply.finish_reason == "tool_calls"
    assert stream.finished
    await stream.aclose()


async def test_a_stream_byte_by_byte(
    simulated_providers: SimulatedProviders, provider: Any
) -> None:
    simulated_providers.bedrock.script(Fault.drip(0, answer=Answer(text="Drop by drop.")))
    stream = await provider.stream(call())
    assert "".join([event.text async for event in stream]) == "Drop by drop."


async def test_wrong_keys(simulated_providers: SimulatedProviders, provider: Any) -> None:
    simulated_providers.bedrock.configure(aws_secret_key="another")
    with pytest.raises(AuthenticationError) as error:
        await provider.complete(call())
    assert "wJalrXUt" not in str(error.value)
    simulated_providers.bedrock.configure(aws_access_key="another")
    with pytest.raises(AuthenticationError):
        await provider.complete(call())


async def test_a_bearer_token_in_place_of_keys(simulated_providers: SimulatedProviders) -> None:
    simulated_providers.bedrock.configure(require_key="bedrock-key")
    made = make(simulated_providers, {"region": "us-east-1"}, api_key=Secret("bedrock-key"))
    assert (await made.complete(call())).finish_reason == "stop"
    await made.aclose()


async def test_without_credentials_the_error_says_what_to_do(
    simulated_providers: SimulatedProviders,
) -> None:
    made = make(simulated_providers, {"region": "us-east-1"})
    with pytest.raises(AuthenticationError, match=r"providers\.bedrock\.aws_access_key"):
        await made.complete(call())
    assert simulated_providers.bedrock.requests == []
    await made.aclose()


@pytest.mark.parametrize(
    ("options", "api_key", "param"),
    [
        ({"aws_access_key": "A"}, None, "providers.bedrock.aws_secret_key"),
        ({"aws_secret_key": "S"}, None, "providers.bedrock.aws_access_key"),
        ({"profile": "p"}, "s3cr3t", "providers.bedrock.api_key"),
        ({"regoin": "eu"}, None, "providers.bedrock.regoin"),
        ({"wire": "direct"}, None, "providers.bedrock.wire"),
    ],
)
def test_wrong_settings_are_named(
    simulated_providers: SimulatedProviders, options: Any, api_key: str | None, param: str
) -> None:
    with pytest.raises(ConfigError) as error:
        make(simulated_providers, options, api_key=Secret(api_key) if api_key else None)
    assert error.value.param == param
    assert "s3cr3t" not in error.value.message


async def test_without_a_region_the_error_says_what_to_do(
    simulated_providers: SimulatedProviders,
) -> None:
    made = make(simulated_providers, {})
    with pytest.raises(ConfigError, match="AWS_REGION") as error:
        await made.complete(call())
    assert error.value.param == "providers.bedrock.region"


async def test_a_profile_that_is_not_there(simulated_providers: SimulatedProviders) -> None:
    made = make(simulated_providers, {"profile": "nobody", "region": "us-east-1"})
    with pytest.raises(SwitchgearError, match="nobody"):
        await made.complete(call())


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.rate_limit(), RateLimitError),
        (Fault.context_length(), ContextWindowExceededError),
        (Fault.permission(), PermissionDeniedError),
        (Fault.model_not_found(), ModelNotFoundError),
        (Fault.server_error(), ServerError),
        (Fault.overloaded(), OverloadedError),
        (Fault.reset(), ProviderConnectionError),
    ],
)
async def test_failures(
    simulated_providers: SimulatedProviders, provider: Any, fault: Any, error: Any
) -> None:
    simulated_providers.bedrock.script(fault)
    with pytest.raises(error):
        await provider.complete(call())
    assert len(simulated_providers.bedrock.requests) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.stream_error(Fault.rate_limit(), after_chunks=1), RateLimitError),
        (Fault.stream_error(after_chunks=1), OverloadedError),
        (Fault.cut(after_chunks=1), ProviderConnectionError),
        (Fault.no_terminal(), ProviderConnectionError),
        (Fault.broken_json(after_events=2), MalformedResponseError),
    ],
)
async def test_a_broken_stream_never_looks_finished(
    simulated_providers: SimulatedProviders, provider: Any, fault: Any, error: Any
) -> None:
    simulated_providers.bedrock.script(fault)
    stream = await provider.stream(call())
    with pytest.raises(error):
        while True:
            await stream.__anext__()
    assert not stream.finished


def test_what_it_is_able_to_do(simulated_providers: SimulatedProviders) -> None:
    made = make(simulated_providers)
    assert isinstance(made, Provider)
    assert not isinstance(made, CountsTokens)
    assert not isinstance(made, ListsModels)
    assert made.capabilities(MODEL).max_output_tokens == 64_000
