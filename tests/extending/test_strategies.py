"""Routing strategies of other packages."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from switchgear import Config, ConfigError, PluginError, Router
from switchgear.plugins import SWITCH, Plugins
from switchgear.routing.strategies import Member, PoolContext, StrategySettings, strategy_for
from switchgear.routing.strategies.names import GROUP
from switchgear.testing.scripted import ScriptedProvider
from tests.extending.packages import Install
from tests.routing.strategies.pools import HandClock, names, pool_of

HERE = "tests.extending.test_strategies"


class Backwards:
    """The written order, the other way round."""

    needs: frozenset[Any] = frozenset()

    def __init__(self, settings: StrategySettings) -> None:
        self.settings = settings

    def order(self, pool: Sequence[Member], context: PoolContext) -> Sequence[Member]:
        return pool[::-1]


def raises(pool: Sequence[Member]) -> Any:
    raise KeyError("oops")


WRONG: dict[str, Callable[[Sequence[Member]], Any]] = {
    "raises": raises,
    "forgets one": lambda pool: pool[1:],
    "names one twice": lambda pool: [pool[0], pool[0], *pool[2:]],
    "invents one": lambda pool: [*pool[1:], Member(name="x", stats=pool[0].stats)],
    "answers nothing": lambda pool: None,
    "answers no members": lambda pool: list(range(len(pool))),
}


class Wrong(Backwards):
    """As wrong as the test says."""

    how = ""

    def order(self, pool: Sequence[Member], context: PoolContext) -> Sequence[Member]:
        found: Sequence[Member] = WRONG[Wrong.how](pool)
        return found


class Demanding(Backwards):
    """Needs what there is not."""

    needs = frozenset({"weather"})


def broken(settings: StrategySettings) -> object:
    raise RuntimeError("no licence")


def found(**targets: str) -> Plugins:
    points = [EntryPoint(name, f"{HERE}:{target}", GROUP) for name, target in targets.items()]
    return Plugins(GROUP, points)


def test_a_strategy_of_another_package_orders_a_pool_and_knows_what_it_is_for() -> None:
    clock, draw = HandClock(), random.Random(3)
    strategy: Any = strategy_for(
        "acme", draw, pool="fast", members=("a/m", "b/m"), plugins=found(acme="Backwards")
    )
    assert names(strategy.order(pool_of(clock, "abc"), clock.context())) == "cba"
    settings = strategy._order.__self__.settings
    assert settings == StrategySettings(name="acme", pool="fast", members=("a/m", "b/m"), draw=draw)
    with pytest.raises(AttributeError):
        settings.pool = "other"


@pytest.mark.parametrize("how", WRONG)
def test_whatever_it_does_wrong_the_written_order_holds_and_it_is_logged_once(
    how: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wrong, "how", how)
    clock = HandClock()
    strategy = strategy_for("acme", pool="fast", plugins=found(acme="Wrong"))
    for _ in range(3):
        assert names(strategy.order(pool_of(clock, "abc"), clock.context())) == "abc"
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "'acme'" in record.getMessage()
    assert "'fast'" in record.getMessage()


def test_a_broken_one_is_named() -> None:
    plugins = found(broken="broken", lacking="HERE", none="nothing", demanding="Demanding")
    for name, why in (
        ("broken", "no licence"),
        ("lacking", "not callable"),
        ("none", "can't be loaded"),
        ("demanding", "'weather'; hints are capacity, price, saving"),
    ):
        with pytest.raises(PluginError, match=why) as caught:
            strategy_for(name, plugins=plugins)
        assert f"'{name}'" in caught.value.message


def test_nobody_takes_over_a_name_of_ours() -> None:
    clock = HandClock()
    strategy = strategy_for("priority", plugins=found(priority="Backwards"))
    assert names(strategy.order(pool_of(clock, "abc"), clock.context())) == "abc"


def test_our_own_need_no_look_at_the_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(**_: object) -> None:
        raise AssertionError("somebody looked")

    monkeypatch.setattr("switchgear.plugins.entry_points", scan)
    strategy_for("latency-based-routing")
    Config.from_dict(groups("weighted"), environ={"OPENAI_API_KEY": "sk-none"})


def groups(strategy: str) -> dict[str, Any]:
    return {"groups": {"g": {"chain": [["openai/a", "openai/b"]], "strategy": strategy}}}


def load(strategy: str) -> Config:
    return Config.from_dict(groups(strategy), environ={"OPENAI_API_KEY": "not-a-real-key"})


SOURCE = """
class Backwards:
    needs = frozenset()
    def __init__(self, settings): pass
    def order(self, pool, context): return pool[::-1]

def broken(settings): raise RuntimeError("no licence")
"""


@pytest.fixture
def acme(install: Install) -> None:
    points = {"acme": "acme_strategies:Backwards", "acme-broken": "acme_strategies:broken"}
    install({GROUP: points}, {"acme_strategies.py": SOURCE})


@pytest.mark.usefixtures("acme")
async def test_a_configuration_takes_the_name_that_an_installed_package_brings() -> None:
    provider = ScriptedProvider("openai")
    async with Router(load("acme"), providers={"openai": provider}) as router:
        reply = await router.complete("g", "hi")
    assert reply.trace.steps[-1].candidate == "openai/b"


@pytest.mark.usefixtures("acme")
def test_an_unknown_name_is_told_what_there_is_other_names_and_plugins_too() -> None:
    with pytest.raises(ConfigError, match=r'"latency".*"simple-shuffle".*"acme"') as caught:
        load("acmee")
    assert "did you mean 'acme'" in str(caught.value)


@pytest.mark.usefixtures("acme")
def test_third_parties_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    with pytest.raises(ConfigError, match="must be one of"):
        load("acme")


@pytest.mark.usefixtures("acme")
def test_a_broken_one_shows_when_the_router_is_made() -> None:
    provider = ScriptedProvider("openai")
    with pytest.raises(PluginError, match=r"'acme-broken' \(acme-switchgear 1.0\).*no licence"):
        Router(load("acme-broken"), providers={"openai": provider})
