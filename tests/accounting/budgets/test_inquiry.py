"""Nobody waits long for how a budget stands, nor asks again and again where nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from switchgear.accounting.budgets.inquiry import Inquiry
from switchgear.errors import LedgerError
from switchgear.testing.loop_clock import LoopClock

pytestmark = pytest.mark.looptime


class Database:
    """Answers after so many seconds, or not."""

    def __init__(self, takes: float = 0.0) -> None:
        self.takes = takes
        self.fails = False
        self.asked: list[str] = []
        self.told: list[str] = []

    async def __call__(self, keys: Iterable[str]) -> None:
        (key,) = keys
        self.asked.append(key)
        await asyncio.sleep(self.takes)
        if self.fails:
            raise LedgerError("away")
        self.told.append(key)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_many_who_want_to_know_the_same_ask_once() -> None:
    database = Database(0.01)
    inquiry = Inquiry(database, LoopClock())
    await asyncio.gather(*(inquiry.about(key, timeout=1) for key in "aabab"))
    assert sorted(database.told) == sorted(database.asked) == ["a", "b"]


async def test_whoever_asks_goes_on_in_time_and_the_next_ones_at_once() -> None:
    database = Database(3600)
    inquiry = Inquiry(database, LoopClock())
    began = now()
    await inquiry.about("a", timeout=0.25)
    assert now() - began == pytest.approx(0.25)
    for key in "abc":
        await inquiry.about(key, timeout=0.25)
    assert now() - began == pytest.approx(0.25)
    assert database.asked == ["a"]
    await asyncio.sleep(5)
    await inquiry.about("b", timeout=0.25)
    assert database.asked == ["a", "b"]
    await inquiry.aclose()


async def test_an_answer_that_comes_late_is_heard_and_ends_the_silence() -> None:
    database = Database(1)
    inquiry = Inquiry(database, LoopClock())
    await inquiry.about("a", timeout=0.25)
    await asyncio.sleep(1)
    assert database.told == ["a"]
    database.takes = 0
    await inquiry.about("b", timeout=0.25)
    assert database.told == ["a", "b"]


async def test_a_failure_is_nobodys_error_and_is_remembered_for_a_while() -> None:
    database = Database()
    database.fails = True
    inquiry = Inquiry(database, LoopClock())
    for key in "ab":
        await inquiry.about(key, timeout=1)
    assert database.asked == ["a"]


async def test_one_who_is_cancelled_does_not_take_the_question_along() -> None:
    database = Database(0.2)
    inquiry = Inquiry(database, LoopClock())
    first = asyncio.create_task(inquiry.about("a", timeout=1))
    second = asyncio.create_task(inquiry.about("a", timeout=1))
    await asyncio.sleep(0.1)
    first.cancel()
    await second
    assert database.told == ["a"]


async def test_closing_ends_what_is_under_way() -> None:
    database = Database(3600)
    inquiry = Inquiry(database, LoopClock())
    await inquiry.about("a", timeout=0.25)
    await inquiry.aclose()
    assert not inquiry._under_way
    await inquiry.about("b", timeout=0.25)
    assert database.asked == ["a"]
