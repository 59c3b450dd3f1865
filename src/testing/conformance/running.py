"""Runs checks, and tells how they ended."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from ..provider import SimulatedProvider
from .catalogue import CHECKS
from .check import Cannot, Check, Failed, NotTried, Result, Verdict
from .subject import Subject
from .trial import Trial

__all__ = ["judge", "run"]

_SECONDS = 60.0
"""No check takes more than a few; what takes longer hangs."""


async def run(subject: Subject, *, only: Collection[int | str] = ()) -> list[Result]:
    """Hold a provider against the checks, one after the other.

    Args:
        subject: The provider.
        only: Numbers or names of checks; empty means all.
    """
    chosen = [each for each in CHECKS if not only or each.number in only or each.name in only]
    return [await judge(each, subject) for each in chosen]


async def judge(check: Check, subject: Subject) -> Result:
    """Hold a provider against one check, with a provider and an endpoint as new."""
    _prepare(subject)
    trial = Trial(subject)
    verdict: Verdict = "yes"
    detail = ""
    error: BaseException | None = None
    try:
        _worth_trying(check, trial)
        async with asyncio.timeout(_SECONDS) as limit:
            await check.run(trial)
    except Cannot as exc:
        verdict, detail = "can't", str(exc)
    except NotTried as exc:
        verdict, detail = "not tried", str(exc)
    except TimeoutError as exc:
        hung = limit.expired()
        error = Failed(f"did not end within {_SECONDS:.0f} s") if hung else exc
    except Exception as exc:  # noqa: BLE001 - whatever a provider raises is the check's result
        error = exc
    error = await _closed(trial, error)
    if error is not None:
        verdict, detail = "no", _said(error)
    return Result(
        number=check.number,
        name=check.name,
        title=check.title,
        verdict=verdict,
        detail=detail,
        error=error,
    )


def _prepare(subject: Subject) -> None:
    endpoint = subject.endpoint
    if isinstance(endpoint, SimulatedProvider):
        endpoint.reset()
        if subject.api_key is not None:
            endpoint.configure(require_key=subject.api_key.reveal())


def _worth_trying(check: Check, trial: Trial) -> None:
    subject = trial.subject
    why = subject.lacks.get(check.name)
    if why is not None:
        raise Cannot(why)
    if check.needs == "script" and not trial.simulated:
        raise NotTried("needs a simulated endpoint")
    if check.needs == "server" and subject.endpoint == "in-process":
        raise NotTried("needs an endpoint")
    if check.capability is not None and not getattr(trial.can(), check.capability):
        raise Cannot(f"{trial.model} declares no {check.capability}")


async def _closed(trial: Trial, error: BaseException | None) -> BaseException | None:
    """Close what the check made. A failure to close counts where nothing else failed."""
    try:
        async with asyncio.timeout(_SECONDS):
            await trial.close()
    except Exception as exc:  # noqa: BLE001 - see judge
        return error or exc
    return error


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, Failed) else f"{type(error).__name__}: {text}"


def failures(results: Sequence[Result]) -> list[Result]:
    """Those that ended in a no."""
    return [each for each in results if each.verdict == "no"]
