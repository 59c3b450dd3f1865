"""``switchgear config``: is it right, and what does it come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .failure import WRONG_CONFIG
from .output import complain, say, show_table, write_json
from .setup import config_option, load_config

if TYPE_CHECKING:
    from ..config import Config, Finding
    from ..routing.providers import Providers

__all__ = ["config"]


@click.group()
def config() -> None:
    """Check or show the configuration."""


@config.command()
@click.argument("path", metavar="[FILE]", required=False)
@config_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def check(path: str | None, config_path: str | None, *, as_json: bool) -> None:
    """Check a configuration file, every mistake in it at once.

    Without FILE it checks the configuration that the other commands would use. Exit code 3 where
    it is wrong; warnings and notes leave 0.
    """
    from ..config import check as check_config
    from ..errors import ConfigError
    from ..providers.registry import Registry
    from ..routing.promises import broken_promises
    from ..routing.providers import Providers

    if path is not None and config_path is not None and path != config_path:
        message = "FILE and --config name two files: give one of them"
        raise click.UsageError(message)
    findings: list[Finding] = []
    source = path or config_path or ""
    groups = 0
    try:
        loaded = load_config(path or config_path, silent=True)
    except ConfigError as exc:
        if not as_json and not exc.errors:
            raise
        errors = [each.message for each in exc.errors] or [exc.message]
    else:
        source, groups = loaded.source or "environment", len(loaded.groups)
        providers = Providers(loaded, Registry())
        errors = _provider_mistakes(loaded, providers)
        findings = [*check_config(loaded), *broken_promises(loaded, providers)]
    if as_json:
        write_json(_report(source, errors, findings))
    else:
        for finding in findings:
            say(str(finding), fg="yellow" if finding.level == "warning" else None)
        if not errors:
            say(f"{source}: ok, {groups} group{'' if groups == 1 else 's'}", fg="green")
    for error in errors:
        complain(error)
    if errors:
        raise click.exceptions.Exit(WRONG_CONFIG)


@config.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
def show(config_path: str | None, *, as_json: bool) -> None:
    """Show the configuration in force, without its secrets."""
    shown = load_config(config_path).redacted()
    if as_json:
        write_json(shown)
        return
    say(f"from {shown['source'] or 'the environment'}")
    if shown["providers"]:
        say()
        show_table("providers", ("provider", "plugin", "key", "address"), _providers(shown))
    if shown["groups"]:
        say()
        show_table("groups", ("group", "chain", "for"), _groups(shown))
    if shown["agents"]:
        say()
        show_table("agents", ("agent type", "group"), list(shown["agents"].items()))


def _provider_mistakes(loaded: Config, providers: Providers) -> list[str]:
    """What the plugins say of their own settings. Making a provider does no I/O."""
    from ..errors import SwitchgearError

    mistakes = []
    for name, settings in loaded.providers.items():
        if settings.missing:
            continue  # a finding already
        try:
            providers.get(name)
        except SwitchgearError as exc:
            mistakes.append(exc.message)
    return mistakes


def _report(source: str, errors: list[str], findings: list[Finding]) -> dict[str, Any]:
    import msgspec

    return {
        "ok": not errors,
        "source": source or None,
        "errors": errors,
        "findings": [msgspec.structs.asdict(finding) for finding in findings],
    }


def _providers(shown: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            name,
            provider["plugin"],
            _key(provider),
            provider["base_url"] or "the vendor's",
        )
        for name, provider in shown["providers"].items()
    ]


def _key(provider: dict[str, Any]) -> str:
    key = provider["api_key"] or "-"
    return f"{key} (missing)" if provider["missing"] else key


def _groups(shown: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (name, " → ".join(map(_link, group["chain"])), group["use"] or "-")
        for name, group in shown["groups"].items()
    ]


def _link(entry: Any) -> str:
    """One link of a chain: a model, or the models of a pool."""
    if isinstance(entry, list):
        return f"[{' | '.join(map(_link, entry))}]"
    return str(entry["model"]) if isinstance(entry, dict) else str(entry)
