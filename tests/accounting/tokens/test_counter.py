from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import given, settings, strategies as st

from switchgear.accounting.tokens.counter import TokenCounter
from switchgear.accounting.tokens.encodings import EncodingUnavailableError, load_encoding
from switchgear.messages import (
    Audio,
    File,
    Image,
    Message,
    Native,
    NativeBlock,
    Reasoning,
    Text,
    Tool,
    ToolCall,
)
from switchgear.request import ChatRequest, ResponseFormat

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tiktoken import Encoding

T = TypeVar("T")
HELLO = ChatRequest(messages=(Message("user", "Compare Raft and Paxos."),))


def on_its_own_loop(call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a new loop in a thread, out of the way of pytest's own loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, call).result()


@pytest.fixture(scope="module")
def o200k() -> Encoding:
    return load_encoding("o200k_base")


@pytest.fixture(scope="module")
def counter(o200k: Encoding) -> TokenCounter:
    """With its tokenizer loaded."""
    counter = TokenCounter(
        loader=lambda name: o200k if name == "o200k_base" else load_encoding(name)
    )
    on_its_own_loop(counter.load("gpt-4o"))
    return counter


def ask(*parts: Any, **fields: Any) -> ChatRequest:
    return ChatRequest(messages=(Message("user", parts),), **fields)


def bound(counter: TokenCounter, request: ChatRequest, model: str, **options: Any) -> int:
    tokens = counter.upper_bound(request, model, **options)
    assert tokens is not None
    return tokens


# --- tokenizers ---------------------------------------------------------------------------------


def test_the_tables_give_the_published_tokens(o200k: Encoding) -> None:
    assert o200k.encode_ordinary("hello world") == [24912, 2375]
    assert load_encoding("cl100k_base").encode_ordinary("hello world") == [15339, 1917]


def test_loading_touches_neither_the_network_nor_tiktokens_own_loader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import tiktoken.load

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(tiktoken.load, "read_file", refuse)
    assert load_encoding("cl100k_base").n_vocab == 100_277


def test_an_encoding_that_nobody_ships_says_so() -> None:
    with pytest.raises(EncodingUnavailableError):
        load_encoding("p50k_base")
    with pytest.raises(EncodingUnavailableError):
        load_encoding("nothing")


# --- counting -----------------------------------------------------------------------------------


def test_an_estimate_is_there_at_once_and_says_what_it_is() -> None:
    def never(_: str) -> Encoding:
        raise AssertionError("an estimate must not load anything")

    counted = TokenCounter(loader=never).estimate(HELLO, "gpt-4o")
    assert (counted.exact, counted.method) == (False, "characters")
    assert 8 <= counted.tokens <= 20


async def test_counting_uses_the_models_own_tokenizer() -> None:
    counter = TokenCounter()
    counted = await counter.count(HELLO, "gpt-4o")
    assert (counted.exact, counted.method) == (True, "tiktoken:o200k_base")
    assert counter.estimate(HELLO, "gpt-4o") == counted


def test_the_count_is_that_of_openais_cookbook(counter: TokenCounter) -> None:
    """The conversation and the count (124 for gpt-4o) that the cookbook prints."""
    example = "example_user", "example_assistant"
    messages = (
        Message(
            "system",
            "You are a helpful, pattern-following assistant that translates corporate jargon "
            "into plain English.",
        ),
        Message("system", "New synergies will help drive top-line growth.", name=example[0]),
        Message("system", "Things working well together will increase revenue.", name=example[1]),
        Message(
            "system",
            "Let's circle back when we have more bandwidth to touch base on opportunities for "
            "increased leverage.",
            name=example[0],
        ),
        Message(
            "system",
            "Let's talk later when we're less busy about how to do better.",
            name=example[1],
        ),
        Message(
            "user",
            "This late pivot means we don't have time to boil the ocean for the client "
            "deliverable.",
        ),
    )
    counted = counter.estimate(ChatRequest(messages=messages), "gpt-4o")
    assert (counted.tokens, counted.exact) == (124, True)


def test_the_count_of_tools_is_that_of_openais_cookbook(counter: TokenCounter) -> None:
    """The tool and the count (101 for gpt-4o) that the cookbook prints."""
    weather = Tool(
        "get_current_weather",
        "Get the current weather in a given location",
        {
            "type": "object",
            "properties": {
                "location": {
                    "type": "string",
                    "description": "The city and state, e.g. San Francisco, CA",
                },
                "unit": {
                    "type": "string",
                    "description": "The unit of temperature to return",
                    "enum": ["celsius", "fahrenheit"],
                },
            },
            "required": ["location"],
        },
    )
    messages = (
        Message(
            "system", "You are a helpful assistant that can answer to questions about the weather."
        ),
        Message("user", "What's the weather like in San Francisco?"),
    )
    request = ChatRequest(messages=messages, tools=(weather,))
    assert counter.estimate(request, "gpt-4o").tokens == 101


@pytest.mark.parametrize("model", ["gpt-6-sol", "o3", "gpt-5.5"])
def test_models_without_published_overheads_are_counted_but_not_called_exact(
    counter: TokenCounter, model: str
) -> None:
    counted = counter.estimate(HELLO, model)
    assert (counted.exact, counted.method) == (False, "tiktoken:o200k_base")


@pytest.mark.parametrize("model", ["claude-opus-5-5", "llama3", "mistral-large"])
async def test_other_vendors_models_are_estimated(counter: TokenCounter, model: str) -> None:
    assert not await counter.load(model)
    counted = await counter.count(HELLO, model)
    assert (counted.exact, counted.method) == (False, "characters")


@pytest.mark.parametrize(
    "text",
    [
        "The dispatcher picks a provider, survives its outages and books the cost to a project. ",
        "def settle(row: Row) -> None:\n    ledger.append(row)\n    reservations.release(row.id)\n",
        "Электрический щит защищает цепь от перегрузки и короткого замыкания. ",
        "电气开关设备是保护电路的断路器、开关和仪表柜。",
        "دوائر الحماية تفصل التيار عند الحمل الزائد. ",
    ],
)
def test_the_guess_by_characters_is_in_the_right_region(o200k: Encoding, text: str) -> None:
    request = ask(Text(text * 20))
    guess = TokenCounter().estimate(request, "some-model").tokens
    true = len(o200k.encode_ordinary(text * 20))
    assert 0.6 * true <= guess <= 1.6 * true


class Watched:
    """An encoding that remembers on which threads it was used, and for texts of what length."""

    def __init__(self, encoding: Encoding) -> None:
        self.name = encoding.name
        self.used: list[tuple[int, int]] = []
        self._encoding = encoding

    def encode_ordinary(self, text: str) -> list[int]:
        self.used.append((threading.get_ident(), len(text)))
        return self._encoding.encode_ordinary(text)


LONG = "word " * 10_000


def long_requests() -> list[ChatRequest]:
    """Each of them long in another place."""
    schema = {"type": "object", "properties": {"a": {"description": LONG}}}
    call = ToolCall("c1", "save", json.dumps({"text": LONG}))
    return [
        ask(Text(LONG)),
        ChatRequest(messages=(Message("user", LONG),)),
        ChatRequest(messages=(Message("user", "word " * 500),) * 10),
        ChatRequest(messages=(Message("assistant", (call,)),)),
        ask(Text("hello"), tools=(Tool("save", "Saves.", schema),)),
        ask(Text("hello"), tools=(Tool("save", LONG),)),
        ask(Text("hello"), response_format=ResponseFormat("schema", schema=schema)),
        ask(Reasoning(LONG)),
        ask(NativeBlock(Native("x", {"text": LONG}))),
        ask(File(base64.b64encode(LONG.encode()).decode(), "text/plain")),
    ]


async def watched_counter(o200k: Encoding) -> tuple[TokenCounter, Watched]:
    watched = Watched(o200k)
    counter = TokenCounter(loader=lambda _: watched)  # type: ignore[arg-type, return-value]
    await counter.load("gpt-4o")
    return counter, watched


@pytest.mark.parametrize("request_", long_requests(), ids=range(len(long_requests())))
async def test_what_is_long_is_never_tokenized_on_the_loop(
    o200k: Encoding, request_: ChatRequest
) -> None:
    counter, watched = await watched_counter(o200k)
    assert counter.estimate(request_, "gpt-4o").method == "characters"
    assert counter.estimate_text(LONG, "gpt-4o") > 0
    counter.learn("gpt-4o", request_, 12_000)
    assert counter.upper_bound(request_, "gpt-4o", context_window=128_000) is not None
    assert watched.used == []
    assert not counter.is_quick(request_)

    counted = await counter.count(request_, "gpt-4o")
    assert counted.method == "tiktoken:o200k_base"
    assert threading.get_ident() not in {thread for thread, _ in watched.used}


async def test_what_is_short_is_tokenized_at_once(o200k: Encoding) -> None:
    counter, watched = await watched_counter(o200k)
    assert counter.is_quick(HELLO)
    assert counter.estimate(HELLO, "gpt-4o").exact
    assert {thread for thread, _ in watched.used} == {threading.get_ident()}


async def test_a_very_long_text_goes_through_the_tokenizer_in_slices(o200k: Encoding) -> None:
    """The time that one long word takes grows faster than the word."""
    counter, watched = await watched_counter(o200k)
    request = ask(Text("a" * 450_000))
    counted = await counter.count(request, "gpt-4o")
    assert max(length for _, length in watched.used) <= 100_000
    assert not counted.exact
    assert counted.tokens == pytest.approx(len(o200k.encode_ordinary("a" * 450_000)), rel=0.01)
    watched.used.clear()
    assert bound(counter, request, "gpt-4o", exact=True) >= 450_000, "by bytes, without slices"
    assert max((length for _, length in watched.used), default=0) <= 100_000


# --- loading ------------------------------------------------------------------------------------


class Gate:
    """A loader that waits until it is let go."""

    def __init__(self, o200k: Encoding) -> None:
        self.open = threading.Event()
        self.calls = 0
        self.thread = 0
        self._encoding = o200k

    def __call__(self, name: str) -> Encoding:
        self.calls += 1
        self.thread = threading.get_ident()
        assert self.open.wait(10)
        return self._encoding


async def test_many_callers_load_once_and_off_the_loop(o200k: Encoding) -> None:
    gate = Gate(o200k)
    counter = TokenCounter(loader=gate)
    calls = [asyncio.create_task(counter.count(HELLO, "gpt-4o")) for _ in range(20)]
    await asyncio.sleep(0)
    assert not counter.estimate(HELLO, "gpt-4o").exact, "until then, an estimate"
    gate.open.set()
    assert all(counted.exact for counted in await asyncio.gather(*calls))
    assert gate.calls == 1
    assert gate.thread != threading.get_ident()


async def test_a_cancelled_caller_leaves_the_loading_to_the_others(o200k: Encoding) -> None:
    gate = Gate(o200k)
    counter = TokenCounter(loader=gate)
    impatient = asyncio.create_task(counter.count(HELLO, "gpt-4o"))
    patient = asyncio.create_task(counter.count(HELLO, "gpt-4o"))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    gate.open.set()
    assert (await patient).exact
    assert gate.calls == 1


async def test_without_tables_counting_goes_on_by_estimate() -> None:
    def broken(name: str) -> Encoding:
        raise EncodingUnavailableError(name)

    counter = TokenCounter(loader=broken)
    assert not await counter.load("gpt-4o")
    assert (await counter.count(HELLO, "gpt-4o")).method == "characters"


def test_one_counter_serves_loop_after_loop(o200k: Encoding) -> None:
    counter = TokenCounter(loader=lambda _: o200k)
    first = on_its_own_loop(counter.count(HELLO, "gpt-4o"))
    assert on_its_own_loop(counter.count(HELLO, "gpt-4o")) == first


# --- bounds -------------------------------------------------------------------------------------

texts = st.text(max_size=200)
schemas = st.dictionaries(
    st.text(min_size=1, max_size=10),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "integer"])},
        optional={"description": texts, "enum": st.lists(st.text(max_size=8), max_size=4)},
    ),
    max_size=4,
)
tools = st.builds(
    lambda name, about, properties: Tool(name, about, {"type": "object", "properties": properties}),
    st.text(min_size=1, max_size=20),
    texts,
    schemas,
)
parts = st.one_of(
    st.builds(Text, texts),
    st.builds(ToolCall, st.text(max_size=20), st.text(max_size=20), texts),
    st.builds(Reasoning, texts),
    st.builds(lambda t: NativeBlock(Native("x", {"text": t})), texts),
    st.builds(
        Image,
        url=st.just("https://example.org/a.png"),
        detail=st.sampled_from([None, "low", "high", "original"]),
    ),
    st.builds(lambda raw: Audio(base64.b64encode(raw).decode(), "wav"), st.binary(max_size=500)),
    st.builds(
        lambda raw: File(base64.b64encode(raw).decode(), "text/plain"), st.binary(max_size=200)
    ),
)
messages = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant"]),
    st.one_of(texts, st.lists(parts, max_size=4).map(tuple)),
    name=st.one_of(st.none(), st.text(max_size=20)),
)
requests = st.builds(
    lambda said, with_tools, schema: ChatRequest(
        messages=tuple(said),
        tools=tuple(with_tools),
        response_format=None
        if schema is None
        else ResponseFormat("schema", schema={"properties": schema}),
    ),
    st.lists(messages, min_size=1, max_size=4),
    st.lists(tools, max_size=2),
    st.one_of(st.none(), schemas),
)


@settings(deadline=None)
@given(
    requests, st.sampled_from(["gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-6-sol", "claude-opus-5-5"])
)
def test_a_bound_is_never_below_the_count(
    counter: TokenCounter, request_: ChatRequest, model: str
) -> None:
    estimate = counter.estimate(request_, model).tokens
    window = 10_000_000
    assert bound(counter, request_, model, context_window=window) >= estimate
    assert bound(counter, request_, model, context_window=window, exact=True) >= estimate


@settings(deadline=None)
@given(st.text(max_size=2000))
def test_a_text_has_no_more_tokens_than_bytes(o200k: Encoding, text: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    assert len(o200k.encode_ordinary(text)) <= size
    assert bound(TokenCounter(), ask(Text(text)), "claude-opus-5-5") >= size


def test_a_tokenizer_makes_the_bound_tight(counter: TokenCounter) -> None:
    request = ask(Text("The quick brown fox jumps over the lazy dog. " * 500))
    count = counter.estimate(request, "gpt-4o").tokens
    assert bound(counter, request, "gpt-4o", exact=True) < 1.03 * count + 300
    assert bound(counter, request, "gpt-4o") > 3 * count, "by bytes unless asked for"
    assert bound(counter, request, "gpt-6-sol", exact=True) > 3 * count, (
        "nobody published its tokenizer"
    )


def test_what_can_not_be_seen_is_bounded_by_the_context_window_alone(
    counter: TokenCounter,
) -> None:
    pdf = ask(File(base64.b64encode(b"%PDF-1.7").decode(), "application/pdf"))
    link = ask(File(url="https://example.org/a.txt", media_type="text/plain"))
    for request in (pdf, link):
        assert counter.upper_bound(request, "gpt-4o") is None
        assert counter.upper_bound(request, "gpt-4o", context_window=128_000) == 128_000


def test_a_prompt_is_never_longer_than_its_window(counter: TokenCounter) -> None:
    long = ask(Text("x" * 1_000_000))
    assert counter.upper_bound(long, "claude-opus-5-5", context_window=200_000) == 200_000


def test_a_vendors_own_tool_has_no_bound(counter: TokenCounter) -> None:
    search = Tool("web_search", native=Native("anthropic", {"type": "web_search_20250305"}))
    request = ask(Text("Who won?"), tools=(search,))
    assert counter.upper_bound(request, "claude-opus-5-5", context_window=200_000) is None


# --- images and sound ---------------------------------------------------------------------------


def png(width: int, height: int) -> str:
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    return base64.b64encode(head + b"\0" * 20).decode()


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        # The examples of OpenAI's guide.
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        # And of Anthropic's: 1092 by 1092 pixels are about 1590 tokens, at most 1568 today.
        ("claude-haiku-4-5", (1092, 1092), None, 1521),
        ("claude-opus-5-5", (100_000, 100_000), None, 4784),
    ],
)
def test_images_cost_what_the_guides_say(
    counter: TokenCounter, model: str, size: tuple[int, int], detail: Any, tokens: int
) -> None:
    image = Image(data=png(*size), media_type="image/png", detail=detail)
    without = counter.estimate(ask(Text("")), model).tokens
    assert counter.estimate(ask(Text(""), image), model).tokens - without == tokens


def test_an_image_that_is_not_here_counts_at_its_maximum(counter: TokenCounter) -> None:
    from switchgear.accounting.tokens.images import image_tokens

    assert image_tokens(Image(url="https://example.org/a.png"), "gpt-4o") == 85 + 8 * 170


def test_ten_tokens_a_second_of_sound(counter: TokenCounter) -> None:
    rate = 16_000
    head = (
        b"RIFF"
        + struct.pack("<I", 36)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 8000, rate, 2, 16)
    )
    sound = Audio(base64.b64encode(head + b"\0" * (3 * rate)).decode(), "wav")
    without = counter.estimate(ask(Text("")), "gpt-audio").tokens
    assert 30 <= counter.estimate(ask(Text(""), sound), "gpt-audio").tokens - without <= 31
