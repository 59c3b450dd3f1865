"""One call, from its plan to its completion."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ..completion import Completion, StreamEvent, TokenCount
from ..credentials import hide
from ..decision import Outcome
from ..errors import (
    AllProvidersFailedError,
    BudgetExceededError,
    ContentFilterError,
    InvalidRequestError,
    LedgerError,
    PluginError,
    ProviderConnectionError,
    SwitchgearError,
    UnboundedCostError,
)
from ..providers.base import Call, CountsTokens, Reply, ReplyStream
from .fields import extra_of, headers_of
from .plan import first_choices
from .resume import can_resume, continuation, joined
from .turn import Turn

if TYPE_CHECKING:
    from ..accounting.ledger.row import BookedOutcome
    from ..accounting.tokens.counter import TokenCounter
    from ..config import Candidate as Entry
    from ..request import ChatRequest
    from .account import Account
    from .failover import Failover
    from .plan import Candidate, Skip, Target
    from .pools import Pools
    from .recorder import Recorder
    from .settle import Settler
    from .terms import Limits

__all__ = ["Opened", "RoutedCall", "let_go"]

T = TypeVar("T")

_log = logging.getLogger("switchgear.routing")
_DECLINED = frozenset({"refusal", "content_filter"})
_OF_A_STREAM = ("__anext__", "aclose", "finished", "meta", "snapshot")
_CLOSE_SECONDS = 1.0


class Opened(msgspec.Struct, frozen=True):
    """A provider's stream that has brought its first event, or its end.

    Attributes:
        source: The stream. Whoever holds this owns it.
        first: Its first event; ``None`` where it ended without any.
        turn: The attempt that opened it.
        first_token: Seconds from the start of the call to the first event.
    """

    source: ReplyStream
    first: StreamEvent | None
    turn: Turn
    first_token: float


class _Answered(msgspec.Struct, frozen=True):
    """A whole answer, and the attempt that brought it."""

    completion: Completion
    turn: Turn


class RoutedCall:
    """A call whose request is normalised and whose candidates are known.

    Attributes:
        request: What is asked.
        idle_timeout: Longest silence inside a stream, seconds; ``None`` for none but the deadline.
        account: Where its attempts are booked.
        target: Whom.
        recorder: The call's record.
        turn: The attempt that answered, once one has.
    """

    def __init__(
        self,
        *,
        target: Target,
        request: ChatRequest,
        plan: Sequence[Candidate | Skip],
        account: Account,
        limits: Limits,
        failover: Failover,
        recorder: Recorder,
        settler: Settler,
        pools: Pools,
        again: Callable[[ChatRequest, Completion], RoutedCall],
        cheaper: Callable[..., Awaitable[RoutedCall | None]] | None,
        before: Completion | None,
    ) -> None:
        self.request = request
        self.account = account
        self.idle_timeout = limits.idle_timeout
        self.turn: Turn | None = None
        self.target = target
        self._plan = plan
        self._limits = limits
        self._failover = failover
        self.recorder = recorder
        self._settler = settler
        self._pools = pools
        self._again = again
        self._cheaper = cheaper
        self._before = before

    @property
    def first_choices(self) -> tuple[Entry, ...]:
        """The entries of the first step of the chain that could serve the request."""
        return first_choices(self.target.pools, self._plan)

    @property
    def goes_on(self) -> bool:
        """It asks for the rest of a stream that broke."""
        return self._before is not None

    @property
    def ends(self) -> float:
        """When the deadline is, as the recorder's clock has it."""
        return self.recorder.started + self._limits.timeout

    def remaining(self) -> float:
        """Seconds that the deadline leaves."""
        return self.ends - self.recorder.now()

    async def complete(self) -> Completion:
        """A whole answer from the first candidate that gives one."""
        answered = await self._failover.run(self._complete_once, self._lost)
        reply, self.turn = answered.completion, answered.turn
        # An attempt that was outrun is written down after the one that won.
        if self.recorder.steps > len(reply.trace.steps):
            reply = msgspec.structs.replace(reply, trace=self.recorder.trace())
        return reply

    async def open(self) -> Opened:
        """A stream from the first candidate that sends a first token."""
        return await self._failover.run(self._open_once, self._lost)

    async def within_budget(
        self, make: Callable[[RoutedCall], Awaitable[T]]
    ) -> tuple[RoutedCall, T]:
        """Make the call, or another in its place where a budget exchanges its group.

        That is so once enough is spent, and where a hard budget has too little left for all of
        the group's models. A cheaper group that can't serve the request at all is none: then the
        refusal is how the call ends.

        Args:
            make: :meth:`complete` or :meth:`open`.

        Returns:
            The call that was made, and what came of it.
        """
        if self._cheaper is None:
            return self, await make(self)
        call, refusal = await self.exchanged() or self, None
        while True:
            try:
                return call, await make(call)
            except BudgetExceededError as exc:
                refusal = exc
                cheaper = await call.exchanged(exc)
                if cheaper is None:
                    raise
                call = cheaper
            except SwitchgearError as exc:
                if refusal is None or not _is_unfit(exc):
                    raise
                refusal.trace = exc.trace
                raise refusal from exc

    async def exchanged(self, refusal: BudgetExceededError | None = None) -> RoutedCall | None:
        """The call in a cheaper group; ``None`` where it stays in its own.

        Where the ledger can't be opened, or not in time, that is for the attempts to find out.
        """
        if self._cheaper is None:
            return None
        refusals = () if refusal is None else (refusal, *self._failover.refusals())
        left = max(self.remaining(), 0.0)
        with contextlib.suppress(TimeoutError, LedgerError):
            async with asyncio.timeout(left):
                return await self._cheaper(refusals, timeout=left)
        return None

    async def count_tokens(self, counter: TokenCounter) -> TokenCount:
        """The prompt's tokens at the first fitting candidate."""

        async def once(turn: Turn) -> TokenCount:
            provider = turn.candidate.provider
            if isinstance(provider, CountsTokens):
                tokens = await provider.count_tokens(self._provider_call(turn))
                turn.entry.answered(None, {}, None)
                return TokenCount(tokens, exact=True, method=turn.candidate.entry.provider)
            turn.entry.withdraw()
            return await counter.count(self.request, turn.candidate.entry.model)

        return await self._failover.run(once)

    def parse(self, reply: Reply) -> object:
        """The answer in the form that was asked for.

        Raises:
            MalformedResponseError: It is not of that form.
        """
        return self._settler.parse(reply, self.request)

    def resumed(self, arrived: Completion) -> RoutedCall | None:
        """The call for the rest of a broken stream; ``None`` where it is not to be had."""
        if not self._limits.resume or self._before is not None:
            return None  # once: a chain that breaks again has said enough
        if not can_resume(arrived, self.request):
            return None
        return self._again(continuation(self.request, arrived), arrived)

    def settle_stream(
        self,
        opened: Opened,
        reply: Reply,
        outcome: Outcome,
        reason: str,
        *,
        parsed: object = None,
        error: SwitchgearError | None = None,
    ) -> Completion:
        """The completion of a stream, however it ended, from what had arrived.

        The gates have been told of an interruption already, with its error.
        """
        turn, booking = opened.turn, opened.turn.booking
        first_token = opened.first_token - turn.began
        # A caller may leave when the provider has said everything: then nothing is estimated.
        whole = opened.source.finished
        if outcome == "answered":
            booking.answered(reply, first_token=first_token)
            turn.entry.answered(reply.usage, reply.meta.headers, first_token)
            self._remember(turn, reply)
            self.turn = turn
        else:
            ended: BookedOutcome = "interrupted" if outcome == "interrupted" else "cancelled"
            booking.broken_off(ended, reply, whole=whole, first_token=first_token, error=error)
            turn.entry.left(reply.usage)
        self._record(turn, outcome, reply, reason, opened.first_token)
        rest = self._completion(reply, turn, parsed, opened.first_token, whole=whole)
        return rest if self._before is None else joined(self._before, rest)

    async def _complete_once(self, turn: Turn) -> _Answered:
        booking = turn.booking
        reply = await turn.candidate.provider.complete(self._provider_call(turn))
        if not isinstance(reply, Reply):
            raise _no_reply(turn.candidate, reply)
        booking.heard = reply
        self._refuse_declined(reply, turn)
        parsed = self.parse(reply)
        booking.answered(reply, first_token=None)
        turn.entry.answered(reply.usage, reply.meta.headers, None)
        self._remember(turn, reply)
        self._record(turn, "answered", reply, "", None)
        return _Answered(self._completion(reply, turn, parsed, None, whole=True), turn)

    async def _open_once(self, turn: Turn) -> Opened:
        source = await turn.candidate.provider.stream(self._provider_call(turn))
        try:
            first = await self._first_event(source, turn)
        except BaseException:
            # Cancelled or failed: nobody else knows of this stream yet.
            turn.booking.heard = _arrived(source)
            await let_go(source)
            raise
        turn.entry.began(source.meta.headers)
        return Opened(source, first, turn, self.recorder.elapsed())

    async def _first_event(self, source: ReplyStream, turn: Turn) -> StreamEvent | None:
        missing = [name for name in _OF_A_STREAM if not hasattr(source, name)]
        if missing:
            raise _no_stream(turn.candidate, source, missing)
        first = await anext(source, None)
        if first is None:
            if not source.finished:
                raise _cut(turn.candidate)
            self._refuse_declined(source.snapshot(), turn)
        return first

    async def _lost(self, turn: Turn, late: _Answered | Opened | None) -> None:
        """An attempt was outrun by another: what it may have cost is booked all the same."""
        if isinstance(late, _Answered):
            return  # it is written down already, with its own usage and cost
        reply = None
        if isinstance(late, Opened):
            reply = _arrived(late.source)
            late.turn.entry.left(reply.usage if reply is not None else None)
            turn.booking.heard = reply
            turn.booking.cancelled()
            await let_go(late.source)
        reply = reply or Reply(parts=(), finish_reason="error")
        self._record(turn, "cancelled", reply, "another candidate was quicker", None)

    def _remember(self, turn: Turn, reply: Reply) -> None:
        began = self.recorder.started + turn.began
        self._pools.answered(turn.candidate, reply.usage, began=began)

    def _refuse_declined(self, reply: Reply, turn: Turn) -> None:
        """A declined request is a failure where the next candidate may be asked instead."""
        if self._limits.after_refusal and not turn.last and reply.finish_reason in _DECLINED:
            raise _declined(turn.candidate, reply)

    def _provider_call(self, turn: Turn) -> Call:
        candidate, request = turn.candidate, self.request
        entry = candidate.entry
        # Under a hard budget the longest answer is always sent: it is what was set aside for.
        longest = turn.booking.max_tokens or candidate.max_tokens
        if longest != request.max_tokens:
            request = msgspec.structs.replace(request, max_tokens=longest)
        return Call(
            request=request,
            model=entry.model,
            timeout=turn.timeout,
            credential=candidate.credential,
            headers=headers_of(candidate, request.extra_headers),
            extra=extra_of(candidate, request.extra),
            unsupported=candidate.unsupported,
        )

    def _record(
        self, turn: Turn, outcome: Outcome, reply: Reply, reason: str, first_token: float | None
    ) -> None:
        self.recorder.end(
            turn,
            outcome,
            reason=reason,
            first_token=first_token,
            request_id=reply.meta.request_id,
        )

    def _completion(
        self, reply: Reply, turn: Turn, parsed: object, first_token: float | None, *, whole: bool
    ) -> Completion:
        group = self.target.group
        return self._settler.completion(
            reply,
            turn,
            self.recorder,
            group=group.name if group is not None else None,
            parsed=parsed,
            first_token=first_token,
            whole=whole,
        )


async def let_go(source: ReplyStream) -> None:
    """Close a provider's stream. What goes wrong in that is nothing that a caller could mend."""
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await source.aclose()
    except Exception as exc:  # noqa: BLE001 - a plugin may raise anything
        _log.warning("a stream was not closed cleanly: %s", hide(repr(exc)))


def _is_unfit(error: SwitchgearError) -> bool:
    """Whether it says that nobody was asked, since nobody can serve the request as it is."""
    causes = error.exceptions if isinstance(error, AllProvidersFailedError) else (error,)
    return all(
        isinstance(each, InvalidRequestError | UnboundedCostError) and each.status is None
        for each in causes
    )


def _arrived(source: ReplyStream) -> Reply | None:
    """What a stream brought before it was given up: it may say what it used."""
    try:
        reply: object = source.snapshot()
    except Exception:  # noqa: BLE001 - a plugin may raise anything
        return None
    return reply if isinstance(reply, Reply) else None


def _declined(candidate: Candidate, reply: Reply) -> SwitchgearError:
    return ContentFilterError(
        f"{candidate.entry.provider}: declined ({reply.native_finish_reason})",
        provider=candidate.entry.provider,
        model=candidate.entry.model,
        code=reply.native_finish_reason,
        request_id=reply.meta.request_id,
    )


def _no_reply(candidate: Candidate, found: object) -> SwitchgearError:
    return PluginError(
        f"{candidate.entry.provider}: its plugin's complete() gave {type(found).__name__}, which "
        "is no Reply",
        provider=candidate.entry.provider,
        model=candidate.entry.model,
    )


def _no_stream(candidate: Candidate, source: object, missing: list[str]) -> SwitchgearError:
    return PluginError(
        f"{candidate.entry.provider}: its plugin's stream() gave {type(source).__name__}, which "
        f"lacks {', '.join(missing)}",
        provider=candidate.entry.provider,
        model=candidate.entry.model,
    )


def _cut(candidate: Candidate) -> SwitchgearError:
    return ProviderConnectionError(
        f"{candidate.entry.provider}: the stream stopped before its first token",
        provider=candidate.entry.provider,
        model=candidate.entry.model,
    )
