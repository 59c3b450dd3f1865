"""Measure what calls cost beside the bare SDKs, and list the benchmarks that are run by themselves.

The others need minutes, a quiet machine, or servers from the wheels of the tests.
"""

from __future__ import annotations

import argparse
import ast
import os
import pkgutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from .suite import picture, results, table
from .suite.processes import ChildError
from .suite.progress import Progress
from .suite.run import Plan, run
from .suite.scenarios import MEMORY, SCENARIOS, small

SAVED = Path(__file__).parent / "results"


def listed() -> Iterator[tuple[str, str]]:
    """Each benchmark's command, and in a line what it measures. None of them is imported."""
    folder = Path(__file__).parent
    for module in pkgutil.iter_modules([str(folder)]):
        if not module.name.startswith("_") and not module.ispkg:
            source = (folder / f"{module.name}.py").read_text(encoding="utf-8")
            said = ast.get_docstring(ast.parse(source)) or ""
            yield f"python -m benchmarks.{module.name}", said.partition("\n")[0]


def show_list() -> None:
    """Print what can be run."""
    print("Scenarios, for --only:")
    for scenario in SCENARIOS:
        print(f"  {scenario.name:<20}{scenario.title}")
    print("\nEach by itself, with --help for its options (import_time has none):")
    for command, said in listed():
        print(f"  {command:<36}{said}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--list", action="store_true", help="what there is, and measure nothing")
    parser.add_argument("--only", default="", help="scenarios, with commas between them")
    parser.add_argument("--rounds", type=int, help="of each scenario (9)")
    parser.add_argument("--peers", action="store_true", help="LiteLLM, any-llm and TensorZero too")
    parser.add_argument("--memory", action="store_true", help="whether it grows, in minutes")
    parser.add_argument("--small", action="store_true", help="only see that everything works")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument(
        "--save", action="store_true", help="write results and pictures to benchmarks/results"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    options = parser.parse_args(arguments)
    options.only = [each for each in options.only.split(",") if each]
    if unknown := {*options.only} - {each.name for each in SCENARIOS}:
        parser.error(f"no scenario {', '.join(sorted(unknown))}; --list shows all")
    if options.rounds is None:
        options.rounds = 2 if options.small else 9
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def plan(options: argparse.Namespace) -> Plan:
    """What the command line asks for."""
    chosen = [
        each
        for each in SCENARIOS
        if (each.name in options.only if options.only else each is not MEMORY)
        or (each is MEMORY and options.memory)
    ]
    shrink = 1
    if options.small:
        chosen, shrink = [small(each) for each in chosen], 500
    return Plan(chosen, options.rounds, options.peers, options.loop, shrink)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show and save. Returns the process's exit status."""
    options = parse(arguments)
    if options.list:
        show_list()
        return 0
    planned, progress = plan(options), Progress(quiet=options.quiet)
    found = results.Results(
        machine=results.machine(),
        options={"rounds": planned.rounds, "loop": planned.loop, "small": options.small},
        scenarios=[],
    )
    status = 0
    print(table.heading(found) + "\n", flush=True)
    running = run(planned, progress)
    try:
        for each in running:
            found.scenarios.append(each)
            print(table.show(each), flush=True)
    except KeyboardInterrupt:
        print("\nstopped; what stands above is whole", file=sys.stderr)
        status = 130
    except ChildError as exc:
        print(f"{exc}\nstopped; what stands above is whole", file=sys.stderr)
        status = 1
    finally:
        progress.end()
        running.close()
    found.machine["load_after"] = round(os.getloadavg()[0], 2)
    whole = not (status or options.only or options.small)
    if options.save and not whole:
        print("nothing saved in benchmarks/results: that is for whole runs", file=sys.stderr)
    save(found, options.json, pictures=options.save and whole)
    return status


def save(found: results.Results, file: Path | None, *, pictures: bool) -> None:
    """Write what was asked for."""
    data = msgspec.json.format(msgspec.json.encode(found)) + b"\n"
    if file is not None:
        file.write_bytes(data)
    if pictures:
        SAVED.mkdir(exist_ok=True)
        (SAVED / "latest.json").write_bytes(data)
        for name, drawn in picture.draw(found).items():
            (SAVED / name).write_text(drawn, encoding="utf-8")
        print(f"saved in {SAVED}")


def stop(*_: object) -> None:
    """Stop at a signal. Another one does not keep it from ending its processes."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)
    sys.exit(main())
