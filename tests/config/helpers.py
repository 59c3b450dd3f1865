"""What the tests of the configuration share."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchgear.config import Config, check
from switchgear.errors import ConfigError

KEY = "sk-do-not-show-me-4711"
KEYS = {"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY, "OPENAI_EU_API_KEY": KEY}


def load(mapping: Any, **environ: str) -> Config:
    return Config.from_dict(mapping, environ=environ)


def chain(*entries: Any, **settings: Any) -> dict[str, Any]:
    """A configuration with one group, "g"."""
    return {"groups": {"g": {"chain": list(entries), **settings}}}


def faults(mapping: Any, **environ: str) -> dict[str | None, str]:
    """What is wrong, by place."""
    with pytest.raises(ConfigError) as caught:
        load(mapping, **environ)
    return {error.param: str(error) for error in caught.value.errors}


def the_fault(mapping: Any, **environ: str) -> tuple[str | None, str]:
    [fault] = faults(mapping, **environ).items()
    return fault


def everything_shown(config: Config) -> str:
    """Every form in which a person may get to see a configuration."""
    shown = [repr(config), json.dumps(config.redacted()), *map(str, check(config))]
    return "\n".join([*shown, repr(config.providers), repr(config.groups)])
