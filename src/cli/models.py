"""``switchgear models``: what is configured, what it can do and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from .output import is_terminal, say, show_table, write_json
from .setup import config_option, load_config

if TYPE_CHECKING:
    from ..accounting.prices.table import Price
    from ..config import Config
    from ..errors import SwitchgearError
    from ..providers.base import Capabilities

__all__ = ["models"]

_MILLION = 1_000_000
_ABILITIES = ("tools", "images", "files", "audio", "reasoning")
_COLUMNS = ("group", "model", "window", "answer", "can", "$/M in", "$/M out")
_KEYS = {
    "window": "context_window",
    "answer": "max_output_tokens",
    "$/M in": "usd_per_million_input",
    "$/M out": "usd_per_million_output",
}


@click.command()
@click.argument("provider", required=False)
@config_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def models(provider: str | None, config_path: str | None, *, as_json: bool) -> None:
    """List models, what they can do and cost.

    Those of the configured groups; or PROVIDER is asked which models it has.

    Windows and longest answers are in tokens, prices in USD per million tokens; "?" is unknown.
    """
    config = load_config(config_path, model=f"{provider}/any" if provider else None)
    if provider is not None:
        names = _ask(config, provider)
        if as_json:
            write_json(names)
        else:
            for name in names:
                say(name)
        return
    found = _configured(config)
    if as_json:
        write_json(found)
    elif is_terminal():
        for group in config.groups:
            _show(group, _COLUMNS[1:], [entry for entry in found if entry["group"] == group])
    else:
        _show("", _COLUMNS, found)


def _ask(config: Config, provider: str) -> tuple[str, ...]:
    from .session import Session

    with Session(config) as session:
        session.check(f"{provider}/any")
        return session.run(session.router.list_models(provider))


def _configured(config: Config) -> list[dict[str, Any]]:
    import datetime as dt

    from ..accounting.prices.sources import prices_of
    from ..accounting.prices.vendors import priced_as
    from ..errors import SwitchgearError
    from ..routing.router import Router

    prices = prices_of(config.pricing)
    today = dt.datetime.now(dt.UTC).date()
    router = Router(config)
    found: list[dict[str, Any]] = []
    for group in config.groups.values():
        for candidate in group.candidates:
            try:
                can = router.capabilities(str(candidate))
            except SwitchgearError as exc:
                found.append(_unusable(group.name, str(candidate), exc))
                continue
            provider = config.providers[candidate.provider]
            price = prices.lookup(*priced_as(provider, candidate.model, prices), today)
            found.append(
                {
                    "group": group.name,
                    "model": str(candidate),
                    "context_window": can.context_window,
                    "max_output_tokens": can.max_output_tokens,
                    "can": _abilities(can),
                    "usd_per_million_input": _dollars(price, "input"),
                    "usd_per_million_output": _dollars(price, "output"),
                }
            )
    return found


def _dollars(price: Price | None, kind: str) -> Decimal | None:
    """USD for a million tokens of a kind."""
    from ..accounting.money import usd

    return usd(price.cost(0, **{kind: _MILLION})) if price is not None else None


def _abilities(can: Capabilities) -> list[str]:
    able = [name for name in _ABILITIES if getattr(can, name)]
    return [*able, "schema"] if can.schema else able


def _unusable(group: str, model: str, error: SwitchgearError) -> dict[str, Any]:
    unknown = dict.fromkeys(_KEYS.values())
    return {"group": group, "model": model, "can": [], **unknown, "error": error.message}


def _show(title: str, columns: Sequence[str], found: Sequence[dict[str, Any]]) -> None:
    rows = []
    for entry in found:
        row = {column: _cell(entry[_KEYS.get(column, column)]) for column in columns}
        if "error" in entry:
            row["can"] = f"unusable: {entry['error']}"
        rows.append(tuple(row.values()))
    if title:
        say()
    show_table(title, columns, rows, note="can")


def _cell(value: object) -> str:
    if value is None:
        return "?"
    if isinstance(value, list):
        return ", ".join(value)
    # Grouped digits are for eyes, not for scripts.
    return f"{value:,}" if isinstance(value, int) and is_terminal() else str(value)
