"""One model in one process.

llama.cpp loads a model while holding Python's global lock, and aborts the whole process on some
faults. A process of its own keeps both away from the event loop, gives all memory back when it
ends, and has standard streams of its own to be silenced.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from ..errors import LifecycleError, ModelNotFoundError, PluginError, ProviderError, ServerError

__all__ = ["Facts", "ModelServer", "ServerSpec"]

_CHILD = Path(__file__).with_name("embedded_child.py")
_MAGIC = b"GGUF"
_LONGEST_LOG = 64 * 1024


class ServerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to load, and how.

    Attributes:
        provider: The provider's name in the configuration, for errors.
        name: What the model is called.
        path: Its GGUF file.
        n_ctx: Tokens of prompt and answer together, for each request.
        n_parallel: Requests that are answered at once; each has memory of its own.
        n_threads: Threads for computing.
        n_gpu_layers: Layers on the GPU; ``None`` is as many as fit.
        embeddings: To make vectors instead of answers.
        pooling: How a vector is made of a text's tokens; ``None`` is the model's own way.
        log_file: Where llama.cpp's log is appended; ``None`` drops it.
    """

    provider: str
    name: str
    path: str
    n_ctx: int
    n_parallel: int
    n_threads: int
    n_gpu_layers: int | None = None
    embeddings: bool = False
    pooling: Literal["mean", "cls", "last"] | None = None
    log_file: str | None = None


class Facts(msgspec.Struct, frozen=True):
    """What a loaded model says of itself.

    Attributes:
        url: Where its server listens, ``http://127.0.0.1:port``.
        n_ctx: Tokens of prompt and answer together, at most what it was trained for.
        tools: Its chat template knows tools.
        parallel_tool_calls: And several at once.
    """

    url: str
    n_ctx: int
    tools: bool
    parallel_tool_calls: bool


class _Said(msgspec.Struct):
    url: str = ""
    n_ctx: int = 0
    tools: bool = False
    parallel_tool_calls: bool = False
    error: str = ""


class ModelServer:
    """A process that serves one model.

    ``launch`` and ``stop`` block and belong into a thread; they may run at the same time. A server
    that is dropped, or left over when the interpreter exits, ends itself.

    Args:
        spec: What to load.
    """

    def __init__(self, spec: ServerSpec) -> None:
        self.spec = spec
        self.token = secrets.token_urlsafe(24)
        self.facts: Facts | None = None
        self._lock = threading.Lock()
        self._stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        self._end: Any = None

    @property
    def alive(self) -> bool:
        """Its process runs. Never waits."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid if self._process is not None else None

    def launch(self) -> None:
        """Start the process, load the model, learn the address.

        Raises:
            PluginError: The package ``xllamacpp`` is missing.
            ModelNotFoundError: There is no such file, or it is no GGUF.
            ProviderError: llama.cpp refused the model, or died over it.
            LifecycleError: It was stopped meanwhile.
        """
        spec = self.spec
        if importlib.util.find_spec("xllamacpp") is None:
            raise PluginError(
                f"{spec.provider}: the package xllamacpp is missing: "
                'run `pip install "switchgear[embedded]"`',
                provider=spec.provider,
                model=spec.name,
            )
        _check_file(spec)
        with _log(spec) as log:
            process = self._spawn(log)
            said = self._ask(process)
            if said is None:
                raise self._failure(process, log)
            if said.error:
                raise self._failure(process, log, said.error)
        self.facts = Facts(said.url, said.n_ctx, said.tools, said.parallel_tool_calls)

    def stop(self) -> None:
        """End the process and wait until it is gone. Safe to call twice."""
        with self._lock:
            self._stopped = True
        if self._end is not None:
            self._end()

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise self._closed()
            process = subprocess.Popen(  # noqa: S603 - this very Python and a file of this package
                # -I and -S: the paths come with the order, whatever the site adds to them.
                [sys.executable, "-I", "-S", str(_CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # A Ctrl-C in the terminal is the parent's to handle.
                start_new_session=True,
            )
            self._process = process
            self._end = weakref.finalize(self, _end, process, os.getpid())
        return process

    def _ask(self, process: subprocess.Popen[bytes]) -> _Said | None:
        """Send the order; the answer, or ``None`` where the process died without one."""
        if process.stdin is None or process.stdout is None:  # pragma: no cover - both are pipes
            return None
        spec = self.spec
        order = {
            **msgspec.to_builtins(spec),
            "token": self.token,
            "parent": os.getpid(),
            "sys_path": [path or str(Path.cwd()) for path in sys.path],
            "verbose": spec.log_file is not None,
        }
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (OSError, ValueError):
            # The pipe broke, or stop() closed it.
            return None
        try:
            return msgspec.json.decode(line, type=_Said)
        except msgspec.DecodeError:
            return None

    def _failure(
        self, process: subprocess.Popen[bytes], log: IO[bytes], error: str = ""
    ) -> Exception:
        if self._stopped:
            return self._closed()
        self.stop()
        spec = self.spec
        reason = _reason(log) or error or f"its process ended with {process.returncode}"
        # A death without a word is a crash or a lack of memory, which may pass.
        cls = ProviderError if error else ServerError
        message = f"{spec.provider}: llama.cpp can't load {spec.path}: {reason}"
        return cls(message, provider=spec.provider, model=spec.name)

    def _closed(self) -> LifecycleError:
        spec = self.spec
        message = f"{spec.provider}: closed while {spec.name} was being loaded"
        return LifecycleError(message, provider=spec.provider, model=spec.name)


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    """Kill the process (it has nothing to save), and wait until the kernel has taken it back."""
    if os.getpid() != owner:
        return  # a fork of the owner must not take the owner's server away
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _log(spec: ServerSpec) -> IO[bytes]:
    if spec.log_file is None:
        return tempfile.TemporaryFile()
    try:
        return Path(spec.log_file).expanduser().open("ab+")
    except OSError as exc:
        message = f"{spec.provider}: log_file: {exc}"
        raise ProviderError(message, provider=spec.provider, model=spec.name) from exc


def _reason(log: IO[bytes]) -> str:
    """The first error in llama.cpp's log; those after it only say that loading failed."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LONGEST_LOG))
    for line in log.read().decode("utf-8", "replace").splitlines():
        _, mark, text = line.partition(" E ")
        if mark:
            return text.partition(": ")[2].strip() or text.strip()
    return ""


def _check_file(spec: ServerSpec) -> None:
    """Tell the plain mistakes apart before a process is started for them."""
    what = ""
    try:
        with Path(spec.path).open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                what = "is no GGUF file"
    except FileNotFoundError:
        what = "does not exist"
    except OSError as exc:
        what = f"can't be read: {exc.strerror}"
    if what:
        message = f"{spec.provider}: the model {spec.name!r}: {spec.path} {what}"
        raise ModelNotFoundError(message, provider=spec.provider, model=spec.name)
