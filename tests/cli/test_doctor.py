"""``switchgear doctor``: what is wrong with a set-up, and what to do; without spending a cent."""

from __future__ import annotations

import datetime as dt
import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from switchgear.testing import Fault, SimulatedProviders
from tests.cli.booked import book, hours_ago
from tests.cli.conftest import Cli, Result
from tests.cli.terminal import Terminal

Configured = Callable[..., Path]
Environ = Mapping[str, str]

SECRET = "sk-simulated-9f8e7d6c5b4a"
GENERATING = {"chat", "messages", "responses", "embeddings"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATED", SECRET)
    for name in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def healthy(tmp_path: Path, simulated_providers: SimulatedProviders) -> Configured:
    """Two vendors and a chain over both, with nothing to complain of; more lines if given."""
    simulated_providers.anthropic.configure(models={"claude-opus-5-5", "claude-haiku-5-5"})
    simulated_providers.openai.configure(models={"gpt-6-luna", "gpt-5.4"})

    def write(*lines: str, chain: str = '"anthropic/claude-opus-5-5", "openai/gpt-5.4"') -> Path:
        path = tmp_path / "switchgear.toml"
        text = (
            "[providers.anthropic]",
            'api_key = "env:SIMULATED"',
            f'base_url = "{simulated_providers.anthropic.base_url}"',
            "[providers.openai]",
            'api_key = "env:SIMULATED"',
            f'base_url = "{simulated_providers.openai.base_url}"',
            "[groups.main]",
            'use = "Everything"',
            f"chain = [{chain}]",
            *lines,
        )
        path.write_text("\n".join(text))
        return path

    return write


def of(result: Result, *levels: str, section: str | None = None) -> list[str]:
    """What is said at these levels, each as one text."""
    return [
        " | ".join(filter(None, (each["what"], each["why"], each["remedy"])))
        for each in result.json["results"]
        if each["level"] in levels and section in {None, each["section"]}
    ]


def one(result: Result, *words: str) -> dict[str, Any]:
    """The one result that has all these words."""
    fitting = [each for each in result.json["results"] if all(w in str(each) for w in words)]
    assert len(fitting) == 1, result.json["results"]
    found: dict[str, Any] = fitting[0]
    return found


def test_what_is_right_says_so_and_ends_well(cli: Cli, healthy: Configured) -> None:
    healthy()
    result = cli("doctor", "--json")
    assert result.code == 0
    assert result.json["ok"]
    assert result.json["counts"]["error"] == 0
    assert "answers in " in one(result, "providers", "anthropic (")["what"]
    assert "key from env:SIMULATED" in one(result, "providers", "anthropic (")["why"]
    assert one(result, "main: ")["what"] == "main: anthropic/claude-opus-5-5 → openai/gpt-5.4"
    assert "$4.00 in, $20.00 out" in one(result, "models", "claude-opus-5-5", "ok")["what"]


def test_every_section_has_its_say(cli: Cli, healthy: Configured) -> None:
    healthy()
    sections = dict.fromkeys(each["section"] for each in cli("doctor", "--json").json["results"])
    assert list(sections) == [
        *("configuration", "providers", "models", "groups", "limits"),
        *("budgets", "ledger", "shared", "installation"),
    ]


def test_it_costs_nothing(
    cli: Cli, healthy: Configured, simulated_providers: SimulatedProviders
) -> None:
    healthy()
    cli("doctor")
    asked = [
        request
        for each in (simulated_providers.anthropic, simulated_providers.openai)
        for request in each
    ]
    assert asked
    assert {request.method for request in asked} <= {"GET", "HEAD"}
    assert not {request.endpoint for request in asked} & GENERATING


def test_offline_asks_nobody(
    cli: Cli, healthy: Configured, simulated_providers: SimulatedProviders
) -> None:
    healthy()
    result = cli("doctor", "--offline", "--json")
    assert result.code == 0
    assert not simulated_providers.anthropic.requests
    assert not simulated_providers.openai.requests
    assert "not asked" in one(result, "providers", "openai (")["what"]


@pytest.mark.parametrize("form", ["", "--json"])
def test_no_credential_is_ever_shown(
    cli: Cli,
    healthy: Configured,
    simulated_providers: SimulatedProviders,
    form: str,
    tmp_path: Path,
) -> None:
    # The vendor repeats the key that it refuses; a file and a URL hold others.
    simulated_providers.openai.script(
        *[Fault.authentication(message=f"Incorrect API key provided: {SECRET}")] * 2,
        endpoint="models",
    )
    (tmp_path / "key").write_text("hidden-in-a-file-0123")
    healthy(
        *("[providers.more]", 'plugin = "openai-compatible"', 'api_key = "file:key"'),
        f'base_url = "{simulated_providers.compatible.base_url}"',
        *("[ledger]", 'url = "postgresql://me:hunter2-hunter2@127.0.0.1:1/db"'),
    )
    result = cli("doctor", *filter(None, [form]))
    for secret in (SECRET, "hidden-in-a-file", "hunter2"):
        assert secret not in result.out + result.err
    assert "refuses the key" in result.out


def test_a_configuration_that_does_not_load_hides_nothing_else(
    cli: Cli, healthy: Configured
) -> None:
    healthy("[retry]", "num_retries = -1", "[agents]", '"QA Engineer" = "fast"')
    result = cli("doctor", "--json")
    assert result.code == 3
    errors = of(result, "error")
    assert len(errors) == 2
    assert any("num_retries" in each for each in errors)
    assert any("QA Engineer" in each for each in errors)
    assert of(result, "ok", section="installation")
    assert result.json["source"] is None


@pytest.mark.parametrize("text", ["[groups", "\0", "groups = 3", 'ledger = "x"'])
def test_whatever_stands_in_the_file_there_is_a_report(cli: Cli, tmp_path: Path, text: str) -> None:
    (tmp_path / "switchgear.toml").write_text(text)
    result = cli("doctor", "--json")
    assert result.code == 3
    assert of(result, "error", section="configuration")
    assert of(result, "ok", section="installation")


def test_a_file_that_is_not_there(cli: Cli) -> None:
    result = cli("doctor", "--config", "nowhere.toml", "--json")
    assert result.code == 3
    assert "nowhere.toml" in of(result, "error")[0]


def test_nothing_configured_says_how_to_begin(cli: Cli) -> None:
    result = cli("doctor", "--json")
    assert result.code == 3
    (found,) = of(result, "error")
    assert "ANTHROPIC_API_KEY" in found
    assert "embedded/smollm2-135m" in found


def test_a_refused_key_is_an_error_with_its_place(
    cli: Cli, healthy: Configured, simulated_providers: SimulatedProviders
) -> None:
    simulated_providers.anthropic.configure(require_key="another")
    healthy()
    result = cli("doctor", "--json")
    assert result.code == 1
    found = one(result, "refuses the key")
    assert "[providers.anthropic]" in found["remedy"]
    assert "env:SIMULATED" in found["remedy"]
    assert one(result, "nothing left to fail over to")["level"] == "warning"


def test_a_key_that_may_not_list_models_may_still_work(
    cli: Cli, healthy: Configured, simulated_providers: SimulatedProviders
) -> None:
    simulated_providers.openai.script(*[Fault.permission()] * 2, endpoint="models")
    healthy()
    result = cli("doctor", "--json")
    assert result.code == 0
    assert one(result, "may not list models")["level"] == "warning"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.insufficient_quota(), "out of credit"),
        (Fault.unavailable(), "in trouble"),
        (Fault.server_error(), "in trouble"),
        (Fault.bad_gateway(), "openai"),
        (Fault.garbage(), "openai"),
        (Fault.reset(), "openai"),
    ],
)
def test_a_provider_in_trouble_is_an_error(
    cli: Cli,
    healthy: Configured,
    simulated_providers: SimulatedProviders,
    fault: Any,
    words: str,
) -> None:
    simulated_providers.openai.script(*[fault] * 3, endpoint="models")
    healthy()
    result = cli("doctor", "--json")
    assert result.code == 1
    (found,) = of(result, "error", section="providers")
    assert words in found
    assert of(result, "ok", section="providers")


def test_a_server_that_is_not_there(
    cli: Cli, healthy: Configured, simulated_providers: SimulatedProviders
) -> None:
    healthy(
        *("[providers.vllm]", 'plugin = "openai-compatible"'),
        f'base_url = "{simulated_providers.compatible.refused_base_url}"',
        *("[providers.near]", 'plugin = "ollama"'),
        f'base_url = "{simulated_providers.ollama.refused_base_url}"',
        *("[groups.mine]", 'use = "x"', 'chain = ["vllm/qwen", "near/llama3"]'),
    )
    result = cli("doctor", "--json")
    assert result.code == 1
    assert "nothing listens there" in one(result, "vllm (", "can't be reached")["why"]
    assert "ollama serve" in one(result, "near (", "can't be reached")["remedy"]
    assert one(result, "mine can't be served")["level"] == "error"


def test_a_provider_that_nobody_uses_is_only_a_warning(
    cli: Cli, healthy: Configured, simulated_providers: SimulatedProviders
) -> None:
    healthy(
        *("[providers.spare]", 'plugin = "openai-compatible"'),
        f'base_url = "{simulated_providers.compatible.refused_base_url}"',
    )
    result = cli("doctor", "--json")
    assert result.code == 0
    assert one(result, "spare (", "can't be reached")["level"] == "warning"
    assert cli("doctor", "--strict").code == 1


def test_a_provider_that_never_answers_does_not_hold_it_up(
    cli: Cli, healthy: Configured, simulated_providers: SimulatedProviders
) -> None:
    simulated_providers.openai.script(*[Fault.stall()] * 3, endpoint="models")
    healthy()
    result = cli("doctor", "--timeout", "1", "--json")
    assert result.code == 1
    assert "within 1 s" in of(result, "error", section="providers")[0]
    assert result.json["seconds"] < 20


def test_a_name_that_leads_nowhere(cli: Cli, healthy: Configured) -> None:
    healthy(
        *("[providers.far]", 'plugin = "openai-compatible"'),
        'base_url = "https://nobody.invalid/v1"',
        *("[groups.far]", 'use = "x"', 'chain = ["far/x", "openai/gpt-5.4"]'),
    )
    found = one(cli("doctor", "--json"), "far (", "can't be reached")
    assert "nobody.invalid" in found["why"]
    assert found["remedy"]


def test_a_model_that_is_not_there(cli: Cli, healthy: Configured) -> None:
    healthy(chain='"anthropic/claude-opus-55", "openai/gpt-5.4"')
    found = one(cli("doctor", "--json"), "claude-opus-55 is not there")
    assert found["level"] == "error"
    assert "did you mean anthropic/claude-opus-5-5?" in found["remedy"]


def test_other_names_of_a_model_that_is_there(
    cli: Cli, healthy: Configured, simulated_providers: SimulatedProviders
) -> None:
    simulated_providers.openai.configure(models={"gpt-5.4-2026-03-05"})
    simulated_providers.ollama.configure(models={"llama3.1:latest"})
    healthy(
        *("[providers.ollama]", f'base_url = "{simulated_providers.ollama.base_url}"'),
        chain='"anthropic/claude-opus-5-5", "openai/gpt-5.4", "ollama/llama3.1"',
    )
    assert not of(cli("doctor", "--json"), "error", section="models")


def test_a_model_that_has_to_be_pulled(
    cli: Cli, healthy: Configured, simulated_providers: SimulatedProviders
) -> None:
    simulated_providers.ollama.configure(models={"mistral:latest"})
    healthy(
        *("[providers.ollama]", f'base_url = "{simulated_providers.ollama.base_url}"'),
        chain='"anthropic/claude-opus-5-5", "ollama/llama3.1"',
    )
    found = one(cli("doctor", "--json"), "ollama/llama3.1 is not there")
    assert found["remedy"] == "ollama pull llama3.1"
    assert "mistral:latest" in found["why"]


def test_models_that_are_retired_or_will_be(cli: Cli, healthy: Configured, tmp_path: Path) -> None:
    soon = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=10)
    past = soon - dt.timedelta(days=20)
    (tmp_path / "prices.toml").write_text(
        f'anthropic.models."claude-opus-5-5".retires = {soon}\n'
        f'openai.models."gpt-5.4".retires = {past}\n'
    )
    healthy("[pricing]", 'file = "prices.toml"')
    result = cli("doctor", "--json", "--offline")
    assert "in 10 days" in one(result, f"claude-opus-5-5 retires on {soon}")["what"]
    assert one(result, f"gpt-5.4 was retired on {past}")["level"] == "error"
    # A gateway may have it still.
    listed = cli("doctor", "--json")
    assert one(listed, f"gpt-5.4 was retired on {past}")["level"] == "warning"


def test_a_model_without_a_price(cli: Cli, healthy: Configured) -> None:
    chain = '"anthropic/claude-opus-5-5", "openai/not-priced-yet"'
    healthy(chain=chain)
    result = cli("doctor", "--json", "--offline")
    assert one(result, "not-priced-yet has no price")["level"] == "warning"
    healthy("[pricing]", 'unpriced = "refuse"', chain=chain)
    result = cli("doctor", "--json", "--offline")
    assert one(result, "not-priced-yet has no price")["level"] == "error"


def test_an_answer_longer_than_the_model_can_give(cli: Cli, healthy: Configured) -> None:
    healthy("max_tokens = 200_000")
    result = cli("doctor", "--json", "--offline")
    assert all("is never taken" in each for each in of(result, "error", section="groups"))
    assert len(of(result, "error", section="groups")) == 2


def test_a_group_at_one_provider_only(cli: Cli, healthy: Configured) -> None:
    healthy(chain='"anthropic/claude-opus-5-5", "anthropic/claude-haiku-5-5"')
    found = one(cli("doctor", "--json"), "all its models are at anthropic")
    assert found["level"] == "warning"


def test_a_plugin_that_is_not_installed(cli: Cli, healthy: Configured) -> None:
    healthy("[providers.x]", 'plugin = "acme-llm"', "[providers.y]", 'plugin = "openai"', "q = 3")
    result = cli("doctor", "--json")
    assert result.code == 3
    errors = of(result, "error", section="configuration")
    assert any("'acme-llm' is installed" in each for each in errors)
    assert any("providers.y.q" in each for each in errors)
    assert one(result, "main: ")["level"] == "ok"


def test_a_credential_that_is_missing(cli: Cli, healthy: Configured) -> None:
    healthy("[providers.spare]", 'plugin = "openai"', 'api_key = "env:NOT_THERE_AT_ALL"')
    found = one(cli("doctor", "--json"), "spare (", "can't be used")
    assert "NOT_THERE_AT_ALL" in found["why"]


def test_a_key_file_that_others_can_read(cli: Cli, healthy: Configured, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(SECRET)
    text = healthy().read_text().replace("env:SIMULATED", "file:key", 1)
    (tmp_path / "switchgear.toml").write_text(text)
    path.chmod(0o644)
    assert one(cli("doctor", "--json"), "other users")["remedy"] == f"chmod 600 {path}"
    path.chmod(0o600)
    assert not [each for each in of(cli("doctor", "--json"), "warning") if "other users" in each]


def test_limits_that_nobody_falls_under(cli: Cli, healthy: Configured) -> None:
    healthy('[limits."antropic/*"]', "rpm = 50", '[limits."openai/*"]', "rpm = 60", "share = 0.5")
    result = cli("doctor", "--json", "--offline")
    assert one(result, "antropic/*")["level"] == "warning"
    assert "takes 50%" in one(result, "openai/*: rpm 60")["what"]
    assert "anthropic" in one(result, "no limits are set for")["what"]


def test_a_hard_budget_that_nothing_can_be_served_under(cli: Cli, healthy: Configured) -> None:
    healthy(
        *("[[budgets]]", 'scope = "project:*"', "usd = 0.0001", 'period = "day"'),
        *("[[budgets]]", 'scope = "global"', "usd = 1000", 'period = "month"'),
        *("[groups.new]", 'use = "x"', 'chain = ["openai/not-priced-yet"]'),
    )
    result = cli("doctor", "--json", "--offline")
    assert result.code == 1
    assert one(result, "group main can never be served")["what"].endswith(
        "under project:* per day, hard"
    )
    both = "under project:* per day and global per month, hard"
    assert one(result, "group new can never be served")["what"].endswith(both)
    assert "no price" in one(result, "not-priced-yet is always refused")["why"]


def test_a_hard_budget_with_little_room(cli: Cli, healthy: Configured) -> None:
    healthy(
        "[[budgets]]", 'scope = "global"', "usd = 1", 'period = "day"', chain='"openai/gpt-5.4"'
    )
    result = cli("doctor", "--json", "--offline")
    assert "at a time" in one(result, "has room for")["what"]
    healthy(
        *("max_tokens = 500", "[[budgets]]", 'scope = "global"', "usd = 1", 'period = "day"'),
        chain='"openai/gpt-5.4"',
    )
    assert "has room for" not in cli("doctor", "--json", "--offline").out


def test_a_soft_budget_refuses_nobody(cli: Cli, healthy: Configured) -> None:
    healthy(
        *("[[budgets]]", 'scope = "global"', "usd = 0.0001", 'period = "day"'),
        'enforcement = "soft"',
    )
    assert cli("doctor", "--offline").code == 0


def test_budgets_about_nothing(cli: Cli, healthy: Configured) -> None:
    healthy(
        *("[[budgets]]", 'scope = "provider:antropic"', "usd = 9", 'period = "day"'),
        *("[[budgets]]", 'scope = "provider:anthropic"', "usd = 9", 'period = "day"'),
    )
    result = cli("doctor", "--json", "--offline")
    assert "'antropic'" in one(result, "may never hold anything back")["why"]


def test_how_budgets_stand(cli: Cli, healthy: Configured, tmp_path: Path) -> None:
    url = book(
        tmp_path / "ledger.db",
        hours_ago(0, dollars="9", project_id="atlas"),
        hours_ago(0, dollars="30", project_id="done"),
    )
    healthy(
        *("[[budgets]]", 'scope = "project:*"', "usd = 10", 'period = "ever"'),
        *("[[budgets]]", 'scope = "global"', "usd = 1000", 'period = "ever"'),
        *("[ledger]", f'url = "{url}"'),
    )
    cli("budgets")  # from now on they are counted
    book(tmp_path / "ledger.db", hours_ago(0, dollars="0.01", project_id="atlas"))
    result = cli("doctor", "--json", "--offline")
    assert one(result, "global for ever", "$39.")["level"] == "ok"
    assert one(result, "ledger.db:")["level"] == "ok"


def test_a_budget_that_is_spent(cli: Cli, healthy: Configured, tmp_path: Path) -> None:
    url = book(tmp_path / "ledger.db", hours_ago(0, dollars="12"))
    healthy(
        *("[[budgets]]", 'scope = "global"', "usd = 10", 'period = "ever"'),
        *("[ledger]", f'url = "{url}"'),
    )
    result = cli("doctor", "--json", "--offline")
    assert result.code == 1
    found = one(result, "global for ever: $12.00 of $10.00 spent")
    assert "refused for good" in found["why"]


def test_hard_budgets_over_a_ledger_in_memory(cli: Cli, healthy: Configured) -> None:
    healthy(
        *("[[budgets]]", 'scope = "global"', "usd = 100", 'period = "day"'),
        *("[ledger]", 'url = "memory:"'),
    )
    result = cli("doctor", "--json", "--offline")
    assert one(result, "ledger", "in memory")["level"] == "warning"


def test_hard_budgets_that_a_fleet_shares_want_a_ledger_that_it_shares(
    cli: Cli, healthy: Configured
) -> None:
    budget = ("[[budgets]]", 'scope = "global"', "usd = 100", 'period = "day"')
    state = ("[state]", 'url = "redis://127.0.0.1:1"')
    healthy(*budget, *state, "[ledger]", 'url = "sqlite:ledger.db"')
    found = one(cli("doctor", "--json", "--offline"), "hard budgets are decided by redis://")
    assert found["level"] == "warning"
    assert "processes on other machines" in found["why"]
    healthy(*budget, *state, "[ledger]", 'url = "postgresql://u@db.internal/x"')
    found = one(cli("doctor", "--json", "--offline"), "hard budgets are decided by redis://")
    assert found["level"] == "ok"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"this is no database" * 100, "not a database"), (b"", "not used yet")],
)
def test_a_ledger_that_is_none(
    cli: Cli, healthy: Configured, tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "ledger.db").write_bytes(content)
    healthy("[ledger]", 'url = "sqlite:ledger.db"')
    assert words in " ".join(of(cli("doctor", "--json", "--offline"), "error", "note"))
    assert (tmp_path / "ledger.db").read_bytes() == content


def test_another_programs_database(cli: Cli, healthy: Configured, tmp_path: Path) -> None:
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    healthy("[ledger]", 'url = "sqlite:ledger.db"')
    result = cli("doctor", "--json", "--offline")
    assert "another program's" in one(result, "ledger.db can't be used")["why"]


def test_a_ledger_of_a_newer_version(cli: Cli, healthy: Configured, tmp_path: Path) -> None:
    import contextlib
    import sqlite3

    url = book(tmp_path / "ledger.db", hours_ago(0))
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("PRAGMA user_version = 999")
    healthy(
        *("[[budgets]]", 'scope = "global"', "usd = 100", 'period = "day"'),
        *("[ledger]", f'url = "{url}"'),
    )
    result = cli("doctor", "--json", "--offline")
    assert one(result, "newer Switchgear")["level"] == "error"
    assert "ledger not read" in one(result, "budgets", "global per day")["what"]


def test_a_ledger_in_a_folder_that_can_not_be_made(
    cli: Cli, healthy: Configured, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    healthy("[ledger]", 'url = "sqlite:file/ledger.db"')
    result = cli("doctor", "--json", "--offline")
    assert result.code == 1
    assert "not a folder" in one(result, "can't be made", "ledger.db ")["why"]


def test_looking_makes_no_ledger(cli: Cli, healthy: Configured, tmp_path: Path) -> None:
    healthy(
        *("[[budgets]]", 'scope = "global"', "usd = 100", 'period = "day"'),
        *("[ledger]", 'url = "sqlite:deep/ledger.db"'),
    )
    before = sorted(tmp_path.iterdir())
    assert "the first call makes it" in cli("doctor", "--offline").out
    assert sorted(tmp_path.iterdir()) == before


def test_a_server_of_the_ledger_that_is_not_there(cli: Cli, healthy: Configured) -> None:
    pytest.importorskip("psycopg")
    healthy("[ledger]", 'url = "postgresql://me:hunter2@127.0.0.1:1/db"')
    result = cli("doctor", "--json")
    assert result.code == 1
    assert "PostgreSQL on 127.0.0.1:1/db" in of(result, "error", section="ledger")[0]
    assert "hunter2" not in result.out


def test_variables_that_go_before_the_configuration(
    cli: Cli, healthy: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = healthy("[ledger]", 'url = "memory:"').read_text()
    other = tmp_path / "other.toml"
    lines = [line for line in text.splitlines() if not line.startswith("base_url")]
    other.write_text("\n".join(lines))
    monkeypatch.setenv("SWITCHGEAR_CONFIG", str(other))
    monkeypatch.setenv("OPENAI_BASE_URL", "https://user:pass-word@proxy.example/v1")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pass-word@10.0.0.1:3128")
    monkeypatch.setenv("SSL_CERT_FILE", "/not/there.pem")
    result = cli("doctor", "--json", "--offline")
    said = " ".join(of(result, "note", "warning", "error", section="configuration"))
    assert "./switchgear.toml is not read" in said
    assert "SWITCHGEAR_LEDGER has no effect" in said
    assert "to proxy.example" in said
    assert "through 10.0.0.1:3128" in said
    assert "/not/there.pem" in said
    assert "pass-word" not in result.out


def test_a_stolen_release_of_litellm(
    cli: Cli, healthy: Configured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "site" / "litellm-1.107.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: litellm\nVersion: 1.107.0\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    importlib.invalidate_caches()
    healthy()
    result = cli("doctor", "--json", "--offline")
    assert result.code == 1
    assert "replace every credential" in one(result, "litellm 1.107.0")["remedy"]


def test_an_embedded_model_without_its_file(cli: Cli, healthy: Configured) -> None:
    healthy(chain='"openai/gpt-5.4", "embedded//models/not-there.gguf"')
    result = cli("doctor", "--json", "--offline")
    assert "/models/not-there.gguf" in one(result, "there is no file")["what"]


def test_quiet_leaves_out_what_is_right(cli: Cli, healthy: Configured) -> None:
    healthy('[limits."antropic/*"]', "rpm = 50")
    lines = cli("doctor", "--offline", "--quiet").out.splitlines()
    assert not [line for line in lines if line.startswith("  ok ")]
    assert [line for line in lines if line.startswith("  warning  ")]
    assert " warning" in lines[-1]


def test_without_a_terminal_a_line_is_a_line(cli: Cli, healthy: Configured) -> None:
    healthy('[limits."antropic/*"]', "rpm = 50")
    result = cli("doctor", "--offline")
    assert "\x1b" not in result.out
    assert result.err == ""
    assert '  warning  limits."antropic/*" is about nothing that is configured\n' in result.out
    assert "           → the chains use anthropic, openai\n" in result.out


@pytest.mark.parametrize("plain", [True, False])
def test_it_fits_a_terminal(
    healthy: Configured, tmp_path: Path, environ: Environ, plain: bool
) -> None:
    healthy('[limits."antropic/*"]', "rpm = 50", chain='"openai/not-there", "openai/nor-this-one"')
    shown = {**environ, "SIMULATED": SECRET, **({"NO_COLOR": "1"} if plain else {})}
    with Terminal("doctor", folder=tmp_path, environ=shown) as terminal:
        assert terminal.end() == 1
        assert "Traceback" not in terminal.screen
        assert max(map(len, terminal.screen.splitlines())) <= 80
        assert ("\x1b[31m" in terminal.raw) is not plain


def test_it_ends_though_a_thread_hangs(
    healthy: Configured, tmp_path: Path, environ: Environ
) -> None:
    # A pipe that nobody writes into, where a journal is expected: reading it waits for ever.
    healthy("[ledger]", 'url = "sqlite:ledger.db"')
    (tmp_path / "ledger.db.journal").mkdir()
    os.mkfifo(tmp_path / "ledger.db.journal" / "1-dead.1.journal")
    arguments = ("doctor", "--offline", "--timeout", "0.5")
    with Terminal(*arguments, folder=tmp_path, environ=environ) as terminal:
        assert terminal.end() == 1
        assert "journal: not done within 1.5 s" in terminal.screen
        assert "installation" in terminal.screen


def test_ctrl_c_ends_it(
    healthy: Configured,
    simulated_providers: SimulatedProviders,
    tmp_path: Path,
    environ: Environ,
) -> None:
    simulated_providers.openai.script(*[Fault.stall()] * 3, endpoint="models")
    healthy()
    shown = {**environ, "SIMULATED": SECRET}
    with Terminal("doctor", "--timeout", "100", folder=tmp_path, environ=shown) as terminal:
        terminal.wait_for("configuration")
        assert terminal.end_by_ctrl_c() == 130
        assert "Traceback" not in terminal.screen
