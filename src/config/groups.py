"""Reading ``[groups]``: chains, pools, and groups within groups."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..errors import ConfigError
from .lines import Path
from .providers import Providers, is_local_model
from .secret_reader import SecretReader
from .strategies import ignores_weights, read_strategy
from .table import Problems, Table, closest, kind
from .values import (
    EMPTY,
    Candidate,
    FrozenDict,
    GroupConfig,
    ModelRef,
    Pool,
    parse_model_ref,
    shorten,
)

__all__ = ["read_groups"]

_SETTINGS = (
    "use",
    "chain",
    "timeout",
    "attempt_timeout",
    "idle_timeout",
    "max_tokens",
    "strategy",
    "local_only",
    "fallback_on_content_filter",
    "hedging",
    "resume",
)
_ENTRY = (
    "model",
    "weight",
    "region",
    "max_tokens",
    "timeout",
    "attempt_timeout",
    "extra",
    "extra_headers",
)
_LARGEST_CHAIN = 256
_DEEPEST = 16

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def read_groups(
    tables: Mapping[str, Table], providers: Providers, secrets: SecretReader, problems: Problems
) -> dict[str, GroupConfig]:
    """Read every group; a name of another group in a chain is replaced by that group's chain."""
    drafts = _Drafts(tables, providers, secrets, problems).read()
    resolve = _Resolver(drafts, problems)
    groups = {
        name: msgspec.structs.replace(draft.settings, chain=resolve.chain(name))
        for name, draft in drafts.items()
    }
    for name, draft in drafts.items():
        if draft.settings.local_only:
            _check_local(draft, resolve, providers, problems)
        if len(groups[name].candidates) > _LARGEST_CHAIN:
            problems.add(
                ("groups", name, "chain"), f"comes to more than {_LARGEST_CHAIN} candidates"
            )
    return groups


class _Step(msgspec.Struct, frozen=True):
    """One entry of a chain as written: a pool, or the name of another group."""

    path: Path
    entry: Pool | str


class _Draft(msgspec.Struct, frozen=True):
    settings: GroupConfig
    steps: tuple[_Step, ...]


class _Drafts:
    """Reads each group by itself."""

    def __init__(
        self,
        tables: Mapping[str, Table],
        providers: Providers,
        secrets: SecretReader,
        problems: Problems,
    ) -> None:
        self._tables = tables
        self._providers = providers
        self._secrets = secrets
        self._problems = problems

    def read(self) -> dict[str, _Draft]:
        return {name: self._group(name, table) for name, table in self._tables.items()}

    def _group(self, name: str, table: Table) -> _Draft:
        if name != name.strip() or not name.isprintable() or not name or set("/:") & set(name):
            self._problems.add(
                table.path,
                "a group's name is printable, without '/' and ':' (those make a model of it)",
            )
        table.only(_SETTINGS)
        settings = GroupConfig(
            name=name,
            use=table.text("use"),
            timeout=table.seconds("timeout"),
            attempt_timeout=table.seconds("attempt_timeout"),
            idle_timeout=table.seconds("idle_timeout"),
            max_tokens=table.integer("max_tokens", least=1),
            strategy=read_strategy(table),
            local_only=table.flag("local_only") or False,
            fallback_on_content_filter=table.flag("fallback_on_content_filter") or False,
            hedging=_hedging(table),
            resume=table.flag("resume") or False,
        )
        return _Draft(settings, tuple(self._steps(table, settings)))

    def _steps(self, table: Table, group: GroupConfig) -> list[_Step]:
        chain = table.data.get("chain")
        path = (*table.path, "chain")
        if not isinstance(chain, list) or not chain:
            found = "missing" if chain is None else "empty" if chain == [] else kind(chain)
            self._problems.add(
                path,
                'must be a list of what to try, such as ["anthropic/claude-opus-5-5", '
                f'"ollama/llama3.1"], but is {found}',
            )
            return []
        steps = []
        for index, value in enumerate(chain):
            entry = self._step(value, (*path, index), group)
            if entry is not None:
                steps.append(_Step((*path, index), entry))
        return steps

    def _step(self, value: Any, path: Path, group: GroupConfig) -> Pool | str | None:
        if isinstance(value, str) and value in self._tables:
            return value
        if not isinstance(value, list):
            candidate = self._candidate(value, path, group)
            if candidate is None:
                return None
            return Pool((candidate,), group.strategy, group.name)
        if not value:
            self._problems.add(path, "a pool needs at least one model")
        found = (self._candidate(v, (*path, i), group) for i, v in enumerate(value))
        candidates = tuple(candidate for candidate in found if candidate is not None)
        return Pool(candidates, group.strategy, group.name) if candidates else None

    def _candidate(self, value: Any, path: Path, group: GroupConfig) -> Candidate | None:
        if isinstance(value, str):
            ref = self._ref(value, path)
            if ref is None:
                return None
            return Candidate(provider=ref.provider, model=ref.model)
        if isinstance(value, dict):
            return self._described(Table(value, path, self._problems), group)
        self._problems.add(
            path, f'must be "provider/model", a group, a table or a list, but is {kind(value)}'
        )
        return None

    def _described(self, table: Table, group: GroupConfig) -> Candidate | None:
        """A candidate that is written as a table."""
        table.only(_ENTRY)
        weight = table.positive("weight")
        if weight is not None and ignores_weights(group.strategy):
            path = (*table.path, "weight")
            self._problems.warn(path, 'has no effect without strategy "weighted"')
        plain = Candidate(
            provider="",
            model="",
            weight=1.0 if weight is None else weight,
            region=table.text("region") or None,
            max_tokens=table.integer("max_tokens", least=1),
            timeout=table.seconds("timeout"),
            attempt_timeout=table.seconds("attempt_timeout"),
            extra=self._free(table, "extra"),
            extra_headers=self._free(table, "extra_headers", check=_check_headers),
        )
        model = table.data.get("model")
        if not isinstance(model, str):
            table.wrong("model", '"provider/model"')
            return None
        ref = self._ref(model, (*table.path, "model"))
        if ref is None:
            return None
        return msgspec.structs.replace(plain, provider=ref.provider, model=ref.model)

    def _free(
        self, table: Table, key: str, check: Callable[[Table], None] | None = None
    ) -> FrozenDict:
        inner = table.table(key)
        if inner is None:
            return EMPTY
        if check is not None:
            check(inner)
        values, missing = self._secrets.options(inner.data, inner.path)
        for path, message in missing:
            self._problems.add(path, message)
        return values

    def _ref(self, text: str, path: Path) -> ModelRef | None:
        if text in self._tables:
            self._problems.add(
                path,
                f"{shorten(text)} is a group, and here stands one model; write the group's name "
                "as an entry of the chain itself",
            )
            return None
        try:
            ref = parse_model_ref(text)
        except ConfigError:
            self._problems.add(path, self._no_such_entry(text))
            return None
        return ref if self._providers.use(ref.provider, path) else None

    def _no_such_entry(self, text: str) -> str:
        hint = closest(text, self._tables)
        if hint or "/" in text or ":" in text:
            return f'{shorten(text)} is neither a group nor "provider/model"{hint}'
        return (
            f'{shorten(text)} is neither a group nor "provider/model"; name the provider too, '
            f"such as {shorten('openai/' + text)}"
        )


class _Resolver:
    """Replaces the names of groups by what they stand for, once each."""

    def __init__(self, drafts: Mapping[str, _Draft], problems: Problems) -> None:
        self._drafts = drafts
        self._problems = problems
        self._done: dict[str, tuple[Pool, ...]] = {}

    def chain(self, name: str, trail: tuple[str, ...] = ()) -> tuple[Pool, ...]:
        if name in self._done:
            return self._done[name]
        pools: list[Pool] = []
        for step in self._drafts[name].steps:
            pools.extend(self.step(step, (*trail, name)))
            if len(pools) > _LARGEST_CHAIN:
                break  # names of groups multiply: the caller reports it
        self._done[name] = tuple(pools)
        return self._done[name]

    def step(self, step: _Step, trail: tuple[str, ...]) -> tuple[Pool, ...]:
        if isinstance(step.entry, Pool):
            return (step.entry,)
        if step.entry in trail:
            circle = (*trail[trail.index(step.entry) :], step.entry)
            self._problems.add(step.path, f"groups go round in a circle: {' -> '.join(circle)}")
            return ()
        if len(trail) >= _DEEPEST and step.entry not in self._done:
            self._problems.add(step.path, f"groups within groups more than {_DEEPEST} deep")
            return ()
        settings = self._drafts[step.entry].settings
        return tuple(_settled(pool, settings) for pool in self.chain(step.entry, trail))


def _settled(pool: Pool, group: GroupConfig) -> Pool:
    """A pool on its way into another group's chain: it takes its own group's settings along."""
    if group.max_tokens is None and group.attempt_timeout is None:
        return pool
    candidates = tuple(
        msgspec.structs.replace(
            candidate,
            max_tokens=candidate.max_tokens or group.max_tokens,
            attempt_timeout=candidate.attempt_timeout or group.attempt_timeout,
        )
        for candidate in pool.candidates
    )
    return msgspec.structs.replace(pool, candidates=candidates)


def _check_local(
    draft: _Draft, resolve: _Resolver, providers: Providers, problems: Problems
) -> None:
    for step in draft.steps:
        for pool in resolve.step(step, (draft.settings.name,)):
            for candidate in pool.candidates:
                provider = providers.found.get(candidate.provider)
                if provider is None or is_local_model(provider, candidate.model):
                    continue
                problems.add(
                    step.path,
                    f"the group is local_only, and {shorten(str(candidate))} is remote; take it "
                    "out, or, if that provider is in your own network, say local = true in "
                    f"[providers.{candidate.provider}]",
                )


def _check_headers(table: Table) -> None:
    for name, value in table.data.items():
        if not _HEADER_NAME.fullmatch(name):
            table.problems.add((*table.path, name), "is not the name of a header")
        elif not isinstance(value, str) or not value.isprintable() or not value.isascii():
            table.problems.add((*table.path, name), "must be a string on one line, in ASCII")


def _hedging(table: Table) -> bool | float:
    """``true`` for the live 95th percentile, or seconds."""
    value = table.data.get("hedging")
    if value is None or isinstance(value, bool):
        return bool(value)
    seconds = table.positive("hedging", "true, false or a number of seconds above 0")
    return False if seconds is None else seconds
