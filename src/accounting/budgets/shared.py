"""Hard budgets that a fleet's shared state decides about.

A claim is one script and one round trip, whatever the number of budgets that have to agree; what it
grants is written into the ledger's database and then used. The database is asked how things stand
only where the shared state does not know, because nobody has told it yet, or it lost its memory, or
what it remembers may be too old; see ``fencing.py`` for why that can not let anything pass twice.

Nothing here is exact by luck of timing: every message says all that this process holds of a counter
and carries a number, so a message that is lost, late or doubled leaves the shared state believing
in more leases than there are, never in fewer.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ...clock import Clock
from ...errors import LedgerError
from ...state.link import Link, StateUnavailableError
from ..ledger.store import Claim, Grant, Need, Refused, Standing
from .authority import Books, Wanted, give, granted_of
from .slices import Slices

__all__ = ["SharedAuthority"]

_log = logging.getLogger("switchgear.budgets")

_KEEP = 86_400
"""Seconds for which the shared state remembers a counter that nobody asks for."""
_PATIENCE = 1.0
"""Seconds after which a refusal is believed only once the database has confirmed it."""
_TRIES = 10
"""Times that a claim is made because what it relied on was too old; then the database decides."""
_CALM = 3
_PAUSE = 0.02
"""Seconds between two of the later ones, and until another replica has asked the database."""
_TOLD_EVERY = 0.1
"""Seconds between two messages about what was booked."""
_REST = 5.0
"""Seconds until a message that was refused is tried again."""
_MOST_TOLD = 200
"""Counters in one message."""
_MOST_KNOWN = 10_000


class _Answer(NamedTuple):
    """What the shared state says of a counter, as ``budget.lua`` puts it."""

    token: int
    ask: int
    bound: int
    leased: int
    closed: int
    wanted: int
    extra: int


_ASK, _WAIT = 1, 2
_WIDTH = len(_Answer._fields)


class _Reply(NamedTuple):
    """What it says to a message."""

    answers: dict[str, _Answer]
    decisions: list[tuple[int, int]]

    def which(self, ask: int) -> list[str]:
        return [key for key, answer in self.answers.items() if answer.ask == ask]


class _Counter:
    """What is known here of a counter: the token last heard of, the most that was booked."""

    __slots__ = ("bound", "token")

    def __init__(self) -> None:
        self.token = 0
        self.bound = 0


class SharedAuthority:
    """The fleet's shared state decides.

    Args:
        ledger: Where leases and spending are durable.
        slices: What this process holds.
        link: To the shared state.
        clock: Time.
        on_wanted: Told where others need what is free in the slices.
    """

    def __init__(
        self, ledger: Books, slices: Slices, link: Link, clock: Clock, on_wanted: Wanted
    ) -> None:
        self._ledger = ledger
        self._slices = slices
        self._link = link
        self._clock = clock
        self._on_wanted = on_wanted
        self._tag = ""
        self._numbers = 0
        self._counters: dict[str, _Counter] = {}
        self._room = _MOST_KNOWN
        # One message at a time: each says all that is held at that moment.
        self._turn = asyncio.Lock()
        # Counters of which the shared state may believe that more is held than is, with the number
        # of the last message that did not say so yet.
        self._untold: dict[str, int] = {}
        # Still on leases in the database: what is on its way out of them, and amounts of which
        # nobody knows whether they are.
        self._leaving: Counter[str] = Counter()
        self._uncertain: Counter[str] = Counter()
        self._telling: asyncio.Task[None] | None = None
        self._rests_until = 0.0
        self._warned = False
        self._closed = False

    @property
    def owes(self) -> bool:
        """The shared state believes in more than there is."""
        return bool(self._untold)

    # --- what budgets ask -------------------------------------------------------------------------

    async def claim(
        self, claims: Sequence[Claim], ahead: Sequence[Need], back: Mapping[str, int], now: int
    ) -> list[Grant | Refused]:
        """Lease what is claimed, each claim all or nothing.

        Raises:
            LedgerError: The shared state or the database can't be asked: hard budgets fail closed.
        """
        keys = list(dict.fromkeys(need.key for claim in claims for need in claim.needs))
        worthless: dict[str, int] = {}
        async with self._turn:
            if back:
                await self._shorten(back)
            for attempt in range(_TRIES):
                if attempt >= _CALM:  # others are at it as well: not all at the same time
                    await self._clock.sleep(random.uniform(0, _PAUSE))  # noqa: S311
                reply = await self._message(keys, claims, ahead, worthless)
                worthless = {}
                if ask := reply.which(_ASK):
                    await self._seed(ask)
                elif reply.which(_WAIT):
                    await self._clock.sleep(_PAUSE)
                elif reply.decisions:
                    outcomes = _outcomes(claims, keys, reply)
                    worthless = await self._written(claims, outcomes, reply)
                    if not worthless:
                        return outcomes
            return await self._leave_it_to_the_database(claims, now)

    async def _written(
        self, claims: Sequence[Claim], outcomes: Sequence[Grant | Refused], reply: _Reply
    ) -> dict[str, int]:
        """Write down what was granted; else the tokens that it rested on and that are too old."""
        extra = {key: answer.extra for key, answer in reply.answers.items()}
        granted = granted_of(claims, outcomes, extra)
        if not granted:
            return {}
        holder, limits = self._ledger.holder, _limits(claims)
        tokens = {key: reply.answers[key].token for key in granted}
        try:
            old = await self._ledger.do(
                lambda store: store.lengthen(holder, tokens, granted, limits)
            )
        except BaseException:
            self._doubt(granted)
            raise
        if old:
            self._owe(granted)
            return {key: tokens[key] for key in old}
        for key, amount in granted.items():
            self._slices.grant(key, amount)
        return {}

    async def _leave_it_to_the_database(
        self, claims: Sequence[Claim], now: int
    ) -> list[Grant | Refused]:
        if not self._warned:
            self._warned = True
            _log.warning(
                "hard budgets: what the shared state knows is out of date time and again, so the "
                "ledger decides some claims itself. Do all processes on this ledger name the same "
                "[state], and have they the same [[budgets]]?"
            )
        holder = self._ledger.holder
        try:
            outcomes = await self._ledger.do(lambda store: store.claim(holder, claims, now))
        except BaseException:
            self._doubt(granted_of(claims, [Grant()] * len(claims), {}))
            raise
        give(self._slices, claims, outcomes, {})
        return outcomes

    async def give_back(self, amounts: Mapping[str, int]) -> None:
        """What was taken out of the slices is free for all again."""
        await self._shorten(amounts)
        await self.settle()

    async def _shorten(self, amounts: Mapping[str, int]) -> None:
        # In the database first: till then the shared state must not lease it to others.
        holder = self._ledger.holder
        self._leaving.update(amounts)
        self._slices.returned(amounts)
        try:
            await self._ledger.do(lambda store: store.give_back(holder, amounts))
        except BaseException:
            self._doubt(amounts)
            raise
        finally:
            self._leaving -= Counter(amounts)
        self._owe(amounts)

    async def trim(self) -> None:
        """Make leases as long as the slices."""
        async with self._turn:
            holder, held, uncertain = self._ledger.holder, self._slices.leased(), self._uncertain
            self._uncertain = Counter()
            try:
                await self._ledger.do(lambda store: store.trim(holder, held))
            except BaseException:
                self._uncertain += uncertain
                raise
        self._owe(uncertain)
        await self.settle()

    def _doubt(self, amounts: Mapping[str, int]) -> None:
        """Nobody knows whether the database has it on a lease: until that is trimmed, it has."""
        self._uncertain.update(amounts)
        self._owe(amounts)

    # --- telling the shared state what it believes wrongly ----------------------------------------

    def booked(self, standings: Iterable[Standing]) -> None:
        """Tell of it soon: until then what is spent is taken for leased."""
        for standing in standings:
            counter = self._counters.get(standing.key)
            if counter is not None:
                counter.bound = max(counter.bound, standing.bound)
                self._owe([standing.key])
        if self._untold and self._telling is None and not self._closed:
            self._telling = asyncio.get_running_loop().create_task(self._tell_later())

    def _owe(self, keys: Iterable[str]) -> None:
        self._untold.update(dict.fromkeys(keys, self._numbers))

    async def _tell_later(self) -> None:
        try:
            await self._clock.sleep(_TOLD_EVERY)
            await self.settle()
        finally:
            self._telling = None

    async def settle(self) -> None:
        """Tell it now, if it can be reached; what is left over is owed still."""
        if self._clock.monotonic() < self._rests_until:
            return
        try:
            async with self._turn:
                keys = list(self._untold)
                for first in range(0, len(keys), _MOST_TOLD):
                    if self._link.up:
                        await self._message(keys[first : first + _MOST_TOLD])
        except LedgerError as exc:
            if self._link.up:  # else the link has said it, and says when it is back
                self._rests_until = self._clock.monotonic() + _REST
                _log.warning("%s", exc.message)

    async def aclose(self) -> None:
        """Say that nothing is held any more but what is spent and not booked."""
        self._closed = True
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait([self._telling])
        await self.settle()

    # --- messages ---------------------------------------------------------------------------------

    async def _message(
        self,
        keys: Sequence[str],
        claims: Sequence[Claim] = (),
        ahead: Sequence[Need] = (),
        worthless: Mapping[str, int] | None = None,
    ) -> _Reply:
        """Say what is held of these counters, and claim. Learns what the answer says."""
        self._numbers += 1
        number = self._numbers
        counters = {key: self._counter(key) for key in keys}
        further = {need.key: need for need in ahead}
        arguments: list[Any] = [self._ledger.holder, number, _KEEP, _PATIENCE, len(claims)]
        for key, counter in counters.items():
            need = further.get(key)
            lease = self._slices.leased_of(key) + self._leaving[key] + self._uncertain[key]
            arguments += (counter.token, (worthless or {}).get(key, 0), lease, counter.bound)
            arguments += (need.amount, need.limit) if need is not None else (0, 0)
        places = {key: place for place, key in enumerate(keys, 1)}
        for claim in claims:
            arguments.append(len(claim.needs))
            for needed in claim.needs:
                arguments += (places[needed.key], needed.limit, needed.amount)
        try:
            found = await self._run("budget", keys, arguments)
        except BaseException:
            # An answer that never came may have granted something, where the token was right.
            self._owe(key for key, counter in counters.items() if counter.token)
            raise
        return self._heard(number, counters, found)

    def _heard(self, number: int, counters: Mapping[str, _Counter], found: list[int]) -> _Reply:
        answers: dict[str, _Answer] = {}
        for place, (key, counter) in enumerate(counters.items()):
            answer = answers[key] = _Answer(*found[_WIDTH * place : _WIDTH * (place + 1)])
            if answer.token in {0, counter.token}:
                # It knows now what this message said, or it knows nothing of the counter at all.
                # What came to be owed since then it has not heard.
                if self._untold.get(key, number) < number:
                    del self._untold[key]
                if answer.token:
                    counter.bound = max(counter.bound, answer.bound)
            counter.token = answer.token
        wanted = [key for key, answer in answers.items() if answer.wanted]
        if wanted:
            self._on_wanted(wanted)
        rest = found[_WIDTH * len(counters) :]
        return _Reply(answers, list(zip(rest[::2], rest[1::2], strict=True)))

    async def _seed(self, keys: Sequence[str]) -> None:
        """Have the database say how counters stand, and tell the shared state."""
        found = await self._ledger.do(lambda store: store.hand_over(keys))
        arguments: list[Any] = [_KEEP]
        for each in found:
            counter = self._counter(each.key)
            counter.token, counter.bound = each.token, max(counter.bound, each.bound)
            arguments += (each.token, each.bound, int(each.closed), len(each.leases))
            for holder, amount in each.leases.items():
                arguments += (holder, amount)
        await self._run("budget_seed", [each.key for each in found], arguments)

    async def _run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        if not self._tag:
            self._tag = "budgets." + await self._ledger.do(lambda store: store.identity())
        names = [self._link.key(self._tag, key) for key in keys]
        try:
            return await self._link.run(script, names, arguments)
        except StateUnavailableError as exc:
            message = f"hard budgets need the fleet's shared state: {exc.message}"
            raise LedgerError(message) from exc

    def _counter(self, key: str) -> _Counter:
        """What is known of it; from now on something is."""
        counter = self._counters.get(key)
        if counter is None:
            if len(self._counters) >= self._room:
                self._forget()
            counter = self._counters[key] = _Counter()
        return counter

    def _forget(self) -> None:
        """Of what is neither held nor owed the shared state knows all that this process booked."""
        held = {*self._slices.leased(), *self._leaving, *self._uncertain, *self._untold}
        self._counters = {key: self._counters[key] for key in held if key in self._counters}
        self._room = max(_MOST_KNOWN, 2 * len(self._counters))


def _outcomes(claims: Sequence[Claim], keys: Sequence[str], reply: _Reply) -> list[Grant | Refused]:
    outcomes: list[Grant | Refused] = []
    for claim, (place, busy) in zip(claims, reply.decisions, strict=True):
        if not place:
            outcomes.append(Grant())
            continue
        key = keys[place - 1]
        said = reply.answers[key]
        need = max((n for n in claim.needs if n.key == key), key=lambda n: n.amount - n.limit)
        standing = Standing(
            key, said.bound, 0, said.leased, wanted=bool(said.wanted), closed=bool(said.closed)
        )
        outcomes.append(Refused(need, standing, busy=bool(busy)))
    return outcomes


def _limits(claims: Sequence[Claim]) -> dict[str, int]:
    """The widest limit under which each counter is claimed."""
    limits: dict[str, int] = {}
    for claim in claims:
        for need in claim.needs:
            limits[need.key] = max(need.limit, limits.get(need.key, 0))
    return limits
