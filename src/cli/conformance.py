"""``switchgear conformance``: whether a provider does what every provider has to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .failure import CALL_FAILED
from .output import is_terminal, say, show_table, write_json
from .questions import at_keyboard
from .setup import config_option, load_config

if TYPE_CHECKING:
    from ..config import ProviderConfig
    from ..providers.base import Provider, ProviderSettings
    from ..testing.conformance import Result, Subject

__all__ = ["conformance"]

_AT_ONCE = 4
_IN_PROCESS = "embedded"
_COLUMNS = ("#", "check", "verdict", "detail")


@click.command()
@click.argument("model", required=False)
@config_option
@click.option("--list", "listed", is_flag=True, help="Show the numbered list of checks, and end.")
@click.option("--only", metavar="CHECK", multiple=True, help="A number or name; may be repeated.")
@click.option(
    "--in-process", is_flag=True, help="The provider answers by itself: there is no address."
)
@click.option("--yes", "-y", is_flag=True, help="Don't ask whether it may cost something.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def conformance(
    model: str | None,
    config_path: str | None,
    only: tuple[str, ...],
    *,
    listed: bool,
    in_process: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Hold a provider against what every provider promises.

    MODEL is provider/model. It is asked in earnest, some dozens of short questions, which its
    vendor may charge for; what only a simulated vendor can show is not tried. In a test run,
    switchgear.testing.conformance simulates the vendor and tries everything.

    Ends with exit code 1 where a check fails.
    """
    if listed:
        _list(as_json=as_json)
        return
    if model is None:
        raise click.UsageError("say which model, as provider/model (or --list)")
    subject = _subject(model, config_path, in_process=in_process)
    if subject.endpoint == "real" and not yes:
        _confirm(model)
    results = _run(subject, only)
    if as_json:
        from ..testing.conformance import rows

        write_json(rows(results))
    else:
        _show(model, results)
    if any(each.verdict == "no" for each in results):
        raise click.exceptions.Exit(CALL_FAILED)


def _list(*, as_json: bool) -> None:
    from ..testing.conformance import CHECKS

    if as_json:
        write_json(
            [
                {
                    "number": each.number,
                    "check": each.name,
                    "title": each.title,
                    "guarantee": " ".join(each.guarantee.split()),
                    "needs": each.needs,
                    "capability": each.capability,
                }
                for each in CHECKS
            ]
        )
        return
    rows = [(str(each.number), each.name, " ".join(each.guarantee.split())) for each in CHECKS]
    show_table("checks", ("#", "check", "guarantee"), rows, note="guarantee", numbers=("#",))


def _subject(model: str, config_path: str | None, *, in_process: bool) -> Subject:
    from ..config import parse_model_ref
    from ..testing.conformance import Subject

    named = parse_model_ref(model)
    settings = load_config(config_path, model=model).provider(named.provider)
    alone = in_process or settings.plugin == _IN_PROCESS
    return Subject(
        factory=_Factory(settings),
        name=settings.name,
        plugin=settings.plugin,
        model=named.model,
        endpoint="in-process" if alone else "real",
        api_key=settings.api_key,
        base_url=settings.base_url,
        options=settings.options,
        models=settings.models,
        at_once=_AT_ONCE,
    )


class _Factory:
    """Makes the provider as the router would."""

    def __init__(self, settings: ProviderConfig) -> None:
        from ..providers.registry import Registry

        self._registry = Registry()
        self._backend = settings.backend

    def __call__(self, settings: ProviderSettings) -> Provider:
        from ..providers.litellm_settings import as_litellm

        if self._backend == "litellm":
            settings, _ = as_litellm(settings)
        return self._registry.create(settings)


def _confirm(model: str) -> None:
    told = f"{model} is asked some dozens of short questions, which its vendor may charge for"
    if not at_keyboard():
        raise click.UsageError(f"{told}: say --yes")
    say(f"{told}.", err=True)
    click.confirm("Go on?", abort=True, err=True)


def _run(subject: Subject, only: tuple[str, ...]) -> list[Result]:
    import asyncio

    from ..testing.conformance import CHECKS, run

    chosen: list[int | str] = [int(each) if each.isdigit() else each for each in only]
    known = {each.number for each in CHECKS} | {each.name for each in CHECKS}
    unknown = [str(each) for each in chosen if each not in known]
    if unknown:
        message = f"there is no check {', '.join(unknown)} (--list shows them all)"
        raise click.UsageError(message)
    return asyncio.run(run(subject, only=chosen))


def _show(model: str, results: list[Result]) -> None:
    from ..testing.conformance import summary

    cells = [(str(each.number), each.name, each.verdict, each.detail) for each in results]
    show_table(model, _COLUMNS, cells, note="detail", numbers=("#",))
    say(summary(results), err=not is_terminal())
