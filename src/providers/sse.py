"""Server-sent events and JSON lines, cut out of bytes as they arrive.

Both parsers take the bytes in whatever pieces the network made of them and give the same events for
every way of cutting. They work on bytes: a multi-byte character cut in two needs no care.
"""

from __future__ import annotations

from ..errors import MalformedResponseError

__all__ = ["LONGEST_EVENT", "LineParser", "SseParser"]

LONGEST_EVENT = 64 * 1024 * 1024
"""Bytes. More than this without an end of line is a broken peer, not an event."""

_SHORT = 4096
"""Bytes of an event's beginning that are kept in one piece until the rest comes."""


class LineParser:
    """Cuts a byte stream into lines at LF, CRLF or CR, without their ends."""

    __slots__ = ("_after_cr", "_pending", "_size")

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._size = 0
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete.

        Raises:
            MalformedResponseError: A line is longer than :data:`LONGEST_EVENT`.
        """
        if self._after_cr and data:
            # The \r at the end of the last piece was already an end of line.
            self._after_cr = False
            if data[:1] == b"\n":
                data = data[1:]
        if b"\r" in data:
            self._after_cr = data[-1:] == b"\r"
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = data.split(b"\n")
        rest = lines.pop()
        if self._pending and lines:
            self._pending.append(lines[0])
            lines[0] = b"".join(self._pending)
            self._pending.clear()
            self._size = 0
        if rest:
            self._pending.append(rest)
            self._size += len(rest)
            if self._size > LONGEST_EVENT:
                message = f"a line of more than {LONGEST_EVENT} bytes without an end"
                raise MalformedResponseError(message)
        return lines

    def rest(self) -> bytes:
        """What came after the last end of line."""
        return b"".join(self._pending)

    @property
    def pending(self) -> bool:
        """It depends on what came how the next bytes are read."""
        return self._after_cr or bool(self._pending)


class SseParser:
    """Gives the ``data`` of each event, in order, with its ``event`` name.

    Follows the WHATWG parsing rules as far as language-model APIs use them: comments, ids and
    retry hints are passed over, several ``data`` lines are joined by a newline, and an event that
    the end of the stream cut short is not given. More lenient in one point: spaces before a field
    name, which some gateways send, are passed over.

    Events as nearly every server writes them, a ``data`` line or an ``event`` and a ``data`` line,
    are cut out whole. All else goes line by line, which gives the same and takes longer.
    """

    __slots__ = ("_between", "_data", "_event", "_lines", "_rest", "_size")

    def __init__(self) -> None:
        self._lines = LineParser()
        self._data: list[bytes] = []
        self._event = b""
        self._size = 0
        # Between two events: what waits is an event's beginning, and it waits in ``_rest``.
        self._between = True
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The events that these bytes complete, as pairs of name (often empty) and data.

        Raises:
            MalformedResponseError: An event is longer than :data:`LONGEST_EVENT`.
        """
        if self._between:
            if self._rest:
                data = self._rest + data
                self._rest = b""
            plain = data
            if data.find(b"\r") >= 0:
                plain = data.replace(b"\r\n", b"\n")
                if plain.find(b"\r") >= 0:
                    # Its newline may yet come: that is for the lines to understand.
                    return self._by_line(data)
            if len(data) <= LONGEST_EVENT:
                return self._by_event(plain)
        return self._by_line(data)

    def _by_event(self, data: bytes) -> list[tuple[bytes, bytes]]:
        events: list[tuple[bytes, bytes]] = []
        start, size = 0, len(data)
        while start < size:
            end = data.find(b"\n", start)
            if end < 0:
                break
            if data.startswith(b"data: ", start):
                if data.startswith(b"\n", end + 1):
                    events.append((b"", data[start + 6 : end]))
                    start = end + 2
                    continue
            elif data.startswith(b"event: ", start) and data.startswith(b"data: ", end + 1):
                last = data.find(b"\n", end + 7)
                if last >= 0 and data.startswith(b"\n", last + 1):
                    events.append((data[start + 7 : end], data[end + 7 : last]))
                    start = last + 2
                    continue
            # An event of another form, or one of which more is to come.
            end = data.find(b"\n\n", start)
            if end < 0:
                break
            events += self._by_line(data[start : end + 2])
            start = end + 2
        if size - start > _SHORT:
            # Joined to every piece that comes, a long event would be copied again and again.
            return events + self._by_line(data[start:])
        self._rest = data[start:]
        return events

    def _by_line(self, data: bytes) -> list[tuple[bytes, bytes]]:
        events: list[tuple[bytes, bytes]] = []
        for line in self._lines.feed(data):
            if not line:
                if self._data:
                    whole = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                    events.append((self._event, whole))
                    self._data = []
                    self._size = 0
                self._event = b""
            else:
                self._field(line)
        self._between = not (self._data or self._event or self._lines.pending)
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        name = name.strip(b" \xef\xbb\xbf")  # a byte-order mark may open the stream
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
            if self._size > LONGEST_EVENT:
                raise MalformedResponseError(f"an event of more than {LONGEST_EVENT} bytes")
        elif name == b"event":
            self._event = value
