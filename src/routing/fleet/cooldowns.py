"""Cooldowns of a fleet: what one replica was told, none of the others has to be told again.

A cooldown holds at once where it was met, and everywhere with the next exchange: until when, and
that it is over, once somebody's call succeeds. ``state/scripts/cooldowns.lua`` keeps them, and
counts the distinct calls over all replicas that met 403 or 404. A probe is announced, so the others
wait for its outcome; only those that go within the same exchange as the first are one too many.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...clock import Clock
from ...state.link import Link
from ..cooldown import Cooldowns
from ..cooldown_values import Cause, CooldownWord, Key
from .answers import Listed, Soon, Trip, listed

__all__ = ["SharedCooldowns"]

_TAG = "cooldowns"
_HEARTBEAT = 0.5
"""Seconds. What others were told is asked for this often, where there is nothing to report."""

_MOST = 1024
"""Events kept until the next exchange; more than that are of no use to anybody."""

_KEEP = 2 * 3600.0
"""Seconds without a change after which nobody remembers a cooldown. No probe waits for longer."""


class _Changed(msgspec.Struct, frozen=True):
    name: str
    gen: int
    active: bool
    cause: Cause
    ago: float
    left: float
    length: float
    held: float
    by: str
    struck: int

    def word(self, late: float, me: str) -> CooldownWord:
        """The same, as of ``late`` seconds later, and as this replica sees it."""
        return CooldownWord(
            cause=self.cause,
            active=self.active,
            ago=self.ago / 1000 + late,
            left=self.left / 1000 - late,
            length=self.length / 1000,
            held=0.0 if self.by == me else self.held / 1000,
        )


class _Answer(msgspec.Struct, frozen=True):
    id: str
    version: int
    changed: Listed[_Changed]


class _Event(msgspec.Struct, omit_defaults=True):
    """Attributes: see the script.

    ``at`` is when a duration began to count, monotonic seconds; it is not sent.
    """

    name: str
    what: str
    version: int
    cause: Cause | None = None
    length: int = 0
    call: str = ""
    at: float = 0.0


class SharedCooldowns:
    """The part of the exchange that is about cooldowns.

    Args:
        link: To the fleet's state.
        cooldowns: Those of this replica.
        clock: Time.
        soon: To be heard before the next period.

    Attributes:
        version: Of the fleet's cooldowns, as last heard.
    """

    def __init__(
        self, link: Link, cooldowns: Cooldowns, clock: Clock, soon: Soon | None = None
    ) -> None:
        self._link = link
        self._soon = soon
        self._cooldowns = cooldowns
        self._clock = clock
        self._keys = [link.key(_TAG, name) for name in ("cooldowns", "changed", "seen", "memory")]
        settings = cooldowns.settings
        self._set = {
            "distinct": settings.distinct_calls,
            "model": round(settings.model_seconds * 1000),
            "keep": round(max(_KEEP, 2 * settings.longest) * 1000),
        }
        self._memory = ""
        self.version = 0
        # By name and kind: of several events of a kind the last tells all. Strikes are by call.
        self._events: dict[tuple[str, str], _Event] = {}
        self._sent: dict[tuple[str, str], _Event] = {}
        self._struck: set[str] = set()
        self._trip = Trip(clock)
        self._up = True
        cooldowns.fleet = self

    def cooled(self, key: Key, cause: Cause, seconds: float, version: int) -> None:
        """See ``CooldownFleet``."""
        earlier = self._events.get((_name(key), "cool"))
        now = self._clock.monotonic()
        length = round(seconds * 1000)
        if earlier is not None:
            # Among the calls in flight that were told no, the last to end is not the first to know.
            version = max(version, earlier.version)
            if earlier.length - (now - earlier.at) * 1000 > length:
                earlier.version = version
                return
        self._events.pop((_name(key), "clear"), None)
        self._add(_Event(_name(key), "cool", version, cause=cause, length=length, at=now))

    def cleared(self, key: Key, version: int) -> None:
        """See ``CooldownFleet``."""
        self._struck.discard(_name(key))
        self._events.pop((_name(key), "restore"), None)
        self._add(_Event(_name(key), "clear", version))

    def struck(self, key: Key, call_id: str) -> None:
        """See ``CooldownFleet``."""
        name = _name(key)
        self._struck.add(name)
        if len(self._struck) > _MOST:
            self._struck.pop()
        self._events.pop((name, "sound"), None)
        event = _Event(name, "strike", self.version, call=call_id)
        self._add(event, kind=f"strike {call_id}")

    def sound(self, key: Key) -> None:
        """See ``CooldownFleet``."""
        if not self._struck:
            return
        name = _name(key)
        if name in self._struck:
            self._struck.discard(name)
            self._add(_Event(name, "sound", self.version))

    def probing(self, key: Key, seconds: float) -> None:
        """See ``CooldownFleet``."""
        self._events.pop((_name(key), "probed"), None)
        length, now = round(seconds * 1000), self._clock.monotonic()
        self._add(_Event(_name(key), "probe", self.version, length=length, at=now))

    def probed(self, key: Key) -> None:
        """See ``CooldownFleet``."""
        self._events.pop((_name(key), "probe"), None)
        self._add(_Event(_name(key), "probed", self.version))

    def report(self) -> tuple[str, list[str], list[Any]] | None:
        """What was said to this replica since the last report."""
        if not self._up or not (self._events or self._trip.due(_HEARTBEAT)):
            return None
        now = self._clock.monotonic()
        self._sent, self._events = self._events, {}
        self._trip.begin()
        ask = {
            "me": self._link.replica,
            "nonce": f"{self._link.replica}:{self._clock.now():.6f}",
            "id": self._memory,
            "since": self.version,
            "set": self._set,
            "events": [each for event in self._sent.values() for each in _aged(event, now)],
        }
        return "cooldowns", self._keys, [msgspec.json.encode(ask)]

    def absorb(self, reply: Any) -> None:
        """Learn what was said to others."""
        late, me = self._trip.end(), self._link.replica
        self._sent = {}
        answer = msgspec.json.decode(reply, type=_Answer)
        lost = self._memory not in {"", answer.id}
        self._memory, self.version = answer.id, answer.version
        for changed in listed(answer.changed):
            if changed.struck:
                self._struck.add(changed.name)
            else:
                self._struck.discard(changed.name)
            if changed.gen:
                self._cooldowns.learn(_key(changed.name), changed.word(late, me))
        if lost:
            self._restore()

    def link_changed(self, up: bool) -> None:  # noqa: FBT001 - as Link.on_change calls it
        """Go on alone, or report what was said meanwhile."""
        self._up = up
        self._events = {**self._sent, **self._events}
        self._sent = {}
        if up:
            self._trip.hurry()

    def _restore(self) -> None:
        """Tell a memory that was lost what is still known here."""
        now = self._clock.monotonic()
        for key, word in self._cooldowns.words().items():
            length = round(word.left * 1000)
            event = _Event(
                _name(key), "restore", self.version, cause=word.cause, length=length, at=now
            )
            self._events.setdefault((event.name, event.what), event)

    def _add(self, event: _Event, kind: str = "") -> None:
        place = event.name, kind or event.what
        # At the end, also where it replaces one: the script goes by this order.
        self._events.pop(place, None)
        self._events[place] = event
        if event.what in {"cool", "clear", "probe"} and self._soon is not None and self._up:
            self._soon(self)
        if len(self._events) > _MOST:
            del self._events[next(iter(self._events))]


def _aged(event: _Event, now: float) -> list[_Event]:
    """The event as it is sent now: what has ended meanwhile is not."""
    if not event.length:
        return [event]
    left = event.length - round((now - event.at) * 1000)
    if left <= 0:
        return []
    return [msgspec.structs.replace(event, length=left, at=0.0)]


def _name(key: Key) -> str:
    # A model may hold any character; a provider no slash.
    provider, model = key
    return provider if model is None else f"{provider}/{model}"


def _key(name: str) -> Key:
    provider, slash, model = name.partition("/")
    return provider, model if slash else None
