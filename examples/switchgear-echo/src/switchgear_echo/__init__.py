"""The smallest provider plugin: every answer is the last thing that was said.

::

    [providers.echo]  # `plugin` defaults to the name

    [groups.test]
    chain = ["echo/any-model"]
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from switchgear import StreamEvent, Text, Usage
from switchgear.providers import (
    Call,
    Capabilities,
    ProviderSettings,
    Reply,
    ResponseMeta,
    Unexpressed,
    as_text,
    capabilities_for,
)

__all__ = ["EchoProvider", "create"]

# What it can't do is declared, so that the router never sends it there.
_CAPABILITIES = Capabilities(
    tools=False,
    tool_choice=False,
    parallel_tool_calls=False,
    schema=None,
    json_object=False,
    images=False,
    files=False,
    sampling=frozenset(),
    local=True,
)


class EchoProvider:
    """Answers without a network (a ``Provider``)."""

    client = None

    def __init__(self, settings: ProviderSettings) -> None:
        self.name = settings.name
        self._settings = settings

    def capabilities(self, model: str) -> Capabilities:
        """The same for every model, but for what the configuration says."""
        return capabilities_for(self._settings, model, _CAPABILITIES)

    async def complete(self, call: Call) -> Reply:
        """Answer at once."""
        notes = Unexpressed(call.unsupported, self.name, call.model)
        _leave_out(call, notes)
        heard = [as_text(message, notes) for message in call.request.messages]
        said = heard[-1]
        return Reply(
            parts=(Text(said),) if said else (),
            finish_reason="stop",
            # A word is a token here.
            usage=Usage(
                input_tokens=sum(len(each.split()) for each in heard),
                output_tokens=len(said.split()),
            ),
            model=call.model,
            warnings=notes.warnings,
        )

    async def stream(self, call: Call) -> EchoStream:
        """Answer word by word."""
        return EchoStream(await self.complete(call))

    async def aclose(self) -> None:
        """Nothing is open."""


class EchoStream:
    """An answer on its way (a ``ReplyStream``)."""

    def __init__(self, reply: Reply) -> None:
        said = "".join(part.text for part in reply.parts if isinstance(part, Text))
        self._words = [word for word in said.replace(" ", " \0").split("\0") if word]
        self._reply = reply
        self._given = 0
        self._closed = False
        self.finished = False
        self.meta = ResponseMeta()

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._closed or self._given == len(self._words):
            self.finished = self._given == len(self._words)
            raise StopAsyncIteration
        self._given += 1
        return StreamEvent(text=self._words[self._given - 1])

    def snapshot(self) -> Reply:
        """What has been said so far; its usage is known when all is said."""
        if self.finished:
            return self._reply
        said = "".join(self._words[: self._given])
        return Reply(
            parts=(Text(said),) if said else (),
            finish_reason="error",
            model=self._reply.model,
            warnings=self._reply.warnings,
        )

    async def aclose(self) -> None:
        """Stop."""
        self._closed = True


def create(settings: ProviderSettings) -> EchoProvider:
    """What the entry point leads to. No I/O."""
    return EchoProvider(settings)


def _leave_out(call: Call, notes: Unexpressed) -> None:
    """Nothing is left out in silence: a knob is a warning, what changes the meaning an error.

    The router does not send a request with tools or a schema here; somebody else might.
    """
    request = call.request
    for knob in (
        "temperature",
        "top_p",
        "stop",
        "seed",
        "max_tokens",
        "reasoning_effort",
        "parallel_tool_calls",
    ):
        if getattr(request, knob) not in (None, ()):
            notes.knob(knob)
    for meaning in ("tools", "tool_choice", "response_format"):
        if getattr(request, meaning) not in (None, ()):
            notes.meaning(meaning)
