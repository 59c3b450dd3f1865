"""Which models of the ledger and of a bill are the same."""

from __future__ import annotations

from collections.abc import Iterable

from switchgear.accounting.reports.matching import EVERYTHING, groups_of


def together(ledger: Iterable[str], export: Iterable[str]) -> set[frozenset[str]]:
    groups = groups_of(ledger, export, {}, split=True)
    return {
        frozenset(name for name, of in groups.items() if of == group) for group in groups.values()
    }


def test_equal_names_are_the_same() -> None:
    assert together(["a", "b"], ["a", "b"]) == {frozenset("a"), frozenset("b")}


def test_an_alias_goes_with_its_snapshot_on_either_side() -> None:
    pair = {frozenset({"claude-haiku-4-5", "claude-haiku-4-5-20251001"})}
    assert together(["claude-haiku-4-5"], ["claude-haiku-4-5-20251001"]) == pair
    assert together(["claude-haiku-4-5-20251001"], ["claude-haiku-4-5"]) == pair
    assert together(["gpt-4o"], ["gpt-4o-2024-08-06"]) == {
        frozenset({"gpt-4o", "gpt-4o-2024-08-06"})
    }


def test_the_first_of_a_family_may_be_called_zero() -> None:
    assert together(["claude-sonnet-4-0"], ["claude-sonnet-4-20250514"]) == {
        frozenset({"claude-sonnet-4-0", "claude-sonnet-4-20250514"})
    }


def test_two_snapshots_are_two_models() -> None:
    found = together(["gpt-4o-2024-05-13"], ["gpt-4o-2024-08-06"])
    assert found == {frozenset({"gpt-4o-2024-05-13"}), frozenset({"gpt-4o-2024-08-06"})}


def test_where_an_alias_may_be_any_of_several_they_are_compared_together() -> None:
    snapshots = ["gpt-4o-2024-05-13", "gpt-4o-2024-08-06"]
    assert together(["gpt-4o"], snapshots) == {frozenset({"gpt-4o", *snapshots})}


def test_another_model_of_like_name_is_another_model() -> None:
    assert len(together(["gpt-4o-mini"], ["gpt-4o"])) == 2


def test_a_group_is_called_as_on_the_bill() -> None:
    groups = groups_of(["claude-haiku-4-5"], ["claude-haiku-4-5-20251001"], {}, split=True)
    assert set(groups.values()) == {"claude-haiku-4-5-20251001"}


def test_a_fee_goes_with_the_models_whose_costs_hold_it() -> None:
    groups = groups_of(["a", "b"], ["a", "b"], {"web_searches": ["a"]}, split=True)
    assert groups["a"] == groups["web_searches"] == "a + web searches"
    assert groups["b"] == "b"


def test_an_export_that_does_not_tell_models_apart_is_compared_as_a_whole() -> None:
    groups = groups_of(["a", "b"], [], {}, split=False)
    assert set(groups.values()) == {EVERYTHING}
