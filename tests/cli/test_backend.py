"""What the command says of a configuration whose providers LiteLLM serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

Configured = Callable[..., Path]

LINES = (
    "[backend]",
    'default = "litellm"',
    "[providers.spare]",
    'plugin = "anthropic"',
    'api_key = "env:SIMULATED"',
    'transport = "httpx"',
    'thinking_display = "omitted"',
)


@pytest.fixture
def switched(configured: Configured) -> Path:
    return configured(*LINES)


def test_options_without_effect_are_warned_about(cli: Cli, switched: Path) -> None:
    result = cli("config", "check", str(switched))
    assert result.code == 0
    assert "warning: providers.spare.transport: has no effect with LiteLLM" in result.out
    assert "warning: providers.spare.thinking_display: has no effect" in result.out


def test_a_mistake_in_a_table_is_found_by_the_plugin_that_owns_it(
    cli: Cli, configured: Configured
) -> None:
    configured(*LINES, "colour = 3")
    result = cli("config", "check")
    assert result.code == 3
    assert "providers.spare.colour: unknown key" in result.err


def test_who_serves_is_shown(cli: Cli, switched: Path) -> None:
    shown = cli("config", "show", str(switched), "--json").json
    assert shown["backend"] == {"default": "litellm"}
    assert shown["providers"]["spare"]["backend"] == "litellm"
    assert 'default = "litellm"' in cli("config", "show", str(switched)).out


def test_doctor_says_it_too(cli: Cli, switched: Path) -> None:
    result = cli("doctor", "--offline", "--config", str(switched))
    assert "providers.spare.transport: has no effect with LiteLLM" in result.out
    assert "anthropic, litellm " in result.out
