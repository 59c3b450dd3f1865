"""What becomes of the parts of a request that a vendor or a model can't express.

Nothing is dropped without a word: an adapter notes each such part here, and the configuration's
``unsupported`` decides whether the note becomes an error or a warning on the reply.
"""

from __future__ import annotations

from ..errors import UnsupportedParameterError
from .base import Unsupported

__all__ = ["Unexpressed"]


class Unexpressed:
    """The notes of one request.

    Args:
        unsupported: ``Call.unsupported``: ``raise`` and ``warn`` hold for everything, ``None``
            warns about knobs and raises for what changes the meaning.
        provider: The provider's name in the configuration.
        model: The model that was asked.
    """

    __slots__ = ("_lines", "_model", "_provider", "_unsupported")

    def __init__(self, unsupported: Unsupported, provider: str, model: str) -> None:
        self._unsupported = unsupported
        self._provider = provider
        self._model = model
        self._lines: list[str] = []

    @property
    def model(self) -> str:
        """The model that was asked."""
        return self._model

    def knob(self, param: str, why: str = "") -> None:
        """Left out, and the answer means the same: sampling, cache marks, effort, detail.

        Args:
            param: The parameter as the request calls it.
            why: The reason, a clause; empty where the model simply has no such parameter.

        Raises:
            UnsupportedParameterError: The configuration says ``raise``.
        """
        self._left_out(param, why, raises=self._unsupported == "raise")

    def meaning(self, param: str, why: str = "") -> None:
        """Left out, and the answer may mean something else: tools, a schema, images, files, audio.

        Raises:
            UnsupportedParameterError: Unless the configuration says ``warn``.
        """
        self._left_out(param, why, raises=self._unsupported != "warn")

    def approximate(self, param: str, how: str) -> None:
        """Expressed, but in another way than asked, which ``how`` tells.

        Raises:
            UnsupportedParameterError: The configuration says ``raise``.
        """
        if self._unsupported == "raise":
            raise self._error(param, f"only approximately: {how}")
        self.note(f"{param}: {how}")

    def note(self, line: str) -> None:
        """Something that was changed on the way and is never an error: ``param: what happened``."""
        if line not in self._lines:
            self._lines.append(line)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The lines for ``Reply.warnings``, in order, each once."""
        return tuple(self._lines)

    def _left_out(self, param: str, why: str, *, raises: bool) -> None:
        reason = why or f"{self._model} does not take it"
        if raises:
            raise self._error(param, reason)
        self.note(f"{param}: left out: {reason}")

    def _error(self, param: str, reason: str) -> UnsupportedParameterError:
        return UnsupportedParameterError(
            f"{self._provider}: {param} can't be expressed: {reason}",
            provider=self._provider,
            model=self._model,
            param=param,
        )
