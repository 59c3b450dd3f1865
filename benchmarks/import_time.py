"""What `import switchgear` costs a process, beside a Python that does nothing.

Both run as fresh processes, taking turns, so that a machine which slows down for a while slows
both. The median is shown, because a single round says little.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15
PROGRAMS = {"python -c pass": "pass", "import switchgear": "import switchgear"}


def seconds(program: str) -> float:
    """Wall-clock time of a fresh Python that runs `program` and exits."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - start


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """The median time in seconds of each program, over `rounds` interleaved rounds."""
    for program in PROGRAMS.values():
        seconds(program)  # the first run writes bytecode and warms the file cache
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, program in PROGRAMS.items():
            times[name].append(seconds(program))
    return {name: statistics.median(samples) for name, samples in times.items()}


def main() -> None:
    """Print each median, and how the import compares with doing nothing."""
    medians = measure()
    bare, ours = medians.values()
    print(f"import time, median of {ROUNDS} interleaved rounds")
    for name, median in medians.items():
        print(f"  {name:<20}{median * 1000:8.1f} ms")
    print(f"  the import alone    {(ours - bare) * 1000:8.1f} ms   ({ours / bare:.2f} x)")


if __name__ == "__main__":
    main()
