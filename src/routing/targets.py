"""From what a caller names to the candidates that stand behind it.

Both are the same for call after call, so they are made once and kept. What may change between two
calls is looked at each time: whether the provider is still the same one, and what it says that its
model can do.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from ..accounting.request_terms import fields_of_table
from ..config import Candidate as Entry, ModelRef, Pool, ProviderConfig, parse_model_ref
from ..config.providers import unknown_provider
from ..credentials import Secret
from ..errors import ConfigError, InvalidRequestError, SwitchgearError
from .plan import Candidate, Skip, Target, plugin_fault
from .terms import usual_limits

if TYPE_CHECKING:
    from ..config import Config
    from .providers import Providers

__all__ = ["Targets"]

_MOST = 1024
"""Kept at once, since callers may name any model; then all are made anew."""

Entries: TypeAlias = tuple[tuple[Candidate | Skip, ...], ...]


class Targets:
    """The groups and models of a router, each with its candidates.

    Args:
        config: Where groups are described.
        providers: Who serves them.
    """

    def __init__(self, config: Config, providers: Providers) -> None:
        self._config = config
        self._providers = providers
        self._targets: dict[str, Target] = {}
        self._entries: dict[tuple[str, int | None], Entries] = {}

    def find(self, asked: str) -> Target:
        """A group by its name, or a model as ``provider/model`` or ``provider:model``.

        Raises:
            InvalidRequestError: Neither, or a model of no provider; the message names what there
                is.
        """
        if not isinstance(asked, str):
            message = f"model: expected a group or provider/model, found {type(asked).__name__}"
            raise InvalidRequestError(message, param="model")
        target = self._targets.get(asked)
        if target is None:
            target = self._found(asked)
            if len(self._targets) >= _MOST:
                self._targets.clear()
            self._targets[asked] = target
        return target

    def entries(
        self, target: Target, *, max_tokens: int | None, credentials: Mapping[str, Secret]
    ) -> Entries:
        """A target's entries as they are written, pool by pool: each a candidate, or why not.

        Args:
            target: Out of :meth:`find`.
            max_tokens: The longest answer that the call asks for.
            credentials: Keys for this call, by provider.
        """
        if credentials:
            return self._made(target, max_tokens, credentials)
        key = target.name, max_tokens
        known = self._entries.get(key)
        if known is not None and self._holds(known):
            return known
        made = self._made(target, max_tokens, credentials)
        if len(self._entries) >= _MOST:
            self._entries.clear()
        self._entries[key] = made
        return made

    def forget(self) -> None:
        """The prices are others, and so may be whose they are."""
        self._entries.clear()

    def _found(self, asked: str) -> Target:
        group = self._config.groups.get(asked)
        if group is not None:
            return Target(asked, group, group.chain, usual_limits(self._config, group))
        try:
            ref: ModelRef = parse_model_ref(asked)
        except ConfigError:
            names = sorted(self._config.groups)
            close = difflib.get_close_matches(asked, names, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            message = (
                f"there is no group {asked!r}; {hint}groups: {', '.join(names) or 'none'}; "
                "a single model is written provider/model"
            )
            raise InvalidRequestError(message, param="model") from None
        if not self._providers.knows(ref.provider):
            message = unknown_provider(ref.provider, dict.fromkeys(self._providers.names()))
            raise InvalidRequestError(message, param="model")
        alone = Pool((Entry(provider=ref.provider, model=ref.model),))
        return Target(asked, None, (alone,), usual_limits(self._config, None))

    def _holds(self, known: Entries) -> bool:
        """Whether these would come out the same if they were made now."""
        for pool in known:
            for item in pool:
                if item.__class__ is not Candidate:
                    return False  # what was wrong may have passed
                try:
                    provider, _ = self._providers.get(item.entry.provider)
                    if provider is not item.provider:
                        return False
                    can = provider.capabilities(item.entry.model)
                except Exception:  # noqa: BLE001 - a plugin may raise anything; made anew, it shows
                    return False
                if can is not item.capabilities and can != item.capabilities:
                    return False
        return True

    def _made(
        self, target: Target, max_tokens: int | None, credentials: Mapping[str, Secret]
    ) -> Entries:
        return tuple(
            tuple(
                self._candidate(target, entry, max_tokens, credentials) for entry in pool.candidates
            )
            for pool in target.pools
        )

    def _candidate(
        self,
        target: Target,
        entry: Entry,
        max_tokens: int | None,
        credentials: Mapping[str, Secret],
    ) -> Candidate | Skip:
        name = str(entry)
        try:
            provider, settings = self._providers.get(entry.provider)
            capabilities = provider.capabilities(entry.model)
        except SwitchgearError as error:
            return Skip(name, error)
        except Exception as exc:  # noqa: BLE001 - a plugin may raise anything
            return Skip(name, plugin_fault(entry.provider, entry.model, exc))
        longest = max_tokens if max_tokens is not None else entry.max_tokens
        if longest is None and target.group is not None:
            longest = target.group.max_tokens
        return Candidate(
            name=name,
            entry=entry,
            provider=provider,
            priced=self._providers.priced(settings, entry.model),
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
