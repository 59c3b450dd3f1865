from __future__ import annotations

from typing import Any

import pytest

from benchmarks.suite.results import Found, Row, judge, row
from benchmarks.suite.scenarios import IMPORT, MEMORY, SCENARIOS, Scenario, Target, small
from benchmarks.suite.statistics import figure
from benchmarks.suite.subjects import SUBJECTS
from benchmarks.suite.table import show

OURS = Target("switchgear", 0.35, "openai-sdk")
SCENARIO = Scenario("some", "Some calls", "openai", yardstick="openai-sdk", targets=(OURS,))


def measured(subject: str, *cpu: float, p99: float = 1.0) -> Row:
    return Row(
        subject=subject,
        title=SUBJECTS[subject].title,
        version="1.2.3",
        cpu_us=figure(cpu),
        wall_us=figure(cpu),
        p99_ms=p99,
        p99_rounds_ms=figure([p99] * len(cpu)),
        memory_mb=figure([50.0]),
    )


def found(scenario: Scenario, rows: list[Row], **others: Any) -> Found:
    return Found(
        scenario=scenario.name,
        title=scenario.title,
        yardstick=scenario.yardstick,
        rows=rows,
        verdicts=judge(scenario, rows),
        **others,
    )


def test_a_row_sums_up_rounds_a_call() -> None:
    rounds = [
        {"cpu": 0.2, "wall": 0.4, "latencies": [1000, 2000], "firsts": [500, 700]},
        {"cpu": 0.4, "wall": 0.8, "latencies": [3000, 4000], "firsts": [600, 800]},
    ]
    made = row("switchgear", "0.1", rounds, calls=2, memory=42e6)
    assert made.cpu_us == figure([1e5, 2e5])
    assert made.wall_us == figure([2e5, 4e5])
    assert (made.p50_ms, made.p95_ms, made.p99_ms) == (2, 4, 4)
    assert made.p99_rounds_ms == figure([2, 4])
    assert (made.first_p50_ms, made.first_p99_ms) == (0.6, 0.8)
    assert made.memory_mb == figure([42])


def test_what_has_no_first_token_has_no_time_to_it() -> None:
    rounds = [{"cpu": 0.2, "wall": 0.4, "latencies": [1000], "firsts": []}]
    assert row("switchgear", "0.1", rounds, calls=1, memory=1).first_p50_ms is None


@pytest.mark.parametrize(("ours", "met"), [(350.0, True), (351.0, False)])
def test_a_ratio_is_held_against_its_target(ours: float, met: bool) -> None:
    (verdict,) = judge(SCENARIO, [measured("switchgear", ours), measured("openai-sdk", 1000.0)])
    assert (verdict.unit, verdict.met) == ("×", met)


def test_a_target_needs_both_sides_to_be_measured() -> None:
    assert judge(SCENARIO, [measured("switchgear", 1.0)]) == []
    assert judge(SCENARIO, [measured("openai-sdk", 1.0)]) == []


def test_an_absolute_target_needs_nobody_else() -> None:
    alone = SCENARIO._replace(targets=(Target("switchgear", 80),))
    (verdict,) = judge(alone, [measured("switchgear", 79.0, 81.0, 70.0)])
    assert (verdict.found.median, verdict.unit, verdict.met) == (79, "µs", True)


def test_the_tail_has_targets_of_its_own() -> None:
    tail = SCENARIO._replace(targets=(Target("switchgear", 1, "openai-sdk", "p99"),))
    rows = [measured("switchgear", 1.0, p99=30), measured("openai-sdk", 9.0, p99=20)]
    (verdict,) = judge(tail, rows)
    assert (verdict.found.median, verdict.met) == (1.5, False)


def test_what_an_import_costs_is_what_it_adds() -> None:
    def program(name: str, cpu: float, memory: float) -> Row:
        return Row(
            subject=name,
            title=name,
            version="",
            cpu_us=figure([cpu]),
            memory_mb=figure([memory]),
        )

    cpu, memory = judge(IMPORT, [program("python", 20_000, 11), program("switchgear", 79_000, 42)])
    assert (cpu.found.median, cpu.unit, cpu.met) == (59_000, "µs", True)
    assert (memory.found.median, memory.unit, memory.met) == (31, "MB", False)


def test_the_table_shows_figures_ratio_target_and_whether_it_is_met() -> None:
    rows = [measured("switchgear", 300.0, 310.0, 320.0), measured("openai-sdk", 1000.0, 1000, 1000)]
    text = show(found(SCENARIO, rows, left_out={"litellm": "it is not there"}))
    ours = next(line for line in text.splitlines() if line.strip().startswith("Switchgear 1.2.3"))
    assert ours.split()[2:5] == ["310", "305–315", "0.31"]
    assert "Switchgear: CPU of OpenAI SDK's ≤ 0.35 ×: 0.31 (0.30–0.32) yes" in text
    assert "LiteLLM Router: left out, it is not there" in text


def test_the_table_says_no_where_a_target_is_missed() -> None:
    text = show(found(SCENARIO, [measured("switchgear", 900.0), measured("openai-sdk", 1000.0)]))
    assert text.splitlines()[-1].endswith("0.90 (0.90–0.90) NO")


def test_everybody_who_can_takes_part_and_peers_only_when_asked() -> None:
    scenario = next(each for each in SCENARIOS if each.name == "openai-64")
    here, all_of_them = scenario.subjects(peers=False), scenario.subjects(peers=True)
    assert {"switchgear", "switchgear-direct", "openai-sdk", "transport"} <= {*here}
    assert {*all_of_them} - {*here} == {"litellm", "any-llm", "tensorzero"}
    assert "anthropic-sdk" not in all_of_them


def test_targets_name_subjects_that_take_part() -> None:
    for scenario in SCENARIOS:
        if scenario.operation:
            there = {*scenario.subjects(peers=True)}
            assert {each.subject for each in scenario.targets} <= there
            assert {each.against for each in scenario.targets} <= there | {""}
            assert {scenario.yardstick} <= there | {""}


def test_in_small_nothing_takes_long() -> None:
    for each in map(small, SCENARIOS):
        assert each.calls * each.settle == 0
        assert each.calls <= 4
        assert each.in_flight <= 4
    assert small(MEMORY).name == MEMORY.name
