"""The configuration itself, and what in the environment goes before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ...errors import SwitchgearError
from .values import Result, error, note, ok, warning

if TYPE_CHECKING:
    from ...config import Finding
    from .case import Case

__all__ = [
    "agents",
    "as_result",
    "extensions",
    "findings",
    "loads",
    "overrides",
    "plugins",
    "price_tables",
]

_USUAL_FILE: Final = "switchgear.toml"
_PROXIES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_ADDRESSES: Final = {"anthropic": "ANTHROPIC_BASE_URL", "openai": "OPENAI_BASE_URL"}
_NOTHING: Final = "no provider is configured"


def loads(case: Case) -> Iterator[Result]:
    """Whether it loads; every mistake where it does not."""
    config, failure = case.config, case.failure
    if case.loaded:
        providers, groups = len(config.providers), len(config.groups)
        source = config.source or "the keys in the environment"
        counts = f"{_many(providers, 'provider')}, {_many(groups, 'group')}"
        yield ok(f"{source}{case.chosen and f' ({case.chosen})'}: {counts}")
        return
    if failure is None or failure.message == _NOTHING:
        yield error(
            _NOTHING,
            remedy="set ANTHROPIC_API_KEY, OPENAI_API_KEY or OLLAMA_HOST, or write "
            "switchgear.toml; `switchgear chat -m embedded/smollm2-135m` needs neither key nor "
            "server",
        )
        return
    for each in failure.errors or (failure,):
        yield error(each.message)
    why = "providers, groups, limits and budgets are looked at once it loads"
    yield note("the configuration does not load", why, "mend it, and run this again")


def findings(case: Case) -> Iterator[Result]:
    """What loads and is hardly meant; what is about a group stands with the group."""
    from ...config import check

    for finding in check(case.config) if case.loaded else ():
        if not finding.place.startswith("groups."):
            yield as_result(finding)


def as_result(finding: Finding) -> Result:
    """What ``switchgear config check`` says, as this report says it."""
    what = ": ".join(filter(None, (finding.place, finding.message)))
    return warning(what) if finding.level == "warning" else note(what)


def plugins(case: Case) -> Iterator[Result]:
    """What the plugins say of their own tables."""
    for name, settings in case.config.providers.items():
        if settings.missing:
            continue  # a finding already
        try:
            case.providers.get(name)
        except SwitchgearError as exc:
            yield error(
                exc.message, remedy="`switchgear providers` lists the plugins that are there"
            )
    for finding in case.providers.findings():
        yield as_result(finding)


def extensions(case: Case) -> Iterator[Result]:
    """Whether the strategies and hooks of other packages that are named can be had."""
    from ...plugins import Plugins

    named = {
        ("switchgear.hooks", hook.plugin, f"hooks.{name}.plugin")
        for name, hook in case.config.hooks.items()
    } | {
        ("switchgear.strategies", group.strategy, f"groups.{name}.strategy")
        for name, group in case.config.groups.items()
    }
    for kind, plugin, where in sorted(named):
        found = Plugins(kind)
        if found.is_own(plugin):
            continue
        try:
            found.load(plugin, where=where)
        except SwitchgearError as exc:
            remedy = "`switchgear plugins` lists the plugins that are there"
            yield error(exc.message, "no router starts with it", remedy)
        else:
            yield ok(f"{where}: {found.named(plugin)}")


def price_tables(case: Case) -> Iterator[Result]:
    """Whether prices of one's own can be used."""
    from ...accounting.prices.sources import prices_of

    pricing = case.pricing
    if case.config.pricing.sources and not pricing.sources:
        yield note("price sources were not asked", "--offline")
    if not pricing.tables and not pricing.sources:
        return
    try:
        prices_of(pricing)
    except SwitchgearError as exc:
        yield error(exc.message, "no router starts with it", "mend [pricing]")
        return
    if pricing.sources:
        names = ", ".join(source.name for source in pricing.sources)
        yield ok(f"prices of {names} are laid over the package's table")
    if pricing.tables:
        yield ok("prices of your own are laid over the package's table")


def agents(case: Case) -> Iterator[Result]:
    """How agent types find their group."""
    if case.config.agents:
        groups = len(set(case.config.agents.values()))
        types = _many(len(case.config.agents), "agent type")
        yield ok(f"{types}, for {_many(groups, 'group')}")


def overrides(case: Case) -> Iterator[Result]:
    """Environment variables that change what the configuration seems to say."""
    yield from _of_ours(case)
    environ = case.environ
    for name, settings in case.config.providers.items():
        variable = _ADDRESSES.get(settings.plugin)
        if variable and settings.base_url is None and (url := environ.get(variable)):
            yield warning(
                f"{name}: {variable} sends its calls, with their key, to {_shown(url)}",
                remedy=f"unset {variable}, or write base_url in [providers.{name}] if it is meant",
            )
    for variable in _PROXIES:
        value = environ.get(variable) or environ.get(variable.lower())
        if value:
            yield note(f"{variable} sends calls through {_shown(value)}")
    for variable in _CERTIFICATES:
        value = environ.get(variable)
        if value and not Path(value).exists():
            yield error(
                f"{variable} names {value}, which is not there",
                "no TLS connection can be verified",
                f"mend or unset {variable}",
            )


def _of_ours(case: Case) -> Iterator[Result]:
    environ, config = case.environ, case.config
    named = environ.get("SWITCHGEAR_CONFIG", "").strip()
    if named and case.chosen == "--config":
        yield note(f"SWITCHGEAR_CONFIG names {named}; --config goes before it here")
    elif named and Path(_USUAL_FILE).is_file() and not _same(named, _USUAL_FILE):
        yield note(f"./{_USUAL_FILE} is not read: SWITCHGEAR_CONFIG goes before it")
    if environ.get("SWITCHGEAR_LEDGER") and config.ledger.url:
        yield note("SWITCHGEAR_LEDGER has no effect: [ledger] url goes before it")
    if environ.get("SWITCHGEAR_OLLAMA_MODEL") and config.source:
        yield note("SWITCHGEAR_OLLAMA_MODEL has no effect beside a configuration file")
    if environ.get("SWITCHGEAR_PLUGINS") == "0":
        yield note("SWITCHGEAR_PLUGINS=0: plugins of other packages are turned off")


def _same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def _shown(url: str) -> str:
    """An address without what may be a password."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(an address that can't be read)"
    return f"{parts.hostname or '(nothing)'}{port}"


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
