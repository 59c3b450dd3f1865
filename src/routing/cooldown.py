"""Candidates that are left alone because they said so: a refused key, a missing model, a limit.

What the circuit breaker ignores is remembered here (seconds and counts are the defaults):

=================  =============  ===========================================  =================
what it said       who cools off  for how long                                 and then
=================  =============  ===========================================  =================
401                the provider   5 min; one loud warning                      one probe a time
403, 404           the model      5 min, once 3 distinct calls were told so    one probe a time
429 quota/billing  the candidate  15 min, or ``retry-after`` if longer         one probe a time
429 too fast       the candidate  ``retry-after``; 5 s where none was named    one probe, briefly
=================  =============  ===========================================  =================

The next probe goes when the last one failed and the time is over once more, or when it was not
heard of for a minute. After a rate limit, others wait for the probe no longer than the cooldown
itself took, and then all may go: a 429 comes back at once, while a good answer takes its time.

A call that was let through before a change can't undo it: of fifty calls in flight, those that
still succeed after one was rate-limited do not end the cooldown, and a late 401 from before a key
was mended does not begin one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import msgspec

from ..clock import Clock
from ..errors import (
    AuthenticationError,
    ModelNotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
)
from .breaker_values import Refusal
from .breaker_window import ForwardTime
from .cooldown_values import (
    WORDS,
    Cause,
    Cooldown,
    CooldownChange,
    CooldownFleet,
    CooldownSettings,
    CooldownWord,
    Key,
)

__all__ = ["Cooldown", "CooldownSettings", "Cooldowns", "Pass"]

_WARN_AGAIN = 3600.0
_SAME = 0.25
"""Seconds. What a fleet repeats of this replica's own cooldown is no change."""

_log = logging.getLogger("switchgear.routing")


class _State:
    """What is known of a provider or model.

    Attributes:
        mark: The number of its last change; calls let through earlier can't undo that.
        active: Cooling down. What was cleared stays known, for its mark.
        probe: The probe that others wait for, until ``held``.
    """

    __slots__ = ("active", "cause", "held", "length", "mark", "probe", "since", "until", "warned")

    def __init__(self) -> None:
        self.mark = 0
        self.active = False
        self.cause: Cause = "rate"
        self.since = 0.0
        self.until = 0.0
        self.length = 0.0
        self.probe: Pass | None = None
        self.held = 0.0
        self.warned = -math.inf

    def retry_at(self) -> float:
        """When the next probe may go."""
        return self.until if self.probe is None else max(self.until, self.held)

    def lapsed(self, now: float) -> bool:
        """Whether it is over without a word from its probe, as only a rate limit can be."""
        return self.cause == "rate" and self.probe is not None and self.retry_at() <= now


class Pass(msgspec.Struct, eq=False):
    """Leave for one attempt at a candidate. Exactly one outcome counts; later ones are no-ops.

    Attributes:
        provider: At whom.
        model: Which of its models.
        call_id: Which call, so that repeats of one call count once.
        mark: The number of the last change when this was given.
        version: The same for the changes of the fleet.
    """

    _cooldowns: Cooldowns | None
    provider: str
    model: str
    call_id: str
    mark: int
    version: int

    def success(self) -> None:
        """The provider answered: its key, this model and the quota are in order."""
        cooldowns, self._cooldowns = self._cooldowns, None
        if cooldowns is not None:
            cooldowns.succeeded(self)

    def failure(self, error: BaseException) -> None:
        """The attempt failed. Errors that mean no cooldown only let the next probe go."""
        cooldowns, self._cooldowns = self._cooldowns, None
        if cooldowns is not None:
            cooldowns.failed(self, error)

    def ignored(self) -> None:
        """The attempt was cancelled, or never sent."""
        cooldowns, self._cooldowns = self._cooldowns, None
        if cooldowns is not None:
            cooldowns.ended(self)


class Cooldowns:
    """Everybody who is to be left alone for a while.

    Ask with ``admit`` before an attempt and tell the pass how it ended. A call that brings its own
    credentials must do neither: what its key may do says nothing about the configured one.

    Args:
        clock: Time. Should it go back, no time has passed.
        settings: For how long.

    Attributes:
        fleet: Where other replicas have a say; ``None`` for this process alone.
        on_change: Told of each that begins or ends, after that; it must not raise.
    """

    def __init__(self, clock: Clock, settings: CooldownSettings | None = None) -> None:
        self.settings = settings or CooldownSettings()
        self._clock = clock
        self._time = ForwardTime(clock)
        self._mark = 0
        self._states: dict[Key, _State] = {}
        self._strikes: dict[Key, set[str]] = {}
        self.fleet: CooldownFleet | None = None
        self.on_change: Callable[[CooldownChange], None] | None = None
        # Stands for the probes of other replicas.
        self._elsewhere = Pass(self, "", "", "", 0, 0)

    def admit(self, provider: str, model: str, call_id: str) -> Pass | Refusal:
        """Ask for leave to send one attempt.

        The one that is let through when a cooldown is over is the probe, and others wait for its
        outcome; so every pass must be told of one.
        """
        if not self._states:
            return self._pass(provider, model, call_id)
        now = self._time.now()
        found = [
            (key, state)
            for key in ((provider, None), (provider, model))
            if (state := self._states.get(key)) is not None and state.active
        ]
        for key, state in found:
            refusal = self._refusal(key, state, now)
            if refusal is not None:
                return refusal
        # Made only now: a cooldown may have ended on the way, and this call comes after that.
        given = self._pass(provider, model, call_id)
        for key, state in found:
            if state.active:
                state.probe = given
                takes = min(self.settings.probe_timeout, state.length)
                state.held = now + takes
                if self.fleet is not None:
                    self.fleet.probing(key, takes)
        return given

    def _pass(self, provider: str, model: str, call_id: str) -> Pass:
        version = self.fleet.version if self.fleet is not None else 0
        return Pass(self, provider, model, call_id, self._mark, version)

    def succeeded(self, given: Pass) -> None:
        """A pass's call was answered; ``Pass.success`` is the usual way to here."""
        if self._strikes:
            self._strikes.pop((given.provider, given.model), None)
        if self.fleet is not None:
            self.fleet.sound((given.provider, given.model))
        if not self._states:
            return
        for key, state in self._known(given):
            if state.active and given.mark >= state.mark:
                self._clear(state)
                if self.fleet is not None:
                    self.fleet.cleared(key, given.version)
                if state.cause == "key":
                    _log.info("provider %s takes its key again", key[0])
                self._tell(key, state, now=0.0)
        self.ended(given)

    def failed(self, given: Pass, error: BaseException) -> None:
        """A pass's call failed; ``Pass.failure`` is the usual way to here."""
        settings, whole = self.settings, (given.provider, None)
        candidate = (given.provider, given.model)
        if isinstance(error, AuthenticationError):
            if self._cool(whole, given, "key", settings.key_seconds):
                self._warn(given.provider, error)
        elif isinstance(error, PermissionDeniedError | ModelNotFoundError):
            if self._struck_out(candidate, given):
                self._cool(candidate, given, "model", settings.model_seconds)
        elif isinstance(error, QuotaExceededError):
            least = settings.quota_seconds
            self._cool(candidate, given, "quota", max(least, self._named(error, least)))
        elif isinstance(error, RateLimitError):
            wait = self._named(error, settings.rate_seconds)
            if wait > 0:
                self._cool(candidate, given, "rate", wait)
        self.ended(given)

    def ended(self, given: Pass) -> None:
        """A pass is of no more use: where it was the probe, the next call is."""
        for key, state in self._known(given):
            if state.probe is not given:
                continue
            now = self._time.now()
            if state.lapsed(now):
                # It took too long to say this, and with nobody asking meanwhile nobody saw that.
                self._lapse(key, state, now)
                continue
            state.probe = None
            if self.fleet is not None:
                self.fleet.probed(key)

    def learn(self, key: Key, word: CooldownWord) -> None:
        """Be as the fleet says. A call that was let through before can't undo that."""
        now = self._time.now()
        state = self._states.get(key)
        if state is None:
            if not word.active:
                return
            state = self._states[key] = _State()
        if word.held <= 0 and state.probe is self._elsewhere:
            state.probe = None
        before = state.active
        if word.active != state.active or (
            word.active and abs(now + word.left - state.until) > _SAME
        ):
            self._mark += 1
            state.mark, state.active, state.probe = self._mark, word.active, None
            state.cause, state.since = word.cause, now - word.ago
            state.until, state.length = now + word.left, word.length
        mine = state.probe not in {None, self._elsewhere} and state.held > now
        if word.active and word.held > 0 and not mine:
            state.probe, state.held = self._elsewhere, now + word.held
        self._forget_oldest()
        if state.active != before:
            self._tell(key, state, now)

    def words(self) -> dict[Key, CooldownWord]:
        """Every cooldown that is on, as :meth:`learn` takes it."""
        now = self._time.now()
        return {
            key: CooldownWord(
                cause=state.cause,
                active=True,
                ago=now - state.since,
                left=state.until - now,
                length=state.length,
                held=0.0,
            )
            for key, state in self._states.items()
            if state.active and state.until > now
        }

    def snapshot(self) -> tuple[Cooldown, ...]:
        """Who cools down at this moment."""
        now, wall = self._time.now(), self._clock.now()
        found = []
        for (provider, model), state in self._states.items():
            if not state.active or state.lapsed(now):
                continue
            retry_in = max(0.0, state.retry_at() - now)
            probing = state.probe is not None and state.until <= now < state.held
            since = wall - (now - state.since)
            words = WORDS[state.cause]
            found.append(Cooldown(provider, model, words, since, retry_in, probing))
        return tuple(found)

    def _refusal(self, key: Key, state: _State, now: float) -> Refusal | None:
        if state.lapsed(now):
            self._lapse(key, state, now)
            return None
        wait = state.retry_at() - now
        if wait <= 0:
            return None
        then = "a probe is on its way" if state.until <= now else f"next probe in {wait:.3g} s"
        reason = f"{key[0]} is cooling down: {WORDS[state.cause]}; {then}"
        return Refusal(reason, wait, waitable=state.cause == "rate")

    def _cool(self, key: Key, given: Pass, cause: Cause, seconds: float) -> bool:
        """Begin, renew or prolong a cooldown. Returns whether it began."""
        now = self._time.now()
        state = self._states.pop(key, None) or _State()
        # Put at the end: what changed last is forgotten last.
        self._states[key] = state
        late = given.mark < state.mark
        if self.fleet is not None:
            self.fleet.cooled(key, cause, seconds, given.version)
        if late:
            if state.active and now + seconds > state.until:
                state.until, state.length, state.cause = now + seconds, seconds, cause
            return False
        began = not state.active
        if began:
            state.since = now
        self._mark += 1
        state.mark, state.active, state.probe = self._mark, True, None
        state.cause, state.until, state.length = cause, now + seconds, seconds
        self._forget_oldest()
        if began:
            self._tell(key, state, now)
        return began

    def _tell(self, key: Key, state: _State, now: float) -> None:
        if self.on_change is not None:
            wait = state.until - now if state.active else 0.0
            name = "/".join(part for part in key if part is not None)
            self.on_change(CooldownChange(name, state.active, WORDS[state.cause], wait))

    def _forget_oldest(self) -> None:
        if len(self._states) > self.settings.most:
            del self._states[next(iter(self._states))]

    def _lapse(self, key: Key, state: _State, now: float) -> None:
        """End one that is over, though nobody has said so."""
        # What its probe may still say counts; hence no new mark.
        state.active, state.probe = False, None
        self._tell(key, state, now)

    def _clear(self, state: _State) -> None:
        self._mark += 1
        state.mark, state.active, state.probe = self._mark, False, None

    def _struck_out(self, key: Key, given: Pass) -> bool:
        """Whether enough distinct calls were told that the model is not for them."""
        state = self._states.get(key)
        if state is not None and state.active and state.cause == "model":
            return True
        calls = self._strikes.pop(key, None) or set()
        calls.add(given.call_id)
        if len(calls) >= self.settings.distinct_calls:
            return True
        self._strikes[key] = calls
        if self.fleet is not None:
            self.fleet.struck(key, given.call_id)
        if len(self._strikes) > self.settings.most:
            del self._strikes[next(iter(self._strikes))]
        return False

    def _named(self, error: RateLimitError, default: float) -> float:
        """The seconds that the provider named, within reason."""
        wait = error.retry_after
        if wait is None or not wait >= 0:
            wait = default
        return min(wait, self.settings.longest)

    def _known(self, given: Pass) -> list[tuple[Key, _State]]:
        if not self._states:
            return []
        keys: tuple[Key, Key] = ((given.provider, None), (given.provider, given.model))
        return [(key, state) for key in keys if (state := self._states.get(key)) is not None]

    def _warn(self, provider: str, error: AuthenticationError) -> None:
        """Once an outage, and not once a minute where a key is refused now and then."""
        state, now = self._states[provider, None], self._time.now()
        if now - state.warned < _WARN_AGAIN:
            return
        state.warned = now
        _log.warning(
            "provider %s refuses its key (%s): no call goes there but one probe every %g s. "
            "Check api_key in [providers.%s]",
            provider,
            error.code or error.status or 401,
            self.settings.key_seconds,
            provider,
        )
