"""Starts replicas as processes, and reads what they were given."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

ROOT = Path(__file__).resolve().parents[3]


class Given(NamedTuple):
    worker: int
    what: str
    amount: float
    at: float


class Workers:
    """Replicas as processes, none of which outlives the ``with`` block."""

    program: ClassVar = [str(Path(__file__).with_name("fleet_worker.py"))]

    def __init__(self, folder: Path, count: int, setup: dict[str, Any]) -> None:
        self.files = [folder / f"{number}.given" for number in range(count)]
        self.processes = [
            self._start({**setup, "seed": n, "file": str(f)}) for n, f in enumerate(self.files)
        ]
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def _start(self, setup: dict[str, Any]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *self.program, json.dumps(setup)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ending: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None and not pipe.closed:
                    pipe.close()

    def go(self) -> None:
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    def kill(self, *numbers: int) -> None:
        for number in numbers:
            self.processes[number].kill()

    def end(self) -> None:
        for process in self.processes:
            assert process.stdin is not None
            if process.poll() is None:
                process.stdin.close()
        for process in self.processes:
            process.wait(timeout=30)
            assert process.stdout is not None
            process.stdout.close()

    def given(self) -> Sequence[Given]:
        rows = []
        for worker, file in enumerate(self.files):
            for line in file.read_text().splitlines() if file.exists() else ():
                what, amount, at = line.split()
                rows.append(Given(worker, what, float(amount), float(at)))
        return sorted(rows, key=lambda row: row.at)
