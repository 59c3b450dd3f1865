"""From the caller's arguments to a call that is ready to run: normalise, then plan."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..clock import Clock
from ..completion import Completion
from ..config import Config
from ..credentials import Secret
from ..errors import InvalidRequestError, SwitchgearError, UnboundedCostError
from ..messages import Image, Message
from ..normalise import normalise_messages
from ..providers.base import Capabilities
from ..request import ChatRequest
from ..structured import normalise_response_format
from ..tools import normalise_stop, normalise_tool_choice, normalise_tools
from .account import Account, NoAccount, Subject
from .call import RoutedCall
from .ceiling import Ceiling
from .costing import Chat, Texts
from .downgrading import Downgrading
from .embedding import EmbeddingRun, embedding_inputs, embeds_or_skip
from .failover import Failover
from .fitness import needs_of, unfit
from .gates import Gates, Visit
from .lifecycle import Lifecycle
from .limits import Need
from .options import (
    EMBEDDING_OPTIONS,
    CallOptions,
    by_provider,
    check_names,
    choice,
    flag,
    headers_by_provider,
    is_sendable,
    labels_of,
    mapping,
    number,
    positive,
    text_option,
    whole,
)
from .plan import Candidate, Skip, Target, candidates_of, find_target, first_choices
from .pools import Pools
from .providers import Providers
from .recorder import Recorder
from .retry import Backoff
from .settle import Settler
from .strategies import SessionAffinity
from .turn import Limits

if TYPE_CHECKING:
    from ..errors import BudgetExceededError
    from .books import Books
    from .cached import CacheTerms

__all__ = ["Preparer"]

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_IMAGE = 1000
_TOKENS_PER_TOOL = 100
_USUAL_ANSWER = 512
"""Rough figures for the rate limits, which are set right by the provider's own count."""

_BYTES_PER_TOKEN = 8
"""More than any tokenizer puts into a token on average, so that a guess never skips in vain."""


class Preparer:
    """What all calls of a router have in common."""

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
        self._config = config
        self._providers = providers
        self._gates = gates
        self._books = books
        self._costing = books.costing
        self._pools = Pools(gates, books.costing, clock, draw)
        self._pools.prepare(config.groups.values())
        self._numbers = itertools.count(1)
        self._lifecycle = lifecycle
        self._settler = Settler(clock)
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
        target = find_target(self._config, self._providers, model)
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
        target = find_target(self._config, self._providers, model)
        request = _request(messages, options)
        self._check_providers(request.extra, "extra")
        self._check_providers(request.extra_headers, "extra_headers")
        choice(options, "cache", ("use", "skip", "refresh"))
        positive(options, "cache_ttl", None)
        labels = labels_of(options)
        recorder = Recorder(target.name, labels, self._clock)
        account = self._books.account(labels, recorder)
        account.stream = stream

        def routed(target: Target, left: frozenset[str] = frozenset()) -> RoutedCall:
            account.group = target.group.name if target.group is not None else None
            limits = self._limits(target, options)
            idle_timeout = positive(options, "idle_timeout", _idle(target, self._config))

            def ready(request: ChatRequest, before: Completion | None = None) -> RoutedCall:
                visit = self._visit(_need(request), stream=stream)
                subject = Chat(self._costing, request)
                plan = self._plan(target, request, subject, options, visit)
                return RoutedCall(
                    target=target,
                    request=request,
                    first_choices=first_choices(target.pools, plan),
                    account=account,
                    limits=limits,
                    failover=self._failover(
                        plan,
                        limits,
                        recorder,
                        target=target.name,
                        visit=visit,
                        account=account if booked else NoAccount(),
                        subject=subject,
                    ),
                    recorder=recorder,
                    settler=self._settler,
                    pools=self._pools,
                    again=ready,
                    cheaper=partial(exchanged, target.name, left) if may_exchange else None,
                    before=before,
                    idle_timeout=idle_timeout,
                )

            return ready(request)

        async def exchanged(
            name: str,
            left: frozenset[str],
            refusals: Sequence[BudgetExceededError],
            *,
            timeout: float,
        ) -> RoutedCall | None:
            exchange = Downgrading(self._books, account.party())
            found = await exchange.cheaper(name, left=left, refusals=refusals, timeout=timeout)
            if found is None:
                return None
            group, why = found
            recorder.skip(name, why)
            return routed(find_target(self._config, self._providers, group), left | {name})

        may_exchange = target.group is not None and self._books.budgets.rules.downgrades
        return routed(target)

    def cache_terms(self, options: CallOptions) -> CacheTerms:
        """What the response cache must know of a call whose options have been checked."""
        from .cached import CacheTerms

        mode: Any = options.get("cache")
        ceiling, fallback = options.get("max_cost"), flag(options, "fallback")
        return CacheTerms(
            mode=mode,
            ttl=positive(options, "cache_ttl", None),
            project_id=options.get("project_id"),
            region=text_option(options, "region"),
            credentials=self._credentials(options),
            first_only=fallback is False,
            together=(
                None if ceiling is None else str(ceiling),
                positive(options, "attempt_timeout", None),
                positive(options, "idle_timeout", None),
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
        target = find_target(self._config, self._providers, model)
        texts = embedding_inputs(inputs, dimensions)
        extra = by_provider(options, "extra")
        extra_headers = headers_by_provider(options)
        self._check_providers(extra, "extra")
        self._check_providers(extra_headers, "extra_headers")
        labels = labels_of(options)
        recorder = Recorder(target.name, labels, self._clock)
        account = self._books.account(labels, recorder)
        account.group = target.group.name if target.group is not None else None
        subject = Texts(self._costing, texts, extra)
        credentials = self._credentials(options)
        plan = [
            embeds_or_skip(item)
            for pool in target.pools
            for item in candidates_of(
                target, pool, self._providers, max_tokens=None, credentials=credentials
            )
        ]
        need = Need(sum(map(len, texts)) // _CHARACTERS_PER_TOKEN, 0)
        visit = self._visit(need, stream=False)
        return EmbeddingRun(
            inputs=texts,
            dimensions=dimensions,
            failover=self._failover(
                plan,
                self._limits(target, options),
                recorder,
                target=target.name,
                visit=visit,
                account=account,
                subject=subject,
            ),
            recorder=recorder,
            extra=extra,
            extra_headers=extra_headers,
        )

    def _visit(self, need: Need, *, stream: bool) -> Visit:
        return Visit(str(next(self._numbers)), need, stream)

    def _failover(
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

    def _limits(self, target: Target, options: CallOptions) -> Limits:
        group, config = target.group, self._config
        group_timeout = group.timeout if group is not None else None
        group_attempt = group.attempt_timeout if group is not None else None
        usual = group_timeout or config.timeout
        return Limits(
            timeout=positive(options, "timeout", None) or usual,
            attempt_timeout=positive(options, "attempt_timeout", None),
            usual_attempt_timeout=group_attempt or config.attempt_timeout,
            num_retries=config.retry.num_retries,
            after_refusal=group is not None and group.fallback_on_content_filter,
            hedging=group.hedging if group is not None else False,
            resume=group is not None and group.resume,
        )

    def _plan(
        self,
        target: Target,
        request: ChatRequest,
        subject: Subject,
        options: CallOptions,
        visit: Visit,
    ) -> list[Candidate | Skip]:
        """The target's candidates in order, those that can't serve this request as skips.

        The members of a pool that can serve it are ordered by the pool's strategy.
        """
        fits = self._fitness(request, subject, options)
        only_first = flag(options, "fallback") is False
        credentials = self._credentials(options)
        plan: list[Candidate | Skip] = []
        chosen = 0

        def conversation(affinity: SessionAffinity) -> bytes:
            scope = options.get("project_id") or ""
            return affinity.conversation(request, options.get("session_id"), scope=scope)

        for pool in target.pools:
            fit: list[Candidate] = []
            entries = candidates_of(
                target,
                pool,
                self._providers,
                max_tokens=request.max_tokens,
                credentials=credentials,
            )
            for item in entries:
                if isinstance(item, Skip):
                    plan.append(item)
                elif (error := fits(item)) is not None:
                    # What is too dear for this call may still serve the same request for another.
                    plan.append(Skip(item.name, error, never=error.param != "max_cost"))
                else:
                    fit.append(item)
            for candidate in self._pools.order(pool, fit, visit, conversation):
                chosen += 1
                if only_first and chosen > 1:
                    off = InvalidRequestError("fallback is off for this call", param="fallback")
                    plan.append(Skip(candidate.name, off))
                else:
                    plan.append(candidate)
        return plan

    def _fitness(
        self, request: ChatRequest, subject: Subject, options: CallOptions
    ) -> Callable[[Candidate], SwitchgearError | None]:
        """What tells why a candidate can't serve this request; ``None`` where it can."""
        needs = needs_of(request)
        region = text_option(options, "region")
        ceiling = Ceiling.of(options.get("max_cost"), subject, self._costing)
        refuse_unpriced = self._config.pricing.unpriced == "refuse"
        prompt_tokens = _fewest_tokens(request)

        def fits(candidate: Candidate) -> SwitchgearError | None:
            error = unfit(
                needs,
                candidate.capabilities,
                unsupported=candidate.unsupported,
                max_tokens=candidate.max_tokens,
                prompt_tokens=prompt_tokens,
            )
            if error is None and region is not None and candidate.entry.region != region:
                where = candidate.entry.region or "no region of its own"
                error = InvalidRequestError(f"it is in {where}, not in {region}", param="region")
            if error is None and ceiling is not None:
                error = ceiling.exceeded(candidate)
            if error is None and refuse_unpriced and self._costing.price(candidate) is None:
                error = UnboundedCostError(
                    'it has no price; add it to the price table, or set pricing.unpriced = "warn"',
                    param="model",
                )
            return error

        return fits

    def _credentials(self, options: CallOptions) -> Mapping[str, Secret]:
        keys = mapping(options, "credentials", "a dict of keys by provider")
        self._check_providers(keys, "credentials")
        secrets: dict[str, Secret] = {}
        for name, key in keys.items():
            secret = Secret(key) if isinstance(key, str) else key
            if not isinstance(secret, Secret) or not is_sendable(secret.reveal()):
                place = f"credentials[{name!r}]"
                message = f"{place}: expected a key as a string, without spaces or line ends"
                raise InvalidRequestError(message, param=place)
            secrets[name] = secret
        return secrets

    def _check_providers(self, named: Mapping[Any, object], param: str) -> None:
        """Refuse a field for a provider that does not exist: it would go nowhere."""
        for name in named:
            if not self._providers.knows(name):
                message = f"{param}: there is no provider {name!r}; there are: "
                message += ", ".join(self._providers.names()) or "none"
                raise InvalidRequestError(message, param=f"{param}[{name!r}]")


def _request(messages: object, options: CallOptions) -> ChatRequest:
    tools = normalise_tools(options.get("tools") or ())
    reasoning: Any = options.get("reasoning_effort")
    if reasoning is not None and not isinstance(reasoning, str):
        message = "reasoning_effort: expected a word such as 'low' or 'high'"
        raise InvalidRequestError(message, param="reasoning_effort")
    return ChatRequest(
        messages=normalise_messages(messages),
        tools=tools,
        tool_choice=normalise_tool_choice(options.get("tool_choice"), tools),
        response_format=normalise_response_format(options.get("response_format")),
        temperature=number(options, "temperature", 0, 2),
        top_p=number(options, "top_p", 0, 1),
        max_tokens=whole(options, "max_tokens", 1),
        stop=normalise_stop(options.get("stop")),
        seed=whole(options, "seed", None),
        reasoning_effort=reasoning,
        parallel_tool_calls=flag(options, "parallel_tool_calls"),
        extra=by_provider(options, "extra"),
        extra_headers=headers_by_provider(options),
    )


def _need(request: ChatRequest) -> Need:
    """What the request is expected to take of rate limits; counted, not tokenized."""
    tokens = sum(map(_rough_tokens, request.messages)) + _TOKENS_PER_TOOL * len(request.tools)
    return Need(tokens, request.max_tokens or _USUAL_ANSWER, request.max_tokens)


def _rough_tokens(message: Message) -> int:
    tokens = len(message.text) // _CHARACTERS_PER_TOKEN + 4
    if not isinstance(message.content, str):
        images = sum(isinstance(part, Image) for part in message.content)
        arguments = sum(len(call.arguments) for call in message.tool_calls)
        tokens += images * _TOKENS_PER_IMAGE + arguments // _CHARACTERS_PER_TOKEN
    return tokens


def _idle(target: Target, config: Config) -> float | None:
    own = target.group.idle_timeout if target.group is not None else None
    return own or config.idle_timeout


def _fewest_tokens(request: ChatRequest) -> int:
    """A lower estimate of the prompt, for windows that it can't possibly fit."""
    characters = sum(len(message.text) for message in request.messages)
    return characters // _BYTES_PER_TOKEN
