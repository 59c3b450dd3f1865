"""A configuration as plain data, for people to look at: no secret is in it."""

from __future__ import annotations

from typing import Any

import msgspec

from .budgets import BudgetRule
from .ledger import LedgerConfig
from .state import StateConfig
from .values import Candidate, FrozenDict, GroupConfig, ProviderConfig

__all__ = ["show_budget", "show_group", "show_ledger", "show_provider", "show_state"]


def show_provider(provider: ProviderConfig) -> dict[str, Any]:
    """A provider as plain data; its key is named, never shown."""
    shown = {
        "plugin": provider.plugin,
        "api_key": _show_key(provider),
        "base_url": provider.base_url,
        "unsupported": provider.unsupported,
        "backend": provider.backend,
        "local": provider.local,
        "models": provider.models.redacted(),
        "missing": list(provider.missing),
        "implied": provider.implied,
    }
    return {**shown, "options": provider.options.redacted()}


def _show_key(provider: ProviderConfig) -> str | None:
    if provider.key_source is None:
        return None
    named = provider.key_source.startswith(("env:", "file:"))
    return provider.key_source if named else "***"


def show_group(group: GroupConfig) -> dict[str, Any]:
    """A group as plain data, its chain in the form in which one writes it."""
    shown = msgspec.structs.asdict(group)
    del shown["name"]
    shown["chain"] = [
        [_show_candidate(candidate) for candidate in pool.candidates]
        if len(pool.candidates) > 1
        else _show_candidate(pool.candidates[0])
        for pool in group.chain
    ]
    return shown


def show_budget(rule: BudgetRule) -> dict[str, Any]:
    """A budget as plain data, its amount as text so that no digit is lost."""
    downgrade = rule.downgrade
    return {
        **msgspec.structs.asdict(rule),
        "usd": str(rule.usd),
        "thresholds": list(rule.thresholds),
        "downgrade": downgrade and {"at": downgrade.at, "groups": dict(downgrade.groups)},
    }


def show_ledger(ledger: LedgerConfig) -> dict[str, Any]:
    """Where costs are booked, without the database's password."""
    return {**msgspec.structs.asdict(ledger), "url": ledger.shown_url}


def show_state(state: StateConfig) -> dict[str, Any]:
    """What is shared with others, without the server's password."""
    return {**msgspec.structs.asdict(state), "url": state.shown_url}


def _show_candidate(candidate: Candidate) -> str | dict[str, Any]:
    fields = msgspec.structs.asdict(candidate)
    plain = Candidate(provider=candidate.provider, model=candidate.model)
    shown = {
        key: value.redacted() if isinstance(value, FrozenDict) else value
        for key, value in fields.items()
        if value != getattr(plain, key)
    }
    return {"model": str(candidate), **shown} if shown else str(candidate)
