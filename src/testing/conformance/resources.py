"""Checks 58 to 64: nothing is left open, nothing gets mixed up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ...errors import SwitchgearError
from ...providers.base import Provider, ReplyStream
from ..answers import Answer
from ..faults import Fault
from ..records import RecordedRequest
from .check import Failed, check
from .trial import Trial, expect, text_of

_ROUNDS = 8
_POOL = 3
_WARM = 3
_LOOKS = 5
# Timers that were cancelled stay with the loop until their time, or until there are many; abstract
# base classes remember by a weak reference each type that they were ever asked about.
_REMEMBERED = frozenset(
    {
        "asyncio.events.TimerHandle",
        "_contextvars.Context",
        "weakref.ReferenceType",
        "builtins.builtin_function_or_method",
    }
)
_LEFT = "expected the connection to be closed, it is still open: the vendor goes on and charges"


@check(58)
async def cancelled_call(trial: Trial) -> None:
    """A cancelled call lets go.

    A call that is cancelled while the vendor thinks ends at once, and its connection is closed.
    """
    trial.will(Fault.stall())
    await _cancelled(trial, asyncio.ensure_future(trial.provider.complete(trial.call())))
    await trial.until(lambda: trial.sent.disconnected, _LEFT)
    expect(text_of(await trial.whole()), "expected the provider to serve on after a cancellation")


@check(59)
async def cancelled_stream(trial: Trial) -> None:
    """A cancelled stream lets go.

    A stream that is cancelled while it is opened, or while its next delta is awaited, ends at
    once, and its connection is closed.
    """
    trial.will(Fault.stall())
    await _cancelled(trial, asyncio.ensure_future(trial.provider.stream(trial.call())))
    await trial.until(lambda: trial.sent.disconnected, _LEFT)
    trial.will(Fault.stall(after_chunks=1, answer=Answer(text="Once upon a time.")))
    stream = await trial.provider.stream(trial.call())
    record = trial.sent
    try:
        await anext(stream)
        reading = asyncio.ensure_future(_next(stream))
        await asyncio.sleep(0)
        await _cancelled(trial, reading)
    finally:
        await stream.aclose()
    await trial.until(lambda: record.disconnected, _LEFT)


@check(60)
async def closed_stream(trial: Trial) -> None:
    """A closed stream lets go.

    A stream that is closed half-read, or unread, closes its connection; closing it again is
    allowed, and its snapshot is still there.
    """
    for deltas in (0, 1):
        trial.will(Fault.endless(0.001, answer=Answer(text="On and on.")))
        stream = await trial.provider.stream(trial.call())
        record = trial.sent
        for _ in range(deltas):
            await anext(stream)
        await stream.aclose()
        await stream.aclose()
        await _left(trial, record)
        expect(not stream.finished, "expected a stream that was left not to be finished")
        expect(
            bool(text_of(stream.snapshot())) >= bool(deltas), "expected a snapshot after closing"
        )


@check(61, needs="nothing")
async def closing_twice(trial: Trial) -> None:
    """Closing twice.

    A provider can be closed twice, and without ever having been used; afterwards none of its
    connections is open.
    """
    unused = trial.make()
    await unused.aclose()
    await unused.aclose()
    used = trial.make()
    await used.complete(trial.call())
    await used.aclose()
    await used.aclose()
    if trial.simulated:
        await trial.until(
            lambda: not trial.endpoint.open_connections,
            "expected no connection of a closed provider, there is one",
        )


@check(62, needs="server")
async def use_after_close(trial: Trial) -> None:
    """Use after closing.

    A closed provider raises an error of ours; it does not hang, and sends nothing.
    """
    provider = trial.make()
    await provider.complete(trial.call())
    await provider.aclose()
    before = len(trial.endpoint.requests) if trial.simulated else 0
    for way in (provider.complete, provider.stream):
        try:
            await way(trial.call())
        except SwitchgearError:
            continue
        except Exception as exc:
            raise Failed(f"expected an error of ours from a closed provider, came {exc!r}") from exc
        raise Failed("expected an error from a closed provider, came an answer: it opened anew")
    if trial.simulated:
        expect(len(trial.endpoint.requests) == before, "expected no request of a closed provider")


@check(63, needs="nothing")
async def concurrency(trial: Trial) -> None:
    """Many calls at once.

    Many calls at once, whole and streamed, each get their own answer.
    """
    count = trial.subject.at_once

    async def one(number: int) -> tuple[str, str]:
        token = f"token-{number:03}-{number * 7919}"
        asked = trial.call(f"Say {token}")
        if number % 2:
            return token, (await trial.streamed(asked)).text
        return token, text_of(await trial.whole(asked))

    for token, said in await asyncio.gather(*(one(number) for number in range(count))):
        expect(
            token in said or not trial.simulated,
            f"expected the answer to {token!r}, came {said!r}: answers get mixed up",
        )


@check(64)
async def no_leak(trial: Trial) -> None:
    """No leak.

    Well over a hundred calls (answered, refused, cut, left half-read) leave no task, no connection
    beyond a pool, no warning of an unclosed resource, and no growing number of objects.
    """
    tasks = asyncio.all_tasks()
    with _complaints() as complaints:
        provider = trial.make()
        await _rounds(trial, provider, _WARM)
        grown = await _growth(trial, provider)
        await provider.complete(trial.call())
        await trial.until(
            lambda: trial.endpoint.open_connections <= _POOL,
            "expected one call after the other to share a connection, there are many open",
        )
        await provider.aclose()
        await trial.until(
            lambda: not trial.endpoint.open_connections,
            "expected no connection of a closed provider, there is one",
        )
        left = [task for task in asyncio.all_tasks() - tasks if not task.done()]
        del provider
        gc.collect()
    expect(not left, f"expected no task to be left, came {left}")
    expect(not grown, f"expected no growing number of objects, these stay with every call: {grown}")
    expect(not complaints, f"expected nothing unclosed, came: {'; '.join(complaints)[:300]}")


async def _rounds(trial: Trial, provider: Provider, count: int) -> None:
    """Six calls a round, each of another fate."""
    answer = Answer(text="Once upon a time.", chunks=4)
    for _ in range(count):
        trial.will(
            answer,
            answer,
            answer,
            Fault.cut(after_chunks=2, answer=answer),
            Fault.server_error(),
            Fault.reset(),
        )
        await provider.complete(trial.call())
        await _streamed(provider, trial)
        await _streamed(provider, trial, deltas=1)
        await _streamed(provider, trial)
        for _failing in range(2):
            with contextlib.suppress(SwitchgearError):
                await provider.complete(trial.call())


async def _streamed(provider: Provider, trial: Trial, *, deltas: int = 1000) -> None:
    stream = await provider.stream(trial.call())
    try:
        with contextlib.suppress(SwitchgearError, StopAsyncIteration):
            for _ in range(deltas):
                await anext(stream)
    finally:
        await stream.aclose()


async def _growth(trial: Trial, provider: Provider) -> dict[str, int]:
    """Types of which each round leaves at least one object more, and how many more there are.

    What is kept once (a cache that fills up) grows for a while; what leaks grows every time.
    """
    before = await _after_rounds(trial, provider)
    grown: dict[str, int] | None = None
    for looks in range(1, _LOOKS + 1):
        now = await _after_rounds(trial, provider)
        more = {
            name: count - before[name]
            for name, count in now.items()
            if name not in _REMEMBERED and count - before[name] >= _ROUNDS
        }
        grown = {name: more[name] for name in more if grown is None or name in grown}
        before = now
        if not grown and looks > 1:
            break
    return grown or {}


async def _after_rounds(trial: Trial, provider: Provider) -> Counter[str]:
    """How many objects of each type there are after some rounds."""
    await _rounds(trial, provider, _ROUNDS)
    _forget(trial)
    gc.collect()
    return Counter([_name(type(each)) for each in gc.get_objects()])


def _forget(trial: Trial) -> None:
    """Let the simulated vendor forget the requests that it has recorded."""
    settings = trial.endpoint.settings
    trial.endpoint.reset()
    trial.endpoint.configure(**msgspec.structs.asdict(settings))


@contextlib.contextmanager
def _complaints() -> Iterator[list[str]]:
    """What warnings and the event loop say about things left open."""
    said: list[str] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    with warnings.catch_warnings():
        # What was left open before is not the provider's.
        warnings.simplefilter("ignore")
        gc.collect()
    # What is there already is left out from now on, which makes collecting and counting cheap.
    gc.freeze()
    loop.set_exception_handler(lambda _, context: said.append(str(context.get("message"))))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", ResourceWarning)
            yield said
        # Other loops are other people's: a test runner's, mostly.
        left = (str(each.message) for each in caught)
        said += [text for text in left if not text.startswith("unclosed event loop")]
    finally:
        loop.set_exception_handler(before)
        gc.unfreeze()


async def _cancelled(trial: Trial, running: asyncio.Future[Any]) -> None:
    """Cancel it once its request is there, and see that it ends."""
    await trial.until(lambda: trial.endpoint.requests, "expected a request, none came")
    await _settled(running.done)
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=trial.subject.patience)
    expect(done, "expected a cancelled call to end, it goes on")
    expect(
        running.cancelled(),
        "expected the cancellation to come through, it was swallowed: whoever cancelled waits on",
    )


async def _settled(done: Callable[[], bool]) -> None:
    for _ in range(3):
        if done():
            return
        await asyncio.sleep(0)


async def _left(trial: Trial, record: RecordedRequest) -> None:
    await trial.until(lambda: record.disconnected, _LEFT)


async def _next(stream: ReplyStream) -> object:
    return await anext(stream)


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
