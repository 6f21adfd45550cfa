"""The list of settings in a schema."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dstream.config.schema.reference import settings_of
from dstream.sdk import Duration, Secret, config_schema


class Batching(msgspec.Struct):
    """How rows are put together."""

    size: Annotated[int, Meta(ge=1, le=5000, description="rows")] = 1000


class Column(msgspec.Struct):
    exclude: list[str] = []


class Config(msgspec.Struct, kw_only=True):
    address: Annotated[Secret[str] | None, Meta(description="host and port")] = None
    tables: list[str | int]
    mode: Literal["json", "text"] = "json"
    pause: Duration = Duration("1s")
    batch: Batching = msgspec.field(default_factory=Batching)
    columns: dict[str, Column] = {}


def test_each_setting_has_its_path_type_default_and_description() -> None:
    found = {each.path: each for each in settings_of(config_schema(Config))}
    assert list(found) == ["address", "tables", "mode", "pause", "batch", "batch.size", "columns", "columns.*.exclude"]
    address = found["address"]
    assert (address.type, address.secret, address.required, address.default) == ("text", True, False, None)
    assert address.description == "host and port"
    assert (found["tables"].type, found["tables"].required) == ("list of text or whole number", True)
    assert (found["mode"].type, found["mode"].default) == ('"json" or "text"', '"json"')
    assert (found["pause"].type, found["pause"].default) == ('text or number, e.g. "250ms"', '"1s"')
    assert found["batch"].description == "How rows are put together."
    assert (found["batch.size"].type, found["batch.size"].default) == (
        "whole number, at least 1, at most 5,000",
        "1000",
    )
    assert found["columns.*.exclude"].type == "list of text"


def test_a_recursive_schema_terminates() -> None:
    schema = {"properties": {"child": {"$ref": "#"}}, "type": "object"}
    assert [each.path for each in settings_of(schema)][:2] == ["child", "child.child"]


def test_a_schema_without_types_is_supported() -> None:
    schema = {"properties": {"a": {}, "b": {"type": ["integer", "null"]}, "c": {"const": 1}}}
    assert [(each.path, each.type) for each in settings_of(schema)] == [
        ("a", "anything"),
        ("b", "whole number"),
        ("c", "1"),
    ]
