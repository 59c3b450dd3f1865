from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from switchgear.config.secret_reader import SecretReader
from switchgear.config.state import StateConfig, read_state
from switchgear.config.table import Problems, Table, normalised
from switchgear.errors import ConfigError


def read(state: Any, environ: dict[str, str] | None = None) -> tuple[StateConfig, list[str]]:
    problems = Problems()
    top = Table(normalised({"state": state}, problems), (), problems)
    found = read_state(top, SecretReader(environ or {}, Path(), problems))
    problems.raise_if_any()
    return found, problems.warnings


def test_without_the_section_a_process_is_on_its_own() -> None:
    problems = Problems()
    found = read_state(Table({}, (), problems), SecretReader({}, Path(), problems))
    assert found == StateConfig(url="memory:", timeout=0.25, namespace="sg", replicas=1)
    assert not found.shared


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "rediss://cache.example:6380",
        "unix:///run/redis.sock",
        "redis+cluster://a:7000",
        "redis+sentinel://a:26379,b:26379/mymaster/0",
    ],
)
def test_every_kind_of_server(url: str) -> None:
    found, warnings = read({"url": url, "timeout": 0.1, "namespace": "blue", "replicas": 6})
    assert found == StateConfig(url=url, timeout=0.1, namespace="blue", replicas=6)
    assert found.shared
    assert not warnings


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ({"url": "http://localhost"}, "must be"),
        ({"url": "redis:localhost"}, "must be"),
        ({"url": "redis://"}, "host"),
        ({"url": "redis+sentinel://a:26379"}, "names no service"),
        ({"url": ""}, "not empty"),
        ({"url": 7}, "string"),
        ({"timeout": 0}, "above 0"),
        ({"namespace": "a{b}"}, "letters"),
        ({"replicas": 0}, "from 1"),
        ({"urls": "redis://x"}, "url"),
        ("redis://x", "table"),
    ],
)
def test_what_is_wrong_is_said(state: Any, word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        read(state)
    assert (caught.value.param or "").startswith("state")


def test_a_password_is_read_from_elsewhere_and_never_shown() -> None:
    url = "redis://user:s3cr@t@host:6379/0"
    found, warnings = read({"url": "env:STATE"}, {"STATE": url})
    assert found.url == url
    assert not warnings
    assert "s3cr" not in repr(found)
    assert found.shown_url == "redis://user:***@host:6379/0"
    named = StateConfig(url="unix:///run/redis.sock?password=s3cret&db=1")
    assert "s3cret" not in repr(named)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h/0?passwor%64=s3cret",
        "redis+cluster://:s3cret@h:1",
        "redis+sentinel://a:1,b:2/service/0?sentinel_password=s3cret",
        "redis+sentinel://me:s3cret@a:1,b:2/service/0",
    ],
)
def test_a_password_is_hidden_in_every_form_of_the_url(url: str) -> None:
    found, warnings = read({"url": url})
    assert "s3cret" in found.url
    assert "s3cret" not in f"{found!r} {found.shown_url} {warnings}"
    assert "env:NAME" in warnings[0]


def test_a_password_in_the_file_draws_a_warning() -> None:
    _, warnings = read({"url": "redis://:s3cret@host:6379/0"})
    assert "env:NAME" in warnings[0]
    assert "s3cret" not in warnings[0]


def test_a_variable_that_is_not_set_is_an_error() -> None:
    with pytest.raises(ConfigError, match="STATE is not set"):
        read({"url": "env:STATE"})


def test_a_wrong_url_is_not_shown_for_a_password_may_stand_in_it() -> None:
    with pytest.raises(ConfigError) as caught:
        read({"url": "reddis://:s3cret@host"})
    assert "s3cret" not in str(caught.value)
