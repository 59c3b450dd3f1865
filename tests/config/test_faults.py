from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchgear.config import (
    Config,
    check,
)
from switchgear.config.unavailable import SECTIONS
from switchgear.errors import ConfigError
from tests.config.helpers import KEY, chain, faults, load, the_fault

BAD: list[tuple[str, Any, str, str]] = [
    ("unknown section", {"group": {}}, "group", "did you mean 'groups'"),
    (
        "unknown group key",
        chain("openai/m", timeuot=3),
        "groups.g.timeuot",
        "did you mean 'timeout'",
    ),
    ("unknown retry key", {"retry": {"jitter": "full"}}, "retry.jitter", "known: backoff_base"),
    ("section of a wrong type", {"groups": []}, "groups", "must be a table, but is a list"),
    ("group of a wrong type", {"groups": {"g": 1}}, "groups.g", "must be a table, but is 1"),
    ("no chain", {"groups": {"g": {}}}, "groups.g.chain", "missing"),
    ("empty chain", chain(), "groups.g.chain", "empty"),
    ("chain as a string", {"groups": {"g": {"chain": "a/b"}}}, "groups.g.chain", "is a string"),
    ("entry of a wrong type", chain("openai/m", 7), "groups.g.chain[1]", "is an integer"),
    ("empty pool", chain([]), "groups.g.chain[0]", "at least one"),
    ("pool in a pool", chain([["openai/m"]]), "groups.g.chain[0][0]", "is a list"),
    ("bare model", chain("gpt-4o"), "groups.g.chain[0]", "'openai/gpt-4o'"),
    ("table without model", chain({"weight": 2}), "groups.g.chain[0].model", "provider/model"),
    (
        "unknown entry key",
        chain({"model": "openai/m", "modle": 1}),
        "groups.g.chain[0].modle",
        "model",
    ),
    (
        "unknown provider in a table in a pool",
        chain([{"model": "antropic/m"}]),
        "groups.g.chain[0][0].model",
        "did you mean 'anthropic'? known: anthropic, embedded, ollama, openai",
    ),
    (
        "unknown provider",
        chain("zzz/m"),
        "groups.g.chain[0]",
        "no provider 'zzz'; known: anthropic",
    ),
    (
        "name of a group",
        {"groups": {"a/b": {"chain": ["openai/m"]}}},
        'groups."a/b"',
        "without '/'",
    ),
    ("name of a provider", {"providers": {"a b": {}}}, 'providers."a b"', "letters"),
    ("zero seconds", {"timeout": 0}, "timeout", "seconds above 0, but is 0"),
    ("seconds as text", {"idle_timeout": "30s"}, "idle_timeout", "but is the string '30s'"),
    ("seconds as true", {"attempt_timeout": True}, "attempt_timeout", "but is true"),
    ("endless seconds", {"timeout": float("inf")}, "timeout", "finite"),
    ("negative retries", {"retry": {"num_retries": -1}}, "retry.num_retries", "from 0 up to 100"),
    ("half a retry", {"retry": {"num_retries": 1.5}}, "retry.num_retries", "whole number"),
    ("back-off", {"retry": {"backoff_base": 60}}, "retry.backoff_base", "above backoff_max"),
    ("unsupported", {"unsupported": "wran"}, "unsupported", "did you mean 'warn'"),
    (
        "strategy",
        chain("openai/m", strategy="latncy"),
        "groups.g.strategy",
        "did you mean 'latency'",
    ),
    ("max_tokens", chain("openai/m", max_tokens=0), "groups.g.max_tokens", "whole number from 1"),
    ("local_only", chain("ollama/m", local_only="yes"), "groups.g.local_only", "true or false"),
    (
        "header name",
        chain({"model": "openai/m", "extra_headers": {"a b": "x"}}),
        'groups.g.chain[0].extra_headers."a b"',
        "not the name of a header",
    ),
    (
        "header value",
        chain({"model": "openai/m", "extra_headers": {"A": "x\r\ny"}}),
        "groups.g.chain[0].extra_headers.A",
        "on one line",
    ),
    (
        "unknown group of an agent",
        {"agents": {"QA Engineer": "x"}},
        'agents."QA Engineer"',
        "no group",
    ),
    ("agent's group", {"agents": {"QA": 1}}, "agents.QA", "the name of a group"),
    ("base_url", {"providers": {"p": {"base_url": "10.0.0.5"}}}, "providers.p.base_url", "address"),
    (
        "credential in base_url",
        {"providers": {"p": {"base_url": f"https://u:{KEY}@h/v1"}}},
        "providers.p.base_url",
        "api_key",
    ),
    ("near miss", {"providers": {"p": {"apiKey": KEY}}}, "providers.p.apiKey", "mean 'api_key'"),
    (
        "unknown capability",
        {"providers": {"p": {"models": {"a.b": {"tool": True}}}}},
        'providers.p.models."a.b".tool',
        "did you mean 'tools'",
    ),
    (
        "schema",
        {"providers": {"p": {"models": {"m": {"schema": True}}}}},
        "providers.p.models.m.schema",
        '"native", "tool" or false',
    ),
    (
        "sampling",
        {"providers": {"p": {"models": {"m": {"sampling": ["top_k"]}}}}},
        "providers.p.models.m.sampling",
        "temperature",
    ),
    (
        "local model of a remote provider",
        {"providers": {"openai": {"models": {"m": {"local": True}}}}},
        "providers.openai.models.m.local",
        "not local",
    ),
    (
        "local but remote",
        {"providers": {"openai": {"local": True}}},
        "providers.openai.local",
        "has none",
    ),
    ("a date", {"agents": {"x": object()}}, "agents.x", "type object"),
]


@pytest.mark.parametrize(
    ("mapping", "place", "says"), [case[1:] for case in BAD], ids=[c[0] for c in BAD]
)
def test_a_fault_is_reported_at_its_place(mapping: Any, place: str, says: str) -> None:
    found, message = the_fault(mapping)
    assert found == place
    assert message.startswith(f"{place}: ")
    assert says in message


def test_an_unknown_group_in_a_chain_is_guessed() -> None:
    mapping = chain("openai/m")
    mapping["groups"]["fast-response"] = {"chain": ["fast-respnse", "g"]}
    assert "did you mean" not in faults(chain("nothing-like-it"))["groups.g.chain[0]"]
    place, message = the_fault({"groups": {**mapping["groups"], "h": {"chain": ["fast-response"]}}})
    assert place == "groups.fast-response.chain[0]"
    assert "did you mean 'fast-response'?" in message


def test_a_group_inside_a_pool_is_refused() -> None:
    mapping = chain("openai/m")
    mapping["groups"]["h"] = {"chain": [["g", "openai/m"], {"model": "g"}]}
    assert set(faults(mapping)) == {"groups.h.chain[0][0]", "groups.h.chain[1].model"}


def test_groups_in_a_circle_are_shown_going_round() -> None:
    groups = {
        "a": {"chain": ["openai/m", "b"]},
        "b": {"chain": ["c"]},
        "c": {"chain": ["ollama/m", "a"]},
    }
    place, message = the_fault({"groups": groups})
    assert place == "groups.c.chain[1]"
    assert "a -> b -> c -> a" in message


def test_a_group_in_itself_is_a_circle() -> None:
    assert "g -> g" in the_fault(chain("g"))[1]


def test_groups_that_multiply_are_refused_at_once() -> None:
    groups: dict[str, Any] = {"g0": {"chain": ["openai/m"] * 2}}
    for number in range(1, 60):
        groups[f"g{number}"] = {"chain": [f"g{number - 1}"] * 2}
    assert any(
        "more than 256 candidates" in message for message in faults({"groups": groups}).values()
    )


def test_every_fault_is_reported_at_once() -> None:
    mapping = {
        "timeout": -1,
        "groups": {"g": {"chain": ["nope/m", 3], "bogus": 1}},
        "agents": {"QA": "missing"},
    }
    with pytest.raises(ConfigError) as caught:
        load(mapping)
    places = {error.param for error in caught.value.errors}
    assert places == {
        "timeout", "groups.g.chain[0]", "groups.g.chain[1]", "groups.g.bogus", "agents.QA"
    }  # fmt: skip
    assert str(caught.value).startswith("5 errors in the configuration:")
    assert all(str(error) in str(caught.value) for error in caught.value.errors)
    assert pickle.loads(pickle.dumps(caught.value)).errors[0].param in places


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_a_section_that_is_not_served_is_never_ignored(section: str) -> None:
    place, message = the_fault({section: {}})
    assert place == section
    assert "not available in this version" in message


@pytest.mark.parametrize("name", ["latency-based-routing", "simple-shuffle", "usage"])
def test_every_strategy_and_every_other_name_of_it_is_understood(name: str) -> None:
    assert Config.from_dict(chain("openai/m", strategy=name)).group("g").strategy in {
        "latency",
        "weighted",
        "usage",
    }


def test_a_weight_without_effect_is_said() -> None:
    [warning] = load(chain({"model": "ollama/m", "weight": 3})).warnings
    assert warning.startswith("groups.g.chain[0].weight: has no effect")


@pytest.mark.parametrize("mapping", [None, [], 3, "providers", [{}]])
def test_what_is_no_table_is_refused(mapping: Any) -> None:
    with pytest.raises(ConfigError, match="a configuration is a table"):
        load(mapping)


def test_a_mapping_that_holds_itself_is_refused() -> None:
    mapping: dict[str, Any] = {}
    mapping["providers"] = mapping
    assert "nested" in the_fault(mapping)[1]


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=8)
    | st.sampled_from(["openai/m", "p:m", "g", "h", "env:K", "file:/dev/zero", "priority", "p"])
    | st.sampled_from(["http://[", "http://h:99999", "warn", "native", "temperature", KEY])
)
NAMES = """
g h p chain model extra extra_headers timeout local_only api_key base_url models schema sampling
plugin weight num_retries
"""
keys = st.text(max_size=5) | st.sampled_from(NAMES.split())
json_like = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
# The same, but most of it where the reader goes on reading.
plausible = st.fixed_dictionaries(
    {},
    optional={
        "providers": json_like | st.dictionaries(keys, st.dictionaries(keys, json_like)),
        "groups": st.dictionaries(
            keys,
            st.fixed_dictionaries(
                {"chain": json_like | st.lists(scalars | st.dictionaries(keys, json_like))},
                optional={"timeout": scalars, "local_only": scalars, "max_tokens": scalars},
            ),
        ),
        "agents": st.dictionaries(keys, scalars),
        "retry": json_like,
        "timeout": scalars,
        "unsupported": scalars,
    },
)


@given(json_like | plausible)
def test_arbitrary_input_is_read_or_is_a_config_error(data: Any) -> None:
    try:
        config = Config.from_dict(data, environ={"K": KEY})
    except ConfigError as error:
        fault = error
    else:
        json.dumps(config.redacted())
        check(config)
        return
    assert fault.errors
    assert all(str(error) in str(fault) for error in fault.errors)


def test_a_fault_in_a_file_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "switchgear.toml"
    file.write_text(
        "timeout = 5\n"
        "\n"
        "[groups.g]\n"
        'use = """\n'
        'two lines"""\n'
        "chain = [\n"
        '  "openai/m", # [ { a comment with "marks"\n'
        '  { model = "opnai/m" },\n'
        "]\n"
        '[providers."x y"]\n'
        "base_url = 3\n"
    )
    with pytest.raises(ConfigError) as caught:
        Config.from_file(file, environ={})
    lines = [str(error).removeprefix(str(file)).split(" ")[0] for error in caught.value.errors]
    assert sorted(lines) == [":10:", ":11:", ":8:"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a = 1\nb = ]", ":2:5: not valid TOML: Invalid value"),
        (b"a = 1\na = 2\n", ":2:6: not valid TOML: Cannot overwrite a value"),
        (b"a = " + b"[" * 100_000, "not valid TOML: "),
        (b"a = " + b"1" * 5000, "a number in it is too large"),
        (b"a = 1e99999999999999999999", "a number in it is too large"),
        (b"a = 1\nb = '\xff'", ":2: is not UTF-8"),
    ],
)
def test_what_is_not_toml_is_a_config_error_with_its_place(
    tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Config.from_file(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_from_windows_is_read(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(b'\xef\xbb\xbf[groups.g]\r\nchain = ["ollama/m"]\r\n')
    assert Config.from_file(file, environ={}).group("g").candidates[0].model == "m"


@pytest.mark.parametrize("name", ["missing.toml", "", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_file(str(tmp_path / name))
    assert repr(str(tmp_path / name)) in str(caught.value)
