"""``switchgear demo``: a chain survives two outages and answers with a real model."""

from __future__ import annotations

import click

__all__ = ["demo"]

_QUESTIONS = 3


@click.command()
@click.option(
    "--questions",
    type=click.IntRange(1, _QUESTIONS),
    default=_QUESTIONS,
    show_default=True,
    help="How many to ask.",
)
def demo(questions: int) -> None:
    """Watch a call survive two outages.

    Claude is overloaded, GPT is rate-limited (both simulated on this machine), and a small model
    that runs right here gives the answers. Needs neither key nor network.
    """
    from .outage import QUESTIONS, run_demo

    run_demo(QUESTIONS[:questions])
