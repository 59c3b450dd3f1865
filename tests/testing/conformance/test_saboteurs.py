"""Every check finds somebody out, and lets the honest pass."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest

from switchgear.providers import anthropic, openai_compatible
from switchgear.providers.base import Provider, ProviderSettings
from switchgear.testing import SimulatedProviders
from switchgear.testing.conformance import CHECKS, Check, Failed, Subject, judge
from tests.testing.conformance.saboteurs import SABOTEURS
from tests.testing.conformance.wrapped import Wrapped

BY_NAME = {check.name: check for check in CHECKS}
# Everything that a model may do, so that every check has something to try.
ABLE: dict[str, Any] = {
    "done_marker": True,
    "images": True,
    "files": True,
    "audio": True,
    "reasoning": True,
    "reasoning_field": "reasoning_content",
}
DENIED = {"some-model": {"audio": False, "sampling": ["temperature"]}}


def honest(simulated: SimulatedProviders, check: Check) -> Subject:
    """A healthy adapter that has to pass the check."""
    if check.name == "counts_tokens":
        return subject(simulated, anthropic.create, at="anthropic")
    models = DENIED if check.name == "denied_is_refused" else {}
    made = subject(simulated, openai_compatible.create)
    return msgspec.structs.replace(made, models=models)


def subject(
    simulated: SimulatedProviders, factory: Any, *, at: str = "compatible", **fields: Any
) -> Subject:
    anthropics = at == "anthropic"
    return Subject(
        factory=factory,
        model="claude-sonnet-4-5" if anthropics else "some-model",
        endpoint=simulated[at],
        name="subject",
        options={} if anthropics else ABLE,
        author="anthropic" if anthropics else "openai-chat",
        embedding_model="some-embedding-model",
        patience=3.0,
        **fields,
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
async def test_the_honest_pass(check: Check, simulated_providers: SimulatedProviders) -> None:
    result = await judge(check, honest(simulated_providers, check))
    assert (result.verdict, result.detail) == ("yes", "")


@pytest.mark.parametrize(
    ("name", "saboteur"), SABOTEURS, ids=[f"{name}-{cls.__name__}" for name, cls in SABOTEURS]
)
async def test_the_saboteur_is_found_out(
    name: str, saboteur: type[Wrapped], simulated_providers: SimulatedProviders
) -> None:
    made: list[Wrapped] = []

    def factory(settings: ProviderSettings) -> Provider:
        made.append(saboteur(settings))
        return made[-1]

    denies = getattr(saboteur, "denies", None)
    tested = subject(
        simulated_providers,
        factory,
        at=getattr(saboteur, "at", "compatible"),
        models={"some-model": denies} if denies else {},
    )
    result = await judge(BY_NAME[name], msgspec.structs.replace(tested, patience=0.5))
    for each in made:
        for stream in each.left_open:
            await stream.aclose()
        with contextlib.suppress(RuntimeError):
            await each.inner.aclose()
    assert result.verdict == "no", result
    # A saboteur is found out, and not by an accident of the check.
    assert not isinstance(result.error, TypeError | KeyError) or "KeyError" in result.detail
    assert result.detail


def test_every_check_has_its_saboteur() -> None:
    assert {name for name, _ in SABOTEURS} == set(BY_NAME)


def test_failures_say_what_was_expected() -> None:
    assert issubclass(Failed, AssertionError)
    for check in CHECKS:
        assert check.title
        assert check.guarantee.endswith((".", ".\n")), check.name
