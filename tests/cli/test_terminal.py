"""The command on a real terminal: conversations, Ctrl-C, colours, tables that fit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from switchgear.testing import Answer, Fault, SimulatedProviders
from tests.cli.terminal import CTRL_C, CTRL_D, Terminal

Configured = Callable[..., Path]
Environ = Mapping[str, str]

# Development mode and warnings as errors: unclosed sockets and forgotten coroutines show up.
_STRICTLY = ("-X", "dev", "-W", "error", "-c")
STRICT = (sys.executable, *_STRICTLY, "from switchgear.cli import main; main()")
_NOISE = ("Traceback", "Unclosed", "never awaited", "ResourceWarning", "Exception ignored")


def assert_clean(terminal: Terminal) -> None:
    assert not [noise for noise in _NOISE if noise in terminal.screen]


def test_a_conversation_remembers_and_ends_with_ctrl_d(
    configured: Configured,
    simulated_providers: SimulatedProviders,
    tmp_path: Path,
    environ: Environ,
) -> None:
    configured()
    with Terminal("chat", "-m", "fast-response", folder=tmp_path, environ=environ) as terminal:
        terminal.wait_for_prompt(1)
        terminal.press("My name is Ada.\n")
        terminal.wait_for("You said: My name is Ada.")
        terminal.wait_for_prompt(2)
        terminal.press("\nWho am I?\n")
        terminal.wait_for("You said: Who am I?")
        terminal.wait_for_prompt(4)
        terminal.press(CTRL_D)
        assert terminal.end() == 0
        assert_clean(terminal)
    asked = [
        message["role"] for message in simulated_providers.openai.last_request.body["messages"]
    ]
    assert asked == ["user", "assistant", "user"]


def test_a_line_can_be_called_back(
    configured: Configured, tmp_path: Path, environ: Environ
) -> None:
    pytest.importorskip("readline")
    configured()
    with Terminal("chat", "-m", "fast-response", folder=tmp_path, environ=environ) as terminal:
        terminal.wait_for_prompt(1)
        terminal.press("again\n")
        terminal.wait_for("You said: again")
        terminal.wait_for_prompt(2)
        terminal.press("\x1b[A\n")  # the arrow up
        terminal.wait_for("You said: again", times=2)
        terminal.wait_for_prompt(3)
        terminal.press(CTRL_D)
        assert terminal.end() == 0


def test_a_failed_turn_does_not_end_the_conversation_and_is_not_part_of_it(
    configured: Configured,
    simulated_providers: SimulatedProviders,
    tmp_path: Path,
    environ: Environ,
) -> None:
    configured("[retry]", "num_retries = 0")
    simulated_providers.openai.script(Fault.server_error())
    with Terminal("chat", "-m", "fast-response", folder=tmp_path, environ=environ) as terminal:
        terminal.wait_for_prompt(1)
        terminal.press("first\n")
        terminal.wait_for("error: ")
        terminal.wait_for_prompt(2)
        terminal.press("second\n")
        terminal.wait_for("You said: second")
        terminal.wait_for_prompt(3)
        terminal.press(CTRL_D)
        assert terminal.end() == 0
    assert len(simulated_providers.openai.last_request.body["messages"]) == 1


def test_ctrl_c_stops_an_answer_but_not_the_conversation(
    configured: Configured,
    simulated_providers: SimulatedProviders,
    tmp_path: Path,
    environ: Environ,
) -> None:
    configured()
    answer = Answer(text="one two three")
    simulated_providers.openai.script(Fault.stall(after_chunks=2, answer=answer))
    with Terminal("chat", "-m", "fast-response", folder=tmp_path, environ=environ) as terminal:
        terminal.wait_for_prompt(1)
        terminal.press("go\n")
        terminal.wait_for("one two")
        terminal.press(CTRL_C)
        terminal.wait_for("stopped")
        terminal.wait_for_prompt(2)
        simulated_providers.wait_for_disconnect()
        terminal.press("still there?\n")
        terminal.wait_for("You said: still there?")
        terminal.wait_for_prompt(3)
        terminal.press("half a line")
        terminal.wait_for("half a line")
        assert terminal.end_by_ctrl_c() == 130
        assert_clean(terminal)


@pytest.mark.parametrize("streamed", [True, False])
def test_ctrl_c_in_mid_answer_closes_the_connection_and_is_130(
    configured: Configured,
    simulated_providers: SimulatedProviders,
    tmp_path: Path,
    *,
    environ: Environ,
    streamed: bool,
) -> None:
    configured()
    answer = Answer(text="one two three")
    stall = Fault.stall(after_chunks=2, answer=answer) if streamed else Fault.stall()
    simulated_providers.anthropic.script(stall)
    arguments = ("chat", "hi") if streamed else ("chat", "--no-stream", "hi")
    with Terminal(*arguments, folder=tmp_path, environ=environ, command=STRICT) as terminal:
        simulated_providers.wait_for_requests(1, timeout=30)
        if streamed:
            terminal.wait_for("one two")
        terminal.press(CTRL_C)
        assert terminal.end() == 130
        simulated_providers.wait_for_disconnect()
        assert terminal.screen.splitlines()[-1] == "error: interrupted"
        assert_clean(terminal)


def test_the_prompt_does_not_go_where_the_answers_are_piped(
    configured: Configured, tmp_path: Path, environ: Environ
) -> None:
    configured()
    with Terminal(
        *("chat", "-m", "fast-response"), folder=tmp_path, environ=environ, piped_output=True
    ) as terminal:
        terminal.wait_for_prompt(1)
        terminal.press("hello\n")
        terminal.wait_for_prompt(2)
        terminal.press(CTRL_D)
        assert terminal.end() == 0
        assert terminal.process.stdout is not None
        assert terminal.process.stdout.read() == b"You said: hello\n"


def test_json_and_a_conversation_do_not_go_together(
    configured: Configured, tmp_path: Path, environ: Environ
) -> None:
    configured()
    with Terminal("chat", "--json", folder=tmp_path, environ=environ) as terminal:
        assert terminal.end() == 2
        assert "--json answers one question" in terminal.screen


def test_a_model_can_not_command_the_terminal(
    configured: Configured,
    simulated_providers: SimulatedProviders,
    tmp_path: Path,
    environ: Environ,
) -> None:
    configured()
    simulated_providers.anthropic.script(Answer(text="\x1b]0;mine now\x07\x1b[2Jtext"))
    with Terminal("chat", "hi", folder=tmp_path, environ=environ) as terminal:
        assert terminal.end() == 0
        assert "\x1b]0;" not in terminal.raw
        assert "\x1b[2J" not in terminal.raw
        assert "mine now" in terminal.screen


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    "arguments",
    [("chat", "--show-trace", "hi"), ("models",), ("config", "show"), ("providers",)],
    ids=lambda arguments: arguments[0],
)
def test_tables_fit_the_terminal(
    configured: Configured,
    simulated_providers: SimulatedProviders,
    tmp_path: Path,
    *,
    environ: Environ,
    arguments: tuple[str, ...],
    columns: int,
) -> None:
    configured("[retry]", "num_retries = 1", "backoff_base = 0.01")
    simulated_providers.anthropic.always(Fault.overloaded())
    with Terminal(*arguments, folder=tmp_path, environ=environ, columns=columns) as terminal:
        assert terminal.end() == 0
        lines = terminal.screen.splitlines()
    assert max(map(len, lines)) <= columns
    assert any("─────" in line for line in lines)
    if arguments[0] in {"chat", "models"}:
        # Names stay whole, to be read and copied.
        assert "anthropic/claude-3-5-sonnet-20241022 " in terminal.screen


@pytest.mark.parametrize(
    ("more", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["xterm", "NO_COLOR", "dumb"],
)
def test_colours_are_for_terminals_that_want_them(
    configured: Configured,
    simulated_providers: SimulatedProviders,
    tmp_path: Path,
    *,
    environ: Environ,
    more: dict[str, str],
    coloured: bool,
) -> None:
    configured("[retry]", "num_retries = 0")
    simulated_providers.openai.always(Fault.server_error())
    arguments = ("chat", "-m", "fast-response", "--show-trace", "hi")
    with Terminal(*arguments, folder=tmp_path, environ={**environ, **more}) as terminal:
        assert terminal.end() == 1
        colours = [code for code in ("\x1b[31m", "\x1b[91m") if code in terminal.raw]
        assert bool(colours) == coloured
