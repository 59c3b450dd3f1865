"""``switchgear new-provider``: a provider plugin to begin with, whose tests pass."""

from __future__ import annotations

import click

__all__ = ["new_provider"]


@click.command("new-provider")
@click.argument("name")
@click.option(
    "--into",
    default=".",
    type=click.Path(file_okay=False),
    help="The folder that gets the new one; the working directory by default.",
)
def new_provider(name: str, into: str) -> None:
    """Write a provider plugin NAME to begin with: a package with an adapter and its tests.

    It is a folder switchgear-NAME, a distribution of its own with an entry point. It speaks an API
    that does not exist, to a simulated vendor that comes with it: its tests pass at once, the
    conformance suite among them. Its README.md says what to change.
    """
    from pathlib import Path

    from .output import say
    from .scaffold import scaffold

    folder = scaffold(name, Path(into))
    say(f"wrote {folder}")
    say("")
    say(f"  cd {folder}")
    say("  python -m pip install --editable .")
    say("  python -m pytest")
    say("  switchgear providers")
