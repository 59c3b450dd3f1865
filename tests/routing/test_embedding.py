"""Embeddings through the router."""

import pytest

from switchgear import (
    AllProvidersFailedError,
    InvalidRequestError,
    MalformedResponseError,
    ServerError,
    UnsupportedParameterError,
    Usage,
)
from switchgear.providers.base import EmbedCall, Embedding
from switchgear.testing.scripted import ScriptedProvider

from .helpers import router_over


class Embedder(ScriptedProvider):
    """Gives each text its length as a vector; ``surplus`` adds vectors nobody asked for."""

    def __init__(self, name: str, *, surplus: int = 0, fails: bool = False) -> None:
        super().__init__(name)
        self.surplus = surplus
        self.fails = fails

    async def embed(self, call: EmbedCall) -> Embedding:
        if self.fails:
            raise ServerError("no", provider=self.name)
        vectors = tuple((float(len(text)),) for text in call.inputs) + ((0.0,),) * self.surplus
        return Embedding(vectors=vectors, usage=Usage(input_tokens=3), model=call.model)


async def test_vectors_come_in_the_order_of_the_texts() -> None:
    async with router_over(Embedder("a")) as router:
        result = await router.embed("a/m", ["a", "bbb"])
        single = await router.embed("a/m", "cc")
    assert result.vectors == ((1.0,), (3.0,))
    assert (len(result), result[1]) == (2, (3.0,))
    assert single.vectors == ((2.0,),)
    assert result.usage.input_tokens == 3


async def test_the_next_provider_embeds_where_the_first_fails() -> None:
    async with router_over(Embedder("a", fails=True), Embedder("b")) as router:
        assert (await router.embed("g", "x")).provider == "b"


async def test_a_provider_that_embeds_nothing_is_not_asked() -> None:
    async with router_over(ScriptedProvider("a"), Embedder("b")) as router:
        result = await router.embed("g", "x")
    assert result.provider == "b"
    assert result.trace.steps[0].outcome == "skipped"
    async with router_over(ScriptedProvider("a")) as router:
        with pytest.raises(UnsupportedParameterError, match="no embeddings"):
            await router.embed("g", "x")


async def test_a_wrong_number_of_vectors_is_malformed() -> None:
    async with router_over(
        Embedder("a", surplus=1), config={"retry": {"num_retries": 0}}
    ) as router:
        with pytest.raises(AllProvidersFailedError) as failed:
            await router.embed("g", "x")
    assert isinstance(failed.value.exceptions[0], MalformedResponseError)


@pytest.mark.parametrize("inputs", [[], "", ["a", ""], [1], b"x", None])
async def test_texts_are_checked_first(inputs: object) -> None:
    async with router_over(Embedder("a")) as router:
        with pytest.raises(InvalidRequestError, match="inputs"):
            await router.embed("g", inputs)  # type: ignore[arg-type]
        with pytest.raises(InvalidRequestError, match="dimensions"):
            await router.embed("g", "x", dimensions=0)
