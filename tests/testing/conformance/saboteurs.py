"""Deliberately broken adapters, each by the name of the check that has to find it out.

They are mistakes that adapters have: what looks right in a first try and is not.
"""

from __future__ import annotations

from tests.testing.conformance import (
    saboteurs_asking,
    saboteurs_keeping,
    saboteurs_saying,
    saboteurs_streaming,
)
from tests.testing.conformance.sabotage import SABOTEURS

__all__ = ["SABOTEURS"]

MODULES = (saboteurs_asking, saboteurs_keeping, saboteurs_saying, saboteurs_streaming)
