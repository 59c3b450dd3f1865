"""``switchgear plugins``: everything that can be plugged in, what does it, and what is broken."""

from __future__ import annotations

import click

from .failure import WRONG_CONFIG
from .output import say, show_table, write_json

__all__ = ["plugins"]


@click.command()
@click.option("--group", "only", metavar="GROUP", help="One entry-point group only.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def plugins(*, only: str | None, as_json: bool) -> None:
    """List providers, strategies, stores, price sources and hooks.

    Plugins of other packages are left out where SWITCHGEAR_PLUGINS=0. A hook or a price source does
    nothing until the configuration names it. Ends with exit code 3 where a plugin is broken.
    """
    import msgspec

    from ..plugins import GROUPS, SWITCH, Plugins

    if only is not None and only not in GROUPS:
        message = f"there is no group {only!r}; there are {', '.join(GROUPS)}"
        raise click.BadParameter(message, param_hint="--group")
    groups = (only,) if only is not None else tuple(GROUPS)
    every = [plugin for group in groups for plugin in Plugins(group).describe()]
    if as_json:
        write_json([msgspec.structs.asdict(plugin) for plugin in every])
    else:
        rows = [
            (
                GROUPS[plugin.group],
                plugin.name,
                "broken" if plugin.error else "ok",
                plugin.distribution,
                plugin.error or plugin.note or plugin.target,
            )
            for plugin in every
        ]
        show_table("plugins", ("kind", "plugin", "state", "package", "where"), rows)
        without = {*groups} - {plugin.group for plugin in every}
        for group in sorted(without):
            say(f"no {GROUPS[group]} is installed ({group})", err=True, dim=True)
        if all(plugin.built_in for plugin in every):
            say(f"no plugins of other packages ({SWITCH}=0 turns them off)", err=True, dim=True)
    if any(plugin.error for plugin in every):
        raise click.exceptions.Exit(WRONG_CONFIG)
