"""Identical requests that are under way at once make one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from switchgear import (
    AllProvidersFailedError,
    BudgetExceededError,
    DeadlineExceededError,
    LifecycleError,
    ServerError,
    StreamEvent,
    SwitchgearError,
)
from switchgear.caching.flight import Emit, Flights
from switchgear.clock import SystemClock


class Call:
    """A call that a test lets end; it knows how often it was made and whether it was ended."""

    def __init__(self) -> None:
        self.made = 0
        self.cancelled = 0
        self.settled = 0
        self.go = asyncio.Event()
        self.errors: list[Exception] = []
        self.events: asyncio.Queue[StreamEvent] = asyncio.Queue()

    async def __call__(self, emit: Emit) -> str:
        self.made += 1
        mine = self.made
        try:
            while not self.go.is_set():
                emit(await self.events.get()) if self.streams else await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            await asyncio.sleep(0)
            self.settled += 1
            raise
        if self.errors:
            raise self.errors.pop(0)
        return f"answer {mine}"

    streams = False


@pytest_asyncio.fixture
async def flights() -> AsyncIterator[Flights[str]]:
    flights: Flights[str] = Flights(SystemClock())
    yield flights
    await flights.aclose()


async def ask(
    flights: Flights[str], call: Call, *, key: object = "k", timeout: float = 60.0
) -> str:
    async with flights.join(key, call, timeout=timeout) as member:
        return await member.result()


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_identical_requests_make_one_call(flights: Flights[str]) -> None:
    call = Call()
    asking = [asyncio.ensure_future(ask(flights, call)) for _ in range(50)]
    await turns()
    call.go.set()
    assert await asyncio.gather(*asking) == ["answer 1"] * 50
    assert call.made == 1


async def test_different_requests_and_later_ones_make_their_own(flights: Flights[str]) -> None:
    call = Call()
    call.go.set()
    found = await asyncio.gather(*(ask(flights, call, key=key) for key in "abc"))
    assert sorted(found) == ["answer 1", "answer 2", "answer 3"]
    assert await ask(flights, call, key="a") == "answer 4"


async def test_whoever_brought_the_call_may_leave_without_ending_it(flights: Flights[str]) -> None:
    call = Call()
    leader = asyncio.ensure_future(ask(flights, call))
    await turns()
    follower = asyncio.ensure_future(ask(flights, call))
    await turns()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    late = asyncio.ensure_future(ask(flights, call))
    await turns()
    call.go.set()
    assert list(await asyncio.gather(follower, late)) == ["answer 1"] * 2
    assert (call.made, call.cancelled) == (1, 0)


async def test_the_last_one_to_leave_ends_the_call_and_waits_until_it_is_settled(
    flights: Flights[str],
) -> None:
    call = Call()
    asking = [asyncio.ensure_future(ask(flights, call)) for _ in range(3)]
    await turns()
    asking[1].cancel()
    asking[0].cancel()
    await turns()
    assert call.cancelled == 0
    asking[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking[2]
    assert (call.cancelled, call.settled) == (1, 1)
    call.go.set()
    assert await ask(flights, call) == "answer 2", "nobody joins a call that is being ended"


async def test_a_failure_is_everybodys_each_with_an_error_of_its_own(flights: Flights[str]) -> None:
    call = Call()
    cause = ServerError("500", provider="p", status=500)
    call.errors = [AllProvidersFailedError("all failed", [cause], retry_after=3.0)]
    call.errors[0].__cause__ = cause
    asking = [asyncio.ensure_future(ask(flights, call)) for _ in range(3)]
    await turns()
    call.go.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert call.made == 1
    assert len({id(error) for error in found}) == 3
    for error in found:
        assert isinstance(error, AllProvidersFailedError)
        assert (error.message, error.retry_after) == ("all failed", 3.0)
        assert error.exceptions == (cause,)
        assert error.__cause__ is cause


@pytest.mark.parametrize("error", [DeadlineExceededError("late"), BudgetExceededError("spent")])
async def test_what_only_concerns_whoever_brought_the_call_fails_nobody_else(
    flights: Flights[str], error: SwitchgearError
) -> None:
    call = Call()
    call.errors = [error]
    leader = asyncio.ensure_future(ask(flights, call))
    await turns()
    followers = [asyncio.ensure_future(ask(flights, call)) for _ in range(5)]
    await turns()
    call.go.set()
    with pytest.raises(type(error)):
        await leader
    assert await asyncio.gather(*followers) == ["answer 2"] * 5
    assert call.made == 2, "one of them brings the next call, and the others join it"


async def test_everybody_keeps_to_their_own_deadline(flights: Flights[str]) -> None:
    call = Call()
    leader = asyncio.ensure_future(ask(flights, call))
    await turns()
    with pytest.raises(DeadlineExceededError, match="identical"):
        await ask(flights, call, timeout=0.01)
    assert not leader.done()
    call.go.set()
    assert await leader == "answer 1"


@pytest.mark.looptime
async def test_a_call_with_little_time_is_not_relied_upon(flights: Flights[str]) -> None:
    hurried, patient = Call(), Call()
    first = asyncio.ensure_future(ask(flights, hurried, timeout=1))
    await turns()
    others = [asyncio.ensure_future(ask(flights, patient, timeout=60)) for _ in range(3)]
    await turns()
    assert (hurried.made, patient.made) == (1, 1)
    patient.go.set()
    assert await asyncio.gather(*others) == ["answer 1"] * 3
    hurried.go.set()
    assert await first == "answer 1"


async def test_without_single_flight_each_makes_its_own() -> None:
    flights: Flights[str] = Flights(SystemClock(), together=False)
    call = Call()
    call.go.set()
    assert len({*await asyncio.gather(*(ask(flights, call) for _ in range(3)))}) == 3


async def test_the_routers_end_ends_every_call_with_an_error_that_says_so(
    flights: Flights[str],
) -> None:
    call = Call()
    asking = [asyncio.ensure_future(ask(flights, call)) for _ in range(2)]
    await turns()
    await flights.aclose()
    for error in await asyncio.gather(*asking, return_exceptions=True):
        assert isinstance(error, LifecycleError)
    assert call.settled == 1
    with pytest.raises(LifecycleError):
        await ask(flights, call)


# -- streams ---------------------------------------------------------------------------------


async def read(flights: Flights[str], call: Call, *, most: int = 1000) -> tuple[str, str]:
    """What is heard, and what it comes to."""
    heard = ""
    async with flights.join("k", call, timeout=60) as member:
        for _ in range(most):
            event = await member.event()
            if event is None:
                return heard, await member.result()
            heard += event.text
    return heard, ""


def said(call: Call, *pieces: str) -> None:
    for piece in pieces:
        call.events.put_nowait(StreamEvent(text=piece))


async def test_a_stream_may_be_joined_at_any_time_from_its_first_event_on(
    flights: Flights[str],
) -> None:
    call = Call()
    call.streams = True
    first = asyncio.ensure_future(read(flights, call))
    await turns()
    said(call, "one ", "two ")
    await turns()
    second = asyncio.ensure_future(read(flights, call))
    plain = asyncio.ensure_future(ask(flights, call))
    await turns()
    call.go.set()
    said(call, "three")
    assert list(await asyncio.gather(first, second)) == [("one two three", "answer 1")] * 2
    assert await plain == "answer 1"
    assert call.made == 1


async def test_a_stream_goes_on_for_those_who_joined_and_ends_with_the_last(
    flights: Flights[str],
) -> None:
    call = Call()
    call.streams = True
    first = asyncio.ensure_future(read(flights, call, most=1))
    second = asyncio.ensure_future(read(flights, call, most=2))
    await turns()
    said(call, "one ")
    await turns()
    assert await first == ("one ", "")
    assert call.cancelled == 0
    said(call, "two")
    await turns()
    assert await second == ("one two", "")
    assert (call.cancelled, call.settled) == (1, 1)


async def test_events_before_an_error_are_heard_before_it(flights: Flights[str]) -> None:
    call = Call()
    call.streams = True
    call.errors = [DeadlineExceededError("late")]
    member = await flights.join("k", call, timeout=60).__aenter__()
    late = await flights.join("k", call, timeout=60).__aenter__()
    await turns()
    call.go.set()
    said(call, "one")
    for each in (member, late):
        event = await each.event()
        assert event is not None
        assert event.text == "one"
        # It has heard something: another call might say something else.
        with pytest.raises(DeadlineExceededError):
            await each.event()
        await each.__aexit__(None, None, None)
    assert call.made == 1


async def test_a_call_without_events_comes_to_its_end(flights: Flights[str]) -> None:
    call = Call()
    reading = asyncio.ensure_future(read(flights, call))
    await turns()
    call.go.set()
    assert await reading == ("", "answer 1")
