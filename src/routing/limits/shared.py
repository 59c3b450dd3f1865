"""An account's meters take part in the exchange with the fleet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .buckets import Meter
from .fleet import LEASE, FleetBucket, FleetSlots

if TYPE_CHECKING:
    from ...state.exchange import Fleet

__all__ = ["SharedMeters"]

M = TypeVar("M", FleetBucket, FleetSlots)


class SharedMeters:
    """What one account shares: a part for its buckets and one for its slots, each one script.

    Args:
        fleet: The fleet.
        tag: Of the account, so that all its keys live together.
        needs: What the first waiting call needs to find, by meter.
        wake: Lets those go who fit now.
        time: The monotonic time.
    """

    def __init__(
        self,
        fleet: Fleet,
        tag: str,
        *,
        needs: Callable[[], Mapping[Meter, float]],
        wake: Callable[[], None],
        time: Callable[[], float],
    ) -> None:
        self.fleet = fleet
        self.tag = tag
        self.needs = needs
        self.wake = wake
        self.time = time
        self._rates = _Rates(self)
        self._slots = _Slots(self)

    def add(self, meter: Meter) -> None:
        """A new meter."""
        part: _Rates | _Slots
        if isinstance(meter, FleetBucket):
            part = self._rates
            self._rates.meters.append(meter)
        elif isinstance(meter, FleetSlots):
            part = self._slots
            self._slots.meters.append(meter)
        else:
            return
        if part.up:
            self.fleet.add(part)
        else:
            meter.go_local(self.fleet.link.replicas, self.time())

    def remove(self, meter: Meter) -> None:
        """One that nobody needs any more, and that holds nothing."""
        for part in (self._rates, self._slots):
            if meter in part.meters:
                part.meters.remove(meter)  # type: ignore[arg-type]
                if not part.meters:
                    self.fleet.remove(part)
                    part.up = True

    def close(self) -> None:
        """The account is closed; what the last report can give back, it does."""
        for part in (self._rates, self._slots):
            for meter in part.meters:
                meter.close()

    def soon(self) -> None:
        """Somebody has begun to wait."""
        for part in self._parts():
            self.fleet.soon(part)

    async def ask(self) -> None:
        """Exchange now; returns when the answer is here, or the link is known as down."""
        await self.fleet.ask(*self._parts())

    def _parts(self) -> list[_Rates | _Slots]:
        return [part for part in (self._rates, self._slots) if part.meters]


class _Part(Generic[M]):
    """The meters of one kind; ``answers`` says how many numbers their script has for each."""

    answers: int

    def __init__(self, shared: SharedMeters) -> None:
        self.up = True
        self.meters: list[M] = []
        self._shared = shared
        self._sent: list[M] = []

    def absorb(self, reply: Any) -> None:
        """As `Part` says."""
        width = self.answers
        for place, meter in enumerate(self._sent):
            meter.absorb([float(value) for value in reply[width * place : width * (place + 1)]])
        self._sent = []
        self._shared.wake()

    def link_changed(self, up: bool) -> None:  # noqa: FBT001 - as Part says
        """As `Part` says."""
        shared = self._shared
        self.up = up
        if not up:
            now = shared.time()
            for meter in self.meters:
                meter.go_local(shared.fleet.link.replicas, now)
        shared.wake()


class _Rates(_Part[FleetBucket]):
    """The buckets' part."""

    answers = 6

    def report(self) -> tuple[str, list[str], list[Any]] | None:
        """As `Part` says."""
        shared = self._shared
        now, needs = shared.time(), shared.needs()
        due = [meter for meter in self.meters if meter.due(needs.get(meter, 0.0), now)]
        if not due:
            return None
        link, period = shared.fleet.link, shared.fleet.period
        arguments: list[Any] = [link.replica, LEASE, period]
        for meter in due:
            arguments += meter.report(needs.get(meter, 0.0), period, now)
        self._sent = due
        return "rate", [link.key(shared.tag, meter.key) for meter in due], arguments


class _Slots(_Part[FleetSlots]):
    """The slots' part."""

    answers = 5

    def report(self) -> tuple[str, list[str], list[Any]] | None:
        """As `Part` says."""
        shared = self._shared
        now = shared.time()
        due = [meter for meter in self.meters if meter.due(meter.queued, now)]
        if not due:
            return None
        link = shared.fleet.link
        arguments: list[Any] = [link.replica, LEASE]
        for meter in due:
            arguments += meter.report(meter.queued, now)
        self._sent = due
        return "slots", [link.key(shared.tag, meter.key) for meter in due], arguments
