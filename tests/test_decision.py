"""The decision record as a table, for logs and for terminals."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from switchgear import Step, Trace

CLAUDE = "anthropic/claude-3-5-sonnet-20241022"
TRACE = Trace(
    "high-reasoning",
    (
        Step(CLAUDE, "failed", "anthropic: 529: Overloaded", duration=0.022, status=529),
        Step(CLAUDE, "failed", "anthropic: 529: Overloaded", 0.5, 0.004, waited=0.49, repeat=1),
        Step("openai/gpt-4-turbo", "skipped", "it can't see images", started=0.51),
        Step(
            "ollama/llama3",
            "answered",
            started=0.51,
            duration=1.5,
            time_to_first_token=0.4,
            input_tokens=1133,
            output_tokens=22,
            cost=Decimal("0.00123450"),
        ),
    ),
)


def rendered(trace: Trace, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(trace)
    return file.getvalue().splitlines()


def test_as_text_a_step_is_a_line_with_its_reason_last() -> None:
    heading, *steps = str(TRACE).splitlines()
    assert heading.split() == [
        "#",
        "candidate",
        "outcome",
        "at",
        "took",
        "first",
        "token",
        "tokens",
        "cost",
        "why",
    ]
    assert len(steps) == 4
    assert steps[0].endswith("anthropic: 529: Overloaded")
    assert steps[1].endswith("anthropic: 529: Overloaded (waited 490 ms)")
    assert steps[2].endswith("it can't see images")
    assert "1133 → 22" in steps[3]
    assert steps[3].endswith("$0.0012345")


@pytest.mark.parametrize("width", [80, 100, 120])
def test_on_a_terminal_names_and_numbers_stay_whole(width: int) -> None:
    lines = rendered(TRACE, width)
    assert max(map(len, lines)) <= width
    assert any(line.startswith(f"1  {CLAUDE} ") and " 22 ms" in line for line in lines)
    assert any("1133 → 22" in line and "$0.0012345" in line for line in lines)
    assert any(line.strip() == "first token after 400 ms" for line in lines)


def test_a_skipped_step_took_no_time() -> None:
    (skipped,) = (line for line in str(TRACE).splitlines() if "skipped" in line)
    assert skipped.split()[2:5] == ["skipped", "510", "ms"]
    assert skipped.count(" ms") == 1


@pytest.mark.parametrize("hostile", ["two\nlines", "a\x1b[31mcolour", "\x1b]0;title\x07", "a\rb"])
def test_what_a_vendor_says_stays_in_its_cell(hostile: str) -> None:
    trace = Trace("g", (Step("a/b", "failed", hostile),))
    assert len(str(trace).splitlines()) == 2
    shown = str(trace) + "".join(rendered(trace, 80))
    assert not {"\x1b", "\x07", "\r"} & set(shown)


def test_a_free_answer_costs_nothing_and_an_unknown_cost_is_not_shown() -> None:
    free = Trace("g", (Step("a/b", "answered", cost=Decimal("0E-12")),))
    assert str(free).endswith("$0")
    assert "$" not in str(Trace("g", (Step("a/b", "answered"),)))
