"""``switchgear doctor``: what is configured, reachable, priced, limited and shared."""

from __future__ import annotations

import os
import shutil
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .failure import CALL_FAILED, WRONG_CONFIG
from .output import is_terminal, one_line, say, write_json
from .setup import config_option, load_config

if TYPE_CHECKING:
    from ..errors import ConfigError
    from .checkup import Case, Examined, Level, Result

__all__ = ["doctor"]

_COLOURS: Final[dict[Level, dict[str, Any]]] = {
    "ok": {"fg": "green"},
    "note": {"fg": "cyan"},
    "warning": {"fg": "yellow"},
    "error": {"fg": "red", "bold": True},
}
_MARGIN: Final = 11
_WIDEST: Final = 100


@click.command()
@config_option
@click.option("--offline", is_flag=True, help="Ask nobody: no provider, no database server.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 120),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long anything outside may take to answer.",
)
@click.option("--quiet", "-q", is_flag=True, help="Leave out what is right.")
@click.option("--strict", is_flag=True, help="Warnings count as errors for the exit code.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(
    *,
    config_path: str | None,
    offline: bool,
    timeout: float,
    quiet: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Look at everything that a call will need, and say what is wrong and what to do.

    Costs nothing: providers are asked for their models, never for an answer. Nothing is changed,
    but for budgets that the ledger has not heard of: they are counted from now on.

    Exit code 0 where there is no error, 3 where the configuration is wrong, 1 where something else
    is.
    """
    case = _case(config_path, offline=offline, timeout=timeout)
    started = time.monotonic()
    found = _examined(case, show=not as_json, quiet=quiet)
    seconds = time.monotonic() - started
    levels = [(each.check.section, result.level) for each in found for result in each.results]
    if as_json:
        write_json(_report(found, case, seconds))
    else:
        _show_summary([level for _, level in levels], seconds)
    failing = {"error", "warning"} if strict else {"error"}
    sections = {section for section, level in levels if level in failing}
    if "configuration" in sections:
        raise click.exceptions.Exit(WRONG_CONFIG)
    if sections:
        raise click.exceptions.Exit(CALL_FAILED)


def _case(config_path: str | None, *, offline: bool, timeout: float) -> Case:
    from ..clock import SystemClock
    from ..errors import ConfigError
    from .checkup import Case

    failure: ConfigError | None = None
    config = None
    try:
        config = load_config(config_path, silent=True)
    except ConfigError as exc:
        failure = exc
    return Case(
        config,
        failure=failure,
        chosen=_road(config_path),
        environ=os.environ,
        clock=SystemClock(),
        timeout=timeout,
        offline=offline,
    )


def _road(config_path: str | None) -> str:
    """Which of the places where a configuration may be named was heeded."""
    if config_path is not None:
        return "--config"
    return "SWITCHGEAR_CONFIG" if os.environ.get("SWITCHGEAR_CONFIG", "").strip() else ""


def _examined(case: Case, *, show: bool, quiet: bool) -> list[Examined]:
    import asyncio

    from .checkup.threads import Daemons

    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(Daemons())
        return runner.run(_examine(case, show=show, quiet=quiet))


async def _examine(case: Case, *, show: bool, quiet: bool) -> list[Examined]:
    from .checkup import checks_for, examine

    found: list[Examined] = []
    try:
        async for section, examined in examine(case, checks_for(case)):
            found += examined
            if show:
                results = [result for each in examined for result in each.results]
                _show(section, [each for each in results if not (quiet and each.level == "ok")])
    finally:
        await case.aclose()
    return found


def _show(section: str, results: Sequence[Result]) -> None:
    if not results:
        return
    say(section, bold=True)
    for result in results:
        level: str = f"  {result.level:<{_MARGIN - 2}}"
        say(level, nl=False, **_COLOURS[result.level])
        first, *others = _lines(result.what)
        say(first)
        for line in others:
            say(f"{'':{_MARGIN}}{line}")
        for line in _lines(result.why):
            say(f"{'':{_MARGIN}}{line}", dim=True)
        for number, line in enumerate(_lines(result.remedy, less=2)):
            say(f"{'':{_MARGIN}}{'  ' if number else '→ '}{line}")
    say()


def _lines(text: str, *, less: int = 0) -> list[str]:
    """The text as lines that fit a terminal; elsewhere a line, whatever its length."""
    line = one_line(text)
    if not line or not is_terminal():
        return [line] if line else []
    width = min(_WIDEST, shutil.get_terminal_size().columns) - _MARGIN - less
    return textwrap.wrap(line, max(20, width), break_on_hyphens=False)


def _show_summary(levels: Sequence[Level], seconds: float) -> None:
    from .checkup import LEVELS

    counts = {level: levels.count(level) for level in LEVELS}
    worst: Level = next((level for level in LEVELS if counts[level]), "ok")
    words = [
        f"{count} {level}{'' if count == 1 else 's'}"
        for level, count in counts.items()
        if count and level != "ok"
    ]
    right = f"{counts['ok']} right"
    say(f"{', '.join([*words, right])} ({seconds:.1f} s)", **_COLOURS[worst])


def _report(found: Sequence[Examined], case: Case, seconds: float) -> dict[str, Any]:
    import msgspec

    from .. import __version__
    from .checkup import LEVELS

    results = [
        {"section": each.check.section, "check": each.check.name, **msgspec.structs.asdict(result)}
        for each in found
        for result in each.results
    ]
    levels = [result.level for each in found for result in each.results]
    return {
        "ok": "error" not in levels,
        "version": __version__,
        "source": str(Path(case.config.source)) if case.config.source else None,
        "offline": case.offline,
        "seconds": round(seconds, 3),
        "counts": {level: levels.count(level) for level in LEVELS},
        "results": results,
    }
