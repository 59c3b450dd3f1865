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
from typing import Literal, TypeAlias

import msgspec

from ..clock import Clock
from ..errors import (
    AuthenticationError,
    ConfigError,
    ModelNotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
)
from .breaker_values import Refusal
from .breaker_window import ForwardTime

__all__ = ["Cooldown", "CooldownSettings", "Cooldowns", "Pass"]

Cause: TypeAlias = Literal["key", "model", "quota", "rate"]
# A provider, and a model of it; a provider as a whole has None.
Key: TypeAlias = tuple[str, str | None]

_WORDS: dict[Cause, str] = {
    "key": "its key was refused (401)",
    "model": "it refuses this model (403, 404)",
    "quota": "out of quota or credit",
    "rate": "rate limited (429)",
}
_WARN_AGAIN = 3600.0

_log = logging.getLogger("switchgear.routing")


class CooldownSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long what said no is left alone. All in seconds but ``distinct_calls``.

    Attributes:
        key_seconds: After a 401, until the provider is probed; and from probe to probe.
        model_seconds: After 403 or 404, until the model is probed; and from probe to probe.
        distinct_calls: That many different calls must have met 403 or 404, without a success of the
            model between them: a single 404 may mean a file that the request names.
        quota_seconds: Out of quota or credit, until the candidate is probed.
        rate_seconds: A 429 that names no time. Providers that name none recover within seconds.
        longest: No provider's ``retry-after`` counts for more than this.
        probe_timeout: How long others wait for a probe's outcome, at most. Never longer than the
            cooldown itself was.
        most: Models remembered at once, since callers may name any; the oldest are forgotten.

    Raises:
        ConfigError: A value that makes no sense; ``param`` names it.
    """

    key_seconds: float = 300.0
    model_seconds: float = 300.0
    distinct_calls: int = 3
    quota_seconds: float = 900.0
    rate_seconds: float = 5.0
    longest: float = 3600.0
    probe_timeout: float = 60.0
    most: int = 1024

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                message = f"cooldown.{name}: must be above 0, but is {value!r}"
                raise ConfigError(message, param=f"cooldown.{name}")


class Cooldown(msgspec.Struct, frozen=True):
    """One cooldown, for a person and for code.

    Attributes:
        provider: Who cools down.
        model: Which model; ``None`` for the whole provider.
        reason: What it said.
        since: When it began, seconds since the epoch.
        retry_in: Seconds until the next probe may go.
        probing: A probe is on its way.
    """

    provider: str
    model: str | None
    reason: str
    since: float
    retry_in: float
    probing: bool

    def __str__(self) -> str:
        name = self.provider if self.model is None else f"{self.provider}/{self.model}"
        then = "a probe is on its way" if self.probing else f"next probe in {self.retry_in:.0f} s"
        return f"{name}: cooling down ({self.reason}), {then}"


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


class Pass:
    """Leave for one attempt at a candidate. Exactly one outcome counts; later ones are no-ops.

    Attributes:
        provider: At whom.
        model: Which of its models.
        call_id: Which call, so that repeats of one call count once.
        mark: The number of the last change when this was given.
    """

    __slots__ = ("_cooldowns", "call_id", "mark", "model", "provider")

    def __init__(
        self, cooldowns: Cooldowns, provider: str, model: str, call_id: str, mark: int
    ) -> None:
        self._cooldowns: Cooldowns | None = cooldowns
        self.provider = provider
        self.model = model
        self.call_id = call_id
        self.mark = mark

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
    """

    def __init__(self, clock: Clock, settings: CooldownSettings | None = None) -> None:
        self.settings = settings or CooldownSettings()
        self._clock = clock
        self._time = ForwardTime(clock)
        self._mark = 0
        self._states: dict[Key, _State] = {}
        self._strikes: dict[Key, set[str]] = {}

    def admit(self, provider: str, model: str, call_id: str) -> Pass | Refusal:
        """Ask for leave to send one attempt.

        The one that is let through when a cooldown is over is the probe, and others wait for its
        outcome; so every pass must be told of one.
        """
        if not self._states:
            return Pass(self, provider, model, call_id, self._mark)
        now = self._time.now()
        found = [
            state
            for key in ((provider, None), (provider, model))
            if (state := self._states.get(key)) is not None and state.active
        ]
        for state in found:
            refusal = self._refusal(provider, state, now)
            if refusal is not None:
                return refusal
        # Made only now: a cooldown may have ended on the way, and this call comes after that.
        given = Pass(self, provider, model, call_id, self._mark)
        for state in found:
            if state.active:
                state.probe = given
                state.held = now + min(self.settings.probe_timeout, state.length)
        return given

    def succeeded(self, given: Pass) -> None:
        """A pass's call was answered; ``Pass.success`` is the usual way to here."""
        if self._strikes:
            self._strikes.pop((given.provider, given.model), None)
        for key, state in self._known(given):
            if state.active and given.mark >= state.mark:
                self._clear(state)
                if state.cause == "key":
                    _log.info("provider %s takes its key again", key[0])
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
        for _, state in self._known(given):
            if state.probe is given:
                state.probe = None

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
            words = _WORDS[state.cause]
            found.append(Cooldown(provider, model, words, since, retry_in, probing))
        return tuple(found)

    def _refusal(self, provider: str, state: _State, now: float) -> Refusal | None:
        if state.lapsed(now):
            self._clear(state)
            return None
        wait = state.retry_at() - now
        if wait <= 0:
            return None
        then = "a probe is on its way" if state.until <= now else f"next probe in {wait:.3g} s"
        reason = f"{provider} is cooling down: {_WORDS[state.cause]}; {then}"
        return Refusal(reason, wait, waitable=state.cause == "rate")

    def _cool(self, key: Key, given: Pass, cause: Cause, seconds: float) -> bool:
        """Begin, renew or prolong a cooldown. Returns whether it began."""
        now = self._time.now()
        state = self._states.pop(key, None) or _State()
        # Put at the end: what changed last is forgotten last.
        self._states[key] = state
        late = given.mark < state.mark
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
        if len(self._states) > self.settings.most:
            del self._states[next(iter(self._states))]
        return began

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
