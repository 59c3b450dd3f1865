"""The command as a process among others: pipes, closed streams, start-up, a tidy end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from switchgear.testing import Answer, Fault, SimulatedProviders
from tests.cli.terminal import COMMAND
from tests.cli.test_terminal import STRICT

Configured = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(tmp_path: Path, environ: Mapping[str, str]) -> Run:
    """A shell line in which "$@" is the command."""

    def run(
        line: str, *, command: tuple[str, ...] = COMMAND, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line, "bash", *command],
            check=False,
            capture_output=True,
            cwd=tmp_path,
            encoding="utf-8",
            env={**environ, **more},
            stdin=subprocess.DEVNULL,
            timeout=50,
        )

    return run


def test_a_reader_that_leaves_ends_the_command_without_a_word(
    configured: Configured, simulated_providers: SimulatedProviders, shell: Run
) -> None:
    configured()
    simulated_providers.anthropic.script(Fault.endless(0.01, answer=Answer(text="word\n" * 9)))
    done = shell('"$@" chat hi | head -1; exit ${PIPESTATUS[0]}', command=STRICT)
    assert (done.stdout, done.returncode) == ("word\n", 141)
    assert not [line for line in done.stderr.splitlines() if not line.startswith("Executing")]
    simulated_providers.wait_for_disconnect()


@pytest.mark.parametrize("arguments", ["models", "providers --json", "--help"])
def test_tables_and_help_end_as_quietly(configured: Configured, shell: Run, arguments: str) -> None:
    configured()
    done = shell(f'"$@" {arguments} | true; exit ${{PIPESTATUS[0]}}')
    # Little output may fit the pipe before its reader leaves.
    assert done.returncode in {0, 141}
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told(configured: Configured, shell: Run) -> None:
    configured()
    done = shell('"$@" models > /dev/full')
    assert done.returncode == 1
    assert done.stderr == "error: can't write the output: No space left on device\n"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('"$@" chat -m fast-response hi <&-', 0),
        ('"$@" chat -m fast-response hi >&-', 0),
        ('"$@" chat -m fast-response hi 2>&-', 0),
        ('"$@" chat -m nobody/x hi 2>&-', 2),
        ('"$@" chat <&-', 2),
    ],
)
def test_closed_streams_are_no_trouble(
    configured: Configured, shell: Run, line: str, code: int
) -> None:
    configured()
    done = shell(line)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_character_that_the_encoding_lacks_is_replaced(
    configured: Configured, simulated_providers: SimulatedProviders, shell: Run
) -> None:
    configured()
    simulated_providers.anthropic.script(Answer(text="naïve → 你好"))
    done = shell('"$@" chat hi', PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "na?ve ? ??\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("chat hi", 0),
        ("chat --no-stream hi", 0),
        ("chat --json -m fast-response hi", 0),
        ("chat -m away/x hi", 1),
        ("chat --timeout 0.5 -m slow/x hi", 1),
        ("chat -m nobody/x hi", 2),
        ("models openai", 0),
        ("models away", 1),
        ("config check", 0),
    ],
)
def test_every_end_is_tidy(
    configured: Configured,
    simulated_providers: SimulatedProviders,
    shell: Run,
    arguments: str,
    code: int,
) -> None:
    slow = simulated_providers.add("openai", name="slow")
    slow.always(Fault.stall(after_chunks=1, answer=Answer(text="one two")))
    configured(
        "[retry]",
        "num_retries = 1",
        "[providers.away]",
        'plugin = "openai-compatible"',
        'base_url = "http://127.0.0.1:1/v1"',
        "[providers.slow]",
        'plugin = "openai"',
        'api_key = "env:SIMULATED"',
        f'base_url = "{slow.base_url}"',
    )
    done = shell(f'"$@" {arguments}', command=STRICT)
    assert done.returncode == code
    said = ("error: ", "hint: ", "warning: ", "Executing <")
    # asyncio's remark about a slow step is about this machine, not about the command.
    assert not [line for line in done.stderr.splitlines() if not line.startswith(said)]


def test_help_loads_nothing_heavy(shell: Run) -> None:
    modules = ("asyncio", "aiohttp", "httpx", "anthropic", "openai", "ollama", "rich", "msgspec")
    program = (
        "import sys\n"
        "from switchgear.cli.app import run\n"
        "run(['chat', '--help'])\n"
        f"print([name for name in {modules} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert "Usage: switchgear chat" in done.stdout
    assert done.stderr == "[]\n"


def test_the_installed_command_is_this_one(shell: Run) -> None:
    script = Path(sys.executable).with_name("switchgear")
    if not script.exists():
        pytest.skip("switchgear is not installed here")
    done = shell('"$@" providers --json', command=(str(script),))
    assert done.returncode == 0
    assert any(plugin["name"] == "openai" for plugin in json.loads(done.stdout))
