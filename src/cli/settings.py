"""What is in force, in short blocks for people and whole for scripts. No secret is in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import is_terminal, one_line, say, show_table

if TYPE_CHECKING:
    from ..config import Config

__all__ = ["in_force", "show_settings"]

_SETTINGS = "settings"
_NOTHING = "-"
_CALL = ("timeout", "attempt_timeout", "idle_timeout", "unsupported")
_BESIDE_GROUP = ("chain", "use")
_BESIDE_PROVIDER = ("plugin", "api_key", "base_url", "missing", "options", "backend")


def in_force(config: Config) -> dict[str, Any]:
    """The configuration as plain data, with what holds where it says nothing.

    Raises:
        ConfigError: ``SWITCHGEAR_LEDGER`` names no ledger, or an agent type has two groups.
    """
    import msgspec

    from ..accounting.ledger.place import place_of
    from ..config.agents import AgentTypes
    from ..config.spending import show_pricing

    base = Path(config.source).absolute().parent if config.source else None
    place = place_of(config.ledger, base)
    ledger = {
        "url": f"sqlite:{place.name}" if place.local else place.name,
        "on_error": "fail" if config.ledger.fails else "serve",
        "journal": None if place.journal is None else str(place.journal),
        "journal_mb": config.ledger.journal_mb,
    }
    return {
        **config.redacted(),
        "ledger": ledger,
        "pricing": {
            **msgspec.structs.asdict(config.pricing),
            "sources": show_pricing(config.pricing)["sources"],
        },
        "agents": dict(AgentTypes(config).groups),
    }


def show_settings(shown: Mapping[str, Any]) -> None:
    """Every section of ``in_force``, also those that hold nothing."""
    say(f"from {shown['source'] or 'the environment'}")
    _block("every call", _lines({key: shown[key] for key in _CALL}))
    _block("[backend]", _lines(shown["backend"]))
    say()
    columns = ("provider", "plugin", "key", "address", _SETTINGS)
    _table("providers", columns, _providers(shown["providers"]))
    say()
    _table("groups", ("group", "chain", "for", _SETTINGS), _groups(shown["groups"]))
    say()
    _table("agents", ("agent type", "group"), list(shown["agents"].items()))
    _block("[retry]", _lines(shown["retry"]))
    _block("[breaker]", _lines(shown["breaker"]))
    _block("[limits]", [_limit(rule) for rule in shown["limits"]])
    _block("[[budgets]]", [_budget(rule) for rule in shown["budgets"]])
    _block("[ledger]", _lines(shown["ledger"]))
    _block("[pricing]", _pricing(shown["pricing"]))
    _block("[cache]", [] if shown["cache"] is None else _lines(shown["cache"]))
    _block("[state]", _lines(shown["state"]))
    _block("[hooks]", [_hook(name, hook) for name, hook in shown["hooks"].items()])


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        say(title, bold=True)
        say("  none")
    elif columns[-1] == _SETTINGS and is_terminal():
        # A column of a terminal is too narrow for them.
        show_table(title, columns[:-1], [row[:-1] for row in rows])
        for name, *_, settings in rows:
            if settings != _NOTHING:
                say(f"  {one_line(f'{name}: {settings}')}")
    else:
        show_table(title, columns, rows)


def _block(title: str, lines: Sequence[str]) -> None:
    say()
    say(title, bold=True)
    for line in lines or ("none",):
        say(f"  {one_line(line)}")


def _lines(section: Mapping[str, Any]) -> list[str]:
    """A line a key, then one for each of the tables within."""
    inner = {key: value for key, value in section.items() if isinstance(value, Mapping)}
    return [
        *(f"{key} = {_value(value)}" for key, value in section.items() if key not in inner),
        *(
            f"{key}.{name}: {_pairs(settings)}"
            for key, tables in inner.items()
            for name, settings in tables.items()
        ),
    ]


def _value(value: Any) -> str:
    """As one writes it in TOML; what is not set in words."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, Mapping):
        return f"{{ {_pairs(value)} }}" if value else "{}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    return str(value)


def _pairs(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {_value(value)}" for key, value in settings.items())


def _said(settings: Mapping[str, Any], beside: Collection[str]) -> str:
    """What differs from saying nothing, but for what has a column of its own."""
    silence: tuple[object, ...] = (None, False, "priority", {})
    return _pairs({k: v for k, v in settings.items() if k not in beside and v not in silence})


def _providers(providers: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            name,
            provider["plugin"],
            _key(provider),
            provider["base_url"] or "the vendor's",
            _provider_settings(provider),
        )
        for name, provider in providers.items()
    ]


def _provider_settings(provider: Mapping[str, Any]) -> str:
    # What differs from a plugin's own default only the plugin knows: options are all shown.
    said = [_said(provider, _BESIDE_PROVIDER), _pairs(provider["options"])]
    return ", ".join(filter(None, said)) or _NOTHING


def _key(provider: Mapping[str, Any]) -> str:
    key = provider["api_key"] or "-"
    return f"{key} (missing)" if provider["missing"] else key


def _groups(groups: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            name,
            " → ".join(map(_link, group["chain"])),
            group["use"] or "-",
            _said(group, _BESIDE_GROUP) or _NOTHING,
        )
        for name, group in groups.items()
    ]


def _link(entry: Any) -> str:
    """One link of a chain: a model, with how it is called, or the models of a pool."""
    if isinstance(entry, list):
        return f"[{' | '.join(map(_link, entry))}]"
    if isinstance(entry, Mapping):
        own = {key: value for key, value in entry.items() if key != "model"}
        return f"{entry['model']} ({_pairs(own)})"
    return str(entry)


def _limit(rule: Mapping[str, Any]) -> str:
    said = {key: value for key, value in rule.items() if key != "pattern" and value is not None}
    return f'"{rule["pattern"]}": {_pairs(said)}'


def _budget(rule: Mapping[str, Any]) -> str:
    said = {key: value for key, value in rule.items() if key != "scope" and value is not None}
    # Text for the sake of its digits; it is a number all the same.
    amount = str(said.pop("usd"))
    return f'"{rule["scope"]}": usd = {amount}, {_pairs(said)}'


def _pricing(pricing: Mapping[str, Any]) -> list[str]:
    unpriced = f"unpriced = {_value(pricing['unpriced'])}"
    over = [f"own prices of {', '.join(sorted(table))}" for table in pricing["tables"] if table]
    sources = [f"source {source['name']}: {_pluggable(source)}" for source in pricing["sources"]]
    return [unpriced, *sources, *(over or ["no own prices"])]


def _hook(name: str, hook: Mapping[str, Any]) -> str:
    return f"{name}: {_pluggable(hook)}"


def _pluggable(table: Mapping[str, Any]) -> str:
    """What a table says that a plugin reads."""
    said = {k: v for k, v in table.items() if k not in {"name", "options"} and v is not None}
    return _pairs({**said, **table["options"]})
