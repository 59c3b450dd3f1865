"""The road past an SDK: what it asks the SDK's client, and which clients it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from switchgear.credentials import Secret
from switchgear.errors import AuthenticationError, ConfigError
from switchgear.messages import Message
from switchgear.providers import anthropic
from switchgear.providers.base import Call, ProviderSettings
from switchgear.providers.direct_wire import MISSING_KEY, DirectWire
from switchgear.providers.openai_family import bearer
from switchgear.providers.roads import only_sdk, wire_for
from switchgear.providers.wire import SdkWire, WireRequest
from switchgear.request import ChatRequest
from tests.providers.loopback import answer, serving

ASKING = WireRequest(path="/x", body={"a": 1}, model="m")


def direct(make_client: Any, *, placeholder: str | None = None) -> DirectWire:
    return DirectWire(
        provider="mine",
        make_client=make_client,
        auth_headers=bearer,
        secret=Secret("sk-secret"),
        placeholder=placeholder,
    )


def openai_at(url: str, **options: Any) -> Any:
    def make(http: Any) -> Any:
        import openai

        return openai.AsyncOpenAI(
            **{"api_key": "sk-secret", "base_url": url, "http_client": http, **options}
        )

    return make


async def test_headers_that_the_client_leaves_out_are_left_out() -> None:
    import openai

    left_out = {"User-Agent": openai.omit, "authorization": openai.omit}
    async with serving(answer()) as server:
        wire = direct(openai_at(server.url, default_headers=left_out), placeholder="Bearer none")
        await wire.send(ASKING)
        await wire.aclose()
    (seen,) = server.seen
    assert "authorization" not in seen.headers
    assert not seen.headers["user-agent"].startswith("AsyncOpenAI")


async def test_the_clients_own_headers_come_before_its_key() -> None:
    async with serving(answer()) as server:
        wire = direct(openai_at(server.url, default_headers={"authorization": "Basic x"}))
        await wire.send(ASKING)
        await wire.aclose()
    assert server.seen[0].headers["authorization"] == "Basic x"


async def test_without_any_credential_nothing_is_sent() -> None:
    import openai

    async with serving(answer()) as server:
        wire = direct(openai_at(server.url, default_headers={"Authorization": openai.omit}))
        with pytest.raises(AuthenticationError) as refused:
            await wire.send(ASKING)
        assert refused.value.code == MISSING_KEY
        assert server.seen == []
        await wire.send(WireRequest(path="/x", body={}, credential=Secret("sk-other")))
        await wire.aclose()
    assert server.seen[0].headers["authorization"] == "Bearer sk-other"


@pytest.mark.parametrize(
    ("url", "options", "why"),
    [
        ("http://me:pw@127.0.0.1:9/v1", {}, "user name"),
        ("http://127.0.0.1:9/v1?v=1", {}, "parameters"),
        ("http://127.0.0.1:9/v1", {"default_query": {"v": "1"}}, "parameters"),
    ],
)
async def test_a_client_that_does_more_than_add_headers_is_needed(
    url: str, options: dict[str, Any], why: str
) -> None:
    wire = direct(openai_at(url, **options))
    with pytest.raises(ConfigError, match=why) as refused:
        await wire.send(ASKING)
    assert refused.value.param == "providers.mine.wire"
    assert "pw" not in refused.value.message
    await wire.aclose()


async def test_an_identity_of_the_environment_is_the_clients_business(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """The SDK finds one by itself, where there is no key; only it can fetch the token."""
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    token = tmp_path / "token"
    token.write_text("identity")
    monkeypatch.setenv("ANTHROPIC_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("ANTHROPIC_FEDERATION_RULE_ID", "fdrl_1")
    monkeypatch.setenv("ANTHROPIC_ORGANIZATION_ID", "00000000-0000-0000-0000-000000000000")
    made = anthropic.create(
        ProviderSettings(name="claude", plugin="anthropic", options={"wire": "direct"})
    )
    request = ChatRequest(messages=(Message("user", "hi"),))
    with pytest.raises(ConfigError, match="anew") as refused:
        await made.complete(Call(request=request, model="claude-haiku-4-5"))
    assert refused.value.param == "providers.claude.wire"
    await made.aclose()


def test_the_key_chooses_the_road() -> None:
    common: dict[str, Any] = {
        "provider": "mine",
        "make_client": lambda http: None,
        "auth_headers": bearer,
    }
    assert isinstance(wire_for("sdk", transport="httpx", **common), SdkWire)
    assert isinstance(wire_for("direct", transport="aiohttp", **common), DirectWire)
    with pytest.raises(ConfigError) as refused:
        wire_for("direct", transport="httpx", **common)
    assert refused.value.param == "providers.mine.transport"


def test_where_there_is_one_road_only() -> None:
    only_sdk("sdk", provider="mine", why="it signs")
    with pytest.raises(ConfigError, match=r'providers\.mine\.wire: not "direct": it signs'):
        only_sdk("direct", provider="mine", why="it signs")
