"""The smallest program: one call along a chain, with no key and no server needed."""

import asyncio

from switchgear import Router

CONFIG = {"groups": {"assistant": {"chain": ["embedded/smollm2-135m"]}}}


async def main() -> None:
    async with Router.from_dict(CONFIG) as router:
        reply = await router.complete("assistant", "Name three primary colours.", max_tokens=40)
        print(reply.text)
        print(reply.trace)


asyncio.run(main())
