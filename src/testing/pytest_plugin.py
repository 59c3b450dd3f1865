"""The pytest plugin: the fixture `simulated_providers`.

Loaded in every pytest run of an environment that has Switchgear installed, so nothing heavy is
imported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .server import SimulatedProviders

__all__ = ["simulated_providers"]


@pytest.fixture(scope="session")
def _simulated_providers_server() -> Iterator[SimulatedProviders]:
    from .server import SimulatedProviders

    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture
def simulated_providers(
    _simulated_providers_server: SimulatedProviders,
) -> Iterator[SimulatedProviders]:
    """Simulated LLM providers on a loopback port, as new at the start of each test."""
    _simulated_providers_server.reset()
    yield _simulated_providers_server
    _simulated_providers_server.reset()
