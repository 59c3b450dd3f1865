"""The sections about money: what they mean, and what is said where they are wrong."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from switchgear import ConfigError, Router
from switchgear.config import BudgetRule, Config, LedgerConfig, check
from tests.config.helpers import chain, everything_shown, faults, load, the_fault

PASSWORD = "hunter2-do-not-show"
SERVER = f"postgresql://books:{PASSWORD}@db.internal/switchgear"
GROUP = chain("ollama/m")


def budget(**changes: Any) -> dict[str, Any]:
    return {"scope": "global", "usd": 20, "period": "day", **changes}


def with_budget(**changes: Any) -> dict[str, Any]:
    return {**GROUP, "budgets": [budget(**changes)]}


def only(mapping: dict[str, Any]) -> BudgetRule:
    [rule] = load(mapping).budgets
    return rule


# -- [[budgets]] -----------------------------------------------------------------------------


def test_a_budget_is_hard_in_utc_and_told_at_most_of_it_unless_it_says_otherwise() -> None:
    rule = only(with_budget())
    assert rule.hard
    assert (rule.timezone, rule.thresholds, rule.downgrade) == ("UTC", (0.8, 1.0), None)


def test_everything_a_budget_can_say(tmp_path: Path) -> None:
    file = tmp_path / "switchgear.toml"
    file.write_text(
        """
        [groups.dear]
        chain = ["ollama/a"]
        [groups.cheap]
        chain = ["ollama/b"]
        [[budgets]]
        scope = "tag:team=red"
        usd = 0.1
        period = "week"
        timezone = "Europe/Berlin"
        enforcement = "soft"
        thresholds = [0.25, 0.5, 1]
        downgrade = { at = 0.8, groups = { dear = "cheap" } }
        """
    )
    [rule] = Config.from_file(file).budgets
    assert rule.usd == Decimal("0.1")  # as it is written, never by way of a float
    assert (rule.kind, rule.value) == ("tag:team", "red")
    assert (rule.period, rule.timezone, rule.hard) == ("week", "Europe/Berlin", False)
    assert rule.thresholds == (0.25, 0.5, 1.0)
    assert rule.downgrade is not None
    assert (rule.downgrade.at, dict(rule.downgrade.groups)) == (0.8, {"dear": "cheap"})


def test_a_float_of_a_mapping_is_the_number_that_was_written() -> None:
    assert only(with_budget(usd=0.1)).usd == Decimal("0.1")


@pytest.mark.parametrize(
    ("scope", "kind", "value"),
    [
        ("global", "global", ""),
        ("project:*", "project", "*"),
        ("agent-type:QA Engineer", "agent-type", "QA Engineer"),
        ("model:openai/gpt-4o-mini", "model", "openai/gpt-4o-mini"),
        ("model:ollama/llama3:8b", "model", "ollama/llama3:8b"),
        ("tag:team=*", "tag:team", "*"),
        ("tag:path=a=b", "tag:path", "a=b"),
    ],
)
def test_whose_spending_a_scope_is_about(scope: str, kind: str, value: str) -> None:
    rule = only(with_budget(scope=scope))
    assert (rule.kind, rule.value) == (kind, value)


@pytest.mark.parametrize(
    ("key", "value", "way_out"),
    [
        ("scope", "project", '"project:NAME", or "project:*" for each'),
        ("scope", "global:x", "global has no value"),
        ("scope", "team:x", "must begin with one of global, project, agent"),
        ("scope", "tag:team", '"tag:team=red", or "tag:team=*"'),
        ("scope", "project:team-*", "must stand alone"),
        ("scope", "model:openai/*", "must stand alone"),
        ("scope", "model:gpt-4o-mini", "model:PROVIDER/MODEL"),
        ("usd", -1, "from 0 to 1000000000"),
        ("usd", 2_000_000_000, "from 0 to 1000000000"),
        ("usd", 1e-13, "finer than"),
        ("usd", "20", "such as 20 or 0.5"),
        ("usd", True, "such as 20 or 0.5"),
        ("period", "fortnight", 'must be one of "hour", "day", "week", "month", "run", "ever"'),
        ("enforcement", "medium", 'must be one of "hard", "soft"'),
        ("timezone", "Mars/Olympus", "Europe/Berlin"),
        ("timezone", "../../etc/passwd", "Europe/Berlin"),
        ("thresholds", [0.9, 0.5], "ascending"),
        ("thresholds", [0.5, 1.5], "up to 1"),
        ("thresholds", [0], "above 0"),
        ("thresholds", 0.8, "a list of parts"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_place_with_the_way_out(
    key: str, value: Any, way_out: str
) -> None:
    place, message = the_fault(with_budget(**{key: value}))
    assert place == f"budgets[0].{key}"
    assert way_out in message


@pytest.mark.parametrize(
    ("downgrade", "place", "way_out"),
    [
        ({"at": 1, "groups": {"g": "g"}}, "at", "below 1"),
        ({"at": 0, "groups": {"g": "g"}}, "at", "above 0"),
        ({"groups": {"g": "g"}}, "at", "is missing"),
        ({"at": 0.5}, "groups", "is missing"),
        ({"at": 0.5, "groups": {"g": "nope"}}, "groups.g", "there are: g"),
        ({"at": 0.5, "groups": {"nope": "g"}}, "groups.nope", "there are: g"),
        ({"at": 0.5, "groups": {"g": "g"}, "when": 1}, "when", "known: at, groups"),
    ],
)
def test_a_senseless_downgrade_is_refused(
    downgrade: dict[str, Any], place: str, way_out: str
) -> None:
    found, message = the_fault(with_budget(downgrade=downgrade))
    assert found == f"budgets[0].downgrade.{place}"
    assert way_out in message


@pytest.mark.parametrize("scope", ["provider:ollama", "model:ollama/m", "key:ollama"])
def test_a_group_is_not_exchanged_by_what_it_has_not_chosen_yet(scope: str) -> None:
    place, message = the_fault(
        with_budget(scope=scope, downgrade={"at": 0.5, "groups": {"g": "g"}})
    )
    assert place == "budgets[0].downgrade"
    assert "not known yet" in message


@pytest.mark.parametrize("key", ["scope", "usd", "period"])
def test_what_a_budget_must_say(key: str) -> None:
    table = budget()
    del table[key]
    assert the_fault({**GROUP, "budgets": [table]})[0] == f"budgets[0].{key}"


def test_every_mistake_is_told_at_once_with_the_number_of_its_budget() -> None:
    wrong = [budget(usd=-1), budget(), budget(period="never"), budget(limit=5)]
    found = faults({**GROUP, "budgets": wrong})
    assert set(found) == {"budgets[0].usd", "budgets[2].period", "budgets[3].limit"}
    assert "known: downgrade, enforcement, period" in found["budgets[3].limit"]


@pytest.mark.parametrize("wrong", [{"scope": "global"}, [5], "global"])
def test_budgets_are_a_list_of_tables(wrong: Any) -> None:
    place, message = the_fault({**GROUP, "budgets": wrong})
    assert place == "budgets"
    assert "[[budgets]]" in message


def test_a_budget_in_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "switchgear.toml"
    file.write_text('[[budgets]]\nscope = "global"\nusd = 5\nperiod = "fortnight"\n')
    with pytest.raises(ConfigError, match=r"switchgear\.toml:4.*budgets\[0\]\.period"):
        Config.from_file(file)


# -- [ledger] --------------------------------------------------------------------------------


def ledger(**table: Any) -> dict[str, Any]:
    return {**GROUP, "ledger": table}


def test_a_ledger_that_was_asked_for_must_be_written_and_the_usual_one_need_not() -> None:
    assert not load(GROUP).ledger.fails
    assert load(ledger(url="memory:")).ledger.fails
    assert not load(ledger(url="memory:", on_error="serve")).ledger.fails
    assert load(ledger(on_error="fail")).ledger.fails


def test_paths_are_those_of_the_files_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file = tmp_path / "switchgear.toml"
    for written, expected in (
        ("books/l.db", tmp_path / "books/l.db"),
        ("/srv/l.db", Path("/srv/l.db")),
        ("~/l.db", tmp_path / "home/l.db"),
    ):
        file.write_text(f'[ledger]\nurl = "sqlite:{written}"\njournal = "{written}.journal"\n')
        found = Config.from_file(file).ledger
        assert found.url == f"sqlite:{expected}"
        assert found.journal == f"{expected}.journal"


@pytest.mark.parametrize(
    ("table", "place", "way_out"),
    [
        ({"url": "mysql://h/db"}, "url", "sqlite:PATH"),
        ({"url": "ledger.sqlite3"}, "url", "sqlite:PATH"),
        ({"url": "sqlite:"}, "url", "with the path of a file"),
        ({"url": "sqlite::memory:"}, "url", 'write "memory:"'),
        ({"url": 5}, "url", "must be a string"),
        ({"url": "env:NOT_THERE"}, "url", "environment variable NOT_THERE is not set"),
        ({"url": "file:/no/such/file"}, "url", "there is no file"),
        ({"on_error": "ignore"}, "on_error", 'must be one of "fail", "serve"'),
        ({"journal_mb": 1}, "journal_mb", "from 16"),
        ({"path": "x"}, "path", "known: journal, journal_mb, on_error, url"),
    ],
)
def test_a_senseless_ledger_is_refused(table: dict[str, Any], place: str, way_out: str) -> None:
    found, message = the_fault(ledger(**table))
    assert found == f"ledger.{place}"
    assert way_out in message


def test_a_url_may_stand_in_the_environment_or_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text(f"{SERVER}\n")
    by_variable = load(ledger(url="env:BOOKS_URL"), BOOKS_URL=SERVER)
    by_file = load(ledger(url=f"file:{secret}"))
    assert by_variable.ledger.url == by_file.ledger.url == SERVER
    assert by_variable.warnings == by_file.warnings == ()


def test_a_password_in_the_configuration_itself_is_warned_of() -> None:
    [warning] = load(ledger(url=SERVER)).warnings
    assert warning.startswith("ledger.url: the password itself")
    assert '"env:NAME"' in warning
    assert PASSWORD not in warning
    assert load(ledger(url="postgresql://books@db.internal/x")).warnings == ()


@pytest.mark.parametrize(
    "url",
    [
        SERVER,
        f"postgres://books:{PASSWORD}@h:5432/db?sslmode=require",
        f"postgresql://h/db?user=u&password={PASSWORD}&application_name=x",
        f"postgresql://h/db?sslpassword={PASSWORD}",
        f"postgresql://h/db?oauth_client_secret={PASSWORD}",
        f"postgresql://h/db?passwor%64={PASSWORD}",
        f"postgresql://:{PASSWORD}@h/db",
        f"postgresql://u:/{PASSWORD}@h/db",
        f"postgresql://u:a@{PASSWORD}@h/db",
        f"postgresql://u:a:{PASSWORD}@[::1]:5432/db",
        f"postgresql://u:{PASSWORD}@[broken/db",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    config = load(ledger(url="env:BOOKS_URL"), BOOKS_URL=url)
    shown = [everything_shown(config), repr(config.ledger), str(config.ledger)]
    shown += [config.ledger.shown_url, json.dumps(config.redacted())]
    assert not any(PASSWORD in text for text in shown)
    assert "***" in config.ledger.shown_url
    assert PASSWORD in config.ledger.url
    assert pickle.loads(pickle.dumps(config.ledger)) == config.ledger


@pytest.mark.parametrize("scheme", ["mysql", "postgres-typo", ""])
def test_a_password_in_a_url_that_is_refused_is_not_in_the_error(scheme: str) -> None:
    url = f"{scheme}://books:{PASSWORD}@h/db"
    hide(url)


@pytest.mark.parametrize("url", ["postgresql:u:{}@h", "host=h user=u password={}"])
def test_a_url_of_no_form_that_is_known_is_refused_without_showing_it(url: str) -> None:
    hide(url.format(PASSWORD))


def hide(url: str) -> None:
    for table, environ in (({"url": url}, {}), ({"url": "env:BOOKS_URL"}, {"BOOKS_URL": url})):
        assert PASSWORD not in str(faults(ledger(**table), **environ))


def test_what_can_be_seen_of_a_url_without_a_password_is_all_of_it() -> None:
    for url in ("memory:", "sqlite:/srv/l.db", "postgresql://u@h:5432/db?sslmode=require"):
        assert LedgerConfig(url=url).shown_url == url


# -- [pricing] -------------------------------------------------------------------------------


def test_prices_come_from_a_file_and_in_place_the_latter_over_the_former(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text('[ours.models."m"]\nprices = { input = 1, output = 2 }\n')
    file = tmp_path / "switchgear.toml"
    file.write_text(
        '[pricing]\nfile = "ours.toml"\n[pricing.prices.ours.models."n"]\n'
        "prices = { input = 0.1, output = 3 }\n"
    )
    pricing = Config.from_file(file).pricing
    assert [list(table["ours"]["models"]) for table in pricing.tables] == [["m"], ["n"]]
    assert pricing.tables[1]["ours"]["models"]["n"]["prices"]["input"] == Decimal("0.1")
    assert pricing.unpriced == "warn"


@pytest.mark.parametrize(
    ("table", "place", "way_out"),
    [
        ({"file": "/no/such/prices.toml"}, "file", "there is no file '/no/such/prices.toml'"),
        ({"file": 5}, "file", "must be a string"),
        ({"prices": 5}, "prices", "must be a table"),
        ({"unpriced": "zero"}, "unpriced", 'must be one of "warn", "refuse"'),
        ({"unprized": "warn"}, "unprized", "unpriced"),
    ],
)
def test_senseless_prices_are_refused(table: dict[str, Any], place: str, way_out: str) -> None:
    found, message = the_fault({**GROUP, "pricing": table})
    assert found == f"pricing.{place}"
    assert way_out in message


def test_a_file_of_prices_that_is_no_toml_is_refused_by_its_place(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text("[ours\n")
    place, message = the_fault({**GROUP, "pricing": {"file": str(file)}})
    assert place == "pricing.file"
    assert "prices.toml" in message


@pytest.mark.parametrize(
    "prices",
    [
        {"ours": {"models": {"m": {"prices": {"input": "x", "output": 1}}}}},
        {"ours": {"models": {"m": {"prices": {"input": -1, "output": 1}}}}},
        {"ours": {"models": {"m": {"prices": {"input": 1}}}}},
        {"ours": {"models": {"m": {"price": {"input": 1, "output": 1}}}}},
        {"ours": 5},
    ],
)
def test_a_price_that_is_none_is_found_when_the_router_is_made(prices: dict[str, Any]) -> None:
    config = load({**GROUP, "pricing": {"prices": prices}})
    with pytest.raises(ConfigError) as wrong:
        Router(config)
    assert wrong.value.param is not None
    assert "ours" in str(wrong.value)


def test_a_budget_for_a_provider_that_there_is_not_is_found() -> None:
    config = Config.from_dict(
        {"budgets": [{"scope": "provider:anthropc", "usd": 1, "period": "day"}]}
    )
    assert any("never counts" in str(finding) for finding in check(config))
