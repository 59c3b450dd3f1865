"""A group's chain that can't keep what its first step promises is named before any call is."""

from switchgear import Config
from switchgear.providers.base import Capabilities
from switchgear.providers.registry import Registry
from switchgear.routing.promises import broken_promises
from switchgear.routing.providers import Providers
from switchgear.testing.scripted import ScriptedProvider


def told(*capabilities: Capabilities) -> list[str]:
    names = "abc"[: len(capabilities)]
    config = Config.from_dict(
        {
            "providers": {name: {"plugin": "x"} for name in names},
            "groups": {"g": {"chain": [f"{name}/m" for name in names]}},
        }
    )
    given = {
        name: ScriptedProvider(name, capabilities=can)
        for name, can in zip(names, capabilities, strict=True)
    }
    findings = broken_promises(config, Providers(config, Registry([]), given))
    return [str(finding) for finding in findings]


FULL = Capabilities(context_window=100_000, max_output_tokens=8_000)


def test_a_chain_of_equals_keeps_its_promises() -> None:
    assert told(FULL, FULL) == []


def test_a_step_that_lacks_what_an_earlier_one_has_is_named_with_what_it_lacks() -> None:
    (finding,) = told(FULL, Capabilities(tools=False, schema=None))
    assert "groups.g.chain[1]" in finding
    assert "b/m has no structured output, tools" in finding


def test_a_step_that_can_do_more_is_fine() -> None:
    assert told(Capabilities(images=False), FULL) == []


def test_what_shrinks_is_measured_against_the_largest_before() -> None:
    small = Capabilities(context_window=8_000, max_output_tokens=4_000)
    window, answer = told(small, FULL, small)
    assert "the window shrinks from 100,000 tokens (b/m) to 8,000 (c/m)" in window
    assert "the longest answer shrinks from 8,000" in answer
