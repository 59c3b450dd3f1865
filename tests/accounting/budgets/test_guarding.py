"""Which hard budgets guard an attempt: remembered from call to call, and never of another one."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given, strategies as st

from switchgear.accounting.budgets.applied import Rules, Together
from switchgear.accounting.budgets.keys import Party, party_of_labels
from tests.accounting.budgets.desks import EPOCH, hard, soft
from tests.accounting.budgets.test_keys import MOMENTS, PARTIES, RULES


def labels_of(party: Party) -> dict[str, str]:
    """The party as a call names it; what is empty it may leave out."""
    named = {
        "agent_id": party.agent_id,
        "project_id": party.project_id,
        "agent_type": party.agent_type,
        "run_id": party.run_id,
        "api_key_id": party.api_key_id,
        "session_id": "s",
    }
    tags = {f"tag:{name}": value for name, value in party.tags.items()}
    return {name: value for name, value in named.items() if value} | tags


def guarding(rules: Rules, party: Party, at: float) -> Together | None:
    return rules.guarding(labels_of(party), party.provider, party.model, at, own_key=party.own_key)


@given(RULES, st.lists(st.tuples(PARTIES, MOMENTS), max_size=8), st.booleans())
def test_what_is_remembered_of_others_changes_nothing(
    configured: list[object], attempts: list[tuple[Party, float]], at_once: bool
) -> None:
    rules = Rules(configured)  # type: ignore[arg-type]
    for party, moment in [*attempts, *attempts]:
        at = EPOCH if at_once else moment
        expected = rules.applying(party, at, hard=True)
        found = guarding(rules, party, at)
        assert list(found.applied if found is not None else ()) == expected
        if found is not None:
            assert set(found.keys) == {each.key for each in expected}
            assert len(found.keys) == len(set(found.keys))


@given(PARTIES)
def test_a_calls_labels_are_its_party(party: Party) -> None:
    found = party_of_labels(labels_of(party), party.provider, party.model, own_key=party.own_key)
    assert found == party


def test_a_new_period_begins_with_its_first_second() -> None:
    rules = Rules([hard("project:*", timezone="Asia/Kathmandu")])
    midnight = datetime(2026, 11, 24, tzinfo=ZoneInfo("Asia/Kathmandu")).timestamp()
    party = Party(project_id="p")
    before, after, again = (
        guarding(rules, party, at) for at in (midnight - 0.001, midnight, midnight - 0.001)
    )
    assert before is not None
    assert after is not None
    assert before.keys != after.keys
    assert again == before  # a clock that was set back


def test_an_hours_budget_is_another_one_in_the_next_hour() -> None:
    rules = Rules([hard("global", period="hour")])
    seen = {guarding(rules, Party(), EPOCH + quarter * 900) for quarter in range(8)}
    assert len(seen) == 2


def test_each_run_of_a_project_has_a_budget_of_its_own() -> None:
    rules = Rules([hard("project:*", period="run")])
    parties = [Party(project_id="p", run_id=run) for run in ("r1", "r2", "r1")]
    first, second, again = (guarding(rules, party, EPOCH) for party in parties)
    assert first is not None
    assert second is not None
    assert first.keys != second.keys
    assert again == first


def test_other_rules_remember_for_themselves() -> None:
    party = Party(project_id="p")
    small, large = Rules([hard(usd="1")]), Rules([hard(usd="2")])
    limits = [guarding(rules, party, EPOCH) for rules in (small, large, small)]
    assert [each and each.applied[0].limit for each in limits] == [10**9, 2 * 10**9, 10**9]


def test_soft_rules_guard_nothing() -> None:
    assert guarding(Rules([soft()]), Party(), EPOCH) is None


def test_as_many_runs_as_there_may_be_are_not_all_remembered() -> None:
    rules = Rules([hard("run:*", period="run")])
    at = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
    for number in range(10_000):
        found = guarding(rules, Party(run_id=f"r{number}"), at)
        assert found is not None
        assert f'"r{number}"' in found.keys[0]
    assert len(rules._known) <= 4096
