"""What Switchgear expects of every provider. There is no endpoint, so nothing can be scripted."""

from __future__ import annotations

from switchgear.testing import SimulatedProviders
from switchgear.testing.conformance import Conformance, Subject
from switchgear_echo import create


class TestEcho(Conformance):
    """One test a check; ``pytest -rs`` tells which were skipped, and why."""

    def subject(self, simulated: SimulatedProviders) -> Subject:
        """The echo, which needs nobody."""
        del simulated
        return Subject(factory=create, model="any", endpoint="in-process", name="echo")
