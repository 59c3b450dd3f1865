"""A member of a pool that was left alone comes back, though its peers are well."""

from __future__ import annotations

import pytest

from switchgear import Config, Router, ServerError
from switchgear.providers.base import Call
from switchgear.testing.scripted import ScriptedProvider
from tests.routing.helpers import FakeClock

STRATEGIES = ("latency", "least-busy", "weighted", "cost", "usage")


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_recovered_member_is_probed_and_asked_again(strategy: str) -> None:
    clock, sick = FakeClock(), True
    first, second = "ollama", "openai"

    def answer(call: Call) -> None:
        if sick:
            raise ServerError("down", status=500, provider=first)

    patient, peer = ScriptedProvider(first, on_call=answer), ScriptedProvider(second)
    config = Config.from_dict(
        {
            "breaker": {"consecutive_failures": 2, "ramp_seconds": 0},
            "groups": {"pool": {"chain": [[f"{first}/m", f"{second}/m"]], "strategy": strategy}},
        }
    )
    async with Router(config, providers={first: patient, second: peer}, clock=clock) as router:
        for _ in range(20):
            await router.complete("pool", "x", max_tokens=5)
        asked, sick = len(patient.calls), False
        clock.advance(60)
        reply = await router.complete("pool", "x", max_tokens=5)
        assert reply.provider == first
        assert len(patient.calls) == asked + 1
        assert [each.state for each in router.health().breakers] == ["closed", "closed"]
