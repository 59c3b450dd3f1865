"""Checks what a ``[providers.NAME]`` table says beyond the common keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from ..errors import ConfigError
from .base import Capabilities, ProviderSettings

__all__ = ["ModelOptions", "capabilities_for", "check_options"]

T = TypeVar("T", bound=msgspec.Struct)


class ModelOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a provider's table may say of all its models: to be derived from by a plugin's options.

    See ``Capabilities``. ``None`` leaves a thing to what the plugin knows; of one model, the
    ``models`` table says it.
    """

    tools: bool | None = None
    tool_choice: bool | None = None
    parallel_tool_calls: bool | None = None
    json_object: bool | None = None
    images: bool | None = None
    files: bool | None = None
    audio: bool | None = None
    reasoning: bool | None = None
    sampling: frozenset[str] | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None


# msgspec ends a message with the place: "Expected `str`, got `int` - at `$.wire`".
_PLACE = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")


def check_options(settings: ProviderSettings, options: type[T]) -> T:
    """The options of a provider as the plugin's own struct; its ``models`` are checked as well.

    A field renamed by the struct is known by its name in the table.

    Args:
        settings: The provider's table.
        options: A frozen struct with a default for every option that may be left out.

    Raises:
        ConfigError: A key is unknown or a value wrong; ``param`` is ``providers.NAME.key``.
    """
    table = f"providers.{settings.name}"
    known = [field.encode_name for field in msgspec.structs.fields(options)]
    checked = _convert(settings.options, options, table, known)
    for model, overrides in settings.models.items():
        _overrides(settings.name, model, overrides)
    return checked


def capabilities_for(
    settings: ProviderSettings, model: str, declared: Capabilities
) -> Capabilities:
    """What a model can do: as the plugin declares it, overridden by ``models`` in the table.

    Raises:
        ConfigError: An override is unknown or wrong; :func:`check_options` finds it at the start.
    """
    overrides = settings.models.get(model)
    if not overrides:
        return declared
    return msgspec.structs.replace(declared, **_overrides(settings.name, model, overrides))


def _overrides(name: str, model: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides by field, each of the field's type."""
    table = f"providers.{name}.models.{model}"
    checked = _convert(overrides, Capabilities, table, Capabilities.__struct_fields__)
    return {key: getattr(checked, key) for key in overrides}


def _convert(values: Mapping[str, Any], to: type[T], table: str, known: Any) -> T:
    for key in values:
        if key not in known:
            message = f"{table}.{key}: unknown key; known here: {', '.join(sorted(known))}"
            raise ConfigError(message, param=f"{table}.{key}")
    try:
        return msgspec.convert(values, to, strict=True)
    except msgspec.ValidationError as exc:
        text = str(exc)
        place = _PLACE.search(text)
        key = place[1] if place else ""
        if place is None and (missing := re.search(r"required field `([^`]+)`", text)):
            key = missing[1]
        param = f"{table}.{key}" if key else table
        raise ConfigError(f"{param}: {_PLACE.sub('', text)}", param=param) from exc
