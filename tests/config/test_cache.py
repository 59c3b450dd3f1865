"""The section [cache]: what it means, and what is said where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from switchgear.config.cache import CacheConfig, CacheRules
from switchgear.config.cache_section import read_cache, show_cache
from switchgear.config.secret_reader import SecretReader
from switchgear.config.table import Problems, Table, normalised
from switchgear.errors import ConfigError

PASSWORD = "hunter2-do-not-show"
GROUPS = {"fast": {"chain": ["ollama/m"]}}


def read(cache: Any, **environ: str) -> tuple[CacheConfig | None, Problems]:
    base, problems = Path("/base"), Problems()
    top = Table(normalised({"cache": cache, "groups": GROUPS}, problems), (), problems)
    return read_cache(top, base, SecretReader(environ, base, problems)), problems


def good(cache: Any, **environ: str) -> CacheConfig:
    config, problems = read(cache, **environ)
    problems.raise_if_any()
    assert config is not None
    return config


def fault(cache: Any, **environ: str) -> tuple[str | None, str]:
    _, problems = read(cache, **environ)
    with pytest.raises(ConfigError) as caught:
        problems.raise_if_any()
    [error] = caught.value.errors
    return error.param, str(error)


def test_without_the_table_there_is_no_cache() -> None:
    problems = Problems()
    top = Table({}, (), problems)
    assert read_cache(top, Path(), SecretReader({}, Path(), problems)) is None
    assert show_cache(None) is None


def test_the_bare_table_is_an_hour_in_memory_for_each_project() -> None:
    config = good({})
    assert config == CacheConfig()
    assert (config.url, config.scope, config.rules.ttl) == ("memory:", "project", 3600)


def test_everything_it_can_say() -> None:
    config = good(
        {
            "url": "sqlite:answers.db",
            "scope": "global",
            "ttl": 60,
            "stale_if_error": 0.5,
            "max_temperature": 0,
            "tools": True,
            "fallbacks": True,
            "timeout": 0.2,
            "max_mb": 5,
            "max_entries": 10,
            "max_entry_kb": 7,
            "compress": False,
            "single_flight": False,
            "prefix": "team-a",
            "groups": {"fast": {"enabled": False, "ttl": 5}},
        }
    )
    assert config.url == "sqlite:/base/answers.db"
    rules = CacheRules(ttl=60, stale_if_error=0.5, max_temperature=0, tools=True, fallbacks=True)
    assert config.rules == rules
    assert (config.scope, config.timeout, config.max_mb) == ("global", 0.2, 5)
    assert (config.max_entries, config.max_entry_kb, config.prefix) == (10, 7, "team-a")
    assert (config.compress, config.single_flight) == (False, False)
    fast = config.rules_for("fast")
    assert (fast.enabled, fast.ttl, fast.tools) == (False, 5, True)
    assert config.rules_for("other") == config.rules_for(None) == rules


@pytest.mark.parametrize(
    ("cache", "param"),
    [
        ({"url": "postgres://x"}, "cache.url"),
        ({"url": "sqlite:"}, "cache.url"),
        ({"url": "sqlite::memory:"}, "cache.url"),
        ({"url": "redis:"}, "cache.url"),
        ({"url": "memory:x"}, "cache.url"),
        ({"url": "env:NOT_SET"}, "cache.url"),
        ({"ttl": 0}, "cache.ttl"),
        ({"ttl": "1h"}, "cache.ttl"),
        ({"scope": "agent"}, "cache.scope"),
        ({"max_temperature": 2.5}, "cache.max_temperature"),
        ({"stale_if_error": -1}, "cache.stale_if_error"),
        ({"tools": "yes"}, "cache.tools"),
        ({"timeout": 0}, "cache.timeout"),
        ({"max_entry_kb": 0}, "cache.max_entry_kb"),
        ({"prefix": "a{b}"}, "cache.prefix"),
        ({"enabled": True}, "cache.enabled"),
        ({"tll": 5}, "cache.tll"),
        ({"groups": {"fats": {"ttl": 5}}}, "cache.groups.fats"),
        ({"groups": {"fast": {"url": "memory:"}}}, "cache.groups.fast.url"),
        ({"url": "redis://x", "max_mb": 5}, "cache.max_mb"),
    ],
)
def test_what_is_wrong_is_named(cache: dict[str, Any], param: str) -> None:
    assert fault(cache)[0] == param


def test_a_wrong_name_gets_a_hint() -> None:
    assert "did you mean 'fast'?" in fault({"groups": {"fats": {}}})[1]
    assert "did you mean 'ttl'?" in fault({"tll": 5})[1]


@pytest.mark.parametrize(
    "url",
    [
        f"redis://me:{PASSWORD}@cache/0",
        f"rediss://:{PASSWORD}@c",
        f"redis://c?password={PASSWORD}",
        f"redis://c/0?passwor%64={PASSWORD}",
    ],
)
def test_a_password_in_the_url_is_warned_of_and_never_shown(url: str) -> None:
    config, problems = read({"url": url})
    assert "itself stands in the configuration" in problems.warnings[0]
    assert config is not None
    assert config.url == url
    shown = f"{config!r} {show_cache(config)} {problems.warnings}"
    assert PASSWORD not in shown


def test_a_url_may_come_from_the_environment() -> None:
    config, problems = read({"url": "env:CACHE_URL"}, CACHE_URL=f"redis://:{PASSWORD}@cache/0")
    assert config is not None
    assert config.url.endswith("@cache/0")
    assert not problems.warnings
    param, message = fault({"url": "env:CACHE_URL"}, CACHE_URL=f"mysql://:{PASSWORD}@cache/0")
    assert param == "cache.url"
    assert PASSWORD not in message


def test_it_is_shown_as_it_was_written() -> None:
    shown = show_cache(good({"ttl": 60, "groups": {"fast": {"tools": True}}}))
    assert shown is not None
    assert (shown["ttl"], shown["groups"]) == (60, {"fast": {"tools": True}})
