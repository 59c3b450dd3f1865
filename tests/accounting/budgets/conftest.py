from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.accounting.budgets.desks import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    place = Office(tmp_path)
    try:
        yield place
    finally:
        place.close()
