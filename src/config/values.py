"""The plain values that a configuration is made of. Everything here is frozen."""

from __future__ import annotations

from typing import Any, Literal, NoReturn, TypeAlias

import msgspec

from ..credentials import Secret
from ..errors import ConfigError
from .hiding import MASK, without_password

__all__ = [
    "Candidate",
    "FrozenDict",
    "GroupConfig",
    "ModelRef",
    "Pool",
    "ProviderConfig",
    "RetryConfig",
    "Strategy",
    "Unsupported",
    "parse_model_ref",
]

Strategy: TypeAlias = str
"""In which order the candidates of a pool are tried: ``priority`` (as written), ``latency``,
``cost``, ``least-busy``, ``weighted``, ``usage``, or one that a plugin brings."""

Unsupported: TypeAlias = Literal["raise", "warn"] | None
"""What becomes of something a provider can't do; ``None``: warn for sampling knobs, else raise."""


class FrozenDict(dict[str, Any]):
    """A dict that can't be changed, and whose ``repr`` hides what is secret in it.

    That are the values that are credentials, and passwords of URLs in all others.

    It is a real dict so that it goes into a JSON body as it is; lists inside it are tuples.

    Attributes:
        masked: The keys whose values are credentials.
    """

    __slots__ = ("masked",)

    masked: frozenset[str]

    def __init__(
        self, data: dict[str, Any] | None = None, masked: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(data or {})
        object.__setattr__(self, "masked", masked)

    def __repr__(self) -> str:
        return repr(
            {key: MASK if key in self.masked else _hidden(value) for key, value in self.items()}
        )

    def __hash__(self) -> int:  # type: ignore[override]
        # Equal dicts have equal keys; the values may hold what can't be hashed.
        return hash(frozenset(self))

    def redacted(self) -> dict[str, Any]:
        """An ordinary dict of the same, secrets replaced by ``***``."""
        return {key: MASK if key in self.masked else _plain(value) for key, value in self.items()}

    def copy(self) -> FrozenDict:
        """Itself: there is no need for another one, and a plain copy would show its secrets."""
        return self

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError("a configuration is not changed in place: load another one")

    __setattr__ = _refuse
    __delattr__ = _refuse
    __setitem__ = _refuse
    __delitem__ = _refuse
    __ior__ = _refuse
    clear = _refuse
    pop = _refuse
    popitem = _refuse
    setdefault = _refuse
    update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        if self.masked:
            raise TypeError("a configuration with secrets is not pickled: pass its file's name")
        return FrozenDict, (dict(self),)


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return without_password(value)
    # A dict inside is one of these, and does it itself.
    return tuple(map(_hidden, value)) if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return without_password(value)
    if isinstance(value, FrozenDict):
        return value.redacted()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return value


EMPTY = FrozenDict()


class ModelRef(msgspec.Struct, frozen=True):
    """A model of a certain provider. ``str(ref)`` is ``provider/model``."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


def parse_model_ref(text: str) -> ModelRef:
    """Read ``provider/model`` or ``provider:model``.

    The provider ends at the first slash or colon; everything after it is the model's name, in which
    both may occur: ``ollama/llama3:8b``, ``embedded//models/x.gguf``,
    ``openrouter/meta-llama/llama-3``.

    Raises:
        ConfigError: One of the two parts is missing.
    """
    ends = [at for at in (text.find("/"), text.find(":")) if at >= 0]
    cut = min(ends, default=-1)
    provider, model = text[:cut].strip(), text[cut + 1 :].strip()
    if cut < 0 or not provider or not model:
        raise ConfigError(
            f"{shorten(text)} is not a model: write provider/model, such as "
            '"anthropic/claude-opus-5-5" or "ollama/llama3:8b"',
            param="model",
        )
    return ModelRef(provider, model)


def shorten(text: str, limit: int = 60) -> str:
    """A text in quotes for a message, cut where it is long."""
    return repr(text if len(text) <= limit else f"{text[: limit - 3]}...")


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a chain: a model and how to call it.

    ``None`` everywhere means: not set here, the group's own setting holds. A candidate that came
    in by another group's name has that group's ``max_tokens`` and ``attempt_timeout`` filled in.

    Attributes:
        provider: The provider's name in the configuration.
        model: The model as the provider calls it.
        weight: Its share in a pool with the strategy ``weighted``.
        region: Where it runs, for calls that ask for a region.
        max_tokens: The longest answer, in tokens, where the call sets none.
        timeout: Seconds that a call may spend on this candidate, repeats included.
        attempt_timeout: Seconds for one attempt.
        extra: Provider-specific fields, merged into the body as they are.
        extra_headers: Additional request headers.
    """

    provider: str
    model: str
    weight: float = 1.0
    region: str | None = None
    max_tokens: int | None = None
    timeout: float | None = None
    attempt_timeout: float | None = None
    extra: FrozenDict = EMPTY
    extra_headers: FrozenDict = EMPTY

    @property
    def ref(self) -> ModelRef:
        """The model it stands for."""
        return ModelRef(self.provider, self.model)

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


class Pool(msgspec.Struct, frozen=True):
    """Candidates that stand side by side in a chain; an ordinary entry is a pool of one.

    Attributes:
        candidates: At least one, in the order they are written.
        strategy: How to choose among them.
        group: The group that they were written in (another group's name in a chain stands for its
            whole chain).
    """

    candidates: tuple[Candidate, ...]
    strategy: Strategy = "priority"
    group: str = ""


class GroupConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[groups.NAME]`` table, the names of other groups in its chain replaced by their chains.

    Of such another group its entries count, with its ``max_tokens``, ``attempt_timeout`` and
    ``strategy``; the rest (``timeout``, ``idle_timeout``, ``fallback_on_content_filter``) is that
    of the group that a call names.

    Attributes:
        name: NAME.
        use: What the group is for, for people.
        chain: What to try, in order.
        timeout: Seconds for a whole call; ``None`` is the configuration's own.
        attempt_timeout: Seconds for one attempt; ``None`` is the configuration's own.
        idle_timeout: Longest silence inside a stream, seconds; ``None`` is the configuration's own.
        max_tokens: The longest answer where neither the call nor the entry sets one.
        strategy: How the group's own pools are ordered.
        local_only: Nothing leaves the machine. Checked at load.
        fallback_on_content_filter: A refused request goes on to the next candidate.
        hedging: Whether a slow attempt gets one beside it at the next candidate: after the live
            95th percentile of its waits (``true``), or after so many seconds.
        resume: A stream that breaks after its first token is gone on with: a candidate is asked to
            continue what had arrived. Off, it ends with its error.
    """

    name: str
    use: str = ""
    chain: tuple[Pool, ...] = ()
    timeout: float | None = None
    attempt_timeout: float | None = None
    idle_timeout: float | None = None
    max_tokens: int | None = None
    strategy: Strategy = "priority"
    local_only: bool = False
    fallback_on_content_filter: bool = False
    hedging: bool | float = False
    resume: bool = False

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every candidate, in the order of the chain, pools laid flat."""
        return tuple(candidate for pool in self.chain for candidate in pool.candidates)


class ProviderConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[providers.NAME]`` table, secrets resolved.

    Attributes:
        name: NAME.
        plugin: The plugin that serves it.
        api_key: Its credential; ``None`` leaves it to the SDK's own environment variable.
        key_source: Where the credential came from (``env:NAME``, ``file:PATH``, ``literal``).
        base_url: Its address; ``None`` is the vendor's.
        unsupported: What becomes of something it can't do; the configuration's own is filled in.
        backend: Who serves it: the plugin itself (``native``), or ``litellm`` in its place; the
            configuration's own is filled in.
        local: Nothing that is sent to it leaves the machine, or the user's own network where the
            table says ``local = true``.
        options: The rest of the table, for the plugin to check and to use.
        models: Capabilities by model that override what the plugin declares.
        missing: Credentials that could not be found, one message each. The provider can't be used;
            ``Config.provider`` says so to whoever asks for it.
        implied: It has no table: a chain named a built-in provider.
    """

    name: str
    plugin: str
    api_key: Secret | None = None
    key_source: str | None = None
    base_url: str | None = None
    unsupported: Unsupported = None
    backend: Literal["native", "litellm"] = "native"
    local: bool = False
    options: FrozenDict = EMPTY
    models: FrozenDict = EMPTY
    missing: tuple[str, ...] = ()
    implied: bool = False


class RetryConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The ``[retry]`` table.

    A back-off waits a random time between nothing and ``base * 2 ** repeat`` seconds, at most
    ``maximum`` ("full jitter").

    Attributes:
        num_retries: Repeats that one call may make on its candidates, beyond the first attempts.
        backoff_base: Seconds; the bound of the first back-off.
        backoff_max: Seconds; the bound of every back-off.
    """

    num_retries: int = 3
    backoff_base: float = 0.5
    backoff_max: float = 30.0
