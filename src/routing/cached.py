"""Calls in front of which the response cache stands.

A call that is cached asks the cache first. Where that has no answer, it is made as any other, in a
task of its own that identical calls join. An answer that cost nothing meets no gate and no budget;
it is in the trace and in the books all the same.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable, Hashable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from ..caching.cache import ResponseCache
from ..caching.entry import Made
from ..caching.policy import CacheMode
from ..credentials import Secret
from ..errors import (
    AllProvidersFailedError,
    ConfigError,
    MalformedResponseError,
    StreamInterruptedError,
    SwitchgearError,
)
from ..providers.base import Reply
from .cached_stream import CachedStream
from .call import RoutedCall

if TYPE_CHECKING:
    from ..caching.cache import Asked, Live, Ticket
    from ..caching.entry import Answer
    from ..caching.flight import Emit
    from ..caching.stats import CacheStats
    from ..clock import Clock
    from ..completion import Completion
    from ..config import Config
    from ..config.cache import CacheConfig
    from ..decision import Trace
    from .providers import Providers
    from .streaming import CompletionStream

__all__ = ["CacheTerms", "CachedCall", "CachedCalls"]

_log = logging.getLogger("switchgear.routing")

_LAST_SECONDS = 2.0


class CacheTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a call says that the cache must know.

    Attributes:
        mode: ``use``, ``skip`` or ``refresh``; ``None`` where it says nothing.
        ttl: Its own time to live, seconds.
        project_id: Whose answer it is.
        region: Where it must be answered.
        credentials: Its own keys, by provider.
        first_only: It has no fallback.
        together: What else decides how it ends: only calls that agree in it are made together.
    """

    mode: CacheMode | None
    ttl: float | None
    project_id: str | None
    region: str | None
    credentials: Mapping[str, Secret]
    first_only: bool
    together: Hashable


class CachedCalls:
    """The response cache of a router.

    Args:
        settings: The ``[cache]`` table.
        config: The whole configuration.
        providers: The router's.
        clock: Time.

    Raises:
        ConfigError: What the cache's store needs is not installed.
    """

    def __init__(
        self, settings: CacheConfig, config: Config, providers: Providers, clock: Clock
    ) -> None:
        self.cache = ResponseCache(settings, clock=clock)
        self._config = config
        self._providers = providers
        self._closing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Open the store, on the running loop, before the first call. Safe to call twice, cheap."""
        self.cache.start()

    def stats(self) -> CacheStats:
        """What the cache did."""
        return self.cache.stats()

    async def complete(self, call: RoutedCall, terms: CacheTerms) -> Completion:
        """A whole answer, out of the cache or from a provider."""
        self.start()
        return await CachedCall(self, call, terms).complete()

    def stream(
        self,
        call: RoutedCall,
        terms: CacheTerms,
        *,
        on_open: Callable[[CompletionStream], None],
        on_close: Callable[[CompletionStream], None],
    ) -> CachedStream:
        """The same as a stream."""
        self.start()
        cached = CachedCall(self, call, terms)
        return CachedStream(cached, on_open=on_open, on_close=on_close)

    async def ticket(self, call: RoutedCall, terms: CacheTerms) -> Ticket | None:
        """The call as the cache sees it; ``None`` where it is not cached."""
        asked = call.target
        target = self.cache.target(asked.group, asked.pools, self._config.providers.get)
        if target is None:
            return None
        return await self.cache.ticket(
            call.request,
            target,
            mode=terms.mode,
            ttl=terms.ttl,
            project_id=terms.project_id,
            region=terms.region,
            credentials=terms.credentials,
            first_only=terms.first_only,
            terms=terms.together,
        )

    def kind(self, provider: str, model: str) -> str:
        """Under which the prices of a provider's model are looked up."""
        try:
            _, settings = self._providers.get(provider)
        except ConfigError:
            return ""
        return self._providers.priced(settings, model).kind

    def made(self, call: RoutedCall, answered: RoutedCall, completion: Completion) -> Made:
        """What a live call brought.

        Args:
            call: As it was asked.
            answered: As it was answered: in an exchanged group, or by a resumed stream.
            completion: The answer.
        """
        turn = answered.turn
        charge = turn.booking.charge if turn is not None else None
        if turn is None or charge is None:
            raise AssertionError("a call that brought an answer was answered by an attempt")
        entry = turn.candidate.entry
        first = any(each is entry for each in call.first_choices)
        return Made(
            completion=completion,
            asked=entry.model,
            cost=charge.cost,
            # A group that a budget put in the place of this one shares no entry with it.
            first_choice=first and answered.target is call.target,
            whole=not answered.goes_on,
            tier=charge.tier or None,
            region=charge.region or None,
        )

    async def aclose(self) -> None:
        """End calls that are under way, and close the store. Safe to call twice.

        A plugin that does not heed its cancellation is not waited for: what it hangs on is closed
        after this.
        """
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self.cache.aclose())
        done, _ = await asyncio.wait({self._closing}, timeout=_LAST_SECONDS)
        if not done:
            _log.warning("calls that are cached did not end within %g s", _LAST_SECONDS)


class CachedCall:
    """One call, and what the cache makes of it.

    Attributes:
        call: As it is made where the cache has no answer.
    """

    def __init__(self, calls: CachedCalls, call: RoutedCall, terms: CacheTerms) -> None:
        self.call = call
        self._calls = calls
        self._terms = terms
        self._made_itself = False

    async def ticket(self) -> Ticket | None:
        """It as the cache sees it; ``None`` where it is not cached."""
        return await self._calls.ticket(self.call, self._terms)

    def ask(self, ticket: Ticket, live: Live) -> Asked:
        """Ask the cache; for ``async with``."""

        async def noted(emit: Emit) -> Made:
            self._made_itself = True
            return await live(emit)

        return self._calls.cache.ask(ticket, noted, timeout=self.call.remaining())

    def made(self, answered: RoutedCall, completion: Completion) -> Made:
        """What it brought itself, for the cache."""
        return self._calls.made(self.call, answered, completion)

    async def complete(self) -> Completion:
        """A whole answer."""
        ticket = await self.ticket()
        if ticket is None:
            return (await self._live()).completion
        try:
            async with self.ask(ticket, self._live) as asking:
                answer = await asking.answer()
        except SwitchgearError as exc:
            self.own(exc)
            raise
        if answer.completion is not None:
            return answer.completion
        try:
            parsed = self.parse(answer)
        except MalformedResponseError:
            await self.refuse(ticket, answer)
            return (await self._live()).completion
        reply = self.reply(answer, parsed)
        await self.book(answer, reply)
        return reply

    def parse(self, answer: Answer) -> object:
        """A stored answer in the form that was asked for, which is not stored.

        Raises:
            MalformedResponseError: It is not of that form: it comes from another version of it.
        """
        entry = answer.entry
        reply = Reply(parts=entry.parts, finish_reason=entry.finish_reason)
        return self.call.parse(reply)

    async def refuse(self, ticket: Ticket, answer: Answer) -> None:
        """A stored answer is of no use to this call, which is made instead.

        Raises:
            AllProvidersFailedError: It was made already, and failed.
        """
        await self._calls.cache.forget(ticket)
        if isinstance(answer.error, AllProvidersFailedError):
            error = copy.copy(answer.error)  # all who joined have the same one
            self.own(error)
            raise error

    def reply(
        self, answer: Answer, parsed: object = None, first_token: float | None = None
    ) -> Completion:
        """The reply of a call that cost nothing.

        Args:
            answer: Where it comes from.
            parsed: It in the form that was asked for.
            first_token: Seconds to the first delta, where it is a stream.
        """
        call, entry = self.call, answer.entry
        failed = answer.error
        if not self._made_itself and isinstance(failed, SwitchgearError) and failed.trace:
            call.recorder.heard(failed.trace)
        call.recorder.cached(f"{entry.provider}/{entry.asked}", _origin(answer), first_token)
        return answer.completion_for(
            trace=call.recorder.trace(),
            group=call.target.group.name if call.target.group is not None else None,
            latency=call.recorder.elapsed(),
            parsed=parsed,
            time_to_first_token=first_token,
        )

    async def book(self, answer: Answer, reply: Completion) -> None:
        """Write down what it saved."""
        await self.call.account.cached(
            answer.entry,
            group=reply.group,
            plugin=self._calls.kind(reply.provider, answer.entry.asked),
            own_key=reply.provider in self._terms.credentials,
            latency=reply.latency,
            first_token=reply.time_to_first_token,
            timeout=self.call.remaining(),
        )

    def own(self, error: SwitchgearError) -> None:
        """Make an error that another call ended with tell of this one, whom it cost nothing."""
        if self._made_itself:
            return
        error.trace = self._own_trace(error.trace)
        if isinstance(error, StreamInterruptedError) and error.completion is not None:
            error.completion = msgspec.structs.replace(
                error.completion, cost=Decimal(0), trace=error.trace
            )

    def _own_trace(self, trace: Trace | None) -> Trace:
        recorder = self.call.recorder
        if trace is not None:
            recorder.heard(trace)
        return recorder.trace()

    async def _live(self, emit: Emit | None = None) -> Made:  # noqa: ARG002 - no stream
        answered, completion = await self.call.within_budget(RoutedCall.complete)
        return self.made(answered, completion)


def _origin(answer: Answer) -> str:
    if answer.joined:
        origin = "joined an identical call"
    elif answer.age < 1:
        origin = "stored just now"
    else:
        origin = f"stored {answer.age:.0f} s ago"
    return origin if answer.fresh else f"{origin}; expired, since every candidate failed"
