"""The suite runs, small: nothing here says how long anything may take."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.suite.picture import draw
from benchmarks.suite.processes import ROOT, Child, ChildError, Subjects, environment, upstream
from benchmarks.suite.results import Results
from benchmarks.suite.scenarios import SCENARIOS
from benchmarks.suite.subjects import UnavailableError

# One worker runs all of these, else each of a parallel run would run the suite.
pytestmark = [pytest.mark.xdist_group("benchmarks"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, dict[str, Any]]:
    """Table, progress and JSON of everything in small."""
    file = tmp_path_factory.mktemp("bench") / "found.json"
    names = "openai-64,openai-stream,own,import,memory"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--small", "--only", names, "--json", str(file)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr, json.loads(file.read_text())


def test_it_measures_every_subject_of_every_scenario(run: tuple[str, str, dict[str, Any]]) -> None:
    _, _, found = run
    by_name = {each["scenario"]: each for each in found["scenarios"]}
    subjects = {name: {row["subject"] for row in each["rows"]} for name, each in by_name.items()}
    for scenario in SCENARIOS:
        if scenario.operation and scenario.name in subjects:
            assert subjects[scenario.name] == {*scenario.subjects(peers=False)}
    assert subjects["import"] == {"python", "switchgear", "router"}
    assert subjects["memory"] == {"switchgear", "switchgear-direct"}
    assert all(not each["left_out"] for each in by_name.values())
    assert {each["subject"] for each in by_name["openai-64"]["verdicts"]} == {
        "switchgear",
        "switchgear-direct",
    }


def test_every_row_has_its_figures(run: tuple[str, str, dict[str, Any]]) -> None:
    _, _, found = run
    for scenario in found["scenarios"]:
        if scenario["scenario"] == "memory":
            assert all(len(row["memory_trail"]) == 21 for row in scenario["rows"])
            continue
        for row in scenario["rows"]:
            assert row["cpu_us"]["low"] <= row["cpu_us"]["median"] <= row["cpu_us"]["high"]
            assert row["memory_mb"]["median"] > 1
            if scenario["scenario"] != "import":
                assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
            streamed = scenario["scenario"].endswith("-stream")
            assert (row["first_p50_ms"] is not None) == streamed


def test_it_shows_tables_and_where_it_is(run: tuple[str, str, dict[str, Any]]) -> None:
    table, progress, found = run
    for scenario in found["scenarios"]:
        assert scenario["title"] in table
        assert scenario["title"] in progress


def test_what_is_saved_can_be_read_and_drawn(run: tuple[str, str, dict[str, Any]]) -> None:
    import msgspec

    results = msgspec.convert(run[2], Results)
    assert {"completions.svg", "streams.svg", "memory.svg"} <= set(draw(results))


def test_importing_loads_no_sdk() -> None:
    from benchmarks.import_time import PROGRAMS, once

    for program in PROGRAMS.values():
        assert once(program).sdks == ()


def test_interrupted_it_leaves_nothing(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "--only", "own", "--rounds", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert running.stderr is not None
    assert "own share" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "stopped" in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_peer_without_its_environment_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmarks.suite.processes.ROOT", tmp_path)
    with pytest.raises(UnavailableError, match=r"\.venv-bench-tensorzero .*`make bench-peers`"):
        Subjects("http://127.0.0.1:1", tmp_path, "asyncio")["tensorzero"]


def test_a_process_that_dies_is_told_with_what_it_said() -> None:
    command = [sys.executable, "-c", "input(); raise SystemExit('no more of this')"]
    with pytest.raises(ChildError, match=r"a child ended with 1:\nno more of this"):
        with Child(command, "a child") as child:
            child.ask(do="something")


def test_a_subject_whose_calls_fail_is_told(tmp_path: Path) -> None:
    with upstream() as url, Subjects(f"{url}/nowhere", tmp_path, "asyncio") as subjects:
        with pytest.raises(ChildError, match=r"aiohttp and msgspec failed:[\s\S]*Traceback"):
            subjects["transport"].ask(
                do="round", operation="openai", prefix="", calls=1, in_flight=1, settle=0
            )


def test_subjects_hear_of_no_keys_and_no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    assert not {"OPENAI_API_KEY", "HTTPS_PROXY"} & environment().keys()
    assert environment()["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--only", "nothing"], "no scenario nothing"), (["--rounds", "0"], "at least 1")],
)
def test_a_wrong_option_is_told(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert said in capsys.readouterr().err


def test_the_list_measures_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {each.name} " in listed for each in SCENARIOS)
    assert "python -m benchmarks.ledger" in listed
