"""From what was asked for to the candidates that may answer, in order, each with its settings."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..accounting.prices.vendors import Priced
from ..accounting.request_terms import fields_of_table
from ..config import (
    Candidate as Entry,
    GroupConfig,
    ModelRef,
    Pool,
    ProviderConfig,
    parse_model_ref,
)
from ..config.providers import unknown_provider
from ..credentials import Secret
from ..errors import ConfigError, InvalidRequestError, PluginError, SwitchgearError
from ..providers.base import Capabilities, Provider, Unsupported
from ..providers.scrub import scrub
from .strategies import PoolContext

if TYPE_CHECKING:
    from ..config import Config
    from .providers import Providers

__all__ = [
    "Candidate",
    "Place",
    "Skip",
    "Target",
    "candidates_of",
    "find_target",
    "first_choices",
    "plugin_fault",
]


class Place(msgspec.Struct, frozen=True):
    """Where in its pool a candidate stands, so that its answer can be remembered.

    Attributes:
        context: With which the pool was ordered.
        member: The candidate's name in it.
    """

    context: PoolContext
    member: str


class Target(msgspec.Struct, frozen=True):
    """What a call asked for: a group, or one model.

    Attributes:
        name: As the caller wrote it.
        group: The group; ``None`` where a model was named.
        pools: Its chain.
    """

    name: str
    group: GroupConfig | None
    pools: tuple[Pool, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The chain, pools laid flat."""
        return tuple(entry for pool in self.pools for entry in pool.candidates)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One model that may answer this call.

    Attributes:
        name: ``provider/model``, as traces show it.
        entry: Its place in the configuration.
        provider: The adapter.
        priced: Under which its prices are looked up: the provider's plugin, or its vendor, and
            the model's name there.
        unsupported: What becomes of parts of the request that it can't do.
        capabilities: What the model can do.
        max_tokens: The longest answer: the call's, else the entry's, else the group's.
        usual_headers: What the provider's own table has its SDK send with everything.
        usual_fields: What that table adds to every request's body.
        api_key: The provider's own key, where the configuration has it.
        credential: A key for this call only, in its place.
        place: Where in its pool it stands; ``None`` where the pool is not ordered anew.
    """

    name: str
    entry: Entry
    provider: Provider
    priced: Priced
    unsupported: Unsupported
    capabilities: Capabilities
    max_tokens: int | None
    usual_headers: Mapping[str, str] = {}
    usual_fields: Mapping[str, Any] = {}
    api_key: Secret | None = None
    credential: Secret | None = None
    place: Place | None = None

    def scrub(self, error: SwitchgearError) -> None:
        """Take its keys out of an error and of whatever caused it."""
        scrub(error, self.credential, self.api_key)


class Skip(msgspec.Struct, frozen=True):
    """An entry that can't be a candidate, and why.

    Attributes:
        name: ``provider/model``.
        error: Why.
        never: It can't serve this request whoever asks: what the model can't do, not what is
            wrong with its provider, and not what this call wants to pay.
    """

    name: str
    error: SwitchgearError
    never: bool = False


def first_choices(pools: Sequence[Pool], plan: Sequence[Candidate | Skip]) -> tuple[Entry, ...]:
    """The entries of the first pool of which any could serve the request at all.

    Args:
        pools: A chain.
        plan: What became of each of its entries, pool by pool.
    """
    start = 0
    for pool in pools:
        end = start + len(pool.candidates)
        if not all(isinstance(item, Skip) and item.never for item in plan[start:end]):
            return pool.candidates
        start = end
    return ()


def find_target(config: Config, providers: Providers, asked: str) -> Target:
    """A group by its name, or a model as ``provider/model`` or ``provider:model``.

    Raises:
        InvalidRequestError: Neither, or a model of no provider; the message names what there is.
    """
    if not isinstance(asked, str):
        message = f"model: expected a group or provider/model, found {type(asked).__name__}"
        raise InvalidRequestError(message, param="model")
    group = config.groups.get(asked)
    if group is not None:
        return Target(asked, group, group.chain)
    try:
        ref: ModelRef = parse_model_ref(asked)
    except ConfigError:
        names = sorted(config.groups)
        close = difflib.get_close_matches(asked, names, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        message = (
            f"there is no group {asked!r}; {hint}groups: {', '.join(names) or 'none'}; "
            "a single model is written provider/model"
        )
        raise InvalidRequestError(message, param="model") from None
    if not providers.knows(ref.provider):
        message = unknown_provider(ref.provider, dict.fromkeys(providers.names()))
        raise InvalidRequestError(message, param="model")
    alone = Pool((Entry(provider=ref.provider, model=ref.model),))
    return Target(asked, None, (alone,))


def candidates_of(
    target: Target,
    pool: Pool,
    providers: Providers,
    *,
    max_tokens: int | None,
    credentials: Mapping[str, Secret],
) -> Iterator[Candidate | Skip]:
    """A pool's entries as they are written, each with its provider, or why it has none."""
    for entry in pool.candidates:
        name = str(entry)
        try:
            provider, settings = providers.get(entry.provider)
            capabilities = provider.capabilities(entry.model)
        except SwitchgearError as error:
            yield Skip(name, error)
            continue
        except Exception as exc:  # noqa: BLE001 - a plugin may raise anything
            yield Skip(name, plugin_fault(entry.provider, entry.model, exc))
            continue
        longest = max_tokens if max_tokens is not None else entry.max_tokens
        if longest is None and target.group is not None:
            longest = target.group.max_tokens
        yield Candidate(
            name=name,
            entry=entry,
            provider=provider,
            priced=providers.priced(settings, entry.model),
            unsupported=settings.unsupported,
            capabilities=capabilities,
            max_tokens=longest,
            usual_headers=_headers(settings),
            usual_fields=fields_of_table(settings),
            api_key=settings.api_key,
            credential=credentials.get(entry.provider),
        )


def _headers(settings: ProviderConfig) -> Mapping[str, str]:
    headers = settings.options.get("headers")
    return headers if isinstance(headers, Mapping) else {}


def plugin_fault(provider: str, model: str | None, exc: BaseException) -> PluginError:
    """A provider let an exception out that is not one of ours, which becomes the cause."""
    message = f"{provider}: its plugin raised {type(exc).__name__}: {exc}"
    error = PluginError(message, provider=provider, model=model)
    error.__cause__ = exc
    scrub(error)
    return error
