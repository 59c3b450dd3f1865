"""Which configuration the command works with."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .notices import noticed

if TYPE_CHECKING:
    from ..config import Config

__all__ = ["choose_model", "config_option", "load_config"]

_USUAL_FILE = "switchgear.toml"
_USUAL_GROUPS = ("high-reasoning", "fast-response")

F = TypeVar("F", bound=Callable[..., Any])


def config_option(command: F) -> F:
    """Give a command the option ``--config``."""
    return click.option(
        "--config",
        "-c",
        "config_path",
        metavar="FILE",
        help="TOML file. Default: $SWITCHGEAR_CONFIG, ./switchgear.toml, else the keys that the "
        "environment holds.",
    )(command)


def load_config(path: str | None, *, model: str | None = None, silent: bool = False) -> Config:
    """The configuration that the command line, the folder or the environment names.

    Args:
        path: What ``--config`` says.
        model: A model that is asked for by name needs no configuration at all.
        silent: Its warnings are shown in another way.

    Raises:
        ConfigError: It is wrong, or there is none and nothing to make one of.
    """
    from ..config import Config
    from ..errors import ConfigError

    click.get_current_context().with_resource(noticed(logging.NullHandler() if silent else None))
    if path is not None:
        return Config.from_file(path)
    named = os.environ.get("SWITCHGEAR_CONFIG", "").strip()
    if not named and Path(_USUAL_FILE).is_file():
        return Config.from_file(_USUAL_FILE)
    try:
        return Config.from_env()
    except ConfigError as exc:
        # A fault of something that is there stands in ``errors``.
        if named or exc.errors:
            raise
    if model is not None and _is_reference(model):
        return Config()
    error = ConfigError("no provider is configured", param="providers")
    error.add_note(
        "set ANTHROPIC_API_KEY, OPENAI_API_KEY or OLLAMA_HOST, or write switchgear.toml; "
        "`switchgear chat -m embedded/smollm2-135m` needs neither key nor server"
    )
    raise error


def choose_model(config: Config, model: str | None) -> str:
    """The group or model to ask: the one named, else a usual group, else the first.

    Raises:
        ConfigError: None is named and there is no group.
    """
    from ..errors import ConfigError

    if model is not None:
        return model
    for name in (*_USUAL_GROUPS, *config.groups):
        if name in config.groups:
            return name
    message = "the configuration has no group: say which model with -m provider/model"
    raise ConfigError(message, param="groups")


def _is_reference(model: str) -> bool:
    from ..config import parse_model_ref
    from ..errors import ConfigError

    try:
        parse_model_ref(model)
    except ConfigError:
        return False
    return True
