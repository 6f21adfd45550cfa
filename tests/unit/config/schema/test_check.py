"""Checks of a config against its provider's schema: the errors, their messages and their paths."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from dstream_servicebus.config import Config as ServiceBusConfig
from msgspec import Meta

from dstream.config.schema.check import mismatches
from dstream.errors import ConfigError
from dstream.sdk import Duration, Secret, Size, config_schema, decode_config


class Column(msgspec.Struct, forbid_unknown_fields=True):
    include: list[str] | None = None


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    address: Annotated[Secret[str], Meta(description="host and port")]
    count: Annotated[int, Meta(ge=1, le=10)] | None = None
    ratio: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    pause: Duration = Duration("1s")
    room: Size = Size("1MiB")
    shape: Literal["json", "text"] = "json"
    level: Literal[1, 2] = 1
    tables: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(min_length=1, max_length=3)] = []
    code: Annotated[str, Meta(pattern="^[a-z]+$", max_length=4)] = "a"
    columns: dict[str, Column] = {}
    pair: tuple[int, str] = (1, "a")
    either: Column | list[str] | None = None
    flag: bool = False
    old_name: str = msgspec.field(default="", name="oldName")


SCHEMA = config_schema(Config)
WRONG: list[tuple[dict[str, Any], str, str]] = [
    # settings other than the address, path, message
    ({"adress": "x"}, "adress", 'unknown setting "adress"'),
    ({"count": 0}, "count", '"count" must be at least 1'),
    ({"count": 11}, "count", '"count" must be at most 10'),
    ({"count": "5"}, "count", '"count" must be a whole number, not text'),
    ({"count": True}, "count", '"count" must be a whole number, not true'),
    ({"count": 1.5}, "count", '"count" must be a whole number, not a number'),
    ({"ratio": 0}, "ratio", '"ratio" must be more than 0'),
    ({"ratio": 1}, "ratio", '"ratio" must be less than 1'),
    ({"pause": False}, "pause", '"pause" must be text or a number, not false'),
    ({"room": [1]}, "room", '"room" must be text or a whole number, not a list'),
    ({"shape": "jsn"}, "shape", '"shape" must be "json" or "text"'),
    ({"level": 3}, "level", '"level" must be 1 or 2'),
    ({"level": True}, "level", '"level" must be 1 or 2'),
    ({"tables": []}, "tables", '"tables" must not be empty'),
    ({"tables": ["a"] * 4}, "tables", '"tables" must have at most 3 elements'),
    ({"tables": ["a", ""]}, "tables[1]", '"tables[1]" must not be empty'),
    ({"tables": "a"}, "tables", '"tables" must be a list, not text'),
    ({"code": "A1"}, "code", '"code" does not match ^[a-z]+$'),
    ({"code": "abcde"}, "code", '"code" must have at most 4 characters'),
    ({"columns": {"dbo.t": {"inclde": []}}}, 'columns["dbo.t"].inclde', 'unknown setting "inclde"'),
    ({"columns": {"t": {"include": [1]}}}, "columns.t.include[0]", '"columns.t.include[0]" must be text, not a whole number'),
    ({"pair": ["x", "a"]}, "pair[0]", '"pair[0]" must be a whole number, not text'),
    ({"pair": [1]}, "pair", '"pair" must have at least 2 elements'),
    ({"either": 5}, "either", '"either" must be a list or an object, not a whole number'),
    ({"either": {"x": 1}}, "either.x", 'unknown setting "x"'),
    ({"old_name": "x"}, "old_name", 'unknown setting "old_name"'),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "path", "message"), WRONG)
def test_an_invalid_setting_is_reported_with_its_path(settings: dict[str, Any], path: str, message: str) -> None:
    config = {"address": "here", **settings}
    (found,) = mismatches(config, SCHEMA)
    assert (found.path, found.message) == (path, message)
    with pytest.raises(ConfigError):
        decode_config(config, Config)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"count": 5, "ratio": 0.25, "pause": 500, "room": "5MB", "flag": True, "oldName": "x", "level": 2},
        {"count": 5, "pair": [1, "b"], "columns": {"t": {}}, "either": ["a"]},
        {"count": None, "either": None, "columns": {"t": {"include": None}}},
    ],
)
def test_a_valid_config_passes(settings: dict[str, Any]) -> None:
    config = {"address": "here", **settings}
    decode_config(config, Config)
    assert mismatches(config, SCHEMA) == []


def test_a_missing_setting_is_named_with_its_description() -> None:
    (found,) = mismatches({}, SCHEMA)
    assert (found.message, found.hint, found.at_name) == ('the setting "address" is missing', "host and port", True)


def test_a_similar_known_name_is_suggested() -> None:
    (found,) = mismatches({"address": "x", "tabels": ["a"]}, SCHEMA)
    assert found.hint == 'Did you mean "tables"?'


def test_the_original_names_of_settings_pass() -> None:
    config = {"connectionString": "x", "resourceGroup": "rg", "sourceHost": "h", "queue": "orders"}
    decode_config(config, ServiceBusConfig)
    assert mismatches(config, config_schema(ServiceBusConfig)) == []


def test_no_message_contains_a_value() -> None:
    found = mismatches({"address": ["canary"], "shape": "canary", "code": "CANARY-CANARY"}, SCHEMA)
    assert len(found) == 4
    assert "canary" not in repr(found).lower()


def test_unspecified_and_invalid_schema_parts_accept_anything() -> None:
    assert mismatches({"anything": [1]}, {"type": "object"}) == []
    assert mismatches({"a": "x"}, {"properties": {"a": {"pattern": "(?<bad"}}}) == []
    assert mismatches({"a": "x"}, {"properties": {"a": {"$ref": "#/$defs/nowhere"}}}) == []
    assert mismatches({"a": "x"}, {"$ref": "#"}) == []
    assert mismatches({"a": 5.0}, {"properties": {"a": {"type": "integer"}}}) == []  # 5.0 is an integer in JSON Schema
