"""What the circuits' script decides, told again from the history instead of from counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SLICES = 12


@dataclass
class Heard:
    """One replica's report, when it arrived."""

    at: int
    who: str
    row: dict[str, Any]

    @property
    def good(self) -> int:
        return int(self.row["calls"] - self.row["failures"])


@dataclass
class CircuitModel:
    """One circuit. Times are milliseconds."""

    settings: dict[str, Any]
    gen: int = 0
    version: int = 0
    state: str = "closed"
    till: int = 0
    rounds: int = 0
    won: int = 0
    history: list[Heard] = field(default_factory=list)
    permits: dict[str, tuple[str, int]] = field(default_factory=dict)

    def report(self, now: int, who: str, row: dict[str, Any]) -> None:
        self.advance(now)
        if row["gen"] != self.gen:
            return
        gen = self.gen
        for token, result in row["probes"]:
            self.permits.pop(token, None)
            self.judge(now, result)
        if self.gen == gen and row["calls"]:
            if self.state == "half-open":
                self.judge(now, "failure" if row["failures"] else "success")
            elif self.state != "open":
                self.history.append(Heard(now, who, row))
                if self.over(now):
                    self.trip(now)

    def advance(self, now: int) -> None:
        if now >= self.till:
            if self.state == "open":
                self.state, self.won, self.permits = "half-open", 0, {}
            elif self.state == "ramping":
                self.state, self.rounds = "closed", 0

    def judge(self, now: int, result: str) -> None:
        if self.state != "half-open" or result == "ignored":
            return
        if result == "success":
            self.won += 1
            if self.won >= self.settings["probe_successes"]:
                self.move("ramping", now + self.settings["ramp"])
        else:
            self.trip(now)

    def trip(self, now: int) -> None:
        self.rounds += self.state != "closed"
        wait = min(self.settings["longest"], self.settings["open"] * 2**self.rounds)
        self.move("open", now + wait)

    def move(self, state: str, till: int) -> None:
        self.version += 1
        self.gen = self.version
        self.state, self.till, self.won = state, till, 0
        self.history, self.permits = [], {}

    def over(self, now: int) -> bool:
        """Whether the last report opens it."""
        return self.row_opens(now) or self.rate_opens(now)

    def row_opens(self, now: int) -> bool:
        successes = [each.at - each.row["good"] for each in self.history if each.row["good"] >= 0]
        last = max(successes, default=0)
        row = [
            each.who for each in self.history for age in each.row["fails"] if each.at - age >= last
        ]
        if not self.history[-1].row["fails"] or len(row) < self.settings["consecutive"]:
            return False
        return self.agreed(now, set(row))

    def rate_opens(self, now: int) -> bool:
        number = now // (self.settings["window"] / SLICES)
        inside = [
            heard.row
            for heard in self.history
            if heard.at // (self.settings["window"] / SLICES) > number - SLICES
        ]
        calls, failures, slow = (
            sum(row[name] for row in inside) for name in ("calls", "failures", "slow")
        )
        last = self.history[-1].row
        bad = {
            heard.who
            for heard in self.history
            if (heard.row["failures"] or heard.row["slow"])
            and heard.at > now - self.settings["window"]
        }
        if calls < self.settings["minimum"] or not self.agreed(now, bad):
            return False
        return bool(
            (last["failures"] and failures >= self.settings["failure_rate"] * calls)
            or (last["slow"] and slow >= self.settings["slow_rate"] * calls)
        )

    def agreed(self, now: int, witnesses: set[str]) -> bool:
        """Two witnesses, or one whom no other replica's recent success contradicts."""
        if len(witnesses) != 1:
            return len(witnesses) > 1
        since = now - self.settings["window"]
        return not any(
            heard.good and heard.who not in witnesses and heard.at > since for heard in self.history
        )
