"""What a circuit keeps of its library's state, so that it need not be asked for each success."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from switchgear.routing.breaker_machine import Machine

STEPS = st.lists(st.sampled_from(["succeeded", "failed", "open", "half_open", "close"]))


@given(STEPS, st.integers(1, 4), st.integers(1, 3))
def test_a_circuit_is_sound_exactly_while_one_more_success_changes_nothing(
    steps: list[str], failures: int, probes: int
) -> None:
    machine = Machine("a/m", consecutive_failures=failures, probe_successes=probes)
    told = Machine("a/m", consecutive_failures=failures, probe_successes=probes)
    for step in steps:
        if step in {"succeeded", "failed"} and machine.state == "open":
            continue  # nothing was let through
        getattr(machine, step)()
        told.sound = False  # so that it hears of every success
        getattr(told, step)()
        assert (machine.state, machine.failures_in_a_row) == (told.state, told.failures_in_a_row)
        assert machine.sound == (machine.state == "closed" and machine.failures_in_a_row == 0)
