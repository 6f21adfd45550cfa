"""Fits a config to its provider's schema: HCL's conversions, and errors with their places."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from dstream.config import ProviderBlock
from dstream.config.schema.convert import converted
from dstream.config.schema.fit import fitted
from dstream.errors import ConfigError, ConfigErrors, SourceLocation
from dstream.sdk import Duration, config_schema


class Inner(msgspec.Struct):
    size: int = 0


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    count: Annotated[int, Meta(ge=1)] | None = None
    ratio: float = 0.5
    name: str = ""
    flag: bool = False
    level: Literal[1, 2] = 1
    shape: Literal["json", "1"] = "json"
    tables: list[str] = []
    inner: Inner = msgspec.field(default_factory=Inner)
    by_name: dict[str, Inner] = {}
    pair: tuple[int, str] = (1, "a")
    either: Inner | list[int] | None = None
    text_or_number: str | int = ""
    pause: Duration = Duration("1s")


SCHEMA = config_schema(Config)
CONVERTED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"count": "7"}, {"count": 7}),
    ({"count": "7.0"}, {"count": 7}),
    ({"ratio": "0.25"}, {"ratio": 0.25}),
    ({"name": 7}, {"name": "7"}),
    ({"name": 1.5}, {"name": "1.5"}),
    ({"name": True}, {"name": "true"}),
    ({"flag": "true"}, {"flag": True}),
    ({"flag": "0"}, {"flag": False}),
    ({"level": "2"}, {"level": 2}),
    ({"shape": 1}, {"shape": "1"}),
    ({"tables": ["a", 1]}, {"tables": ["a", "1"]}),
    ({"inner": {"size": "3"}}, {"inner": {"size": 3}}),
    ({"by_name": {"x": {"size": "3"}}}, {"by_name": {"x": {"size": 3}}}),
    ({"pair": ["1", 2]}, {"pair": [1, "2"]}),
    ({"either": {"size": "3"}}, {"either": {"size": 3}}),
    ({"either": ["1"]}, {"either": [1]}),
]
UNCHANGED: list[dict[str, Any]] = [
    {"count": None},
    {"count": "x"},
    {"count": "1.5"},
    {"count": True},
    {"flag": 1},
    {"flag": "yes"},
    {"name": None},
    {"name": [1]},
    {"tables": "a"},
    {"text_or_number": "5"},
    {"text_or_number": 5},
    {"pause": 500},
    {"pause": "5s"},
    {"unknown": "5"},
    {"shape": "xml"},
]


@pytest.mark.parametrize(("config", "result"), CONVERTED)
def test_values_are_converted_to_the_types_of_the_schema(config: dict[str, Any], result: dict[str, Any]) -> None:
    assert json.dumps(converted(config, SCHEMA)) == json.dumps(result)


@pytest.mark.parametrize("config", UNCHANGED)
def test_other_values_stay_as_they_are(config: dict[str, Any]) -> None:
    assert json.dumps(converted(config, SCHEMA)) == json.dumps(config)


def test_a_schema_that_contains_itself_is_followed_as_far_as_the_config_goes() -> None:
    schema = {"properties": {"child": {"$ref": "#"}, "n": {"type": "integer"}}, "type": "object"}

    assert converted({"child": {"child": {"n": "1"}}}, schema) == {"child": {"child": {"n": 1}}}


def test_each_error_has_the_place_of_the_name_or_the_value() -> None:
    name, value, block = (SourceLocation("dstream.hcl", line) for line in (3, 4, 1))
    schema = {
        "properties": {"count": {"type": "integer", "minimum": 1}},
        "required": ["address"],
        "additionalProperties": False,
    }
    given = _block(
        {"count": 0, "cout": 1}, place=block, config_places={"cout": name}, config_value_places={"count": value}
    )

    with pytest.raises(ConfigErrors) as raised:
        fitted(given, schema)

    assert {error.message: error.place for error in raised.value.errors} == {
        '"count" must be at least 1': value,
        'unknown setting "cout"': name,
        'the setting "address" is missing': block,
    }


def test_settings_without_a_value_yet_count_as_present_and_stay_out() -> None:
    unset = {"key": ConfigError("config.env_unset", "KEY is not set")}
    given = _block({"count": "3"}, unread=frozenset({"pin"}), unset=unset)

    assert fitted(given, {"properties": {"count": {"type": "integer"}}, "required": ["pin", "key"]}) == {"count": 3}


def _block(config: dict[str, Any], **more: Any) -> ProviderBlock:
    place = more.pop("place", SourceLocation("dstream.hcl", 1))
    return ProviderBlock(
        "input", provider="x", provider_path=None, provider_ref=None, place=place, config=config, **more
    )
