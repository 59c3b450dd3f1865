"""Rate limits: which are set, and for whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from .servers import redis_answers
from .values import Result, note, ok, warning

if TYPE_CHECKING:
    from ...config import LimitRule
    from .case import Case

__all__ = ["limits", "shared"]

_NUMBERS: Final = ("rpm", "rpd", "tpm", "itpm", "otpm", "concurrency")


def limits(case: Case) -> Iterator[Result]:
    """Which providers have limits, and which limits nobody falls under."""
    if not case.loaded:
        return
    used = case.used()
    for rule in case.config.limits:
        numbers = ", ".join(
            f"{name} {getattr(rule, name):,g}"
            for name in _NUMBERS
            if getattr(rule, name) is not None
        )
        place = f'limits."{rule.pattern}"'
        if not numbers:
            yield warning(f"{place} sets no limit", remedy=f"give it one of {', '.join(_NUMBERS)}")
        elif _matches(rule, case):
            yield ok(f"{rule.pattern}: {numbers}{_share(rule)}")
        else:
            yield warning(
                f"{place} is about nothing that is configured",
                "a provider's name in the configuration counts, not its plugin's",
                f"the chains use {', '.join(sorted(used)) or 'no provider'}",
            )
    covered = {rule.provider for rule in case.config.limits}
    bare = sorted(
        name for name in used if name not in covered and not case.config.providers[name].local
    )
    if bare:
        why = "their rate-limit headers are followed, and a 429 moves a call on"
        remedy = "write the limits of your tier, so that a burst waits instead of being refused"
        yield note(f"no limits are set for {', '.join(bare)}", why, remedy)


def _matches(rule: LimitRule, case: Case) -> bool:
    return (
        any(
            rule.matches(name, entry.model)
            for name, entries in case.used().items()
            for entry in entries
        )
        or not case.config.groups
    )


def _share(rule: LimitRule) -> str:
    return "" if rule.share == 1 else f", of which this process takes {rule.share:.0%}"


def shared(case: Case) -> Iterator[Result]:
    """What several processes of this configuration have in common, and what each has of its own."""
    from ...accounting.ledger.place import MEMORY

    place = case.place
    if place.url == MEMORY:
        yield note("each process has a ledger and budgets of its own")
    elif place.local:
        yield ok("ledger and budgets: shared by all processes of this machine that use the file")
    else:
        yield ok("ledger and budgets: shared by all processes that use this server")
    if case.config.cache is not None:
        url, shown = case.config.cache.url, case.config.cache.shown_url
        yield from redis_answers(case, url, f"response cache: {shown}", "calls go on without it")
    rules = case.config.limits
    state = case.config.state
    if state.shared:
        what = f"rate limits, circuits and cooldowns: shared through {state.shown_url}"
        yield from redis_answers(case, state.url, what, "each process keeps its own meanwhile")
    elif not rules:
        yield ok("circuits and cooldowns: each process learns them by itself")
    elif all(rule.share == 1 for rule in rules):
        yield note(
            "rate limits, circuits and cooldowns: each process keeps its own",
            "several processes together may go over the limits",
            "write each process's part into [limits]: share = 0.25 for four",
        )
    else:
        yield ok("rate limits: each process takes its share; circuits: each keeps its own")
