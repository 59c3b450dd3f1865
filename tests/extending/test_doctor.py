"""What ``switchgear doctor`` says of plugins of other packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from switchgear.cli.checkup import Case, Result
from switchgear.cli.checkup.configuration import extensions, price_tables
from switchgear.cli.checkup.database import look_at_ledger
from switchgear.clock import SystemClock
from switchgear.config import Config
from tests.extending.packages import Install

SECRET = "sesame-1234"
SOURCE = """
from switchgear.accounting.ledger import LedgerStoreSettings, sqlite_store

class Hook:
    def __init__(self, settings): ...
    def on_settle(self, details): ...

def prices(settings):
    raise RuntimeError("closed today: " + settings.options["token"])

def ledger(settings):
    return sqlite_store(LedgerStoreSettings(url="sqlite:" + settings.rest))
"""


@pytest.fixture(autouse=True)
def acme(install: Install) -> None:
    install(
        {
            "switchgear.hooks": {"loud": "acme_doctor:Hook", "gone": "acme_nowhere:x"},
            "switchgear.price_sources": {"acme": "acme_doctor:prices"},
            "switchgear.ledger_stores": {"acme": "acme_doctor:ledger"},
        },
        {"acme_doctor.py": SOURCE},
    )


def case_of(offline: bool = False, **sections: Any) -> Case:
    environ = {"ACME_TOKEN": SECRET}
    config = Config.from_dict(sections, environ=environ)
    return Case(config, environ=environ, clock=SystemClock(), offline=offline)


def levels(results: list[Result]) -> list[str]:
    return [each.level for each in results]


def test_a_hook_that_can_not_be_had_is_an_error() -> None:
    results = list(extensions(case_of(hooks={"loud": {}, "gone": {}})))
    assert sorted(levels(results)) == ["error", "ok"]
    [broken] = [each for each in results if each.level == "error"]
    assert "'gone' (acme-switchgear 1.0) can't be loaded" in broken.what
    assert broken.remedy


def test_price_sources_are_asked_unless_nothing_outside_is() -> None:
    sections: dict[str, Any] = {"pricing": {"sources": {"acme": {"token": "env:ACME_TOKEN"}}}}
    case = case_of(**sections)
    [failed] = price_tables(case)
    assert failed.level == "error"
    assert "closed today" in failed.what
    assert SECRET not in case.redacted(failed.what)
    [skipped] = price_tables(case_of(offline=True, **sections))
    assert (skipped.level, skipped.why) == ("note", "--offline")


def test_a_ledger_of_another_package_is_opened(tmp_path: Path) -> None:
    look = look_at_ledger(case_of(ledger={"url": f"acme:{tmp_path / 'l.db'}"}))
    assert look.readable
    assert levels([*look.results]) == ["ok"]
    look = look_at_ledger(case_of(ledger={"url": f"acme:{tmp_path}"}))
    assert levels([*look.results]) == ["error"]
