"""What a hook is, and what it is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from ...accounting.ledger.row import BookedOutcome
from ...completion import FinishReason, Usage
from ...messages import Part, Text
from ...request import ChatRequest

__all__ = [
    "AttemptDetails",
    "AttemptResult",
    "Hook",
    "HookFactory",
    "HookHealth",
    "HookSettings",
    "Settlement",
    "StateChange",
]


class HookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a hook is made from: its table in the configuration.

    Attributes:
        name: NAME in ``[hooks.NAME]``.
        plugin: The plugin that makes it.
        options: Every other key of the table but ``timeout`` and ``fail_closed``; what is given as
            ``env:`` or ``file:`` has been looked up. The hook checks them, and raises
            ``ConfigError`` where they make no sense.
    """

    name: str
    plugin: str
    options: Mapping[str, Any] = {}


class AttemptDetails(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that is about to be sent. No credential is in it.

    Attributes:
        attempt_id: The attempt's, as the ledger has it (32 hexadecimal digits).
        call_id: The call's: the id of its first attempt.
        provider: Whom, as the configuration calls it.
        model: Which of its models.
        group: The group whose chain serves the call; ``None`` where a model was named.
        request: What is asked, to be read and not changed; ``None`` for an embedding. Without
            ``extra_headers``, which may hold credentials.
        inputs: The texts of an embedding; none of a completion.
        stream: The answer is to come as a stream.
        max_tokens: The longest answer that will be asked for; ``None`` for the model's own.
        repeat: 0 for the first attempt at this candidate.
        hedge: It runs beside a slower one.
        own_key: The call brought its own credential for the provider.
        bound: USD that a hard budget has set aside for it; ``None`` where none did.
        labels: Whom the call is for: ``agent_id``, ``project_id``, ``agent_type``, ``session_id``,
            ``run_id``, ``api_key_id`` and ``tag:NAME``, as far as they are given.
    """

    attempt_id: str
    call_id: str
    provider: str
    model: str
    group: str | None = None
    request: ChatRequest | None = None
    inputs: tuple[str, ...] = ()
    stream: bool = False
    max_tokens: int | None = None
    repeat: int = 0
    hedge: bool = False
    own_key: bool = False
    bound: Decimal | None = None
    labels: Mapping[str, str] = {}


class AttemptResult(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that has ended, however it did.

    Attributes:
        attempt_id: As in :class:`AttemptDetails`.
        call_id: Likewise.
        provider: Whom.
        model: The model that was asked.
        answered_model: The model that answered, as the provider says.
        group: The group whose chain serves the call.
        outcome: ``answered``, ``failed``, ``interrupted`` (a stream after its first token) or
            ``cancelled`` (by the caller, or outrun by a hedge).
        error: The class of our error, where it failed or broke.
        message: The error's message, without credentials.
        status: The HTTP status of the failure.
        code: The provider's own word for the failure.
        latency: Seconds from its start to its end.
        time_to_first_token: Seconds from its start to the first delta; ``None`` without a stream.
        usage: Tokens; ``None`` where nothing is known of them.
        finish_reason: Why the answer ended; ``None`` without an answer.
        parts: What arrived of the answer, in order.
        request_id: The provider's id of the request.
        stream: The answer was to come as a stream.
        repeat: 0 for the first attempt at this candidate.
        hedge: It ran beside a slower one.
        labels: As in :class:`AttemptDetails`.
    """

    attempt_id: str
    call_id: str
    provider: str
    model: str
    answered_model: str = ""
    group: str | None = None
    outcome: BookedOutcome
    error: str | None = None
    message: str | None = None
    status: int | None = None
    code: str | None = None
    latency: float = 0.0
    time_to_first_token: float | None = None
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    parts: tuple[Part, ...] = ()
    request_id: str | None = None
    stream: bool = False
    repeat: int = 0
    hedge: bool = False
    labels: Mapping[str, str] = {}

    @property
    def text(self) -> str:
        """The answer's text, as far as it arrived."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was written down: an attempt, or an answer out of the cache. Money in USD.

    Attributes:
        attempt_id: The row's id.
        call_id: The id of the call's first row.
        at: When the attempt began, seconds since 1970.
        provider: Whom; of a cached answer, who once gave it.
        plugin: The provider's kind, by which it is priced.
        model: The model that was asked.
        answered_model: The model that answered.
        group: The group that was asked for.
        outcome: As in :class:`AttemptResult`; ``cached`` for an answer that cost nothing.
        usage: Tokens; ``None`` where nothing is known of them.
        cost: ``None`` where unknown: never a silent zero.
        bound: The most that it can have cost: what hard budgets count.
        saved: What an answer out of the cache would have cost.
        price: Which price was applied: ``anthropic/claude-opus-5@2026-11-23``.
        tier: The service tier that answered.
        region: Where it was answered, where that has a price of its own.
        status: The HTTP status of its failure.
        error: The class of its failure.
        code: The provider's own word for its failure.
        request_id: The provider's id of the request.
        latency: Seconds from its start to its end.
        time_to_first_token: Seconds from its start to its first token.
        waited: Seconds waited before it.
        stream: It was to be a stream.
        hedge: It ran beside a slower one.
        repeat: 0 for the first attempt at this candidate.
        own_key: The call brought its own credential.
        labels: As in :class:`AttemptDetails`.
    """

    attempt_id: str
    call_id: str
    at: float
    provider: str
    plugin: str
    model: str
    answered_model: str = ""
    group: str | None = None
    outcome: BookedOutcome
    usage: Usage | None = None
    cost: Decimal | None = None
    bound: Decimal | None = None
    saved: Decimal | None = None
    price: str = ""
    tier: str = ""
    region: str = ""
    status: int | None = None
    error: str | None = None
    code: str | None = None
    request_id: str | None = None
    latency: float = 0.0
    time_to_first_token: float | None = None
    waited: float = 0.0
    stream: bool = False
    hedge: bool = False
    repeat: int = 0
    own_key: bool = False
    labels: Mapping[str, str] = {}


class StateChange(msgspec.Struct, frozen=True, kw_only=True):
    """Something changed that decides who is asked.

    ==============  ===========================  ==================================  ===========
    kind            name                         before and after                    retry_in
    ==============  ===========================  ==================================  ===========
    ``circuit``     ``provider/model``           ``closed`` ``open`` ``half-open``   to the probe
                                                 ``ramping``
    ``cooldown``    provider, ``provider/model`` ``ready`` ``cooling``               to the probe
    ``budget``      ``project:p1 per day``       ``open``; ``threshold`` (a part of  0
                                                 it is spent) or ``closed`` (overrun)
    ``shared``      the Redis, without password  ``up`` ``away``                     0
    ==============  ===========================  ==================================  ===========

    Attributes:
        kind: What changed.
        name: Whose.
        before: The state that it left.
        after: The state that it is in now.
        reason: Why, in a few words.
        retry_in: Seconds until it is tried again; 0 where that is not known.
        at: When it was noticed, seconds since 1970.
    """

    kind: Literal["circuit", "cooldown", "budget", "shared"]
    name: str
    before: str
    after: str
    reason: str = ""
    retry_in: float = 0.0
    at: float = 0.0


class Hook(Protocol):
    """Is asked before attempts and told of what happens. Derive from it and override what you want.

    An object that merely has one of the four methods does as well. Each may be ``async``. They run
    on the router's event loop, so none may block it. What a hook raises is logged once for each of
    its methods, counted in ``router.health()``, and goes no further; save for
    :class:`~switchgear.HookVetoError` out of :meth:`before_attempt`. A hook may ask models itself,
    through the same router: of attempts that it causes so it is neither asked nor told.

    Attributes:
        timeout: Seconds that an ``async`` method may take; longer is a failure. The key
            ``timeout`` of its table goes before.
        fail_closed: Where :meth:`before_attempt` fails or takes too long, the call is refused
            instead of going on without it. The key ``fail_closed`` of its table goes before.
    """

    timeout: float = 1.0
    fail_closed: bool = False

    def before_attempt(self, details: AttemptDetails) -> Awaitable[None] | None:  # noqa: ARG002
        """An attempt is in the books and about to be sent; the call waits for this.

        That is every attempt: of streams and embeddings too, repeats and hedges. Answers out of the
        cache and the counting of tokens are none.

        Raises:
            HookVetoError: It must not be sent. That ends the call (of a hedge, only the hedge).
        """
        return None

    def after_attempt(self, details: AttemptResult) -> Awaitable[None] | None:  # noqa: ARG002
        """An attempt that was sent has ended. Nobody waits for an ``async`` one."""
        return None

    def on_settle(self, details: Settlement) -> Awaitable[None] | None:  # noqa: ARG002
        """A row is in the journal: of each attempt that was sent, and of each cached answer.

        The database has it within moments. What dead processes left is booked without this.
        """
        return None

    def on_state_change(self, details: StateChange) -> Awaitable[None] | None:  # noqa: ARG002
        """A circuit, a cooldown, a budget or the way to the shared state changed."""
        return None

    async def aclose(self) -> None:
        """The router is closed; nothing comes any more."""
        return


HookFactory: TypeAlias = Callable[[HookSettings], Hook]
"""Makes a hook: what an entry point of the group ``switchgear.hooks`` leads to."""


class HookHealth(msgspec.Struct, frozen=True):
    """How a hook does.

    Attributes:
        name: NAME in ``[hooks.NAME]``, or the class of one that was given in code.
        failures: How often it raised, took too long, or lagged behind so far that it was not told.
        vetoes: How many attempts it refused.
        last_error: What went wrong last.
    """

    name: str
    failures: int = 0
    vetoes: int = 0
    last_error: str | None = None

    def __str__(self) -> str:
        """A line for a person."""
        last = f", last: {self.last_error}" if self.last_error else ""
        return f"hook {self.name}: {self.failures} failures, {self.vetoes} vetoes{last}"
