"""`examples/switchgear.toml` is a tour of every key, and what it shows is right."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

from switchgear import Config
from switchgear.config.providers import BUILT_IN
from switchgear.config.table import Table
from tests.config.helpers import KEY, KEYS

TOUR = Path(__file__).parents[2] / "examples" / "switchgear.toml"
VARIABLES = {
    **KEYS,
    **dict.fromkeys(("ANTHROPIC_OAUTH_TOKEN", "AZURE_AD_TOKEN", "ACME_TOKEN"), KEY),
    **dict.fromkeys(("BEDROCK_ACCESS_KEY", "BEDROCK_SECRET_KEY", "BEDROCK_SESSION_TOKEN"), KEY),
}
# Tables whose names are the user's.
NAMED = {
    ("providers",),
    ("providers", "*", "models"),
    ("groups",),
    ("limits",),
    ("cache", "groups"),
    ("pricing", "sources"),
    ("hooks",),
}
# A Python callable can't stand in TOML; the tour says so.
ONLY_PYTHON = {"azure_ad_token_provider"}
PLUGINS = ("anthropic", "openai", "azure", "bedrock", "vertex", "ollama", "embedded")
# Its options have a module of their own, beside what sends them.
MODULES = {"litellm": "litellm_request"}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """The tour with its commented keys in force, and the files that they name."""
    path = tmp_path / "switchgear.toml"
    path.write_text(re.sub(r"^#(?=[^\s#])", "", TOUR.read_text(), flags=re.MULTILINE))
    (tmp_path / "prices.toml").write_text("")
    return path


def kind(path: Iterable[str | int]) -> tuple[str, ...]:
    """Which sort of table stands there: ``groups.fast.chain[0][1]`` is a ``groups.*.chain.*``."""
    found: tuple[str, ...] = ()
    for step in path:
        if isinstance(step, int):
            found = found if found[-1] == "*" else (*found, "*")
        else:
            found = (*found, "*" if found in NAMED else step)
    return found


def test_every_key_that_any_section_knows_occurs(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: dict[tuple[str, ...], set[str]] = defaultdict(set)
    there: dict[tuple[str, ...], set[str]] = defaultdict(set)
    strictly = Table.only

    def only(
        table: Table, keys: Iterable[str], unavailable: Mapping[str, str] | None = None
    ) -> None:
        keys = list(keys)
        known[kind(table.path)].update(keys)
        there[kind(table.path)].update(table.data)
        strictly(table, keys, unavailable)

    monkeypatch.setattr(Table, "only", only)
    Config.from_file(whole, environ=VARIABLES)
    lacking = {where: keys - there[where] for where, keys in known.items()}
    assert {where: keys for where, keys in lacking.items() if keys} == {}
    # A reader that is not asked would find nothing lacking.
    assert {*known} >= {(), ("groups", "*", "chain", "*"), ("cache", "groups", "*"), ("state",)}


def test_every_common_key_of_a_provider_occurs(whole: Path) -> None:
    from switchgear.config.providers import _KNOWN

    tables = tomllib.loads(whole.read_text())["providers"].values()
    assert not {*_KNOWN} - {key for table in tables for key in table}


@pytest.mark.parametrize("path", [("hooks",), ("pricing", "sources")])
def test_every_key_of_what_a_plugin_reads_occurs(whole: Path, path: tuple[str, ...]) -> None:
    config = Config.from_file(whole, environ=VARIABLES)
    tables = tomllib.loads(whole.read_text())
    for key in path:
        tables = tables[key]
    found = [*config.hooks.values()] if path == ("hooks",) else [*config.pricing.sources]
    own = {*found[0].__struct_fields__} - {"name", "options"}
    assert own <= {key for table in tables.values() for key in table}
    assert all(each.options for each in found)


@pytest.mark.parametrize("plugin", [*PLUGINS, "openai_compatible", "litellm"])
def test_every_option_of_every_plugin_occurs_and_is_right(whole: Path, plugin: str) -> None:
    module = import_module(f"switchgear.providers.{MODULES.get(plugin, plugin)}")
    options = module.Options if plugin in MODULES else module._Options
    known = {field.encode_name for field in msgspec.structs.fields(options)}
    name = {"azure": "azure-openai", "openai_compatible": "openai-compatible"}.get(plugin, plugin)
    config = Config.from_file(whole, environ=VARIABLES)
    found = [each for each in config.providers.values() if each.plugin == name]
    assert found
    for each in found:
        msgspec.convert(each.options, options, strict=True)  # what it shows is of the right type
    # `local` is for every provider, and no option by the time a plugin sees it.
    shown = {key for each in found for key in each.options} | {"local"}
    assert known - shown - ONLY_PYTHON == set()


def test_all_plugins_of_the_package_are_looked_at() -> None:
    from switchgear.providers.registry import Registry

    own = {name.replace("-", "_") for name in Registry(third_party=False).names()}
    assert own <= {*PLUGINS, *MODULES, "openai_compatible", "azure_openai"}
    assert {*BUILT_IN} <= {*PLUGINS}
