"""The port every simulated vendor implements."""

from __future__ import annotations

import datetime as dt
import email.utils
import time
from typing import Any, ClassVar

import msgspec

from .answers import Answer, RateLimits, TokenUsage
from .faults import ErrorReply, Fault
from .records import RecordedRequest
from .rendering import Frame, Json, Reply, estimate_tokens, sse

__all__ = ["Ask", "Settings", "Spent", "Wire", "retry_after_headers", "rfc3339", "usage_of"]


class Settings(msgspec.Struct, kw_only=True):
    """What a test may switch on one simulated provider; `reset()` puts the defaults back.

    `require_key` turns authentication checks on. `models`, when set, are the only models that
    exist. `validate` switches the vendor's request checks, `strict_types` adds the official SDK's
    own request types to them. `aws_secret_key` lets Bedrock recompute request signatures.
    """

    require_key: str | None = None
    models: frozenset[str] | None = None
    limits: RateLimits = msgspec.field(default_factory=RateLimits)
    validate: bool = True
    strict_types: bool = False
    aws_access_key: str | None = None
    aws_secret_key: str | None = None


class Spent(msgspec.Struct):
    """Traffic since the last reset, for the rate-limit headers."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a default answer needs to know of a request, in no vendor's form."""

    prompt: str
    tools: tuple[tuple[str, Json], ...] = ()
    forced_tool: str | None = None
    schema: Json | None = None
    json_mode: bool = False
    max_tokens: int | None = None
    inputs: int = 1
    dimensions: int = 8


class Wire:
    """One vendor's wire format, for a server that plays the vendor.

    Subclass it to simulate a vendor that is not built in: `route`, `ask`, `render` and `error` must
    be written, the rest has defaults that do for a plain JSON API with server-sent events.
    `SimulatedProviders(wires={"acme": AcmeWire})` or `simulated.add(AcmeWire, name="acme")` puts it
    on the loopback port, with scripts, faults, records and all. Nothing here is asynchronous, and
    everything runs on the simulator's thread.

    Attributes:
        kind: The name of the format.
        base_path: What a base URL has behind the provider's name, such as `/v1`.
        generating: The endpoints, as `route` names them, whose requests take an entry of a script
            that names no endpoint.
        name: This provider's name.
        settings: Its switches; `check` and `authenticate` honour them.
    """

    kind: ClassVar[str]
    base_path: ClassVar[str] = ""
    generating: ClassVar[frozenset[str]] = frozenset(
        {"messages", "chat", "responses", "embeddings"}
    )

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.spent = Spent()

    def forget(self) -> None:
        """Drop what earlier requests left behind."""
        self.spent = Spent()

    def route(self, call: RecordedRequest) -> bool:
        """Fill in the record's endpoint, model and stream flag; False for an unknown path.

        Also the place to give it a `request_id`, if the vendor has such a thing.
        """
        raise NotImplementedError

    def authenticate(self, call: RecordedRequest) -> ErrorReply | None:
        """The vendor's refusal of the credentials, when a key is required.

        By default the key must be in some header, alone or behind a scheme, and in no URL.
        """
        key = self.settings.require_key
        sent = (value.rpartition(" ")[2] for value in call.headers.values())
        return None if any(each == key for each in sent) else Fault.authentication()

    def check(self, call: RecordedRequest) -> ErrorReply | None:
        """The vendor's refusal of the request, None where it would accept it.

        By default only a model outside `settings.models` is refused.
        """
        known = self.settings.models
        if known is not None and call.model and call.model not in known:
            return Fault.model_not_found()
        return None

    def ask(self, call: RecordedRequest) -> Ask:
        """The request in neutral form, for default answers."""
        raise NotImplementedError

    def render(self, call: RecordedRequest, answer: Answer) -> Reply:
        """The answer as this vendor sends it, streamed where `call.stream` says so.

        `json_reply`, `sse_reply`, `sse`, `pieces_of`, `split_json` and `usage_of` do most of it.
        In a stream the frames that carry something of the answer are marked `content`, and the one
        that says that the answer is complete `terminal`.
        """
        raise NotImplementedError

    def error(self, call: RecordedRequest, problem: ErrorReply) -> Reply:
        """The error as this vendor sends it."""
        raise NotImplementedError

    def stream_error(self, call: RecordedRequest, problem: ErrorReply, sequence: int) -> Frame:
        """The error as an event inside a stream that began well, behind `sequence` other events.

        By default a server-sent event with the body of `error`.
        """
        del sequence
        body = b"".join(frame.data for frame in self.error(call, problem).frames)
        return sse(msgspec.json.decode(body), terminal=True)

    def headers(self, call: RecordedRequest) -> dict[str, str]:
        """Headers of every answer: request id, rate limits. By default only `x-request-id`."""
        return {"x-request-id": call.request_id} if call.request_id else {}

    def generates(self, call: RecordedRequest) -> bool:
        """Whether scripts apply to this endpoint without being told so."""
        return call.endpoint in self.generating

    def remaining(self) -> tuple[int, int, int]:
        """What is left of requests, input tokens and output tokens."""
        limits = self.settings.limits

        def left(limit: int, stated: int | None, spent: int) -> int:
            return max(0, limit - spent) if stated is None else stated

        return (
            left(limits.requests_limit, limits.requests_remaining, self.spent.requests),
            left(limits.input_tokens_limit, limits.input_tokens_remaining, self.spent.input_tokens),
            left(
                limits.output_tokens_limit, limits.output_tokens_remaining, self.spent.output_tokens
            ),
        )


def usage_of(call: RecordedRequest, answer: Answer, *, prompt: Any = None) -> TokenUsage:
    """The answer's usage with every None replaced by an estimate."""
    stated = answer.usage or TokenUsage()
    reasoning = stated.reasoning_tokens
    if reasoning is None:
        reasoning = estimate_tokens(answer.reasoning) if answer.reasoning else 0
    output = stated.output_tokens
    if output is None:
        said = (answer.text or "") + (answer.refusal or "")
        calls = [[call_.name, call_.arguments_text()] for call_ in answer.tool_calls]
        output = (
            (estimate_tokens(said) if said else 0)
            + (estimate_tokens(calls) if calls else 0)
            + reasoning
        )
        output = max(1, output)
    entered = stated.input_tokens
    if entered is None:
        entered = estimate_tokens(prompt if prompt is not None else call.body)
        entered = max(
            entered,
            stated.cache_read_tokens + stated.cache_write_tokens + stated.cache_write_1h_tokens + 1,
        )
    return msgspec.structs.replace(
        stated, input_tokens=entered, output_tokens=output, reasoning_tokens=reasoning
    )


def retry_after_headers(problem: ErrorReply) -> dict[str, str]:
    """The `retry-after` of an error in the form it asks for."""
    if problem.retry_after is None:
        return {}
    if problem.retry_after_form == "ms":
        return {"retry-after-ms": str(round(problem.retry_after * 1000))}
    if problem.retry_after_form == "http-date":
        return {
            "retry-after": email.utils.formatdate(time.time() + problem.retry_after, usegmt=True)
        }
    return {"retry-after": f"{problem.retry_after:g}"}


def rfc3339(after: float) -> str:
    """The moment `after` seconds from now, as Anthropic writes it."""
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=after)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
