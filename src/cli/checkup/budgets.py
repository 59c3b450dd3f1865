"""Budgets: how they stand, and which hard ones could never be served."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from ...errors import SwitchgearError
from .values import Result, error, note, ok, warning

if TYPE_CHECKING:
    from ...accounting.bounds import Unbounded, Worst
    from ...accounting.reports.standing import BudgetStatus
    from ...config import BudgetRule, Candidate, GroupConfig
    from .case import Case

__all__ = ["authority", "hard", "scopes", "standing"]

_NEARLY: Final = Decimal("0.8")
_FEW_AT_ONCE: Final = 4
_MOST_SHOWN: Final = 20


# How they stand


async def standing(case: Case) -> list[Result]:
    """What is spent of each."""
    from ...accounting.reports.standing import is_of

    if not case.loaded:
        return []
    if not case.config.budgets:
        remedy = 'write [[budgets]] with a scope ("global", "project:*"), usd and period'
        return [note("no budget is set: nothing limits what calls cost", remedy=remedy)]
    look = await case.ledger()
    rules = case.config.budgets
    if not look.readable:
        unasked = " (ledger not read)" if look.there or case.offline else ""
        return [ok(f"{_name(rule)}: {_dollars(rule.usd)}{unasked}") for rule in rules]
    found = await asyncio.to_thread(_asked, case)
    results: list[Result] = []
    for rule in rules:
        own = [each for each in found if is_of(each, rule)]
        if not own:
            results.append(ok(f"{_name(rule)}: {_dollars(rule.usd)}, none counted so far"))
        results += map(_status, own[:_MOST_SHOWN])
        if len(own) > _MOST_SHOWN:
            more = f"{len(own) - _MOST_SHOWN:,} more of {_name(rule)}, less spent"
            results.append(ok(more, "`switchgear budgets` has all"))
    return results


def authority(case: Case) -> Iterator[Result]:
    """Who decides about hard ones, and for whom."""
    from ...accounting.ledger.place import MEMORY

    if not case.loaded or not any(rule.hard for rule in case.config.budgets):
        return
    if not case.config.state.shared or case.place.url == MEMORY:
        return  # the ledger's own check says what there is to say
    shared = case.config.state.shown_url
    what = f"hard budgets are decided by {shared}, and leases are written into the ledger"
    if case.place.local:
        why = "the ledger is a file: processes on other machines have budgets of their own"
        remedy = 'name a server that all share: [ledger] url = "postgresql://HOST/DATABASE"'
        yield warning(what, why, remedy)
    else:
        yield ok(what)


def _asked(case: Case) -> tuple[BudgetStatus, ...]:
    from ...accounting.ledger.stores import open_store
    from ...accounting.reports.standing import budget_statuses

    store = open_store(case.place.url)
    try:
        now = dt.datetime.fromtimestamp(case.clock.now(), dt.UTC)
        return budget_statuses(store, case.config.budgets, now)
    finally:
        store.close()


def _status(status: BudgetStatus) -> Result:
    soft = "" if status.hard else ", soft"
    spent = f"{_dollars(status.spent)} of {_dollars(status.limit)}"
    what = f"{status.name}{soft}: {spent} spent ({status.part:.0%})"
    until = f"until {status.resets_at:%Y-%m-%d %H:%M} UTC" if status.resets_at else "for good"
    if status.left <= 0 and status.hard:
        held = " or set aside for calls under way" if status.reserved > 0 else ""
        why = f"all of it is spent{held}: calls are refused {until}"
        return error(what, why, "raise usd, or wait")
    if status.left <= 0 or status.part >= _NEARLY:
        return warning(what, f"{_dollars(max(status.left, Decimal(0)))} left {until}")
    return ok(what)


# What they are about


def scopes(case: Case) -> Iterator[Result]:
    """Budgets that nothing falls under, as far as the configuration tells."""
    config = case.config
    models = {str(entry) for entries in case.used().values() for entry in entries}
    known = {
        "provider": (set(config.providers), "provider"),
        "key": (set(config.providers), "provider"),
        "model": (models, "model of the chains"),
        "agent-type": (set(config.agents), "agent type"),
    }
    for rule in config.budgets:
        names, thing = known.get(rule.kind, (set(), ""))
        if thing and rule.value != "*" and rule.value not in names:
            listed = ", ".join(sorted(names)) or "none"
            yield warning(
                f"budget {_name(rule)} may never hold anything back",
                f"there is no {thing} {rule.value!r}",
                f"check its spelling (there is: {listed})",
            )


# Whether they can be served


def hard(case: Case) -> Iterator[Result]:
    """Models that a hard budget refuses always, and groups that it leaves nothing of."""
    config = case.config
    rules = [rule for rule in config.budgets if rule.hard]
    refused: dict[tuple[str, str, str], dict[str, None]] = {}
    tight: dict[str, tuple[int, str]] = {}
    ended: dict[str, dict[str, None]] = {}
    for group in config.groups.values():
        for rule in rules:
            reasons = [_refused(case, rule, group, entry, tight) for entry in group.candidates]
            for entry, told in zip(group.candidates, reasons, strict=True):
                if told is not None:
                    refused.setdefault((str(entry), *told), {})[_name(rule)] = None
            if all(reasons):
                ended.setdefault(group.name, {})[_name(rule)] = None
    for (name, reason, way), budgets in refused.items():
        whose = _joined(budgets)
        yield warning(f"{name} is always refused under {whose}, hard", reason, way)
    for name, budgets in ended.items():
        yield error(
            f"group {name} can never be served under {_joined(budgets)}, hard",
            "each of its models is refused, see above",
            "price and bound one of them, or add one that is",
        )
    for budget, (calls, why) in tight.items():
        at_once = "1 call" if calls == 1 else f"{calls} calls"
        yield note(
            f"{budget} has room for {at_once} at a time", why, "lower max_tokens, or raise usd"
        )


def _refused(
    case: Case,
    rule: BudgetRule,
    group: GroupConfig,
    entry: Candidate,
    tight: dict[str, tuple[int, str]],
) -> tuple[str, str] | None:
    """Why a budget refuses any call of an entry, even the shortest, and the way out.

    ``None`` where it does not.
    """
    from ...accounting.bounds import Unbounded
    from ...accounting.money import pico, usd

    if not _is_about(rule, entry):
        return None
    worst = _worst(case, group, entry)
    if worst is None:
        return None  # the provider can't be used at all, and that is told elsewhere
    if isinstance(worst, Unbounded):
        return worst.fault, worst.way
    limit = pico(rule.usd)
    amount = _dollars(usd(worst.amount))
    most = f"a short call can cost {amount} at most ({worst.output_tokens:,} tokens of answer)"
    if worst.amount > limit:
        why = f"{most}, which is more than its {_dollars(rule.usd)}"
        return why, "lower max_tokens, or raise usd"
    if worst.amount and limit // worst.amount < _FEW_AT_ONCE:
        calls = limit // worst.amount
        known = tight.get(_name(rule))
        if known is None or calls < known[0]:
            tight[_name(rule)] = calls, f"{entry}: {most}, set aside while it runs"
    return None


def _is_about(rule: BudgetRule, entry: Candidate) -> bool:
    if rule.value == "*" or rule.kind not in {"provider", "key", "model"}:
        return True
    return rule.value == (str(entry) if rule.kind == "model" else entry.provider)


def _worst(case: Case, group: GroupConfig, entry: Candidate) -> Worst | Unbounded | None:
    """The most that the shortest call of an entry can cost."""
    from ...accounting.bounds import worst_case
    from ...accounting.request_terms import fields_of_table
    from ...accounting.tokens.counter import TokenCounter
    from ...messages import Message
    from ...request import ChatRequest

    try:
        provider, settings = case.providers.get(entry.provider)
    except SwitchgearError:
        return None
    can = provider.capabilities(entry.model)
    priced = case.priced(entry)
    return worst_case(
        ChatRequest(messages=(Message(role="user", content="Hi"),)),
        kind=priced.kind,
        model=priced.model,
        max_tokens=entry.max_tokens or group.max_tokens,
        extra={**fields_of_table(settings), **entry.extra},
        headers={**settings.options.get("headers", {}), **entry.extra_headers},
        context_window=can.context_window,
        max_output_tokens=can.max_output_tokens,
        prices=case.prices,
        day=case.today,
        tokens=TokenCounter(),
    )


# Words


def _name(rule: BudgetRule) -> str:
    from ...accounting.budgets.applied import budget_name

    return budget_name(rule, rule.value)


def _joined(names: Sequence[str] | dict[str, None]) -> str:
    return " and ".join(names)


def _dollars(amount: Decimal) -> str:
    from ...accounting.reports.figures import dollars

    return dollars(amount)
