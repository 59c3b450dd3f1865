"""Who serves: ``[backend]`` for all, ``backend`` in a provider's table for one."""

from __future__ import annotations

import pytest

from switchgear import Config, ConfigError
from tests.config.helpers import KEYS

PROVIDERS = {
    "anthropic": {},
    "ollama": {},
    "embedded": {},
    "acme": {"plugin": "acme-llm"},
    "vllm": {"plugin": "openai-compatible", "base_url": "http://127.0.0.1:8000/v1"},
}


def load(**sections: object) -> Config:
    return Config.from_dict({"providers": PROVIDERS, **sections}, environ=KEYS)


def backends(config: Config) -> dict[str, str]:
    return {name: provider.backend for name, provider in config.providers.items()}


def test_without_a_word_every_plugin_serves_itself() -> None:
    assert set(backends(load()).values()) == {"native"}


def test_one_line_switches_every_plugin_that_has_an_equivalent() -> None:
    config = load(backend={"default": "litellm"})
    assert backends(config) == {
        "anthropic": "litellm",
        "ollama": "litellm",
        "embedded": "native",
        "acme": "native",
        "vllm": "litellm",
    }
    # Everything else goes by the plugin, and stays what it is.
    assert config.providers["ollama"].plugin == "ollama"
    assert config.providers["ollama"].local


def test_a_provider_that_has_no_table_is_switched_as_well() -> None:
    config = Config.from_dict({"backend": {"default": "litellm"}}, environ=KEYS)
    assert config.provider("openai").backend == "litellm"
    assert config.provider("embedded").backend == "native"


def test_a_providers_own_word_goes_before() -> None:
    providers = {**PROVIDERS, "anthropic": {"backend": "native"}}
    config = Config.from_dict(
        {"providers": providers, "backend": {"default": "litellm"}}, environ=KEYS
    )
    assert config.providers["anthropic"].backend == "native"
    providers = {**PROVIDERS, "anthropic": {"backend": "litellm"}}
    assert backends(Config.from_dict({"providers": providers}, environ=KEYS))["anthropic"] == (
        "litellm"
    )


@pytest.mark.parametrize(
    ("mapping", "place"),
    [
        ({"backend": {"default": "other"}}, "backend.default"),
        ({"backend": {"engine": "litellm"}}, "backend.engine"),
        ({"backend": "litellm"}, "backend"),
        ({"providers": {"embedded": {"backend": "litellm"}}}, "providers.embedded.backend"),
        (
            {"providers": {"x": {"plugin": "litellm", "backend": "native"}}},
            "providers.x.backend",
        ),
        (
            {"groups": {"g": {"chain": ["ollama/m"], "backend": "litellm"}}},
            "groups.g.backend",
        ),
    ],
)
def test_what_is_not_offered_is_refused(mapping: dict[str, object], place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_dict(mapping, environ=KEYS)
    assert caught.value.param == place


def test_it_is_shown() -> None:
    shown = load(backend={"default": "litellm"}).redacted()
    assert shown["backend"] == {"default": "litellm"}
    assert shown["providers"]["vllm"]["backend"] == "litellm"
