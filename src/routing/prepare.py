"""From the caller's arguments to a call that is ready to run."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..clock import Clock
from ..config import Config
from ..errors import InvalidRequestError
from ..providers.base import Capabilities
from .asking import asked
from .call import RoutedCall
from .costing import Texts
from .embedding import EmbeddingRun, embedding_inputs, embeds_or_skip
from .failover import Failover
from .gates import Gates, Visit
from .lifecycle import Lifecycle
from .limits import Need
from .options import (
    EMBEDDING_OPTIONS,
    CallOptions,
    by_provider,
    check_names,
    headers_by_provider,
    labels_of,
)
from .planning import Planning
from .pools import Pools
from .providers import Providers
from .recorder import Recorder
from .retry import Backoff
from .settle import Settler
from .targets import Targets
from .terms import NO_TERMS, terms_of

if TYPE_CHECKING:
    from .account import Account, NoAccount, Subject
    from .books import Books
    from .cached import CacheTerms
    from .plan import Candidate, Skip
    from .terms import Limits

__all__ = ["Preparer"]

_CHARACTERS_PER_TOKEN = 4


class Preparer:
    """What all calls of a router have in common.

    Attributes:
        config: What is configured.
        targets: Whom a call may name.
        pools: In which order the members of a pool are asked.
        books: Where attempts are booked.
        settler: Makes the caller's reply.
    """

    def __init__(
        self,
        config: Config,
        providers: Providers,
        *,
        gates: Gates,
        lifecycle: Lifecycle,
        books: Books,
        clock: Clock,
        draw: random.Random,
    ) -> None:
        self.config = config
        self.targets = Targets(config, providers)
        self.books = books
        self.pools = Pools(gates, books.costing, clock, draw)
        self.pools.prepare(config.groups.values())
        self.settler = Settler(clock)
        self._providers = providers
        self._gates = gates
        self._numbers = itertools.count(1)
        self._lifecycle = lifecycle
        self._clock = clock
        self._draw = draw
        retry = config.retry
        self._backoff = Backoff(retry.backoff_base, retry.backoff_max)

    def capabilities(self, model: str) -> Capabilities:
        """What a single model can do.

        Raises:
            InvalidRequestError: A group, or a model of no provider.
            SwitchgearError: The provider can't be used as it is configured.
        """
        target = self.targets.find(model)
        if target.group is not None:
            message = f"{model!r} is a group: name one model of it as provider/model"
            raise InvalidRequestError(message, param="model")
        (entry,) = target.entries
        provider, _ = self._providers.get(entry.provider)
        return provider.capabilities(entry.model)

    def prepare(
        self,
        model: str,
        messages: object,
        options: CallOptions,
        *,
        stream: bool = False,
        booked: bool = True,
    ) -> RoutedCall:
        """A completion, ready to run.

        Args:
            model: Group or model.
            messages: The conversation.
            options: The call's other arguments.
            stream: The answer is to come as a stream.
            booked: Its attempts go into the books.

        Raises:
            InvalidRequestError: An argument is wrong; ``param`` names the place.
        """
        check_names(options)
        target = self.targets.find(model)
        request = asked(messages, options)
        terms = terms_of(options)
        if request.extra or request.extra_headers or terms is not NO_TERMS:
            self._check_providers(request.extra, "extra")
            self._check_providers(request.extra_headers, "extra_headers")
            self._check_providers(terms.credentials, "credentials")
        labels = labels_of(options)
        recorder = Recorder(target.name, labels, self._clock)
        account = self.books.account(labels, recorder)
        account.stream = stream
        planning = Planning(
            self, target, request, terms, labels=labels, recorder=recorder, account=account
        )
        return planning.call(booked=booked)

    def cache_terms(self, options: CallOptions) -> CacheTerms:
        """What the response cache must know of a call whose options have been checked."""
        from .cached import CacheTerms

        terms, mode, ceiling = terms_of(options), options.get("cache"), options.get("max_cost")
        cache_mode: Any = mode
        return CacheTerms(
            mode=cache_mode,
            ttl=options.get("cache_ttl"),
            project_id=options.get("project_id"),
            region=terms.region,
            credentials=terms.credentials,
            first_only=terms.first_only,
            together=(
                None if ceiling is None else str(ceiling),
                terms.attempt_timeout,
                terms.idle_timeout,
            ),
        )

    def prepare_embedding(
        self, model: str, inputs: object, dimensions: int | None, options: CallOptions
    ) -> EmbeddingRun:
        """An embedding, ready to run.

        Raises:
            InvalidRequestError: An argument is wrong; ``param`` names the place.
        """
        check_names(options, EMBEDDING_OPTIONS)
        target = self.targets.find(model)
        texts = embedding_inputs(inputs, dimensions)
        extra = by_provider(options, "extra")
        extra_headers = headers_by_provider(options)
        terms = terms_of(options)
        self._check_providers(extra, "extra")
        self._check_providers(extra_headers, "extra_headers")
        self._check_providers(terms.credentials, "credentials")
        labels = labels_of(options)
        recorder = Recorder(target.name, labels, self._clock)
        account = self.books.account(labels, recorder)
        account.group = target.group.name if target.group is not None else None
        subject = Texts(self.books.costing, texts, extra)
        entries = self.targets.entries(target, max_tokens=None, credentials=terms.credentials)
        need = Need(sum(map(len, texts)) // _CHARACTERS_PER_TOKEN, 0)
        return EmbeddingRun(
            inputs=texts,
            dimensions=dimensions,
            failover=self.failover(
                [embeds_or_skip(item) for pool in entries for item in pool],
                terms.over(target.usual),
                recorder,
                target=target.name,
                visit=self.visit(need, stream=False),
                account=account,
                subject=subject,
            ),
            recorder=recorder,
            extra=extra,
            extra_headers=extra_headers,
        )

    def visit(self, need: Need, *, stream: bool) -> Visit:
        """Who asks at the gates: a call of its own number."""
        return Visit(str(next(self._numbers)), need, stream)

    def failover(
        self,
        plan: Sequence[Candidate | Skip],
        limits: Limits,
        recorder: Recorder,
        *,
        target: str,
        visit: Visit,
        account: Account | NoAccount,
        subject: Subject,
    ) -> Failover:
        """A call's way along its plan."""
        return Failover(
            plan,
            limits,
            recorder,
            target=target,
            account=account,
            subject=subject,
            gates=self._gates,
            visit=visit,
            backoff=self._backoff,
            lifecycle=self._lifecycle,
            clock=self._clock,
            draw=self._draw,
        )

    def _check_providers(self, named: Mapping[Any, object], param: str) -> None:
        """Refuse a field for a provider that does not exist: it would go nowhere."""
        for name in named:
            if not self._providers.knows(name):
                message = f"{param}: there is no provider {name!r}; there are: "
                message += ", ".join(self._providers.names()) or "none"
                raise InvalidRequestError(message, param=f"{param}[{name!r}]")
