"""The checks of ``switchgear doctor``.

Each is a small function that answers with :class:`Result` values; :func:`checks_for` lists them. A
check knows nothing of the others: what several need to know (what a provider answers, how the
ledger is) is found out once, by the :class:`Case`.
"""

from __future__ import annotations

from functools import partial

from .case import Case
from .running import Examined, examine
from .values import LEVELS, Check, Level, Result

__all__ = ["LEVELS", "Case", "Check", "Examined", "Level", "Result", "checks_for", "examine"]


def checks_for(case: Case) -> tuple[Check, ...]:
    """Every check that there is of a case, in the order of the report."""
    from . import (
        books,
        budgets,
        chains,
        configuration,
        database,
        installation,
        limits,
        replicas,
        vendors,
    )

    config = case.config
    used = [entry for entries in case.used().values() for entry in entries]
    return (
        Check("configuration", "file", configuration.loads),
        Check("configuration", "findings", configuration.findings),
        Check("configuration", "plugins", configuration.plugins),
        Check("configuration", "extensions", configuration.extensions),
        Check("configuration", "price tables", configuration.price_tables),
        Check("configuration", "agents", configuration.agents),
        Check("configuration", "environment", configuration.overrides),
        *(
            Check("providers", name, partial(vendors.provider, name=name))
            for name in (config.providers)
        ),
        Check("providers", "clocks", vendors.clocks),
        Check("providers", "neighbours", vendors.neighbours),
        *(Check("models", str(entry), partial(chains.model, entry=entry)) for entry in used),
        *(Check("groups", name, partial(chains.group, name=name)) for name in (config.groups)),
        Check("limits", "limits", limits.limits),
        Check("budgets", "standing", budgets.standing),
        Check("budgets", "authority", budgets.authority),
        Check("budgets", "scopes", budgets.scopes),
        Check("budgets", "hard budgets", budgets.hard),
        Check("ledger", "database", database.database),
        Check("ledger", "disk", books.disk),
        Check("ledger", "journal", books.journal),
        Check("ledger", "booking", books.booking),
        Check("shared", "processes", limits.shared),
        Check("shared", "replicas", replicas.replicas),
        Check("installation", "versions", installation.versions),
        Check("installation", "litellm", installation.litellm),
        Check("installation", "tokenizers", installation.tokenizers),
        Check("installation", "time zones", installation.time_zones),
        Check("installation", "embedded models", installation.embedded),
    )
