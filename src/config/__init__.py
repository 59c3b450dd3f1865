"""One TOML file, mapping or environment becomes one validated, immutable ``Config``.

Reading is strict: an unknown key, a wrong type, a name that leads nowhere is an error, and all the
errors of a file are reported together, each with its key, its line and a way out.

The parts: ``values`` (what comes out), ``table`` (strict reading), ``providers`` and ``groups``
(the sections), ``secret_reader``, ``environment`` (no file at all), ``unavailable`` (what this
version does not serve yet), ``toml_file`` and ``lines`` (the file and its line numbers), ``show``
(a view without secrets).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import msgspec

from ..errors import ConfigError
from . import unavailable
from .backend import EQUIVALENTS, LITELLM, Backend, read_backend
from .breaker import BreakerSettings
from .budgets import BudgetRule, Downgrade
from .cache import CacheConfig, CacheRules, GroupCache
from .cache_section import read_cache, show_cache
from .environment import CONFIG_VARIABLE, default_mapping
from .groups import read_groups
from .hooks import HookConfig, read_hooks, show_hook
from .ledger import LedgerConfig
from .limits import LimitRule
from .lines import line_numbers, show_path
from .providers import (
    BUILT_IN,
    UNSUPPORTED,
    Providers,
    as_unsupported,
    host_reach,
    unknown_provider,
)
from .secret_reader import SecretReader
from .show import show_budget, show_group, show_ledger, show_provider, show_state
from .spending import (
    PriceSourceConfig,
    PricingConfig,
    read_budgets,
    read_ledger,
    read_pricing,
    show_pricing,
)
from .state import StateConfig, read_state
from .table import Problems, Table, closest, normalised
from .toml_file import parse, read_text
from .traffic import read_breaker, read_limits
from .values import (
    EMPTY,
    Candidate,
    FrozenDict,
    GroupConfig,
    ModelRef,
    Pool,
    ProviderConfig,
    RetryConfig,
    Strategy,
    Unsupported,
    parse_model_ref,
    shorten,
)

__all__ = [
    "BUILT_IN",
    "Backend",
    "BreakerSettings",
    "BudgetRule",
    "CacheConfig",
    "CacheRules",
    "Candidate",
    "Config",
    "Downgrade",
    "Finding",
    "FrozenDict",
    "GroupCache",
    "GroupConfig",
    "HookConfig",
    "LedgerConfig",
    "LimitRule",
    "ModelRef",
    "Pool",
    "PriceSourceConfig",
    "PricingConfig",
    "ProviderConfig",
    "RetryConfig",
    "StateConfig",
    "Strategy",
    "Unsupported",
    "check",
    "parse_model_ref",
]

_log = logging.getLogger("switchgear.config")

# All that come with the library, also those that need a table.
_PLUGINS = frozenset({*BUILT_IN, *EQUIVALENTS, LITELLM})
_SECTIONS = (
    "backend",
    "providers",
    "groups",
    "agents",
    "retry",
    "breaker",
    "limits",
    "budgets",
    "ledger",
    "pricing",
    "cache",
    "state",
    "hooks",
    "unsupported",
    "timeout",
    "attempt_timeout",
    "idle_timeout",
)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A whole configuration. ``Config()`` is an empty one: models are named directly.

    Attributes:
        providers: By name: every table, and every built-in provider that a chain names.
        groups: By name.
        agents: Agent type to group.
        retry: How often and how long to wait.
        breaker: When a candidate is left alone, and how it comes back.
        limits: The providers' rate limits, as far as they are known.
        budgets: How much may be spent.
        ledger: Where costs are booked.
        pricing: Prices of one's own, and what becomes of models without any.
        state: What this process shares with others.
        cache: The response cache; ``None`` where there is none.
        hooks: Other people's code that is asked before attempts and told of them, by name.
        unsupported: What becomes of something a provider can't do.
        backend: Who serves the providers whose tables don't say it.
        timeout: Seconds for a whole call.
        attempt_timeout: Seconds for one attempt; ``None`` where only the call's deadline counts.
        idle_timeout: Longest silence inside a stream, seconds; ``None`` is no limit of its own.
        warnings: What works but should not stay, one line each.
        source: The file it came from; empty otherwise.
    """

    providers: Mapping[str, ProviderConfig] = EMPTY
    groups: Mapping[str, GroupConfig] = EMPTY
    agents: Mapping[str, str] = EMPTY
    retry: RetryConfig = RetryConfig()
    breaker: BreakerSettings = BreakerSettings()
    limits: tuple[LimitRule, ...] = ()
    budgets: tuple[BudgetRule, ...] = ()
    ledger: LedgerConfig = LedgerConfig()
    pricing: PricingConfig = PricingConfig()
    state: StateConfig = StateConfig()
    cache: CacheConfig | None = None
    hooks: Mapping[str, HookConfig] = EMPTY
    unsupported: Unsupported = None
    backend: Backend = "native"
    timeout: float = 600.0
    attempt_timeout: float | None = None
    idle_timeout: float | None = None
    warnings: tuple[str, ...] = ()
    source: str = ""

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], *, environ: Mapping[str, str] | None = None
    ) -> Config:
        """Load a TOML file. ``file:`` paths in it start from its own folder.

        Args:
            path: The file.
            environ: Environment variables in place of the process's own.

        Raises:
            ConfigError: It can't be read or is wrong; ``errors`` holds every fault in it.
        """
        source = os.fspath(path)
        text = read_text(source)
        problems = Problems(source)
        mapping = parse(text, problems)
        problems.lines = line_numbers(text)
        return _load(mapping, FilePath(source).absolute().parent, environ, problems)

    @classmethod
    def from_dict(
        cls,
        mapping: Mapping[str, Any],
        base: str | os.PathLike[str] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> Config:
        """Take the same from a mapping, which is neither changed nor kept.

        Args:
            mapping: What a file would say.
            base: The folder that ``file:`` paths start from; the working directory without one.
            environ: Environment variables in place of the process's own.

        Raises:
            ConfigError: It is wrong; ``errors`` holds every fault in it.
        """
        return _load(mapping, FilePath(base or "."), environ, Problems())

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Config:
        """Load the file that ``SWITCHGEAR_CONFIG`` names, else the three groups of ADR-004.

        The groups hold the providers whose keys are set (``ANTHROPIC_API_KEY``,
        ``OPENAI_API_KEY``), and an Ollama where ``OLLAMA_HOST`` is set; its model is llama3.1, or
        what ``SWITCHGEAR_OLLAMA_MODEL`` says.

        Args:
            environ: Environment variables in place of the process's own.

        Raises:
            ConfigError: No provider is configured, or the file is wrong.
        """
        environ = os.environ if environ is None else environ
        if path := environ.get(CONFIG_VARIABLE, "").strip():
            return cls.from_file(path, environ=environ)
        return cls.from_dict(default_mapping(environ), environ=environ)

    def provider(self, name: str) -> ProviderConfig:
        """The provider of that name, fit to be used.

        Raises:
            ConfigError: There is none, or its credential could not be found.
        """
        provider = self.providers.get(name)
        if provider is None:
            if name not in BUILT_IN:
                message = unknown_provider(name, self.providers)
                raise ConfigError(message, provider=name, param="provider")
            empty: dict[str, Any] = {"providers": {name: {}}}
            provider = _load(empty, FilePath(), None, Problems()).providers[name]
            backend = self.backend if name in EQUIVALENTS else "native"
            return msgspec.structs.replace(
                provider, implied=True, unsupported=self.unsupported, backend=backend
            )
        if provider.missing:
            place = f"{self.source}: " if self.source else ""
            raise ConfigError(
                f"{place}{'; '.join(provider.missing)}, so the provider {name!r} can't be used",
                provider=name,
                param=show_path(("providers", name)),
            )
        return provider

    def group(self, name: str) -> GroupConfig:
        """The group of that name.

        Raises:
            ConfigError: There is none.
        """
        if (group := self.groups.get(name)) is not None:
            return group
        raise ConfigError(_unknown("group", name, self.groups), param="group")

    def redacted(self) -> dict[str, Any]:
        """The configuration in force as plain data, secrets replaced, for people to look at."""
        return {
            "source": self.source or None,
            "timeout": self.timeout,
            "attempt_timeout": self.attempt_timeout,
            "idle_timeout": self.idle_timeout,
            "unsupported": self.unsupported,
            "backend": {"default": self.backend},
            "retry": msgspec.structs.asdict(self.retry),
            "breaker": msgspec.structs.asdict(self.breaker),
            "limits": [msgspec.structs.asdict(rule) for rule in self.limits],
            "budgets": [show_budget(rule) for rule in self.budgets],
            "ledger": show_ledger(self.ledger),
            "pricing": show_pricing(self.pricing),
            "cache": show_cache(self.cache),
            "state": show_state(self.state),
            "hooks": {name: show_hook(hook) for name, hook in self.hooks.items()},
            "providers": {name: show_provider(p) for name, p in self.providers.items()},
            "groups": {name: show_group(group) for name, group in self.groups.items()},
            "agents": dict(self.agents),
            "warnings": list(self.warnings),
        }


class Finding(msgspec.Struct, frozen=True):
    """Something that ``switchgear config check`` tells about a configuration that loads.

    Attributes:
        level: ``warning`` for what is probably a mistake, ``note`` for what may well be meant.
        place: The key; empty where ``message`` says it.
        message: What it is about, and what to do.
    """

    level: str
    place: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.level, self.place, self.message) if part)


def check(config: Config) -> list[Finding]:
    """Look for what is allowed but hardly meant.

    The configuration's own ``warnings`` come first.
    """
    findings = [Finding("warning", "", warning) for warning in config.warnings]
    used = {c.provider for group in config.groups.values() for c in group.candidates}
    for name, provider in config.providers.items():
        place = show_path(("providers", name))
        findings += [
            Finding("warning", "", f"{missing}, so the provider can't be used")
            for missing in provider.missing
        ]
        if name not in used:
            findings.append(Finding("note", place, "no group uses it"))
        if provider.plugin not in _PLUGINS and (hint := closest(provider.plugin, _PLUGINS)):
            message = f"the plugin {shorten(provider.plugin)} is not a built-in one{hint}"
            findings.append(Finding("note", place, message))
        if _sends_key_in_clear(provider):
            findings.append(
                Finding("warning", f"{place}.base_url", "sends the api_key unencrypted; use https")
            )
    if not config.groups:
        findings.append(Finding("note", "groups", "there is none; models are named directly"))
    for group in config.groups.values():
        findings += _check_group(group, config)
    findings += [_idle_budget(rule) for rule in config.budgets if not _can_match(rule, config)]
    return findings


def _can_match(rule: BudgetRule, config: Config) -> bool:
    """Whether a budget that is about a provider names one that there is."""
    if rule.value == "*" or rule.kind not in {"provider", "key", "model"}:
        return True
    provider = rule.value.partition("/")[0]
    return provider in config.providers or provider in BUILT_IN


def _idle_budget(rule: BudgetRule) -> Finding:
    place = f"budgets[{rule.scope!r}].scope"
    return Finding("warning", place, "names a provider that there is not, so it never counts")


def _sends_key_in_clear(provider: ProviderConfig) -> bool:
    url = provider.base_url or ""
    return (
        provider.api_key is not None
        and url.casefold().startswith("http:")
        and host_reach(url) == "public"
    )


def _check_group(group: GroupConfig, config: Config) -> list[Finding]:
    place = show_path(("groups", group.name))
    findings = []
    if not group.use:
        findings.append(Finding("note", place, 'has no "use" that says what it is for'))
    if len(group.candidates) == 1:
        findings.append(Finding("note", place, "has one model: nothing to fail over to"))
    names = [str(candidate) for candidate in group.candidates]
    findings += [
        Finding("warning", f"{place}.chain", f"{shorten(name)} is in it more than once")
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    timeout = group.timeout or config.timeout
    attempt = group.attempt_timeout or config.attempt_timeout
    if attempt is not None and attempt >= timeout and len(names) > 1:
        message = f"{attempt:g} s for one attempt leave nothing of the call's {timeout:g} s"
        findings.append(Finding("warning", f"{place}.attempt_timeout", message))
    return findings


def _unknown(what: str, name: str, known: Mapping[str, object]) -> str:
    listed = ", ".join(shorten(option) for option in sorted(known)) or "none is configured"
    return f"there is no {what} {shorten(name)}{closest(name, known)} (known: {listed})"


def _load(
    mapping: Mapping[str, Any],
    base: FilePath,
    environ: Mapping[str, str] | None,
    problems: Problems,
) -> Config:
    environ = os.environ if environ is None else environ
    top = Table(normalised(mapping, problems), (), problems)
    top.only(_SECTIONS, unavailable.SECTIONS)
    unsupported = as_unsupported(top.choice("unsupported", UNSUPPORTED))
    secrets = SecretReader(environ, base, problems)
    backend = read_backend(top)
    tables = top.tables("providers")
    providers = Providers(
        tables, environ, secrets, problems, unsupported=unsupported, backend=backend
    )
    groups = read_groups(top.tables("groups"), providers, secrets, problems)
    config = Config(
        providers=FrozenDict(providers.found),
        groups=FrozenDict(groups),
        agents=_agents(top, groups),
        retry=_retry(top),
        breaker=read_breaker(top),
        limits=read_limits(top),
        budgets=read_budgets(top, groups),
        ledger=read_ledger(top, base, secrets),
        pricing=read_pricing(top, base, secrets),
        state=read_state(top, secrets),
        cache=read_cache(top, base, secrets),
        hooks=read_hooks(top, secrets),
        unsupported=unsupported,
        backend=backend,
        timeout=top.seconds("timeout") or 600.0,
        attempt_timeout=top.seconds("attempt_timeout"),
        idle_timeout=top.seconds("idle_timeout"),
        warnings=tuple(problems.warnings),
        source=problems.source,
    )
    problems.raise_if_any()
    for warning in config.warnings:
        _log.warning("%s", warning)
    return config


def _agents(top: Table, groups: Mapping[str, GroupConfig]) -> FrozenDict:
    table = top.table("agents")
    if table is None:
        return EMPTY
    for agent_type, group in table.data.items():
        if not isinstance(group, str):
            table.wrong(agent_type, "the name of a group")
        elif group not in groups:
            table.problems.add((*table.path, agent_type), _unknown("group", group, groups))
    return FrozenDict(table.data)


def _retry(top: Table) -> RetryConfig:
    table = top.table("retry")
    if table is None:
        return RetryConfig()
    table.only(RetryConfig.__struct_fields__)
    usual = RetryConfig()
    retries = table.integer("num_retries", least=0, most=100)
    retry = RetryConfig(
        num_retries=usual.num_retries if retries is None else retries,
        backoff_base=table.seconds("backoff_base") or usual.backoff_base,
        backoff_max=table.seconds("backoff_max") or usual.backoff_max,
    )
    if retry.backoff_base > retry.backoff_max:
        table.problems.add(
            (*table.path, "backoff_base"),
            f"{retry.backoff_base:g} s is above backoff_max, {retry.backoff_max:g} s",
        )
    return retry
