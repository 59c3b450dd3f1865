"""``switchgear prices``: what models cost, by the package's table and one's own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import complain, is_terminal, say, show_table, warn, write_json
from .setup import config_option, load_config

if TYPE_CHECKING:
    from ..accounting.prices.check import Report
    from ..accounting.prices.diff import Difference
    from ..accounting.prices.listing import Listed
    from ..accounting.prices.table import PriceTable

__all__ = ["prices"]

_DIFFERENT = 1
_NOTHING = 1
_ONE_SIDED = "only one of the two states it"
_COLUMNS = (
    *("model", "$/M in", "$/M out", "cache read", "cache write", "1 h write", "window", "notes"),
)
_FIELDS = ("model", "input", "output", "cache_read", "cache_write_5m", "cache_write_1h")


class _ShowsByDefault(click.Group):
    """Whatever is no sub-command is for ``show``: ``switchgear prices gpt-4o``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["show", *args]
        return super().parse_args(ctx, args)


_on = click.option(
    "--on",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="The day (UTC) whose prices are meant. Default: today.",
)
_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_providers = click.option(
    "--provider", "-p", "providers", multiple=True, help="Only this one; may be given again."
)


@click.group(cls=_ShowsByDefault)
def prices() -> None:
    """Show, search and compare prices of models.

    USD per million tokens. Without a sub-command: show.
    """


@prices.command()
@click.argument("pattern", required=False)
@_providers
@_on
@_json
@config_option
def show(
    pattern: str | None,
    providers: tuple[str, ...],
    on: dt.datetime | None,
    config_path: str | None,
    *,
    as_json: bool,
) -> None:
    """Show what models cost, those of PATTERN or all.

    PATTERN is any name of a model, a part of one, or has * and ? in it. A configuration's own
    prices are counted in. An empty cell: the vendor has no price of that kind. Exit code 1 where
    there is no such model.
    """
    from ..accounting.prices.listing import listed, matching

    table = _table(config_path)
    found = listed(table, _day(on), providers=_known(table, providers))
    if pattern:
        hint = f"switchgear prices search {pattern.strip('*?')} looks at vendors and notes too"
        found = matching(found, pattern, table)
    else:
        hint = "another --provider or --on has some"
    _list(found, as_json=as_json, hint=hint)


@prices.command()
@click.argument("words", nargs=-1, required=True)
@_providers
@_on
@_json
@config_option
def search(
    words: tuple[str, ...],
    providers: tuple[str, ...],
    on: dt.datetime | None,
    config_path: str | None,
    *,
    as_json: bool,
) -> None:
    """Find models by WORDS of their names, vendors, abilities and notes; all must occur.

    switchgear prices search claude retired
    """
    from ..accounting.prices.listing import listed, searched

    table = _table(config_path)
    found = listed(table, _day(on), providers=_known(table, providers))
    hint = "fewer or shorter words find more; switchgear prices lists every model"
    _list(searched(found, words), as_json=as_json, hint=hint)


@prices.command()
@click.argument("other", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--whole",
    is_flag=True,
    help="OTHER is a whole table, such as an older release's: what it lacks is a difference too.",
)
@_on
@_json
def diff(other: Path, on: dt.datetime | None, *, whole: bool, as_json: bool) -> None:
    """Show what a file of prices would change.

    OTHER is laid over the package's table, as [pricing] file = "OTHER" does. Exit code 1 where
    that changes anything.
    """
    from ..accounting.prices.diff import compare
    from ..accounting.prices.listing import read_table
    from ..accounting.prices.table import default_prices

    ours = default_prices()
    theirs = read_table(other, over=None if whole else ours)
    _differ(compare(ours, theirs, _day(on)), as_json=as_json)


@prices.command()
@_providers
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Show what only one of the two states too: models, kinds of tokens, tiers, fees.",
)
@_on
@_json
def check(
    providers: tuple[str, ...], on: dt.datetime | None, *, everything: bool, as_json: bool
) -> None:
    """Compare the package's prices with an installed genai-prices.

    Each difference is shown, with the reason where it is there on purpose. Exit code 1 where one
    has none. What only one of the two states (a model, a kind of tokens, a tier, a fee) is no
    difference: it is counted, and listed with --all.
    """
    from ..accounting.prices.check import check as check_prices
    from ..accounting.prices.table import default_prices

    table = default_prices()
    report = check_prices(table, _day(on), providers=_known(table, providers))
    shown = [(each, "") for each in report.unexplained]
    shown += report.explained
    if everything:
        shown += [(each, _ONE_SIDED) for each in report.one_sided]
    if as_json:
        write_json([{**_plain(each), "reason": reason or None} for each, reason in shown])
    elif shown:
        rows = [(*_row(each), reason) for each, reason in shown]
        columns = ("model", "what", "here", "genai-prices", "why")
        show_table("differences", columns, rows, note="why")
    else:
        say("no differences", fg="green")
    _sum_up(report, everything=everything)
    if report.unexplained:
        raise click.exceptions.Exit(_DIFFERENT)


def _sum_up(report: Report, *, everything: bool) -> None:
    """How the comparison went, for people: on the standard error."""
    bad, good = len(report.unexplained), len(report.explained)
    told = f"genai-prices {report.version}: {good} explained differences, {bad} without a reason"
    say(told, err=True, fg="red" if bad else "green")
    if report.one_sided and not everything:
        say(f"not shown, as only one of the two states it: {report.left_out()}", err=True)
        say("hint: --all shows them too", err=True)
    for line in report.stale:
        warn(f"an explanation is out of date, there is no such difference: {line}")


def _table(config_path: str | None) -> PriceTable:
    """The package's prices with those of the configuration over them, where there is one."""
    from ..accounting.prices.sources import prices_of
    from ..accounting.prices.table import default_prices
    from ..errors import ConfigError

    table = default_prices()
    try:
        config = load_config(config_path, silent=True)
    except ConfigError as exc:
        if config_path is not None or exc.errors:
            raise
        return table
    return prices_of(config.pricing, table)


def _known(table: PriceTable, providers: tuple[str, ...]) -> tuple[str, ...] | None:
    for provider in providers:
        if provider not in table.kinds:
            message = f"no prices of {provider!r}; there are {', '.join(sorted(table.kinds))}"
            raise click.BadParameter(message, param_hint="--provider")
    return providers or None


def _day(on: dt.datetime | None) -> dt.date:
    return on.date() if on is not None else dt.datetime.now(dt.UTC).date()


def _list(found: Sequence[Listed], *, as_json: bool, hint: str) -> None:
    if not found:
        if as_json:
            write_json([])
        complain("there is no such model", hint=hint)
        raise click.exceptions.Exit(_NOTHING)
    if as_json:
        import msgspec

        write_json([msgspec.structs.asdict(each) for each in found])
        return
    rows = [
        (
            *(_cell(getattr(each, field)) for field in _FIELDS),
            _cell(each.context_window),
            ", ".join(each.notes),
        )
        for each in found
    ]
    show_table("USD per million tokens", _COLUMNS, rows, note="notes")


def _differ(found: Sequence[Difference], *, as_json: bool) -> None:
    if as_json:
        write_json([_plain(each) for each in found])
    elif found:
        rows = [_row(each) for each in found]
        show_table("differences", ("model", "what", "here", "OTHER"), rows)
    else:
        say("no differences", fg="green")
    if found:
        raise click.exceptions.Exit(_DIFFERENT)


def _plain(each: Difference) -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(each)


def _row(each: Difference) -> tuple[str, str, str, str]:
    return f"{each.provider}/{each.model}", each.what, _cell(each.ours), _cell(each.theirs)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    # Grouped digits are for eyes, not for scripts.
    return f"{value:,}" if isinstance(value, int) and is_terminal() else str(value)
