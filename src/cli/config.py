"""``switchgear config``: is it right, and what does it come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .failure import WRONG_CONFIG
from .output import complain, say, write_json
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

    named = _one_file(path, config_path)
    findings: list[Finding] = []
    source = named or ""
    groups = 0
    try:
        loaded = load_config(named, silent=True)
    except ConfigError as exc:
        if not as_json and not exc.errors:
            raise
        errors = [each.message for each in exc.errors] or [exc.message]
    else:
        source, groups = loaded.source or "environment", len(loaded.groups)
        providers = Providers(loaded, Registry())
        errors = _provider_mistakes(loaded, providers)
        findings = [
            *check_config(loaded),
            *providers.findings(),
            *broken_promises(loaded, providers),
        ]
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
@click.argument("path", metavar="[FILE]", required=False)
@config_option
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
def show(path: str | None, config_path: str | None, *, as_json: bool) -> None:
    """Show the configuration in force, without its secrets.

    That of FILE; without one, that which the other commands would use. What is not written in it
    is shown as it holds then.
    """
    from .settings import in_force, show_settings

    shown = in_force(load_config(_one_file(path, config_path)))
    if as_json:
        write_json(shown)
    else:
        show_settings(shown)


def _one_file(path: str | None, config_path: str | None) -> str | None:
    """FILE or ``--config``, which mean the same here."""
    if path is not None and config_path is not None and path != config_path:
        message = "FILE and --config name two files: give one of them"
        raise click.UsageError(message)
    return path or config_path


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
