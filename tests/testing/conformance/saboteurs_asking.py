"""Deliberately broken adapters: what they ask for, and how they fail."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from switchgear.errors import (
    AuthenticationError,
    ContentFilterError,
    ContextWindowExceededError,
    InvalidRequestError,
    ModelNotFoundError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    SwitchgearError,
)
from switchgear.messages import (
    Audio,
    File,
    Image,
    Reasoning,
    Text,
    ToolCall,
)
from switchgear.providers.base import (
    Call,
    Capabilities,
    Provider,
    ProviderSettings,
    Reply,
)
from tests.testing.conformance.sabotage import as_other, fails
from tests.testing.conformance.wrapped import Wrapped, with_request, without

# ── What a model can do ─────────────────────────────────────────────────────────────────────────


@fails("structured_output", "json_object")
class AnswersFreely(Wrapped):
    def asked(self, call: Call) -> Call:
        return with_request(call, response_format=None)


@fails("structured_output")
class ShowsItsTool(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        text = "".join(part.text for part in reply.parts if isinstance(part, Text))
        call = ToolCall("call_1", "town", text)
        return msgspec.structs.replace(reply, parts=(call,), finish_reason="tool_calls")


@fails("images")
class SeesNothing(Wrapped):
    def asked(self, call: Call) -> Call:
        return without(call, Image)


@fails("files")
class ReadsNothing(Wrapped):
    def asked(self, call: Call) -> Call:
        return without(call, File)


@fails("audio")
class HearsNothing(Wrapped):
    def asked(self, call: Call) -> Call:
        return without(call, Audio)


@fails("reasoning")
class IsNotAskedToThink(Wrapped):
    def asked(self, call: Call) -> Call:
        return with_request(call, reasoning_effort=None)


@fails("reasoning")
class ThinksAloud(Wrapped):
    def answered(self, reply: Reply) -> Reply:
        parts = tuple(Text(p.text) if isinstance(p, Reasoning) else p for p in reply.parts)
        return msgspec.structs.replace(reply, parts=parts)


@fails("sampling")
class SamplesAsItLikes(Wrapped):
    def asked(self, call: Call) -> Call:
        return with_request(call, temperature=None)


@fails("max_tokens")
class TalksOn(Wrapped):
    def asked(self, call: Call) -> Call:
        return with_request(call, max_tokens=None)


# ── Failures ────────────────────────────────────────────────────────────────────────────────────


@fails("statuses")
class HasOneError(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        return as_other(error, ProviderError)


@fails("statuses")
class ForgetsTheStatus(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        error.status = None
        return error


@fails("statuses")
class RaisesTheSdksOwn(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        return RuntimeError(error.message)


class _UnpicklableError(ServerError):
    def __reduce__(self) -> tuple[Any, ...]:
        return ServerError, ("lost",)


@fails("statuses")
class LosesItselfInPickles(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        return as_other(error, _UnpicklableError) if type(error) is ServerError else error


@fails("retry_after")
class ReadsMillisecondsAsSeconds(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        if error.headers is not None and "retry-after-ms" in error.headers:
            error.retry_after = float(error.headers["retry-after-ms"])
        return error


@fails("quota")
class HopesForCredit(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        quota = isinstance(error, QuotaExceededError)
        return as_other(error, RateLimitError) if quota else error


@fails("context_length")
class DoesNotMeasure(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        long = isinstance(error, ContextWindowExceededError)
        return as_other(error, InvalidRequestError) if long else error


@fails("declined_prompt")
class KnowsNoPolicy(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        declined = isinstance(error, ContentFilterError)
        return as_other(error, InvalidRequestError) if declined else error


@fails("wrong_key")
class BlamesTheServer(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        denied = isinstance(error, AuthenticationError)
        return as_other(error, ServerError) if denied else error


@fails("unknown_model")
class BlamesTheCaller(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        unknown = isinstance(error, ModelNotFoundError)
        return as_other(error, InvalidRequestError) if unknown else error


@fails("refused_connection")
class PaysForNothing(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        error.__dict__["unsent"] = False
        return error


@fails("refused_connection")
class HidesTheCause(Wrapped):
    async def complete(self, call: Call) -> Reply:
        try:
            return await super().complete(call)
        except SwitchgearError as exc:
            exc.__cause__ = None
            raise exc from None


@fails("broken_connection", "statuses", "timeout")
class PaysNothing(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        error.__dict__["unsent"] = True
        return error


@fails("no_retries")
class TriesAgain(Wrapped):
    async def complete(self, call: Call) -> Reply:
        try:
            return await super().complete(call)
        except ServerError:
            return await super().complete(call)


# ── Requests ────────────────────────────────────────────────────────────────────────────────────


@fails("denied_is_refused")
class DropsImagesInSilence(Wrapped):
    denies: ClassVar[Mapping[str, Any]] = {"images": False}

    def asked(self, call: Call) -> Call:
        return without(call, Image)


@fails("denied_is_refused")
class DropsKnobsInSilence(Wrapped):
    denies: ClassVar[Mapping[str, Any]] = {"sampling": ["temperature"]}

    def asked(self, call: Call) -> Call:
        return with_request(call, top_p=None, seed=None, stop=())


@fails("overrides_hold")
class KnowsBetter(Wrapped):
    def make(self, settings: ProviderSettings) -> Provider:
        return super().make(msgspec.structs.replace(settings, models={}))


@fails("overrides_hold")
class SaysOneThingAndDoesAnother(Wrapped):
    def make(self, settings: ProviderSettings) -> Provider:
        self.said = super().make(settings)
        return super().make(msgspec.structs.replace(settings, models={}))

    def capabilities(self, model: str) -> Capabilities:
        return self.said.capabilities(model)


@fails("extra_fields")
class TakesNoExtra(Wrapped):
    def asked(self, call: Call) -> Call:
        return msgspec.structs.replace(call, extra={})


@fails("extra_headers")
class TakesNoHeaders(Wrapped):
    def asked(self, call: Call) -> Call:
        return msgspec.structs.replace(call, headers={})


@fails("credential_of_a_call")
class PaysForEverybody(Wrapped):
    def asked(self, call: Call) -> Call:
        return msgspec.structs.replace(call, credential=None)


@fails("credential_of_a_call")
class ShowsBothKeys(Wrapped):
    def asked(self, call: Call) -> Call:
        key = self.settings.api_key
        assert key is not None
        return msgspec.structs.replace(call, headers={"x-account": key.reveal()})


@fails("secrets_stay_secret")
class ShowsItsKey(Wrapped):
    def __repr__(self) -> str:
        key = self.settings.api_key
        return f"<provider with {key.reveal() if key is not None else None}>"


@fails("secrets_stay_secret")
class RepeatsTheKey(Wrapped):
    def failed(self, error: SwitchgearError) -> Exception:
        key = self.settings.api_key
        return type(error)(f"{error.message} ({key.reveal() if key is not None else ''})")


@fails("secrets_stay_secret")
class LogsTheKey(Wrapped):
    def asked(self, call: Call) -> Call:
        key = call.credential or self.settings.api_key
        logging.getLogger("saboteur").debug("asking with %s", key.reveal() if key else None)
        return call
