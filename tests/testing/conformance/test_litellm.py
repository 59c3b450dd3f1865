"""LiteLLM's adapter keeps what every adapter promises, whoever answers behind it."""

from __future__ import annotations

import importlib.util
from typing import ClassVar

import pytest

from switchgear.testing import SimulatedProviders
from switchgear.testing.conformance import Conformance, Subject
from switchgear.testing.conformance.builtin import through_litellm

# Importing LiteLLM takes seconds, so one worker runs all that do.
pytestmark = [
    pytest.mark.xdist_group("litellm"),
    pytest.mark.skipif(
        importlib.util.find_spec("litellm") is None, reason="needs the extra `litellm`"
    ),
]


class _ThroughLiteLLM(Conformance):
    vendor: ClassVar[str]

    def subject(self, simulated: SimulatedProviders) -> Subject:
        return through_litellm(simulated)[f"litellm-{self.vendor}"]


class TestAnthropic(_ThroughLiteLLM):
    vendor = "anthropic"


class TestOpenAI(_ThroughLiteLLM):
    vendor = "openai"


class TestOllama(_ThroughLiteLLM):
    vendor = "ollama"


def test_all_of_them_are_tested(simulated_providers: SimulatedProviders) -> None:
    tested = {f"litellm-{cls.vendor}" for cls in _ThroughLiteLLM.__subclasses__()}
    assert tested == set(through_litellm(simulated_providers))
