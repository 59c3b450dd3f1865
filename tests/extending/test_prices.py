"""Price sources: plugins that say what models cost."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from switchgear import (
    Config,
    ConfigError,
    DeadlineExceededError,
    LifecycleError,
    PluginError,
    Router,
    SyncRouter,
)
from switchgear.accounting.prices import PriceSourceSettings
from switchgear.accounting.prices.sources import GROUP, prices_of
from switchgear.config import PriceSourceConfig, PricingConfig
from switchgear.plugins import SWITCH, Plugins
from switchgear.testing.scripted import ScriptedProvider, scripted_reply
from tests.extending.packages import Install

HERE = "tests.extending.test_prices"
TODAY = dt.date(2026, 11, 23)


def entry(price: object) -> dict[str, Any]:
    return {"openai": {"models": {"gpt-4o-mini": {"prices": {"input": price, "output": 10}}}}}


def contract(settings: PriceSourceSettings) -> Mapping[str, Any]:
    return entry(settings.options.get("input", 7))


def failing(settings: PriceSourceSettings) -> Mapping[str, Any]:
    raise ConnectionError("no way there")


def late(settings: PriceSourceSettings) -> Mapping[str, Any]:
    raise TimeoutError("its own")


def hanging(settings: PriceSourceSettings) -> Mapping[str, Any]:
    threading.Event().wait(30)
    return {}


WRONG: dict[str, tuple[Any, str]] = {
    "no table": ([1], "answered with list"),
    "no number": (entry("much"), r"openai.*input"),
    "no such key": ({"openai": {"modles": {}}}, "modles"),
    "no provider's table": ({"openai": 3}, "expected a table"),
}


def wrong(settings: PriceSourceSettings) -> Any:
    return WRONG[str(settings.options["how"])][0]


def found(*names: str) -> Plugins:
    return Plugins(GROUP, [EntryPoint(name, f"{HERE}:{name}", GROUP) for name in names])


def source(name: str, **fields: Any) -> PriceSourceConfig:
    options = fields.pop("options", {})
    return PriceSourceConfig(name=name, plugin=name, options=options, **fields)


def price(pricing: PricingConfig, *names: str) -> Any:
    table = prices_of(pricing, plugins=found(*names))
    got = table.lookup("openai", "gpt-4o-mini", TODAY)
    assert got is not None
    return Decimal(got.rates.input) / got.per / 10**6


def test_a_source_lies_over_the_packages_prices_and_under_the_users_own() -> None:
    package = price(PricingConfig())
    assert price(PricingConfig(sources=(source("contract"),)), "contract") == 7 != package
    users = PricingConfig(sources=(source("contract"),), tables=(entry(3),))
    assert price(users, "contract") == 3


def test_a_later_source_lies_over_an_earlier_one_and_floats_count_as_written() -> None:
    pricing = PricingConfig(
        sources=tuple(
            PriceSourceConfig(name=each.name, plugin="contract", options=each.options)
            for each in (source("contract"), source("second", options={"input": 0.1}))
        )
    )
    assert price(pricing, "contract") == Decimal("0.1")


@pytest.mark.parametrize("how", WRONG)
def test_what_is_wrong_in_an_answer_names_the_plugin(how: str) -> None:
    pricing = PricingConfig(sources=(source("wrong", options={"how": how}),))
    with pytest.raises(PluginError, match=WRONG[how][1]) as caught:
        prices_of(pricing, plugins=found("wrong"))
    assert "price source plugin 'wrong'" in caught.value.message


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("failing", "failed: ConnectionError: no way there"),
        ("late", "failed: TimeoutError: its own"),
        ("hanging", "did not answer within 0.01 s"),
    ],
)
def test_a_source_that_fails_ends_it_unless_it_is_optional(
    name: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    must = PricingConfig(sources=(source(name, timeout=0.01), source("contract")))
    with pytest.raises(PluginError, match=f"'{name}'.*{why}"):
        prices_of(must, plugins=found(name, "contract"))
    may = PricingConfig(sources=(source(name, timeout=0.01, optional=True), source("contract")))
    assert price(may, name, "contract") == 7
    assert why in caplog.text


SOURCE = """
import threading
asked = []
begun, go = threading.Event(), threading.Event()

def prices(settings):
    asked.append((threading.current_thread() is threading.main_thread(), settings))
    begun.set()
    if settings.options.get("wait"):
        go.wait(30)
    if settings.options.get("fail"):
        raise RuntimeError("closed today")
    return {"openai": {
        "hosts": ["models.acme.test"],
        "models": {"gpt-4o-mini": {"prices": {"input": 7, "output": 10}}},
    }}
"""


@pytest.fixture
def acme(install: Install) -> Callable[[], Any]:
    install({GROUP: {"acme": "acme_prices:prices"}}, {"acme_prices.py": SOURCE})

    def module() -> Any:
        return importlib.import_module("acme_prices")

    return module


def load(source: dict[str, Any] | None = None, **more: Any) -> Config:
    pricing: dict[str, Any] = {"sources": {"acme": source or {}}}
    config = {"groups": {"g": {"chain": ["openai/gpt-4o-mini"]}}, "pricing": pricing, **more}
    return Config.from_dict(config, environ={"OPENAI_API_KEY": "not-a-real-key"})


def openai() -> dict[str, Any]:
    reply = scripted_reply(input_tokens=1_000_000, output_tokens=0)
    return {"openai": ScriptedProvider("openai", [reply])}


async def test_a_router_asks_once_in_a_thread_before_its_first_call(
    acme: Callable[[], Any],
) -> None:
    router = Router(load({"token": "env:OPENAI_API_KEY", "wait": True}), providers=openai())
    module = acme()
    assert module.asked == [], "to make a router is no I/O"
    calls = [asyncio.ensure_future(router.complete("g", "hi")) for _ in range(3)]
    assert await asyncio.to_thread(module.begun.wait, 30), "the loop is free meanwhile"
    module.go.set()
    assert [reply.cost for reply in await asyncio.gather(*calls)] == [7, 7, 7]
    [(on_main, settings)] = module.asked
    assert not on_main
    assert settings == PriceSourceSettings(
        name="acme",
        plugin="acme",
        timeout=10,
        options={"token": "not-a-real-key", "wait": True},
    )
    assert "not-a-real-key" not in repr(settings) + str(router.config.redacted())
    await router.aclose()


@pytest.mark.usefixtures("acme")
async def test_a_stream_says_what_to_do_before_it() -> None:
    router = Router(load(), providers=openai())
    with pytest.raises(LifecycleError, match=r"await router\.ready\(\)"):
        router.stream("g", "hi")
    await router.ready()
    async with router.stream("g", "hi") as stream:
        assert [event.text async for event in stream]
    assert stream.completion.cost == 7
    await router.aclose()


@pytest.mark.usefixtures("acme")
def test_without_a_loop_it_is_waited_for_by_itself() -> None:
    with SyncRouter(load(), providers=openai()) as router:
        with router.stream("g", "hi") as stream:
            assert [event.text for event in stream]
        assert stream.completion.cost == 7


async def test_a_failing_source_ends_the_start_and_is_not_asked_again_at_once(
    acme: Callable[[], Any],
) -> None:
    router = Router(load({"fail": True}), providers=openai())
    for _ in range(2):
        with pytest.raises(PluginError, match=r"acme-switchgear 1.0.*closed today"):
            await router.complete("g", "hi")
    assert len(acme().asked) == 1
    await router.aclose()


async def test_a_call_waits_for_prices_no_longer_than_it_may_take(acme: Callable[[], Any]) -> None:
    router = Router(load({"wait": True}), providers=openai())
    with pytest.raises(DeadlineExceededError, match=r"price sources.*0\.05 s"):
        await router.complete("g", "hi", timeout=0.05)
    acme().go.set()
    assert (await router.complete("g", "hi")).cost == 7
    await router.aclose()


async def test_the_end_of_a_router_is_the_end_of_the_wait(acme: Callable[[], Any]) -> None:
    router = Router(load({"wait": True}), providers=openai())
    call = asyncio.ensure_future(router.complete("g", "hi"))
    module = acme()
    assert await asyncio.to_thread(module.begun.wait, 30)
    await router.aclose()
    with pytest.raises(LifecycleError, match="closed"):
        await call
    module.go.set()


@pytest.mark.usefixtures("acme")
async def test_whose_prices_hold_is_looked_at_again() -> None:
    # The address of the provider is one that only the source knows.
    vendor = {"plugin": "openai-compatible", "base_url": "https://models.acme.test/v1"}
    config = load(providers={"ours": vendor}, groups={"g": {"chain": ["ours/gpt-4o-mini"]}})
    reply = scripted_reply(input_tokens=1_000_000, output_tokens=0)
    async with Router(config, providers={"ours": ScriptedProvider("ours", [reply])}) as router:
        assert (await router.complete("g", "hi")).cost == 7


@pytest.mark.usefixtures("acme")
def test_a_source_that_is_not_installed_shows_when_the_router_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SWITCH, "0")
    with pytest.raises(ConfigError, match="no price source plugin 'acme'") as caught:
        Router(load(), providers=openai())
    assert caught.value.param == "pricing.sources.acme.plugin"
    Router(load({"optional": True}), providers=openai())
