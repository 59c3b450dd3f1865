"""The command and its sub-commands, and what the process says when something goes wrong.

A sub-command's module holds its options only and imports what does the work when it runs, so that
``--help`` and a mistyped option answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from .. import __version__
from ..errors import SwitchgearError
from .budgets import budgets
from .chat import chat
from .config import config
from .conformance import conformance
from .demo import demo
from .doctor import doctor
from .failure import CALL_FAILED, READER_GONE, WRONG_REQUEST, Failure
from .migrate import migrate
from .models import models
from .new_provider import new_provider
from .output import OutputError, complain, drop_output, write_json
from .plugins import plugins
from .prices import prices
from .providers import providers
from .reconcile import reconcile
from .retention import ledger
from .spend import spend

__all__ = ["run"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", "-V", prog_name="switchgear")
def switchgear() -> None:
    """Route language-model calls: one call in, the right provider out."""


switchgear.add_command(budgets)
switchgear.add_command(chat)
switchgear.add_command(config)
switchgear.add_command(conformance)
switchgear.add_command(demo)
switchgear.add_command(doctor)
switchgear.add_command(ledger)
switchgear.add_command(migrate)
switchgear.add_command(models)
switchgear.add_command(new_provider)
switchgear.add_command(plugins)
switchgear.add_command(prices)
switchgear.add_command(providers)
switchgear.add_command(reconcile)
switchgear.add_command(spend)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: In place of the process's own.

    Returns:
        The exit code; see ``switchgear.cli.failure``.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _run(given)
    except OutputError as exc:
        drop_output()
        if exc.gone:
            return READER_GONE
        complain(str(exc))
        return CALL_FAILED


def _run(arguments: list[str]) -> int:
    error: BaseException
    try:
        code = switchgear.main(arguments, prog_name="switchgear", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as exc:
        exc.show()
        return WRONG_REQUEST
    except (click.ClickException, SwitchgearError) as exc:
        error = exc
    except (KeyboardInterrupt, click.exceptions.Abort) as exc:
        error = exc
    except SystemExit:
        # click's own end where the reader of a help page has gone.
        return READER_GONE
    else:
        return code if isinstance(code, int) else 0
    as_json = _given("--json", arguments)
    traced = as_json or _given("--show-trace", arguments)
    return _fail(Failure(error, traced=traced), as_json=as_json)


def _fail(failure: Failure, *, as_json: bool) -> int:
    if as_json:
        write_json(failure.to_dict())
    complain(failure.message, hint=failure.hint)
    return failure.code


def _given(flag: str, arguments: list[str]) -> bool:
    """From the bare words, because a wrong command line has no parsed options."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return flag in arguments[:end]
