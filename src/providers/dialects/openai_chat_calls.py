"""Tells which call a piece of one belongs to, whatever a server takes an index to be."""

from __future__ import annotations

from collections.abc import Iterator

from .openai_chat_values import WrittenCall

__all__ = ["CallKeys"]


class CallKeys:
    """Gives every piece of a streamed tool call the key of its call: 0, 1, 2, ... as they begin.

    OpenAI numbers its calls from 0 and names them once. Others begin at 1, leave the number out,
    number every call 0, leave the id empty, or repeat id and name in every piece.
    """

    __slots__ = ("_by_id", "_by_index", "_ids", "_names")

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._names: list[str] = []
        self._by_index: dict[int, int] = {}
        self._by_id: dict[str, int] = {}

    def __iter__(self) -> Iterator[str]:
        """The names of the calls so far."""
        return iter(self._names)

    def key(self, piece: WrittenCall, place: int | None = None) -> int:
        """The key of the call that this piece belongs to.

        Args:
            piece: The piece.
            place: Where it stands among several of one chunk; ``None`` where it came alone.
        """
        holder = piece.function or piece.custom
        name = (holder.name if holder is not None else None) or ""
        found = self._find(piece, name, place)
        if found is None:
            found = len(self._ids)
            self._ids.append("")
            self._names.append("")
        if piece.index is not None:
            self._by_index[piece.index] = found
        if piece.id and not self._ids[found]:
            self._ids[found] = piece.id
            self._by_id[piece.id] = found
        self._names[found] = self._names[found] or name
        return found

    def _find(self, piece: WrittenCall, name: str, place: int | None) -> int | None:
        if piece.index is not None:
            known = self._by_index.get(piece.index)
            # Another id with a name under a number that is taken: a server that counts every
            # call as 0.
            if known is not None and piece.id and name and self._ids[known]:
                return known if self._ids[known] == piece.id else self._by_id.get(piece.id)
            return known
        if piece.id:
            known = self._by_id.get(piece.id)
            if known is None and not name and self._ids and not self._ids[-1]:
                return len(self._ids) - 1
            return known
        if name or not self._ids:
            return None
        # Nothing names the call: the pieces of one chunk go to the calls in turn.
        return len(self._ids) - 1 if place is None else min(place, len(self._ids) - 1)
