"""Each provider: its plugin, its credential, whether it is there, and its clock."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...config.hiding import without_password
from ...errors import (
    AuthenticationError,
    ConfigError,
    ModelNotFoundError,
    PermissionDeniedError,
    PluginError,
    ProviderConnectionError,
    ProviderTimeoutError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from .values import Result, error, note, ok, warning
from .visits import NOBODY

if TYPE_CHECKING:
    from ...config import ProviderConfig
    from ...errors import SwitchgearError
    from .case import Case
    from .visits import Visit

__all__ = ["clocks", "neighbours", "provider"]

_SDKS: Final = {
    "anthropic": "anthropic",
    "azure-openai": "openai",
    "bedrock": "anthropic",
    "embedded": "xllamacpp",
    "litellm": "litellm",
    "ollama": "ollama",
    "openai": "openai",
    "openai-compatible": "openai",
    "vertex": "anthropic",
}
_KEYLESS: Final = frozenset({"embedded", "ollama"})
_ELSEWHERE: Final = {
    "bedrock": "from wherever boto3 finds one",
    "vertex": "from Google's application default credentials",
    "azure-openai": "from the environment or Entra ID",
}
_CLOCK_SECONDS: Final = 5.0
_SIGNATURE_SECONDS: Final = 240.0
"""Signed requests (AWS) and tokens (Google, Entra) are refused from five minutes on."""
_PATIENCE_FOR_NEIGHBOURS: Final = 1.0


async def provider(case: Case, name: str) -> list[Result]:
    """One provider, from its plugin to its list of models."""
    settings = case.config.providers[name]
    about = f"{name} ({_software(settings)})"
    if settings.missing:
        why = "; ".join(settings.missing)
        return [warning(f"{about} can't be used", why, "set the credential, or remove the table")]
    found = await case.visit(name)
    key = _credential(case, settings)
    if case.offline:
        return [ok(f"{about}: not asked (--offline)", key), *_key_file(case, settings)]
    results = list(_answer(about, key, found, settings))
    if name not in case.used() and case.config.groups:
        # Nobody depends on it.
        results = [
            warning(each.what, each.why, each.remedy) if each.level == "error" else each
            for each in results
        ]
    return [*results, *_key_file(case, settings)]


def _software(settings: ProviderConfig) -> str:
    """The plugin and what it stands on."""
    plugin = settings.plugin
    sdk = _SDKS.get(plugin if settings.backend == "native" else settings.backend)
    if sdk is not None:
        try:
            stands = f"{sdk} {version(sdk)}"
        except PackageNotFoundError:
            stands = f"{sdk} is not installed"
        return stands if plugin == sdk else f"{plugin}, {stands}"
    from ...providers.registry import Registry

    found = {each.name: each.distribution for each in Registry().describe(load=False)}
    return f"{plugin}, {found[plugin]}" if plugin in found else plugin


def _credential(case: Case, settings: ProviderConfig) -> str:
    """Where the credential comes from."""
    from ...config import BUILT_IN

    if settings.key_source is not None:
        if settings.key_source.startswith(("env:", "file:")):
            return f"key from {settings.key_source}"
        return "key written in the configuration"
    if settings.plugin in _KEYLESS:
        return "needs no key"
    for variable in BUILT_IN.get(settings.plugin, ()):
        if case.environ.get(variable):
            return f"key from env:{variable}"
    hidden = sorted(settings.options.masked)
    if hidden:
        return f"credential in {', '.join(hidden)}"
    return (
        f"credential {_ELSEWHERE[settings.plugin]}" if settings.plugin in _ELSEWHERE else "no key"
    )


def _key_file(case: Case, settings: ProviderConfig) -> Iterator[Result]:
    source = settings.key_source or ""
    if not source.startswith("file:"):
        return
    path = (case.base or Path()) / Path(source.removeprefix("file:")).expanduser()
    try:
        open_to_all = path.stat().st_mode & 0o077
    except OSError:
        return
    if open_to_all:
        what = f"{settings.name}: other users of this machine can read its key in {path}"
        yield warning(what, remedy=f"chmod 600 {path}")


def _answer(about: str, key: str, found: Visit, settings: ProviderConfig) -> Iterator[Result]:
    knock, fault = found.knock, found.fault
    silent = fault is None or isinstance(fault, ProviderConnectionError | ProviderTimeoutError)
    if knock is not None and knock.fault and found.models is None and silent:
        # In plainer words than an SDK has for it.
        remedy = knock.remedy
        if settings.plugin == "ollama" and knock.fault == NOBODY:
            remedy = "start it with `ollama serve`, or mend base_url or OLLAMA_HOST"
        yield error(
            f"{about} can't be reached", f"{without_password(found.address)}: {knock.fault}", remedy
        )
        return
    speed = ""
    if knock is not None and knock.latency is not None:
        speed = f" in {knock.latency * 1000:.0f} ms"
    if fault is not None:
        yield _refusal(about, key, fault, settings)
    elif found.models is not None:
        many = f"{len(found.models):,} model{'' if len(found.models) == 1 else 's'}"
        if knock is None:
            yield ok(f"{about}: {many} on this machine")
        else:
            yield ok(f"{about} answers{speed}, {many}", key)
    elif knock is None:
        yield note(f"{about} was not asked", "its plugin tells neither address nor models")
    else:
        why = f"{key}; it was not tried, since nothing there is free to ask"
        yield ok(f"{about} answers{speed}", why)


def _refusal(about: str, key: str, fault: SwitchgearError, settings: ProviderConfig) -> Result:
    """Why it does not list its models, and what that means for calls."""
    words, table = fault.message, f"[providers.{settings.name}]"
    if isinstance(fault, AuthenticationError):
        if fault.status is None:
            return error(f"{about} has no credential", words)
        remedy = f"give {table} a key that is valid, and of this account ({key} now)"
        return error(f"{about} refuses the key", words, remedy)
    if isinstance(fault, PermissionDeniedError):
        why = f"{words} ({key})"
        remedy = "if calls fail too, widen the key's rights, or check the network it is bound to"
        return warning(f"{about} answers, but the key may not list models", why, remedy)
    if isinstance(fault, ModelNotFoundError):
        return note(f"{about} answers, but has no list of models", words, "check base_url")
    if isinstance(fault, QuotaExceededError):
        return error(f"{about} is out of credit or quota", words, "top it up, or raise the limit")
    if isinstance(fault, RateLimitError):
        return warning(f"{about} answers that it is asked too often", words)
    if isinstance(fault, ServerError):
        return error(f"{about} is in trouble", words, "look at its status page")
    if isinstance(fault, ConfigError | PluginError):
        return error(f"{about} can't be used", words)
    return error(f"{about} does not answer as it should", words, f"check base_url in {table}")


async def clocks(case: Case) -> list[Result]:
    """Whether this machine's clock agrees with the providers'."""
    if case.offline:
        return []
    ahead = {
        name: found.knock.ahead
        for name, found in (await case.visits()).items()
        if found.knock is not None and found.knock.ahead is not None
    }
    if not ahead:
        return []
    middle = statistics.median(ahead.values())
    by = f"by {', '.join(sorted(ahead))}"
    if abs(middle) < _CLOCK_SECONDS:
        return [ok(f"the clock is right to a few seconds, {by}")]
    what = (
        f"this machine's clock is {abs(middle):,.0f} s {'ahead' if middle > 0 else 'behind'}, {by}"
    )
    why = "budgets' periods begin by it, and prices change by it"
    remedy = "keep it by NTP (timedatectl set-ntp true)"
    if abs(middle) < _SIGNATURE_SECONDS:
        return [warning(what, why, remedy)]
    return [error(what, f"{why}; signed requests and tokens are refused", remedy)]


async def neighbours(case: Case) -> list[Result]:
    """An Ollama on this machine that nobody uses."""
    from .visits import knock

    providers = case.config.providers.values()
    if case.offline or any(each.plugin == "ollama" for each in providers):
        return []
    patience = min(case.timeout, _PATIENCE_FOR_NEIGHBOURS)
    if (await knock(case.ollama, timeout=patience, clock=case.clock)).fault:
        return []
    return [
        note(
            f"an Ollama runs on this machine ({case.ollama}), and nothing uses it",
            remedy='end a chain with "ollama/MODEL" to be served when all else is down; without a '
            f"file, set OLLAMA_HOST={case.ollama}",
        )
    ]
