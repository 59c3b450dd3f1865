"""A conversation may change its provider at any moment, in the middle of a tool loop too.

Every conversation is begun at one simulated vendor through the real adapter and SDK, and continued
at every other. What arrives there must pass that vendor's own checks and its SDK's request types,
must say the same in the same order, and what could not travel must be named on the reply.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings as hypothesis_settings, strategies as st

from switchgear.credentials import Secret
from switchgear.messages import Image, Message, Reasoning, Text, Tool, ToolCall
from switchgear.providers import anthropic, ollama, openai, openai_compatible
from switchgear.providers.base import Call, Provider, ProviderSettings, Reply
from switchgear.request import ChatRequest
from switchgear.testing import Answer, SimulatedProviders, ToolCall as Asked, validate_request

Body = dict[str, Any]
Line = tuple[Any, ...]

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
SHOWN = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
WEATHER = Tool(
    "weather",
    "Tells the weather.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
OPENING = (
    Message("system", "Be brief."),
    Message("user", (Text("How is the weather there?"), Image(data=PIXEL, media_type="image/png"))),
)
OPENING_LINES: list[Line] = [("system", "Be brief."), ("user", "How is the weather there?")]


class Side(NamedTuple):
    """One vendor's way of speaking.

    ``keeps`` says whose reasoning it can take besides its own, ``instructions_follow`` that an
    instruction inside the conversation has its place behind the user's words.
    """

    name: str
    create: Callable[[ProviderSettings], Provider]
    simulated: str
    model: str
    read: Callable[[Body], list[Line]]
    options: Mapping[str, Any] = {}
    effort: str | None = None
    keeps: frozenset[str] = frozenset()
    instructions_follow: bool = False


class Thread:
    """A conversation on its way through the vendors."""

    def __init__(self) -> None:
        self.messages: tuple[Message, ...] = OPENING
        self.lines: list[Line] = list(OPENING_LINES)
        self.calls = 0

    def say(self, role: Literal["system", "user"], text: str) -> None:
        self.messages += (Message(role, text),)
        self.lines.append((role, text))

    def answer(self, reply: Reply) -> None:
        """Take an answer, and run the tools that it asks for: every second one fails."""
        self.messages += (Message("assistant", reply.parts),)
        text = "".join(part.text for part in reply.parts if isinstance(part, Text))
        if text:
            self.lines.append(("assistant", text))
        results: list[Line] = []
        for part in reply.parts:
            if isinstance(part, ToolCall):
                self.lines.append(("call", self.calls, part.name, part.parse()))
                results.append(self._result(part))
                self.calls += 1
        self.lines += results

    def _result(self, call: ToolCall) -> Line:
        if self.calls % 2:
            message = Message("tool", "no such city", tool_call_id=call.id, is_error=True)
            self.messages += (message,)
            return ("result", self.calls, "Error: no such city")
        content = (Text(f"{self.calls} degrees"), Image(data=SHOWN, media_type="image/gif"))
        self.messages += (Message("tool", content, tool_call_id=call.id),)
        return ("result", self.calls, f"{self.calls} degrees")


# ── What each vendor was sent, read in one form ─────────────────────────────────────────────────


class _Ids:
    """Calls by their place in the conversation; a result must name a call before it."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}
        self.count = 0

    def call(self, call_id: str) -> int:
        assert call_id not in self.open, f"{call_id} asked for twice"
        self.open[call_id] = self.count
        self.count += 1
        return self.open[call_id]

    def result(self, call_id: str) -> int:
        return self.open[call_id]


def _texts(content: Any, kinds: tuple[str, ...]) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(block["text"] for block in content if block["type"] in kinds)


_IN_USERS_TURN = re.compile(r"<system>\n(.*)\n</system>", re.DOTALL)


def read_anthropic(body: Body) -> list[Line]:
    ids = _Ids()
    system = body.get("system", [])
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system
    lines: list[Line] = [("system", block["text"]) for block in blocks]
    for turn in body["messages"]:
        for block in turn["content"]:
            match block["type"]:
                case "text":
                    marked = _IN_USERS_TURN.fullmatch(block["text"])
                    line = ("system", marked[1]) if marked else (turn["role"], block["text"])
                    lines.append(line)
                case "tool_use":
                    lines.append(("call", ids.call(block["id"]), block["name"], block["input"]))
                case "tool_result":
                    text = _texts(block.get("content"), ("text",))
                    text = f"Error: {text}" if block.get("is_error") else text
                    lines.append(("result", ids.result(block["tool_use_id"]), text))
    return lines


def read_chat(body: Body) -> list[Line]:
    ids = _Ids()
    lines: list[Line] = []
    for message in body["messages"]:
        text = _texts(message.get("content"), ("text",))
        if message["role"] == "tool":
            lines.append(("result", ids.result(message["tool_call_id"]), text))
        elif not text.startswith("What the tool call "):  # there its pictures follow
            if text:
                role = "system" if message["role"] == "developer" else message["role"]
                lines.append((role, text))
            for call in message.get("tool_calls", ()):
                function = call["function"]
                arguments = json.loads(function["arguments"])
                lines.append(("call", ids.call(call["id"]), function["name"], arguments))
    return lines


def read_responses(body: Body) -> list[Line]:
    ids = _Ids()
    lines: list[Line] = []
    for item in body["input"]:
        match item["type"]:
            case "message":
                text = _texts(item["content"], ("input_text", "output_text"))
                lines.append((item["role"], text))
            case "function_call":
                arguments = json.loads(item["arguments"])
                lines.append(("call", ids.call(item["call_id"]), item["name"], arguments))
            case "function_call_output":
                text = _texts(item["output"], ("input_text",))
                lines.append(("result", ids.result(item["call_id"]), text))
    return lines


def read_ollama(body: Body) -> list[Line]:
    ids = _Ids()
    lines: list[Line] = []
    for message in body["messages"]:
        text = message["content"]
        if message["role"] == "tool":
            lines.append(("result", ids.result(message["tool_call_id"]), text))
            continue
        if text:
            lines.append((message["role"], text))
        for call in message.get("tool_calls", ()):
            function = call["function"]
            lines.append(("call", ids.call(call["id"]), function["name"], function["arguments"]))
    return lines


_OPEN = frozenset({"ollama", "compatible"})
SIDES = [
    Side(
        "anthropic", anthropic.create, "anthropic", "claude-sonnet-4-5", read_anthropic,
        effort="high", keeps=frozenset({"anthropic-newer"}),
    ),
    Side(
        "anthropic-newer", anthropic.create, "anthropic", "claude-opus-4-8", read_anthropic,
        effort="high", keeps=frozenset({"anthropic"}), instructions_follow=True,
    ),
    Side("openai-chat", openai.create, "openai", "gpt-4o", read_chat, {"api": "chat"}),
    Side(
        "openai-responses", openai.create, "openai", "gpt-5", read_responses,
        {"api": "responses"}, effort="low",
    ),
    Side(
        "openai-responses-elsewhere", openai.create, "openai", "gpt-5", read_responses,
        {"api": "responses"}, effort="low",
    ),
    Side("ollama", ollama.create, "ollama", "qwen3.5", read_ollama, effort="medium", keeps=_OPEN),
    Side(
        "compatible", openai_compatible.create, "compatible", "deepseek-reasoner", read_chat,
        {"reasoning_field": "reasoning_content", "reasoning": True, "images": True},
        effort="medium", keeps=_OPEN,
    ),
]  # fmt: skip
BY_NAME = {side.name: side for side in SIDES}
sides = pytest.mark.parametrize("there", SIDES, ids=lambda side: side.name)
origins = pytest.mark.parametrize("origin", SIDES, ids=lambda side: side.name)


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as running:
        yield running


@contextlib.asynccontextmanager
async def opened(simulated: SimulatedProviders, *chosen: Side) -> AsyncIterator[list[Provider]]:
    async with contextlib.AsyncExitStack() as stack:
        providers = []
        for side in chosen:
            provider = side.create(
                ProviderSettings(
                    name=side.name,
                    plugin=side.simulated,
                    api_key=None if side.simulated == "ollama" else Secret("sk-test"),
                    base_url=simulated[side.simulated].base_url,
                    options=side.options,
                )
            )
            stack.push_async_callback(provider.aclose)
            providers.append(provider)
        yield providers


async def ask(
    simulated: SimulatedProviders,
    side: Side,
    provider: Provider,
    thread: Thread,
    answer: Answer,
    *,
    streamed: bool = False,
) -> Reply:
    """One turn at one vendor, which must accept what it is sent and be told everything."""
    vendor = simulated[side.simulated]
    vendor.script(answer)
    request = ChatRequest(
        messages=thread.messages, tools=(WEATHER,), reasoning_effort=side.effort, max_tokens=4000
    )
    call = Call(request=request, model=side.model, timeout=10)
    if streamed:
        stream = await provider.stream(call)
        async for _ in stream:
            pass
        reply = stream.snapshot()
        await stream.aclose()
    else:
        reply = await provider.complete(call)
    arrived = vendor.last_request
    assert arrived.refused is None
    validate_request(side.simulated, within_the_types(arrived.body), endpoint=arrived.endpoint)
    sent = side.read(arrived.body)
    if side.instructions_follow:
        assert instructions_last(sent) == instructions_last(thread.lines)
    else:
        assert sent == thread.lines
    raw = arrived.raw.decode()
    assert PIXEL in raw
    assert (SHOWN in raw) == (thread.calls > 0)
    nothing_lost_silently(thread, raw, reply)
    return reply


def instructions_last(lines: list[Line]) -> list[Line]:
    """The lines with each instruction at the end of the user's turn that it belongs to."""
    ordered: list[Line] = []
    waiting: list[Line] = []
    for line in lines:
        if line[0] in {"assistant", "call"}:
            ordered += waiting
            waiting = []
        (waiting if line[0] == "system" else ordered).append(line)
    return ordered + waiting


def within_the_types(body: Body) -> Body:
    """Without the one field that compatible servers have beyond OpenAI's own types."""
    messages = [
        {key: value for key, value in message.items() if key != "reasoning_content"}
        for message in body.get("messages", ())
    ]
    return {**body, "messages": messages} if messages else body


def nothing_lost_silently(thread: Thread, raw: str, reply: Reply) -> None:
    """What a model thought has either gone along or is named in the warnings."""
    for message in thread.messages:
        for part in message.parts:
            if isinstance(part, Reasoning) and not travelled(part, raw):
                assert any("reasoning" in line for line in reply.warnings), reply.warnings


def travelled(part: Reasoning, raw: str) -> bool:
    if part.text:
        return json.dumps(part.text, ensure_ascii=False)[1:-1] in raw
    return part.native is not None and str(part.native.data["encrypted_content"]) in raw


def working(thought: str = "I need the tool.") -> Answer:
    """An answer in the middle of a tool loop, with two calls at once."""
    cities = ({"city": "Oslo"}, {"city": "Ærø \N{SNOWFLAKE}"})
    return Answer(
        reasoning=thought,
        text="I look it up.",
        tool_calls=tuple(Asked(name="weather", arguments=city) for city in cities),
    )


DONE = Answer(reasoning="That is enough.", text="It is cold in Oslo.")


@origins
@sides
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_tool_loop_goes_on_elsewhere(
    simulated: SimulatedProviders, origin: Side, there: Side, streamed: bool
) -> None:
    thread = Thread()
    async with opened(simulated, origin, there) as (first, second):
        begun = await ask(simulated, origin, first, thread, working(), streamed=streamed)
        assert begun.finish_reason == "tool_calls"
        assert len({part.id for part in begun.parts if isinstance(part, ToolCall)}) == 2
        thread.answer(begun)
        ended = await ask(simulated, there, second, thread, DONE, streamed=streamed)
    assert ended.finish_reason == "stop"
    assert "".join(part.text for part in ended.parts if isinstance(part, Text)) == DONE.text
    if origin is there:
        assert not [line for line in ended.warnings if line.startswith(("history", "messages"))]


@origins
@sides
async def test_a_conversation_with_a_loop_behind_it_goes_on_elsewhere(
    simulated: SimulatedProviders, origin: Side, there: Side
) -> None:
    thread = Thread()
    async with opened(simulated, origin, there) as (first, second):
        for answer in (working(), DONE):
            thread.answer(await ask(simulated, origin, first, thread, answer))
        thread.say("system", "Answer in French.")
        thread.say("user", "And tomorrow?")
        thread.answer(await ask(simulated, there, second, thread, working()))
        thread.answer(await ask(simulated, there, second, thread, DONE))
        thread.say("user", "Thanks.")
        # And back again: what went to another vendor and returned is a history of both.
        await ask(simulated, origin, first, thread, DONE)


@origins
@sides
async def test_an_instruction_between_a_result_and_the_answer_stays_there(
    simulated: SimulatedProviders, origin: Side, there: Side
) -> None:
    thread = Thread()
    async with opened(simulated, origin, there) as (first, second):
        thread.answer(await ask(simulated, origin, first, thread, working()))
        thread.say("system", "Hurry.")
        await ask(simulated, there, second, thread, DONE)


@origins
@sides
async def test_reasoning_goes_only_to_who_can_read_it(
    simulated: SimulatedProviders, origin: Side, there: Side
) -> None:
    thread = Thread()
    async with opened(simulated, origin, there) as (first, second):
        thread.answer(await ask(simulated, origin, first, thread, working("A secret thought.")))
        ended = await ask(simulated, there, second, thread, DONE)
    thoughts = [part for part in thread.messages[2].parts if isinstance(part, Reasoning)]
    if origin.name == "openai-chat":
        assert not thoughts
        return
    (thought,) = thoughts
    readable = origin is there or origin.name in there.keeps
    raw = simulated[there.simulated].last_request.raw.decode()
    assert travelled(thought, raw) is readable
    warned = any(line.startswith("history: reasoning") for line in ended.warnings)
    assert warned is not readable


@origins
async def test_own_reasoning_comes_back_unchanged_and_in_its_place(
    simulated: SimulatedProviders, origin: Side
) -> None:
    thread = Thread()
    async with opened(simulated, origin) as (provider,):
        thread.answer(await ask(simulated, origin, provider, thread, working()))
        await ask(simulated, origin, provider, thread, DONE)
    body = simulated[origin.simulated].last_request.body
    if origin.simulated == "anthropic":
        (answer,) = [turn for turn in body["messages"] if turn["role"] == "assistant"]
        assert answer["content"][0]["type"] == "thinking"
        assert answer["content"][0]["signature"]
    elif origin.read is read_responses:
        kinds = [item["type"] for item in body["input"]]
        assert kinds == [
            "message", "message", "reasoning", "message", "function_call", "function_call",
            "function_call_output", "function_call_output",
        ]  # fmt: skip
        assert body["input"][2]["encrypted_content"]
    elif origin.name == "ollama":
        assert body["messages"][2]["thinking"] == "I need the tool."
    elif origin.name == "compatible":
        assert body["messages"][2]["reasoning_content"] == "I need the tool."


@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    turns=st.lists(
        st.tuples(
            st.sampled_from(sorted(BY_NAME)),
            st.sampled_from(["work", "talk"]),
            st.sampled_from(["", "system", "user"]),
            st.booleans(),
        ),
        min_size=2,
        max_size=7,
    )
)
async def test_a_conversation_may_wander_through_all_of_them(
    simulated: SimulatedProviders, turns: list[tuple[str, str, str, bool]]
) -> None:
    thread = Thread()
    names = sorted({name for name, *_ in turns})
    async with opened(simulated, *(BY_NAME[name] for name in names)) as providers:
        by_name = dict(zip(names, providers, strict=True))
        for name, kind, interjection, streamed in turns:
            side = BY_NAME[name]
            answer = working() if kind == "work" else DONE
            reply = await ask(simulated, side, by_name[name], thread, answer, streamed=streamed)
            thread.answer(reply)
            if interjection == "system":
                thread.say("system", "Stay polite.")
            if interjection == "user" or kind == "talk":
                thread.say("user", "Go on.")
