"""A journal's file gives back what was whole, and nothing else."""

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from switchgear.accounting.ledger.files import RealFiles
from switchgear.accounting.ledger.segment import (
    BEGIN,
    DROP,
    END,
    HEADER,
    OVERHEAD,
    Segment,
    UnknownFormatError,
    frame,
    read_segment,
    scan,
)

records = st.lists(
    st.tuples(
        st.sampled_from([BEGIN, END, DROP]),
        st.integers(0, 2**64 - 1),
        st.binary(max_size=40),
    ),
    max_size=5,
)


def _read(data: bytes) -> list[tuple[int, int, bytes]]:
    return [(kind, number, bytes(payload)) for kind, number, payload, _ in scan(data)]


@given(records)
def test_a_cut_anywhere_loses_only_what_it_cuts(written: list[tuple[int, int, bytes]]) -> None:
    frames = [frame(*record) for record in written]
    ends = [sum(map(len, frames[: n + 1])) for n in range(len(frames))]
    data = b"".join(frames)
    for cut in range(len(data) + 1):
        whole = sum(end <= cut for end in ends)
        assert _read(data[:cut]) == written[:whole]
        # In a file zeros follow, so a record lacks nothing whose last bytes are zeros anyway.
        file = data[:cut] + bytes(64)
        whole = sum(file[:end] == data[:end] for end in ends)
        assert _read(file) == written[:whole]


@given(records, st.data())
def test_a_damaged_byte_never_shows_as_a_record(
    written: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    whole = b"".join(frame(*record) for record in written)
    if not whole:
        return
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[place] ^= data.draw(st.integers(1, 255))
    found = _read(bytes(flipped))
    assert found == written[: len(found)]
    assert len(found) < len(written)


def test_a_frame_costs_what_it_says() -> None:
    assert len(frame(END, 7, b"12345")) == 5 + OVERHEAD


def test_its_room_is_set_aside_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "w.1.journal"
    segment = Segment(RealFiles(), path, 1, 100_000)
    segment.append(frame(END, 1, b"row"))
    state = path.stat()
    assert state.st_size == 100_000
    assert state.st_blocks * 512 >= 100_000
    assert stat.S_IMODE(state.st_mode) == 0o600
    assert _read(segment.read(len(HEADER), segment.offset)) == [(END, 1, b"row")]
    segment.close()
    segment.close()
    assert [(r.kind, bytes(r.payload)) for r in read_segment(path)] == [(END, b"row")]


def test_zeros_do_where_room_cannot_be_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not on this file system")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    segment = Segment(RealFiles(), tmp_path / "a", 1, 100_000)
    segment.close()
    monkeypatch.delattr(os, "posix_fallocate")
    Segment(RealFiles(), tmp_path / "b", 1, 100_000).close()
    for name in ("a", "b"):
        assert (tmp_path / name).read_bytes() == HEADER + bytes(100_000 - len(HEADER))


class _Short(RealFiles):
    """Writes only the first bytes of what it is given, once."""

    def __init__(self) -> None:
        self.only: int | None = None

    def write(self, fd: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        if self.only is not None:
            data, self.only = data[: self.only], None
        return os.pwrite(fd, data, offset)


def test_a_short_write_is_written_over_by_the_next(tmp_path: Path) -> None:
    files = _Short()
    segment = Segment(files, tmp_path / "w.1.journal", 1, 10_000)
    segment.append(frame(END, 1, b"one"))
    files.only = 9
    with pytest.raises(OSError, match="space"):
        segment.append(frame(END, 2, b"two"))
    assert [r.number for r in read_segment(segment.path)] == [1]
    segment.append(frame(END, 3, b"three"))
    assert [r.number for r in read_segment(segment.path)] == [1, 3]
    segment.close()


def test_what_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    files = _Short()
    files.only = 3
    with pytest.raises(OSError, match="space"):
        Segment(files, tmp_path / "w.1.journal", 1, 10_000)
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_maker_died_at_once_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "w.1.journal"
    for content in (b"", bytes(5), bytes(5000)):
        path.write_bytes(content)
        assert list(read_segment(path)) == []


def test_another_format_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "w.1.journal"
    path.write_bytes(HEADER[:-1] + b"\x02" + frame(END, 1, b""))
    with pytest.raises(UnknownFormatError, match=r"w\.1\.journal"):
        read_segment(path)
