"""The error tree, and that nothing of an error is lost on the way."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator
from typing import Any

import pytest

from switchgear import errors
from switchgear.completion import Completion, Usage
from switchgear.decision import Step, Trace
from switchgear.errors import (
    AllProvidersFailedError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    SwitchgearError,
)
from switchgear.messages import Message

_FIELDS: dict[str, Any] = {
    "provider": "anthropic",
    "model": "claude",
    "status": 529,
    "code": "overloaded_error",
    "param": "messages[1]",
    "retry_after": 2.5,
    "request_id": "req_1",
}
_CLASSES = [getattr(errors, name) for name in errors.__all__]


def _drawn() -> dict[str, str | None]:
    """Each class in the docstring's picture, with the one that it hangs from."""
    above: list[tuple[int, str]] = []
    parents: dict[str, str | None] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^(\s*(?:[│ ]*[├└]── )?)([A-Z]\w+Error)\b", line)
        if not found:
            continue
        depth, name = len(found[1]), found[2]
        above = [entry for entry in above if entry[0] < depth]
        parents[name] = above[-1][1] if above else None
        above.append((depth, name))
    return parents


def _descendants(cls: type[Exception]) -> Iterator[type[Exception]]:
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from _descendants(child)


def test_the_tree_is_as_drawn() -> None:
    real = {
        cls.__name__: next(base.__name__ for base in cls.__bases__ if issubclass(base, Exception))
        for cls in _descendants(SwitchgearError)
    }
    assert _drawn() == {"SwitchgearError": None, **real}


def test_every_error_is_exported() -> None:
    assert set(errors.__all__) == set(_drawn())


def _made(cls: type[SwitchgearError]) -> SwitchgearError:
    trace = Trace("fast", (Step("a/b", "failed", "boom"),))
    if cls is AllProvidersFailedError:
        causes = [RateLimitError("slow down", **_FIELDS), ServerError("boom", status=500)]
        error: SwitchgearError = AllProvidersFailedError("all failed", causes, **_FIELDS)
    else:
        error = cls("what happened", **_FIELDS)
    error.trace = trace
    error.add_note("a note")
    return error


@pytest.mark.parametrize("cls", _CLASSES)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_keeps_every_field(cls: type[SwitchgearError], protocol: int) -> None:
    error = _made(cls)
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is cls
    assert str(again) == str(error)
    assert repr(again) == repr(error)
    for field, value in _FIELDS.items():
        assert getattr(again, field) == value
    assert again.trace == error.trace
    assert again.__notes__ == ["a note"]


@pytest.mark.parametrize("cls", _CLASSES)
def test_copying_keeps_every_field(cls: type[SwitchgearError]) -> None:
    error = _made(cls)
    assert {k: getattr(copy.copy(error), k) for k in _FIELDS} == _FIELDS


def test_a_pickled_group_keeps_its_causes() -> None:
    again = pickle.loads(pickle.dumps(_made(AllProvidersFailedError)))
    first, second = again.exceptions
    assert (type(first), str(first), first.retry_after) == (RateLimitError, "slow down", 2.5)
    assert (type(second), second.status) == (ServerError, 500)
    assert len(again.exceptions) == 2


def test_a_pickled_interruption_keeps_the_partial_reply() -> None:
    error = StreamInterruptedError("cut", provider="openai")
    error.completion = Completion(
        id="1",
        message=Message("assistant", "half an ans"),
        finish_reason="error",
        usage=Usage(output_tokens=3, estimated=True),
        provider="openai",
        model="m",
        trace=Trace("m"),
    )
    again = pickle.loads(pickle.dumps(error))
    assert again.completion == error.completion


def test_splitting_a_group_keeps_its_fields_and_its_trace() -> None:
    error = _made(AllProvidersFailedError)
    assert isinstance(error, AllProvidersFailedError)
    limited, others = error.split(RateLimitError)
    assert isinstance(limited, AllProvidersFailedError)
    assert isinstance(others, AllProvidersFailedError)
    assert [type(e) for e in limited.exceptions] == [RateLimitError]
    assert [type(e) for e in others.exceptions] == [ServerError]
    for part in (limited, others):
        assert {k: getattr(part, k) for k in _FIELDS} == _FIELDS
        assert part.trace == error.trace
        assert part.__notes__ == ["a note"]
        assert part.message == "all failed"
        assert pickle.loads(pickle.dumps(part)).exceptions[0].args == part.exceptions[0].args


def test_except_star_sees_each_cause() -> None:
    seen: list[str] = []
    try:
        raise _made(AllProvidersFailedError)
    except* RateLimitError as group:
        seen += [str(exc) for exc in group.exceptions]
    except* ServerError as group:
        seen += [str(exc) for exc in group.exceptions]
    assert seen == ["slow down", "boom"]


def test_a_group_reads_as_one_line() -> None:
    assert str(_made(AllProvidersFailedError)) == "all failed: slow down; boom"


def test_timeouts_and_broken_connections_are_pythons_own_too() -> None:
    assert issubclass(ProviderTimeoutError, TimeoutError)
    assert issubclass(ProviderConnectionError, ConnectionError)
    assert issubclass(errors.DeadlineExceededError, TimeoutError)


def test_the_original_stays_as_the_cause() -> None:
    original = ValueError("from the SDK")
    with pytest.raises(ProviderError) as caught:
        raise ProviderError("failed") from original
    assert caught.value.__cause__ is original
