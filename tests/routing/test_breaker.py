"""The circuit breaker of one candidate, alone and against a plain reference."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from switchgear import (
    AuthenticationError,
    ConfigError,
    ContentFilterError,
    InvalidRequestError,
    MalformedResponseError,
    OverloadedError,
    PluginError,
    ProviderConnectionError,
    ProviderTimeoutError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
)
from switchgear.routing.breaker import Breaker, Permit, is_failure
from switchgear.routing.breaker_values import BreakerChange, BreakerSettings, Refusal
from switchgear.routing.breaker_window import ForwardTime, SlidingWindow
from tests.routing.helpers import FakeClock, finish


class Bench:
    """A breaker, its clock, and the changes it told of."""

    def __init__(self, **values: Any) -> None:
        self.clock = FakeClock()
        self.changes: list[BreakerChange] = []
        self.settings = BreakerSettings(**values)
        self.breaker = Breaker("a/m", self.settings, self.clock, on_change=self.changes.append)

    def permit(self) -> Permit:
        found = self.breaker.admit()
        assert isinstance(found, Permit), found
        return found

    def refusal(self) -> Refusal:
        found = self.breaker.admit()
        assert isinstance(found, Refusal), found
        return found

    def run(self, outcomes: str) -> None:
        """One call after the other: s(uccess), f(ailure), i(gnored), l(ate first token)."""
        for outcome in outcomes:
            finish(self.permit(), outcome)

    def state(self) -> str:
        return self.breaker.state

    def trip(self) -> None:
        self.run("f" * self.settings.consecutive_failures)
        assert self.state() == "open"

    def half_open(self) -> None:
        self.trip()
        self.clock.advance(self.settings.open_seconds)
        assert self.state() == "half-open"

    def path(self) -> list[str]:
        return [change.after for change in self.changes]


# Opening


def test_failures_in_a_row_open_it_before_there_is_a_rate() -> None:
    bench = Bench(consecutive_failures=3)
    bench.run("sff")
    assert bench.state() == "closed"
    bench.run("f")
    assert bench.state() == "open"
    assert bench.changes[-1].reason == "3 failures in a row"


def test_a_success_ends_the_row() -> None:
    bench = Bench(consecutive_failures=3)
    bench.run("ffsffsffs")
    assert bench.state() == "closed"


def test_the_failure_rate_opens_it_only_from_the_minimum_of_calls_on() -> None:
    bench = Bench(failure_rate=0.5, minimum_calls=6, consecutive_failures=100)
    bench.run("sfsfs")
    assert bench.state() == "closed"
    bench.run("f")
    assert bench.state() == "open"
    assert bench.changes[-1].reason == "3 of 6 calls failed"


def test_failures_that_have_left_the_window_no_longer_count() -> None:
    bench = Bench(failure_rate=0.5, minimum_calls=4, window=60, consecutive_failures=100)
    bench.run("fff")
    bench.clock.advance(61)
    bench.run("sss")
    bench.run("f")
    assert bench.state() == "closed"
    assert bench.breaker.snapshot().failure_rate == 0.25


def test_a_success_never_opens_it_even_if_it_completes_the_minimum() -> None:
    bench = Bench(failure_rate=0.1, minimum_calls=3, consecutive_failures=100)
    bench.run("ffs")
    assert bench.state() == "closed"


def test_slow_calls_open_it_by_a_rate_of_their_own() -> None:
    bench = Bench(slow_call_seconds=2.0, slow_call_rate=0.5, minimum_calls=4)
    bench.run("sls")
    bench.permit().success(2.0)  # just at the threshold: not over it
    assert bench.state() == "closed"
    bench.run("ll")
    assert bench.state() == "open"
    assert "slow" in bench.changes[-1].reason


def test_without_a_threshold_nothing_is_slow() -> None:
    bench = Bench(minimum_calls=1, slow_call_rate=0.01)
    bench.run("l" * 50)
    assert bench.state() == "closed"
    assert bench.breaker.snapshot().slow_calls == 0


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60))
def test_closed_with_only_successes_never_opens(pauses: list[float]) -> None:
    bench = Bench(minimum_calls=1, consecutive_failures=1, failure_rate=0.01)
    for pause in pauses:
        bench.clock.advance(pause)
        bench.run("s")
    assert bench.state() == "closed"
    assert bench.changes == []


@given(st.text("sfi", max_size=60))
def test_ignored_outcomes_change_no_rate(outcomes: str) -> None:
    mixed, plain = (Bench(consecutive_failures=100, minimum_calls=100) for _ in range(2))
    mixed.run(outcomes)
    plain.run(outcomes.replace("i", ""))
    assert mixed.breaker.snapshot() == plain.breaker.snapshot()


# Open


def test_open_lets_nothing_through_and_says_for_how_long() -> None:
    bench = Bench(open_seconds=30)
    bench.trip()
    bench.clock.advance(12)
    refusal = bench.refusal()
    assert refusal.retry_in == 18
    assert not refusal.soft
    assert "5 failures in a row" in refusal.reason
    assert isinstance(bench.breaker.admit(insist=True), Refusal)


def test_each_failed_round_of_probes_doubles_the_wait_up_to_the_longest() -> None:
    bench = Bench(open_seconds=30, longest_open=100)
    bench.trip()
    waits = []
    for _ in range(4):
        waits.append(bench.refusal().retry_in)
        bench.clock.advance(waits[-1])
        bench.run("f")
    assert waits == [30, 60, 100, 100]


def test_after_a_whole_recovery_the_wait_is_short_again() -> None:
    bench = Bench(open_seconds=30, ramp_seconds=10)
    bench.half_open()
    bench.run("f")
    assert bench.refusal().retry_in == 60
    bench.clock.advance(60)
    bench.run("s")
    bench.clock.advance(10)
    assert bench.state() == "closed"
    bench.trip()
    assert bench.refusal().retry_in == 30


def test_falling_back_while_ramping_counts_as_a_failed_round() -> None:
    bench = Bench(open_seconds=30, ramp_seconds=10, consecutive_failures=1)
    bench.half_open()
    bench.run("sf")
    assert bench.state() == "open"
    assert bench.refusal().retry_in == 60


@given(st.integers(0, 8), st.floats(1, 100), st.floats(1, 10))
def test_open_always_ends_without_traffic(rounds: int, first: float, factor: float) -> None:
    bench = Bench(open_seconds=first, longest_open=first * factor, consecutive_failures=1)
    bench.run("f")
    for _ in range(rounds):
        bench.clock.advance(bench.refusal().retry_in + 0.001)
        bench.run("f")
    bench.clock.advance(first * factor + 0.001)
    assert bench.state() == "half-open"


# Half-open


def test_half_open_lets_a_limited_number_of_probes_through() -> None:
    bench = Bench(probes=2, probe_successes=2)
    bench.half_open()
    bench.permit()
    second = bench.permit()
    assert "probe" in bench.refusal().reason
    second.success()
    assert bench.state() == "half-open"
    bench.permit()
    bench.refusal()


def test_an_ignored_probe_makes_way_for_the_next() -> None:
    bench = Bench()
    bench.half_open()
    bench.run("iii")
    assert bench.state() == "half-open"
    bench.run("s")
    assert bench.state() == "ramping"


def test_a_probe_that_is_never_reported_holds_others_back_only_for_a_time() -> None:
    bench = Bench(probe_timeout=60)
    bench.half_open()
    bench.permit()
    bench.clock.advance(20)
    assert bench.refusal().retry_in == 40
    bench.clock.advance(40)
    bench.permit()


def test_a_probe_that_took_longer_than_the_wait_still_closes_it() -> None:
    # Else a model that thinks for minutes would never recover.
    bench = Bench(probe_timeout=60)
    bench.half_open()
    slow_thinker = bench.permit()
    bench.clock.advance(100)
    next_probe = bench.permit()
    slow_thinker.success(99)
    assert bench.state() == "ramping"
    next_probe.failure()
    assert bench.state() == "ramping"


def test_a_slow_probe_is_a_failed_one() -> None:
    bench = Bench(slow_call_seconds=2)
    bench.half_open()
    bench.run("l")
    assert bench.state() == "open"
    assert bench.changes[-1].reason == "a probe was slow"


# Late and doubled outcomes


def test_an_outcome_of_a_state_that_is_gone_changes_nothing() -> None:
    bench = Bench(probes=2)
    late = [bench.permit() for _ in range(20)]
    bench.half_open()
    before = bench.breaker.snapshot()
    for permit, outcome in zip(late, "sf" * 10, strict=True):
        finish(permit, outcome)
    assert bench.breaker.snapshot() == before
    bench.run("s")
    assert bench.breaker.snapshot().calls == 0


def test_calls_that_began_in_the_ramp_still_count_after_it() -> None:
    bench = Bench(ramp_seconds=10)
    bench.half_open()
    bench.run("s")
    ramping = bench.permit()
    bench.clock.advance(10)
    assert bench.state() == "closed"
    ramping.failure()
    assert bench.breaker.snapshot().failures == 1


@given(st.text("sfil", min_size=2, max_size=6))
def test_exactly_one_outcome_of_a_permit_counts(outcomes: str) -> None:
    once, often = (Bench(slow_call_seconds=1) for _ in range(2))
    finish(once.permit(), outcomes[0])
    permit = often.permit()
    for outcome in outcomes:
        finish(permit, outcome)
    assert often.breaker.snapshot() == once.breaker.snapshot()


# The ramp


def ramped(seconds: float = 10) -> Bench:
    bench = Bench(ramp_seconds=seconds)
    bench.half_open()
    bench.run("s")
    assert bench.state() == "ramping"
    return bench


@pytest.mark.parametrize("part", [0.0, 0.25, 0.5, 0.9])
def test_the_ramp_lets_a_growing_share_through_evenly(part: float) -> None:
    bench = ramped(10)
    bench.clock.advance(10 * part)
    share = 0.1 + 0.9 * part
    assert bench.breaker.snapshot().share == pytest.approx(share)
    passed = [isinstance(bench.breaker.admit(), Permit) for _ in range(200)]
    assert passed[0], "the first call after closing is let through"
    for calls in range(1, 201):
        assert abs(sum(passed[:calls]) - share * calls) <= 1


def test_who_has_nobody_else_may_insist_while_ramping() -> None:
    bench = ramped()
    bench.permit()
    refusal = bench.refusal()
    assert refusal.soft
    permit = bench.breaker.admit(insist=True)
    assert isinstance(permit, Permit)
    permit.failure()
    assert bench.breaker.snapshot().failures == 1


def test_the_ramp_ends_by_itself() -> None:
    bench = ramped(10)
    bench.clock.advance(10)
    assert [bench.permit() for _ in range(20)]
    assert bench.path() == ["open", "half-open", "ramping", "closed"]


def test_a_ramp_of_no_length_is_none() -> None:
    bench = Bench(ramp_seconds=0)
    bench.half_open()
    bench.run("s")
    assert bench.state() == "closed"
    bench.trip()
    assert bench.refusal().retry_in == 30


def test_what_led_to_the_outage_does_not_count_after_it() -> None:
    bench = Bench(minimum_calls=5, consecutive_failures=5, open_seconds=1, ramp_seconds=1)
    bench.trip()
    bench.clock.advance(1)
    bench.run("s")
    bench.clock.advance(1)
    assert bench.breaker.snapshot().calls == 0
    bench.run("f")
    assert bench.state() == "closed"


# Listeners and health


def test_listeners_hear_of_every_change_with_its_reason() -> None:
    bench = Bench(open_seconds=30, ramp_seconds=10)
    bench.half_open()
    bench.run("s")
    bench.clock.advance(10)
    assert bench.state() == "closed"
    assert [(c.before, c.after) for c in bench.changes] == [
        ("closed", "open"),
        ("open", "half-open"),
        ("half-open", "ramping"),
        ("ramping", "closed"),
    ]
    assert all(change.name == "a/m" and change.reason for change in bench.changes)
    assert [change.retry_in for change in bench.changes] == [30, 0, 0, 0]


def test_a_listener_that_raises_is_logged_and_goes_no_further(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(change: BreakerChange) -> None:
        raise ZeroDivisionError

    breaker = Breaker("a/m", BreakerSettings(consecutive_failures=1), FakeClock(), on_change=broken)
    permit = breaker.admit()
    assert isinstance(permit, Permit)
    with caplog.at_level(logging.ERROR, "switchgear.routing"):
        permit.failure()
    assert breaker.state == "open"
    assert "a/m" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_listener_may_call_back() -> None:
    seen: list[tuple[str, str]] = []

    def curious(change: BreakerChange) -> None:
        seen.append((change.after, breaker.state))
        breaker.snapshot()
        if change.after == "half-open":
            assert isinstance(breaker.admit(), Refusal), "the one probe belongs to who asked"

    clock = FakeClock()
    breaker = Breaker("a/m", BreakerSettings(consecutive_failures=1), clock, on_change=curious)
    first = breaker.admit()
    assert isinstance(first, Permit)
    first.failure()
    clock.advance(30)
    assert isinstance(breaker.admit(), Permit)
    assert seen == [("open", "open"), ("half-open", "half-open")]


def test_health_says_how_it_stands_to_code_and_to_a_person() -> None:
    bench = Bench(open_seconds=30, slow_call_seconds=2)
    assert str(bench.breaker.snapshot()) == "a/m: closed"
    bench.run("sl")
    bench.trip()
    opened = bench.clock.now()
    bench.clock.advance(10)
    health = bench.breaker.snapshot()
    assert (health.state, health.since, health.retry_in) == ("open", opened, 20)
    assert (health.calls, health.failures, health.slow_calls) == (7, 5, 1)
    assert health.failure_rate == pytest.approx(5 / 7)
    assert (health.opened, health.share, health.failures_in_a_row) == (1, 0.0, 5)
    assert str(health) == (
        "a/m: open (5 failures in a row) next probe in 20 s — 5 failed and 1 slow of 7 lately"
    )
    bench.clock.advance(20)
    bench.run("s")
    bench.clock.advance(5)
    assert str(bench.breaker.snapshot()) == (
        "a/m: ramping (probes succeeded) takes 55% of its calls"
    )


def test_a_state_that_ended_by_time_began_then_and_not_when_somebody_looked() -> None:
    bench = Bench(open_seconds=30)
    bench.trip()
    due = bench.clock.now() + 30
    bench.clock.advance(1000)
    assert bench.breaker.snapshot().since == pytest.approx(due)


# Which errors count


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        (ProviderTimeoutError, True),
        (ProviderConnectionError, True),
        (ServerError, True),
        (OverloadedError, True),
        (MalformedResponseError, True),
        (StreamInterruptedError, True),
        (PluginError, True),
        (InvalidRequestError, False),
        (AuthenticationError, False),
        (ContentFilterError, False),
        (RateLimitError, False),
        (QuotaExceededError, False),
    ],
)
def test_errors_of_the_callers_making_and_limits_do_not_speak_against_a_candidate(
    kind: type[Exception], counts: bool
) -> None:
    assert is_failure(kind("told so")) is counts


# Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("failure_rate", 0),
        ("failure_rate", 1.1),
        ("failure_rate", math.nan),
        ("slow_call_rate", -1),
        ("minimum_calls", 0),
        ("consecutive_failures", 0),
        ("probes", 0),
        ("probe_successes", 0),
        ("probe_timeout", 0),
        ("window", math.inf),
        ("open_seconds", -1),
        ("longest_open", 29),
        ("ramp_seconds", -1),
        ("slow_call_seconds", 0),
    ],
)
def test_a_setting_without_sense_is_named(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"breaker\.{name}: must be .*{value}") as refused:
        BreakerSettings(**{name: value})  # type: ignore[arg-type]
    assert refused.value.param == f"breaker.{name}"


# Time


def test_a_clock_that_goes_back_has_not_moved() -> None:
    clock = FakeClock(100)
    time = ForwardTime(clock)
    seen = []
    for step in (5.0, -50.0, 5.0, -1.0, 0.0, 10.0):
        clock.advance(step)
        seen.append(time.now())
    assert seen == [105, 105, 110, 110, 110, 120]


def test_open_ends_also_when_the_clock_jumped_back() -> None:
    bench = Bench(open_seconds=30)
    bench.trip()
    bench.clock.advance(-500)
    assert bench.refusal().retry_in == 30
    bench.clock.advance(30)
    bench.permit()


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=80))
def test_the_window_remembers_neither_too_little_nor_too_much(
    events: list[tuple[float, bool]],
) -> None:
    window, now, log = SlidingWindow(60.0), 500.0, []
    for pause, failed in events:
        now += pause
        window.add(now, failed=failed)
        log.append((now, failed))
        certain = [bad for at, bad in log if now - at < 54.9]
        possible = [bad for at, bad in log if now - at <= 60.1]
        assert len(certain) <= window.calls <= len(possible)
        assert sum(certain) <= window.failures <= sum(possible)


def test_the_window_takes_the_same_room_however_many_calls() -> None:
    window = SlidingWindow(60.0)
    for call in range(100_000):
        window.add(call * 0.01, failed=True)
    assert len(window._rows) <= 12


# What it costs to load


def test_pybreaker_is_loaded_without_redis() -> None:
    # It imports all of redis where that is installed: a third of a second on the event loop.
    program = (
        "import sys; from switchgear.clock import SystemClock;"
        "from switchgear.routing.breaker import Breaker, BreakerSettings;"
        "Breaker('a/m', BreakerSettings(), SystemClock());"
        "assert 'redis' not in sys.modules and 'tornado' not in sys.modules;"
        "import pybreaker; pybreaker.CircuitBreaker()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# Against a reference


class Reference:
    """The same rules, written for reading: whole histories, no counters."""

    def __init__(self, values: BreakerSettings) -> None:
        self.values = values
        self.now = 0.0
        self.state = "closed"
        self.epoch = 0
        self.until = math.inf
        self.began = 0.0
        self.rounds = 0
        self.log: list[tuple[int, str]] = []
        self.probe_log: list[str] = []
        self.probes: dict[int, float] = {}

    def tick(self) -> None:
        if self.now < self.until:
            return
        if self.state == "open":
            self.go("half-open", math.inf, began=self.until)
        elif self.state == "ramping":
            self.rounds = 0
            self.state, self.until, self.began = "closed", math.inf, self.until

    def go(self, state: str, until: float, began: float | None = None) -> None:
        self.state, self.until = state, until
        self.began = self.now if began is None else began
        self.epoch += 1
        self.probes, self.probe_log = {}, []

    def slice(self) -> int:
        return int(self.now // (self.values.window / 12))

    def recent(self) -> list[str]:
        return [kind for at, kind in self.log if self.slice() - at < 12]

    def may_probe(self) -> bool:
        waiting = [until for until in self.probes.values() if until > self.now]
        return len(waiting) < self.values.probes

    def report(self, number: int, epoch: int, outcome: str) -> None:
        self.tick()
        if epoch != self.epoch:
            return
        self.probes.pop(number, None)
        if outcome == "i":
            return
        if self.state == "half-open":
            self.probe_log.append(outcome)
            if outcome in "fl":
                self.open()
            elif self.probe_log.count("s") == self.values.probe_successes:
                self.log.clear()
                self.go("ramping", self.now + self.values.ramp_seconds)
            return
        self.log.append((self.slice(), outcome))
        in_a_row = "".join(kind for _, kind in self.log[-self.values.consecutive_failures :])
        dead = in_a_row == "f" * self.values.consecutive_failures
        recent = self.recent()
        share = {"f": self.values.failure_rate, "l": self.values.slow_call_rate, "s": 2.0}[outcome]
        enough = len(recent) >= self.values.minimum_calls
        if dead or (enough and recent.count(outcome) >= share * len(recent)):
            self.open()

    def open(self) -> None:
        if self.state != "closed":
            self.rounds += 1
        wait = min(self.values.longest_open, self.values.open_seconds * 2**self.rounds)
        self.go("open", self.now + wait)


class BreakerMachine(RuleBasedStateMachine):
    """Random calls, outcomes in any order, and time in any step."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(
            failure_rate=0.5,
            minimum_calls=5,
            window=24.0,
            consecutive_failures=4,
            open_seconds=8.0,
            longest_open=32.0,
            probes=2,
            probe_successes=2,
            probe_timeout=6.0,
            ramp_seconds=4.0,
            slow_call_seconds=1.0,
            slow_call_rate=0.5,
        )
        self.model = Reference(self.bench.settings)
        self.model.now = self.bench.clock.time
        self.permits: list[tuple[int, int, Permit]] = []
        self.number = 0

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.0, 4.0, 8.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.bench.clock.advance(seconds)
        self.model.now += seconds

    @rule(seconds=st.sampled_from([1.0, 100.0]))
    def the_clock_jumps_back(self, seconds: float) -> None:
        self.bench.clock.advance(-seconds)
        assert self.bench.state()  # it is looked at before time goes on

    @rule(insist=st.booleans())
    def a_call_asks(self, insist: bool) -> None:
        self.model.tick()
        found = self.bench.breaker.admit(insist=insist)
        passed = isinstance(found, Permit)
        if self.model.state == "open":
            assert isinstance(found, Refusal)
            assert not found.soft
            assert 0 < found.retry_in <= self.bench.settings.longest_open
        elif self.model.state == "half-open":
            assert passed == self.model.may_probe()
        elif self.model.state == "ramping":
            assert passed or (isinstance(found, Refusal) and found.soft and not insist)
        else:
            assert passed
        if isinstance(found, Permit):
            self.number += 1
            self.permits.append((self.number, self.model.epoch, found))
            if self.model.state == "half-open":
                self.model.probes[self.number] = self.model.now + 6.0

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), outcome=st.sampled_from("sfil"), again=st.booleans())
    def a_call_ends(self, data: st.DataObject, outcome: str, again: bool) -> None:
        index = data.draw(st.integers(0, len(self.permits) - 1))
        number, epoch, permit = self.permits.pop(index)
        before = self.bench.breaker.snapshot()
        finish(permit, outcome)
        if epoch != self.model.epoch:
            assert self.bench.breaker.snapshot() == before, "it came too late"
        self.model.report(number, epoch, outcome)
        if again:
            finish(permit, "f")

    @rule(outcomes=st.text("sfl", min_size=1, max_size=6))
    def calls_one_by_one(self, outcomes: str) -> None:
        for outcome in outcomes:
            self.model.tick()
            found = self.bench.breaker.admit(insist=True)
            if not isinstance(found, Permit):
                return
            finish(found, outcome)
            self.model.report(-1, self.model.epoch, outcome)

    @invariant()
    def they_agree(self) -> None:
        self.model.tick()
        health = self.bench.breaker.snapshot()
        recent = self.model.recent()
        assert health.state == self.model.state
        counts = (health.calls, health.failures, health.slow_calls)
        assert counts == (len(recent), recent.count("f"), recent.count("l"))
        assert health.retry_in <= self.bench.settings.longest_open
        if health.state == "open":
            assert health.retry_in == pytest.approx(self.model.until - self.model.now)

    @invariant()
    def never_more_probes_than_allowed(self) -> None:
        if self.model.state == "half-open":
            waiting = [until for until in self.model.probes.values() if until > self.model.now]
            assert len(waiting) <= self.bench.settings.probes
            assert len(self.bench.breaker._probes) <= self.bench.settings.probes


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
