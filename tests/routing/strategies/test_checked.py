"""A strategy of another package: whatever it does, every member is tried."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from switchgear.clock import SystemClock
from switchgear.routing.stats import CandidateStats
from switchgear.routing.strategies import Hint, Member, PoolContext
from switchgear.routing.strategies.checked import Checked


class Theirs:
    needs = frozenset[Hint]()

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self.answer = answer

    def order(self, pool: Sequence[Member], context: PoolContext) -> Any:
        return self.answer(pool)


class _Ends(BaseException):
    pass


def ends(_: Any) -> None:
    raise _Ends


def leaves(_: Any) -> None:
    raise SystemExit(1)


def clears(pool: list[Member]) -> list[Member]:
    pool.clear()
    return pool


def drops(pool: list[Member]) -> list[Member]:
    pool.pop()
    return pool


def never_ends(pool: list[Member]) -> Any:
    return itertools.cycle(pool)


@pytest.mark.parametrize("answer", [ends, leaves, clears, drops, never_ends])
def test_the_pool_stays_as_it_is_written(answer: Callable[[Any], Any]) -> None:
    pool = [Member(name=str(number), stats=CandidateStats(SystemClock())) for number in range(3)]
    written = tuple(pool)
    context = PoolContext(now=0.0, pool="g", conversation=b"")
    ordered = Checked(Theirs(answer), "theirs", "g").order(pool, context)
    assert tuple(ordered) == written
