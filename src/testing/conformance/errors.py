"""Checks 41 to 51: every failure is one of our errors, and the right one."""

from __future__ import annotations

import pickle
from typing import Any

from ...credentials import Secret
from ...errors import (
    AuthenticationError,
    ContentFilterError,
    ContextWindowExceededError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    SwitchgearError,
)
from ..faults import ErrorReply, Fault, RetryAfterForm
from .check import NotTried, check
from .trial import Trial, expect

_SOON = 0.25
_Classes = tuple[type[SwitchgearError], ...]

_STATUSES: tuple[tuple[ErrorReply, _Classes], ...] = (
    (Fault.invalid_request("messages: this can't be."), (InvalidRequestError,)),
    (Fault.authentication(), (AuthenticationError,)),
    (Fault.permission(), (PermissionDeniedError,)),
    (Fault.model_not_found(), (ModelNotFoundError,)),
    (Fault.request_timeout(), (ProviderTimeoutError,)),
    (Fault.conflict(), (ProviderError, InvalidRequestError)),
    (Fault.too_large(), (InvalidRequestError,)),
    (Fault.unprocessable(), (InvalidRequestError,)),
    (Fault.rate_limit(), (RateLimitError,)),
    (Fault.server_error(), (ServerError,)),
    (Fault.bad_gateway(), (ServerError,)),
    (Fault.unavailable(), (ServerError,)),
    (Fault.gateway_timeout(), (ServerError, ProviderTimeoutError)),
    (Fault.overloaded(), (ServerError,)),
)


@check(41)
async def statuses(trial: Trial) -> None:
    """Every status is the right error.

    Each HTTP status from 400 to 529 raises the error that it means, with status, provider,
    model and the vendor's request id; it survives pickling, and does not count as unsent.
    """
    for outcome, classes in _STATUSES:
        for stream in (False, True):
            error = await trial.failure(outcome, stream=stream)
            expect(
                isinstance(error, classes) and not isinstance(error, QuotaExceededError),
                f"expected {_names(classes)} of {outcome.status}, came {error!r}: whether to try "
                "again, elsewhere or not at all goes by it",
            )
            _check_fields(trial, error)


@check(42)
async def retry_after(trial: Trial) -> None:
    """When to come back.

    A rate limit's waiting time is read: in seconds, in milliseconds, as a date.
    """
    told: tuple[tuple[float, RetryAfterForm], ...] = (
        (7.0, "seconds"),
        (2.5, "ms"),
        (90.0, "http-date"),
    )
    for seconds, form in told:
        error = await trial.failure(Fault.rate_limit(seconds, form=form))
        slack = 30.0 if form == "http-date" else 0.001
        expect(
            error.retry_after is not None and seconds - slack <= error.retry_after <= seconds + 1,
            f"expected retry_after={seconds} (sent as {form}), came {error.retry_after}: the "
            "provider is asked too early, or left alone for too long",
        )


@check(43)
async def quota(trial: Trial) -> None:
    """Out of credit.

    An exhausted quota or credit is ``QuotaExceededError``: waiting does not help.
    """
    error = await trial.failure(Fault.credit_balance())
    _is(error, QuotaExceededError)


@check(44)
async def context_length(trial: Trial) -> None:
    """A prompt that is too long.

    A prompt beyond the model's window is ``ContextWindowExceededError``.
    """
    error = await trial.failure(Fault.context_length())
    _is(error, ContextWindowExceededError)


@check(45)
async def declined_prompt(trial: Trial) -> None:
    """A prompt that the vendor declines.

    A prompt that a policy blocked is ``ContentFilterError``.
    """
    error = await trial.failure(Fault.content_filter())
    _is(error, ContentFilterError)


@check(46, needs="server")
async def wrong_key(trial: Trial) -> None:
    """A wrong key.

    A key that the vendor does not know is ``AuthenticationError``.
    """
    if trial.subject.api_key is None:
        raise NotTried("has no api_key")
    provider = trial.make(api_key=Secret("sk-conformance-nobody-knows-this"))
    error = await _raised(provider.complete(trial.call()))
    _is(error, AuthenticationError)
    expect(error.status in {400, 401, 403}, f"expected the vendor's own no, came {error!r}")


@check(47, needs="server")
async def unknown_model(trial: Trial) -> None:
    """An unknown model.

    A model that the vendor does not have is ``ModelNotFoundError``.
    """
    if trial.simulated:
        trial.endpoint.configure(models={trial.model})
    model = f"{trial.model}-that-nobody-has"
    error = await _raised(trial.provider.complete(trial.call(model=model)))
    _is(error, ModelNotFoundError)
    expect(error.model == model, f"expected the model's name on the error, came {error.model!r}")


@check(48, needs="server")
async def refused_connection(trial: Trial) -> None:
    """Nobody there.

    A refused connection is ``ProviderConnectionError``, with the original as its cause, and
    ``unsent``: it can have cost nothing.
    """
    provider = trial.make(refused=True)
    for way in (provider.complete, provider.stream):
        error = await _raised(way(trial.call()))
        _is(error, ProviderConnectionError)
        expect(getattr(error, "unsent", False), "expected unsent: no request can have left")
        expect(error.__cause__ is not None, "expected the original error as the cause, came none")


@check(49)
async def broken_connection(trial: Trial) -> None:
    """A connection that breaks.

    A connection that is reset, or answers in another protocol, is an error of ours that is not
    ``unsent``: the request may have cost something.
    """
    for outcome in (Fault.reset(), Fault.cut(), Fault.garbage()):
        for stream in (False, True):
            error = await trial.failure(outcome, stream=stream)
            expect(
                isinstance(error, ProviderConnectionError | MalformedResponseError),
                f"expected ProviderConnectionError ({outcome.kind}), came {error!r}",
            )
            expect(not getattr(error, "unsent", False), f"expected a request that left: {error!r}")


@check(50)
async def timeout(trial: Trial) -> None:
    """No answer in time.

    Silence for longer than the call's timeout is ``ProviderTimeoutError``.
    """
    for stream in (False, True):
        error = await trial.failure(Fault.stall(), trial.call(timeout=_SOON), stream=stream)
        _is(error, ProviderTimeoutError)
        expect(not getattr(error, "unsent", False), f"expected a request that left: {error!r}")


@check(51)
async def no_retries(trial: Trial) -> None:
    """No retries of its own.

    A call is one request, whatever comes: retries are the router's, who counts them.
    """
    outcomes = (
        Fault.server_error(),
        Fault.rate_limit(retry_after=0),
        Fault.unavailable(),
        Fault.request_timeout(),
        Fault.conflict(),
        Fault.reset(),
    )
    for outcome in outcomes:
        for stream in (False, True):
            before = len(trial.endpoint.requests)
            await trial.failure(outcome, stream=stream)
            sent = len(trial.endpoint.requests) - before
            expect(sent == 1, f"expected one request, came {sent}: retries hide costs and failures")


def _check_fields(trial: Trial, error: SwitchgearError) -> None:
    sent = trial.sent
    expected: dict[str, Any] = {
        "status": sent.status,
        "provider": trial.subject.name,
        "model": trial.model,
    }
    for field, value in expected.items():
        found = getattr(error, field)
        expect(found == value, f"expected {field}={value!r} on {error!r}, came {found!r}")
    told = trial.endpoint.wire.headers(sent).values()
    if sent.request_id and sent.request_id in told:
        expect(
            error.request_id == sent.request_id,
            f"expected the vendor's request id on {error!r}, came {error.request_id!r}",
        )
    expect(not getattr(error, "unsent", False), f"expected a request that left: {error!r}")
    expect(str(error).strip(), f"expected a message on {type(error).__name__}, came none")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made a line before
    expect(
        type(again) is type(error) and again.status == error.status,
        f"expected {error!r} to survive pickling, came {again!r}",
    )


async def _raised(answering: Any) -> SwitchgearError:
    try:
        await answering
    except SwitchgearError as exc:
        return exc
    except Exception as exc:  # noqa: BLE001 - the verdict of this check
        expect(False, f"expected one of switchgear.errors, came {type(exc).__name__}: {exc}")  # noqa: FBT003
    expect(False, "expected an error, came an answer")  # noqa: FBT003
    raise AssertionError


def _is(error: SwitchgearError, cls: type[SwitchgearError]) -> None:
    expect(isinstance(error, cls), f"expected {cls.__name__}, came {error!r}")


def _names(classes: _Classes) -> str:
    return " or ".join(cls.__name__ for cls in classes)
