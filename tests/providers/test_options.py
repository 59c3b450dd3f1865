from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

import msgspec
import pytest

from switchgear.errors import ConfigError
from switchgear.providers.base import Capabilities, ProviderSettings
from switchgear.providers.options import capabilities_for, check_options


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    transport: Literal["aiohttp", "httpx"] = "aiohttp"
    share: float = 1.0
    headers: dict[str, str] = {}
    api_version: str | None = msgspec.field(default=None, name="api-version")


class Demanding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    region: str


def settings(**fields: Any) -> ProviderSettings:
    return ProviderSettings(name="mine", plugin="p", **fields)


def test_what_is_not_given_has_its_default() -> None:
    assert check_options(settings(), Options) == Options()


def test_what_is_given_is_taken() -> None:
    given = MappingProxyType({"transport": "httpx", "share": Decimal("0.5"), "api-version": "2026"})
    checked = check_options(settings(options=given), Options)
    assert checked == Options(transport="httpx", share=0.5, api_version="2026")


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"transprot": "httpx"}, "providers.mine.transprot"),
        ({"api_version": "2026"}, "providers.mine.api_version"),
        ({"transport": "pigeon"}, "providers.mine.transport"),
        ({"share": "half"}, "providers.mine.share"),
        ({"headers": "x"}, "providers.mine.headers"),
    ],
)
def test_a_wrong_key_or_value_is_named(options: dict[str, Any], param: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_options(settings(options=options), Options)
    assert error.value.param == param
    assert error.value.message.startswith(param)


def test_an_unknown_key_comes_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known here: api-version, headers, share, transport"):
        check_options(settings(options={"x": 1}), Options)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigError) as error:
        check_options(settings(), Demanding)
    assert error.value.param == "providers.mine.region"


DECLARED = Capabilities(images=False, context_window=10)


def test_a_model_without_overrides_is_as_declared() -> None:
    assert capabilities_for(settings(), "m", DECLARED) is DECLARED


def test_overrides_replace_only_what_they_name() -> None:
    models = {"m": {"images": True, "sampling": ["stop"], "schema": None}}
    result = capabilities_for(settings(models=models), "m", DECLARED)
    assert result.images is True
    assert result.sampling == {"stop"}
    assert result.schema is None
    assert result.context_window == 10


@pytest.mark.parametrize(
    ("overrides", "param"),
    [
        ({"imagse": True}, "providers.mine.models.m.imagse"),
        ({"images": "yes"}, "providers.mine.models.m.images"),
    ],
)
def test_wrong_overrides_are_found_at_the_start(overrides: dict[str, Any], param: str) -> None:
    wrong = settings(models={"m": overrides})
    with pytest.raises(ConfigError) as error:
        check_options(wrong, Options)
    assert error.value.param == param
