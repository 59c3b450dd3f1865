"""The decision record: what became of every candidate of one call, and why."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Outcome", "Step", "Trace"]

Outcome: TypeAlias = Literal["answered", "cached", "failed", "skipped", "cancelled", "interrupted"]

_SCARCE = 0.2
_NOT_SENT = ("skipped", "cached")
_COLUMNS = ("#", "candidate", "outcome", "at", "took", "first token", "tokens", "cost", "why")
_COLOURS = {"answered": "green", "cached": "cyan", "failed": "red", "skipped": "yellow"}


class Step(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One attempt at a candidate, or the reason why there was none.

    Attributes:
        candidate: ``provider/model``.
        outcome: What became of it.
        reason: Why it was skipped or failed, or how the cache came to have it; empty for an
            answer.
        started: Seconds from the start of the call.
        duration: Seconds that it took; 0 for a skip.
        waited: Seconds waited before it, for a back-off or a ``retry-after``.
        time_to_first_token: Seconds from its own start, where it streamed.
        repeat: 0 for the first attempt at this candidate, then 1, 2, ...
        circuit: The state of the candidate's circuit where it was not simply closed: ``half-open``
            for a probe, ``ramping`` after one.
        room: The part of its tightest known rate limit that was left for it, 0 to 1.
        status: The HTTP status of the failure.
        code: The provider's own word for the failure.
        error: The class of our error.
        request_id: The provider's id of the request.
        input_tokens: As the provider counted, where it did.
        output_tokens: As the provider counted, where it did.
        cost: USD; ``None`` where it is unknown or nothing was sent.
        bound: USD; the most that it can have cost. The cost itself where the provider sent its
            final count, else what the longest prompt and answer would; ``None`` where unknown.
    """

    candidate: str
    outcome: Outcome
    reason: str = ""
    started: float = 0.0
    duration: float = 0.0
    waited: float = 0.0
    time_to_first_token: float | None = None
    repeat: int = 0
    circuit: str = ""
    room: float | None = None
    status: int | None = None
    code: str | None = None
    error: str | None = None
    request_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal | None = None
    bound: Decimal | None = None


class Trace(msgspec.Struct, frozen=True):
    """Every step of one call, in order.

    ``str(trace)`` is a plain table, ``rich`` renders a coloured one, ``to_dict()`` is for JSON.

    Attributes:
        target: The group or model that was asked for.
        steps: What happened, in order.
        labels: Whom the call was for: ``agent_id``, ``project_id`` and the caller's tags.
    """

    target: str
    steps: tuple[Step, ...] = ()
    labels: Mapping[str, str] = {}

    @property
    def attempts(self) -> tuple[Step, ...]:
        """The steps that reached for a provider."""
        return tuple(step for step in self.steps if step.outcome not in _NOT_SENT)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON and logs."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def __str__(self) -> str:
        rows = [_COLUMNS, *(_cells(number, step) for number, step in enumerate(self.steps, 1))]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
        lines = (
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)

    def __rich__(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=f"trace of {_line(self.target)}",
            title_justify="left",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        # A step's reason stands under its name: nine columns side by side would leave each too
        # narrow to read on a terminal of 80.
        table.add_column("#")
        table.add_column("candidate", overflow="fold")
        table.add_column("outcome", no_wrap=True)
        for heading in ("took", "tokens", "cost"):
            table.add_column(heading, justify="right", no_wrap=True)
        for number, step in enumerate(self.steps, 1):
            place, name, outcome, _, took, first, tokens, cost, why = _cells(number, step)
            candidate = Text(name)
            note = "; ".join(part for part in (why, first and f"first token after {first}") if part)
            if note:
                candidate.append(f"\n{note}", style="dim")
            colour = _COLOURS.get(step.outcome, "magenta")
            table.add_row(place, candidate, Text(outcome, style=colour), took, tokens, cost)
        return table


def _cells(number: int, step: Step) -> tuple[str, ...]:
    why = _line(step.reason)
    if step.waited:
        why = f"{why} (waited {_seconds(step.waited)})".strip()
    if step.room is not None and step.room < _SCARCE:
        why = f"{why} ({step.room:.0%} of its rate limit left)".strip()
    if step.circuit:
        why = f"{why} (circuit {step.circuit})".strip()
    tokens = ""
    if step.input_tokens is not None or step.output_tokens is not None:
        tokens = f"{step.input_tokens or 0} → {step.output_tokens or 0}"
    return (
        str(number),
        _line(step.candidate),
        step.outcome,
        _seconds(step.started),
        _seconds(step.duration) if step.outcome != "skipped" else "",
        _seconds(step.time_to_first_token) if step.time_to_first_token is not None else "",
        tokens,
        f"${step.cost.normalize():f}" if step.cost is not None else "",
        why,
    )


def _line(text: str) -> str:
    """One printable line: a vendor's words may hold line ends, or a terminal's commands."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
