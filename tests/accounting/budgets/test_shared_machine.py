"""The same, where a Redis decides: it forgets, goes away, answers late, remembers old things."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import invariant, precondition, rule

from tests.accounting.budgets.roads import Place
from tests.accounting.budgets.test_budgets_machine import BudgetsMachine
from tests.state.server import RedisServer

FAULTS = st.sampled_from(["lost", "unheard", "late"])


class SharedBudgetsMachine(BudgetsMachine):
    server: RedisServer
    shared: Place

    def place(self) -> Place:
        client: Any = self.server.client()
        client.flushdb()
        self.shared = Place(client)
        return self.shared

    @precondition(lambda self: self.alive())
    @rule(which=st.integers(0, 2), fault=FAULTS, later=st.integers(0, 3))
    def a_message_is_lost_or_late(self, which: int, fault: str, later: int) -> None:
        road = self.pick(which).road
        if road is not None:
            road.faults.extend([""] * later + [fault])
            self.faults += 1

    @rule()
    def what_is_late_arrives(self) -> None:
        self.shared.arrive()

    @rule()
    def it_forgets_everything(self) -> None:
        self.shared.lose_all()

    @rule(which=st.integers(0, 5))
    def it_forgets_one_counter(self, which: int) -> None:
        self.shared.evict(which)

    @rule()
    def it_writes_a_snapshot(self) -> None:
        self.shared.keep()

    @rule()
    def it_starts_again_with_its_snapshot(self) -> None:
        self.shared.restart()

    @rule(away=st.booleans())
    def it_goes_away_or_is_back(self, away: bool) -> None:
        self.shared.away = away
        self.faults += 1

    @rule()
    def somebody_asks_the_database_alone(self) -> None:
        """A process without shared state, on the same ledger."""
        place, self.office.place = self.office.place, None
        if len(self.alive()) < self.most:
            self.pick(self.most - 1)
        self.office.place = place

    @invariant()
    def nothing_that_is_out_is_unknown_to_it(self) -> None:
        """Of what its grants still count for, it never believes in less than there is."""
        truth, tokens = self.truth(), self.office.tokens()
        for key, (token, total) in self.shared.believed().items():
            if token == tokens.get(key) and not self.overrun.get(key):
                assert truth.get(key, 0) <= total, key

    def settle(self) -> None:
        self.shared.away = False
        for desk in self.office.desks:
            if desk.road is not None:
                desk.road.faults.clear()
        super().settle()


@pytest.mark.xdist_group("redis")
def test_hard_budgets_hold_whatever_a_shared_state_forgets(server: RedisServer) -> None:
    machine = SharedBudgetsMachine
    machine.server = server
    machine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
    machine.TestCase().runTest()
