"""What the demo shows: ADR-004's chain while its first two providers are down.

Claude and GPT are simulated on this machine's loopback interface by ``switchgear.testing``; the
third is a real language model that runs here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from ..config import Config
from ..errors import AllProvidersFailedError
from ..messages import Message
from ..testing import Fault, SimulatedProviders
from .output import Answer, say, show_trace
from .session import Session

if TYPE_CHECKING:
    from ..completion import Completion
    from ..routing.router import Router

__all__ = ["CHAIN", "GROUP", "QUESTIONS", "ask", "outage", "run_demo", "summary"]

QUESTIONS = (
    "What is the capital of France?",
    "Name three primary colours.",
    "What does a router do?",
)
GROUP = "high-reasoning"
_SYSTEM = "Answer in one short sentence."
_ANSWER_TOKENS = 60
CHAIN = {
    "anthropic/claude-3-5-sonnet-20241022": "simulated on this machine: overloaded",
    "openai/gpt-4-turbo": "simulated on this machine: rate-limited",
    "embedded/smollm2-135m": "a real model, running right here",
}
_TOO_FAST = "Rate limit reached for gpt-4-turbo: Limit 500, Used 500. Please try again in 30s."
# By the name of a variable, because a key in the configuration itself draws a warning.
_KEYS = {"SIMULATED_KEY": "any"}


@contextlib.contextmanager
def outage() -> Iterator[Config]:
    """ADR-004's chain, its first step overloaded and its second rate-limited.

    Nothing of it is the user's: its ledger is in memory, and it has no budgets, cache or state.
    """
    with SimulatedProviders() as simulated:
        simulated.anthropic.always(Fault.overloaded())
        simulated.openai.always(Fault.rate_limit(retry_after=30, message=_TOO_FAST))
        providers = {
            "anthropic": {"api_key": "env:SIMULATED_KEY", "base_url": simulated.anthropic.base_url},
            "openai": {"api_key": "env:SIMULATED_KEY", "base_url": simulated.openai.base_url},
        }
        group = {"use": "Complex analysis, architecture", "chain": list(CHAIN)}
        mapping = {
            "providers": providers,
            "groups": {GROUP: group},
            # What is simulated does not belong into the user's own books, under the names of real
            # providers: it would count in budgets, reports and against a vendor's bill.
            "ledger": {"url": "memory:"},
        }
        yield Config.from_dict(mapping, environ=_KEYS)


async def ask(router: Router, question: str) -> Completion:
    """One question, its answer streamed to the standard output.

    Raises:
        SwitchgearError: The local model is missing, or broke.
    """
    answer = Answer(fg="cyan")
    messages = [Message("system", _SYSTEM), Message("user", question)]
    try:
        async with router.stream(
            GROUP, messages, max_tokens=_ANSWER_TOKENS, temperature=0
        ) as stream:
            async for event in stream:
                answer.write(event.text)
    finally:
        answer.end()
    return stream.completion


def summary(reply: Completion) -> str:
    """Who answered, and what it cost."""
    usage = reply.usage
    return (
        f"answered by {reply.provider}/{reply.model} in {reply.latency:.1f} s; "
        f"{usage.input_tokens} tokens in, {usage.output_tokens} out; cost {_dollars(reply.cost)}"
    )


def run_demo(questions: Sequence[str]) -> None:
    """Ask them all.

    Raises:
        SwitchgearError: The local model is missing, or broke.
    """
    with outage() as config, Session(config) as session:
        _introduce()
        began = time.monotonic()
        replies = [_turn(session, question) for question in questions]
        _sum_up(replies, time.monotonic() - began)


def _introduce() -> None:
    say(f"The group {GROUP!r} is a chain:")
    for model, state in CHAIN.items():
        say(f"  {model:<36}  {state}")


def _turn(session: Session, question: str) -> Completion:
    say()
    say(f"> {question}", bold=True)
    try:
        reply = session.run(ask(session.router, question))
    except AllProvidersFailedError as exc:
        # The first two failed on purpose; what is wrong is wrong with the last.
        raise exc.exceptions[-1] from None
    say()
    show_trace(reply.trace)
    say(summary(reply))
    return reply


def _sum_up(replies: Sequence[Completion], seconds: float) -> None:
    failed = sum(len(reply.trace.attempts) for reply in replies) - len(replies)
    total = sum((reply.cost or Decimal(0) for reply in replies), Decimal(0))
    say()
    say(
        f"{len(replies)} asked, {len(replies)} answered, {failed} failed attempts on the way, "
        f"{_dollars(total)} spent, {seconds:.1f} s",
        fg="green",
        bold=True,
    )


def _dollars(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"${amount.normalize():f}"
