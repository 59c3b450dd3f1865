"""LiteLLM as a provider: answers, tools, histories, and what is kept off."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import gc
import sys
from decimal import Decimal
from typing import Any

import pytest

from switchgear.credentials import Secret
from switchgear.errors import (
    AuthenticationError,
    ConfigError,
    InvalidRequestError,
    LifecycleError,
    UnsupportedParameterError,
)
from switchgear.messages import (
    File,
    Image,
    Message,
    Native,
    Reasoning,
    Text,
    Tool,
    ToolCall as Called,
    ToolChoice,
)
from switchgear.providers import anthropic, ollama, openai
from switchgear.providers.base import Embeds, Provider, ProviderSettings
from switchgear.providers.litellm import create
from switchgear.request import ResponseFormat
from switchgear.testing import Answer, SimulatedProviders, TokenUsage, ToolCall
from tests.providers.litellm_support import (
    KEY,
    MODELS,
    VENDORS,
    call,
    embed_call,
    opened,
    settings,
)

pytestmark = pytest.mark.xdist_group("litellm")

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
TOOL = Tool("add", "Adds.", SCHEMA)


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", VENDORS)
async def test_a_stream_says_what_the_whole_answer_says(
    kind: str, simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers[kind]
    simulated.always(
        Answer(text="Hello, you two.", usage=TokenUsage(input_tokens=100, output_tokens=7))
    )
    async with opened(simulated) as provider:
        whole = await provider.complete(call(model=MODELS[kind], max_tokens=50))
        stream = await provider.stream(call(model=MODELS[kind], max_tokens=50))
        texts = [event.text async for event in stream]
        same = stream.snapshot()
    assert stream.finished
    assert len(texts) > 1
    assert "".join(texts) == "Hello, you two."
    for reply in (whole, same):
        assert reply.parts == (Text("Hello, you two."),)
        assert reply.finish_reason == "stop"
        assert reply.usage is not None
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (100, 7)
        assert not reply.usage.estimated
        assert reply.model.startswith(MODELS[kind])
        assert reply.warnings == ()
        assert reply.meta.request_id or kind == "ollama"
    assert whole.body


@pytest.mark.parametrize("kind", VENDORS)
async def test_tools_are_called_and_answered(
    kind: str, simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers[kind]
    asked = (Message("user", "1 and 2?"),)
    async with opened(simulated) as provider:
        for streamed in (False, True):
            simulated.script(Answer(tool_calls=(ToolCall(name="add", arguments={"n": 1}),)))
            request = call(*asked, model=MODELS[kind], tools=(TOOL,))
            if streamed:
                stream = await provider.stream(request)
                pieces = [event.tool_call async for event in stream]
                reply = stream.snapshot()
                written = "".join(piece.arguments for piece in pieces if piece is not None)
                assert written.replace(" ", "") == '{"n":1}'
            else:
                reply = await provider.complete(request)
            assert reply.finish_reason == "tool_calls"
            (called,) = reply.parts
            assert isinstance(called, Called)
            assert called.name == "add"
            assert called.arguments.replace(" ", "") == '{"n":1}'
            simulated.script(Answer(text="3"))
            result = Message("tool", "3", tool_call_id=called.id)
            history = (*asked, Message("assistant", reply.parts), result)
            last = await provider.complete(call(*history, model=MODELS[kind], tools=(TOOL,)))
            assert last.parts == (Text("3"),)


async def test_the_cache_is_counted_inside_the_prompt(
    simulated_providers: SimulatedProviders,
) -> None:
    usage = TokenUsage(
        input_tokens=100,
        output_tokens=9,
        cache_read_tokens=30,
        cache_write_tokens=20,
        cache_write_1h_tokens=5,
        reasoning_tokens=3,
    )
    simulated = simulated_providers.anthropic
    simulated.always(Answer(text="Hi", usage=usage))
    async with opened(simulated) as provider:
        whole = await provider.complete(call(reasoning_effort="low", max_tokens=3000))
        stream = await provider.stream(call(reasoning_effort="low", max_tokens=3000))
        async for _ in stream:
            pass
    assert whole.usage == stream.snapshot().usage
    counted = whole.usage
    assert counted is not None
    assert counted.input_tokens == 100
    assert counted.cache_read_tokens == 30
    assert counted.cache_write_tokens == 25
    assert counted.cache_write_1h_tokens == 5
    assert (counted.output_tokens, counted.reasoning_tokens) == (9, 3)
    assert not counted.estimated
    assert whole.tier == stream.snapshot().tier == "standard"


@pytest.mark.parametrize("kind", ["openai", "azure", "ollama"])
async def test_usage_that_nobody_told_is_not_made_up(
    kind: str, simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers[kind]
    simulated.always(Answer(text="Hi", send_usage=False))
    async with opened(simulated) as provider:
        whole = await provider.complete(call(model=MODELS[kind]))
        stream = await provider.stream(call(model=MODELS[kind]))
        async for _ in stream:
            pass
    assert whole.usage is stream.snapshot().usage is None
    assert whole.stated_cost is stream.snapshot().stated_cost is None


async def test_litellms_word_for_the_cost_is_passed_on(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated = simulated_providers.openai
    usage = TokenUsage(input_tokens=1000, output_tokens=100)
    simulated.always(Answer(text="Hi", usage=usage))
    async with opened(simulated) as provider:
        whole = await provider.complete(call(model="gpt-4o"))
        stream = await provider.stream(call(model="gpt-4o"))
        async for _ in stream:
            pass
        unknown = await provider.complete(call(model="gpt-9-acme"))
    assert whole.stated_cost == stream.snapshot().stated_cost == Decimal("0.0035")
    assert unknown.stated_cost is None


@pytest.mark.parametrize(
    ("word", "reason"),
    [("length", "length"), ("refusal", "refusal"), ("pause", "pause"), ("stop_sequence", "stop")],
)
async def test_claudes_own_stop_reason_survives(
    word: str, reason: str, simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers.anthropic
    simulated.always(Answer(text="Hm", stop_reason=word))
    async with opened(simulated) as provider:
        whole = await provider.complete(call())
        stream = await provider.stream(call())
        async for _ in stream:
            pass
    for reply in (whole, stream.snapshot()):
        assert reply.finish_reason == reason
        assert reply.native_finish_reason not in {None, "content_filter"}


@pytest.mark.parametrize("kind", VENDORS)
async def test_an_answer_keeps_to_a_schema(
    kind: str, simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers[kind]
    simulated.always(Answer(text='{"n": 1}'))
    wanted = ResponseFormat("schema", "number", SCHEMA)
    async with opened(simulated) as provider:
        reply = await provider.complete(call(model=MODELS[kind], response_format=wanted))
    assert reply.parts == (Text('{"n": 1}'),)
    assert '"n"' in str(simulated.last_request.body).replace("'", '"')


async def test_reasoning_with_tools_goes_by_openais_responses(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated = simulated_providers.openai
    simulated.always(Answer(tool_calls=(ToolCall(name="add", arguments={"n": 1}),)))
    request = call(model="gpt-5.4", tools=(TOOL,), reasoning_effort="low")
    async with opened(simulated) as provider:
        whole = await provider.complete(request)
        stream = await provider.stream(request)
        async for _ in stream:
            pass
    assert {request.path for request in simulated.requests} == {"/v1/responses"}
    for reply in (whole, stream.snapshot()):
        assert reply.finish_reason == "tool_calls"
        assert [type(part) for part in reply.parts] == [Called]
        assert reply.meta.request_id
    assert whole.usage == stream.snapshot().usage


@pytest.mark.parametrize("kind", ["openai", "azure", "ollama"])
async def test_texts_become_vectors(kind: str, simulated_providers: SimulatedProviders) -> None:
    simulated = simulated_providers[kind]
    simulated.always(Answer(embeddings=((0.25, 0.5), (1.0, 2.0))))
    async with opened(simulated) as provider:
        assert isinstance(provider, Embeds)
        found = await provider.embed(embed_call("a", "b"))
    assert found.vectors == ((0.25, 0.5), (1.0, 2.0))
    assert found.model == "text-embedding-3-small"
    assert found.usage is not None


# --- histories ------------------------------------------------------------------------------------


@pytest.mark.parametrize("redacted", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
async def test_signed_thinking_moves_between_litellm_and_our_own_adapter(
    streamed: bool, redacted: bool, simulated_providers: SimulatedProviders
) -> None:
    """The simulated server refuses a signature that is not its own."""
    simulated = simulated_providers.anthropic
    fields: dict[str, Any] = {"tools": (TOOL,), "reasoning_effort": "low", "max_tokens": 3000}
    own = anthropic.create(
        ProviderSettings(
            name="own",
            plugin="anthropic",
            api_key=Secret(KEY),
            base_url=simulated.base_url,
        )
    )
    async with opened(simulated) as lite:
        for first, second in ((lite, own), (own, lite), (lite, lite)):
            simulated.script(
                Answer(
                    reasoning="Let me think.",
                    redacted_reasoning=redacted,
                    tool_calls=(ToolCall(name="add", arguments={"n": 1}),),
                ),
                Answer(text="3"),
            )
            asked = Message("user", "1 and 2?")
            if streamed:
                stream = await first.stream(call(asked, **fields))
                async for _ in stream:
                    pass
                reply = stream.snapshot()
                await stream.aclose()
            else:
                reply = await first.complete(call(asked, **fields))
            thought, called = reply.parts
            assert isinstance(thought, Reasoning)
            assert isinstance(called, Called)
            assert thought.text == ("" if redacted else "Let me think.")
            assert thought.native is not None
            assert thought.native.author == "anthropic"
            result = Message("tool", "3", tool_call_id=called.id)
            history = (asked, Message("assistant", reply.parts), result)
            last = await second.complete(call(*history, **fields))
            assert last.warnings == ()
            blocks = simulated.last_request.body["messages"][1]["content"]
            assert blocks[0]["type"] == ("redacted_thinking" if redacted else "thinking")
    await own.aclose()


async def test_another_vendors_thoughts_are_left_out_with_a_warning(
    simulated_providers: SimulatedProviders,
) -> None:
    thought = Reasoning("Hm", Native("openai-responses/openai", {"id": "rs_1"}))
    history = (
        Message("user", "Hi"),
        Message("assistant", (thought, Text("Hello"), Called("call|1", "add", '{"n":1}'))),
        Message("tool", "2", tool_call_id="call|1"),
        Message("user", "And?"),
    )
    for kind in VENDORS:
        async with opened(simulated_providers[kind]) as provider:
            reply = await provider.complete(call(*history, model=MODELS[kind], tools=(TOOL,)))
        assert reply.warnings == (
            "history: reasoning of openai-responses/openai left out: only its author can read it",
        )


async def test_marks_for_the_prompts_cache_reach_claude(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated = simulated_providers.anthropic
    messages = (
        Message("system", (Text("Be good.", cache="1h"),)),
        Message("user", "Hi"),
        Message("assistant", (Text("Hello.", cache="5m"),)),
        Message("user", (Text("And?", cache="5m"),)),
    )
    tool = Tool("add", "Adds.", SCHEMA, cache="1h")
    async with opened(simulated) as provider:
        reply = await provider.complete(call(*messages, tools=(tool,)))
    assert reply.warnings == ()
    body = simulated.last_request.body
    assert body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    for message in body["messages"][1:]:
        assert message["content"][0]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize("kind", ["anthropic", "openai", "azure"])
async def test_pictures_and_documents_are_sent(
    kind: str, simulated_providers: SimulatedProviders
) -> None:
    simulated = simulated_providers[kind]
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    pdf = base64.b64encode(b"%PDF-1.4").decode()
    parts = (
        Text("What is it?"),
        Image(data=png, media_type="image/png"),
        File(data=pdf, media_type="application/pdf", filename="a.pdf"),
    )
    async with opened(simulated) as provider:
        reply = await provider.complete(call(Message("user", parts), model=MODELS[kind]))
    assert reply.warnings == ()
    sent = str(simulated.last_request.body)
    assert png in sent
    assert pdf in sent


# --- what a model can do, and what becomes of the rest --------------------------------------------


@pytest.mark.parametrize(
    ("vendor", "factory", "model"),
    [
        ("anthropic", anthropic.create, "claude-opus-4-6"),
        ("ollama_chat", ollama.create, "qwen3:8b"),
        ("openai", openai.create, "gpt-4o"),
    ],
)
def test_what_our_own_adapters_know_holds_here_too(vendor: str, factory: Any, model: str) -> None:
    lite = create(ProviderSettings(name="a", plugin="litellm", options={"vendor": vendor}))
    own = factory(ProviderSettings(name="b", plugin=vendor))
    mine, its = lite.capabilities(model), own.capabilities(model)
    assert mine == its
    named = create(ProviderSettings(name="a", plugin="litellm"))
    assert named.capabilities(f"{vendor}/{model}") == its


def test_a_vendor_that_is_not_ours_can_do_what_the_table_says() -> None:
    lite = create(
        ProviderSettings(
            name="a",
            plugin="litellm",
            options={"vendor": "groq", "images": True, "schema": "tool", "context_window": 8192},
            models={"llama-4": {"reasoning": True}},
        )
    )
    assert isinstance(lite, Provider)
    known = lite.capabilities("llama-4")
    assert known.images
    assert known.reasoning
    assert known.schema == "tool"
    assert known.context_window == 8192
    assert not lite.capabilities("other").reasoning
    assert not lite.capabilities("other").files
    assert lite.client is None


async def test_a_knob_that_the_vendor_lacks_is_dropped_with_a_warning_or_refused(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated = simulated_providers.anthropic
    # The table claims more than LiteLLM can express.
    knobs = ["temperature", "seed"]
    async with opened(simulated, sampling=knobs, schema="native") as provider:
        reply = await provider.complete(call(temperature=0.5, seed=7))
        assert reply.warnings == ("seed: left out: LiteLLM has no seed for claude-sonnet-4-5",)
        assert simulated.last_request.body["temperature"] == 0.5
        with pytest.raises(UnsupportedParameterError) as caught:
            await provider.complete(call(seed=7, unsupported="raise"))
    assert caught.value.param == "seed"
    assert len(simulated.requests) == 1


async def test_claudes_longest_answer_is_our_own_default(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated = simulated_providers.anthropic
    async with opened(simulated) as provider:
        await provider.complete(call())
        await provider.complete(call(max_tokens=77))
    assert [request.body["max_tokens"] for request in simulated.requests] == [16_384, 77]


async def test_a_tool_can_be_demanded(simulated_providers: SimulatedProviders) -> None:
    simulated = simulated_providers.anthropic
    async with opened(simulated) as provider:
        choice = ToolChoice("required", "add")
        await provider.complete(call(tools=(TOOL,), tool_choice=choice))
    assert simulated.last_request.body["tool_choice"] == {"type": "tool", "name": "add"}


# --- the table and the call -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"params": {"num_retries": 3}}, "params.num_retries"),
        ({"params": {"fallbacks": ["openai/gpt-4o"]}}, "params.fallbacks"),
        ({"params": {"caching": True}}, "params.caching"),
        ({"params": {"success_callback": ["langfuse"]}}, "params.success_callback"),
        ({"params": {"mock_response": "hi"}}, "params.mock_response"),
        ({"params": {"drop_params": True}}, "params.drop_params"),
        ({"params": {"api_key": "sk-1"}}, "params.api_key"),
        ({"params": {"litellm_logging_obj": None}}, "params.litellm_logging_obj"),
        ({"vendr": "groq"}, "vendr"),
    ],
)
def test_what_would_turn_litellms_own_machinery_on_is_refused(
    options: dict[str, Any], param: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        create(ProviderSettings(name="lite", plugin="litellm", options=options))
    assert caught.value.param == f"providers.lite.{param}"


async def test_a_call_brings_its_own_key_headers_and_fields(
    simulated_providers: SimulatedProviders,
) -> None:
    for kind in VENDORS:
        simulated = simulated_providers[kind]
        async with opened(simulated, headers={"X-Team": "a"}) as provider:
            for stream in (False, True):
                request = call(
                    model=MODELS[kind],
                    credential=Secret("sk-of-the-call"),
                    headers={"X-Run": "7"},
                    extra={"top_p": 0.5},
                )
                if stream:
                    opened_stream = await provider.stream(request)
                    await opened_stream.aclose()
                else:
                    await provider.complete(request)
                sent = simulated.last_request
                assert "sk-of-the-call" in str(dict(sent.headers))
                assert KEY not in str(dict(sent.headers))
                assert (sent.headers["x-team"], sent.headers["x-run"]) == ("a", "7")
                assert "0.5" in str(sent.body)


@pytest.mark.parametrize("name", ["mock_response", "fallbacks", "api_base", "num_retries", "cache"])
async def test_a_call_can_not_turn_it_on_either(
    name: str, simulated_providers: SimulatedProviders
) -> None:
    async with opened(simulated_providers.openai) as provider:
        with pytest.raises(InvalidRequestError) as caught:
            await provider.complete(call(model="gpt-4o", extra={name: "x"}))
    assert caught.value.param == f"extra.{name}"
    assert simulated_providers.requests == []


async def test_openais_key_is_never_sent_to_another_vendor(
    simulated_providers: SimulatedProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.delenv("PERPLEXITYAI_API_KEY", raising=False)
    monkeypatch.delenv("PERPLEXITY_API_KEY", raising=False)
    made = ProviderSettings(
        name="lite",
        plugin="litellm",
        base_url=simulated_providers.compatible.base_url,
        options={"vendor": "perplexity"},
    )
    provider = create(made)
    with pytest.raises(AuthenticationError, match=r"providers\.lite\.api_key"):
        await provider.complete(call(model="sonar"))
    await provider.aclose()
    assert simulated_providers.requests == []


# --- living together ------------------------------------------------------------------------------


async def test_other_code_that_uses_litellm_notices_nothing(
    simulated_providers: SimulatedProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = simulated_providers.openai
    told: list[str] = []
    async with opened(simulated) as provider:
        await provider.complete(call(model="gpt-4o"))
        litellm = sys.modules["litellm"]
        monkeypatch.setattr(litellm, "success_callback", [lambda *_: told.append("success")])
        monkeypatch.setattr(litellm, "failure_callback", [lambda *_: told.append("failure")])
        monkeypatch.setattr(litellm, "input_callback", [lambda *_: told.append("input")])
        cached = dict(litellm.in_memory_llm_clients_cache.cache_dict)
        await provider.complete(call(model="gpt-4o"))
        stream = await provider.stream(call(model="gpt-4o"))
        async for _ in stream:
            pass
        await stream.aclose()
        with pytest.raises(InvalidRequestError):
            await provider.complete(call(model="gpt-4o", extra={"temperature": "hot"}))
        assert dict(litellm.in_memory_llm_clients_cache.cache_dict) == cached
        assert litellm.num_retries is None
        worker = sys.modules["litellm.litellm_core_utils.logging_worker"].GLOBAL_LOGGING_WORKER
        assert worker._worker_task is None
        # Its own calls are cached as ever.
        litellm.in_memory_llm_clients_cache.set_cache("theirs", "client")
        assert litellm.in_memory_llm_clients_cache.get_cache("theirs") == "client"
    assert told == []


async def test_hooks_and_a_cache_of_other_code_see_none_of_our_calls(
    simulated_providers: SimulatedProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = simulated_providers.openai
    told: list[str] = []
    async with opened(simulated) as provider:
        await provider.complete(call(model="gpt-4o"))
        litellm = sys.modules["litellm"]
        from litellm.caching.caching import Cache
        from litellm.integrations.custom_logger import CustomLogger

        class Hook(CustomLogger):
            def __getattribute__(self, name: str) -> Any:
                # Those of agentic loops stand in the adapters themselves.
                if name.startswith(("async_", "log_")) and "agentic" not in name:
                    told.append(name)
                return super().__getattribute__(name)

        monkeypatch.setattr(litellm, "callbacks", [Hook()])
        monkeypatch.setattr(litellm, "cache", Cache())
        monkeypatch.setattr(litellm, "max_budget", 1e-9)
        monkeypatch.setattr(litellm, "_current_cost", 1)
        asked = len(simulated.requests)
        await provider.complete(call(model="gpt-4o"))
        await provider.complete(call(model="gpt-4o"))
        assert len(simulated.requests) == asked + 2
        stream = await provider.stream(call(model="gpt-4o"))
        async for _ in stream:
            pass
        await stream.aclose()
        with pytest.raises(InvalidRequestError):
            await provider.complete(call(model="gpt-4o", extra={"temperature": "hot"}))
    assert told == []


async def test_two_providers_and_many_calls_at_once_do_not_meet(
    simulated_providers: SimulatedProviders,
) -> None:
    def echo(request: Any) -> Answer:
        return Answer(text=f"{request.model}: {request.body['messages'][-1]['content']}")

    simulated_providers.openai.handler = echo
    simulated_providers.azure.handler = echo
    async with (
        opened(simulated_providers.openai) as one,
        opened(simulated_providers.azure) as other,
    ):
        providers: list[Provider] = [one, other]

        async def ask(number: int) -> str:
            asked = call(Message("user", f"<{number}>"), model=("gpt-4o", "gpt-4.1")[number % 2])
            if number % 3:
                return (await providers[number % 2].complete(asked)).parts[0].text  # type: ignore[union-attr]
            stream = await providers[number % 2].stream(asked)
            return "".join([event.text async for event in stream])

        answers = await asyncio.gather(*(ask(number) for number in range(12)))
    assert answers == [f"{('gpt-4o', 'gpt-4.1')[n % 2]}: <{n}>" for n in range(12)]


@pytest.mark.parametrize(
    ("kind", "model"),
    [("openai", "gpt-4o"), ("openai", "gpt-5.4"), ("anthropic", MODELS["anthropic"])],
)
async def test_what_is_collected_sets_no_context_variable(
    kind: str, model: str, simulated_providers: SimulatedProviders
) -> None:
    """Python crashes where a finalizer does that while another variable is being set."""
    simulated = simulated_providers[kind]
    async with opened(simulated) as provider:
        request = call(model=model, tools=(TOOL,), reasoning_effort="low", max_tokens=3000)
        before = {variable.name for variable in contextvars.copy_context()}
        for _ in range(3):
            stream = await provider.stream(request)
            await anext(stream)
            await stream.aclose()
            del stream
            await provider.complete(request)
        gc.collect()
        assert {variable.name for variable in contextvars.copy_context()} == before


async def test_what_is_closed_stays_closed(simulated_providers: SimulatedProviders) -> None:
    provider = create(settings(simulated_providers.openai))
    await provider.complete(call(model="gpt-4o"))
    await provider.aclose()
    await provider.aclose()
    with pytest.raises(LifecycleError):
        await provider.complete(call(model="gpt-4o"))
    await simulated_providers.idle()


async def test_claude_is_asked_for_json_as_our_own_adapter_asks(
    simulated_providers: SimulatedProviders,
) -> None:
    simulated = simulated_providers.anthropic
    simulated.always(Answer(text='{"n": 1}'))
    own = anthropic.create(
        ProviderSettings(
            name="lite", plugin="anthropic", api_key=Secret(KEY), base_url=simulated.base_url
        )
    )
    bounded = {**SCHEMA, "properties": {"n": {"type": "integer", "minimum": 3}}}
    wanted = (ResponseFormat("json"), ResponseFormat("schema", "number", bounded))
    async with opened(simulated) as lite:
        for form in wanted:
            request = call(Message("user", "A JSON object?"), response_format=form)
            warnings = {(await provider.complete(request)).warnings for provider in (own, lite)}
            assert len(warnings) == 1
            (warning,) = warnings.pop()
            assert warning.startswith("response_format:")
            with pytest.raises(UnsupportedParameterError):
                await lite.complete(
                    call(response_format=form, unsupported="raise", model="claude-sonnet-4-5")
                )
    await own.aclose()
    assert "one JSON object" in str(simulated.requests[1].body["system"])
