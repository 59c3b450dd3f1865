"""What lets another authority than the database decide, and keeps two of them apart."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from switchgear.accounting.ledger.store import Grant, HandedOver, Need, Store

from .test_store import EACH_PROJECT, NOW, P1, WHOLE, attempt, book, claim, standing

LIMIT = 1000


def handed(store: Store, key: str = P1) -> HandedOver:
    (found,) = store.hand_over([key])
    return found


def lengthen(store: Store, token: int, amount: int, holder: str = "w") -> bool:
    return store.lengthen(holder, {P1: token}, {P1: amount}, {P1: LIMIT}) == []


class Decider:
    """Decides by what it was last told and has granted since, or leaves it to the database."""

    def __init__(self, store: Store, holder: str, *, alone: bool) -> None:
        self.store = store
        self.holder = holder
        self.alone = alone
        self.seen = handed(store)
        self.mine = 0
        self.granted = 0

    def grant(self, amount: int) -> None:
        if self.alone:
            got = isinstance(claim(self.store, self.holder, Need(P1, 250, amount)), Grant)
        elif sum(self.seen.leases.values()) + amount > 250:
            return
        elif got := lengthen(self.store, self.seen.token, amount, self.holder):
            leases = {**self.seen.leases, self.holder: self.mine + amount}
            self.seen = msgspec.structs.replace(self.seen, leases=leases)
        else:
            self.seen = handed(self.store)
        self.mine += amount * got
        self.granted += got

    def give_back(self) -> None:
        self.store.give_back(self.holder, {P1: self.mine})
        self.seen, self.mine = handed(self.store), 0

    def work(self, chance: random.Random) -> None:
        for _ in range(100):
            if chance.random() < 0.3:
                self.give_back()
            self.grant(chance.randint(1, 40))


def test_a_counter_is_handed_over_with_all_that_is_known_of_it(store: Store) -> None:
    store.register([EACH_PROJECT], NOW)
    book(store, attempt(1, bound=5_000))
    claim(store, "w", Need(P1, LIMIT, 100))
    claim(store, "v", Need(P1, LIMIT, 10))
    first = handed(store)
    assert (first.bound, first.closed, first.leases) == (5, False, {"w": 100, "v": 10})
    assert handed(store).token > first.token


def test_what_another_authority_grants_is_written_down_under_its_token(store: Store) -> None:
    token = handed(store).token
    assert lengthen(store, token, 100)
    assert lengthen(store, token, 11)
    assert standing(store).leased == 111


@pytest.mark.parametrize(
    "meanwhile",
    [
        pytest.param(handed, id="handed over again"),
        pytest.param(lambda store: claim(store, "v", Need(P1, LIMIT, 1)), id="claimed"),
        pytest.param(lambda store: store.shut([P1]), id="closed"),
        pytest.param(lambda store: store.shut([P1], closed=False), id="opened"),
        pytest.param(lambda store: book(store, attempt(1, bound=1)), id="spent without a lease"),
        pytest.param(lambda store: store.adopt("x", [attempt(1, bound=1)]), id="a dead one's"),
    ],
)
def test_a_token_is_worthless_once_anything_else_was_decided(
    store: Store, meanwhile: Callable[[Store], object]
) -> None:
    store.register([EACH_PROJECT], NOW)
    token = handed(store).token
    meanwhile(store)
    before = standing(store).leased
    assert store.lengthen("w", {P1: token}, {P1: 10}, {P1: LIMIT}) == [P1]
    assert standing(store).leased == before


def test_spending_out_of_a_lease_changes_nothing_about_a_token(store: Store) -> None:
    store.register([EACH_PROJECT], NOW)
    token = handed(store).token
    lengthen(store, token, 100)
    book(store, attempt(1, bound=60_000, reserved=60, budgets=(P1,)))
    store.give_back("w", {P1: 10})
    store.adopt("w", [attempt(2, bound=20_000, reserved=20, budgets=(P1,))])
    assert lengthen(store, token, 1)
    assert (standing(store).bound, standing(store).leased) == (80, 1)


def test_several_counters_are_lengthened_together_or_not_at_all(store: Store) -> None:
    tokens = {each.key: each.token for each in store.hand_over([P1, WHOLE])}
    handed(store, WHOLE)
    limits = {P1: LIMIT, WHOLE: LIMIT}
    assert store.lengthen("w", tokens, {P1: 10, WHOLE: 10}, limits) == [WHOLE]
    assert standing(store, P1).leased == standing(store, WHOLE).leased == 0


def test_a_counter_that_was_never_handed_over_has_no_token(store: Store) -> None:
    standing(store)
    assert store.lengthen("w", {P1: 1}, {P1: 10}, {P1: LIMIT}) == [P1]


def test_an_authority_that_is_plainly_wrong_is_not_followed(store: Store) -> None:
    token = handed(store).token
    assert lengthen(store, token, LIMIT - 1)
    assert not lengthen(store, token, 2, "v")
    assert standing(store).leased == LIMIT - 1


def test_a_ledger_that_is_set_back_never_gives_a_token_twice(
    tmp_path: Path, opened: Callable[[str], Store]
) -> None:
    path = tmp_path / "ledger.db"
    store = opened(f"sqlite:{path}")
    handed(store)
    store.close()
    shutil.copy(path, tmp_path / "copy.db")
    store, again = opened(f"sqlite:{path}"), opened(f"sqlite:{tmp_path / 'copy.db'}")
    given = {handed(store).token for _ in range(3)}
    assert handed(again).token not in given


def test_the_database_goes_on_deciding_for_those_who_ask_it(store: Store) -> None:
    lengthen(store, handed(store).token, 600)
    assert isinstance(claim(store, "v", Need(P1, LIMIT, 400)), Grant)
    assert not isinstance(claim(store, "v", Need(P1, LIMIT, 1)), Grant)


def test_a_ledger_has_one_name_that_no_other_has(
    shared_url: str, opened: Callable[[str], Store]
) -> None:
    one, again, other = opened(shared_url), opened(shared_url), opened("memory:")
    assert one.identity() == again.identity() != other.identity()


@pytest.mark.parametrize("alone", [0, 2])
def test_authorities_that_do_not_know_of_each_other_never_give_more_than_there_is(
    shared_url: str, opened: Callable[[str], Store], alone: int
) -> None:
    """All at the same time; some of them (``alone``) ask the database."""
    looker = opened(shared_url)
    deciders = [Decider(opened(shared_url), f"h{n}", alone=n < alone) for n in range(4)]
    with ThreadPoolExecutor(4) as threads:
        working = [threads.submit(d.work, random.Random(n)) for n, d in enumerate(deciders)]
        while not all(each.done() for each in working):
            assert standing(looker).leased <= 250
        for each in working:
            each.result()
    assert min(decider.granted for decider in deciders) > 0
