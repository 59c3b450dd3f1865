"""``switchgear reconcile``: the ledger beside a vendor's bill."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .failure import CALL_FAILED, WRONG_REQUEST
from .ledger import ledger_option, opened_ledger, read_config
from .output import is_terminal, say, show_table, warn, write_json
from .setup import config_option

if TYPE_CHECKING:
    from ..accounting.reports.exports.values import Export
    from ..accounting.reports.reconciliation import Difference, Reconciliation, Tolerance, Verdict

__all__ = ["reconcile"]

_COLUMNS = ("day", "model", "figure", "ledger", "export", "difference", "why")
_NUMBERS = ("ledger", "export", "difference")
_CODES: Final[Mapping[Verdict, int]] = {
    "agree": 0,
    "differ": CALL_FAILED,
    "incomplete": WRONG_REQUEST,
    "nothing compared": WRONG_REQUEST,
}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--provider",
    metavar="NAME",
    help="Only attempts at this provider. Default: all providers of the vendor's kind.",
)
@click.option(
    "--api-key",
    "api_keys",
    multiple=True,
    metavar="KEY",
    help="Only the export's lines of this vendor key; may be given several times.",
)
@click.option(
    "--project",
    "projects",
    multiple=True,
    metavar="PROJECT",
    help="Only its lines of this vendor project or workspace; may be given several times.",
)
@click.option(
    "--tolerance",
    metavar="AMOUNT",
    help="What is no difference: USD (0.01) for costs, or a part (1%) for every figure.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, every figure exact.")
@ledger_option
@config_option
def reconcile(
    file: Path,
    *,
    provider: str | None,
    api_keys: tuple[str, ...],
    projects: tuple[str, ...],
    tolerance: str | None,
    as_json: bool,
    ledger_url: str | None,
    config_path: str | None,
) -> None:
    """Compare the ledger with FILE, a vendor's usage or cost export.

    Anthropic's usage and cost reports of the Admin API (JSON) and the Console's exports (CSV);
    OpenAI's usage and costs APIs (JSON) and the dashboard's exports (CSV). Every difference is
    listed, by day (UTC) and model. What the ledger has of a time that FILE covers and FILE has not
    is one, too.

    Exit code 0 where both agree, 1 where there is a difference, 2 where there is none but nothing
    follows from that: pages or days of FILE are missing, or neither side has anything to compare.
    """
    from ..accounting.reports.exports.reader import read_export
    from ..accounting.reports.reconcile import reconcile as compare

    allowed = _tolerance(tolerance)
    try:
        data = file.read_bytes()
    except OSError as exc:
        raise click.FileError(str(file), exc.strerror) from exc
    export = _only(read_export(data), api_keys, projects)
    with opened_ledger(read_config(config_path), ledger_url) as store:
        found = compare(store, export, provider=provider, tolerance=allowed)
    if as_json:
        write_json(_plain(found))
    else:
        _show(found)
    if code := _CODES[found.verdict]:
        raise click.exceptions.Exit(code)


def _tolerance(given: str | None) -> Tolerance:
    from ..accounting.money import exact_decimal
    from ..accounting.reports.reconciliation import NONE, Tolerance

    if given is None:
        return NONE
    percent = given.strip().endswith("%")
    try:
        amount = exact_decimal(given.strip().strip("$% "))
    except ValueError:
        amount = Decimal(-1)
    if amount < 0:
        message = f"--tolerance {given}: write an amount in USD (0.01) or a part (1%)"
        raise click.UsageError(message)
    return Tolerance(part=amount / 100) if percent else Tolerance(usd=amount)


def _only(export: Export, api_keys: tuple[str, ...], projects: tuple[str, ...]) -> Export:
    """The export with the lines that were asked for."""
    import msgspec

    for option, wanted, there in (
        ("--api-key", api_keys, {line.api_key for line in export.lines}),
        ("--project", projects, {line.project for line in export.lines}),
    ):
        for name in wanted:
            if name not in there:
                known = ", ".join(sorted(each for each in there if each is not None)) or "none"
                message = f"{option} {name}: the export has no line of it; it names {known}"
                raise click.UsageError(message)
    lines = tuple(
        line
        for line in export.lines
        if (not api_keys or line.api_key in api_keys) and (not projects or line.project in projects)
    )
    return msgspec.structs.replace(export, lines=lines)


def _show(found: Reconciliation) -> None:
    from ..accounting.reports.figures import times

    if found.since is None or found.until is None:
        say(f"{found.form} covers no time: nothing was compared", fg="red")
        return
    say(
        f"{found.form}, {found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC, beside "
        f"{times(found.attempts, 'attempt')} in the ledger"
    )
    totals = [
        (total.measure.replace("_", " "), *_pair(total.measure, total.ledger, total.export))
        for total in found.totals
        if total.ledger or total.export
    ]
    show_table("together", ("figure", *_NUMBERS), totals, numbers=_NUMBERS)
    if found.differences:
        say()
        show_table(
            "differences", _COLUMNS, [_row(each) for each in found.differences], numbers=_NUMBERS
        )
    for note in found.notes:
        warn(note)
    say(_conclusion(found), fg="green" if found.verdict == "agree" else "red")


def _conclusion(found: Reconciliation) -> str:
    from ..accounting.reports.figures import times

    count, figures = len(found.differences), times(found.compared, "figure")
    if found.verdict == "differ":
        return f"{count:,} of {figures} differ{'s' if count == 1 else ''}"
    if found.verdict == "incomplete":
        return (
            f"no difference in {figures}, but FILE is incomplete: add what is missing, or "
            "export it with a higher limit"
        )
    if found.verdict == "nothing compared":
        return "nothing was compared: neither side has anything billed in that time"
    return f"no difference in {figures}"


def _row(each: Difference) -> tuple[str, ...]:
    why = [] if each.kind == "amounts differ" else [each.kind]
    return (
        each.day.isoformat(),
        each.model,
        each.measure.replace("_", " "),
        *_pair(each.measure, each.ledger, each.export),
        "; ".join((*why, *each.notes)),
    )


def _pair(measure: str, ledger: Decimal, export: Decimal) -> tuple[str, str, str]:
    from ..accounting.reports.figures import dollars, places_for

    gap = export - ledger
    plus = "+" if gap > 0 else ""
    if measure != "cost" or not is_terminal():
        spec = ",f" if is_terminal() else "f"
        return f"{ledger:{spec}}", f"{export:{spec}}", f"{plus}{gap:{spec}}"
    places = places_for((ledger, export, gap))
    shown = [dollars(each, places) for each in (ledger, export, gap)]
    return shown[0], shown[1], f"{plus}{shown[2]}"


def _plain(found: Reconciliation) -> dict[str, Any]:
    import msgspec

    differences = [
        {**msgspec.structs.asdict(each), "difference": each.by} for each in found.differences
    ]
    return {
        "agree": found.verdict == "agree",
        "verdict": found.verdict,
        **msgspec.structs.asdict(found),
        "differences": differences,
    }
