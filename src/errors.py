"""Everything that can go wrong, as one tree.

::

    SwitchgearError
    ├── ConfigError                     the configuration is wrong; nothing was started
    ├── PluginError                     a plugin is missing or broken
    ├── LifecycleError                  the router is closed, on another loop, or in a forked child
    ├── InvalidRequestError             the request is wrong; no provider could serve it so
    │   ├── UnsupportedParameterError   no candidate can do what the request asks for
    │   └── ContextWindowExceededError  the prompt is longer than the model's window (also 413)
    ├── HookVetoError                   a hook let the call not go out; nothing was sent
    ├── DeadlineExceededError           the call's own timeout ran out
    ├── LedgerError                     the ledger can't be opened, written or read
    ├── BudgetError                     a hard budget does not allow it; nothing was sent
    │   ├── BudgetExceededError         too little of it is left
    │   ├── BudgetBusyError             enough is left, but reserved by calls under way
    │   └── UnboundedCostError          nothing bounds what it could cost, or it has no price
    ├── AllProvidersFailedError         the chain is exhausted; an ExceptionGroup of every attempt
    └── ProviderError                   one attempt at one provider failed
        ├── AuthenticationError         401
        ├── PermissionDeniedError       403
        ├── ModelNotFoundError          404
        ├── RateLimitError              429, too fast
        │   └── QuotaExceededError      429 or 400, out of quota or credit: waiting does not help
        ├── ContentFilterError          the provider declined the content
        ├── ProviderTimeoutError        408, or no answer within the attempt's timeout
        ├── ProviderConnectionError     refused, reset, cut before the first token, TLS, DNS
        ├── ServerError                 5xx
        │   └── OverloadedError         503 and 529
        ├── MalformedResponseError      a body that is not what the API promises
        └── StreamInterruptedError      a stream broke after its first token; holds the part

Every error carries the same structured fields (``None`` where they do not apply), keeps the
original exception as ``__cause__`` and survives pickling. No message ever holds a credential.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from .completion import Completion
    from .decision import Trace

__all__ = [
    "AllProvidersFailedError",
    "AuthenticationError",
    "BudgetBusyError",
    "BudgetError",
    "BudgetExceededError",
    "ConfigError",
    "ContentFilterError",
    "ContextWindowExceededError",
    "DeadlineExceededError",
    "HookVetoError",
    "InvalidRequestError",
    "LedgerError",
    "LifecycleError",
    "MalformedResponseError",
    "ModelNotFoundError",
    "OverloadedError",
    "PermissionDeniedError",
    "PluginError",
    "ProviderConnectionError",
    "ProviderError",
    "ProviderTimeoutError",
    "QuotaExceededError",
    "RateLimitError",
    "ServerError",
    "StreamInterruptedError",
    "SwitchgearError",
    "UnboundedCostError",
    "UnsupportedParameterError",
]


class SwitchgearError(Exception):
    """The root of the tree; catch it to catch everything this library raises on purpose.

    Attributes:
        message: What happened, in one line, with the way out where there is one.
        provider: The provider's name in the configuration.
        model: The model as the provider calls it.
        status: The HTTP status, where an HTTP answer caused this.
        code: The provider's own word for the error (``overloaded_error``, ``insufficient_quota``).
        param: The place in the request or configuration (``messages[2].content``).
        retry_after: Seconds to wait before the same request makes sense, as the provider said.
        request_id: The provider's id of the failed request, for its support.
        headers: Of the HTTP answer that caused this, names in lower case.
        trace: Every attempt and skip of the call that failed, where a whole call failed.
    """

    message: str
    trace: Trace | None = None
    headers: Mapping[str, str] | None = None

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        # Not by plain assignment: an exception group's own ``message`` is read-only.
        self.__dict__["message"] = message
        self.provider = provider
        self.model = model
        self.status = status
        self.code = code
        self.param = param
        self.retry_after = retry_after
        self.request_id = request_id

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are rebuilt from their positional arguments; keyword-only fields need help.
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(
    cls: type[SwitchgearError], args: tuple[Any, ...], state: dict[str, Any]
) -> SwitchgearError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(SwitchgearError):
    """The configuration is wrong. ``param`` names the key; the message says how to mend it.

    Attributes:
        errors: Every fault of a whole configuration, where it was read at once.
    """

    errors: tuple[ConfigError, ...] = ()


class PluginError(SwitchgearError):
    """A plugin is not installed, failed to load, or broke its protocol."""


class LifecycleError(SwitchgearError):
    """The router was used after ``aclose``, from a second event loop, or in a forked child."""


class InvalidRequestError(SwitchgearError):
    """The request is wrong and would be wrong anywhere. ``param`` names the place.

    Raised before anything is sent where the fault can be seen locally, and for a provider's 400
    and 422 otherwise (then ``provider`` and ``status`` are set).
    """


class UnsupportedParameterError(InvalidRequestError):
    """The request asks for something that the candidates cannot do, named by ``param``."""


class ContextWindowExceededError(InvalidRequestError):
    """The prompt does not fit the model's context window; a larger window may still serve it."""


class HookVetoError(SwitchgearError):
    """A hook refuses the call: raised by its ``before_attempt``, or since it failed.

    The attempt was not sent and no other candidate is asked. Attempts of the same call that were
    made before it are booked as ever.

    Attributes:
        hook: The hook's name.
    """

    hook: str = ""


class DeadlineExceededError(SwitchgearError, TimeoutError):
    """The call's ``timeout`` ran out. ``trace`` says where the time went."""


class LedgerError(SwitchgearError):
    """The ledger can't be opened, written or read; the message names its place and the way out."""


class BudgetError(SwitchgearError):
    """A hard budget does not allow an attempt. Nothing was sent.

    Attributes:
        budget: Which: ``project:p1 per day``.
        limit: USD; what may be spent in its period.
        left: USD; what is neither spent nor reserved. ``None`` where it does not matter.
        needed: USD; what the attempt could cost at most; ``None`` where nothing bounds it.
        resets_at: When its period ends (UTC); ``None`` for one that has no end.
    """

    budget: str = ""
    limit: Decimal | None = None
    left: Decimal | None = None
    needed: Decimal | None = None
    resets_at: dt.datetime | None = None


class BudgetExceededError(BudgetError):
    """Too little is left of a budget; ``retry_after`` says when its next period begins."""


class BudgetBusyError(BudgetError):
    """Enough is left of a budget, but calls that are under way have reserved it.

    Raised once the call's deadline leaves no time to wait for them.
    """


class UnboundedCostError(BudgetError):
    """Nothing bounds what the attempt could cost, so no hard budget can allow it.

    ``param`` names what has no bound: a vendor's own tool, an unknown field in ``extra``, or the
    ``model`` where it has no price.
    """


class ProviderError(SwitchgearError):
    """One attempt at one provider failed.

    Attributes:
        unsent: The request provably never left, so it can have cost nothing.
    """

    unsent: bool = False


class AuthenticationError(ProviderError):
    """401: the key is missing, wrong or revoked."""


class PermissionDeniedError(ProviderError):
    """403: the key may not do this."""


class ModelNotFoundError(ProviderError):
    """404: the provider has no such model, or not for this key."""


class RateLimitError(ProviderError):
    """429: too many requests or tokens; ``retry_after`` says for how long, where known."""


class QuotaExceededError(RateLimitError):
    """Out of quota or credit. Waiting seconds does not help; another provider does."""


class ContentFilterError(ProviderError):
    """The provider's policy declined the prompt or the answer."""


class ProviderTimeoutError(ProviderError, TimeoutError):
    """408, or no answer within the attempt's own timeout."""


class ProviderConnectionError(ProviderError, ConnectionError):
    """No connection, or one that broke before the first token."""


class ServerError(ProviderError):
    """5xx: the provider failed."""


class OverloadedError(ServerError):
    """503 or 529: the provider is overloaded."""


class MalformedResponseError(ProviderError):
    """The provider answered with something its API does not promise."""


class StreamInterruptedError(ProviderError):
    """A stream broke after its first token had been delivered.

    Attributes:
        completion: What had arrived until then, with usage and cost estimated and flagged so.
    """

    completion: Completion | None = None


class AllProvidersFailedError(SwitchgearError, ExceptionGroup[Exception]):
    """Every candidate failed or was skipped.

    An ``ExceptionGroup``: ``exceptions`` holds the error of each attempt in order, ``trace`` also
    the skips, and ``retry_after`` the seconds after which the first candidate may be worth trying
    again, where one is known.
    """

    def __new__(cls, message: str, exceptions: Sequence[Exception], **_fields: Any) -> Self:
        """Make the group; the fields are ``__init__``'s."""
        return super().__new__(cls, message, exceptions)

    def __init__(self, message: str, exceptions: Sequence[Exception], **fields: Any) -> None:
        super().__init__(message, **fields)
        # What BaseException would rebuild a group from.
        self.args = (message, exceptions)

    def __str__(self) -> str:
        """One line for a log: the message, then each attempt's own."""
        causes = "; ".join(str(exc) for exc in self.exceptions)
        return f"{self.message}: {causes}" if causes else self.message

    def derive(self, excs: Sequence[Exception], /) -> AllProvidersFailedError:  # type: ignore[override]
        """The same failure with another set of causes, as ``split`` and ``except*`` need it."""
        error = AllProvidersFailedError(self.message, excs)
        # Every field, but not the notes: ``split`` copies these itself.
        error.__dict__.update((k, v) for k, v in self.__dict__.items() if k != "__notes__")
        return error
