"""Deployments of one name become a pool, their fallbacks the rest of its chain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from .deployments import Deployment
from .findings import Findings

__all__ = ["Fallbacks", "Groups"]

STRATEGIES: Final = {
    "simple-shuffle": "weighted",
    "least-busy": "least-busy",
    "latency-based-routing": "latency",
    "cost-based-routing": "cost",
    "usage-based-routing": "usage",
    "usage-based-routing-v2": "usage",
}
"""LiteLLM's, in our words."""

_USE: Final = "model_name of LiteLLM's proxy"


class Fallbacks:
    """Who stands in for whom, as ``fallbacks`` and its kin say it.

    Args:
        findings: Where remarks go.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._of: dict[str, list[tuple[str, str]]] = {}
        self._of_all: list[tuple[str, str]] = []
        self.refusals: set[str] = set()

    def read(self, rules: object, path: str) -> None:
        """Take a list of rules ``{model: [others]}``."""
        for index, rule in enumerate(rules if isinstance(rules, list) else [rules]):
            place = f"{path}[{index}]" if isinstance(rules, list) else path
            if not isinstance(rule, Mapping):
                self._findings.lose(place, "is no rule: expected {model: [others]}")
                continue
            for name, others in rule.items():
                self._add(str(name), others, f"{place}.{name}")

    def read_default(self, others: object, path: str) -> None:
        """Take a list of models that stand in for all."""
        self._of_all += self._names(others, path)

    def read_refusals(self, rules: object) -> None:
        """Note whose refused prompts go on to another model."""
        for rule in rules if isinstance(rules, list) else ():
            if isinstance(rule, Mapping):
                self.refusals |= set(map(str, rule))

    def of(self, name: str) -> list[tuple[str, str]]:
        """The models that stand in for one, and where each is named; each once."""
        found = [pair for pair in (*self._of.get(name, ()), *self._of_all) if pair[0] != name]
        return list({model: (model, place) for model, place in reversed(found)}.values())[::-1]

    def named(self) -> set[str]:
        """The models that have fallbacks."""
        return set(self._of)

    def _add(self, name: str, others: object, place: str) -> None:
        if name == "*":
            self._of_all += self._names(others, place)
        else:
            self._of.setdefault(name, []).extend(self._names(others, place))

    def _names(self, others: object, place: str) -> list[tuple[str, str]]:
        found = []
        for other in others if isinstance(others, list) else [others]:
            if isinstance(other, Mapping) and len(other) > 1:
                self._findings.lose(place, "only its model was taken: write the rest to it")
            model = other.get("model") if isinstance(other, Mapping) else other
            if model is not None:
                found.append((str(model), place))
        return found


class _StandIn(NamedTuple):
    """A step of a chain.

    Attributes:
        part: A group of ours or a model; where ``apart``, LiteLLM's name of a group.
        apart: Without those that stand in for it.
    """

    part: str
    apart: bool = False


class Groups:
    """``[groups]`` while it is written.

    Args:
        findings: Where remarks go.
        fallbacks: Who stands in for whom.
        strategy: The strategy of every pool, in our word.
    """

    def __init__(self, findings: Findings, fallbacks: Fallbacks, strategy: str) -> None:
        self._findings = findings
        self._fallbacks = fallbacks
        self._strategy = strategy
        self._pools: dict[str, list[Any]] = {}
        self._silence: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._wild: dict[str, str] = {}
        self._parted: set[str] = set()

    def fill(self, deployments: Iterable[Deployment]) -> None:
        """Put the deployments of each name together."""
        by_name: dict[str, list[Deployment]] = {}
        for each in deployments:
            if each.every:
                self._note_wildcard(each)
            else:
                by_name.setdefault(each.group, []).append(each)
        for name, members in by_name.items():
            self._names[name] = self._our_name(name, members[0].place)
            self._pools[name] = self._steps(members)
            self._silence[name] = self._silence_of(members)

    def alias(self, alias: str, model: str, path: str) -> None:
        """Another name for a group."""
        if model not in self._pools:
            self._findings.lose(path, f"there is no {model!r} that it could stand for")
            return
        if alias in self._pools:
            self._findings.lose(path, "is the name of a model too; that one was taken")
            return
        self._names[alias] = self._our_name(alias, path)
        self._pools[alias] = [self._names[model]]
        self._silence[alias] = self._silence.get(model)

    def tables(self) -> dict[str, dict[str, Any]]:
        """The tables, by our names."""
        for name in sorted(self._fallbacks.named() - set(self._pools)):
            for _, place in self._fallbacks.of(name)[:1]:
                self._findings.lose(place, f"there is no model {name!r} in model_list")
        chains = {name: self._stand_ins(name) for name in self._pools}
        alone = {name: self._alone(name) for name in sorted(self._parted)}
        tables = {
            own: self._table(name, self._pools[name], "itself, without those that stand in for it")
            for name, own in alone.items()
        }
        for name, others in chains.items():
            own = [alone[name]] if name in alone else self._pools[name]
            tables[self._names[name]] = self._table(name, own, _USE)
            tables[self._names[name]]["chain"] += [
                alone.get(other.part, other.part) if other.apart else other.part for other in others
            ]
        return tables

    def _table(self, name: str, own: list[Any], use: str) -> dict[str, Any]:
        table: dict[str, Any] = {"use": use}
        if any(isinstance(step, list) for step in own):
            table["strategy"] = self._strategy
        if (silence := self._silence.get(name)) is not None:
            table["idle_timeout"] = silence
        if name in self._fallbacks.refusals:
            table["fallback_on_content_filter"] = True
        return {**table, "chain": list(own)}

    def _stand_ins(self, name: str) -> list[_StandIn]:
        """What comes after a model's own pool: each model once, by whatever road."""
        found: list[_StandIn] = []
        reached = {name}
        waiting = self._fallbacks.of(name)
        while waiting:
            other, place = waiting.pop(0)
            if other in reached:
                continue
            provider, slash, model = other.partition("/")
            if other not in self._pools:
                if slash and provider in self._wild:
                    found.append(_StandIn(f"{self._wild[provider]}/{model}"))
                else:
                    self._findings.lose(place, f"there is no model {other!r} in model_list")
                continue
            behind = self._behind(other)
            if name in behind:
                # By its name it would go round in a circle.
                self._parted |= {name, other}
                found.append(_StandIn(other, apart=True))
                reached.add(other)
                waiting = self._fallbacks.of(other) + waiting
            else:
                found.append(_StandIn(self._names[other]))
                reached |= behind
        return found

    def _behind(self, start: str) -> set[str]:
        """A model, and all that may answer in its place."""
        seen: set[str] = set()
        waiting = [start]
        back = {ours: theirs for theirs, ours in self._names.items()}
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self._pools:
                continue
            seen.add(name)
            waiting += [other for other, _ in self._fallbacks.of(name)]
            waiting += [back[step] for step in _strings(self._pools[name]) & set(back)]
        return seen

    def _alone(self, name: str) -> str:
        taken = set(self._names.values())
        own = f"{self._names[name]}-alone"
        while own in taken:
            own += "-"
        return own

    def _steps(self, members: Sequence[Deployment]) -> list[Any]:
        ordered = sorted(members, key=attrgetter("order"))
        return [self._pool(list(pool)) for _, pool in groupby(ordered, key=attrgetter("order"))]

    def _pool(self, members: list[Deployment]) -> Any:
        weights = self._weights(members) if self._strategy == "weighted" else {}
        entries = []
        for each in members:
            entry = dict(each.entry)
            if (weight := weights.get(each.place)) is not None and len(members) > 1:
                entry["weight"] = weight
            entries.append(entry["model"] if len(entry) == 1 else entry)
        return entries if len(members) > 1 else entries[0]

    def _weights(self, members: list[Deployment]) -> dict[str, Decimal]:
        """As LiteLLM's shuffle weighs: by weight, else by rpm, else by tpm, else evenly."""
        for key in ("weight", "rpm", "tpm"):
            found = {each.place: each.weights.get(key, Decimal(0)) for each in members}
            if not any(found.values()):
                continue
            if len(set(found.values())) == 1:
                return {}
            for place, weight in found.items():
                if weight <= 0:
                    text = "has no weight beside others that have: it stays as good as unused"
                    self._findings.note(f"{place}.litellm_params.{key}", text)
            least = min(weight for weight in found.values() if weight > 0)
            return {
                place: weight if weight > 0 else least / 1000 for place, weight in found.items()
            }
        return {}

    def _silence_of(self, members: Sequence[Deployment]) -> Any:
        said = {each.silence for each in members if each.silence is not None}
        if len(said) > 1:
            place = f"{members[0].place}.litellm_params.stream_timeout"
            self._findings.note(place, "differs within the group: the longest one was taken")
        return max(said, default=None)

    def _note_wildcard(self, each: Deployment) -> None:
        provider = each.entry["model"].partition("/")[0]
        prefix = each.group.partition("/")[0] if "/" in each.group else provider
        self._wild.setdefault(prefix, provider)
        text = f"every model of this provider is asked for as {provider}/MODEL"
        if set(each.entry) - {"model"}:
            text += "; how it is called (time-outs, fields) was left out"
        self._findings.note(f"{each.place}.model_name", text)
        if each.silence is not None:
            self._findings.lose(f"{each.place}.litellm_params.stream_timeout", "set idle_timeout")

    def _our_name(self, name: str, place: str) -> str:
        ours = re.sub(r"[/:]", "-", name.strip()) or "model"
        ours = "".join(c if c.isprintable() else "-" for c in ours)
        taken, wanted, number = set(self._names.values()), ours, 1
        while ours in taken:
            number += 1
            ours = f"{wanted}-{number}"
        if ours != name:
            path = place if place.startswith("router_settings") else f"{place}.model_name"
            self._findings.note(path, f"is asked for as {ours!r}: a group has no '/' and ':'")
        return ours


def _strings(values: Iterable[Any]) -> set[str]:
    return {value for value in values if isinstance(value, str)}
