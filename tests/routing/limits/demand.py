"""Clients who want five times what a provider allows, for two virtual minutes."""

from __future__ import annotations

import asyncio
import random
from typing import Any, Literal

import msgspec

from switchgear.routing.limits import Limiter, LimitRule, Need, NoRoom
from switchgear.testing.loop_clock import LoopClock
from switchgear.testing.rate_limited import Admission, RateLimited

SECONDS = 120.0
TIMES = 5.0


class Kind(msgspec.Struct, frozen=True):
    """One kind of request: its part of all, and mean tokens. ``asked`` is its ``max_tokens``."""

    part: float
    input: int
    output: int
    asked: int


SMALL = (Kind(1.0, 400, 60, 256),)
MIXED = (Kind(0.8, 400, 80, 512), Kind(0.15, 3000, 300, 1024), Kind(0.05, 12_000, 700, 4096))
TALKATIVE = (Kind(0.7, 200, 350, 1024), Kind(0.3, 900, 1100, 4096))


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What is played.

    Attributes:
        vendor: Whose rules are enforced.
        enforced: The provider's limits.
        told: Ours; empty where no limits are configured, None where they are the provider's.
        mix: The requests.
        foreign: Another program's part of what the provider allows.
        cached: The part of calls that read nine tenths of their prompt from the cache.
        estimate: How wrong our estimate of a prompt is, at most.
        instances: How many limiters share the provider, each with its share.
        heedless: Nobody asks the limiter: calls are sent as they come.
    """

    vendor: Literal["anthropic", "openai"]
    enforced: dict[str, float]
    told: dict[str, float] | None = None
    mix: tuple[Kind, ...] = MIXED
    foreign: float = 0.0
    cached: float = 0.0
    estimate: float = 0.15
    instances: int = 1
    heedless: bool = False

    @property
    def rules(self) -> dict[str, float]:
        return self.enforced if self.told is None else self.told

    def sustainable(self) -> float:
        """Requests a second that the limits allow to us and the stranger together."""
        mean = {
            "rpm": 1.0,
            "itpm": sum(kind.part * kind.input * (1 - 0.9 * self.cached) for kind in self.mix),
            "otpm": sum(kind.part * kind.output for kind in self.mix),
            "tpm": sum(kind.part * max(kind.input, kind.asked) for kind in self.mix),
        }
        return min(limit / mean[name] for name, limit in self.enforced.items()) / 60.0

    def draw(self, dice: random.Random) -> Kind:
        return dice.choices(self.mix, [kind.part for kind in self.mix])[0]


class Played:
    """What came of it.

    Attributes:
        sent: Calls that were sent.
        refused: Of these, those that got a 429.
        avoidable: Of these, those that what we knew when we sent them should have kept back.
        gave_up: Calls whose time was over before their turn came.
        waited: Seconds in the queue of those that were sent.
        used: Of each limit, the part of what was permitted that was used.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.refused = 0
        self.avoidable = 0
        self.gave_up = 0
        self.waited: list[float] = []
        self.used: dict[str, float] = {}

    @property
    def throughput(self) -> float:
        """Of the limit that binds, the part that was used."""
        return max(self.used.values())

    def __str__(self) -> str:
        used = ", ".join(f"{name} {part:.1%}" for name, part in self.used.items())
        return (
            f"{self.sent} sent, {self.refused} refused ({self.avoidable} avoidable), "
            f"{self.gave_up} gave up, longest wait {max(self.waited, default=0):.1f} s; used {used}"
        )


class Call:
    """One request on its way, and what the referee knew when it was sent."""

    def __init__(self, number: int, need: Need, sent: float, before: dict[str, float]) -> None:
        self.number = number
        self.need = need
        self.sent = sent
        self.before = before
        self.had_room = True


class News(msgspec.Struct, frozen=True):
    """The newest word on one bucket."""

    number: int
    limit: float
    remaining: float
    sent: float
    taken: float


class Referee:
    """Knows what an attentive reader of headers and keeper of books would know.

    Two kinds of knowledge, as simple as they can be. By the limits we were told: what they allow
    since the start, less what was sent. By the headers: the newest word, by the order of sending,
    with what came in since that request was sent, less all that was sent after it. A call that was
    sent though it did not fit by one of these, and was refused, is an avoidable 429.
    """

    def __init__(self, world: World, clock: LoopClock) -> None:
        self._world = world
        self._clock = clock
        self._began = clock.monotonic()
        self._sums: dict[str, float] = {}
        self._news: dict[str, News] = {}

    def _amounts(self, need: Need) -> dict[str, float]:
        if self._world.vendor == "anthropic":
            fresh = need.input_tokens - need.cached_tokens
            return {"requests": 1.0, "input-tokens": float(fresh)}
        return {"requests": 1.0, "tokens": float(max(need.input_tokens, need.max_tokens or 0))}

    def send(self, number: int, need: Need) -> Call:
        call = Call(number, need, self._clock.monotonic(), dict(self._sums))
        for name, amount in self._amounts(need).items():
            call.had_room = call.had_room and self._room(name) + 1e-3 >= amount
            self._sums[name] = self._sums.get(name, 0.0) + amount
        return call

    def _room(self, name: str) -> float:
        now = self._clock.monotonic()
        told = {"requests": "rpm", "input-tokens": "itpm", "tokens": "tpm"}[name]
        room = float("inf")
        if told in self._world.rules:
            limit = self._world.rules[told] / self._world.instances
            room = limit + limit / 60 * (now - self._began) - self._sums.get(name, 0.0)
        news = self._news.get(name)
        if news is not None:
            later = self._sums.get(name, 0.0) - news.taken
            room = min(room, news.remaining + news.limit / 60 * (now - news.sent) - later)
        return room

    def hear(self, call: Call, admission: Admission) -> None:
        for name, amount in self._amounts(call.need).items():
            if self._world.vendor == "anthropic":
                words = (f"anthropic-ratelimit-{name}-{word}" for word in ("limit", "remaining"))
            else:
                words = (f"x-ratelimit-{word}-{name}" for word in ("limit", "remaining"))
            limit, left = (admission.headers.get(word) for word in words)
            old = self._news.get(name)
            if limit is None or left is None or (old is not None and call.number <= old.number):
                continue
            rounding = 500.0 if name == "input-tokens" else 0.0
            taken = call.before.get(name, 0.0) + amount
            self._news[name] = News(
                call.number, float(limit), float(left) + rounding, call.sent, taken
            )


class Game:
    """One world in play. The event loop's time is virtual."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.clock = LoopClock()
        self.dice = random.Random(seed)
        enforced: dict[str, Any] = dict(world.enforced)
        self.provider = RateLimited(world.vendor, clock=self.clock, **enforced)
        self.played = Played()
        rules: dict[str, Any] = dict(world.rules)
        rule = LimitRule("p/*", share=1.0 / world.instances, **rules)
        self.limiters = [
            Limiter([rule] if rules else [], self.clock) for _ in range(world.instances)
        ]
        self.referees = [Referee(world, self.clock) for _ in range(world.instances)]
        self.foreign: dict[str, float] = {}
        self.calls = 0

    async def play(self) -> Played:
        stranger = asyncio.create_task(self._stranger())
        rate = TIMES * self.world.sustainable() * (1.0 - self.world.foreign)
        until = self.clock.monotonic() + SECONDS
        tasks: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(self.dice.expovariate(rate))
            if self.clock.monotonic() >= until:
                break
            task = asyncio.create_task(self._client())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        for name, bucket in self.provider.buckets.items():
            foreign = self.foreign.get(name, 0.0)
            self.played.used[name] = (bucket.used - foreign) / (bucket.permitted() - foreign)
        for task in (stranger, *tasks):
            task.cancel()
        await asyncio.gather(stranger, *tasks, return_exceptions=True)
        for limiter in self.limiters:
            limiter.close()
        return self.played

    async def _stranger(self) -> None:
        """Another program with the same key: steady traffic that nobody tells us of."""
        if not self.world.foreign:
            return
        while True:
            rate = self.world.sustainable() * self.world.foreign
            await asyncio.sleep(self.dice.expovariate(rate))
            kind = self.world.draw(self.dice)
            before = {name: bucket.used for name, bucket in self.provider.buckets.items()}
            if self.provider.admit(input_tokens=kind.input, max_tokens=kind.asked).allowed:
                self.provider.produce(kind.output)
            for name, bucket in self.provider.buckets.items():
                self.foreign[name] = self.foreign.get(name, 0.0) + bucket.used - before[name]

    async def _client(self) -> None:
        """One call: waits its turn, sends, and settles; half of them stream."""
        dice, world, played = self.dice, self.world, self.played
        kind = world.draw(dice)
        prompt = max(1, round(kind.input * dice.uniform(0.5, 1.5)))
        answer = min(kind.asked, max(1, round(kind.output * dice.uniform(0.3, 1.7))))
        cached = round(0.9 * prompt) if dice.random() < world.cached else 0
        wrong = dice.uniform(1 - world.estimate, 1 + world.estimate)
        need = Need(round(prompt * wrong), kind.asked, kind.asked, round(0.95 * cached))
        self.calls += 1
        which = self.calls % world.instances
        limiter, referee = self.limiters[which], self.referees[which]
        patience = dice.uniform(1, 40)
        if world.heedless:
            limiter = Limiter([], self.clock)
        lease = await limiter.reserve("p", "m", need, timeout=patience)
        if isinstance(lease, NoRoom):
            played.gave_up += 1
            return
        played.sent += 1
        played.waited.append(lease.waited)
        call = referee.send(lease.number if not world.heedless else self.calls, need)
        await asyncio.sleep(0.02 + dice.expovariate(20))
        admission = self.provider.admit(
            input_tokens=prompt, max_tokens=kind.asked, cached_tokens=cached
        )
        if not admission.allowed:
            played.refused += 1
            played.avoidable += not call.had_room
            await asyncio.sleep(0.02 + dice.expovariate(20))
            referee.hear(call, admission)
            lease.settle(0, 0, admission.headers, status=429, retry_after=admission.retry_after)
            return
        if dice.random() < 0.5:  # a stream: its headers come first
            await asyncio.sleep(0.1 + dice.expovariate(5))
            referee.hear(call, admission)
            lease.observe(admission.headers)
        await self._produce(answer)
        referee.hear(call, admission)
        lease.settle(prompt, answer, admission.headers, cached_tokens=cached)

    async def _produce(self, tokens: int) -> None:
        """A hundred tokens a second, in pieces."""
        while tokens > 0:
            piece = min(tokens, 50)
            await asyncio.sleep(piece / 100.0)
            self.provider.produce(piece)
            tokens -= piece
        await asyncio.sleep(0.02)


async def play(world: World, seed: int) -> Played:
    """Two minutes of it."""
    return await Game(world, seed).play()
