"""``switchgear providers``: which plugins there are, and which are broken."""

from __future__ import annotations

import click

from .failure import WRONG_CONFIG
from .output import say, show_table, write_json

__all__ = ["providers"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def providers(*, as_json: bool) -> None:
    """List the installed provider plugins.

    Plugins of other packages are left out where SWITCHGEAR_PLUGINS=0. Ends with exit code 3 where
    one of them is broken.
    """
    import msgspec

    from ..plugins import SWITCH
    from ..providers.registry import Registry

    found = Registry().describe()
    if as_json:
        write_json([msgspec.structs.asdict(plugin) for plugin in found])
    else:
        rows = [
            (
                plugin.name,
                "broken" if plugin.error else "ok",
                plugin.distribution,
                plugin.error or plugin.note or plugin.target,
            )
            for plugin in found
        ]
        show_table("provider plugins", ("plugin", "state", "package", "where"), rows)
        if all(plugin.built_in for plugin in found):
            say(f"no plugins of other packages ({SWITCH}=0 turns them off)", err=True, dim=True)
    if any(plugin.error for plugin in found):
        raise click.exceptions.Exit(WRONG_CONFIG)
