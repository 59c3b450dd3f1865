"""Credentials in a configuration: ``env:NAME``, ``file:PATH``, or the secret itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any

import msgspec

from ..credentials import Secret
from .hiding import names_credential
from .lines import Path
from .table import Problems, as_float
from .values import FrozenDict

__all__ = ["Credential", "SecretReader", "is_reference"]

_REFERENCE = re.compile(r"(?:env:|file:(?!//)).+", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USUAL_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,79}")
# What other tools call a variable: $NAME, ${NAME}, %NAME%, os.environ/NAME.
_FOREIGN = re.compile(r"(?:\$\{?|%|os\.environ/)([A-Z_][A-Z0-9_]*)[}%]?")

_LARGEST_FILE = 64 * 1024
_LARGEST_INT = 2**64 - 1


class Credential(msgspec.Struct, frozen=True):
    """What became of a credential.

    Attributes:
        secret: It, where it was found.
        source: Where from, fit to be shown.
        missing: Why it was not found, and what to do; empty where it was.
    """

    secret: Secret | None = None
    source: str | None = None
    missing: str = ""


def is_reference(text: str) -> bool:
    """Whether a string names a variable or a file, rather than being the value."""
    return _REFERENCE.fullmatch(text) is not None


class SecretReader:
    """Finds the credentials that a configuration names.

    Args:
        environ: The environment variables.
        base: The folder that relative paths start from.
        problems: Where faults go.
    """

    def __init__(self, environ: Mapping[str, str], base: FilePath, problems: Problems) -> None:
        self._environ = environ
        self._base = base
        self._problems = problems

    def credential(self, value: object, path: Path) -> Credential:
        """Find one credential. A wrong form is an error; one that is not there is ``missing``."""
        if isinstance(value, Secret):
            return Credential(value, "given")
        if not isinstance(value, str) or not value.strip():
            self._problems.add(path, 'must be a string: "env:NAME" or "file:PATH"')
            return Credential()
        if value.startswith("env:"):
            return self._variable(value.removeprefix("env:"), path)
        if is_reference(value):
            return self._file(value.removeprefix("file:"))
        if (foreign := _FOREIGN.fullmatch(value)) is not None:
            self._problems.add(path, f'write "env:{foreign[1]}" to name an environment variable')
            return Credential()
        if value != value.strip() or not value.isprintable():
            self._problems.add(path, "holds white space or control characters; no credential does")
            return Credential()
        self._problems.warn(
            path,
            "the credential itself stands in the configuration, where anybody who reads the file "
            'has it; write "env:NAME" or "file:PATH"',
        )
        return Credential(Secret(value), "literal")

    def _variable(self, name: str, path: Path) -> Credential:
        if not _VARIABLE.fullmatch(name):
            # It may be the key itself, pasted after "env:", so it is not shown.
            self._problems.add(path, 'what follows "env:" is not the name of a variable')
            return Credential()
        value = self._environ.get(name, "").strip()
        if value:
            return Credential(Secret(value), f"env:{name}")
        usual = _USUAL_VARIABLE.fullmatch(name)
        shown = f"environment variable {name}" if usual else "environment variable it names"
        state = "empty" if name in self._environ else "not set"
        return Credential(
            source=f"env:{name}" if usual else "env", missing=f"the {shown} is {state}"
        )

    def _file(self, name: str) -> Credential:
        source = f"file:{name}"
        try:
            path = self._base / FilePath(name).expanduser()
            if not path.is_file():
                return Credential(source=source, missing=f"there is no file {name!r}")
            with path.open("rb") as file:
                value = file.read(_LARGEST_FILE + 1).decode().strip()
        except UnicodeDecodeError:
            return Credential(source=source, missing=f"the file {name!r} is not UTF-8 text")
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            return Credential(source=source, missing=f"the file {name!r} can't be read ({reason})")
        if not value or len(value) > _LARGEST_FILE or not value.isprintable():
            reason = "is empty" if not value else "holds more than one line of text"
            return Credential(source=source, missing=f"the file {name!r} {reason}")
        return Credential(Secret(value), source)

    def options(
        self, data: dict[str, Any], path: Path
    ) -> tuple[FrozenDict, list[tuple[Path, str]]]:
        """Freeze free-form values; what is secret among them is found, and hidden in ``repr``.

        A string is secret where it is a reference, or its key says so (``auth_token``,
        ``Authorization``). Numbers become floats, as JSON has them.

        Returns:
            The values, and what could not be found: where, and why.
        """
        missing: list[tuple[Path, str]] = []
        frozen: dict[str, Any] = {}
        masked = set()
        for key, value in data.items():
            frozen[key], secret = self._free(value, (*path, key), missing, key)
            if secret:
                masked.add(key)
        return FrozenDict(frozen, frozenset(masked)), missing

    def _free(
        self, value: Any, path: Path, missing: list[tuple[Path, str]], key: str
    ) -> tuple[Any, bool]:
        if isinstance(value, dict):
            nested, absent = self.options(value, path)
            missing.extend(absent)
            return nested, False
        if isinstance(value, list):
            pairs = [self._free(v, (*path, i), missing, key) for i, v in enumerate(value)]
            return tuple(item for item, _ in pairs), any(secret for _, secret in pairs)
        if isinstance(value, Secret):
            return value.reveal(), True
        if isinstance(value, str) and value and (is_reference(value) or names_credential(key)):
            found = self.credential(value, path)
            if found.missing:
                missing.append((path, found.missing))
            return found.secret.reveal() if found.secret else "", True
        return self._number(value, path), False

    def _number(self, value: Any, path: Path) -> Any:
        fits = True
        if isinstance(value, Decimal):
            value = as_float(value)
            fits = value is not None
        elif isinstance(value, int) and not isinstance(value, bool):
            fits = -(2**63) <= value <= _LARGEST_INT
        if not fits:
            self._problems.add(path, "is a number too large to be sent")
        return value
