"""What a translation has to say besides its result."""

from __future__ import annotations

import msgspec

__all__ = ["Findings", "Remark"]


class Remark(msgspec.Struct, frozen=True):
    """One line about one key of the file.

    Attributes:
        path: The key, as ``router_settings.retry_policy``.
        text: What became of it, or what to do instead.
    """

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


class Findings:
    """Collected while a file is translated, in the file's order.

    Attributes:
        lost: What has no equivalent; each with what to do instead.
        notes: What was translated and differs in something.
        variables: Environment variables that the result reads, each with a value of the form
            that it has to be of.
        unset: Those of them that the file's own secrets have to be put into.
        taken: Variables that the file names itself.
    """

    def __init__(self) -> None:
        self.lost: list[Remark] = []
        self.notes: list[Remark] = []
        self.variables: dict[str, str] = {}
        self.unset: dict[str, str] = {}
        self.taken: set[str] = set()

    def lose(self, path: str, instead: str) -> None:
        """Note a key that has no equivalent."""
        self._add(self.lost, Remark(path, instead))

    def note(self, path: str, text: str) -> None:
        """Note a difference."""
        self._add(self.notes, Remark(path, text))

    def reads(self, name: str, sample: str = "placeholder") -> str:
        """Note a variable that the result names; gives the reference to it."""
        self.variables.setdefault(name, sample)
        return f"env:{name}"

    def needs(self, path: str, name: str, what: str, sample: str = "placeholder") -> str:
        """A secret that is not copied: gives the reference to the variable in its place."""
        wanted, number = name, 1
        while name in self.taken or self.unset.get(name, what) != what:
            number += 1
            name = f"{wanted}_{number}"
        self.unset.setdefault(name, what)
        self.note(path, f"a secret, not copied: set the environment variable {name}")
        return self.reads(name, sample)

    @staticmethod
    def _add(remarks: list[Remark], remark: Remark) -> None:
        if remark not in remarks:
            remarks.append(remark)
