from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.accounting.budgets.desks import Office
from tests.accounting.budgets.roads import Place


@pytest.fixture(
    params=["database", pytest.param("redis", marks=pytest.mark.xdist_group("redis"))],
)
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    """Processes whose hard budgets the ledger's database decides about, and a Redis."""
    shared = request.param == "redis"
    place = Office(tmp_path, place=request.getfixturevalue("place") if shared else None)
    try:
        yield place
    finally:
        place.close()


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A Redis that decides."""
    with request.getfixturevalue("server").client() as client:
        yield Place(client)


@pytest.fixture
def fleet(place: Place, tmp_path: Path) -> Iterator[Office]:
    """Processes whose hard budgets a Redis decides about."""
    office = Office(tmp_path, place=place)
    try:
        yield office
    finally:
        office.close()
