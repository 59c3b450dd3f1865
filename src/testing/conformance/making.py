"""Checks 1 and 2: what a provider is, and how it is made."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import inspect
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

from ...providers.base import Capabilities, Provider
from .check import check
from .trial import Trial, expect

_COROUTINES = ("complete", "stream", "aclose")
_OPTIONAL = ("embed", "count_tokens", "list_models")
_UNHEARD_OF = "a-model-that-nobody-has-heard-of"

# Packages that take long to import; a provider's own SDK is found by its client.
_SDKS = frozenset(
    {"anthropic", "boto3", "botocore", "cohere", "groq", "litellm", "mistralai", "ollama", "openai"}
)


@check(1, needs="nothing")
async def protocol(trial: Trial) -> None:
    """It is a provider.

    It has all that the protocol names, its coroutines are coroutines, its name is the
    configured one, and ``capabilities`` answers for any model, always the same.
    """
    provider = trial.provider
    expect(isinstance(provider, Provider), f"{type(provider).__name__} lacks part of the protocol")
    for name in (*_COROUTINES, *(n for n in _OPTIONAL if hasattr(provider, n))):
        method = getattr(provider, name)
        expect(
            inspect.iscoroutinefunction(method),
            f"expected {name}() to be a coroutine function: the router awaits it",
        )
    expect(
        provider.name == trial.subject.name,
        f"expected the configured name {trial.subject.name!r}, came {provider.name!r}: traces, "
        "limits and budgets go by it",
    )
    for model in (trial.model, _UNHEARD_OF):
        first, again = provider.capabilities(model), provider.capabilities(model)
        expect(
            type(first) is Capabilities and first == again,
            f"expected the same Capabilities for {model!r} each time, came {first!r}, {again!r}",
        )


@check(2, needs="nothing")
async def made_without_io(trial: Trial) -> None:
    """Made without I/O.

    Making it, and asking it what it can do, connects to nothing, starts no thread, task or
    process, and does not import its SDK.
    """
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
    with _watched() as seen:
        provider = trial.make()
        provider.capabilities(trial.model)
    seen += [f"thread {each.name}" for each in set(threading.enumerate()) - threads]
    seen += [f"task {each.get_name()}" for each in asyncio.all_tasks() - tasks]
    heavy = _SDKS | {_root(cls.__module__) for cls in type(provider.client).__mro__}
    heavy -= {_root(getattr(trial.subject.factory, "__module__", "")), "switchgear"}
    heavy -= sys.stdlib_module_names
    imported = [each for each in seen if each.startswith("import ")]
    done = [each for each in seen if each not in imported]
    done += [each for each in imported if _root(each.removeprefix("import ")) in heavy]
    expect(
        not done,
        f"expected no work while it is made, came: {', '.join(dict.fromkeys(done))}: routers are "
        "made on an event loop, with providers that may never be asked",
    )


@contextlib.contextmanager
def _watched() -> Iterator[list[str]]:
    """What connects, starts a process or imports meanwhile, in words."""
    seen: list[str] = []
    really_import = builtins.__import__

    def importing(name: str, *args: Any, **kwargs: Any) -> Any:
        level = args[3] if len(args) > 3 else kwargs.get("level", 0)
        if level == 0:
            seen.append(f"import {name}")
        return really_import(name, *args, **kwargs)

    def noted(what: str, real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            seen.append(what)
            return real(*args, **kwargs)

        return call

    with contextlib.ExitStack() as stack:
        for owner, name in (
            (socket.socket, "connect"),
            (socket.socket, "connect_ex"),
            (socket, "getaddrinfo"),
            (subprocess.Popen, "__init__"),
        ):
            what = f"{owner.__name__}.{name}"
            patched = noted(what, getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, patched))
        stack.enter_context(mock.patch.object(builtins, "__import__", importing))
        yield seen


def _root(module: str) -> str:
    return module.partition(".")[0]
