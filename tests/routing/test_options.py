"""Wrong keyword arguments: each is refused by its name, before anything is sent."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from switchgear import DeadlineExceededError, InvalidRequestError, Secret
from switchgear.routing.options import CallOptions
from switchgear.testing.scripted import ScriptedProvider

from .helpers import router_over

WRONG: list[tuple[str, Any]] = [
    ("timeout", float("inf")),
    ("timeout", float("nan")),
    ("timeout", 10**400),
    ("attempt_timeout", 0),
    ("idle_timeout", -1),
    ("max_tokens", 10**30),
    ("seed", -(10**30)),
    ("parallel_tool_calls", "yes"),
    ("fallback", "no"),
    ("cache", "sometimes"),
    ("region", 5),
    ("agent_id", 5),
    ("tags", ["a"]),
    ("tags", {"team": 5}),
    ("credentials", "the-key-itself"),
    ("credentials", {"a": ""}),
    ("credentials", {"a": "with a line end\n"}),
    ("credentials", {"nobody": "key"}),
    ("extra", {"a": 5}),
    ("extra_headers", {"a": {"x-trace": 5}}),
    ("extra_headers", {"a": {"x-trace": "two\r\nlines"}}),
    ("extra_headers", {"a": {"no name": "x"}}),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
async def test_it_is_named(name: str, value: Any) -> None:
    provider = ScriptedProvider("a")
    async with router_over(provider) as router:
        wrong: Any = {name: value}
        with pytest.raises(InvalidRequestError) as refused:
            await router.complete("g", "hi", **wrong)
    assert refused.value.param is not None
    assert refused.value.param.partition("[")[0] == name
    assert provider.calls == []


async def test_a_wrong_key_is_not_repeated() -> None:
    async with router_over(ScriptedProvider("a")) as router:
        with pytest.raises(InvalidRequestError) as refused:
            await router.complete("g", "hi", credentials={"a": "the-key\n"})
        assert "the-key" not in str(refused.value)
        with pytest.raises(InvalidRequestError) as refused:
            await router.complete("g", "hi", extra_headers={"a": {"x-key": "the-key\n"}})
        assert "the-key" not in str(refused.value)


async def test_what_means_nothing_to_an_embedding_is_not_dropped_without_a_word() -> None:
    async with router_over(ScriptedProvider("a")) as router:
        with pytest.raises(InvalidRequestError, match="means nothing"):
            await router.embed("g", "hi", temperature=0.5)
        with pytest.raises(InvalidRequestError, match="nobody"):
            await router.embed("g", "hi", extra={"nobody": {}})


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.builds(object)
    | st.builds(Decimal, st.integers())
    | st.builds(Secret, st.text()),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", "b", 1]), inner),
    max_leaves=6,
)


@given(name=st.sampled_from(sorted(CallOptions.__annotations__)), value=ANYTHING)
async def test_no_value_is_so_odd_that_another_error_comes(name: str, value: Any) -> None:
    async with router_over(ScriptedProvider("a")) as router:
        odd: Any = {name: value}
        refused: InvalidRequestError | None = None
        try:
            await router.complete("g", "hi", **odd)
        except InvalidRequestError as exc:
            refused = exc
        except DeadlineExceededError:
            assert name == "timeout"  # a very short one is not odd, just soon over
    assert refused is None or refused.param
