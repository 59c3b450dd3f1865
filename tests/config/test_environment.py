from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from switchgear.config import Config
from switchgear.config.environment import AGENTS, CONFIG_VARIABLE
from switchgear.errors import ConfigError

ALL = {"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "o", "OLLAMA_HOST": "127.0.0.1"}


def vendors(config: Config, group: str) -> list[str]:
    return [candidate.provider for candidate in config.group(group).candidates]


def test_the_groups_of_the_adr_are_built_from_whatever_is_configured() -> None:
    config = Config.from_env(ALL)
    assert vendors(config, "high-reasoning") == ["anthropic", "openai", "ollama"]
    assert vendors(config, "fast-response") == ["anthropic", "openai", "ollama"]
    assert vendors(config, "cost-optimized") == ["ollama", "anthropic", "openai"]
    assert config.agents == AGENTS
    assert not config.warnings


@pytest.mark.parametrize("variable", sorted(ALL))
def test_one_provider_alone_serves_every_group(variable: str) -> None:
    config = Config.from_env({variable: ALL[variable]})
    assert len(config.providers) == 1
    assert set(config.groups) == {"high-reasoning", "fast-response", "cost-optimized"}
    assert all(len(group.candidates) == 1 for group in config.groups.values())


def test_keys_come_from_the_environment_given_not_from_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "other")
    config = Config.from_env({"ANTHROPIC_API_KEY": "mine"})
    key = config.provider("anthropic").api_key
    assert key is not None
    assert key.reveal() == "mine"
    assert set(config.providers) == {"anthropic"}


def test_without_an_argument_the_process_environment_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (*ALL, CONFIG_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "o")
    assert set(Config.from_env().providers) == {"openai"}


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": " "}, {"OLLAMA_HOST": ""}])
def test_with_nothing_configured_the_error_says_what_would_do(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_env(environ)
    for way in (*ALL, CONFIG_VARIABLE, "embedded/smollm2-135m", "neither key nor server"):
        assert way in str(caught.value)


def test_the_way_out_without_key_and_server_works() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_env({})
    line = str(caught.value).splitlines()[-1].strip()
    argument = line.removeprefix("Router.from_dict(").removesuffix(")")
    config = Config.from_dict(eval(argument, {"__builtins__": {}}), environ={})
    assert str(config.group("high-reasoning").candidates[0]) == "embedded/smollm2-135m"


def test_a_toy_model_never_stands_in_unasked() -> None:
    candidates = [c for g in Config.from_env(ALL).groups.values() for c in g.candidates]
    assert "embedded" not in {candidate.provider for candidate in candidates}


def test_the_file_that_the_environment_names_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        '[providers.openai]\napi_key = "env:OPENAI_API_KEY"\n[groups.x]\nchain=["openai/m"]'
    )
    config = Config.from_env({**ALL, CONFIG_VARIABLE: str(file)})
    assert list(config.groups) == ["x"]
    with pytest.raises(ConfigError, match=r"gone\.toml"):
        Config.from_env({**ALL, CONFIG_VARIABLE: str(tmp_path / "gone.toml")})


def test_the_model_of_a_local_ollama_can_be_named() -> None:
    config = Config.from_env({"OLLAMA_HOST": "gpu:11434", "SWITCHGEAR_OLLAMA_MODEL": "qwen3:8b"})
    assert str(config.group("cost-optimized").candidates[0]) == "ollama/qwen3:8b"


def test_the_default_models_are_known_to_the_official_sdks() -> None:
    from anthropic.types.model import Model
    from openai.types.shared.chat_model import ChatModel

    known = {
        "anthropic": {name for part in get_args(Model) for name in get_args(part)},
        "openai": set(get_args(ChatModel)),
    }
    config = Config.from_env(dict.fromkeys(("ANTHROPIC_API_KEY", "OPENAI_API_KEY"), "k"))
    for group in config.groups.values():
        for candidate in group.candidates:
            assert candidate.model in known[candidate.provider]
