"""The response cache as routing sees it: a question, answered from the store or by a live call."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Final, Self, TypeAlias

import msgspec

from ..clock import Clock, SystemClock
from ..completion import StreamEvent
from ..config.cache import CacheConfig, CacheRules
from ..config.values import GroupConfig, Pool, ProviderConfig
from ..credentials import Secret
from ..errors import AllProvidersFailedError, LifecycleError
from ..request import ChatRequest
from . import codec
from .canonical import NoCanonicalFormError
from .entry import Answer, Entry, Made
from .flight import Emit, Flights, Member
from .guard import Guard
from .keys import CacheTarget, key_soon, target_of
from .policy import CacheMode, why_not_cached, why_not_stored
from .replay import replay
from .stats import CacheStats
from .store import CacheStore
from .stores import open_cache

__all__ = ["Asked", "Live", "ResponseCache", "Ticket"]

Live: TypeAlias = Callable[[Emit], Awaitable[Made]]
"""Makes the call: hands on its events, if it is a stream, and comes to what it brought."""

_log = logging.getLogger("switchgear.caching")

_KNOWN_TARGETS: Final = 1024
_PATIENCE: Final = 0.25
"""The part of a caller's time that waiting for the store to be opened may take."""
_PICO: Final = 10**12
_LONGEST: Final = 10 * 365 * 86_400.0
_LARGE: Final = 64 * 1024
"""Bytes. To compress more takes longer than a hop to a thread."""


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is cached, and how.

    Attributes:
        key: What it is kept under.
        request: What is asked.
        rules: What holds for its group.
        ttl: Seconds for which its answer may be given again, and the oldest that it takes.
        read: A stored answer will do; else only a new one.
        first_only: Only an answer of the first choice will do.
        together: What makes it identical to another one that is under way.
    """

    key: bytes
    request: ChatRequest
    rules: CacheRules
    ttl: float
    read: bool
    first_only: bool
    together: Hashable


class ResponseCache:
    """Answers that are there already.

    Made without I/O; belongs to one event loop; nothing that its store does fails a call.

    Args:
        config: How it is set.
        clock: Time.
        store: Where entries are, in place of what ``config.url`` names.

    Raises:
        ConfigError: ``config.url`` names a store that is not installed.
    """

    def __init__(
        self, config: CacheConfig, *, clock: Clock | None = None, store: CacheStore | None = None
    ) -> None:
        self._clock = clock or SystemClock()
        self._config = config
        self._limit = config.max_entry_kb * 1024
        store = store or open_cache(
            config.url,
            clock=self._clock,
            max_bytes=config.max_mb * 1024 * 1024 if config.max_mb is not None else None,
            max_entries=config.max_entries,
            max_entry_bytes=self._limit + codec.OVERHEAD,
            prefix=config.prefix,
        )
        self._guard = Guard(store, self._clock, config.timeout)
        self._compress = not store.instant if config.compress is None else config.compress
        self._flights: Flights[Answer] = Flights(self._clock, together=config.single_flight)
        self._targets: OrderedDict[Hashable, CacheTarget] = OrderedDict()
        self._hits = self._misses = self._joined = self._stale = 0
        self._stored = self._damaged = self._saved = 0

    def target(
        self,
        group: GroupConfig | None,
        pools: tuple[Pool, ...],
        settings: Callable[[str], ProviderConfig | None],
    ) -> CacheTarget | None:
        """Whom a call asks, remembered by name; ``None`` where it has no canonical form.

        Args:
            group: The group; ``None`` where a model was named.
            pools: Its chain, or the model as a pool of one.
            settings: How a provider is configured.
        """
        name: Hashable = group.name if group is not None else tuple(map(str, pools[0].candidates))
        known = self._targets.get(name)
        if known is None:
            try:
                known = target_of(group, pools, settings)
            except NoCanonicalFormError as exc:
                _log.warning("no answer of %s is cached: its configuration %s", name, exc)
                return None
            self._targets[name] = known
            if len(self._targets) > _KNOWN_TARGETS:
                self._targets.popitem(last=False)
        return known

    async def ticket(
        self,
        request: ChatRequest,
        target: CacheTarget,
        *,
        mode: CacheMode | None = None,
        ttl: float | None = None,
        project_id: str | None = None,
        region: str | None = None,
        credentials: Mapping[str, Secret] | None = None,
        first_only: bool = False,
        terms: Hashable = (),
    ) -> Ticket | None:
        """A request as the cache sees it; ``None`` where it is not cached.

        Args:
            request: What is asked.
            target: Whom.
            mode: The call's own word.
            ttl: The call's own, seconds.
            project_id: Whose answer it is; without one, it is of those that have none.
            region: Where it must be answered.
            credentials: Keys for this call, by provider.
            first_only: The call has no fallback.
            terms: What else of the call decides how it ends (its price ceiling, its attempts'
                time-outs): only calls that agree in it are made together.
        """
        rules = self._config.rules_for(target.group)
        if why_not_cached(request, target, rules, mode) is not None:
            return None
        shared = self._config.scope == "global"
        try:
            key = await key_soon(
                request,
                target,
                project=None if shared else project_id or "",
                region=region,
                credentials=credentials,
            )
        except NoCanonicalFormError as exc:
            _log.debug("a request is not cached: it %s", exc)
            return None
        read = mode != "refresh"
        return Ticket(
            key=key,
            request=request,
            rules=rules,
            ttl=min(ttl or rules.ttl, _LONGEST),
            read=read,
            first_only=first_only,
            together=(key, read, first_only, terms),
        )

    def ask(self, ticket: Ticket, live: Live, *, timeout: float) -> Asked:
        """Ask; for ``async with``.

        Args:
            ticket: The request.
            live: Makes the call, where there is no answer. It runs in a task of its own and keeps
                to its own deadline.
            timeout: Seconds that this caller has.
        """
        return Asked(self, ticket, live, timeout)

    def start(self) -> None:
        """Open the store, on the running loop, before it is first asked. Safe to call twice."""
        self._guard.start()

    async def forget(self, ticket: Ticket) -> None:
        """Drop a stored answer that turned out to be of no use."""
        await self._guard.delete(ticket.key)

    def stats(self) -> CacheStats:
        """What it did since it was made."""
        store = self._guard.stats()
        return CacheStats(
            hits=self._hits,
            misses=self._misses,
            joined=self._joined,
            stale=self._stale,
            stored=self._stored,
            damaged=self._damaged,
            slow=self._guard.slow,
            failed=self._guard.failed,
            passed_over=self._guard.passed_over,
            saved=_usd(self._saved),
            entries=store.entries,
            bytes=store.bytes,
            evicted=store.evicted,
        )

    async def aclose(self) -> None:
        """End calls that are under way and close the store. Safe to call twice."""
        await self._flights.aclose()
        await self._guard.aclose()

    # --- for Asked ------------------------------------------------------------------------------

    async def at_once(self, ticket: Ticket) -> Answer | None:
        """A stored answer, where having a look neither waits nor overlooks a call under way."""
        if not (self._guard.instant and ticket.read):
            return None
        found = await self._look(ticket, 0.0)
        return found if found is not None and found.fresh else None

    def member(self, ticket: Ticket, live: Live, timeout: float) -> Member[Answer]:
        """A part in the call for a request."""

        async def work(emit: Emit) -> Answer:
            return await self._answer(ticket, live, emit, patience=timeout * _PATIENCE)

        return self._flights.join(ticket.together, work, timeout=timeout)

    def count(self, answer: Answer) -> None:
        """Note what a caller got."""
        if answer.live:
            self._misses += 1
            return
        self._hits += answer.fresh and not answer.joined
        self._joined += answer.joined
        self._stale += not answer.fresh
        self._saved += answer.entry.cost or 0

    async def _answer(self, ticket: Ticket, live: Live, emit: Emit, *, patience: float) -> Answer:
        found = await self._look(ticket, patience) if ticket.read else None
        if found is not None and found.fresh:
            return found
        try:
            made = await live(emit)
        except AllProvidersFailedError as exc:
            if found is None:
                raise
            return msgspec.structs.replace(found, error=exc)
        entry = Entry.of(made, now=self._clock.now(), ttl=ticket.ttl)
        if made.whole and why_not_stored(entry, ticket.request, ticket.rules) is None:
            await self._put(ticket, entry, patience)
        return Answer(entry=entry, live=True, completion=made.completion)

    async def _look(self, ticket: Ticket, patience: float) -> Answer | None:
        data = await self._guard.get(ticket.key, patience)
        if data is None:
            return None
        try:
            entry = await self._decoded(ticket.key, data)
        except codec.DamagedEntryError as exc:
            self._damaged += 1
            _log.debug("an entry of the response cache is passed over: %s", exc)
            return None
        if ticket.first_only and not entry.first_choice:
            return None
        age = entry.age(self._clock.now())
        # Neither longer than it was stored for, nor older than this call takes.
        ttl = min(entry.ttl / 1000, ticket.ttl)
        if age >= ttl + ticket.rules.stale_if_error:
            return None
        return Answer(entry=entry, age=age, fresh=age < ttl)

    async def _decoded(self, key: bytes, data: bytes) -> Entry:
        if len(data) <= _LARGE:
            return codec.decode(key, data, limit=self._limit)
        return await asyncio.to_thread(codec.decode, key, data, limit=self._limit)

    async def _put(self, ticket: Ticket, entry: Entry, patience: float) -> None:
        def encoded() -> bytes | None:
            return codec.encode(ticket.key, entry, compress=self._compress, limit=self._limit)

        size = len(entry.body) + sum(len(getattr(part, "text", "")) for part in entry.parts)
        data = encoded() if size <= _LARGE else await asyncio.to_thread(encoded)
        if data is None:
            return
        ttl = min(ticket.ttl + ticket.rules.stale_if_error, _LONGEST)
        self._stored += await self._guard.put(ticket.key, data, ttl, patience)


class Asked:
    """One request's way to its answer. Use it in ``async with``, from one task.

    A stream takes ``event`` until it gives ``None``, then ``answer``; a plain call only ``answer``.
    A stored or a joined plain answer comes as events too.
    """

    def __init__(self, cache: ResponseCache, ticket: Ticket, live: Live, timeout: float) -> None:
        self._cache = cache
        self._ticket = ticket
        self._live = live
        self._timeout = timeout
        self._member: Member[Answer] | None = None
        self._answer: Answer | None = None
        self._again: Iterator[StreamEvent] | None = None
        self._heard = False

    async def __aenter__(self) -> Self:
        self._answer = await self._cache.at_once(self._ticket)
        if self._answer is not None:
            self._cache.count(self._answer)
        else:
            member = self._cache.member(self._ticket, self._live, self._timeout)
            self._member = await member.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._member is not None:
            await self._member.__aexit__(kind, error, traceback)

    @property
    def settled(self) -> bool:
        """The whole answer is here: ``answer`` does not wait for it."""
        return self._answer is not None

    async def event(self) -> StreamEvent | None:
        """The next delta; ``None`` at the end.

        Raises:
            DeadlineExceededError: This caller's time is over.
            SwitchgearError: What the call ended with.
        """
        if self._again is None:
            if self._answer is None:
                event = await self._from_call().event()
                if event is not None:
                    self._heard = True
                    return event
            answer = await self.answer()
            self._again = iter(()) if self._heard else replay(answer.entry.parts)
        return next(self._again, None)

    async def answer(self) -> Answer:
        """The whole answer.

        Raises:
            DeadlineExceededError: This caller's time is over.
            SwitchgearError: What the call ended with.
        """
        if self._answer is None:
            member = self._from_call()
            answer = await member.result()
            if answer.live and not member.brought:
                # Somebody else's: whoever joins has a reply, a trace and a row of their own.
                answer = msgspec.structs.replace(answer, live=False, joined=True, completion=None)
            self._answer = answer
            self._cache.count(answer)
        return self._answer

    def _from_call(self) -> Member[Answer]:
        if self._member is None:
            raise LifecycleError("enter it first: async with")
        return self._member


def _usd(pico: int) -> Decimal:
    # Built from digits: Decimal arithmetic would round to the context's precision.
    digits = f"{pico // _PICO}.{pico % _PICO:012}"
    return Decimal(digits.rstrip("0").removesuffix("."))
