"""A router with everything on: breaker, rate limits, a hard budget, ledger, trace and price."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from switchgear import Config, Router

__all__ = ["MESSAGES", "everything_on", "options"]

MESSAGES = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "What is the capital of France?"},
]
_KEYS = {"OPENAI_API_KEY": "sk-test", "ANTHROPIC_API_KEY": "sk-ant-test"}


def options() -> dict[str, Any]:
    """Whom a call is for, so that the project's budget and the ledger know."""
    return {"max_tokens": 200, "agent_id": "qa-7", "project_id": "atlas"}


def everything_on(
    folder: Path,
    *,
    chain: Sequence[str] = ("openai/gpt-4o", "anthropic/claude-haiku-4-5"),
    table: Any = None,
    concurrency: int = 10_000,
    **settings: Any,
) -> Router:
    """A router with a group ``g``.

    Args:
        folder: For the ledger.
        chain: The group's.
        table: More of ``[providers.openai]``.
        concurrency: Calls that a provider has at once.
        settings: The router's own.
    """
    limits = {"rpm": 10_000_000, "tpm": 10_000_000_000, "concurrency": concurrency}
    config = Config.from_dict(
        {
            "providers": {
                "openai": {"api_key": "env:OPENAI_API_KEY", **(table or {})},
                "anthropic": {"api_key": "env:ANTHROPIC_API_KEY"},
            },
            "groups": {"g": {"chain": list(chain)}},
            "limits": {"openai": limits, "anthropic": limits},
            "budgets": [
                {"scope": "project:*", "usd": 100_000, "period": "day", "enforcement": "hard"}
            ],
            "ledger": {"url": f"sqlite:///{folder}/ledger.db"},
        },
        environ=_KEYS,
    )
    return Router(config, **settings)
