"""What is kept of a name from call to call, and what ends its being kept."""

from __future__ import annotations

import msgspec
import pytest

from switchgear import Router
from switchgear.errors import PluginError, SwitchgearError
from switchgear.providers.base import Capabilities
from switchgear.testing.scripted import ScriptedProvider

from .helpers import router_over


class Learning(ScriptedProvider):
    """What its model can do is another thing from one call to the next."""

    can = Capabilities(max_output_tokens=1000)
    broken = False

    def capabilities(self, model: str) -> Capabilities:
        if self.broken:
            raise RuntimeError("not now")
        return self.can


async def test_a_model_that_can_do_less_from_now_on_is_skipped() -> None:
    provider = Learning("a")
    async with router_over(provider) as router:
        await router.complete("g", "hi", max_tokens=800)
        provider.can = msgspec.structs.replace(provider.can, max_output_tokens=500)
        with pytest.raises(SwitchgearError, match="its answers end at 500 tokens"):
            await router.complete("g", "hi", max_tokens=800)
        provider.can = msgspec.structs.replace(provider.can, max_output_tokens=900)
        await router.complete("g", "hi", max_tokens=800)


async def test_a_fault_that_has_passed_is_forgotten() -> None:
    provider = Learning("a")
    async with router_over(provider) as router:
        await router.complete("g", "hi")
        provider.broken = True
        with pytest.raises(PluginError, match="not now"):
            await router.complete("g", "hi")
        provider.broken = False
        await router.complete("g", "hi")


async def test_each_call_has_its_own_longest_answer() -> None:
    provider = ScriptedProvider("a")
    async with router_over(provider) as router:
        for longest in (10, 20, 10):
            await router.complete("g", "hi", max_tokens=longest)
    assert [call.request.max_tokens for call in provider.calls] == [10, 20, 10]


async def test_a_key_for_one_call_is_not_kept_for_the_next() -> None:
    provider = ScriptedProvider("a")
    async with router_over(provider) as router:
        await router.complete("g", "hi")
        await router.complete("g", "hi", credentials={"a": "its-own"})
        await router.complete("g", "hi")
    assert [call.credential is not None for call in provider.calls] == [False, True, False]


async def test_any_number_of_names_may_be_asked_for() -> None:
    async with router_over(ScriptedProvider("a")) as router:
        for number in range(1_100):
            assert _names(router, f"a/model-{number}") == [f"a/model-{number}"]
        reply = await router.complete("g", "hi")
    assert reply.group == "g"


def _names(router: Router, asked: str) -> list[str]:
    return [str(entry) for entry in router._preparer.targets.find(asked).entries]
