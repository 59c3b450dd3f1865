"""What a check works with: the provider under test, its endpoint, and ways to ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn, TypeVar

import msgspec

from ...completion import StreamEvent, ToolCallDelta
from ...errors import SwitchgearError
from ...messages import Message, NativeBlock, Part, Reasoning, Refusal, Text, Tool, ToolCall
from ...providers.base import Call, Capabilities, Provider, Reply, ReplyStream
from ...request import ChatRequest
from ..faults import Outcome
from ..provider import SimulatedProvider
from ..records import RecordedRequest
from .check import Failed, NotTried
from .subject import Subject

__all__ = [
    "WEATHER",
    "Streamed",
    "Trial",
    "calls_in",
    "expect",
    "plain",
    "said_in",
    "strings_in",
    "text_of",
    "values_in",
]

E = TypeVar("E", bound=BaseException)

_TIMEOUT = 20.0
_LOOK_EVERY = 0.002
# Tokens; a real endpoint charges for them.
_FEW = 48

WEATHER = Tool(
    "get_weather",
    "Tells the weather of a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


class Streamed(msgspec.Struct, frozen=True):
    """A stream that was read: its deltas, what it ended as, and what ended it."""

    events: tuple[StreamEvent, ...]
    reply: Reply
    finished: bool
    error: Exception | None = None

    @property
    def text(self) -> str:
        """The text deltas, joined."""
        return "".join(event.text for event in self.events)


class Trial:
    """One provider before one check. Everything that it makes is closed with it.

    Args:
        subject: The provider as its author presents it.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.model = subject.model
        self._made: list[Provider] = []
        self._provider: Provider | None = None

    # --- what is there ----------------------------------------------------------------------------

    @property
    def simulated(self) -> bool:
        """The endpoint can be scripted."""
        return isinstance(self.subject.endpoint, SimulatedProvider)

    @property
    def endpoint(self) -> SimulatedProvider:
        """The simulated vendor.

        Raises:
            NotTried: There is none.
        """
        if not isinstance(self.subject.endpoint, SimulatedProvider):
            raise NotTried("needs a simulated endpoint")
        return self.subject.endpoint

    @property
    def provider(self) -> Provider:
        """The provider, made when first asked for."""
        if self._provider is None:
            self._provider = self.make()
        return self._provider

    def make(self, **changes: Any) -> Provider:
        """Another one; ``changes`` are those of ``Subject.settings``."""
        made = self.subject.factory(self.subject.settings(**changes))
        self._made.append(made)
        return made

    def can(self) -> Capabilities:
        """What the provider says that the model can do."""
        return self.provider.capabilities(self.model)

    async def close(self) -> None:
        """Close every provider that was made."""
        while self._made:
            await self._made.pop().aclose()

    # --- asking -----------------------------------------------------------------------------------

    def call(self, text: str = "Say hello.", **fields: Any) -> Call:
        """A call; ``fields`` are those of ``Call`` and of ``ChatRequest``."""
        own = {key: fields.pop(key) for key in list(fields) if key in Call.__struct_fields__}
        fields.setdefault("messages", (Message("user", text),))
        if not self.simulated:
            fields.setdefault("max_tokens", _FEW)
        own.setdefault("model", self.model)
        own.setdefault("timeout", _TIMEOUT)
        return Call(request=ChatRequest(**fields), **own)

    def will(self, *outcomes: Outcome) -> None:
        """Script what the next requests meet; nothing where the endpoint can't be scripted."""
        if outcomes:
            self.endpoint.script(*outcomes)

    async def whole(self, asked: Call | None = None, *outcomes: Outcome) -> Reply:
        """A whole answer; the requests meet ``outcomes``."""
        self.will(*outcomes)
        return await self.provider.complete(asked or self.call())

    async def streamed(self, asked: Call | None = None, *outcomes: Outcome) -> Streamed:
        """A streamed answer, read to its end, which must be a good one."""
        read = await self.read(asked, *outcomes)
        if read.error is not None:
            raise read.error
        return read

    async def read(self, asked: Call | None = None, *outcomes: Outcome) -> Streamed:
        """A streamed answer, read to whatever end it has. What opening it raises comes out."""
        self.will(*outcomes)
        stream = await self.provider.stream(asked or self.call())
        events: list[StreamEvent] = []
        error: Exception | None = None
        try:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - what came before an error counts
        except Exception as exc:  # noqa: BLE001 - to be judged by the check
            error = exc
        finally:
            await stream.aclose()
        return Streamed(tuple(events), stream.snapshot(), stream.finished, error)

    async def both(self, asked: Call, outcome: Outcome | None = None) -> tuple[Reply, Streamed]:
        """The same answer whole and streamed."""
        outcomes = () if outcome is None else (outcome,)
        return await self.whole(asked, *outcomes), await self.streamed(asked, *outcomes)

    async def failure(
        self, outcome: Outcome | None, asked: Call | None = None, *, stream: bool = False
    ) -> SwitchgearError:
        """The error of ours that a call ends in, which has to end in one."""
        if outcome is not None:
            self.will(outcome)
        asked = asked or self.call()
        how = "stream()" if stream else "complete()"
        opened: ReplyStream | None = None
        try:
            if stream:
                opened = await self.provider.stream(asked)
            else:
                await self.provider.complete(asked)
        except SwitchgearError as exc:
            return exc
        except Exception as exc:
            raise Failed(
                f"expected one of switchgear.errors from {how}, came {type(exc).__name__}: {exc}: "
                "the router fails over on errors that it knows, and on no others"
            ) from exc
        finally:
            if opened is not None:
                await opened.aclose()
        message = f"expected an error from {how}, came an answer: a failure passed as success"
        raise Failed(message)

    # --- what the endpoint saw --------------------------------------------------------------------

    @property
    def sent(self) -> RecordedRequest:
        """The newest request.

        Raises:
            Failed: There was none.
        """
        requests = self.endpoint.requests
        if not requests:
            raise Failed("expected a request at the endpoint, none came: the answer is made up")
        return requests[-1]

    def arrived(self, *needles: object, what: str) -> None:
        """Check that these strings and numbers stand somewhere in the newest request's body."""
        body = self.sent.body
        strings = list(strings_in(body))
        values = list(values_in(body))
        for needle in needles:
            found = (
                said_in(strings, needle)
                if isinstance(needle, str)
                else any(type(v) in {int, float} and v == needle for v in values)
            )
            if not found:
                raise Failed(
                    f"expected {what} ({needle!r:.80}) in the request, it is not there: the model "
                    "is not asked what the caller asked"
                )

    async def until(self, condition: Callable[[], object], otherwise: str) -> None:
        """Wait until the condition holds; it must within seconds."""
        deadline = time.monotonic() + self.subject.patience
        while not condition():
            if time.monotonic() > deadline:
                raise Failed(otherwise)
            await asyncio.sleep(_LOOK_EVERY)


# ── Small things that checks say ────────────────────────────────────────────────────────────────


def expect(condition: object, message: str) -> None:
    """Raise :class:`Failed` unless the condition holds."""
    if not condition:
        _fail(message)


def _fail(message: str) -> NoReturn:
    raise Failed(message)


def text_of(reply: Reply) -> str:
    """All text of an answer."""
    return "".join(part.text for part in reply.parts if isinstance(part, Text))


def plain(parts: Iterable[Part]) -> list[tuple[Any, ...]]:
    """What was said, in a form in which a whole and a streamed answer compare.

    Ids and the vendor's own forms are left out, neighbouring texts are one, arguments are values.
    """
    said: list[tuple[Any, ...]] = []
    for part in parts:
        line: tuple[Any, ...]
        match part:
            case Text() | Reasoning() | Refusal():
                kind = type(part).__name__
                if said and said[-1][0] == kind:
                    line = (kind, said.pop()[1] + part.text)
                else:
                    line = (kind, part.text)
            case ToolCall():
                line = ("ToolCall", part.name, part.parse())
            case NativeBlock():
                line = ("NativeBlock", part.native.author)
            case _:
                line = (type(part).__name__,)
        if line[1:] != ("",):
            said.append(line)
    return said


def calls_in(events: Iterable[StreamEvent]) -> list[ToolCallDelta]:
    """The tool calls that deltas add up to, by their index."""
    found: dict[int, ToolCallDelta] = {}
    for event in events:
        if (delta := event.tool_call) is None:
            continue
        before = found.get(delta.index, ToolCallDelta(delta.index))
        found[delta.index] = ToolCallDelta(
            delta.index,
            before.id or delta.id,
            before.name or delta.name,
            before.arguments + delta.arguments,
        )
    return [found[index] for index in sorted(found)]


def said_in(strings: Iterable[str], needle: str) -> bool:
    """One of the strings contains it, perhaps as text inside JSON text."""
    escaped = msgspec.json.encode(needle).decode()[1:-1]
    return any(needle in each or escaped in each for each in strings)


def strings_in(value: object) -> Iterator[str]:
    """All strings inside a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)


def values_in(value: object) -> Iterator[object]:
    """All values inside a JSON value that hold no others."""
    if isinstance(value, dict):
        for item in value.values():
            yield from values_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from values_in(item)
    else:
        yield value
