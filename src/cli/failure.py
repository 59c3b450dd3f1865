"""What went wrong, for a person and for a script: an exit code, a line, a hint, an object.

Exit codes: 0 done; 1 the providers failed; 2 the command line or the request is wrong; 3 the
configuration or a plugin is wrong; 4 done, but not all of it could be (``migrate``); 130
interrupted; 141 the reader of the output has gone.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from ..errors import (
    AllProvidersFailedError,
    AuthenticationError,
    ConfigError,
    DeadlineExceededError,
    InvalidRequestError,
    PluginError,
    SwitchgearError,
)

__all__ = [
    "CALL_FAILED",
    "INTERRUPTED",
    "NOT_WHOLE",
    "READER_GONE",
    "WRONG_CONFIG",
    "WRONG_REQUEST",
    "Failure",
]

CALL_FAILED = 1
WRONG_REQUEST = 2
WRONG_CONFIG = 3
NOT_WHOLE = 4
INTERRUPTED = 130
READER_GONE = 141

_FIELDS = ("provider", "model", "status", "code", "param", "retry_after", "request_id")


class Failure:
    """One failure of the command.

    Args:
        error: What was raised.
        traced: Every attempt is shown already.

    Attributes:
        code: The process's exit code.
        message: What happened.
        hint: A way out; ``None`` where the message says it, or there is none.
    """

    def __init__(self, error: BaseException, *, traced: bool = False) -> None:
        self._error = error
        self.code, self.message, self.hint = _read(error, traced=traced)

    def to_dict(self) -> dict[str, Any]:
        """The failure for scripts, under ``error``; what does not apply is left out."""
        error = self._error
        shown: dict[str, Any] = {
            "type": _name(error),
            "message": self.message,
            "hint": self.hint,
            "exit_code": self.code,
        }
        shown.update((name, getattr(error, name, None)) for name in _FIELDS)
        if isinstance(error, AllProvidersFailedError):
            shown["errors"] = [_brief(each) for each in error.exceptions]
        elif isinstance(error, ConfigError) and error.errors:
            shown["errors"] = [_brief(each) for each in error.errors]
        if isinstance(error, SwitchgearError) and error.trace is not None:
            shown["trace"] = error.trace.to_dict()
        return {"error": {name: value for name, value in shown.items() if value is not None}}


def _read(error: BaseException, *, traced: bool) -> tuple[int, str, str | None]:
    if isinstance(error, SwitchgearError):
        return _code(error), _message(error), _hint(error, traced=traced)
    if isinstance(error, click.ClickException):
        return WRONG_REQUEST, error.format_message(), _help(error)
    return INTERRUPTED, "interrupted", None


def _code(error: SwitchgearError) -> int:
    # A whole chain of such failures says no more than each does.
    causes = error.exceptions if isinstance(error, AllProvidersFailedError) else (error,)
    if all(_is_set_up_wrong(cause) for cause in causes):
        return WRONG_CONFIG
    if isinstance(error, InvalidRequestError) and error.status is None:
        return WRONG_REQUEST
    return CALL_FAILED


def _is_set_up_wrong(error: BaseException) -> bool:
    if isinstance(error, AuthenticationError):
        return error.status is None  # there is no key to send
    return isinstance(error, ConfigError | PluginError)


def _message(error: SwitchgearError) -> str:
    if isinstance(error, ConfigError) and len(error.errors) > 1:
        first, *others = error.errors
        more = f"{len(others)} more mistake{'' if len(others) == 1 else 's'}"
        return f"{first.message} (and {more})"
    if isinstance(error, AllProvidersFailedError):
        # Repeats mostly fail in the same words.
        said = Counter(str(each) for each in error.exceptions)
        causes = [f"{words} ({n} times)" if n > 1 else words for words, n in said.items()]
        return causes[0] if len(causes) == 1 else f"{error.message}: {'; '.join(causes)}"
    return str(error)


def _hint(error: SwitchgearError, *, traced: bool) -> str | None:
    notes = getattr(error, "__notes__", ())
    if notes:
        return str(notes[-1])
    if isinstance(error, ConfigError) and len(error.errors) > 1:
        return "switchgear config check lists every mistake"
    if isinstance(error, InvalidRequestError) and error.param == "model":
        return "switchgear models lists what is configured"
    hints = []
    if isinstance(error, DeadlineExceededError):
        hints.append("--timeout gives a call more time")
    if error.retry_after is not None:
        hints.append(f"try again in {error.retry_after:.0f} s")
    if isinstance(error, AllProvidersFailedError) and len(error.exceptions) > 1 and not traced:
        hints.append("--show-trace shows every attempt")
    return "; ".join(hints) or None


def _help(error: click.ClickException) -> str | None:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{context.command_path} --help" if context is not None else None


def _name(error: BaseException) -> str:
    if isinstance(error, SwitchgearError):
        return type(error).__name__
    return "UsageError" if isinstance(error, click.ClickException) else "Interrupted"


def _brief(error: BaseException) -> dict[str, Any]:
    fields = {name: getattr(error, name, None) for name in _FIELDS}
    brief = {"type": type(error).__name__, "message": getattr(error, "message", str(error))}
    return {**brief, **{name: value for name, value in fields.items() if value is not None}}
