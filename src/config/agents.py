"""Agent types: which group an agent gets that says what it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ConfigError, InvalidRequestError
from .environment import AGENTS
from .table import closest
from .values import FrozenDict, shorten

if TYPE_CHECKING:
    from . import Config

__all__ = ["AgentType", "AgentTypes"]

_BETWEEN_WORDS = re.compile(r"[\s_-]+")


class AgentType(NamedTuple):
    """One agent type: its name as the configuration spells it, and its group."""

    name: str
    group: str


class AgentTypes:
    """The agent types of a configuration, and ADR-004's wherever it does not say otherwise.

    A type is known however its words are joined and capitalised: ``QA Engineer``, ``qa-engineer``,
    ``qa_engineer`` and ``QAEngineer`` are one, under the name that the configuration gives it.

    Raises:
        ConfigError: Two spellings of one type have different groups.
    """

    def __init__(self, config: Config) -> None:
        self._found: dict[str, AgentType] = {}
        for name, group in config.agents.items():
            known = self._found.setdefault(_folded(name), AgentType(name, group))
            if known.group != group:
                message = (
                    f"agents: {shorten(known.name)} and {shorten(name)} are one agent type, with "
                    f"two groups: {shorten(known.group)} and {shorten(group)}; leave one of them"
                )
                raise ConfigError(message, param="agents")
        self._homeless: dict[str, AgentType] = {}
        for name, group in AGENTS.items():
            table = self._found if group in config.groups else self._homeless
            if _folded(name) not in self._found:
                table[_folded(name)] = AgentType(name, group)
        self.groups: Mapping[str, str] = FrozenDict(dict(self._found.values()))

    def find(self, asked: str) -> AgentType | None:
        """The type of that name, in whatever spelling; ``None`` where there is none."""
        return self._found.get(_folded(asked))

    def get(self, asked: str) -> AgentType:
        """The type of that name, in whatever spelling.

        Raises:
            InvalidRequestError: There is none; the message names those that there are.
        """
        found = self.find(asked)
        if found is not None:
            return found
        homeless = self._homeless.get(_folded(asked))
        if homeless is not None:
            message = (
                f"agent_type: {shorten(homeless.name)} has no group: {shorten(homeless.group)}, "
                "where it goes by default, is not configured; map the type in [agents], or "
                "configure that group"
            )
        else:
            known = ", ".join(shorten(name) for name in self.groups) or "none is configured"
            message = (
                f"agent_type: there is no agent type {shorten(asked)}{closest(asked, self.groups)} "
                f"(known: {known}); map it in [agents], or give a model_preference"
            )
        raise InvalidRequestError(message, param="agent_type")


def _folded(name: str) -> str:
    return _BETWEEN_WORDS.sub("", name).casefold()
