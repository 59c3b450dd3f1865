"""``switchgear migrate``: another router's configuration, translated into ours."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .failure import NOT_WHOLE
from .notices import noticed
from .output import complain, one_line, say, warn

if TYPE_CHECKING:
    from .migration.litellm import Migration

__all__ = ["migrate"]


@click.group()
def migrate() -> None:
    """Translate another router's configuration."""


@migrate.command()
@click.argument("path", metavar="CONFIG.yaml")
@click.option("--output", "-o", metavar="FILE", help="Write there; the standard output without.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def litellm(path: str, output: str | None, *, force: bool) -> None:
    """Translate the configuration of a LiteLLM proxy into a switchgear.toml.

    What has no equivalent is listed on the standard error and at the head of the file, each with
    what to do instead. Secrets are not copied: environment variables stand in their place.

    Exit code 0 where everything was translated, 4 where something was not, 3 where the file can't
    be read.
    """
    import os

    from .migration.litellm import translate
    from .migration.reading import read_yaml

    if output is not None and Path(output).exists() and not force:
        message = f"{output} is there already: --force writes over it"
        raise click.UsageError(message)
    click.get_current_context().with_resource(noticed(logging.NullHandler()))
    found = translate(read_yaml(Path(path)), os.environ)
    if output is None:
        say(found.text, nl=False)
    else:
        _write(Path(output), found.text)
    _tell(found)
    if not found.whole:
        raise click.exceptions.Exit(NOT_WHOLE)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        message = f"can't write {path}: {exc.strerror or exc}"
        raise click.UsageError(message) from exc


def _tell(found: Migration) -> None:
    findings = found.findings
    for remark in findings.notes:
        say(one_line(f"note: {remark}"), err=True)
    for name, what in findings.unset.items():
        say(one_line(f"set {name}: {what}"), err=True)
    for remark in findings.lost:
        warn(f"{remark}")
    if findings.lost:
        count = len(findings.lost)
        has = "key has" if count == 1 else "keys have"
        complain(f"{count} {has} no equivalent", hint="each is listed above, with a way out")
