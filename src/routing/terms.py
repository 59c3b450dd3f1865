"""What bounds one call and where it may go: the caller's word over the configuration's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ..credentials import Secret
from ..errors import InvalidRequestError
from .options import CallOptions, choice, flag, is_sendable, mapping, positive, text_option

if TYPE_CHECKING:
    from ..config import Config, GroupConfig

__all__ = ["NO_TERMS", "Limits", "Terms", "credentials_of", "terms_of", "usual_limits"]


class Limits(msgspec.Struct, frozen=True):
    """What bounds one call.

    Attributes:
        timeout: Seconds for the whole call.
        attempt_timeout: Seconds for one attempt, as the call says; ``None`` where it says nothing.
        usual_attempt_timeout: The same as group or configuration say, for entries that set none.
        num_retries: Repeats on a candidate, counted over the whole call.
        after_refusal: A declined request goes on to the next candidate.
        hedging: Whether a slow attempt gets another one beside it; seconds, or ``True`` for the
            live 95th percentile of the candidate's waits.
        resume: A stream that broke is gone on with.
        idle_timeout: Longest silence inside a stream, seconds; ``None`` for none but the deadline.
    """

    timeout: float
    attempt_timeout: float | None
    usual_attempt_timeout: float | None
    num_retries: int
    after_refusal: bool
    hedging: bool | float = False
    resume: bool = False
    idle_timeout: float | None = None


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a call says beside its request and its labels. ``None``: it says nothing of it.

    Attributes:
        timeout: As in :class:`Limits`, and so the next two.
        attempt_timeout: As there.
        idle_timeout: As there.
        region: Only candidates whose entry names it.
        max_cost: What it may cost at most, as it was written.
        first_only: Only the first candidate is asked.
        credentials: Keys for this call, by provider.
    """

    timeout: float | None = None
    attempt_timeout: float | None = None
    idle_timeout: float | None = None
    region: str | None = None
    max_cost: Any = None
    first_only: bool = False
    credentials: Mapping[str, Secret] = {}

    def over(self, usual: Limits) -> Limits:
        """The limits of a call with these terms."""
        if self.timeout is None and self.attempt_timeout is None and self.idle_timeout is None:
            return usual
        return msgspec.structs.replace(
            usual,
            timeout=self.timeout or usual.timeout,
            attempt_timeout=self.attempt_timeout,
            idle_timeout=self.idle_timeout or usual.idle_timeout,
        )


NO_TERMS = Terms()
_WORDS = frozenset(
    {
        "timeout",
        "attempt_timeout",
        "idle_timeout",
        "region",
        "max_cost",
        "fallback",
        "credentials",
        "cache",
        "cache_ttl",
    }
)


def terms_of(options: CallOptions) -> Terms:
    """A call's terms, checked. Most calls have none.

    Raises:
        InvalidRequestError: One is wrong; ``param`` names it.
    """
    if _WORDS.isdisjoint(options):
        return NO_TERMS
    choice(options, "cache", ("use", "skip", "refresh"))
    positive(options, "cache_ttl", None)
    return Terms(
        timeout=positive(options, "timeout", None),
        attempt_timeout=positive(options, "attempt_timeout", None),
        idle_timeout=positive(options, "idle_timeout", None),
        region=text_option(options, "region"),
        max_cost=options.get("max_cost"),
        first_only=flag(options, "fallback") is False,
        credentials=credentials_of(options),
    )


def credentials_of(options: CallOptions) -> Mapping[str, Secret]:
    """The keys that a call brings, by provider.

    Raises:
        InvalidRequestError: One is none; it is not shown.
    """
    secrets: dict[str, Secret] = {}
    for name, key in mapping(options, "credentials", "a dict of keys by provider").items():
        secret = Secret(key) if isinstance(key, str) else key
        if not isinstance(secret, Secret) or not is_sendable(secret.reveal()):
            place = f"credentials[{name!r}]"
            message = f"{place}: expected a key as a string, without spaces or line ends"
            raise InvalidRequestError(message, param=place)
        secrets[name] = secret
    return secrets


def usual_limits(config: Config, group: GroupConfig | None) -> Limits:
    """What bounds a call that sets no bounds itself."""
    retries = config.retry.num_retries
    if group is None:
        return Limits(
            config.timeout,
            None,
            config.attempt_timeout,
            retries,
            after_refusal=False,
            idle_timeout=config.idle_timeout,
        )
    return Limits(
        group.timeout or config.timeout,
        None,
        group.attempt_timeout or config.attempt_timeout,
        retries,
        after_refusal=group.fallback_on_content_filter,
        hedging=group.hedging,
        resume=group.resume,
        idle_timeout=group.idle_timeout or config.idle_timeout,
    )
