"""Plain HTTP for vendors without an SDK: what an adapter of another package stands on."""

import asyncio
import logging

import pytest

from switchgear import (
    ConfigError,
    InvalidRequestError,
    LifecycleError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitError,
    Secret,
)
from switchgear.providers import HttpWire, WireRequest
from switchgear.testing import Answer, Fault, SimulatedProviders

KEY = Secret("sk-the-configured-key-0123")
OTHER = Secret("sk-the-callers-own-key-4567")


def wire(base_url: str, **settings: object) -> HttpWire:
    return HttpWire(
        provider="mine",
        base_url=base_url,
        auth_headers=lambda secret: {"authorization": f"Bearer {secret.reveal()}"},
        secret=KEY,
        **settings,  # type: ignore[arg-type]
    )


def asking(text: str = "hi", **fields: object) -> WireRequest:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}
    return WireRequest(path="/chat/completions", body=body, model="gpt-4o", **fields)  # type: ignore[arg-type]


async def test_a_request_carries_the_headers_and_the_credential(
    simulated_providers: SimulatedProviders,
) -> None:
    vendor = simulated_providers.openai
    vendor.configure(require_key=KEY.reveal())
    road = wire(vendor.base_url, headers={"x-team": "blue"})
    response = await road.send(asking(headers={"x-run": "7"}))
    assert b"You said: hi" in response.body
    assert response.meta.request_id
    sent = vendor.last_request
    assert (sent.header("x-team"), sent.header("x-run")) == ("blue", "7")
    assert (await road.send(WireRequest(path="/models"))).body
    assert vendor.last_request.method == "GET"
    await road.aclose()


async def test_a_calls_own_credential_takes_the_place_of_the_configured_one(
    simulated_providers: SimulatedProviders,
) -> None:
    vendor = simulated_providers.openai
    road = wire(vendor.base_url)
    await road.send(asking(credential=OTHER))
    assert vendor.last_request.header("authorization") == f"Bearer {OTHER.reveal()}"
    await road.aclose()


async def test_a_refusal_is_an_error_of_ours_with_the_responses_own_as_cause(
    simulated_providers: SimulatedProviders, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vendor = simulated_providers.openai
    road = wire(vendor.base_url)
    vendor.script(Fault.rate_limit(retry_after=3), Fault.rate_limit(retry_after=3))
    for attempt in (road.send, road.open):
        with pytest.raises(RateLimitError) as refused:
            await attempt(asking())
        assert (refused.value.status, refused.value.retry_after) == (429, 3.0)
        assert type(refused.value.__cause__).__name__ == "HTTPStatusError"
    assert KEY.reveal() not in caplog.text
    await road.aclose()


async def test_a_connection_that_never_was_has_sent_nothing(
    simulated_providers: SimulatedProviders,
) -> None:
    road = wire(simulated_providers.openai.refused_base_url)
    with pytest.raises(ProviderConnectionError) as refused:
        await road.send(asking())
    assert refused.value.unsent
    await road.aclose()


async def test_a_body_that_breaks_off_is_an_error(simulated_providers: SimulatedProviders) -> None:
    vendor = simulated_providers.openai
    road = wire(vendor.base_url)
    vendor.script(Fault.cut(after_bytes=20), Fault.cut(after_bytes=20))
    with pytest.raises(ProviderConnectionError) as broken:
        await road.send(asking())
    assert not broken.value.unsent
    body = await road.open(asking())
    with pytest.raises(ProviderConnectionError):
        while await body.read():
            pass
    await body.aclose()
    await road.aclose()


async def test_silence_is_a_time_out(simulated_providers: SimulatedProviders) -> None:
    vendor = simulated_providers.openai
    road = wire(vendor.base_url)
    vendor.script(Fault.stall(), Fault.stall(after_bytes=10))
    with pytest.raises(ProviderTimeoutError):
        await road.send(asking(timeout=0.05))
    body = await road.open(asking(timeout=0.05))
    with pytest.raises(ProviderTimeoutError):
        while await body.read():
            pass
    await body.aclose()
    await road.aclose()


async def test_a_cancelled_request_lets_go_of_its_connection(
    simulated_providers: SimulatedProviders,
) -> None:
    vendor = simulated_providers.openai
    road = wire(vendor.base_url)
    vendor.script(Answer(text="late", latency=30))
    asked = asyncio.create_task(road.send(asking()))
    await simulated_providers.arrivals(1)
    asked.cancel()
    await simulated_providers.disconnect()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await road.aclose()


async def test_what_has_no_json_form_is_named_before_anything_is_sent(
    simulated_providers: SimulatedProviders,
) -> None:
    road = wire(simulated_providers.openai.base_url)
    with pytest.raises(InvalidRequestError, match="JSON"):
        await road.send(WireRequest(path="/chat/completions", body={"x": object()}))
    assert simulated_providers.requests == []
    await road.aclose()


async def test_a_credential_that_no_header_can_carry_is_not_shown(
    simulated_providers: SimulatedProviders,
) -> None:
    road = wire(simulated_providers.openai.base_url)
    with pytest.raises(ProviderError, match="can't be written") as refused:
        await road.send(asking(credential=Secret("sk-clé-0123456789")))
    assert refused.value.__cause__ is refused.value.__context__ is None
    assert "clé" not in f"{refused.value!r} {refused.value}"
    await road.aclose()


async def test_a_closed_road_is_closed_for_good(simulated_providers: SimulatedProviders) -> None:
    road = wire(simulated_providers.openai.base_url)
    await road.send(asking())
    await road.aclose()
    await road.aclose()
    with pytest.raises(LifecycleError):
        await road.send(asking())


def test_an_address_that_is_none_is_a_mistake_of_the_configuration() -> None:
    with pytest.raises(ConfigError) as refused:
        wire("api.example.com")
    assert refused.value.param == "providers.mine.base_url"


async def test_a_fallback_in_the_handler_of_a_refused_connection_counts_as_sent(
    simulated_providers: SimulatedProviders,
) -> None:
    vendor = simulated_providers.openai
    vendor.script(Fault.cut())
    refused, road = wire(vendor.refused_base_url), wire(vendor.base_url)
    try:
        await refused.send(asking())
    except ProviderConnectionError:
        with pytest.raises(ProviderConnectionError) as broken:
            await road.send(asking())
    assert len(vendor.requests) == 1
    assert not broken.value.unsent
    await refused.aclose()
    await road.aclose()
