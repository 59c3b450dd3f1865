"""What vendors counted in recorded traffic, against what is bounded and guessed here."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean
from typing import TYPE_CHECKING, Any

import pytest

from switchgear.accounting import default_prices
from switchgear.accounting.bounds import Worst, worst_case
from switchgear.accounting.cost import cost_of
from switchgear.accounting.tokens.counter import TokenCounter
from switchgear.completion import Usage
from tests.wire import replay
from tests.wire.replay import Recording
from tests.wire.test_wire_anthropic import call_of as messages_call
from tests.wire.test_wire_ollama import call_of as ollama_call
from tests.wire.test_wire_openai_chat import call_of as chat_call
from tests.wire.test_wire_openai_responses import call_of as responses_call

if TYPE_CHECKING:
    from switchgear.providers.base import Call

DAY = dt.date(2026, 11, 23)


def chat(recording: Recording) -> Call:
    return chat_call(recording.request_body)


def responses(recording: Recording) -> Call:
    return responses_call(recording.request_body)


def objects_in(recording: Recording) -> list[dict[str, Any]]:
    """Every JSON object of an answer, in the plainest way: a body, its lines, or its events."""
    body = recording.body.decode()
    try:
        return [json.loads(body)]
    except json.JSONDecodeError:
        lines = (line.removeprefix("data:").strip() for line in body.splitlines())
        return [json.loads(line) for line in lines if line.startswith("{")]


def counted(recording: Recording) -> tuple[int, int] | None:
    """The prompt's and the answer's tokens by the vendor; ``None`` where it did not say."""
    prompt = answer = 0
    for item in objects_in(recording):
        holder = item.get("message") or item.get("response") or item
        for usage in (holder.get("usage"), item.get("usage"), item):
            if not isinstance(usage, dict):
                continue
            cached = usage.get("cache_creation_input_tokens") or 0
            cached += usage.get("cache_read_input_tokens") or 0
            names = ("input_tokens", "prompt_tokens", "prompt_eval_count")
            prompt = max(prompt, cached, *((usage.get(name) or 0) + cached for name in names))
            names = ("output_tokens", "completion_tokens", "eval_count")
            answer = max(answer, *(usage.get(name) or 0 for name in names))
    return (prompt, answer) if prompt else None


Case = tuple[str, Recording, "Call", int, int]


def cases() -> list[Case]:
    """Every recorded call with a usage, in which the vendor ran no tool of its own."""
    found: list[Case] = []
    sources: tuple[tuple[str, str, Callable[[Recording], Call]], ...] = (
        ("anthropic", "messages", messages_call),
        ("openai", "chat.completions", chat),
        ("openai", "responses", responses),
        ("ollama", "api.chat", ollama_call),
    )
    for vendor, endpoint, call_of in sources:
        for param in replay.recordings(vendor, endpoint=endpoint, status=200):
            (recording,) = param.values
            if recording is None or (tokens := counted(recording)) is None:
                continue
            call = call_of(recording)
            if not any(tool.native for tool in call.request.tools):
                found.append((vendor, recording, call, *tokens))
    if not found:
        pytest.skip("recorded traffic is absent: no ../shared/wire beside the repository")
    return found


@pytest.fixture(scope="module")
def recorded() -> list[Case]:
    return cases()


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    """With all tokenizers loaded."""
    counter = TokenCounter()

    async def load() -> None:
        await counter.load("gpt-4o")
        await counter.load("gpt-4")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, load()).result()
    return counter


def test_no_vendor_ever_counted_more_than_the_bound(
    recorded: list[Case], counter: TokenCounter
) -> None:
    assert len(recorded) > 200
    for _, recording, call, prompt, _ in recorded:
        for exact in (False, True):
            bound = counter.upper_bound(call.request, call.model, exact=exact)
            assert bound is None or bound >= prompt, recording
        assert counter.upper_bound(call.request, call.model, context_window=10**9) is not None


def test_no_recorded_call_cost_more_than_was_set_aside_for_it(
    recorded: list[Case], counter: TokenCounter
) -> None:
    """At every tier and in every region, on the rates of a day."""
    prices = default_prices()
    checked = 0
    for vendor, recording, call, prompt, answer in recorded:
        request = call.request
        worst = worst_case(
            request,
            kind=vendor,
            model=call.model,
            max_tokens=request.max_tokens,
            extra={},
            headers={},
            context_window=None,
            max_output_tokens=None,
            prices=prices,
            day=DAY,
            tokens=counter,
            exact=True,
        )
        if not isinstance(worst, Worst):
            assert prices.lookup(vendor, call.model, DAY) is None, recording
            continue
        usage = Usage(input_tokens=prompt, output_tokens=answer)
        for price in prices.variants(vendor, call.model, DAY):
            if price.tier not in {"batch", "fast", "ultrafast"}:
                cost = cost_of(usage, price)
                assert cost is not None
                assert cost <= worst.amount, recording
                checked += 1
    assert checked > 200


def test_estimates_are_near_what_the_vendors_counted(
    recorded: list[Case], counter: TokenCounter
) -> None:
    """Mean errors; images that are behind an address can't be measured and are left out."""
    errors: dict[tuple[str, str], list[float]] = {}
    for vendor, _, call, prompt, _ in recorded:
        parts = [part for message in call.request.messages for part in message.parts]
        if any(getattr(part, "url", None) for part in parts):
            continue
        for how, each in (("tokenizer", counter), ("characters", TokenCounter())):
            tokens = each.estimate(call.request, call.model).tokens
            errors.setdefault((vendor, how), []).append(abs(tokens - prompt) / prompt)
    mean = {key: fmean(values) for key, values in errors.items()}
    assert mean["openai", "tokenizer"] < 0.08
    assert mean["openai", "characters"] < 0.2
    assert mean["anthropic", "characters"] < 0.12
    assert mean["ollama", "characters"] < 0.1
