"""What a Python callable's signature and docstring say to a model."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from ..messages import Tool
from ..normalise.checks import invalid
from .derive import schemas_of

__all__ = ["callable_name", "callable_tool"]

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def callable_name(fn: Callable[..., Any]) -> str:
    """A function's name; for another callable object its class's."""
    if isinstance(fn, functools.partial):
        return callable_name(fn.func)
    return getattr(fn, "__name__", None) or type(fn).__name__


def callable_tool(fn: Callable[..., Any], place: str) -> Tool:
    """The tool that stands for ``fn``; see ``tools.tool_from_callable``.

    Raises:
        InvalidRequestError: The signature can't be put into a JSON schema; ``param`` is ``place``.
    """
    if isinstance(fn, type):
        raise invalid(
            place,
            f"{fn.__name__} is a class: pass a function that takes its fields, "
            "or ask for an answer of that form with response_format",
        )
    name = callable_name(fn)
    place = f"{place} ({name})"
    fixed = fn.keywords.keys() if isinstance(fn, functools.partial) else ()
    source = _source(fn)
    hints = _hints(source, place)
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError) as exc:
        raise invalid(place, "has no signature that Python can read: wrap it in a def") from exc
    parameters = [found for found in signature.parameters.values() if found.name not in fixed]
    for parameter in parameters:
        _check(parameter, hints, place)
    description, documented = _docstring(source, fn)
    kinds = [hints[parameter.name] for parameter in parameters]
    schemas, defs = _schemas(parameters, kinds, place)
    properties: dict[str, Any] = {}
    for parameter, kind, schema in zip(parameters, kinds, schemas, strict=True):
        properties[parameter.name] = _property(
            parameter, schema, _annotated(kind) or documented.get(parameter.name)
        )
    return Tool(name, description, _object(parameters, properties, defs))


def _object(
    parameters: list[inspect.Parameter], properties: dict[str, Any], defs: dict[str, Any]
) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    required = [found.name for found in parameters if found.default is found.empty]
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    if defs:
        schema["$defs"] = defs
    return schema


def _source(fn: Callable[..., Any]) -> Any:
    """What carries the annotations and the docstring."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn if inspect.isroutine(fn) or hasattr(fn, "__name__") else type(fn).__call__


def _hints(source: Any, place: str) -> dict[str, Any]:
    try:
        return get_type_hints(source, include_extras=True)
    except Exception as exc:
        raise invalid(
            place,
            f"its annotations can't be resolved ({exc}): the names in them must be importable "
            "from its module",
        ) from exc


def _check(parameter: inspect.Parameter, hints: dict[str, Any], place: str) -> None:
    name = parameter.name
    if parameter.kind in _VARIADIC:
        star = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else "**"
        raise invalid(
            place, f"{star}{name} has no JSON schema: name each parameter, or pass a Tool"
        )
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise invalid(place, f"{name} is positional-only, but a model names its arguments")
    if name not in hints:
        advice = "pass the bound method" if name in ("self", "cls") else f"write {name}: str"
        raise invalid(place, f"the parameter {name} has no annotation: {advice}")


def _schemas(
    parameters: list[inspect.Parameter], kinds: list[Any], place: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    try:
        return schemas_of(kinds)
    except (TypeError, NameError, NotImplementedError) as exc:
        for parameter, kind in zip(parameters, kinds, strict=True):
            try:
                schemas_of([kind])
            except (TypeError, NameError, NotImplementedError) as reason:
                raise invalid(
                    place, f"the parameter {parameter.name} has no JSON schema: {reason}"
                ) from reason
        raise invalid(place, str(exc)) from exc


def _property(
    parameter: inspect.Parameter, schema: dict[str, Any], description: str | None
) -> dict[str, Any]:
    result = dict(schema)
    if description and "description" not in result:
        result["description"] = description
    default = parameter.default
    # None stands for "not given" more often than for a value that the model should send.
    if default is not parameter.empty and default is not None:
        try:
            result["default"] = msgspec.to_builtins(default)
        except TypeError:
            # It stays optional; a model can't be told of a default that JSON can't express.
            return result
    return result


def _annotated(kind: Any) -> str | None:
    """The description in ``Annotated[T, "..."]``."""
    if get_origin(kind) is not Annotated:
        return None
    return next((mark for mark in get_args(kind)[1:] if isinstance(mark, str)), None)


def _docstring(source: Any, fn: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The first paragraph, and the descriptions of parameters (Google, NumPy, reST, Epydoc)."""
    doc = source.__doc__ or (None if source is fn else type(fn).__doc__)
    if not doc or (isinstance(fn, functools.partial) and doc == functools.partial.__doc__):
        return "", {}
    import docstring_parser

    doc = inspect.cleandoc(doc)
    first = " ".join(doc.partition("\n\n")[0].split())
    try:
        parsed = docstring_parser.parse(doc)
    except docstring_parser.ParseError:
        return first, {}
    documented = {
        found.arg_name: " ".join(found.description.split())
        for found in parsed.params
        if found.description
    }
    return (first if parsed.short_description else ""), documented
