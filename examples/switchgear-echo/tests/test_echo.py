"""The echo behind a router, as a user has it."""

from __future__ import annotations

import asyncio

from switchgear import Router
from switchgear.providers import ProviderSettings
from switchgear_echo import EchoProvider, create


def echo() -> EchoProvider:
    return create(ProviderSettings(name="echo", plugin="echo"))


def test_it_says_what_it_was_told() -> None:
    async def ask() -> None:
        config = {"providers": {"echo": {}}, "ledger": {"url": "memory:"}}
        async with Router.from_dict(config, providers={"echo": echo()}) as router:
            reply = await router.complete("echo/any", messages="Is anybody there?")
            assert reply.text == "Is anybody there?"
            assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 3)

    asyncio.run(ask())


def test_it_says_it_word_by_word() -> None:
    async def ask() -> None:
        config = {"providers": {"echo": {}}, "ledger": {"url": "memory:"}}
        async with Router.from_dict(config, providers={"echo": echo()}) as router:
            async with router.stream("echo/any", messages="Is anybody there?") as stream:
                words = [event.text async for event in stream]
            assert words == ["Is ", "anybody ", "there?"]
            assert stream.completion.text == "Is anybody there?"

    asyncio.run(ask())


def test_what_it_can_not_do_is_said() -> None:
    async def ask() -> None:
        config = {"providers": {"echo": {}}, "ledger": {"url": "memory:"}}
        async with Router.from_dict(config, providers={"echo": echo()}) as router:
            reply = await router.complete("echo/any", messages="Hello.", temperature=1)
            assert any(warning.startswith("temperature") for warning in reply.warnings)

    asyncio.run(ask())
