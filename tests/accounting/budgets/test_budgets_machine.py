"""Several processes' budgets in every order that chance finds, against a model of the truth.

The model knows what nobody in the library knows: every amount that any process, alive or dead, has
promised or spent. After each step it is held against the limits, and against the database.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from switchgear.accounting.budgets.keys import Party
from switchgear.accounting.ledger.matching import Keyring
from switchgear.errors import BudgetBusyError, BudgetExceededError, LedgerError, LifecycleError
from tests.accounting.budgets.desks import Attempt, Desk, Office, hard
from tests.accounting.budgets.roads import Place

RULES = (
    hard("global", "0.000001", "ever"),
    hard("project:*", "0.0000006", "day"),
    hard("project:p1", "0.0000005", "day"),
    hard("agent:*", "0.0000004", "hour"),
)
"""Limits of 1000, 600 (p1: 500) and 400 of the unit that everything is counted in."""

PARTIES = st.builds(Party, project_id=st.sampled_from(["", "p1"]), agent_id=st.sampled_from("ab"))
AMOUNTS = st.sampled_from([1, 10, 30, 100, 250, 399])
DAY = 86_400.0
CALLS = st.lists(
    st.tuples(
        st.integers(0, 2), PARTIES, AMOUNTS, st.booleans(), st.sampled_from([0.0, 0.01, 0.2, 3.0])
    ),
    min_size=1,
    max_size=4,
)


class Waiting:
    """A call that is at its budgets."""

    def __init__(self, desk: Desk, task: asyncio.Task[Attempt], until: float) -> None:
        self.desk = desk
        self.task = task
        self.until = until


class BudgetsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="switchgear-budgets-"))
        self.waiting: list[Waiting] = []
        # By attempt: what the model says that it can have cost.
        self.spent: dict[bytes, int] = {}
        self.overrun: dict[str, int] = {}
        self.faults = 0

    @initialize(
        desks=st.integers(1, 3), delay=st.sampled_from([0.0, 0.002, 0.03]), late=st.booleans()
    )
    def begin(self, desks: int, delay: float, late: bool) -> None:
        self.office = Office(self.folder, delay=delay, late=late, place=self.place())
        self.most = desks

    def place(self) -> Place | None:
        """The shared state that decides; the database where there is none."""
        return None

    def alive(self) -> list[Desk]:
        return [desk for desk in self.office.desks if not desk.gone]

    def pick(self, which: int) -> Desk:
        alive, place = self.alive(), which % self.most
        return alive[place] if place < len(alive) else self.office.desk(*RULES)

    # What may happen.

    @rule(calls=CALLS, at_once=st.booleans())
    def reserve(self, calls: list[tuple[Any, ...]], at_once: bool) -> None:
        loop = self.office.loop
        for which, party, amount, patient, timeout in calls:
            desk = self.pick(which)
            work = desk.reserve(amount, party, timeout=timeout, patient=patient)
            self.waiting.append(Waiting(desk, loop.create_task(work), loop.time() + timeout + 1.0))
        self.office.wait(0.0 if at_once else 0.2)

    @rule(calls=CALLS, part=st.sampled_from([0, 0.2, 1]))
    def spend(self, calls: list[tuple[Any, ...]], part: float) -> None:
        self.reserve(calls, at_once=False)
        for attempt in self.office.live()[-len(calls) :]:
            self.finish(attempt, int(attempt.holding.amount * part))

    def finish(self, attempt: Attempt, bound: int) -> None:
        attempt.desk.end(attempt, bound)
        self.spent[attempt.row.id] = bound

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 20))
    def cancel(self, which: int) -> None:
        self.waiting[which % len(self.waiting)].task.cancel()

    @precondition(lambda self: self.office.live())
    @rule(which=st.integers(0, 20), part=st.sampled_from([0, 0.2, 1, 1]))
    def end(self, which: int, part: float) -> None:
        live = self.office.live()
        attempt = live[which % len(live)]
        self.finish(attempt, int(attempt.holding.amount * part))
        self.office.wait(0.0)

    @precondition(lambda self: self.office.live())
    @rule(which=st.integers(0, 20), over=st.integers(1, 300))
    def end_above_what_was_set_aside(self, which: int, over: int) -> None:
        live = self.office.live()
        attempt = live[which % len(live)]
        attempt.desk.end(attempt, attempt.holding.amount + over)
        self.spent[attempt.row.id] = attempt.holding.amount + over
        for key in attempt.holding.keys:
            self.overrun[key] = self.overrun.get(key, 0) + over
        self.office.wait(0.0)

    @precondition(lambda self: self.office.live())
    @rule(which=st.integers(0, 20))
    def never_sent(self, which: int) -> None:
        live = self.office.live()
        attempt = live[which % len(live)]
        attempt.desk.drop(attempt)
        self.spent[attempt.row.id] = 0

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.06, 0.3, 1.5, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.office.wait(seconds)

    @rule(seconds=st.sampled_from([-DAY, -3600.0, -1.0, 1.0, 1800.0, DAY]))
    def somebody_sets_the_clock(self, seconds: float) -> None:
        self.office.clock.shift += seconds

    @precondition(lambda self: self.alive())
    @rule(
        which=st.integers(0, 2), when=st.sampled_from(["before", "after"]), later=st.integers(0, 3)
    )
    def the_database_fails(self, which: int, when: str, later: int) -> None:
        self.pick(which).store.failing.extend([""] * later + [when])
        self.faults += 1

    @precondition(lambda self: self.office.live())
    @rule(which=st.integers(0, 20), dies=st.booleans())
    def leave(self, which: int, dies: bool) -> None:
        live = self.office.live()
        desk = live[which % len(live)].desk
        if not dies:
            self.office.run(desk.close())
            return
        desk.die()
        for waiting in [each for each in self.waiting if each.desk is desk]:
            waiting.task.cancel()
        self.office.wait(0.0)

    # What must hold.

    def truth(self) -> dict[str, int]:
        """What is spent or may still be, by counter."""
        sums: dict[str, int] = {}
        for attempt in self.office.attempts:
            amount = self.spent.get(attempt.row.id, attempt.holding.amount)
            for key in attempt.holding.keys:
                sums[key] = sums.get(key, 0) + amount
        return sums

    def limit(self, key: str) -> int:
        found = self.office.desks[0].rules.of_counter(key)
        return min(each.limit for each in found)

    @invariant()
    def nothing_is_exceeded_in_truth(self) -> None:
        for key, amount in self.truth().items():
            assert amount <= self.limit(key) + self.overrun.get(key, 0), key

    @invariant()
    def nothing_is_exceeded_in_the_database(self) -> None:
        for key, bound in self.office.bounds().items():
            total = bound + self.office.leased(key)
            assert total <= self.limit(key) + self.overrun.get(key, 0), key

    @invariant()
    def nobody_promises_more_than_is_leased_to_it(self) -> None:
        leases = self.office.leases()
        for desk in self.alive():
            unheard = desk.used_of(self.office.booked_up_to(desk))
            for key, granted in desk.granted().items():
                leased = leases.get((key, desk.name), 0)
                assert granted - unheard.get(key, 0) <= leased, key
            for key in desk.budgets._slices.keys:
                assert desk.budgets._slices.free(key) >= 0, key

    @invariant()
    def nobody_waits_past_its_time_or_fails_without_reason(self) -> None:
        now = self.office.loop.time()
        for waiting in list(self.waiting):
            if not waiting.task.done():
                # Opening a ledger, and a database that fails, may take their own time.
                assert self.faults or now <= waiting.until + 1.0
                continue
            self.waiting.remove(waiting)
            if waiting.task.cancelled():
                continue
            error = waiting.task.exception()
            if error is None or waiting.desk.gone:
                continue
            allowed: tuple[type[Exception], ...] = (BudgetBusyError, BudgetExceededError)
            if self.faults:
                allowed += (LedgerError,)
            assert isinstance(error, (*allowed, LifecycleError)), error

    def teardown(self) -> None:
        try:
            if hasattr(self, "office"):
                self.settle()
        finally:
            if hasattr(self, "office"):
                self.office.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def settle(self) -> None:
        """Everything ends; then the database knows it all, and holds nothing back."""
        for desk in self.office.desks:
            desk.store.failing.clear()
        for waiting in self.waiting:
            waiting.task.cancel()
        self.office.wait(0.1)
        for attempt in self.office.live():
            attempt.desk.end(attempt, attempt.holding.amount)
            self.spent[attempt.row.id] = attempt.holding.amount
        for desk in self.alive():
            self.office.run(desk.close())
        last = self.office.desk(*RULES)
        self.office.run(last.ledger.ready())
        self.office.run(last.ledger.adopt_now())
        self.office.run(last.close())
        assert self.office.leases() == {}
        rows = self.office.rows()
        booked = {row.id: -(-(row.bound or 0) // 1000) for row in rows}
        assert len(booked) == len(rows)
        known = {attempt.row.id for attempt in self.office.attempts}
        assert booked.keys() <= known
        dropped = {each for each, bound in self.spent.items() if not bound}
        assert known - booked.keys() <= dropped
        for attempt in self.office.attempts:
            if attempt.row.id in booked:
                expected = self.spent.get(attempt.row.id, attempt.holding.amount)
                assert booked[attempt.row.id] == expected
        self.counters_are_the_sums_of_rows(rows)
        self.nothing_is_exceeded_in_truth()
        self.nothing_is_exceeded_in_the_database()

    def counters_are_the_sums_of_rows(self, rows: list[Any]) -> None:
        ring = Keyring(self.office.desks[0].rules.counted)
        sums = dict.fromkeys(self.office.bounds(), 0)
        for row in rows:
            for key in ring.keys_of(row) | dict.fromkeys(row.budgets):
                sums[key] += -(-(row.bound or 0) // 1000)
        assert self.office.bounds() == sums


TestBudgets = BudgetsMachine.TestCase
TestBudgets.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
