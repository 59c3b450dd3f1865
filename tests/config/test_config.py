from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from switchgear.config import (
    Config,
    FrozenDict,
    ModelRef,
    check,
    parse_model_ref,
)
from switchgear.config.providers import CAPABILITIES, SAMPLING
from switchgear.credentials import Secret
from switchgear.errors import ConfigError
from switchgear.providers.base import SAMPLING_KNOBS, Capabilities
from tests.config.helpers import KEY, KEYS, chain, everything_shown, load

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("text", "provider", "model"),
    [
        ("anthropic/claude-opus-5-5", "anthropic", "claude-opus-5-5"),
        ("anthropic:claude-opus-5-5", "anthropic", "claude-opus-5-5"),
        ("ollama/llama3:8b", "ollama", "llama3:8b"),
        ("ollama:llama3:8b", "ollama", "llama3:8b"),
        ("embedded//models/x.gguf", "embedded", "/models/x.gguf"),
        ("openrouter/meta-llama/llama-3", "openrouter", "meta-llama/llama-3"),
        ("openai:ft:gpt-4o:org/a", "openai", "ft:gpt-4o:org/a"),
    ],
)
def test_a_model_is_named_by_provider_and_model(text: str, provider: str, model: str) -> None:
    assert parse_model_ref(text) == ModelRef(provider, model)


@pytest.mark.parametrize("text", ["", "gpt-4o", "/gpt-4o", "openai/", "openai: ", ":", "/"])
def test_half_a_model_reference_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write provider/model"):
        parse_model_ref(text)


@given(
    st.from_regex(r"[a-z][a-z0-9._-]{0,8}", fullmatch=True),
    st.text(min_size=1, max_size=20).filter(lambda text: text == text.strip()),
)
def test_a_model_reference_survives_being_written(provider: str, model: str) -> None:
    ref = ModelRef(provider, model)
    assert parse_model_ref(str(ref)) == ref


def test_an_empty_configuration_is_valid_and_serves_built_in_providers_by_name() -> None:
    config = Config.from_dict({})
    assert not config.groups
    assert config.timeout == 600.0
    assert config.retry.num_retries == 3
    assert config.provider("embedded").plugin == "embedded"
    assert config == Config()


def test_a_chain_holds_models_pools_and_tables_in_their_order() -> None:
    table = {
        "model": "openai/b",
        "region": "eu",
        "max_tokens": 5,
        "timeout": 30,
        "attempt_timeout": Decimal("2.5"),
        "extra": {"a": [1, {"b": 0.5}]},
        "extra_headers": {"X-Team": "red"},
    }
    group = load(chain("anthropic/a", [table, "ollama:c"], timeout=9)).group("g")
    assert [[str(c) for c in pool.candidates] for pool in group.chain] == [
        ["anthropic/a"],
        ["openai/b", "ollama/c"],
    ]
    entry = group.candidates[1]
    assert (entry.region, entry.max_tokens, entry.timeout, entry.attempt_timeout) == (
        "eu", 5, 30.0, 2.5
    )  # fmt: skip
    assert entry.extra == {"a": (1, {"b": 0.5})}
    assert entry.extra_headers == {"X-Team": "red"}
    assert group.timeout == 9.0


def test_extra_fields_go_into_a_json_body_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        '[groups.g]\nchain = [{ model = "openai/m", extra = { t = 0.1, deep = { l = [1, "x"] } } }]'
    )
    extra = Config.from_file(file, environ={}).group("g").candidates[0].extra
    expected = {"t": 0.1, "deep": {"l": [1, "x"]}}
    assert json.loads(json.dumps(extra)) == expected
    assert msgspec.json.decode(msgspec.json.encode(extra)) == expected


def test_a_group_in_a_chain_stands_for_its_own_chain_and_settings() -> None:
    config = load(
        {
            "groups": {
                "outer": {"chain": ["anthropic/a", "inner"], "max_tokens": 7},
                "inner": {"chain": [["ollama/b", "ollama/c"]], "max_tokens": 3},
            }
        }
    )
    outer = config.group("outer")
    assert outer.max_tokens == 7
    assert [pool.group for pool in outer.chain] == ["outer", "inner"]
    assert [(str(c), c.max_tokens) for c in outer.candidates] == [
        ("anthropic/a", None),
        ("ollama/b", 3),
        ("ollama/c", 3),
    ]


def test_a_provider_takes_its_name_as_plugin_and_keeps_the_rest_for_it() -> None:
    config = load(
        {
            "unsupported": "raise",
            "providers": {
                "openai": {"api_key": "env:K", "organization": "o", "max_connections": 5},
                "vllm": {
                    "plugin": "openai-compatible",
                    "base_url": "http://10.0.0.5:8000/v1",
                    "unsupported": "warn",
                    "models": {"m": {"schema": False, "sampling": ["seed"], "context_window": 9}},
                },
            },
        },
        K=KEY,
    )
    openai, vllm = config.provider("openai"), config.provider("vllm")
    assert (openai.plugin, openai.unsupported) == ("openai", "raise")
    assert openai.api_key == Secret(KEY)
    assert openai.options == {"organization": "o", "max_connections": 5}
    assert (vllm.plugin, vllm.unsupported) == ("openai-compatible", "warn")
    capable = msgspec.structs.replace(Capabilities(), **vllm.models["m"])
    assert capable == Capabilities(schema=None, sampling=frozenset({"seed"}), context_window=9)


def test_capability_overrides_are_those_that_providers_declare() -> None:
    assert set(Capabilities.__struct_fields__) == CAPABILITIES
    assert SAMPLING == SAMPLING_KNOBS


def test_top_level_and_retry_settings_are_read() -> None:
    config = load(
        {
            "timeout": 10,
            "attempt_timeout": 0.1,
            "idle_timeout": 2,
            "retry": {"num_retries": 0, "backoff_base": 0.25, "backoff_max": 4},
        }
    )
    assert (config.timeout, config.attempt_timeout, config.idle_timeout) == (10.0, 0.1, 2.0)
    retry = config.retry
    assert (retry.num_retries, retry.backoff_base, retry.backoff_max) == (0, 0.25, 4.0)


@pytest.mark.parametrize(
    "change",
    [
        lambda extra: extra.__setitem__("a", 2),
        lambda extra: extra.__delitem__("a"),
        lambda extra: extra.__ior__({"a": 2}),
        lambda extra: extra.update(a=2),
        lambda extra: extra.setdefault("b", 2),
        lambda extra: extra.pop("a"),
        lambda extra: extra.clear(),
        lambda extra: setattr(extra, "masked", frozenset()),
        lambda extra: setattr(extra["deep"], "x", 1),
    ],
)
def test_nothing_of_a_configuration_can_be_changed(change: Callable[[Any], None]) -> None:
    entry = {"model": "openai/m", "extra": {"a": 1, "deep": {}}}
    candidate = load(chain(entry)).group("g").candidates[0]
    with pytest.raises(TypeError, match="not changed in place"):
        change(candidate.extra)
    assert candidate.extra == entry["extra"]


def test_the_mapping_given_is_not_kept() -> None:
    mapping = chain({"model": "openai/m", "extra": {"a": [1]}})
    config = load(mapping)
    mapping["groups"]["g"]["chain"][0]["extra"]["a"].append(2)
    assert config.group("g").candidates[0].extra == {"a": (1,)}


def test_asking_for_what_is_not_there_names_what_is() -> None:
    config = load(chain("ollama/m"))
    with pytest.raises(ConfigError, match=r"no group 'high-reasoning' .*known: 'g'"):
        config.group("high-reasoning")
    with pytest.raises(ConfigError, match="did you mean 'openai'"):
        config.provider("opnai")


@pytest.mark.parametrize("plugin", ["azure-openai", "openai-compatible", "bedrock", "litellm"])
def test_a_plugin_that_needs_a_table_is_built_in_all_the_same(plugin: str) -> None:
    config = load({"providers": {"mine": {"plugin": plugin}}})
    assert not [each for each in check(config) if "not a built-in one" in each.message]


def test_check_tells_what_is_hardly_meant() -> None:
    config = load(
        {
            "providers": {
                "vllm": {"base_url": "http://llm.example.com", "api_key": "env:K"},
                "antropic": {},
            },
            "groups": {
                "a": {"chain": ["ollama/m", "ollama/m"], "timeout": 5, "attempt_timeout": 9},
                "b": {"chain": ["ollama/m"], "use": "x"},
            },
        },
        K=KEY,
    )
    told = {(finding.level, finding.place): finding.message for finding in check(config)}
    assert set(told) == {
        ("note", "providers.vllm"),
        ("warning", "providers.vllm.base_url"),
        ("note", "providers.antropic"),
        ("note", "groups.a"),
        ("note", "groups.b"),
        ("warning", "groups.a.chain"),
        ("warning", "groups.a.attempt_timeout"),
    }


def test_a_frozen_dict_is_hashable_and_equal_to_its_like() -> None:
    one, other = FrozenDict({"a": [1]}), FrozenDict({"a": [1]})
    assert one == other == {"a": [1]}
    assert hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == one
    assert FrozenDict({"a": 1}, frozenset("a")).copy().redacted() == {"a": "***"}


def test_the_tour_loads_without_a_warning_and_shows_every_key() -> None:
    config = Config.from_file(EXAMPLES / "switchgear.toml", environ=KEYS)
    assert not check(config)
    assert KEY not in everything_shown(config)
    assert [str(c) for c in config.group("cost-optimized").candidates] == [
        "vllm/qwen3-32b",
        "ollama/llama3.1:8b",
        "anthropic/claude-haiku-5-5",
    ]


def test_the_adr_example_is_the_adr() -> None:
    config = Config.from_file(EXAMPLES / "adr-004.toml", environ=KEYS)
    assert {name: [str(c) for c in g.candidates] for name, g in config.groups.items()} == {
        "high-reasoning": [
            "anthropic/claude-3-5-sonnet-20241022",
            "openai/gpt-4-turbo",
            "ollama/llama3",
        ],
        "fast-response": ["anthropic/claude-3-haiku-20240307", "openai/gpt-4o-mini"],
        "cost-optimized": ["ollama/llama3", "anthropic/claude-3-haiku-20240307"],
    }
    assert config.retry.num_retries == 3
    assert config.agents == {
        "Product Owner": "high-reasoning",
        "Software Architect": "high-reasoning",
        "Software Engineer": "high-reasoning",
        "QA Engineer": "fast-response",
        "DevOps Engineer": "fast-response",
        "Project Manager": "fast-response",
    }
    assert not check(config)
