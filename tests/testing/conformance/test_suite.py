"""The two faces of the suite: a test class for pytest, and results without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from switchgear.providers import openai_compatible
from switchgear.testing import SimulatedProviders
from switchgear.testing.conformance import (
    CHECKS,
    Conformance,
    Subject,
    failures,
    listing,
    matrix,
    report,
    rows,
    run,
    summary,
)

THIRD_PARTY = """
from switchgear.completion import Usage
from switchgear.errors import ProviderError
from switchgear.messages import Text
from switchgear.providers.openai_compatible import create
from switchgear.testing.conformance import Conformance, Subject


def spoiled(settings):
    provider = create(settings)
    provider.capabilities = lambda model: None
    return provider


class TestHealthy(Conformance):
    def subject(self, simulated):
        return Subject(factory=create, model="m", endpoint=simulated.compatible, name="mine",
                       lacks={"retry_after": "it never says when"})


class TestBroken(Conformance):
    def subject(self, simulated):
        return Subject(factory=spoiled, model="m", endpoint=simulated.compatible, name="mine")
"""


def subject(simulated: SimulatedProviders) -> Subject:
    return Subject(
        factory=openai_compatible.create, model="m", endpoint=simulated.compatible, name="mine"
    )


def test_somebody_elses_tests_need_nothing_but_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(THIRD_PARTY)
    options = ["-p", "switchgear.testing.pytest_plugin", "-rfs", "-W", "error"]
    chosen = ["-k", "c01 or c03 or c18 or c35 or c42"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *chosen, "test_mine.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "FAILED test_mine.py::TestBroken::test_c01_protocol" in said, said
    assert "check 1, It is a provider" in said
    assert "can't: m declares no images" in said
    assert "can't: it never says when" in said
    assert "TestHealthy::test_c03" not in said
    assert "2 skipped" in said or "3 skipped" in said


def test_there_is_a_test_for_each_check() -> None:
    tests = {name for name in vars(Conformance) if name.startswith("test_")}
    assert tests == {f"test_c{check.number:02}_{check.name}" for check in CHECKS}
    assert all(vars(Conformance)[name].__doc__ for name in tests)


def test_a_class_has_to_say_what_it_is_about(simulated_providers: SimulatedProviders) -> None:
    with pytest.raises(NotImplementedError):
        Conformance().subject(simulated_providers)


def test_numbers_are_unique_and_without_gaps() -> None:
    assert [check.number for check in CHECKS] == list(range(1, len(CHECKS) + 1))
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert listing().count("\n") == len(CHECKS) - 1


async def test_results_for_people_and_for_scripts(simulated_providers: SimulatedProviders) -> None:
    tested = subject(simulated_providers)
    good = await run(tested, only=(1, "images", "text_round_trip"))
    assert [each.verdict for each in good] == ["yes", "yes", "can't"]
    assert not failures(good)
    assert summary(good) == "2 yes, 0 no, 1 can't, 0 not tried"
    shown = report(good)
    assert "m declares no images" in shown
    assert rows(good)[0] == {
        "number": 1,
        "check": "protocol",
        "title": "It is a provider",
        "verdict": "yes",
        "detail": "",
    }
    lines = matrix({"mine": good}).splitlines()
    assert lines[0] == "| | check | mine |"
    assert "| 1 | It is a provider | yes |" in lines
    assert "| 35 | Images | – |" in lines
    assert msgspec.json.encode(rows(good))


async def test_without_an_endpoint_what_needs_one_is_not_tried() -> None:
    alone = Subject(
        factory=openai_compatible.create,
        model="m",
        endpoint="in-process",
        base_url="http://127.0.0.1:1",
    )
    results = await run(alone, only=("cut_stream", "wrong_key", "made_without_io"))
    assert [(each.verdict, each.detail) for each in results] == [
        ("yes", ""),
        ("not tried", "needs a simulated endpoint"),
        ("not tried", "needs an endpoint"),
    ]


def test_the_published_list_is_the_one_in_the_documents() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "providers.md").read_text()
    rows = [
        f"| {check.number} | `{check.name}` | {' '.join(check.guarantee.split())} |"
        for check in CHECKS
    ]
    assert [line for line in text.splitlines() if line[:3].strip("| ").isdigit()] == rows
    numbers = [check.number for check in CHECKS]
    assert numbers == sorted(set(numbers))
