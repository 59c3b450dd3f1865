"""What is measured, and which figure each subject should reach."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from .subjects import SUBJECTS

__all__ = ["IMPORT", "MEMORY", "SCENARIOS", "Measure", "Scenario", "Target", "small"]

Measure: TypeAlias = Literal["cpu", "p99", "memory"]


class Target(NamedTuple):
    """The most that a figure should be.

    Attributes:
        subject: Whose.
        at_most: A ratio where there is something to compare with; else microseconds of CPU time
            or megabytes.
        against: The subject whose figure of the same round it is a ratio of, or (memory, and CPU
            time of an import) that is taken off.
        measure: CPU time, or the 99th percentile of the latency, or memory.
    """

    subject: str
    at_most: float
    against: str = ""
    measure: Measure = "cpu"


class Scenario(NamedTuple):
    """One table of the results.

    Attributes:
        name: For `--only`.
        title: For people.
        operation: What is called; each subject that can takes part. Empty: nothing is called so.
        calls: In a round.
        in_flight: How many of them at once.
        prefix: Of the upstream's paths: how it answers.
        yardstick: The subject that all others are compared with.
        targets: What should hold.
        settle: Seconds that a round goes on after its last call.
    """

    name: str
    title: str
    operation: str
    calls: int = 1
    in_flight: int = 1
    prefix: str = ""
    yardstick: str = ""
    targets: tuple[Target, ...] = ()
    settle: float = 0.1

    def subjects(self, *, peers: bool) -> list[str]:
        """Who takes part."""
        return [
            name
            for name, each in SUBJECTS.items()
            if self.operation in each.operations and (peers or not each.environment)
        ]


_OURS = ("switchgear", "switchgear-direct")


def _both(at_most: float, against: str, measure: Measure = "cpu") -> tuple[Target, ...]:
    return tuple(Target(subject, at_most, against, measure) for subject in _OURS)


IMPORT = Scenario(
    name="import",
    title="`import` in a fresh process",
    operation="",
    yardstick="python",
    targets=(
        Target("switchgear", 60_000, "python"),
        Target("switchgear", 30, "python", "memory"),
    ),
)

MEMORY = Scenario(
    name="memory",
    title="Memory after 100,000 calls and 10,000 broken streams, against after 5,000 calls",
    operation="",
    targets=tuple(Target(subject, 2, measure="memory") for subject in _OURS),
)

SCENARIOS = (
    Scenario(
        name="openai-64",
        title="OpenAI completion, 64 in flight",
        operation="openai",
        calls=640,
        in_flight=64,
        yardstick="openai-sdk",
        targets=(
            Target("switchgear", 0.35, "openai-sdk"),
            Target("switchgear-direct", 0.2, "openai-sdk"),
            Target("switchgear", 0.08, "litellm"),
            Target("switchgear", 1.6, "tensorzero"),
            Target("switchgear-direct", 1.0, "tensorzero"),
        ),
    ),
    Scenario(
        name="openai-1",
        title="OpenAI completion, one at a time",
        operation="openai",
        calls=200,
        yardstick="openai-sdk",
        targets=_both(0.6, "openai-sdk"),
    ),
    Scenario(
        name="anthropic-64",
        title="Anthropic completion, 64 in flight",
        operation="anthropic",
        calls=640,
        in_flight=64,
        yardstick="anthropic-sdk",
        targets=_both(0.6, "anthropic-sdk"),
    ),
    Scenario(
        name="openai-stream",
        title="OpenAI stream of 100 chunks, 16 in flight",
        operation="openai-stream",
        calls=96,
        in_flight=16,
        yardstick="openai-sdk",
        targets=_both(0.2, "openai-sdk"),
    ),
    Scenario(
        name="anthropic-stream",
        title="Anthropic stream of 100 chunks, 16 in flight",
        operation="anthropic-stream",
        calls=96,
        in_flight=16,
        yardstick="anthropic-sdk",
        targets=_both(0.2, "anthropic-sdk"),
    ),
    Scenario(
        name="openai-burst",
        title="OpenAI stream of 100 chunks that arrive at once, 16 in flight",
        operation="openai-stream",
        calls=96,
        in_flight=16,
        prefix="/burst",
        yardstick="openai-sdk",
        targets=_both(0.2, "openai-sdk"),
    ),
    Scenario(
        name="anthropic-burst",
        title="Anthropic stream of 100 chunks that arrive at once, 16 in flight",
        operation="anthropic-stream",
        calls=96,
        in_flight=16,
        prefix="/burst",
        yardstick="anthropic-sdk",
        targets=_both(0.2, "anthropic-sdk"),
    ),
    Scenario(
        name="latency",
        title="Latency of an OpenAI completion that takes 10 ms upstream, 200 in flight",
        operation="openai",
        calls=1000,
        in_flight=200,
        prefix="/wait10",
        yardstick="openai-sdk",
        targets=_both(1.0, "openai-sdk", "p99"),
    ),
    Scenario(
        name="own",
        title="The router's own share: everything on, a provider in the process, one at a time",
        operation="alone",
        calls=1000,
        targets=(Target("switchgear-alone", 80),),
    ),
    IMPORT,
    MEMORY,
)
"""In the order in which they are run and shown. `memory` only where it is asked for."""


def small(scenario: Scenario) -> Scenario:
    """The same in a moment, to see that it works. What it measures says nothing."""
    calls, in_flight = min(scenario.calls, 4), min(scenario.in_flight, 4)
    return scenario._replace(calls=calls, in_flight=in_flight, settle=0.0)
