from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

from switchgear.config import (
    Config,
    check,
)
from switchgear.credentials import Secret
from switchgear.errors import ConfigError
from tests.config.helpers import KEY, chain, everything_shown, faults, load, the_fault


def test_a_key_comes_from_a_variable_or_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    file = tmp_path / "c.toml"
    file.write_text('[providers.a]\napi_key = "env:K"\n[providers.b]\napi_key = "file:key"\n')
    config = Config.from_file(file, environ={"K": KEY})
    assert config.provider("a").api_key == config.provider("b").api_key == Secret(KEY)
    assert [config.redacted()["providers"][name]["api_key"] for name in "ab"] == [
        "env:K",
        "file:key",
    ]
    assert not config.warnings
    assert KEY not in everything_shown(config)


def test_a_literal_key_works_with_a_warning_that_does_not_show_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, logger="switchgear.config"):
        config = load({"providers": {"openai": {"api_key": KEY}}})
    assert config.provider("openai").api_key == Secret(KEY)
    [warning] = config.warnings
    assert warning.startswith("providers.openai.api_key: ")
    assert caplog.messages == [warning]
    assert KEY not in warning + everything_shown(config)
    assert config.redacted()["providers"]["openai"]["api_key"] == "***"


def test_a_secret_object_is_taken_without_a_warning() -> None:
    config = load({"providers": {"openai": {"api_key": Secret(KEY)}}})
    assert config.provider("openai").api_key == Secret(KEY)
    assert not config.warnings
    assert KEY not in everything_shown(config)


def test_credentials_among_options_and_headers_are_resolved_and_hidden() -> None:
    options = {
        "auth_token": "env:K",
        "headers": {"Authorization": f"Bearer {KEY}", "X-Team": "red"},
        "projects": ["env:K"],
        "prompt_cache_key": "team-red",
    }
    entry = {
        "model": "p/m",
        "extra": {"user": {"password": KEY}},
        "extra_headers": {"X-Api-Key": "env:K"},
    }
    config = load({"providers": {"p": options}, **chain(entry)}, K=KEY)
    found = config.provider("p").options
    assert found["auth_token"] == KEY
    assert found["projects"] == (KEY,)
    assert found["headers"]["Authorization"] == f"Bearer {KEY}"
    assert config.group("g").candidates[0].extra_headers == {"X-Api-Key": KEY}
    shown = everything_shown(config)
    assert KEY not in shown
    assert "team-red" in shown
    assert "red" in config.redacted()["providers"]["p"]["options"]["headers"]["X-Team"]
    assert KEY not in "".join(config.warnings)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(found)


def test_a_missing_key_of_a_provider_in_a_chain_names_variable_and_key() -> None:
    providers = {"a": {"api_key": "env:KEY_A"}, "b": {"api_key": "env:KEY_B"}}
    mapping = {"providers": providers, **chain("a/m", "b/m", "a/n")}
    place, message = the_fault(mapping, KEY_A=KEY, KEY_B="  ")
    assert place == "providers.b.api_key"
    assert "variable KEY_B is empty" in message
    assert "take 'b' out of the chains" in message
    assert set(faults(mapping)) == {"providers.a.api_key", "providers.b.api_key"}


def test_a_missing_key_of_an_unused_provider_is_an_error_only_for_who_asks() -> None:
    config = load({"providers": {"a": {"api_key": "env:KEY_A", "auth_token": "file:/no/such"}}})
    with pytest.raises(ConfigError) as caught:
        config.provider("a")
    assert "providers.a.api_key: the environment variable KEY_A is not set" in str(caught.value)
    assert "providers.a.auth_token: there is no file '/no/such'" in str(caught.value)
    assert any("KEY_A" in str(finding) for finding in check(config))


def test_a_built_in_provider_without_any_key_is_warned_of() -> None:
    [warning] = load(chain("openai/m", "ollama/m")).warnings
    assert "no OPENAI_API_KEY in the environment" in warning
    assert not load(chain("openai/m"), OPENAI_API_KEY=KEY).warnings


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (f"env:{KEY}", "not the name of a variable"),
        ("env:", "not the name of a variable"),
        ("", '"env:NAME"'),
        (["sk-do-not-show"], '"env:NAME"'),
        (f"{KEY}\n", "white space"),
        ("$OPENAI_API_KEY", 'write "env:OPENAI_API_KEY"'),
        ("${OPENAI_API_KEY}", 'write "env:OPENAI_API_KEY"'),
        ("os.environ/OPENAI_API_KEY", 'write "env:OPENAI_API_KEY"'),
    ],
)
def test_a_malformed_key_is_refused_without_showing_it(value: Any, says: str) -> None:
    place, message = the_fault({"providers": {"openai": {"api_key": value}}})
    assert place == "providers.openai.api_key"
    assert says in message
    assert "do-not-show" not in message


def test_a_key_pasted_after_env_is_not_shown_even_if_it_could_be_a_name() -> None:
    _, message = the_fault(
        {"providers": {"openai": {"api_key": "env:gsk_q1w2e3"}}, **chain("openai/m")}
    )
    assert "gsk_q1w2e3" not in message
    unused = load({"providers": {"openai": {"api_key": "env:gsk_q1w2e3"}}})
    assert "gsk_q1w2e3" not in everything_shown(unused)


@pytest.mark.parametrize("content", [b"", b"two\nlines", b"\xff", b"x" * 70_000])
def test_a_file_that_holds_no_key_is_as_good_as_missing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    config = Config.from_dict({"providers": {"p": {"api_key": "file:key"}}}, base=tmp_path)
    with pytest.raises(ConfigError, match="the file 'key'"):
        config.provider("p")


def test_a_key_in_a_wrong_place_of_a_provider_is_not_shown() -> None:
    table = {"plugin": [KEY], "base_url": KEY, "unsupported": KEY, "local": KEY, "models": KEY}
    found = faults({"providers": {"openai": table}})
    assert len(found) == 5
    assert KEY not in "".join(found.values())
