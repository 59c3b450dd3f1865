"""What a call goes along: whom it asked for, who may answer, and who may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..accounting.prices.vendors import Priced
from ..config import Candidate as Entry, GroupConfig, Pool
from ..credentials import Secret
from ..errors import PluginError, SwitchgearError
from ..providers.base import Capabilities, Provider, Unsupported
from ..providers.scrub import scrub
from .strategies import PoolContext
from .terms import Limits

__all__ = [
    "Candidate",
    "Place",
    "Skip",
    "Target",
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
        usual: What bounds a call to it that sets no bounds itself.
    """

    name: str
    group: GroupConfig | None
    pools: tuple[Pool, ...]
    usual: Limits

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


def plugin_fault(provider: str, model: str | None, exc: BaseException) -> PluginError:
    """A provider let an exception out that is not one of ours, which becomes the cause."""
    message = f"{provider}: its plugin raised {type(exc).__name__}: {exc}"
    error = PluginError(message, provider=provider, model=model)
    error.__cause__ = exc
    scrub(error)
    return error
