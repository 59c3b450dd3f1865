"""The command inside this process: its arguments in, its exit code and what it wrote out."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from switchgear.cli.app import run
from switchgear.testing import SimulatedProviders
from tests.cli.terminal import CONFIGURING, environment


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cli(Protocol):
    def __call__(self, *arguments: str, stdin: bytes = b"") -> Result: ...


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs the command in an empty folder, in an environment that configures nothing."""
    monkeypatch.chdir(tmp_path)
    for name in CONFIGURING:
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run(arguments)
        return Result(code, *capsys.readouterr())

    return call


@pytest.fixture
def configured(tmp_path: Path, simulated_providers: SimulatedProviders) -> Callable[..., Path]:
    """Writes ``switchgear.toml``: both vendors simulated, two groups, and more lines if given."""

    def write(*lines: str) -> Path:
        path = tmp_path / "switchgear.toml"
        path.write_text(
            "\n".join(
                (
                    "[providers.anthropic]",
                    'api_key = "env:SIMULATED"',
                    f'base_url = "{simulated_providers.anthropic.base_url}"',
                    "[providers.openai]",
                    'api_key = "env:SIMULATED"',
                    f'base_url = "{simulated_providers.openai.base_url}"',
                    "[groups.high-reasoning]",
                    'use = "Complex analysis, architecture"',
                    'chain = ["anthropic/claude-3-5-sonnet-20241022", "openai/gpt-4-turbo"]',
                    "[groups.fast-response]",
                    'use = "Quick tasks"',
                    'chain = ["openai/gpt-4o-mini"]',
                    *lines,
                )
            )
        )
        return path

    return write


@pytest.fixture(autouse=True)
def _simulated_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATED", "any")


@pytest.fixture
def environ() -> dict[str, str]:
    """The environment of a process that the tests start."""
    return environment(SIMULATED="any")
