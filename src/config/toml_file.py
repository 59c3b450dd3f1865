"""From a file to the plain data in it."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from typing import Any

from ..errors import ConfigError
from .environment import CONFIG_VARIABLE
from .table import Problems

__all__ = ["parse", "read_text"]

_LARGEST_FILE = 4 * 1024 * 1024


def read_text(source: str) -> str:
    """The text of a file.

    Raises:
        ConfigError: It can't be read, or is not text.
    """
    try:
        with open(source, "rb") as file:  # noqa: PTH123 - Path() would refuse what fspath allows
            data = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"there is no file {source!r}; write one, or let {CONFIG_VARIABLE} name another",
            param="path",
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"can't read {source!r}: {reason}", param="path") from error
    if len(data) > _LARGEST_FILE:
        raise ConfigError(f"{source!r} is too large to be a configuration", param="path")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    # Not "from error": that one carries the whole file, secrets included.
    raise ConfigError(f"{source}:{line}: is not UTF-8 text, as TOML must be", param="path")


def parse(text: str, problems: Problems) -> dict[str, Any]:
    """Read TOML, numbers with a point as ``Decimal``.

    Raises:
        ConfigError: It is not TOML; the message names line and column.
    """
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
    except (ArithmeticError, ValueError):
        message = "a number in it is too large"
    except RecursionError:
        message = "it is nested too deeply"
    place = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if place is not None:
        problems.source += f":{place[1]}:{place[2]}"
        message = message[: place.start()]
    raise problems.failure((), f"not valid TOML: {message}")
