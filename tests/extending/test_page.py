"""docs/extending.md: the package that it shows is installed as it stands, and works."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from switchgear import Config, HookVetoError, Router
from switchgear.plugins import GROUPS
from switchgear.testing.scripted import ScriptedProvider, scripted_reply
from tests.extending.packages import Install

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture(autouse=True)
def acme(install: Install) -> Path:
    entry_points = tomllib.loads(blocks("toml")[0])["project"]["entry-points"]
    files = {source.splitlines()[0].removeprefix("# "): source for source in blocks("python")}
    return install(entry_points, files)


def router(config: dict[str, Any], *models: str, **settings: Any) -> Router:
    provider = ScriptedProvider("openai", [scripted_reply(input_tokens=100, output_tokens=10)])
    chain = [[f"openai/{model}" for model in models or ("gpt-4o-mini",)]]
    group = {"chain": chain, **config.pop("group", {})}
    read = Config.from_dict(
        {"groups": {"g": group}, **config}, environ={"OPENAI_API_KEY": "not-a-real-key"}
    )
    return Router(read, providers={"openai": provider}, **settings)


def test_the_table_names_every_group() -> None:
    named = re.findall(r"^\| [a-z ]+ \| `(switchgear\.\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert named == list(GROUPS)


async def test_its_strategy_takes_turns() -> None:
    async with router({"group": {"strategy": "round-robin"}}, "gpt-4o", "gpt-4o-mini") as made:
        models = [(await made.complete("g", "hi")).trace.steps[-1].candidate for _ in range(4)]
    assert models[:2] == models[2:]
    assert {*models} == {"openai/gpt-4o", "openai/gpt-4o-mini"}


async def test_its_cache_store_keeps_answers(tmp_path: Path) -> None:
    cache = {"url": f"folder:{tmp_path / 'answers'}", "timeout": 5}
    async with router({"cache": cache}) as made:
        first = await made.complete("g", "hi", temperature=0)
        again = await made.complete("g", "hi", temperature=0)
    assert [first.cached, again.cached] == [False, True]
    assert len(list((tmp_path / "answers").iterdir())) == 1


async def test_its_ledger_store_books_and_counts(tmp_path: Path) -> None:
    ledger = {"url": f"tenant:{tmp_path}?alpha", "journal": str(tmp_path / "journal")}
    budget = {"scope": "project:p", "usd": 1, "period": "ever"}
    async with router({"ledger": ledger, "budgets": [budget]}) as made:
        reply = await made.complete("g", "hi", project_id="p", max_tokens=100)
        spend = await made.spend(project_id="p")
        [standing] = await made.budgets()
    assert reply.cost
    assert (spend.cost, spend.calls) == (reply.cost, 1)
    assert standing.spent > 0
    assert (tmp_path / "alpha.sqlite3").is_file()


async def test_its_price_source_says_what_is_paid(tmp_path: Path) -> None:
    file = tmp_path / "contract.json"
    file.write_text('{"gpt-4o-mini": {"prices": {"input": 7.5, "output": 10}}}')
    table = tomllib.loads(blocks("toml")[1])
    table["pricing"]["sources"]["contract"]["file"] = str(file)
    async with router(table) as made:
        reply = await made.complete("g", "hi")
    assert reply.cost == Decimal("7.5") * 100 / 10**6 + Decimal(10) * 10 / 10**6


async def test_its_hook_guards_and_hears() -> None:
    async with router(tomllib.loads(blocks("toml")[2])) as made:
        with pytest.raises(HookVetoError, match="does not leave the house") as caught:
            await made.complete("g", "What was the Manhattan project?")
        reply = await made.complete("g", "hi")
        [guard] = made._hooks._hooks if made._hooks else ()
        assert made.health().hooks[0].vetoes == 1
    assert caught.value.hook == "guard"
    spent = guard.methods["on_settle"].__self__.spent  # type: ignore[attr-defined]
    assert list(spent.values()) == [reply.cost]
