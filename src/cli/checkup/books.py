"""Around the ledger's database: the disk, the journal, and calls that can't be booked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .files import can_make, size_of, this_user
from .values import Result, error, note, ok, warning

if TYPE_CHECKING:
    from .case import Case

__all__ = ["booking", "disk", "file_system_of", "journal"]

_MB: Final = 1 << 20
_LITTLE: Final = 1024 * _MB
_NOTHING: Final = 64 * _MB
_BACKLOG: Final = 32 * _MB
_OF_THE_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs"})
_PASSING: Final = {
    "overlay": "a container's own layer: it goes with the container",
    "tmpfs": "memory: it goes with the next start of the machine",
}


def disk(case: Case) -> Iterator[Result]:
    """Whether there is room for the database file and the journal, and for how long it stays."""
    place = case.place
    folders = [place.journal] if place.journal else []
    if place.local:
        folders.append(Path(place.name))
    seen: set[int] = set()
    for folder in map(_existing, folders):
        device = folder.stat().st_dev
        if device not in seen:
            seen.add(device)
            yield from _room(folder)
            yield from _file_system(folder)


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _room(folder: Path) -> Iterator[Result]:
    free = shutil.disk_usage(folder).free
    if free < _NOTHING:
        why = "calls will be refused, or not be booked, once it is full"
        yield error(f"{size_of(free)} left on the disk of {folder}", why, "make room")
    elif free < _LITTLE:
        yield warning(f"{size_of(free)} left on the disk of {folder}", remedy="make room soon")
    else:
        yield ok(f"{size_of(free)} free on its disk")


def _file_system(folder: Path) -> Iterator[Result]:
    kind = file_system_of(folder, _mounts())
    if kind in _OF_THE_NETWORK:
        yield error(
            f"{folder} is on a network disk ({kind})",
            "SQLite's locks and the journal's do not hold there",
            "put it on a local disk, or use postgresql:// for many machines",
        )
    elif kind in _PASSING:
        remedy = "mount a volume for it, or use postgresql://"
        yield warning(f"{folder} is on {kind}, {_PASSING[kind]}", remedy=remedy)


def _mounts() -> str:
    try:
        return Path("/proc/self/mounts").read_text("utf-8", "replace")
    except OSError:  # not Linux
        return ""


def file_system_of(folder: Path, mounts: str) -> str:
    """The kind of file system that a folder is on, by the text of ``/proc/self/mounts``."""
    target = os.path.realpath(folder)
    best, kind = "", ""
    for line in mounts.splitlines():
        _, point, found, *_ = [*line.split(), "", "", ""]
        point = point.encode().decode("unicode_escape", "replace")
        inside = point in {"/", target} or target.startswith(f"{point}/")
        if point and inside and len(point) >= len(best):
            best, kind = point, found
    return kind


def journal(case: Case) -> Iterator[Result]:
    """What waits in journals, and whose."""
    from ...accounting.ledger.recovery import writers_in

    folder = case.place.journal
    if folder is None:
        return
    if folder.exists() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        what = f"the journal's folder {folder} can't be written"
        yield error(what, "no call can be booked", f"give the right to ({this_user()} here)")
        return
    if not folder.exists() and (why := can_make(folder)):
        yield error(f"the journal's folder {folder} can't be made", why)
        return
    living, dead = [], {}
    for writer, segments in writers_in(folder).items():
        if _lives(folder, writer):
            living.append((writer, sum(map(_length, segments))))
        else:
            dead[writer] = segments
    if living:
        many = "process has" if len(living) == 1 else "processes have"
        yield ok(f"{len(living)} {many} it open")
    for writer, size in living:
        if size > _BACKLOG:
            yield warning(
                f"{size_of(size)} of attempts wait in the journal of process {writer}",
                "the database is away, or slower than the calls",
                "look at the database; nothing is lost unless this disk is",
            )
    yield from _left_behind(dead, folder)


def _left_behind(dead: dict[str, list[Path]], folder: Path) -> Iterator[Result]:
    from ...accounting.ledger.recovery import left_behind
    from ...accounting.ledger.segment import UnknownFormatError

    rows, writers = 0, 0
    for writer, segments in dead.items():
        try:
            found = sum(1 for _ in left_behind(segments))
        except FileNotFoundError:
            continue  # somebody has booked it meanwhile
        except (OSError, UnknownFormatError) as exc:
            why = f"{type(exc).__name__}: {exc}"
            remedy = f"keep its files in {folder} and update Switchgear, or mend their rights"
            yield warning(f"the journal of {writer}, which died, can't be read", why, remedy)
            continue
        rows, writers = rows + found, writers + 1
    if rows:
        attempts = f"{rows:,} attempt{'s' if rows > 1 else ''}"
        died = "a process that died" if writers == 1 else f"{writers} processes that died"
        why = "the next router that opens this ledger, or has it open, books them"
        yield note(f"{attempts} of {died} wait in the journal", why)


def _lives(folder: Path, writer: str) -> bool:
    from ...accounting.ledger.journal import LOCK, lock_writer

    if not (folder / (writer + LOCK)).exists():
        return False
    lock = lock_writer(folder, writer)
    if lock is None:
        return True
    lock.release()
    return False


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def booking(case: Case) -> Iterator[Result]:
    """What becomes of calls that can't be booked."""
    config = case.config
    if not case.loaded:
        return
    if config.ledger.fails:
        yield ok("a call that can't be booked is refused (on_error = fail)")
        return
    why = "hard budgets refuse it all the same" if any(r.hard for r in config.budgets) else ""
    yield ok("a call that can't be booked is made, with a warning (on_error = serve)", why)
