"""Who is left alone because it said so, alone and against a plain reference."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from switchgear import (
    AuthenticationError,
    ConfigError,
    ModelNotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from switchgear.routing.breaker_values import Refusal
from switchgear.routing.cooldown import Cooldowns, CooldownSettings, Pass


class FakeClock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return 1_790_000_000.0 + self.time

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("a cooldown never waits")


class Bench:
    """Cooldowns and their clock."""

    def __init__(self, **values: Any) -> None:
        self.clock = FakeClock()
        self.cooldowns = Cooldowns(self.clock, CooldownSettings(**values))
        self.calls = 0

    def ask(self, model: str = "m", provider: str = "a", call: str | None = None) -> Pass | Refusal:
        self.calls += 1
        return self.cooldowns.admit(provider, model, call or f"call-{self.calls}")

    def passed(self, model: str = "m", provider: str = "a", call: str | None = None) -> Pass:
        found = self.ask(model, provider, call)
        assert isinstance(found, Pass), found
        return found

    def refused(self, model: str = "m", provider: str = "a") -> Refusal:
        found = self.ask(model, provider)
        assert isinstance(found, Refusal)
        return found

    def fail(self, error: Exception, model: str = "m", call: str | None = None) -> None:
        self.passed(model, call=call).failure(error)

    def advance(self, seconds: float) -> None:
        self.clock.time += seconds


UNAUTHORIZED = AuthenticationError("no", status=401, code="invalid_api_key")
NOT_FOUND = ModelNotFoundError("no", status=404)
FORBIDDEN = PermissionDeniedError("no", status=403)
NO_CREDIT = QuotaExceededError("no", status=429)
DOWN = ServerError("no", status=500)


def too_fast(retry_after: float | None) -> RateLimitError:
    return RateLimitError("no", status=429, retry_after=retry_after)


# 401


def test_a_refused_key_cools_the_whole_provider_down_and_nobody_else() -> None:
    bench = Bench()
    bench.fail(UNAUTHORIZED)
    for model in ("m", "other"):
        refusal = bench.refused(model)
        assert refusal.retry_in == 300
        assert "401" in refusal.reason
        assert not refusal.soft
    bench.passed(provider="b")


def test_a_refused_key_is_probed_every_five_minutes_by_one_call() -> None:
    bench = Bench()
    bench.fail(UNAUTHORIZED)
    for _ in range(3):
        bench.advance(299)
        bench.refused()
        bench.advance(1)
        probe = bench.passed()
        assert "probe" in bench.refused("other").reason
        probe.failure(UNAUTHORIZED)
        assert bench.refused().retry_in == 300
    bench.advance(300)
    bench.passed("other").success()
    bench.passed()
    bench.passed()


def test_the_loud_warning_comes_once_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    with caplog.at_level(logging.WARNING, "switchgear.routing"):
        together = [bench.passed() for _ in range(5)]
        for call in together:
            call.failure(UNAUTHORIZED)
        for _ in range(50):
            bench.advance(300)
            bench.fail(UNAUTHORIZED)
    assert len(caplog.records) == 1
    assert "[providers.a]" in caplog.text
    assert "invalid_api_key" in caplog.text


def test_a_key_that_is_refused_now_and_then_does_not_flood_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    with caplog.at_level(logging.WARNING, "switchgear.routing"):
        for _ in range(24):
            bench.fail(UNAUTHORIZED)
            bench.advance(300)
            bench.passed().success()
    assert len(caplog.records) == 2, "in two hours"


# 403, 404


@pytest.mark.parametrize("error", [NOT_FOUND, FORBIDDEN])
def test_a_model_cools_down_after_three_distinct_calls(error: Exception) -> None:
    bench = Bench()
    for call in ("one", "one", "two", "one", "two"):
        bench.fail(error, call=call)
    bench.passed().ignored()
    bench.fail(error, call="three")
    assert bench.refused().retry_in == 300
    bench.passed("other")


def test_a_success_between_them_starts_the_count_anew() -> None:
    bench = Bench()
    bench.fail(NOT_FOUND)
    bench.fail(NOT_FOUND)
    bench.passed().success()
    bench.fail(NOT_FOUND)
    bench.fail(NOT_FOUND)
    bench.passed()


def test_one_failed_probe_is_enough_to_go_on_cooling() -> None:
    bench = Bench(distinct_calls=1)
    bench.fail(NOT_FOUND)
    bench.advance(300)
    bench.fail(NOT_FOUND)
    assert bench.refused().retry_in == 300


def test_models_that_nobody_has_do_not_pile_up() -> None:
    bench = Bench(most=10, distinct_calls=2)
    for number in range(500):
        for call in ("one", "two"):
            bench.fail(NOT_FOUND, f"m{number}", call)
            bench.fail(NOT_FOUND, f"n{number}", "lone")
    assert len(bench.cooldowns._states) <= 10
    assert len(bench.cooldowns._strikes) <= 10
    bench.refused("m499")


def test_call_ids_do_not_pile_up() -> None:
    bench = Bench(distinct_calls=3)
    waiting = [bench.passed() for _ in range(100)]
    for call in waiting:
        call.failure(NOT_FOUND)
    assert sum(map(len, bench.cooldowns._strikes.values())) <= 3


# 429


def test_a_rate_limit_holds_until_the_time_that_the_provider_named() -> None:
    bench = Bench()
    bench.fail(too_fast(12))
    assert bench.refused().retry_in == 12
    bench.passed("other").ignored()
    bench.advance(12)
    bench.passed()


@pytest.mark.parametrize(
    ("named", "seconds"), [(None, 5), (math.nan, 5), (-3, 5), (1e9, 3600), (math.inf, 3600)]
)
def test_a_rate_limit_without_a_sensible_time_has_one_of_ours(
    named: float | None, seconds: float
) -> None:
    bench = Bench()
    bench.fail(too_fast(named))
    assert bench.refused().retry_in == seconds


def test_a_rate_limit_that_is_over_at_once_is_none() -> None:
    bench = Bench()
    bench.fail(too_fast(0))
    bench.passed()


def test_an_exhausted_quota_cools_down_for_long() -> None:
    bench = Bench()
    bench.fail(QuotaExceededError("no", retry_after=7))
    assert bench.refused().retry_in == 900
    bench.advance(900)
    bench.fail(QuotaExceededError("no", retry_after=1800))
    assert bench.refused().retry_in == 1800


def test_after_a_rate_limit_others_wait_no_longer_than_it_took() -> None:
    # A good answer takes a minute; keeping everybody out for so long over a 429 of 2 s is absurd.
    bench = Bench()
    bench.fail(too_fast(2))
    bench.advance(2)
    bench.passed()
    assert bench.refused().retry_in == 2
    bench.advance(2)
    bench.passed()
    bench.passed()
    assert bench.cooldowns.snapshot() == ()


def test_a_longer_cooldown_is_not_shortened_by_a_late_word() -> None:
    bench = Bench()
    first, second, third = (bench.passed() for _ in range(3))
    first.failure(NO_CREDIT)
    second.failure(too_fast(2))
    assert bench.refused().retry_in == 900
    third.failure(QuotaExceededError("no", retry_after=1000))
    assert bench.refused().retry_in == 1000


# Probes and late outcomes


def test_successes_of_calls_that_were_under_way_do_not_end_a_cooldown() -> None:
    bench = Bench()
    under_way = [bench.passed() for _ in range(50)]
    bench.fail(too_fast(20))
    for call in under_way:
        call.success()
    assert bench.refused().retry_in == 20


def test_a_late_401_from_before_the_key_was_mended_begins_nothing() -> None:
    bench = Bench()
    late, first = bench.passed(), bench.passed()
    first.failure(UNAUTHORIZED)
    bench.advance(300)
    bench.passed().success()
    late.failure(UNAUTHORIZED)
    bench.passed()


@pytest.mark.parametrize("how", ["ignored", "failure"])
def test_a_probe_that_says_nothing_makes_way_for_the_next_at_once(how: str) -> None:
    bench = Bench()
    bench.fail(NO_CREDIT)
    bench.advance(900)
    probe = bench.passed()
    bench.refused()
    probe.ignored() if how == "ignored" else probe.failure(DOWN)
    bench.passed()
    bench.refused()


def test_a_probe_that_is_never_heard_of_holds_others_back_for_a_minute() -> None:
    bench = Bench()
    bench.fail(NO_CREDIT)
    bench.advance(900)
    bench.passed()
    bench.advance(59)
    assert bench.refused().retry_in == 1
    bench.advance(1)
    bench.passed()
    bench.refused()


def test_a_probe_that_took_longer_still_ends_the_cooldown() -> None:
    bench = Bench()
    bench.fail(UNAUTHORIZED)
    bench.advance(300)
    probe = bench.passed()
    bench.advance(120)
    probe.success()
    bench.passed()
    bench.passed()


def test_a_pass_refused_by_one_cooldown_is_no_probe_of_another() -> None:
    bench = Bench()
    both = [bench.passed() for _ in range(2)]
    both[0].failure(too_fast(30))
    both[1].failure(UNAUTHORIZED)
    bench.advance(30)
    bench.refused()
    bench.advance(270)
    bench.passed().success()
    bench.passed()


def test_exactly_one_outcome_of_a_pass_counts() -> None:
    bench = Bench()
    call = bench.passed()
    call.success()
    call.failure(UNAUTHORIZED)
    call.ignored()
    bench.passed()


def test_the_first_call_after_an_unanswered_probe_counts_like_any_other() -> None:
    bench = Bench()
    bench.fail(too_fast(2))
    bench.advance(2)
    bench.passed()
    bench.advance(2)
    bench.fail(too_fast(20))
    assert bench.refused().retry_in == 20


def test_a_probe_that_says_nothing_too_late_makes_way_for_nobody() -> None:
    bench = Bench()
    bench.fail(too_fast(2))
    bench.advance(2)
    probe = bench.passed()
    bench.advance(2)
    probe.ignored()  # others may go by now, whether or not one has asked
    bench.passed()
    bench.passed()


# What others see


def test_a_rate_limit_told_by_an_unanswered_probe_still_counts() -> None:
    bench = Bench()
    limited = RateLimitError("slow", status=429, retry_after=4.0)
    bench.fail(limited)
    bench.advance(5)
    probe = bench.passed()
    bench.advance(5)
    bench.passed()  # the probe has taken longer than the cooldown was, so others go as well
    probe.failure(limited)
    assert bench.refused().retry_in == pytest.approx(4)


def test_health_lists_who_cools_down() -> None:
    bench = Bench()
    assert bench.cooldowns.snapshot() == ()
    bench.fail(NO_CREDIT)
    began = bench.clock.now()
    bench.advance(100)
    (found,) = bench.cooldowns.snapshot()
    assert (found.provider, found.model, found.since) == ("a", "m", began)
    assert (found.retry_in, found.probing) == (800, False)
    assert str(found) == ("a/m: cooling down (out of quota or credit), next probe in 800 s")
    bench.advance(800)
    bench.passed()
    assert str(bench.cooldowns.snapshot()[0]).endswith("a probe is on its way")


def test_a_clock_that_goes_back_prolongs_nothing() -> None:
    bench = Bench()
    bench.fail(too_fast(10))
    bench.advance(-500)
    assert bench.refused().retry_in == 10
    bench.advance(10)
    bench.passed()


@pytest.mark.parametrize("name", CooldownSettings.__struct_fields__)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_a_setting_without_sense_is_named(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"cooldown\.{name}: must be above 0") as refused:
        CooldownSettings(**{name: value})  # type: ignore[arg-type]
    assert refused.value.param == f"cooldown.{name}"


# Against a reference

ERRORS: dict[str, Exception] = {
    "key": UNAUTHORIZED,
    "model": NOT_FOUND,
    "quota": NO_CREDIT,
    "rate": too_fast(4),
    "down": DOWN,
}
LENGTHS = {"key": 32.0, "model": 16.0, "quota": 64.0, "rate": 4.0}
HOLD = 8.0


class Reference:
    """The history of one provider or model, read anew at every question.

    Events are ``(order, what)``; a call knows the order in which it was let through.
    """

    def __init__(self) -> None:
        self.cause: str | None = None
        self.changed = 0
        self.until = -math.inf
        self.length = 0.0
        self.probe: int | None = None
        self.held = -math.inf

    def look(self, now: float) -> bool:
        """Whether a call may go, and what time alone has ended."""
        if self.cause == "rate" and self.probe is not None and now >= max(self.held, self.until):
            self.cause, self.probe = None, None  # nobody has said so: what it says still counts
        if self.cause is None:
            return True
        return now >= self.until and (self.probe is None or now >= self.held)

    def clear(self, order: int) -> None:
        self.cause, self.probe, self.changed = None, None, order

    def cool(self, cause: str, now: float, born: int, order: int) -> None:
        until = now + LENGTHS[cause]
        if born >= self.changed:
            self.cause, self.until, self.length = cause, until, LENGTHS[cause]
            self.probe, self.changed = None, order
        elif self.cause is not None and until > self.until:
            self.cause, self.until, self.length = cause, until, LENGTHS[cause]


class CooldownMachine(RuleBasedStateMachine):
    """Calls to two models of one provider, outcomes in any order, time in any step."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(
            key_seconds=32,
            model_seconds=16,
            quota_seconds=64,
            probe_timeout=HOLD,
            distinct_calls=2,
        )
        self.order = 0
        self.model: dict[str, Reference] = {name: Reference() for name in ("*", "m", "n")}
        self.strikes: dict[str, set[str]] = {"m": set(), "n": set()}
        self.passes: list[tuple[int, Pass]] = []

    @property
    def now(self) -> float:
        return self.bench.clock.time

    def tick(self) -> int:
        self.order += 1
        return self.order

    @rule(seconds=st.sampled_from([0.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]))
    def time_passes(self, seconds: float) -> None:
        self.bench.advance(seconds)

    @rule(name=st.sampled_from("mn"), call=st.sampled_from(["x", "y", "z"]))
    def a_call_asks(self, name: str, call: str) -> None:
        self.ask(name, call)

    @rule(hows=st.lists(st.sampled_from(["success", "lost", "ignored", *ERRORS]), max_size=6))
    def calls_one_by_one(self, hows: list[str]) -> None:
        for how in hows:
            found = self.ask("m", how)
            if found is not None and how != "lost":
                self.end(*self.passes.pop(), how)
            self.bench.advance(4.0)

    def ask(self, name: str, call: str) -> Pass | None:
        found = self.bench.ask(name, call=call)
        levels = [self.model["*"], self.model[name]]
        # A refusal by the provider leaves the model's own state as it was.
        may = all(level.look(self.now) for level in levels)
        assert isinstance(found, Pass) == may
        if isinstance(found, Refusal):
            assert 0 < found.retry_in <= 64
            return None
        born = self.tick()
        for level in levels:
            if level.cause is not None:
                level.probe, level.held = born, self.now + min(HOLD, level.length)
        self.passes.append((born, found))
        return found

    @precondition(lambda self: self.passes)
    @rule(data=st.data(), how=st.sampled_from(["success", "ignored", *ERRORS]))
    def a_call_ends(self, data: st.DataObject, how: str) -> None:
        self.end(*self.passes.pop(data.draw(st.integers(0, len(self.passes) - 1))), how)

    def end(self, born: int, given: Pass, how: str) -> None:
        if how == "ignored":
            given.ignored()
        elif how == "success":
            given.success()
            self.expect_success(born, given)
        else:
            given.failure(ERRORS[how])
            self.expect_failure(born, given, how)
        for level in (self.model["*"], self.model[given.model]):
            if level.probe == born:
                level.look(self.now)  # said too late, it makes way for nobody
                level.probe = None

    def expect_success(self, born: int, given: Pass) -> None:
        self.strikes[given.model].clear()
        for level in (self.model["*"], self.model[given.model]):
            if level.cause is not None and born >= level.changed:
                level.clear(self.tick())

    def expect_failure(self, born: int, given: Pass, how: str) -> None:
        own, struck = self.model[given.model], self.strikes[given.model]
        if how == "key":
            self.model["*"].cool("key", self.now, born, self.tick())
        elif how in {"quota", "rate"}:
            own.cool(how, self.now, born, self.tick())
        elif how == "model":
            if own.cause != "model":
                struck.add(given.call_id)
            if own.cause == "model" or len(struck) >= 2:
                struck.clear()
                own.cool("model", self.now, born, self.tick())

    @invariant()
    def health_agrees(self) -> None:
        listed = {item.model or "*": item for item in self.bench.cooldowns.snapshot()}
        for name, level in self.model.items():
            over = level.cause == "rate" and level.probe is not None
            over = over and self.now >= max(level.held, level.until)
            assert (name in listed) == (level.cause is not None and not over)
            if name in listed:
                waits = [level.until] + ([level.held] if level.probe is not None else [])
                assert listed[name].retry_in == pytest.approx(max(0.0, max(waits) - self.now))

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        for item in self.bench.cooldowns.snapshot():
            assert item.retry_in <= 64 + HOLD


TestCooldownMachine = CooldownMachine.TestCase
TestCooldownMachine.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
