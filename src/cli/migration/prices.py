"""Prices of one's own, from what LiteLLM writes as USD for one token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from .findings import Findings

__all__ = ["COSTS", "PriceBook"]

COSTS: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
}
_MILLION: Final = 1_000_000


class PriceBook:
    """``[pricing.prices]`` while it is written.

    Args:
        findings: Where remarks go.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._by_host: dict[str, str] = {}
        self.tables: dict[str, dict[str, Any]] = {}

    def add(
        self,
        name: str,
        provider: Mapping[str, Any],
        model: str,
        costs: Mapping[str, tuple[Decimal, str]],
    ) -> None:
        """Write down what a model costs.

        Args:
            name: Its provider's.
            provider: Its provider's table.
            model: As the provider calls it.
            costs: By LiteLLM's key, the amount, and where it stands.
        """
        prices = {COSTS[key]: amount * _MILLION for key, (amount, _) in costs.items()}
        place = next(iter(costs.values()))[1]
        if "input" not in prices or "output" not in prices:
            prices.setdefault("input", Decimal(0))
            prices.setdefault("output", Decimal(0))
            self._findings.note(place, "the side without a cost was taken for free")
        if "*" in model:
            self._findings.lose(place, "prices are by model: write them in [pricing.prices]")
            return
        table, plain = self._table(name, provider, model)
        if table == "ollama":
            self._findings.note(place, "left out: Ollama's models are free in the price table")
            return
        models = self.tables[table].setdefault("models", {})
        if models.setdefault(plain, {"prices": prices}) != {"prices": prices}:
            text = f"{table}/{plain} has one price here: the first one was taken"
            self._findings.lose(place, text)

    def _table(self, name: str, provider: Mapping[str, Any], model: str) -> tuple[str, str]:
        """Under which names the price will be looked up."""
        from ...accounting.prices.table import default_prices
        from ...accounting.prices.vendors import priced_as
        from ...config import ProviderConfig
        from ...config.values import FrozenDict

        options = FrozenDict({"vendor": provider.get("vendor")})
        url = provider.get("base_url")
        settings = ProviderConfig(
            name=name, plugin=provider["plugin"], base_url=url, options=options
        )
        kind, plain = priced_as(settings, model, default_prices())
        if kind == "openai-compatible":
            # Known by its address: two servers may call two models the same.
            host = (urlsplit(url or "").hostname or "").lower()
            table = re.sub(r"[^a-z0-9-]", "-", name.lower())
            table += "-server" if table in default_prices().kinds else ""
            kind = self._by_host.setdefault(host, table)
            self.tables.setdefault(kind, {"hosts": [host]})
        elif kind != "ollama":
            self.tables.setdefault(kind, {})
        return kind, plain
