"""Plugins are found by entry point, loaded when used, and a broken one disturbs no other."""

from importlib.metadata import EntryPoint

import pytest

from switchgear import ConfigError, PluginError
from switchgear.plugins import SWITCH
from switchgear.providers.base import Provider, ProviderSettings
from switchgear.providers.registry import GROUP, Registry
from switchgear.testing.scripted import ScriptedProvider

BUILT_IN = {
    "anthropic",
    "azure-openai",
    "bedrock",
    "embedded",
    "litellm",
    "ollama",
    "openai",
    "openai-compatible",
    "vertex",
}


def good(settings: ProviderSettings) -> Provider:
    return ScriptedProvider(settings.name)


def failing(settings: ProviderSettings) -> Provider:
    raise RuntimeError("no luck")


def half(settings: ProviderSettings) -> object:
    return object()


NOT_CALLABLE = 3


def entry(name: str, target: str) -> EntryPoint:
    return EntryPoint(name, target, GROUP)


def here(name: str, attribute: str) -> EntryPoint:
    return entry(name, f"{__name__}:{attribute}")


def settings(plugin: str) -> ProviderSettings:
    return ProviderSettings(name="mine", plugin=plugin)


def test_every_adapter_of_the_library_is_found_and_loads() -> None:
    plugins = {plugin.name: plugin for plugin in Registry().describe()}
    assert set(plugins) >= BUILT_IN
    for name in BUILT_IN:
        assert plugins[name].built_in
        assert plugins[name].error is None


def test_a_plugin_makes_a_provider_of_the_name_it_is_given() -> None:
    registry = Registry([here("good", "good")])
    assert registry.create(settings("good")).name == "mine"


def test_an_unknown_plugin_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError, match="did you mean 'good'") as refused:
        Registry([here("good", "good")]).create(settings("goood"))
    assert refused.value.param == "providers.mine.plugin"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("no_such_module_anywhere:create", "ModuleNotFoundError"),
        (f"{__name__}:missing", "AttributeError"),
        (f"{__name__}:NOT_CALLABLE", "not callable"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named_and_the_others_work(
    target: str, says: str
) -> None:
    registry = Registry([entry("bad", target), here("good", "good")])
    with pytest.raises(PluginError, match="bad"):
        registry.create(settings("bad"))
    assert registry.create(settings("good")).name == "mine"
    shown = {plugin.name: plugin.error for plugin in registry.describe()}
    assert says in (shown["bad"] or "")
    assert shown["good"] is None


def test_a_plugin_whose_factory_fails_is_named() -> None:
    with pytest.raises(PluginError, match="no luck") as broken:
        Registry([here("bad", "failing")]).create(settings("bad"))
    assert isinstance(broken.value.__cause__, RuntimeError)


def test_a_plugin_that_makes_something_else_is_told_what_is_missing() -> None:
    with pytest.raises(PluginError, match="capabilities, complete, stream"):
        Registry([here("bad", "half")]).create(settings("bad"))


def test_the_switch_turns_third_party_plugins_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    assert Registry([here("good", "good")]).names() == ()
    assert set(Registry().names()) == BUILT_IN
    monkeypatch.setenv(SWITCH, "1")
    assert Registry([here("good", "good")]).names() == ("good",)


def test_nothing_is_imported_before_it_is_used() -> None:
    registry = Registry([entry("lazy", "no_such_module_anywhere:create")])
    assert registry.names() == ("lazy",)
    assert registry.describe(load=False)[0].error is None


def test_two_plugins_of_one_name_are_reported() -> None:
    registry = Registry([here("twin", "good"), here("twin", "half")])
    (plugin,) = registry.describe(load=False)
    assert "also offers 'twin'" in (plugin.note or "")
    assert plugin.error is None
