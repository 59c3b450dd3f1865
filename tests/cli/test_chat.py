"""``switchgear chat``, one question: the answer alone on standard output, all else beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from switchgear.testing import Answer, Fault, SimulatedProviders
from tests.cli.conftest import Cli

Configured = Callable[..., Path]


def test_the_answer_streams_to_standard_output_and_nothing_else_does(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    simulated_providers.anthropic.script(Answer(text="Raft is\nsimpler."))
    result = cli("chat", "Compare", "Raft and Paxos.")
    assert result == (0, "Raft is\nsimpler.\n", "")
    request = simulated_providers.anthropic.last_request
    assert request.stream
    (message,) = request.body["messages"]
    assert message["content"] == [{"type": "text", "text": "Compare Raft and Paxos."}]


def test_an_answer_that_ends_its_line_gets_no_second_line_end(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    simulated_providers.anthropic.script(Answer(text="done\n"))
    assert cli("chat", "hi").out == "done\n"


def test_without_streaming_the_answer_is_the_same(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    simulated_providers.anthropic.script(Answer(text="Whole."))
    assert cli("chat", "--no-stream", "hi") == (0, "Whole.\n", "")
    assert not simulated_providers.anthropic.last_request.stream


def test_the_options_reach_the_provider(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    options = ("--max-tokens", "7", "--temperature", "0.5", "--system", "Be brief.")
    assert cli("chat", "-m", "openai/gpt-4o-mini", *options, "hi").code == 0
    body = simulated_providers.openai.last_request.body
    assert body["messages"][0]["content"] == "Be brief."
    assert body["temperature"] == 0.5
    assert 7 in (body.get("max_tokens"), body.get("max_completion_tokens"))


def test_standard_input_is_the_question(cli: Cli, configured: Configured) -> None:
    configured()
    result = cli("chat", "-m", "openai/gpt-4o-mini", stdin=b"\xef\xbb\xbfWhat is this?\n")
    assert result == (0, "You said: What is this?\n", "")


def test_the_prompt_stands_before_standard_input(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    assert cli("chat", "-m", "fast-response", "Review this:", stdin=b"+ x = 1\n").code == 0
    asked = simulated_providers.openai.last_request.body["messages"][-1]["content"]
    assert asked == "Review this:\n\n+ x = 1"


def test_the_trace_goes_to_standard_error(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    simulated_providers.anthropic.always(Fault.rate_limit(retry_after=30))
    result = cli("chat", "--show-trace", "hi")
    assert result.out == "You said: hi\n"
    heading, first, second = result.err.splitlines()
    assert heading.split()[:3] == ["#", "candidate", "outcome"]
    assert first.split()[:3] == ["1", "anthropic/claude-3-5-sonnet-20241022", "failed"]
    assert second.split()[:3] == ["2", "openai/gpt-4-turbo", "answered"]


def test_the_trace_of_a_failure_is_shown_too(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    simulated_providers.openai.always(Fault.insufficient_quota())
    result = cli("chat", "-m", "fast-response", "--show-trace", "hi")
    assert result.code == 1
    assert "1  openai/gpt-4o-mini  failed" in result.err
    assert "--show-trace" not in result.err


def test_json_is_the_whole_reply(cli: Cli, configured: Configured) -> None:
    configured()
    result = cli("chat", "-m", "fast-response", "--json", "hi")
    reply = result.json
    assert reply["object"] == "chat.completion"
    assert reply["choices"][0]["message"]["content"] == "You said: hi"
    ours = reply["switchgear"]
    assert (ours["provider"], ours["group"]) == ("openai", "fast-response")
    assert ours["latency"] > 0
    assert [step["outcome"] for step in ours["trace"]["steps"]] == ["answered"]
    # Money is never a float, not in JSON either.
    assert isinstance(ours["cost"], str)


def test_what_was_changed_on_the_way_is_warned_of(cli: Cli, configured: Configured) -> None:
    configured()
    result = cli("chat", "-m", "openai/no-such-price", "hi")
    assert result.code == 0
    assert result.err.startswith("warning: cost: unknown")
    assert result.err.count("\n") == 1


def test_an_answer_cut_at_its_limit_says_so(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    simulated_providers.anthropic.script(Answer(text="And then", stop_reason="length"))
    result = cli("chat", "hi")
    assert result.out == "And then\n"
    assert "--max-tokens" in result.err


def test_a_broken_stream_ends_its_line_and_fails(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    answer = Answer(text="one two three four")
    simulated_providers.anthropic.script(Fault.cut(after_chunks=2, answer=answer))
    result = cli("chat", "hi")
    assert result.code == 1
    assert result.out.rstrip(" \n") == "one two"
    assert result.out.endswith("\n")
    assert result.err.startswith("error: the stream broke after its first token")
    assert result.err.count("\n") == 1


def test_a_call_that_takes_too_long_ends_in_time(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    simulated_providers.anthropic.always(Fault.stall())
    simulated_providers.openai.always(Fault.stall())
    result = cli("chat", "--timeout", "0.3", "hi")
    assert result.code == 1
    assert result.err.splitlines() == [
        "error: the call's timeout of 0.3 s is over",
        "hint: --timeout gives a call more time",
    ]


@pytest.mark.parametrize("stdin", [b"", b" \n\t\n"])
def test_nothing_asked_is_a_mistake(cli: Cli, configured: Configured, stdin: bytes) -> None:
    configured()
    result = cli("chat", stdin=stdin)
    assert result.code == 2
    assert result.err.startswith("error: nothing was asked")


def test_bytes_that_are_no_text_are_a_mistake(cli: Cli, configured: Configured) -> None:
    configured()
    result = cli("chat", stdin=b"fine\nca\xff\xfe")
    assert result.code == 2
    assert "not UTF-8 text (byte 0xff in line 2)" in result.err


@pytest.mark.parametrize("arguments", [("\udcff",), ("--system", "\udcff", "hi")])
def test_arguments_that_are_no_text_are_a_mistake(
    cli: Cli, configured: Configured, arguments: tuple[str, ...]
) -> None:
    configured()
    result = cli("chat", *arguments)
    assert result.code == 2
    assert "not valid UTF-8 text" in result.err


def test_a_prompt_that_fits_no_window_is_told_in_one_line(cli: Cli, configured: Configured) -> None:
    configured()
    result = cli("chat", "-m", "fast-response", stdin=b"word " * 1_000_000)
    assert result.code == 2
    assert "window" in result.err
    assert len(result.err) < 400


def test_an_unknown_model_is_told_before_standard_input_is_read(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    configured()
    result = cli("chat", "-m", "fast-respones", stdin=b"\xff")
    assert result.code == 2
    assert "did you mean 'fast-response'?" in result.err
    assert simulated_providers.requests == []


def test_a_model_by_name_needs_no_configuration(
    cli: Cli, simulated_providers: SimulatedProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    monkeypatch.setenv("OPENAI_BASE_URL", simulated_providers.openai.base_url)
    result = cli("chat", "-m", "openai/gpt-4o-mini", "hi")
    assert result == (0, "You said: hi\n", "")


def test_a_missing_key_names_its_variable(cli: Cli) -> None:
    result = cli("chat", "-m", "openai/gpt-4o-mini", "hi")
    assert result.code == 3
    assert "OPENAI_API_KEY" in result.err
    assert result.err.count("\n") == 1


def test_nothing_configured_says_what_to_do(cli: Cli) -> None:
    result = cli("chat", "hi")
    assert result.code == 3
    error, hint = result.err.splitlines()
    assert error == "error: no provider is configured"
    assert "ANTHROPIC_API_KEY" in hint
    assert "embedded/smollm2-135m" in hint


def test_the_librarys_own_log_becomes_warnings_for_the_time_of_the_command(
    cli: Cli, configured: Configured, simulated_providers: SimulatedProviders
) -> None:
    path = configured()
    path.write_text(path.read_text().replace("env:SIMULATED", "literal-secret"))
    before = list(logging.getLogger("switchgear").handlers)
    result = cli("chat", "hi")
    assert result.code == 0
    assert result.err.count("warning:") == 2
    assert "literal-secret" not in result.err
    assert logging.getLogger("switchgear").handlers == before


def test_a_ledger_that_can_not_book_is_told_after_the_answer(
    cli: Cli, configured: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured()
    (tmp_path / "folder.db").mkdir()
    monkeypatch.setenv("SWITCHGEAR_LEDGER", f"sqlite:{tmp_path / 'folder.db'}")
    result = cli("chat", "-m", "fast-response", "hi")
    assert result.code == 0  # the user's own ledger serves and warns
    assert result.out.strip()
    assert "waits in the journal until it can be booked" in result.err
    assert str(tmp_path / "folder.db") in result.err
    assert all(line.startswith("warning: ") for line in result.err.splitlines())
