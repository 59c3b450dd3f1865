"""From a request to its plan: who may answer it, in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..completion import Completion
from ..errors import InvalidRequestError, SwitchgearError, UnboundedCostError
from .account import Account, NoAccount
from .asking import measured
from .call import RoutedCall
from .ceiling import Ceiling
from .costing import Chat
from .downgrading import Downgrading
from .fitness import needs_of, unfit
from .plan import Candidate, Skip, Target
from .terms import NO_TERMS, Terms

if TYPE_CHECKING:
    from ..errors import BudgetExceededError
    from ..request import ChatRequest
    from .gates import Visit
    from .prepare import Preparer
    from .recorder import Recorder
    from .strategies import SessionAffinity

__all__ = ["Planning"]


class Planning:
    """Plans a call, and once more where it goes on: with the rest of a stream, in another group.

    Args:
        preparer: What all calls have in common.
        target: Whom the call asks.
        request: What it asks.
        terms: What else it says.
        labels: Whom it is for.
        recorder: Its record.
        account: Where its attempts are booked.
        left: The groups that it has left for cheaper ones.
    """

    __slots__ = (
        "_account",
        "_booked",
        "_labels",
        "_left",
        "_limits",
        "_preparer",
        "_recorder",
        "_request",
        "_target",
        "_terms",
    )

    def __init__(
        self,
        preparer: Preparer,
        target: Target,
        request: ChatRequest,
        terms: Terms,
        *,
        labels: dict[str, str],
        recorder: Recorder,
        account: Account,
        left: frozenset[str] = frozenset(),
    ) -> None:
        self._preparer = preparer
        self._target = target
        self._request = request
        self._terms = terms
        self._labels = labels
        self._recorder = recorder
        self._account = account
        self._left = left
        self._booked = True
        self._limits = target.usual if terms is NO_TERMS else terms.over(target.usual)
        account.group = target.group.name if target.group is not None else None

    def call(self, *, booked: bool = True) -> RoutedCall:
        """The call, ready to run; ``booked`` puts its attempts into the books."""
        self._booked = booked
        return self._call(self._request, None)

    async def exchanged(
        self, refusals: Sequence[BudgetExceededError], *, timeout: float
    ) -> RoutedCall | None:
        """The call in the group that a budget puts in the place of its own; ``None`` for none.

        Args:
            refusals: Why hard budgets have too little left for all of the group's models.
            timeout: Seconds that the call has left.

        Raises:
            LedgerError: The ledger can't be opened.
        """
        preparer, name = self._preparer, self._target.name
        exchange = Downgrading(preparer.books, self._account.party())
        found = await exchange.cheaper(name, left=self._left, refusals=refusals, timeout=timeout)
        if found is None:
            return None
        group, why = found
        self._recorder.skip(name, why)
        cheaper = Planning(
            preparer,
            preparer.targets.find(group),
            self._request,
            self._terms,
            labels=self._labels,
            recorder=self._recorder,
            account=self._account,
            left=self._left | {name},
        )
        return cheaper.call(booked=self._booked)

    def _call(self, request: ChatRequest, before: Completion | None) -> RoutedCall:
        preparer, target, account = self._preparer, self._target, self._account
        characters, need = measured(request)
        visit = preparer.visit(need, stream=account.stream)
        subject = Chat(preparer.books.costing, request)
        plan = self._plan(request, subject, visit, characters)
        may_exchange = target.group is not None and preparer.books.budgets.rules.downgrades
        return RoutedCall(
            target=target,
            request=request,
            plan=plan,
            account=account,
            limits=self._limits,
            failover=preparer.failover(
                plan,
                self._limits,
                self._recorder,
                target=target.name,
                visit=visit,
                account=account if self._booked else NoAccount(),
                subject=subject,
            ),
            recorder=self._recorder,
            settler=preparer.settler,
            pools=preparer.pools,
            again=self._call,
            cheaper=self.exchanged if may_exchange else None,
            before=before,
        )

    def _plan(
        self, request: ChatRequest, subject: Chat, visit: Visit, characters: int
    ) -> list[Candidate | Skip]:
        """The target's candidates in order, those that can't serve this request as skips.

        The members of a pool that can serve it are ordered by the pool's strategy.
        """
        preparer, target, terms = self._preparer, self._target, self._terms
        entries = preparer.targets.entries(
            target, max_tokens=request.max_tokens, credentials=terms.credentials
        )
        needs = needs_of(request)
        refused = None if terms is NO_TERMS else self._refused_by_terms(subject)
        priced_only = preparer.config.pricing.unpriced == "refuse"
        price = preparer.books.costing.price
        plan: list[Candidate | Skip] = []
        for pool, items in zip(target.pools, entries, strict=True):
            fit: list[Candidate] = []
            for item in items:
                if isinstance(item, Skip):
                    plan.append(item)
                    continue
                error = unfit(needs, item, characters=characters)
                if error is None and refused is not None:
                    error = refused(item)
                if error is None and priced_only and price(item) is None:
                    error = _unpriced()
                if error is None:
                    fit.append(item)
                else:
                    # What is too dear for this call may still serve the same request for another.
                    plan.append(Skip(item.name, error, never=error.param != "max_cost"))
            if len(fit) > 1:
                plan += preparer.pools.order(pool, fit, visit, self._conversation)
            else:
                plan += fit
        return _without_fallback(plan) if terms.first_only else plan

    def _refused_by_terms(self, subject: Chat) -> Callable[[Candidate], SwitchgearError | None]:
        """What tells why a candidate is none for the call's terms; ``None`` where it is one.

        Raises:
            InvalidRequestError: Its ``max_cost`` is not an amount of dollars.
        """
        region = self._terms.region
        ceiling = Ceiling.of(self._terms.max_cost, subject, self._preparer.books.costing)

        def refused(candidate: Candidate) -> SwitchgearError | None:
            if region is not None and candidate.entry.region != region:
                where = candidate.entry.region or "no region of its own"
                return InvalidRequestError(f"it is in {where}, not in {region}", param="region")
            return ceiling.exceeded(candidate) if ceiling is not None else None

        return refused

    def _conversation(self, affinity: SessionAffinity) -> bytes:
        """Which conversation the request goes on with."""
        scope = self._labels.get("project_id", "")
        return affinity.conversation(self._request, self._labels.get("session_id"), scope=scope)


def _unpriced() -> SwitchgearError:
    return UnboundedCostError(
        'it has no price; add it to the price table, or set pricing.unpriced = "warn"',
        param="model",
    )


def _without_fallback(plan: list[Candidate | Skip]) -> list[Candidate | Skip]:
    """A plan whose first candidate is its only one."""
    chosen = False
    alone: list[Candidate | Skip] = []
    for item in plan:
        if isinstance(item, Candidate) and chosen:
            off = InvalidRequestError("fallback is off for this call", param="fallback")
            alone.append(Skip(item.name, off))
        else:
            chosen = chosen or isinstance(item, Candidate)
            alone.append(item)
    return alone
