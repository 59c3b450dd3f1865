"""The keyword arguments of a call, in one place for every way of making one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, TypedDict

from ..errors import InvalidRequestError

__all__ = [
    "EMBEDDING_OPTIONS",
    "CallOptions",
    "RequestOptions",
    "by_provider",
    "check_names",
    "choice",
    "flag",
    "headers_by_provider",
    "is_sendable",
    "labels_of",
    "mapping",
    "number",
    "positive",
    "text_option",
    "whole",
]


class RequestOptions(TypedDict, total=False):
    """What :class:`CallOptions` holds beside agent and project, which are the gateway's own."""

    tools: Sequence[Any] | None
    tool_choice: Any
    response_format: Any
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stop: str | Sequence[str] | None
    seed: int | None
    reasoning_effort: str | None
    parallel_tool_calls: bool | None
    timeout: float | None
    attempt_timeout: float | None
    idle_timeout: float | None
    session_id: str | None
    run_id: str | None
    api_key_id: str | None
    tags: Mapping[str, str] | None
    max_cost: Decimal | float | str | None
    region: str | None
    fallback: bool | None
    credentials: Mapping[str, str] | None
    extra: Mapping[str, Mapping[str, Any]] | None
    extra_headers: Mapping[str, Mapping[str, str]] | None
    cache: Literal["use", "skip", "refresh"] | None
    cache_ttl: float | None


class CallOptions(RequestOptions, total=False):
    """What ``complete``, ``stream`` and ``count_tokens`` take besides target and messages.

    ``None`` is the same as leaving it out.

    What is asked:
        tools: OpenAI-style dicts, ``Tool`` values, or annotated Python callables.
        tool_choice: ``auto``, ``required``, ``none``, a tool's name, or a vendor's dict.
        response_format: ``"json"``, a JSON schema, a pydantic model, a msgspec Struct, a dataclass.
        temperature: 0 to 2.
        top_p: 0 to 1.
        max_tokens: The longest answer, in tokens; else the entry's, the group's, the model's.
        stop: A string or several that end the answer.
        seed: For reproducible sampling.
        reasoning_effort: ``none``, ``minimal``, ``low``, ``medium``, ``high``, ``xhigh``, ``max``.
        parallel_tool_calls: Whether several tools may be asked for at once.

    How long:
        timeout: Seconds for the whole call, every attempt and wait included. Default 600.
        attempt_timeout: Seconds for one attempt; for a stream, to its first token.
        idle_timeout: Longest silence inside a stream, seconds.

    For whom (kept in the trace and in the ledger; budgets and reports go by them):
        agent_id, project_id, agent_type, session_id, run_id: Names.
        api_key_id: The virtual key that the call came with.
        tags: Further names by key.

    Where:
        max_cost: USD; candidates that could cost more are skipped.
        region: Only candidates whose entry names this region.
        fallback: ``False`` asks the first fitting candidate only.
        credentials: Keys for this call, by provider.
        extra: Provider-specific body fields, by provider.
        extra_headers: Provider-specific headers, by provider.
        cache: ``use``, ``skip`` or ``refresh`` the response cache, where one is configured.
        cache_ttl: Seconds for which the answer may be given again, and the oldest that is taken.
    """

    agent_id: str | None
    project_id: str | None
    agent_type: str | None


_NAMES = frozenset(CallOptions.__annotations__)
_LABELS = ("agent_id", "project_id", "agent_type", "session_id", "run_id", "api_key_id")

EMBEDDING_OPTIONS = frozenset(
    {*_LABELS, "tags", "timeout", "attempt_timeout", "credentials", "extra", "extra_headers"}
)
"""The options that mean something to an embedding."""

_LONGEST_SECONDS = 86_400.0 * 365
_LARGEST = 2**63 - 1
_LONGEST_LABEL = 256
_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")


def check_names(options: Mapping[str, Any], known: frozenset[str] = _NAMES) -> None:
    """Refuse a misspelt argument, or one that means nothing to this call.

    Raises:
        InvalidRequestError: There is no such argument; ``param`` is its name.
    """
    if options.keys() <= known:
        return
    name = next(name for name in options if name not in known)
    if name in _NAMES:
        raise InvalidRequestError(f"{name}: means nothing to this call", param=name)
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else "a vendor's own field goes into extra="
    raise InvalidRequestError(f"there is no argument {name!r}: {hint}", param=name)


def labels_of(options: CallOptions) -> dict[str, str]:
    """Whom the call is for, as plain strings.

    Raises:
        InvalidRequestError: A label is not a string, or none that a database can keep.
    """
    labels: dict[str, str] = {}
    for name in _LABELS:
        value = options.get(name)
        if value is not None:
            labels[name] = _label(value, name)
    if options.get("tags") is None:
        return labels
    for key, value in mapping(options, "tags", "a dict of names").items():
        place = f"tags[{key!r}]"
        labels[f"tag:{_label(key, place)}"] = _label(value, place)
    return labels


def positive(options: CallOptions, name: str, otherwise: float | None) -> float | None:
    """A number of seconds above zero and up to a year, or what holds otherwise.

    Raises:
        InvalidRequestError: Another number, or none.
    """
    value = _given(options, name)
    if value is None:
        return otherwise
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 < value <= _LONGEST_SECONDS
    ):
        message = f"{name}: {value!r} is not a number of seconds above 0 (and up to a year)"
        raise InvalidRequestError(message, param=name)
    return float(value)


def flag(options: CallOptions, name: str) -> bool | None:
    """True, false, or not given.

    Raises:
        InvalidRequestError: Something else.
    """
    value = _given(options, name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequestError(f"{name}: {value!r} is neither True nor False", param=name)
    return value


def choice(options: CallOptions, name: str, words: Sequence[str]) -> str | None:
    """One of some words, or not given.

    Raises:
        InvalidRequestError: Something else.
    """
    value = text_option(options, name)
    if value is not None and value not in words:
        message = f"{name}: {value!r} is not one of {', '.join(words)}"
        raise InvalidRequestError(message, param=name)
    return value


def text_option(options: CallOptions, name: str) -> str | None:
    """A string, or not given.

    Raises:
        InvalidRequestError: Something else.
    """
    value = _given(options, name)
    return None if value is None else _text(value, name)


def mapping(options: CallOptions, name: str, what: str) -> Mapping[Any, Any]:
    """A mapping; an empty one where none is given.

    Raises:
        InvalidRequestError: Something else.
    """
    value = _given(options, name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        message = f"{name}: expected {what}, found {type(value).__name__}"
        raise InvalidRequestError(message, param=name)
    return value


def number(
    options: CallOptions, name: str, least: float | None, most: float | None = None
) -> float | None:
    """A number within its bounds.

    Raises:
        InvalidRequestError: Not a number, or outside.
    """
    value = _given(options, name)
    if value is None:
        return None
    # NaN fails every comparison, so it is asked whether the value is inside, not outside.
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not ((least is None or least <= value) and (most is None or value <= most))
    ):
        raise _out_of_bounds(name, value, "a number", least, most)
    return float(value)


def whole(options: CallOptions, name: str, least: int | None) -> int | None:
    """A whole number within its bounds.

    Raises:
        InvalidRequestError: Not a whole number, or outside.
    """
    value = _given(options, name)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or (least is not None and value < least)
        or abs(value) > _LARGEST
    ):
        raise _out_of_bounds(name, value, "a whole number (of 64 bits)", least, None)
    return value


def by_provider(options: CallOptions, name: str) -> Mapping[str, Mapping[Any, Any]]:
    """Fields by provider: a mapping of mappings.

    Raises:
        InvalidRequestError: Another form.
    """
    value = mapping(options, name, "a dict by provider, such as {'openai': {...}}")
    for provider, fields in value.items():
        if not isinstance(provider, str) or not isinstance(fields, Mapping):
            place = f"{name}[{provider!r}]"
            message = f"{place}: expected a dict of the fields for that provider"
            raise InvalidRequestError(message, param=place)
    return value


def headers_by_provider(options: CallOptions) -> Mapping[str, Mapping[str, str]]:
    """``extra_headers``, fit to be sent.

    Raises:
        InvalidRequestError: Another form, or a name or value that HTTP does not allow.
    """
    value = by_provider(options, "extra_headers")
    for provider, headers in value.items():
        for name, content in headers.items():
            place = f"extra_headers[{provider!r}][{name!r}]"
            if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
                raise InvalidRequestError(f"{place}: is no name of a header", param=place)
            # The value is not shown: it may be a credential.
            if not isinstance(content, str) or not _HEADER_VALUE.fullmatch(content):
                message = f"{place}: expected one line of ASCII as a string"
                raise InvalidRequestError(message, param=place)
    return value


def is_sendable(key: str) -> bool:
    """Whether a credential can stand in a header: visible ASCII, at least one character."""
    return bool(key) and key.isascii() and key.isprintable() and " " not in key


def _label(value: Any, name: str) -> str:
    """A string that every database can keep, also as a key."""
    if value.__class__ is str and len(value) <= _LONGEST_LABEL and value.isprintable():
        return value  # nearly every label
    text = _text(value, name)
    if len(text) > _LONGEST_LABEL:
        message = f"{name}: is longer than {_LONGEST_LABEL} characters"
        raise InvalidRequestError(message, param=name)
    if not text.isprintable() and _NO_CHARACTER.search(text):
        message = f"{name}: holds something that is no character (NUL, or half of a pair)"
        raise InvalidRequestError(message, param=name)
    return text


def _given(options: CallOptions, name: str) -> Any:
    values: Mapping[str, Any] = options
    return values.get(name)


def _out_of_bounds(
    name: str, value: object, kind: str, least: float | None, most: float | None
) -> InvalidRequestError:
    bounds = "" if least is None else f" from {least:g}"
    bounds += "" if most is None else f" to {most:g}"
    return InvalidRequestError(f"{name}: {value!r} is not {kind}{bounds}", param=name)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        message = f"{name}: expected a string, found {type(value).__name__}"
        raise InvalidRequestError(message, param=name)
    return value
