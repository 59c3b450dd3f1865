"""What is secret in a URL or an option, and the same text without it."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_plus, urlsplit

__all__ = ["MASK", "is_secret_parameter", "names_credential", "secrets_in", "without_password"]

MASK = "***"

_CREDENTIAL_WORDS = frozenset(
    {
        "apikey",
        "auth",
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "key",
        "keys",
        "passphrase",
        "password",
        "secret",
        "secrets",
        "token",
    }
)

# "prompt_cache_key" and "eos_token" are no credentials, nor is PostgreSQL's "require_auth".
_HARMLESS_BEFORE = frozenset({"bos", "cache", "eos", "pad", "partition", "require", "sort", "stop"})

_PARAMETER = re.compile(r"pass(?:wd|word|phrase|code)?$|passw|pwd|secret|signature$|^sig$|^pw$")
"""Names of parameters, with separators taken out, beside those that are made of such words."""

_USERINFO = re.compile(r"(://[^:@]*|\A(?!sqlite:)[A-Za-z][A-Za-z0-9+.-]*:/?[^:@/]*):.*@", re.DOTALL)
"""Rather too much than too little: a password that is not encoded may hold anything."""

_LONE_USER = re.compile(r"(?<=http://|ttps://)[^:@/?#\s]+(?=@)", re.IGNORECASE)
"""Of a database it is a name; where HTTP is spoken it is a token."""

_NAME = re.compile(r"(?:\A|[?&;#\s])([^=&;#?\s]+)\s*=(?=([^&;#\s]*))")


def names_credential(name: str) -> bool:
    """Whether an option's or header's name says that its value is secret."""
    words = re.findall(r"[A-Za-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name))
    *before, last = ["", *(word.casefold() for word in words)]
    return last in _CREDENTIAL_WORDS and before[-1] not in _HARMLESS_BEFORE


def is_secret_parameter(name: str) -> bool:
    """Whether a parameter of a URL is secret, of whatever server; by its decoded name."""
    plain = re.sub(r"[^a-z0-9]", "", name.casefold())
    return names_credential(name) or _PARAMETER.search(plain) is not None


def without_password(text: str) -> str:
    """A URL, or a text with URLs in it, fit to be shown."""
    if "@" in text:
        text = _LONE_USER.sub(MASK, _USERINFO.sub(rf"\1:{MASK}@", text))
    return _without_parameters(text) if "=" in text else text


def secrets_in(url: str) -> list[str]:
    """The secrets of a URL, as they are written and decoded, to be looked for in other texts."""
    try:
        parts = urlsplit(url)
        found = [parts.password or ""]
    except ValueError:
        return []
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if is_secret_parameter(unquote_plus(name)):
            found.append(value)
    return [each for raw in found if raw for each in dict.fromkeys((raw, unquote(raw)))]


def _without_parameters(text: str) -> str:
    shown: list[str] = []
    done = place = 0
    while (found := _NAME.search(text, place)) is not None:
        # What ends a name may stand in a value, and begin another there.
        place = found.end()
        if not (is_secret_parameter(unquote_plus(found[1])) or _holds_secret(found[2])):
            continue
        end = text.find("&", place)
        end = len(text) if end < 0 else end
        if place < end:
            shown += text[done:place], MASK
        done = place = end
    return "".join((*shown, text[done:]))


def _holds_secret(value: str) -> bool:
    """Whether an encoded value is a URL with a password, or the like, itself."""
    decoded = unquote_plus(value) if "%" in value else value
    return decoded != value and without_password(decoded) != decoded
