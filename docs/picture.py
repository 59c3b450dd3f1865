"""Draws ``docs/failover.svg``, the picture in the README: one real call of ``switchgear demo``.

Run it from anywhere: ``python docs/picture.py``. It needs the extra ``embedded`` and its model, as
the demo does; the first two steps of the chain are simulated, the last one really answers.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from switchgear.cli import outage
from switchgear.cli.session import Session

if TYPE_CHECKING:
    from switchgear import Completion

TARGET = Path(__file__).with_name("failover.svg")
WIDTH = 92

# rich's own template with neither its fonts, which would be fetched from the network by whoever
# looks at the picture, nor its shadow. The names in braces are filled in by ``export_svg``.
TEMPLATE = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<title>A call that survives two outages</title>
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
  font-variant-east-asian: full-width;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def ask() -> Completion:
    """The demo's first question to the demo's chain."""
    with outage.outage() as config, Session(config) as session:
        # The first call also loads the model; the picture shows what every later one looks like.
        for _ in range(2):
            with contextlib.redirect_stdout(io.StringIO()):
                reply = session.run(outage.ask(session.router, outage.QUESTIONS[0]))
    return reply


def draw(reply: Completion) -> str:
    """The call as an SVG: question, answer, trace, cost."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"> {outage.QUESTIONS[0]}", style="bold"))
    console.print(Text(reply.text, style="cyan"))
    console.print()
    console.print(reply.trace)
    console.print()
    console.print(Text(outage.summary(reply)))
    svg = console.export_svg(title="switchgear demo", code_format=TEMPLATE, unique_id="switchgear")
    # The template engine leaves spaces at the ends of lines.
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines())


if __name__ == "__main__":
    TARGET.write_text(draw(ask()), encoding="utf-8")
    print(f"{TARGET} is drawn")  # noqa: T201
