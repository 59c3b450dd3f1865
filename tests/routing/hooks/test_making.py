"""Hooks that a configuration names, and those that are given in code."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from switchgear import Config, ConfigError, Hook, HookSettings, PluginError, Router
from switchgear.config import HookConfig
from switchgear.plugins import SWITCH, Plugins
from switchgear.routing.hooks.making import GROUP, hooks_of
from switchgear.testing.scripted import ScriptedProvider
from tests.extending.packages import Install, install
from tests.routing.helpers import router_over
from tests.routing.hooks.hearing import Listening

__all__ = ["install"]

HERE = "tests.routing.hooks.test_making"
KEY = "sesame-1234"


class Made(Listening):
    """Remembers what it was made from."""

    timeout = 3.0

    def __init__(self, settings: HookSettings) -> None:
        super().__init__()
        self.settings = settings


def choosy(settings: HookSettings) -> Hook:
    raise ConfigError("words: must be a list", param=f"hooks.{settings.name}.words")


def broken(settings: HookSettings) -> Hook:
    raise RuntimeError("no licence")


def no_hook(settings: HookSettings) -> object:
    return object()


def found(*names: str) -> Plugins:
    return Plugins(GROUP, [EntryPoint(name, f"{HERE}:{name}", GROUP) for name in names])


def config(name: str, **fields: Any) -> dict[str, HookConfig]:
    return {"mine": HookConfig(name="mine", plugin=name, **fields)}


def test_without_any_there_is_nothing_to_call() -> None:
    assert hooks_of({}) is None
    assert router_over(ScriptedProvider("a"))._hooks is None


def test_a_hook_gets_its_table_and_the_tables_word_goes_before_its_own() -> None:
    hooks = hooks_of(config("Made", options={"words": ("x",)}), plugins=found("Made"))
    assert hooks is not None
    [hooked] = hooks._hooks
    made = hooked.methods["on_settle"].__self__  # type: ignore[attr-defined]
    assert made.settings == HookSettings(name="mine", plugin="Made", options={"words": ("x",)})
    assert (hooked.name, hooked.timeout, hooked.fail_closed) == ("mine", 3.0, False)
    again = hooks_of(config("Made", timeout=0.5, fail_closed=True), plugins=found("Made"))
    assert again is not None
    assert (again._hooks[0].timeout, again._hooks[0].fail_closed) == (0.5, True)


def test_a_broken_one_is_named_when_the_router_is_made() -> None:
    plugins = found("choosy", "broken", "no_hook", "nothing")
    for name, kind, why in (
        ("choosy", ConfigError, "must be a list"),
        ("broken", PluginError, "'broken'.*no licence"),
        ("no_hook", PluginError, "'no_hook'.* made object, which has none of before_attempt"),
        ("nothing", PluginError, "'nothing'.* can't be loaded"),
        ("bnothing", ConfigError, "did you mean 'nothing'"),
    ):
        with pytest.raises(kind, match=why):
            hooks_of(config(name), plugins=plugins)


def test_what_is_given_in_code_must_be_a_hook() -> None:
    with pytest.raises(ConfigError, match="int has none of before_attempt, after_attempt"):
        hooks_of({}, [3])
    with pytest.raises(ConfigError, match="none of"):
        hooks_of({}, [type("Idle", (Hook,), {})()])
    hook = Listening()
    hook.timeout = -1
    with pytest.raises(ConfigError, match="seconds above 0"):
        hooks_of({}, [hook])


def test_only_what_is_overridden_is_called() -> None:
    class One(Hook):
        def on_settle(self, details: object) -> None: ...

    hooks = hooks_of({}, [One()])
    assert hooks is not None
    assert {*hooks._hooks[0].methods} == {"on_settle"}
    assert not hooks.asks
    assert not hooks.watches


SOURCE = """
from switchgear import Hook

class Loud(Hook):
    told = []
    def __init__(self, settings): self.settings = settings
    def on_settle(self, details): Loud.told.append((self.settings, details))
"""


@pytest.fixture
def acme(install: Install) -> None:
    install({GROUP: {"loud": "acme_hooks:Loud"}}, {"acme_hooks.py": SOURCE})


def load(**hooks: Any) -> Config:
    mapping = {
        "groups": {"g": {"chain": ["openai/gpt-4o-mini"]}},
        **({"hooks": hooks} if hooks else {}),
    }
    return Config.from_dict(mapping, environ={"OPENAI_API_KEY": KEY})


async def told(config: Config) -> list[Any]:
    import importlib

    async with Router(config, providers={"openai": ScriptedProvider("openai")}) as router:
        await router.complete("g", "hi")
    found: list[Any] = importlib.import_module("acme_hooks").Loud.told
    return found


@pytest.mark.usefixtures("acme")
async def test_an_installed_hook_does_nothing_until_it_is_named() -> None:
    assert await told(load()) == []
    [(settings, details)] = await told(
        load(audit={"plugin": "loud", "token": "env:OPENAI_API_KEY", "timeout": 2})
    )
    assert settings == HookSettings(name="audit", plugin="loud", options={"token": KEY})
    assert KEY not in repr(settings)
    assert details.provider == "openai"


@pytest.mark.usefixtures("acme")
def test_third_parties_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    with pytest.raises(ConfigError, match="no hook plugin 'loud'") as caught:
        Router(load(loud={}), providers={"openai": ScriptedProvider("openai")})
    assert caught.value.param == "hooks.loud.plugin"


def test_the_table_is_read_strictly_and_shown_without_secrets() -> None:
    config = load(audit={"plugin": "loud", "token": "env:OPENAI_API_KEY", "fail_closed": True})
    shown = config.redacted()["hooks"]
    assert shown == {
        "audit": {
            "plugin": "loud",
            "timeout": None,
            "fail_closed": True,
            "options": {"token": "***"},
        }
    }
    assert KEY not in repr(config)
    for table, place in (
        ({"timeout": 0}, "hooks.x.timeout"),
        ({"fail_closed": "yes"}, "hooks.x.fail_closed"),
        ({"plugin": ""}, "hooks.x.plugin"),
        ({"token": "env:NOT_THERE"}, "hooks.x.token"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(x=table)
        assert [each.param for each in caught.value.errors] == [place]
