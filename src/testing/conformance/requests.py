"""Checks 52 to 57: what a request asks for is sent, or refused, and secrets stay secret."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...credentials import Secret
from ...errors import SwitchgearError, UnsupportedParameterError
from ...messages import Audio, File, Image, Message, Part, Text, ToolChoice
from ...providers.base import SAMPLING_KNOBS, Capabilities, Provider
from ...request import ResponseFormat
from ..faults import Fault
from .abilities import PIXEL, SCHEMA, SHEET, SOUND
from .check import Failed, NotTried, check
from .trial import WEATHER, Trial, expect, said_in, strings_in

_OTHER = Secret("sk-conformance-other-fedcba9876543210")
_KNOBS: dict[str, Any] = {"temperature": 0.25, "top_p": 0.75, "stop": ("STOP",), "seed": 4711}
_NOTHING: dict[str, Any] = {
    "tools": False,
    "tool_choice": False,
    "parallel_tool_calls": False,
    "schema": None,
    "json_object": False,
    "images": False,
    "files": False,
    "audio": False,
    "reasoning": False,
    "sampling": [],
    "prompt_cache": False,
}


_PARALLEL = "parallel_tool_calls"
_PARTS: dict[str, Part] = {
    "images": Image(data=PIXEL, media_type="image/png"),
    "files": File(data=SHEET, media_type="application/pdf", filename="conformance.pdf"),
    "audio": Audio(data=SOUND, format="wav"),
}


class _Denied(NamedTuple):
    """Something that a model can't do, and a request that asks for it."""

    what: str
    request: dict[str, Any]
    changes_meaning: bool = True


@check(52, needs="nothing")
async def denied_is_refused(trial: Trial) -> None:
    """What it can't do is refused.

    What the capabilities deny never gets lost in silence: what changes the meaning of a request
    raises ``UnsupportedParameterError`` before anything is sent, a hint warns; ``unsupported``
    turns each into the other.
    """
    denied = list(_denied(trial.can()))
    if not denied:
        raise NotTried("the model can do everything")
    for each in denied:
        await _refused(trial, trial.provider, each)


@check(53, needs="nothing")
async def overrides_hold(trial: Trial) -> None:
    """The configuration's word on a model holds.

    What the table's ``models`` says of a model replaces what the adapter knows: nothing is sent
    to it that the configuration denies.
    """
    provider = trial.make(models={trial.model: _NOTHING})
    can = provider.capabilities(trial.model)
    kept = [name for name, value in _NOTHING.items() if getattr(can, name) not in (value, set())]
    expect(not kept, f"expected capabilities by the table's models, the adapter keeps {kept}")
    for each in _denied(can):
        await _refused(trial, provider, each)


@check(54)
async def extra_fields(trial: Trial) -> None:
    """Additional fields.

    ``Call.extra`` is merged into the request's body as it is.
    """
    extra = {"conformance_field": {"deep": ["conformance value", 4711]}}
    # The vendor may not know such a field: what counts is that it was sent.
    for stream in (False, True):
        with contextlib.suppress(SwitchgearError):
            asked = trial.call(extra=extra)
            await (trial.read(asked) if stream else trial.whole(asked))
        expect(
            extra.items() <= (trial.sent.body or {}).items(),
            "expected the fields of Call.extra in the request's body, they are not there",
        )


@check(55)
async def extra_headers(trial: Trial) -> None:
    """Additional headers.

    ``Call.headers`` go with the request.
    """
    for stream in (False, True):
        asked = trial.call(headers={"X-Conformance": "a header of mine"})
        await (trial.read(asked) if stream else trial.whole(asked))
        found = trial.sent.header("x-conformance")
        expect(found == "a header of mine", f"expected the call's own header, came {found!r}")


@check(56)
async def credential_of_a_call(trial: Trial) -> None:
    """A key for one call.

    ``Call.credential`` takes the place of the configured key for that call and no other.
    """
    own = trial.subject.api_key
    trial.endpoint.configure(require_key=None)
    for stream in (False, True):
        asked = trial.call(credential=_OTHER)
        await (trial.read(asked) if stream else trial.whole(asked))
        _check_keys(trial, used=_OTHER, unused=own)
        await (trial.read() if stream else trial.whole())
        _check_keys(trial, used=own, unused=_OTHER)


@check(57)
async def secrets_stay_secret(trial: Trial) -> None:
    """Secrets stay secret.

    No key, neither the configured one nor a call's own, is to be seen in the ``repr`` of the
    provider, in errors (even where the vendor repeats it), or in logs at level DEBUG.
    """
    own = trial.subject.api_key
    trial.endpoint.configure(require_key=None)
    seen: list[str] = []
    with _logged() as records:
        await trial.whole(trial.call(credential=_OTHER))
        await trial.read()
        for secret in (own, _OTHER):
            if secret is None:
                continue
            said = Fault.authentication(message=f"Incorrect key provided: {secret.reveal()}.")
            credential = _OTHER if secret is _OTHER else None
            for stream in (False, True):
                asked = trial.call(credential=credential)
                error = await trial.failure(said, asked, stream=stream)
                seen += [f"{error}", repr(error), *getattr(error, "__notes__", ())]
        seen += [repr(trial.provider), f"{trial.provider}", repr(trial.subject.settings())]
    seen += records
    for secret in (own, _OTHER):
        shown = [text for text in seen if secret is not None and secret.reveal() in text]
        if shown and secret is not None:
            text = shown[0].replace(secret.reveal(), "<THE KEY>")
            raise Failed(f"expected no key to be shown, it is: {text[:300]}")


def _denied(can: Capabilities) -> Iterator[_Denied]:
    tools = {"tools": (WEATHER,)}
    shown = {name: _shown(part) for name, part in _PARTS.items()}
    asked = {
        "tools": _Denied("tools", tools),
        "tool_choice": _Denied("tool_choice", {**tools, "tool_choice": ToolChoice("required")}),
        "parallel_tool_calls": _Denied(
            "parallel_tool_calls", {**tools, "parallel_tool_calls": False}, changes_meaning=False
        ),
        "schema": _Denied("schema", {"response_format": SCHEMA}),
        "json_object": _Denied("json_object", {"response_format": ResponseFormat("json")}),
        **{name: _Denied(name, {"messages": (turn,)}) for name, turn in shown.items()},
        "reasoning": _Denied(
            "reasoning_effort", {"reasoning_effort": "high"}, changes_meaning=False
        ),
        "prompt_cache": _Denied(
            "cache", {"messages": (_shown(Text("Hello.", cache="5m")),)}, changes_meaning=False
        ),
    }
    for name, denied in asked.items():
        # Where there are no tools at all, the finer points of them are no question.
        if not getattr(can, name) and (can.tools or name not in {"tool_choice", _PARALLEL}):
            yield denied
    for knob in sorted(SAMPLING_KNOBS - can.sampling):
        yield _Denied(knob, {knob: _KNOBS[knob]}, changes_meaning=False)


def _shown(part: Part) -> Message:
    return Message("user", (Text("Answer in JSON: what is this?"), part))


async def _refused(trial: Trial, provider: Provider, denied: _Denied) -> None:
    """Asked for what it can't do, it raises, and where it is told to warn, it warns."""
    what, request, changes_meaning = denied
    for unsupported in ("raise", None) if changes_meaning else ("raise",):
        before = len(trial.endpoint.requests) if trial.simulated else 0
        try:
            await provider.complete(trial.call(**request, unsupported=unsupported))
        except UnsupportedParameterError as exc:
            expect(exc.param, f"expected the error to name what can't be done, came {exc!r}")
        except Exception as exc:
            raise Failed(f"{what}: expected UnsupportedParameterError, came {exc!r}") from exc
        else:
            raise Failed(
                f"{what}: expected UnsupportedParameterError (unsupported={unsupported!r}), came "
                "an answer: the caller believes that it was heeded"
            )
        after = len(trial.endpoint.requests) if trial.simulated else 0
        expect(after == before, f"{what}: expected nothing to be sent, a request went out")
    for unsupported in ("warn",) if changes_meaning else (None, "warn"):
        reply = await provider.complete(trial.call(**request, unsupported=unsupported))
        expect(
            reply.warnings,
            f"{what}: expected a warning (unsupported={unsupported!r}), came none: it was dropped "
            "in silence",
        )


def _check_keys(trial: Trial, *, used: Secret | None, unused: Secret | None) -> None:
    sent = trial.sent
    headers = list(sent.headers.values())
    if used is not None:
        key = used.reveal()
        expect(
            any(key in value for value in headers), "expected the key in a header, it is in none"
        )
        where = [sent.full_path, *sent.query.values(), *strings_in(sent.body)]
        expect(not said_in(where, key), "expected the key in headers only: addresses get logged")
    if unused is not None:
        key = unused.reveal()
        expect(
            not any(key in value for value in headers),
            "expected one key in a request, another one went with it: it leaks to somebody else",
        )


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """All that is logged meanwhile, at any level."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with contextlib.suppress(Exception):
                lines.append(self.format(record))

    root = logging.getLogger()
    known = root.manager.loggerDict.values()
    loggers = [root, *(each for each in known if isinstance(each, logging.Logger))]
    before = [(each, each.level, each.handlers, each.propagate) for each in loggers]
    # Loggers with a level of their own (SDKs set one by an environment variable) are lowered too,
    # and nobody else hears what all of them say.
    for each in loggers:
        each.handlers, each.propagate = [], True
        if each.level:
            each.setLevel(logging.DEBUG)
    root.handlers = [Collector(logging.DEBUG)]
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        for each, level, handlers, propagate in before:
            each.handlers, each.propagate = handlers, propagate
            each.setLevel(level)
