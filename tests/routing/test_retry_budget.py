from __future__ import annotations

import asyncio

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from switchgear.routing.retry_budget import RetryBudget
from tests.routing.strategies.pools import HandClock

WINDOW = 60.0
SLOT = WINDOW / 64


def repeats_granted(budget: RetryBudget, asked: int = 10_000) -> int:
    return sum(budget.take_repeat() for _ in range(asked))


def test_a_quiet_candidate_has_ten_repeats() -> None:
    assert repeats_granted(RetryBudget(HandClock())) == 10


def test_five_calls_pay_for_one_repeat() -> None:
    budget = RetryBudget(HandClock())
    repeats_granted(budget)
    for _ in range(4):
        budget.call()
    assert not budget.take_repeat()
    budget.call()

    assert repeats_granted(budget) == 1


def test_calls_pay_for_repeats_after_them_in_the_same_window_only() -> None:
    """However many calls there were: a window that begins now would hold none of them."""
    budget = RetryBudget(HandClock())
    for _ in range(1000):
        budget.call()

    assert repeats_granted(budget) == 10


def test_at_any_rate_a_fifth_of_the_calls_can_be_repeated() -> None:
    clock = HandClock()
    budget = RetryBudget(clock)
    granted = 0
    for _ in range(60_000):  # a thousand calls a second, each of which wants a repeat
        budget.call()
        granted += budget.take_repeat()
        clock.advance(0.001)

    assert granted == 12_009, "0.2 * 59 999 calls after the first repeat, and 10, rounded down"


def test_repeats_come_back_a_window_after_they_were_spent() -> None:
    clock = HandClock()
    budget = RetryBudget(clock)
    for _ in range(10):
        assert budget.take_repeat()
        clock.advance(2)
    assert not budget.may_repeat()
    clock.advance(WINDOW - 20)
    assert not budget.may_repeat(), "the window is closed: exactly 60 s after the first"
    clock.advance(SLOT)

    assert repeats_granted(budget) == 1


def test_asking_takes_nothing() -> None:
    budget = RetryBudget(HandClock())
    assert all(budget.may_repeat() for _ in range(100))
    assert budget.left == 10


def test_between_asking_and_taking_others_may_take() -> None:
    budget = RetryBudget(HandClock())
    assert budget.may_repeat()
    repeats_granted(budget)
    assert not budget.take_repeat()


def test_its_memory_does_not_grow() -> None:
    clock = HandClock()
    budget = RetryBudget(clock)
    longest = 0
    for step in range(100_000):
        for _ in range(step % 7):
            budget.call()
        budget.take_repeat()
        clock.advance(0.003 * (step % 11))
        longest = max(longest, len(budget._lows))

    assert 2 < longest <= 66


async def test_a_provider_dies_under_64_calls_and_all_of_them_fail_over() -> None:
    """Each call wants three repeats at the dead one; the way to the sound one is never narrow."""
    clock = HandClock()
    dead, sound = RetryBudget(clock), RetryBudget(clock)
    attempts = {"dead": 0, "sound": 0}
    together = asyncio.Barrier(64)

    async def call() -> str:
        dead.call()
        attempts["dead"] += 1
        await together.wait()
        for _ in range(3):
            if not dead.may_repeat():
                break
            await asyncio.sleep(0)  # the back-off: the others go on
            if not dead.take_repeat():
                break
            attempts["dead"] += 1
        sound.call()
        attempts["sound"] += 1
        return "answered"

    answers = await asyncio.gather(*(call() for _ in range(64)))

    assert answers == ["answered"] * 64
    assert attempts["sound"] == 64
    assert attempts["dead"] == 64 + 10
    assert sound.left == 10, "what fails over costs the next one nothing"


class AnyWindow(RuleBasedStateMachine):
    """The budget beside a list of everything that ever happened."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.budget = RetryBudget(self.clock)
        # (time, what it does to "repeats less a fifth of the calls", in fifths)
        self.events: list[tuple[float, int]] = []

    def worst(self, window: float) -> int:
        """The most that any window ending now is overdrawn, in fifths of a repeat."""
        total = worst = 0
        for time, change in reversed(self.events):
            if time < self.clock.time - window:
                break
            total += change
            worst = max(worst, total)
        return worst

    @rule(count=st.integers(1, 40))
    def calls(self, count: int) -> None:
        for _ in range(count):
            self.budget.call()
            self.events.append((self.clock.time, -1))

    @rule(count=st.integers(1, 40))
    def repeats(self, count: int) -> None:
        for _ in range(count):
            allowed = self.budget.may_repeat()
            assert self.budget.take_repeat() == allowed
            if allowed:
                self.events.append((self.clock.time, 5))
                assert self.worst(WINDOW) <= 50
            else:
                assert self.worst(WINDOW + SLOT) + 5 > 50, "refused without need"
                break

    @rule(seconds=st.floats(0, 90) | st.sampled_from([SLOT, 1.0, 59.0, 60.0, 61.0]))
    def time_goes_on(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def no_window_is_ever_overdrawn(self) -> None:
        """Windows that begin at an event suffice: an earlier start adds nothing of this window."""
        for first, (begin, _) in enumerate(self.events):
            inside = [c for time, c in self.events[first:] if time <= begin + WINDOW]
            assert sum(inside) <= 50

    @invariant()
    def what_is_left_is_what_would_be_granted(self) -> None:
        assert (self.budget.left > 0) == self.budget.may_repeat()
        assert len(self.budget._lows) <= 66


AnyWindow.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyWindow = AnyWindow.TestCase
