"""How many repeats a candidate is owed: a failing one must not be buried under its own retries."""

from __future__ import annotations

from collections import deque

from ..clock import Clock

__all__ = ["RetryBudget"]

_ATTEMPT = 100
"""Everything is counted in hundredths of an attempt, so that no rounding adds up."""


class RetryBudget:
    """Bounds the attempts on one candidate.

    Over any ``window`` seconds, wherever they begin::

        attempts <= (1 + percent / 100) * calls + spare

    A *call* is a call that reaches the candidate: its first attempt there, free whether it began
    here or failed over to here. A *repeat* is everything else that is sent: a call's second attempt
    on the candidate, and a hedge to it. Only repeats are ever refused, so an outage elsewhere
    can't close the way to this candidate.

    Calls pay only for repeats that come after them, since a window may begin between the two. So
    ``spare`` repeats are there at once, and each call gives ``percent`` hundredths of one back.
    A repeat is forgotten after ``window`` seconds, calls or not, so a quiet candidate has its spare
    ones again.

    How: a repeat is granted if no window that ends now, and begins at an earlier repeat at most
    ``window`` seconds ago, would be overdrawn. Later calls only add to what such a window may hold,
    so then no window ever is. The balance before each repeat is kept, but in each 64th of the
    window only the strictest, until that slot's last repeat is past: at most 66 numbers. Thus a
    repeat may weigh on the budget a slot (about a second) too long, never too short. A call costs
    0.1 µs, a repeat less than 1 µs.

    Args:
        clock: Time, of which only ``monotonic`` is asked, and only for repeats.
        percent: Repeats owed to 100 calls. The default, 20, is design §4's factor of 1.2.
        spare: Repeats that need no calls to pay for them, so that a quiet candidate has some.
        window: Seconds.
    """

    __slots__ = ("_balance", "_clock", "_limit", "_lows", "_percent", "_slot", "_window")

    def __init__(
        self, clock: Clock, *, percent: int = 20, spare: int = 10, window: float = 60.0
    ) -> None:
        self._clock = clock
        self._percent = percent
        self._limit = spare * _ATTEMPT
        self._window = window
        self._slot = window / 64
        # Repeats so far less what calls have paid for; only differences of it mean anything.
        self._balance = 0
        # (last time, balance before a repeat), both ascending: a sliding minimum.
        self._lows: deque[tuple[float, int]] = deque()

    def call(self) -> None:
        """A call's first attempt on this candidate. Never refused."""
        self._balance -= self._percent

    def may_repeat(self) -> bool:
        """Whether a repeat would be granted now. Takes nothing.

        Worth asking before a back-off, to not wait in vain; after it only ``take_repeat`` counts,
        since others may have repeated meanwhile.
        """
        return self._allowed(self._clock.monotonic())

    def take_repeat(self) -> bool:
        """Take one repeat, if there is one. To be called in the moment in which it is sent."""
        now = self._clock.monotonic()
        if not self._allowed(now):
            return False
        lows, before = self._lows, self._balance
        while lows and lows[-1][1] >= before:
            lows.pop()
        if lows and lows[-1][0] // self._slot == now // self._slot:
            lows[-1] = (now, lows[-1][1])
        else:
            lows.append((now, before))
        self._balance = before + _ATTEMPT
        return True

    @property
    def left(self) -> int:
        """Repeats that would be granted now, if no call came between them."""
        return max(0, (self._limit - self._overdrawn(self._clock.monotonic())) // _ATTEMPT)

    def __repr__(self) -> str:
        return f"<RetryBudget {self.left} left>"

    def _allowed(self, now: float) -> bool:
        return self._overdrawn(now) + _ATTEMPT <= self._limit

    def _overdrawn(self, now: float) -> int:
        """The most that repeats exceed what calls paid for, over all windows that end now."""
        lows, since = self._lows, now - self._window
        while lows and lows[0][0] < since:
            lows.popleft()
        return max(0, self._balance - lows[0][1]) if lows else 0
