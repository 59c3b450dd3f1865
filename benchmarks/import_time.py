"""What `import switchgear` costs a process, beside a Python that does nothing.

Its names are loaded when they are first used, hence the import of a router as well. All run as
fresh processes, taking turns, so that a machine which slows down for a while slows all. The median
is shown, because a single round says little.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

__all__ = ["PEERS", "PROGRAMS", "SDKS", "Program", "Sample", "main", "measure"]

ROUNDS = 15

SDKS = ("anthropic", "openai", "ollama", "httpx", "httpx2", "aiohttp", "pydantic", "tiktoken")
"""What must not be loaded before it is needed."""

# The peak that getrusage gives a child counts what its parent had when it was started.
_REPORT = """
import sys
try:
    with open("/proc/self/status") as status:
        print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024)
except OSError:
    import resource
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(*sys.modules)
"""


class Program(NamedTuple):
    """What a fresh Python runs."""

    source: str
    python: str = sys.executable


class Sample(NamedTuple):
    """One run: seconds of CPU time and by the clock, the most bytes it had, and the SDKs loaded."""

    cpu: float
    wall: float
    memory: int
    sdks: tuple[str, ...]


PROGRAMS = {
    "python": Program("pass"),
    "switchgear": Program("import switchgear"),
    "router": Program("from switchgear import Router"),
}
PEERS = {"litellm": "litellm", "any-llm": "any_llm", "tensorzero": "tensorzero"}
"""Modules of others, by the environment that has them."""


def once(program: Program) -> Sample:
    """Run a program to its end."""
    source = program.source + _REPORT
    environ = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [program.python, "-c", source],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # What an import itself prints comes before.
    memory, modules = done.stdout.splitlines()[-2:]
    loaded = {*modules.split()}
    return Sample(cpu, wall, int(memory), tuple(name for name in SDKS if name in loaded))


def measure(
    rounds: int = ROUNDS,
    programs: Mapping[str, Program] = PROGRAMS,
    progress: Callable[[int, str], None] | None = None,
) -> dict[str, Sequence[Sample]]:
    """Each program's runs, over so many interleaved rounds."""
    for program in programs.values():
        once(program)  # the first run writes bytecode and warms the file cache
    samples: dict[str, list[Sample]] = {name: [] for name in programs}
    for done in range(rounds):
        for name, program in programs.items():
            if progress is not None:
                progress(done, f"rounds, {program.source}")
            samples[name].append(once(program))
    return dict(samples)


def main() -> None:
    """Print each median, and how the import compares with doing nothing."""
    found = measure()
    print(f"import time, median of {ROUNDS} interleaved rounds")
    bare = (0.0, 0.0, 0.0)
    for name, samples in found.items():
        figures = (
            statistics.median(each.wall for each in samples) * 1e3,
            statistics.median(each.cpu for each in samples) * 1e3,
            statistics.median(each.memory for each in samples) / 1e6,
        )
        _show(PROGRAMS[name].source, *figures)
        if name == "python":
            bare = figures
        else:
            alone = (one - less for one, less in zip(figures, bare, strict=True))
            _show("  the import alone", *alone)
            print(f"    SDKs loaded by it: {', '.join(samples[0].sdks) or 'none'}")


def _show(title: str, wall: float, cpu: float, memory: float) -> None:
    print(f"  {title:<32}{wall:8.1f} ms   {cpu:8.1f} ms of CPU   {memory:6.1f} MB")


if __name__ == "__main__":
    main()
