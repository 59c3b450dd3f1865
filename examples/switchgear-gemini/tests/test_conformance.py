"""What Switchgear expects of every provider."""

from __future__ import annotations

from switchgear.testing import SimulatedProviders
from switchgear.testing.conformance import Conformance, Subject
from switchgear_gemini import create
from switchgear_gemini.testing import GeminiWire


class TestGemini(Conformance):
    """One test a check; ``pytest -rs`` tells which were skipped, and why."""

    def subject(self, simulated: SimulatedProviders) -> Subject:
        """Gemini's adapter before a simulated Gemini."""
        endpoint = simulated.add(GeminiWire, name="gemini")
        return Subject(
            factory=create,
            model="gemini-3.8-flash",
            endpoint=endpoint,
            name="gemini",
            author="gemini",
            embedding_model="gemini-embedding-1",
            lacks={"declined_prompt": "a blocked prompt is an answer that ends in content_filter"},
        )
