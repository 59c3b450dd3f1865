"""How the way to the shared state is put into words."""

import pytest

from switchgear.state.link import LinkStatus


@pytest.mark.parametrize(
    ("up", "replicas", "words"),
    [
        (True, 1, "shared state at redis://r: 1 replica"),
        (True, 3, "shared state at redis://r: 3 replicas"),
        (False, 1, "shared state at redis://r is away: limits as for one replica alone"),
        (False, 3, "shared state at redis://r is away: limits divided by 3 replicas"),
    ],
)
def test_one_replica_is_no_plural(up: bool, replicas: int, words: str) -> None:
    assert str(LinkStatus("redis://r", up, replicas, outages=0, away=0.0)) == words
