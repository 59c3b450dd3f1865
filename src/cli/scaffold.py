"""Writes the skeleton of a provider plugin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from .. import __version__
from ..errors import ConfigError
from ..plugins import Plugins

__all__ = ["scaffold"]

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_SUFFIX = ".txt"  # so that no tool takes the skeleton for code of this package


def scaffold(name: str, into: Path) -> Path:
    """Write the distribution ``switchgear-NAME``.

    Args:
        name: What ``plugin = "…"`` will say.
        into: The folder that gets the new one.

    Returns:
        The new folder.

    Raises:
        ConfigError: The name won't do or is taken, or the folder is there already or can't be
            written.
    """
    if not _NAME.fullmatch(name):
        message = (
            f"{name!r} can't be a plugin's name: lower-case letters, digits and single hyphens, "
            'beginning with a letter, as in "acme" or "acme-cloud"'
        )
        raise ConfigError(message, param="name")
    for plugin in Plugins("switchgear.providers").describe(load=False):
        if plugin.name == name:
            message = f"there is a provider plugin {name!r} already, of {plugin.distribution}"
            raise ConfigError(message, param="name")
    folder = into / f"switchgear-{name}"
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already", param="name")
    words = _words(name)
    try:
        for path, text in _skeleton(files("switchgear.cli") / "skeleton", Path()):
            target = folder / str(path).replace("package", words["package"])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(Template(text).substitute(words), encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{folder}: can't be written: {exc.strerror}", param="into") from exc
    return folder


def _words(name: str) -> dict[str, str]:
    title = "".join(part.capitalize() for part in name.split("-"))
    return {
        "name": name,
        "package": f"switchgear_{name.replace('-', '_')}",
        "klass": f"{title}Provider",
        "wire": f"{title}Wire",
        "variable": f"{name.replace('-', '_').upper()}_API_KEY",
        "version": __version__,
    }


def _skeleton(folder: Traversable, below: Path) -> Iterator[tuple[Path, str]]:
    for entry in folder.iterdir():
        path = below / entry.name
        if entry.is_dir():
            yield from _skeleton(entry, path)
        elif entry.name.endswith(_SUFFIX):
            yield path.with_name(entry.name.removesuffix(_SUFFIX)), entry.read_text("utf-8")
