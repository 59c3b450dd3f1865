"""The checks as a test class, for pytest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..server import SimulatedProviders
from .catalogue import CHECKS
from .check import Check, Failed
from .running import judge
from .subject import Subject

__all__ = ["Conformance"]


class Conformance:
    """What every provider must pass. Subclass it, and say which provider it is.

    ::

        class TestMine(Conformance):
            def subject(self, simulated: SimulatedProviders) -> Subject:
                endpoint = simulated.add(MineWire, name="mine")
                return Subject(factory=create, model="mine-large", endpoint=endpoint, name="mine")

    There is one test for each check, such as ``test_c07_tool_round_trip``, numbered as in
    ``switchgear conformance --list``. What the provider declares that it can't do is skipped, and
    so is what the endpoint can't show; ``pytest -rs`` says which and why. Nothing is needed but
    pytest and the fixture ``simulated_providers``, which comes with the library: the checks run on
    an event loop of their own.
    """

    def subject(self, simulated: SimulatedProviders) -> Subject:
        """The provider under test, for one check.

        Args:
            simulated: Vendors on a loopback port, as new. A vendor that is not among them is added
                with ``simulated.add(MineWire, name="mine")``.
        """
        raise NotImplementedError(f"{type(self).__name__} must say which provider it is about")


def _test_of(check: Check) -> Callable[[Any, SimulatedProviders], None]:
    def test(self: Conformance, simulated_providers: SimulatedProviders) -> None:
        import pytest

        subject = self.subject(simulated_providers)
        with asyncio.Runner() as runner:
            result = runner.run(judge(check, subject))
        if result.verdict == "no":
            error = result.error or Failed(result.detail)
            error.add_note(f"check {check.number}, {check.title}: {check.guarantee}")
            raise error
        if result.verdict != "yes":
            pytest.skip(f"{result.verdict}: {result.detail}")

    test.__doc__ = check.guarantee
    test.__name__ = f"test_c{check.number:02}_{check.name}"
    test.__qualname__ = f"Conformance.{test.__name__}"
    return test


for _check in CHECKS:
    _method = _test_of(_check)
    setattr(Conformance, _method.__name__, _method)
