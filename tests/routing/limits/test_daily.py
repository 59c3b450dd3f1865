from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from switchgear.routing.limits.daily import DailyWindow
from switchgear.routing.limits.measures import REQUESTS

DAY, SLOT = 86_400.0, 300.0


@given(st.lists(st.tuples(st.floats(0, 40_000), st.integers(1, 5)), max_size=60))
def test_never_more_than_the_limit_in_any_24_hours(steps: list[tuple[float, int]]) -> None:
    window = DailyWindow("rpd", REQUESTS, 20)
    now = 0.0
    taken: list[tuple[float, int]] = []
    for pause, amount in steps:
        now += pause
        recent = sum(count for moment, count in taken if moment > now - DAY)
        room = window.room(now)
        assert room <= 20 - recent
        # What left the window longer ago than a slot lasts is really gone.
        late = sum(count for moment, count in taken if moment > now - DAY - SLOT)
        assert room >= 20 - late
        if room >= amount:
            window.take(amount, now)
            taken.append((now, amount))


@given(st.integers(1, 20), st.floats(0, 100_000), st.integers(1, 20))
def test_the_wait_is_long_enough_and_no_longer(taken: int, pause: float, need: int) -> None:
    window = DailyWindow("rpd", REQUESTS, 20)
    window.take(taken, 0.0)
    window.room(pause)
    window.take(20 - window.room(pause), pause) if window.room(pause) < 20 else None
    missing = need - window.room(pause)
    if missing <= 0:
        return
    wait = window.wait(missing, pause)
    assert window.room(pause + wait - 1) < need
    assert window.room(pause + wait) >= need


def test_what_is_given_back_can_be_taken_again() -> None:
    window = DailyWindow("rpd", REQUESTS, 3)
    for now in (0.0, 400.0, 900.0):
        window.room(now)
        window.take(1, now)
    assert window.room(900) == 0
    window.give(2, 900)
    assert window.room(900) == 2
    window.give(-1, 901)
    assert window.room(901) == 1


def test_memory_is_bounded_by_the_slots_of_a_day() -> None:
    window = DailyWindow("rpd", REQUESTS, 1e9)
    for second in range(0, 300_000, 50):
        window.room(float(second))
        window.take(1, float(second))
    assert len(window._slots) <= DAY / SLOT + 2
