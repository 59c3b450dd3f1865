"""Fills in what hooks are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ...accounting.money import Pico, usd
from .values import AttemptDetails, AttemptResult, Settlement

if TYPE_CHECKING:
    from decimal import Decimal

    from ...accounting.ledger.row import Row
    from ...errors import SwitchgearError
    from ...providers.base import Reply
    from ...request import ChatRequest
    from ..account import Subject
    from ..booking import Booking
    from ..turn import Turn

__all__ = ["attempt_details", "attempt_result", "settlement"]

_LABELS = ("agent_id", "project_id", "agent_type", "session_id", "run_id", "api_key_id")
_MICRO = 1_000_000


def attempt_details(turn: Turn, subject: Subject, booking: Booking) -> AttemptDetails:
    """What is known of an attempt before it is sent."""
    row, request = booking.row, subject.request
    if request is not None:
        request = _apart(request)
    return AttemptDetails(
        attempt_id=row.id.hex(),
        call_id=row.call_id.hex(),
        provider=row.provider,
        model=row.model,
        group=row.group,
        request=request,
        inputs=subject.inputs,
        stream=row.stream,
        max_tokens=booking.max_tokens or turn.candidate.max_tokens,
        repeat=row.repeat,
        hedge=row.hedge,
        own_key=row.own_key,
        bound=_dollars(row.bound),
        labels=_labels(row),
    )


def attempt_result(row: Row, reply: Reply | None, error: SwitchgearError | None) -> AttemptResult:
    """What became of an attempt."""
    return AttemptResult(
        attempt_id=row.id.hex(),
        call_id=row.call_id.hex(),
        provider=row.provider,
        model=row.model,
        answered_model=row.answered_model,
        group=row.group,
        outcome=row.outcome,
        error=row.error,
        message=error.message if error is not None else None,
        status=row.status,
        code=row.code,
        latency=row.latency / _MICRO,
        time_to_first_token=_seconds(row.first_token),
        usage=row.usage,
        finish_reason=reply.finish_reason if reply is not None else None,
        parts=tuple(reply.parts) if reply is not None else (),
        request_id=row.request_id,
        stream=row.stream,
        repeat=row.repeat,
        hedge=row.hedge,
        labels=_labels(row),
    )


def settlement(row: Row) -> Settlement:
    """What is written down."""
    return Settlement(
        attempt_id=row.id.hex(),
        call_id=row.call_id.hex(),
        at=row.at / _MICRO,
        provider=row.provider,
        plugin=row.plugin,
        model=row.model,
        answered_model=row.answered_model,
        group=row.group,
        outcome=row.outcome,
        usage=row.usage,
        cost=_dollars(row.cost),
        bound=_dollars(row.bound),
        saved=_dollars(row.saved),
        price=row.price,
        tier=row.tier,
        region=row.region,
        status=row.status,
        error=row.error,
        code=row.code,
        request_id=row.request_id,
        latency=row.latency / _MICRO,
        time_to_first_token=_seconds(row.first_token),
        waited=row.waited / _MICRO,
        stream=row.stream,
        hedge=row.hedge,
        repeat=row.repeat,
        own_key=row.own_key,
        labels=_labels(row),
    )


def _apart(request: ChatRequest) -> ChatRequest:
    """The request without headers; what can be changed of it is no part of what is sent.

    What an attempt can cost is reckoned before a hook sees it.
    """
    form = request.response_format
    if form is not None and form.schema is not None:
        form = msgspec.structs.replace(form, schema=_copy(form.schema))
    return msgspec.structs.replace(
        request,
        tools=tuple(
            msgspec.structs.replace(tool, parameters=_copy(tool.parameters))
            for tool in request.tools
        ),
        response_format=form,
        extra=_copy(request.extra),
        extra_headers={},
    )


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(each) for key, each in value.items()}
    return [*map(_copy, value)] if isinstance(value, list | tuple) else value


def _labels(row: Row) -> Mapping[str, str]:
    named = {name: value for name in _LABELS if (value := getattr(row, name)) is not None}
    return {**named, **{f"tag:{name}": value for name, value in row.tags.items()}}


def _dollars(amount: Pico | None) -> Decimal | None:
    return usd(amount) if amount is not None else None


def _seconds(micro: int | None) -> float | None:
    return micro / _MICRO if micro is not None else None
