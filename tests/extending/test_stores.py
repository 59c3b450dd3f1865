"""Stores of other packages, by the schemes of their URLs."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from switchgear import BudgetExceededError, Config, ConfigError, LedgerError, PluginError, Router
from switchgear.accounting.ledger import LedgerStoreSettings, sqlite_store
from switchgear.accounting.ledger.place import place_of
from switchgear.accounting.ledger.stores import GROUP as LEDGERS, open_store
from switchgear.caching import CacheStoreSettings, StoreStats
from switchgear.caching.memory import MemoryStore
from switchgear.caching.stores import GROUP as CACHES, open_cache
from switchgear.clock import SystemClock
from switchgear.config import LedgerConfig
from switchgear.plugins import SWITCH, Plugins
from switchgear.testing.scripted import ScriptedProvider, scripted_reply
from tests.extending.packages import Install

HERE = "tests.extending.test_stores"
PASSWORD = "sesame-1234"


class Kept(MemoryStore):
    """A store that remembers what it was made from."""

    def __init__(self, settings: CacheStoreSettings) -> None:
        super().__init__(settings.clock, settings.max_bytes or 1_000_000)
        self.settings = settings


class Half:
    """Not the whole of a store."""

    def __init__(self, settings: CacheStoreSettings) -> None: ...


class Clumsy:
    """A ledger's database that has forgotten its driver."""

    def __init__(self, settings: LedgerStoreSettings) -> None:
        self._store = sqlite_store(LedgerStoreSettings(url="memory:"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def standings(self, keys: object, now: int) -> object:
        raise KeyError("driver")


def found(group: str, **targets: str) -> Plugins:
    points = [EntryPoint(name, f"{HERE}:{target}", group) for name, target in targets.items()]
    return Plugins(group, points)


# The cache


def test_a_cache_store_gets_everything_that_is_set() -> None:
    clock = SystemClock()
    store: Any = open_cache(
        f"acme://u:{PASSWORD}@h/x",
        clock=clock,
        max_bytes=1,
        max_entries=2,
        max_entry_bytes=3,
        prefix="p",
        plugins=found(CACHES, acme="Kept"),
    )
    assert store.settings == CacheStoreSettings(
        url=f"acme://u:{PASSWORD}@h/x",
        clock=clock,
        max_bytes=1,
        max_entries=2,
        max_entry_bytes=3,
        prefix="p",
    )
    assert store.settings.rest == f"//u:{PASSWORD}@h/x"
    assert PASSWORD not in repr(store.settings)


def test_half_a_store_is_named_with_what_it_lacks() -> None:
    with pytest.raises(PluginError, match=r"'acme'.*not a cache store.*lacks instant, place, open"):
        open_cache("acme:", plugins=found(CACHES, acme="Half"))


def test_an_unknown_scheme_is_told_what_there_is_without_the_url() -> None:
    with pytest.raises(ConfigError, match="acme:, memory:, redis:") as caught:
        open_cache(f"redsi://u:{PASSWORD}@h", plugins=found(CACHES, acme="Kept"))
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("url", ["memory:x", "sqlite:", "redis:x"])
def test_our_own_stores_refuse_what_makes_no_sense(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_cache(url)
    assert caught.value.param == "cache.url"


async def test_how_full_a_cache_is_stands_in_its_figures(tmp_path: Path) -> None:
    for url in ("memory:", f"sqlite:{tmp_path / 'c.db'}"):
        store = open_cache(url)
        await store.open()
        await store.put(b"k", b"value", 60)
        stats = store.stats()
        assert (stats.entries, stats.evicted) == (1, 0)
        assert stats.bytes
        await store.aclose()
    assert StoreStats().entries is None


# The ledger


def test_a_ledger_store_of_another_package_can_stand_in_for_ours(tmp_path: Path) -> None:
    url = f"acme:{tmp_path / 'l.db'}"
    store = open_store(url, plugins=found(LEDGERS, acme="through"))
    assert store.identity() == open_store(url, plugins=found(LEDGERS, acme="through")).identity()
    store.close()


def through(settings: LedgerStoreSettings) -> Any:
    return sqlite_store(LedgerStoreSettings(url=f"sqlite:{settings.rest}"))


def test_whatever_it_raises_is_a_ledger_error_with_the_cause() -> None:
    store = open_store(f"acme://u:{PASSWORD}@h", plugins=found(LEDGERS, acme="Clumsy"))
    with pytest.raises(LedgerError, match=r"acme://u:\*\*\*@h failed: KeyError") as caught:
        store.standings((), 0)
    assert isinstance(caught.value.__cause__, KeyError)
    assert store.counters((), 0) == []
    store.close()


def test_one_that_is_no_store_is_named() -> None:
    with pytest.raises(LedgerError, match=r"'acme'.*not a ledger store: it lacks open, register"):
        open_store("acme:", plugins=found(LEDGERS, acme="Half"))


def test_databases_of_one_plugin_have_journals_of_their_own() -> None:
    plugins = found(LEDGERS, acme="through")
    places = [
        place_of(LedgerConfig(url=url), environ={}, plugins=plugins)
        for url in ("acme:/x?a", "acme:/x?b", f"acme://u:{PASSWORD}@h/x", "acme://u:other@h/x")
    ]
    journals = [place.journal for place in places]
    assert len({*journals}) == 3, "only the password differs"
    assert journals[2] == journals[3]
    assert PASSWORD not in places[2].name


SOURCE = """
from switchgear.accounting.ledger import LedgerStoreSettings, sqlite_store
from switchgear.caching.memory import MemoryStore

def ledger(settings):
    return sqlite_store(LedgerStoreSettings(url="sqlite:" + settings.rest))

def cache(settings):
    return MemoryStore(settings.clock, 1_000_000)
"""


@pytest.fixture
def acme(install: Install) -> None:
    install(
        {
            LEDGERS: {"acme": "acme_stores:ledger", "gone": "acme_nowhere:x"},
            CACHES: {"acme": "acme_stores:cache"},
        },
        {"acme_stores.py": SOURCE},
    )


def load(**sections: Any) -> Config:
    config = {"groups": {"g": {"chain": ["openai/gpt-4o-mini"]}}, **sections}
    return Config.from_dict(config, environ={"OPENAI_API_KEY": "not-a-real-key"})


@pytest.mark.usefixtures("acme")
async def test_a_budget_holds_in_a_ledger_of_another_package(tmp_path: Path) -> None:
    config = load(
        ledger={"url": f"acme:{tmp_path / 'books'}", "journal": str(tmp_path / "journal")},
        budgets=[{"scope": "project:p", "usd": 0.001, "period": "ever"}],
        cache={"url": "acme:", "timeout": 5},
    )
    provider = ScriptedProvider("openai", [scripted_reply(input_tokens=100, output_tokens=90)])
    spent = 0
    async with Router(config, providers={"openai": provider}) as router:
        with pytest.raises(BudgetExceededError, match="project:p"):
            for number in range(100):
                await router.complete("g", f"hi {number}", project_id="p", max_tokens=100)
                spent += 1
        spend = await router.spend(project_id="p")
        [standing] = await router.budgets()
        assert router.cache_stats().stored == spent
    assert 0 < spent < 100
    assert spend.calls == len(provider.calls) == spent
    assert spend.cost == standing.spent <= standing.limit
    # It outlives the router.
    async with Router(config, providers={"openai": provider}) as router:
        assert (await router.spend(project_id="p")).cost == spend.cost


@pytest.mark.usefixtures("acme")
def test_a_store_that_can_not_be_imported_shows_when_the_router_is_made(tmp_path: Path) -> None:
    config = load(ledger={"url": "gone:x", "journal": str(tmp_path)})
    with pytest.raises(PluginError, match=r"'gone' \(acme-switchgear 1.0\) can't be loaded"):
        Router(config, providers={"openai": ScriptedProvider("openai")})


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("section", ["cache", "ledger"])
def test_a_configuration_knows_the_schemes_that_plugins_serve(
    section: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(**{section: {"url": f"acme://u:{PASSWORD}@h"}})
    with pytest.raises(ConfigError, match=r'"acme:\.\.\."') as caught:
        load(**{section: {"url": f"acne://u:{PASSWORD}@h"}})
    assert PASSWORD not in str(caught.value)
    monkeypatch.setenv(SWITCH, "0")
    with pytest.raises(ConfigError, match="must be"):
        load(**{section: {"url": "acme:x"}})


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("section", ["cache", "ledger"])
def test_a_password_in_a_plugins_url_is_shown_nowhere(section: str) -> None:
    config = load(**{section: {"url": f"acme://u:{PASSWORD}@h/x?token={PASSWORD}"}})
    assert PASSWORD not in repr(config) + str(config.redacted())
