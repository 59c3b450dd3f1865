"""Reading ``[providers]``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from .backend import Backend, served_by
from .lines import Path, show_path
from .secret_reader import Credential, SecretReader
from .table import Problems, Table, closest
from .values import EMPTY, FrozenDict, ProviderConfig, Unsupported, shorten

__all__ = ["BUILT_IN", "Providers", "host_reach", "is_local_model"]

BUILT_IN: dict[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    "openai": ("OPENAI_API_KEY",),
    "ollama": (),
    "embedded": (),
}
"""Plugins that a chain may name without a table, and the variables their SDKs read a key from."""

UNSUPPORTED = ("raise", "warn")

_KNOWN = ("plugin", "api_key", "base_url", "unsupported", "backend", "local", "models")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

# What one [providers.NAME.models."x"] table may say: the fields of providers.base.Capabilities,
# which stands a floor above and can't be asked.
_CAPABILITY_FLAGS = (
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "json_object",
    "images",
    "files",
    "audio",
    "reasoning",
    "prompt_cache",
    "local",
)
_CAPABILITY_SIZES = ("context_window", "max_output_tokens")
CAPABILITIES = frozenset({*_CAPABILITY_FLAGS, *_CAPABILITY_SIZES, "schema", "sampling"})
SAMPLING = frozenset({"temperature", "top_p", "stop", "seed"})

Reach = Literal["loopback", "private", "public"]


def host_reach(url: str) -> Reach:
    """How far away the host of an address is, without asking the network.

    A name can't be resolved here: ``localhost`` is loopback, a name without a dot or under a
    domain that is never public (``.local``, ``.internal``, ``.lan``, ``.home.arpa``) is private,
    every other name is public.
    """
    try:
        host = (urlsplit(url if "://" in url else f"http://{url}").hostname or "localhost").lower()
    except ValueError:
        return "public"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            return "loopback"
        private = (".local", ".internal", ".lan", ".home.arpa")
        # Digits alone may be an address in disguise: 134744072 is 8.8.8.8.
        plain = re.fullmatch(r"[a-z][a-z0-9_-]*", host) is not None
        return "private" if plain or host.endswith(private) else "public"
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback or address.is_unspecified:
        return "loopback"
    return "private" if address.is_private or address.is_link_local else "public"


def is_local_model(provider: ProviderConfig, model: str) -> bool:
    """Whether a request for that model stays where ``local`` promises."""
    override = provider.models.get(model, EMPTY).get("local")
    if not provider.local or override is False:
        return False
    # Ollama forwards models with such a tag ("gpt-oss:120b-cloud") to its own service.
    tag = model.rpartition(":")[2] if ":" in model else ""
    return not (provider.plugin == "ollama" and tag.endswith("cloud"))


class Providers:
    """Every provider of one configuration: those with a table, and those that chains imply.

    Args:
        tables: What stands under ``[providers]``.
        environ: The environment variables.
        secrets: Finds the credentials.
        problems: Where faults go.
        unsupported: The configuration's own ``unsupported``.
        backend: The configuration's own ``backend``.
    """

    def __init__(
        self,
        tables: Mapping[str, Table],
        environ: Mapping[str, str],
        secrets: SecretReader,
        problems: Problems,
        *,
        unsupported: Unsupported,
        backend: Backend,
    ) -> None:
        self._environ = environ
        self._secrets = secrets
        self._unsupported = unsupported
        self._backend = backend
        self._problems = problems
        self._used: set[str] = set()
        self._missing: dict[str, list[tuple[Path, str]]] = {}
        self.found: dict[str, ProviderConfig] = {}
        for name, table in tables.items():
            self.found[name] = self._read(name, table)

    def use(self, name: str, path: Path) -> ProviderConfig | None:
        """The provider that a chain names, or ``None`` after noting that there is none."""
        provider = self.found.get(name)
        if provider is None:
            if name not in BUILT_IN:
                self._problems.add(path, unknown_provider(name, self.found))
                return None
            table = Table({}, ("providers", name), self._problems)
            provider = self.found[name] = self._read(name, table, implied=True)
        if name not in self._used:
            self._used.add(name)
            self._need_credentials(provider)
        return provider

    def _need_credentials(self, provider: ProviderConfig) -> None:
        place = ("providers", provider.name)
        for path, message in self._missing.get(provider.name, ()):
            self._problems.add(
                path,
                f"{message}, and a group uses this provider; set it, or take "
                f"{provider.name!r} out of the chains",
            )
        variables = BUILT_IN.get(provider.plugin, ())
        vendor = provider.base_url is None and provider.api_key is None and not provider.missing
        if vendor and variables and not any(self._environ.get(name) for name in variables):
            self._problems.warn(
                place,
                f"no api_key, and no {' or '.join(variables)} in the environment: it can't answer "
                "unless its SDK finds a credential elsewhere",
            )

    def _read(self, name: str, table: Table, *, implied: bool = False) -> ProviderConfig:
        table.secretive = True
        if not _NAME.fullmatch(name):
            self._problems.add(
                table.path, "a provider's name is made of letters, digits, '.', '_' and '-'"
            )
        plugin = table.text("plugin", name)
        key = Credential()
        missing = self._missing[name] = []
        if "api_key" in table.data:
            key = self._secrets.credential(table.data["api_key"], (*table.path, "api_key"))
            if key.missing:
                missing.append(((*table.path, "api_key"), key.missing))
        self._near_misses(table)
        rest = {k: v for k, v in table.data.items() if k not in _KNOWN}
        options, absent = self._secrets.options(rest, table.path)
        missing.extend(absent)
        unsupported = table.choice("unsupported", UNSUPPORTED)
        base_url = _base_url(table)
        local = self._local(plugin, base_url, table)
        return ProviderConfig(
            name=name,
            plugin=plugin,
            api_key=key.secret,
            key_source=key.source,
            base_url=base_url,
            unsupported=as_unsupported(unsupported) or self._unsupported,
            backend=served_by(table, plugin, self._backend),
            local=local,
            options=options,
            models=_models(table, local=local),
            missing=tuple(f"{show_path(path)}: {message}" for path, message in missing),
            implied=implied,
        )

    def _near_misses(self, table: Table) -> None:
        """Refuse ``apikey`` and ``base-url``: as options they would only puzzle the plugin."""
        folded = {known.replace("_", ""): known for known in _KNOWN}
        for key in table.data:
            meant = folded.get(re.sub(r"[-_ ]", "", key).casefold())
            if meant is not None and key not in _KNOWN:
                self._problems.add((*table.path, key), f"unknown key; did you mean {meant!r}?")

    def _local(self, plugin: str, base_url: str | None, table: Table) -> bool:
        said = table.flag("local")
        if plugin == "embedded":
            reach: Reach = "loopback"
        elif plugin == "ollama":
            reach = host_reach(base_url or self._environ.get("OLLAMA_HOST", ""))
        else:
            reach = host_reach(base_url) if base_url else "public"
        if said is None:
            # A loopback address alone proves nothing elsewhere: a gateway may listen there.
            return plugin in {"embedded", "ollama"} and reach == "loopback"
        if said and reach == "public":
            self._problems.add(
                (*table.path, "local"),
                "true needs a base_url on this machine or in a private network, and this "
                + ("provider has none" if base_url is None else "one is public"),
            )
        return said


def unknown_provider(name: str, known: Mapping[str, object]) -> str:
    """The message for a provider that does not exist."""
    names = sorted({*known, *BUILT_IN})
    hint = closest(name, names)
    return (
        f"there is no provider {shorten(name)}{hint}{' ' if hint.endswith('?') else '; '}"
        f"known: {', '.join(names)} (any other needs a table [providers.NAME])"
    )


def as_unsupported(value: str | None) -> Unsupported:
    """A word that has been checked, as its type."""
    if value == "raise":
        return "raise"
    return "warn" if value == "warn" else None


def _base_url(table: Table) -> str | None:
    if "base_url" not in table.data:
        return None
    path = (*table.path, "base_url")
    expected = "must be an address such as http://127.0.0.1:8000/v1"
    value = table.data["base_url"]
    if not isinstance(value, str):
        table.wrong("base_url", "an address such as http://127.0.0.1:8000/v1")
        return None
    try:
        url = urlsplit(value)
        usable = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    # The value is never shown: it may be a key in the wrong place.
    if not usable or not value.isprintable() or " " in value:
        table.problems.add(path, expected)
        return None
    if "@" in url.netloc or url.query or url.fragment:
        table.problems.add(
            path, "must hold no user, password, query or fragment; a credential goes into api_key"
        )
        return None
    return value


def _models(table: Table, *, local: bool) -> FrozenDict:
    models = {name: _capabilities(model) for name, model in table.tables("models").items()}
    for name, capabilities in models.items():
        if capabilities.get("local") and not local:
            table.problems.add(
                (*table.path, "models", name, "local"),
                "can't be true at a provider that is not local; say local = true in its own table",
            )
    return FrozenDict(models)


def _capabilities(table: Table) -> FrozenDict:
    table.only(CAPABILITIES)
    found: dict[str, Any] = {}
    readers: dict[str, Callable[[str], Any]] = {
        **dict.fromkeys(_CAPABILITY_FLAGS, table.flag),
        **dict.fromkeys(_CAPABILITY_SIZES, lambda key: table.integer(key, least=1)),
    }
    for key, read in readers.items():
        if (said := read(key)) is not None:
            found[key] = said
    if "schema" in table.data:
        found["schema"] = _schema(table)
    if "sampling" in table.data:
        found["sampling"] = _sampling(table)
    return FrozenDict(found)


def _schema(table: Table) -> str | None:
    value = table.data["schema"]
    if value is False:
        return None
    if isinstance(value, str) and value in {"native", "tool"}:
        return value
    table.wrong("schema", '"native", "tool" or false')
    return None


def _sampling(table: Table) -> frozenset[str]:
    value = table.data["sampling"]
    if isinstance(value, list) and all(isinstance(v, str) and v in SAMPLING for v in value):
        return frozenset(value)
    table.wrong("sampling", f"a list of some of {', '.join(sorted(SAMPLING))}")
    return frozenset()
