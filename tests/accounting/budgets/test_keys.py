from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, strategies as st

from switchgear.accounting.budgets.applied import Rules
from switchgear.accounting.budgets.keys import Party, counter_key, party_of, value_of
from switchgear.accounting.ledger.matching import Keyring
from switchgear.accounting.ledger.row import Row
from switchgear.accounting.money import nano, nano_usd
from tests.accounting.budgets.desks import EPOCH, hard, rule, soft

NAMES = st.sampled_from(["", "a", "b", '"', "é", "*"])
PARTIES = st.builds(
    Party,
    agent_id=NAMES,
    project_id=NAMES,
    agent_type=NAMES,
    run_id=NAMES,
    api_key_id=NAMES,
    tags=st.dictionaries(st.sampled_from(["team", "env"]), NAMES),
    provider=st.sampled_from(["anthropic", "openai"]),
    model=st.sampled_from(["m1", "m2"]),
    own_key=st.booleans(),
)
SCOPES = st.sampled_from(
    [
        "global",
        *(
            f"{kind}:{value}"
            for kind in ("project", "agent", "agent-type", "run", "api-key")
            for value in ("*", "a", '"')
        ),
        "provider:*",
        "provider:openai",
        "key:*",
        "key:anthropic",
        "model:*",
        "model:openai/m1",
        "tag:team=*",
        "tag:team=a",
        "tag:env=b",
    ]
)
RULES = st.lists(
    st.builds(
        rule,
        SCOPES,
        st.sampled_from(["0.000001", "1", "20"]),
        st.sampled_from(["hour", "day", "week", "month", "run", "ever"]),
        timezone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
        enforcement=st.sampled_from(["hard", "soft"]),
    ),
    max_size=6,
)
MOMENTS = st.floats(1_700_000_000, 2_300_000_000)


def booked(party: Party, at: float) -> Row:
    """The row of an attempt of that party, as the router writes it."""
    return Row(
        id=b"",
        call_id=b"",
        at=int(at * 1_000_000),
        agent_id=party.agent_id or None,
        project_id=party.project_id or None,
        agent_type=party.agent_type or None,
        run_id=party.run_id or None,
        api_key_id=party.api_key_id or None,
        tags=party.tags,
        provider=party.provider,
        model=party.model,
        own_key=party.own_key,
    )


@given(RULES, PARTIES, MOMENTS)
def test_an_attempt_is_booked_in_the_counters_that_it_asked(
    configured: list[object], party: Party, at: float
) -> None:
    rules = Rules(configured)  # type: ignore[arg-type]
    asked = {each.key for each in rules.applying(party, at)}
    assert asked == set(Keyring(rules.counted).keys_of(booked(party, at)))


@given(RULES, PARTIES, MOMENTS)
def test_a_counter_names_the_rules_that_are_about_it(
    configured: list[object], party: Party, at: float
) -> None:
    rules = Rules(configured)  # type: ignore[arg-type]
    applying = rules.applying(party, at)
    for each in applying:
        about = [other for other in applying if other.key == each.key]
        found = rules.of_counter(each.key)
        assert len(found) == len(about)
        for other in about:
            assert other in found


@given(PARTIES)
def test_a_row_is_about_the_party_that_it_was_booked_for(party: Party) -> None:
    assert party_of(booked(party, EPOCH)) == party


@given(PARTIES, st.sampled_from(["project", "agent", "agent-type", "run", "api-key", "tag:team"]))
def test_leaving_a_label_out_counts_as_an_empty_one(party: Party, kind: str) -> None:
    empty = msgspec.structs.replace(
        party, project_id="", agent_id="", agent_type="", run_id="", api_key_id="", tags={}
    )
    assert value_of(kind, empty) == ""
    (applied,) = Rules([hard(f"{kind}=*" if ":" in kind else f"{kind}:*")]).applying(empty, EPOCH)
    assert applied.key == counter_key(kind, "", "day", "UTC", EPOCH)


def test_a_call_with_its_own_key_is_not_about_the_providers_key() -> None:
    own = Party(provider="openai", model="m1", own_key=True)
    assert Rules([hard("key:*")]).applying(own, EPOCH) == []
    assert len(Rules([hard("provider:*")]).applying(own, EPOCH)) == 1


def test_each_run_is_a_period_of_its_own() -> None:
    rules = Rules([hard("project:*", "1", "run")])
    keys = [
        rules.applying(Party(project_id="p", run_id=run), at)[0].key
        for run, at in (("r1", EPOCH), ("r1", EPOCH + 10**7), ("r2", EPOCH))
    ]
    assert keys[0] == keys[1] != keys[2]


def test_hard_and_soft_rules_can_be_asked_for_apart() -> None:
    rules = Rules([hard("global"), soft("project:*")])
    assert [each.rule.scope for each in rules.applying(Party(), EPOCH, hard=True)] == ["global"]
    assert [each.rule.scope for each in rules.applying(Party(), EPOCH, hard=False)] == ["project:*"]
    assert rules.hard
    assert not Rules([soft()]).hard


@pytest.mark.parametrize(
    ("scope", "period", "name"),
    [
        ("global", "day", "global per day"),
        ("global", "ever", "global for ever"),
        ("project:*", "day", "project:p1 per day"),
        ("tag:team=*", "week", "tag:team=red per week"),
        ("agent:*", "run", "agent:a1 per run r7"),
        ("model:*", "ever", "model:openai/m1 for ever"),
        ("agent-type:*", "ever", 'agent-type:"" for ever'),
    ],
)
def test_a_budget_is_named_for_people(scope: str, period: str, name: str) -> None:
    party = Party(
        agent_id="a1",
        project_id="p1",
        run_id="r7",
        tags={"team": "red"},
        provider="openai",
        model="m1",
    )
    (applied,) = Rules([hard(scope, "1", period)]).applying(party, EPOCH)
    assert applied.name == name


@given(st.integers(0, 10**21))
def test_amounts_are_rounded_up_by_less_than_a_nano_dollar(pico: int) -> None:
    assert 0 <= nano(pico) * 1000 - pico < 1000


@given(st.integers(0, 10**18))
def test_nano_dollars_are_shown_exactly(amount: int) -> None:
    assert nano_usd(amount) * 10**9 == Decimal(amount)


@given(st.decimals(0, 10**9, places=12))
def test_a_limit_is_never_stretched(usd: Decimal) -> None:
    (applied,) = Rules([hard(usd=str(usd))]).applying(Party(), EPOCH)
    assert 0 <= usd - nano_usd(applied.limit) < Decimal("1e-9")
