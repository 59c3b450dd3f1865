"""The processes of a run: started, asked, and ended whatever happens."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from .subjects import SUBJECTS, UnavailableError
from .worker import LIMIT

__all__ = ["ROOT", "Child", "ChildError", "Subjects", "environment", "peer_python", "upstream"]

ROOT = Path(__file__).resolve().parents[2]

UVLOOP = ROOT / ".venv-bench-uvloop"
"""Where `make bench-peers` puts uvloop: on everybody's path, and in no environment."""

_PATIENCE = 5.0
"""Seconds that a process has to end by itself."""


class ChildError(Exception):
    """A process died, hung, or could not do what it was asked to."""


def environment() -> dict[str, str]:
    """The environment of all processes, without what changes what a subject does or asks."""
    meant = ("OPENAI_", "ANTHROPIC_", "LITELLM_", "TENSORZERO_", "SWITCHGEAR_", "PYTHON")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(meant) and not name.lower().endswith("_proxy")
    }
    # LiteLLM otherwise fetches its prices when it is imported.
    return kept | {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(UVLOOP))),
    }


def peer_python(name: str) -> Path:
    """The Python of a peer's own environment.

    Raises:
        UnavailableError: It has not been made.
    """
    found = ROOT / f".venv-bench-{name}" / "bin" / "python"
    if not found.is_file():
        raise UnavailableError(f"{found.parts[-3]} is not there; `make bench-peers` makes it")
    return found


class Child:
    """A process that answers lines with lines.

    It is no part of the terminal's process group, so Ctrl-C reaches only this process, which ends
    it. Its input ends with this process in any case, and it with its input.

    Args:
        command: With arguments.
        title: For error messages.
    """

    def __init__(self, command: list[str], title: str) -> None:
        self._title = title
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        self._buffer = b""
        self._process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=ROOT,
            env=environment(),
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def close(self) -> None:
        """Let it end, without waiting for that."""
        self._input.close()

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: object) -> None:
        """End it: kindly, unless something went wrong."""
        self.close()
        if kind is None:
            self._wait()
        self._process.terminate()
        self._wait()
        self._process.kill()  # nothing, where it is ended
        self._process.wait()
        self._output.close()
        self._said.close()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            UnavailableError: The subject can't do it here.
            ChildError: It failed, or there is no answer.
        """
        try:
            self._input.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError as exc:
            raise self._dead() from exc
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Wait for the next answer."""
        found: dict[str, Any] = json.loads(self.line())
        if why := found.get("unavailable"):
            raise UnavailableError(why)
        if error := found.get("error"):
            raise ChildError(f"{self._title} failed:\n{error}")
        return found

    def line(self) -> str:
        """Wait for the next line."""
        end = time.monotonic() + LIMIT + _PATIENCE
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._output], [], [], max(end - time.monotonic(), 0))
            if not ready:
                raise ChildError(f"{self._title} does not answer")
            data = os.read(self._output.fileno(), 1 << 20)
            if not data:
                raise self._dead()
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def _wait(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)

    def _dead(self) -> ChildError:
        self._wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")[-2000:]
        return ChildError(f"{self._title} ended with {self._process.returncode}:\n{said}")

    @property
    def _input(self) -> Any:
        return self._process.stdin

    @property
    def _output(self) -> Any:
        return self._process.stdout


@contextmanager
def upstream() -> Iterator[str]:
    """The server that everybody calls: its address."""
    command = [sys.executable, "-m", "benchmarks.suite.upstream"]
    with Child(command, "the upstream") as child:
        yield child.line()


class Subjects:
    """The subjects' processes. Each is started when it is first asked for, and lives on.

    Args:
        url: The upstream's.
        folder: For what they keep on disk.
        loop: The module whose event loop all of them run on.
    """

    def __init__(self, url: str, folder: Path, loop: str) -> None:
        self._url, self._folder, self._loop = url, folder, loop
        self._children: dict[str, Child] = {}
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: object) -> None:
        """End them all."""
        for child in self._children.values():
            child.close()
        for child in self._children.values():
            child.__exit__(kind, value, trace)

    def start(self, name: str) -> None:
        """Start a subject's process if it is not there, and don't wait until it is ready.

        Raises:
            UnavailableError: There is no Python for it.
        """
        if name not in self._children:
            subject = SUBJECTS[name]
            place = subject.environment
            python = str(peer_python(place)) if place else sys.executable
            (folder := self._folder / name).mkdir(exist_ok=True)
            worker = [python, "-m", "benchmarks.suite.worker", name, self._url]
            self._children[name] = Child([*worker, str(folder), self._loop], subject.title)

    def __getitem__(self, name: str) -> Child:
        """A subject's process.

        Raises:
            UnavailableError: It can't be had here.
        """
        self.start(name)
        if name not in self.versions:
            self.versions[name] = self._children[name].answer()["version"]
        return self._children[name]
