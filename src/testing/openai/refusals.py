"""The forms OpenAI's refusals of a request take."""

from __future__ import annotations

from ..faults import ErrorReply, Fault

__all__ = ["bad", "missing", "wrong_type"]


def bad(message: str, *, param: str | None = None, code: str | None = None) -> ErrorReply:
    """A 400 with the vendor's message, parameter and code."""
    return Fault.invalid_request(message, param=param, code=code)


def missing(param: str) -> ErrorReply:
    """The 400 for a parameter that is not there."""
    return bad(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def wrong_type(param: str, expected: str, value: object) -> ErrorReply:
    """The 400 for a value of the wrong JSON type."""
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
    }
    got = "null" if value is None else names.get(type(value), "something else")
    return bad(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.",
        param=param,
        code="invalid_type",
    )
