"""One subject in a process of its own, which calls when it is told to and says what it took.

`python -m benchmarks.suite.worker SUBJECT URL FOLDER` reads a JSON object a line from standard
input and answers each with one; it ends with its input. It has nothing but the standard library
and its subject, since a peer's environment has no more.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import sys
import time
import traceback
from importlib import metadata
from pathlib import Path
from typing import Any

from .answers import STREAMED, WHOLE
from .subjects import SUBJECTS, Connected, Operation, Place, UnavailableError

__all__ = ["Worker", "main", "resident"]

LIMIT = 300.0
"""Seconds after which a round is given up."""


class WrongAnswerError(Exception):
    """A subject lost, or made up, a part of the answer."""


def resident() -> int:
    """The bytes of memory that this process has resident now."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        # No /proc: the most it ever had, which macOS gives in bytes.
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * os.sysconf("SC_PAGE_SIZE")


class Worker:
    """Runs a subject's operations.

    Args:
        name: The subject's.
        url: The upstream's address.
        folder: An empty one, for what a subject keeps on disk.
    """

    def __init__(self, name: str, url: str, folder: Path) -> None:
        self._subject = SUBJECTS[name]
        self._module = importlib.import_module(f"{__package__}.subjects.{self._subject.module}")
        self._url, self._folder = url, folder
        self._connected: dict[str, Connected] = {}

    async def operation(self, name: str, prefix: str) -> Operation:
        """An operation against what stands under a prefix of the upstream's paths."""
        if prefix not in self._connected:
            folder = self._folder / str(len(self._connected))
            folder.mkdir()
            place = Place(self._subject.variant, self._url + prefix, folder)
            made = self._module.connect(place)
            self._connected[prefix] = await made if asyncio.iscoroutine(made) else made
        return self._connected[prefix].operations[name]

    async def round(
        self, operation: str, prefix: str, calls: int, in_flight: int, settle: float
    ) -> dict[str, Any]:
        """So many calls, so many of them at once.

        Args:
            operation: What each of them is.
            prefix: Of the upstream's paths.
            calls: How many.
            in_flight: How many at once.
            settle: Seconds waited afterwards. What a subject then does behind the calls' backs (a
                ledger's writer, a logger's queue) is CPU time of the calls, too.

        Returns:
            CPU seconds of all of the process's threads, seconds by the clock, and a list of each
            call's latency and time to first token, in microseconds.
        """
        call = await self.operation(operation, prefix)
        length = STREAMED if operation.endswith("-stream") else WHOLE
        broken = prefix == "/broken"
        left = iter(range(calls))
        latencies: list[float] = []
        firsts: list[float] = []

        async def caller() -> None:
            for _ in left:
                start = time.perf_counter()
                got, first = await call()
                latencies.append(time.perf_counter() - start)
                if first:
                    firsts.append(first - start)
                if got != length and not (broken and got):
                    raise WrongAnswerError(f"{got} characters of text, not {length}")

        cpu, wall = time.process_time(), time.perf_counter()
        async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as group:
            for _ in range(min(in_flight, calls)):
                group.create_task(caller())
        wall = time.perf_counter() - wall
        await asyncio.sleep(settle)
        return {
            "cpu": time.process_time() - cpu,
            "wall": wall,
            "latencies": [round(each * 1e6) for each in latencies],
            "firsts": [round(each * 1e6) for each in firsts],
        }

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a line says."""
        kind = request.pop("do")
        if kind == "round":
            return await self.round(**request)
        if kind == "memory":
            if request.get("collect"):
                gc.collect()
            return {"resident": resident()}
        raise ValueError(f"asked to do {kind!r}")

    async def aclose(self) -> None:
        """End the clients."""
        for connected in self._connected.values():
            await connected.aclose()


async def _serve(worker: Worker, output: int) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            reply = await worker.answer(json.loads(line))
        except UnavailableError as exc:
            reply = {"unavailable": str(exc)}
        except Exception as exc:  # noqa: BLE001 - it is told to whoever asked
            while isinstance(exc, ExceptionGroup):
                exc = exc.exceptions[0]
            reply = {"error": "".join(traceback.format_exception(exc, limit=-3))}
        _write(output, reply)
    await worker.aclose()


def _write(output: int, reply: dict[str, Any]) -> None:
    data = memoryview(json.dumps(reply, separators=(",", ":")).encode() + b"\n")
    while data:
        data = data[os.write(output, data) :]


def main() -> None:
    """Serve one subject. What it prints goes to standard error: the answers need the output."""
    name, url, folder, loop = sys.argv[1:]
    output = os.dup(1)
    os.dup2(2, 1)
    try:
        worker = Worker(name, url, Path(folder))
        version = metadata.version(SUBJECTS[name].package)
        factory = None if loop == "asyncio" else importlib.import_module(loop).new_event_loop
    except (ImportError, UnavailableError) as exc:
        _write(output, {"unavailable": f"{exc}"})
        return
    with asyncio.Runner(loop_factory=factory) as runner:
        _write(output, {"version": version, "python": sys.version.split()[0]})
        runner.run(_serve(worker, output))


if __name__ == "__main__":
    main()
