"""What replicas must be set to alike, as each says it of itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from switchgear.config import Config
from switchgear.state.settings import differing, shared_settings


def said(**sections: Any) -> tuple[str, ...]:
    return shared_settings(Config.from_dict(sections, environ={}))


BUDGET = {"scope": "project:*", "usd": 20, "period": "day"}


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({}, {"breaker": {"open_seconds": 30}}),
        ({"breaker": {"open_seconds": 20}}, {"breaker": {"open_seconds": 20.0}}),
        ({"limits": {"a": {"rpm": 10}}}, {"limits": {"a": {"rpm": 10.0, "share": 0.5}}}),
        (
            {"budgets": [BUDGET]},
            {"budgets": [{**BUDGET, "usd": Decimal("20.00"), "thresholds": [0.5]}]},
        ),
        ({"timeout": 10}, {"timeout": 20, "retry": {"num_retries": 1}}),
    ],
)
def test_what_means_the_same_is_said_the_same(mine: Any, theirs: Any) -> None:
    assert said(**mine) == said(**theirs)


@pytest.mark.parametrize(
    ("mine", "theirs", "place"),
    [
        ({}, {"breaker": {"open_seconds": 20}}, "[breaker]"),
        ({"limits": {"a/*": {"rpm": 1}}}, {"limits": {"a/*": {"rpm": 2}}}, '[limits."a/*"]'),
        (
            {"limits": {"a": {"rpm": 1}}},
            {"limits": {"a": {"rpm": 1, "burst": 0.5}}},
            '[limits."a"]',
        ),
        (
            {"budgets": [BUDGET]},
            {"budgets": [{**BUDGET, "usd": 30}]},
            '[[budgets]] "project:*" per day, UTC',
        ),
        (
            {"budgets": [BUDGET]},
            {"budgets": [{**BUDGET, "enforcement": "soft"}]},
            '[[budgets]] "project:*" per day, UTC',
        ),
    ],
)
def test_what_differs_is_named_by_its_place(mine: Any, theirs: Any, place: str) -> None:
    assert differing(said(**mine), said(**theirs)) == (place,)
    assert differing(said(**theirs), said(**mine)) == (place,)


def test_what_only_one_of_them_knows_is_no_difference() -> None:
    """Services with other providers share a state, too."""
    mine, theirs = said(limits={"a": {"rpm": 1}}), said(limits={"b": {"rpm": 2}})
    assert differing(mine, theirs) == ()


def test_nothing_but_digests_and_places_is_said() -> None:
    lines = said(budgets=[BUDGET], limits={"a": {"rpm": 4711}})
    assert not any("4711" in line.partition(" ")[2] or len(line) > 80 for line in lines)
