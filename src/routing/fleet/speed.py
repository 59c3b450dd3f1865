"""Speed and load of a fleet's candidates: a replica knows them before it has called one.

Observations are merged by ``state/scripts/latency.lua`` in the way in which each replica merges its
own: peak EWMAs. A replica goes by its own figures while they are fresh, since its way to a provider
may be longer than another's; what it took over is not told again, so nothing echoes. Attempts in
flight are added up over all replicas, and believed for two seconds.

The quantile that starts a hedge stays each replica's own: it takes twenty answers of one's own to
know what is unusual here, and until then there is no hedge, which is the safe side.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...clock import Clock
from ...state.link import Link
from ..stats import CandidateStats, Figure, StatsSettings
from .answers import Listed, Trip, listed

__all__ = ["SharedSpeed"]

_TAG = "latency"
_EVERY = 0.25
"""Seconds between reports while attempts are under way; figures do not change faster than that."""

_HEARTBEAT = 1.0
"""Seconds between reports of a replica that has nothing to say, and listens only."""

_SILENCE = 5.0
"""Seconds after which a replica that reported attempts in flight is taken for dead."""

_BELIEVED = 2.0
"""Seconds that the load of others is believed without being heard of again."""

_KEEP = 600.0
"""Seconds. After so many half-lives nothing is left of any figure."""

_MOST = 2048
"""Candidates remembered that nobody here has called yet."""

_KINDS = ("first", "token", "failures")

# Value, and age in milliseconds.
_Sent = tuple[float, float]


class _Row(msgspec.Struct, frozen=True):
    name: str
    first: _Sent | None = None
    token: _Sent | None = None
    failures: _Sent | None = None


class _Answer(msgspec.Struct, frozen=True):
    now: float
    figures: Listed[_Row]
    load: dict[str, int] | list[Any]


class SharedSpeed:
    """The part of the exchange that is about latency and load.

    Args:
        link: To the fleet's state.
        clock: Time.
    """

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        names = ("figures", "seen", "flights", "alive", "load")
        self._keys = [link.key(_TAG, name) for name in names]
        self._set = {
            "half_life": StatsSettings().half_life * 1000,
            "silence": _SILENCE * 1000,
            "keep": _KEEP * 1000,
        }
        self._known: dict[str, CandidateStats] = {}
        self._unused: dict[str, tuple[dict[str, Figure], float]] = {}
        self._loaded: set[str] = set()
        self._since = 0.0
        self._flights: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._trip = Trip(clock)
        self._up = True

    def attach(self, name: str, stats: CandidateStats) -> None:
        """Share what is known of a candidate, and begin with what others know."""
        self._known[name] = stats
        figures, at = self._unused.pop(name, ({}, 0.0))
        stats.learn(_aged(figures, self._clock.monotonic() - at))

    def detach(self, name: str) -> None:
        """The candidate is forgotten."""
        self._known.pop(name, None)
        self._loaded.discard(name)

    def report(self) -> tuple[str, list[str], list[Any]] | None:
        """What was observed since the last report, and what is in flight."""
        if not self._up or not self._trip.due(_EVERY):
            return None
        rows = []
        for name, stats in self._known.items():
            figures = stats.observed()
            if figures:
                rows.append({"name": name, **{k: _sent(v) for k, v in figures.items()}})
        flights = {name: stats.here for name, stats in self._known.items() if stats.here}
        if not rows and flights == self._told == {} and not self._trip.due(_HEARTBEAT):
            return None
        self._trip.begin()
        self._flights = flights
        ask = {
            "me": self._link.replica,
            "since": self._since,
            "set": self._set,
            "rows": rows,
            "flights": flights,
        }
        return "latency", self._keys, [msgspec.json.encode(ask)]

    def absorb(self, reply: Any) -> None:
        """Take over what others know better."""
        late = self._trip.end()
        answer = msgspec.json.decode(reply, type=_Answer)
        self._since, self._told = answer.now, self._flights
        for row in listed(answer.figures):
            figures = {
                kind: Figure(sent[0], sent[1] / 1000 + late)
                for kind in _KINDS
                if (sent := getattr(row, kind)) is not None
            }
            stats = self._known.get(row.name)
            if stats is not None:
                stats.learn(figures)
            else:
                self._keep(row.name, figures)
        self._take(answer.load if isinstance(answer.load, dict) else {})

    def link_changed(self, up: bool) -> None:  # noqa: FBT001 - as Link.on_change calls it
        """Others' load is forgotten in two seconds by itself, their figures by their age."""
        self._up = up
        self._since = 0.0
        self._trip.hurry()

    def _take(self, load: dict[str, int]) -> None:
        """Each candidate's load, less this replica's own part of it as it was reported."""
        for name in self._loaded - load.keys():
            self._known[name].learn_load(0, _BELIEVED)
        self._loaded = load.keys() & self._known.keys()
        for name in self._loaded:
            others = max(0, load[name] - self._flights.get(name, 0))
            self._known[name].learn_load(others, _BELIEVED)

    def _keep(self, name: str, figures: dict[str, Figure]) -> None:
        self._unused.pop(name, None)
        self._unused[name] = figures, self._clock.monotonic()
        if len(self._unused) > _MOST:
            del self._unused[next(iter(self._unused))]


def _sent(figure: Figure) -> _Sent:
    return figure.value, round(figure.age * 1000)


def _aged(figures: dict[str, Figure], seconds: float) -> dict[str, Figure]:
    return {kind: Figure(value, age + seconds) for kind, (value, age) in figures.items()}
