"""LiteLLM's proxy configuration, translated."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ...config import Config
from .deployments import Deployment, Deployments
from .findings import Findings
from .groups import Fallbacks, Groups
from .hints import GENERAL, LITELLM, OF_THE_PROXY, ROUTER, TOP
from .prices import PriceBook
from .reading import Section, Source, named_variables
from .settings import Settings
from .writing import write_toml

__all__ = ["Migration", "translate"]


class Migration(msgspec.Struct, frozen=True):
    """What became of a file.

    Attributes:
        text: Our configuration, as TOML.
        findings: What has no equivalent, what differs, which variables it reads.
    """

    text: str
    findings: Findings

    @property
    def whole(self) -> bool:
        """Everything has an equivalent."""
        return not self.findings.lost


def translate(data: Mapping[str, Any], environ: Mapping[str, str]) -> Migration:
    """Translate a configuration of LiteLLM's proxy.

    Args:
        data: What its file holds.
        environ: The environment, for numbers and addresses that stand in variables.

    Raises:
        ConfigError: What came out is no configuration of ours: a value in the file makes no sense.
    """
    findings = Findings()
    findings.taken |= named_variables(data)
    variables = data.get("environment_variables")
    own = variables if isinstance(variables, Mapping) else {}
    source = Source(findings, {**environ, **{str(k): str(v) for k, v in own.items()}})
    top = Section(data, "", source, TOP)
    for name in top.mapping("environment_variables"):
        findings.lose(f"environment_variables.{name}", "set it in the environment itself")
    prices = PriceBook(findings)
    deployments = Deployments(source, prices, _credentials(top))
    fallbacks = Fallbacks(findings)
    settings = Settings(findings, fallbacks)
    listed = [
        found
        for index, entry in enumerate(top.listed("model_list"))
        if (found := deployments.add(index, entry)) is not None
    ]
    settings.router(_section(top, "router_settings", ROUTER))
    settings.litellm(_section(top, "litellm_settings", {**ROUTER, **LITELLM}))
    general = top.take("general_settings")
    settings.general(Section(general, "general_settings", source, GENERAL, otherwise=OF_THE_PROXY))
    top.close()
    config = _config(settings, deployments, listed, prices, findings)
    comments = {
        f"providers.{name}": f"of {', '.join(places)}"
        for name, places in deployments.places.items()
    }
    text = write_toml(config, findings, comments)
    # The very reader that will get it: what it refuses must not be handed out.
    Config.from_dict(tomllib.loads(text, parse_float=Decimal), environ=findings.variables)
    return Migration(text, findings)


def _config(
    settings: Settings,
    deployments: Deployments,
    listed: list[Deployment],
    prices: PriceBook,
    findings: Findings,
) -> dict[str, Any]:
    groups = Groups(findings, settings.fallbacks, settings.strategy)
    groups.fill(listed)
    for alias, model, path in settings.aliases:
        groups.alias(alias, model, path)
    budgets = [*settings.budgets, *deployments.budgets]
    tables = {
        **settings.tables,
        "providers": deployments.providers,
        "groups": groups.tables(),
        "limits": deployments.limits,
        "budgets": _known_budgets(budgets, deployments, findings),
        "pricing": {"prices": prices.tables} if prices.tables else {},
    }
    return {name: table for name, table in tables.items() if table not in ({}, [])}


def _known_budgets(
    budgets: list[dict[str, Any]], deployments: Deployments, findings: Findings
) -> list[dict[str, Any]]:
    """Budgets of vendors become budgets of each provider of theirs."""
    found = []
    for rule in budgets:
        kind, _, vendor = rule["scope"].partition(":")
        if kind != "provider" or vendor in deployments.providers:
            found.append(rule)
            continue
        path = f"router_settings.provider_budget_config.{vendor}"
        findings.lose(path, "no provider of that name came out: add the budget to the right one")
    return found


def _section(top: Section, name: str, hints: Mapping[str, str]) -> Section:
    return Section(top.take(name), name, top.source, hints)


def _credentials(top: Section) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for index, each in enumerate(top.listed("credential_list")):
        entry = Section(each, f"credential_list[{index}]", top.source)
        name = entry.text("credential_name")
        values = entry.take("credential_values")
        entry.take("credential_info")  # for people
        entry.close()
        if name and isinstance(values, Mapping):
            found[name] = {str(k): v for k, v in values.items()}
    return found
