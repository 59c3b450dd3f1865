"""Checks 65 to 67: what a provider may offer besides."""

from __future__ import annotations

from ...messages import Message
from ...providers.base import CountsTokens, EmbedCall, Embeds, ListsModels
from ..answers import Answer
from .check import Cannot, NotTried, check
from .trial import Trial, expect

_TEXTS = ("the first text", "a second one", "Grüße, 世界")
_DIMENSIONS = 8


@check(65, needs="nothing")
async def lists_models(trial: Trial) -> None:
    """Lists its models.

    ``list_models`` gives names as ``Call.model`` takes them, each once.
    """
    provider = trial.provider
    if not isinstance(provider, ListsModels):
        raise Cannot("offers no list of models")
    names = list(await provider.list_models())
    expect(
        names and all(isinstance(name, str) for name in names) and all(names),
        f"expected names of models, came {names!r:.200}",
    )
    expect(len(set(names)) == len(names), f"expected each name once, came {names!r:.200}")


@check(66, needs="nothing")
async def embeds(trial: Trial) -> None:
    """Makes vectors.

    ``embed`` gives a vector for each text, in their order.
    """
    provider, model = trial.provider, trial.subject.embedding_model
    if not isinstance(provider, Embeds):
        raise Cannot("makes no vectors")
    if model is None:
        raise NotTried("the subject names no embedding_model")
    wanted = tuple(
        tuple(float(n == axis) for axis in range(_DIMENSIONS)) for n in range(len(_TEXTS))
    )
    if trial.simulated:
        trial.will(Answer(embeddings=wanted))
    embedding = await provider.embed(EmbedCall(inputs=_TEXTS, model=model, timeout=20))
    expect(
        len(embedding.vectors) == len(_TEXTS),
        f"expected {len(_TEXTS)} vectors, came {len(embedding.vectors)}",
    )
    if trial.simulated:
        trial.arrived(*_TEXTS, what="a text")
        expect(
            embedding.vectors == wanted,
            f"expected the vectors in the order of the texts, came {embedding.vectors}",
        )
    else:
        expect(all(embedding.vectors), "expected vectors with numbers in them, came empty ones")
    expect(
        embedding.usage is None or embedding.usage.input_tokens >= 0,
        f"expected a count of tokens or none, came {embedding.usage}",
    )


@check(67, needs="nothing")
async def counts_tokens(trial: Trial) -> None:
    """Counts tokens.

    ``count_tokens`` counts, and counts more where there is more.
    """
    provider = trial.provider
    if not isinstance(provider, CountsTokens):
        raise Cannot("counts no tokens")
    short = await provider.count_tokens(trial.call("Hello."))
    long = (Message("system", "Be brief. " * 50), Message("user", "Hello. " * 50))
    more = await provider.count_tokens(trial.call(messages=long))
    expect(
        type(short) is int and 0 < short < more,
        f"expected a count that grows with the prompt, came {short!r} and {more!r}",
    )
