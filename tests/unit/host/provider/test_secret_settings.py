"""Finds the config values that `writeOnly` in a JSON schema marks as secret."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dstream.host.provider.described import schema_of
from dstream.host.provider.secret_settings import secret_values
from dstream.host.provider.spec import ProviderSpec
from dstream.protocol.messages import Hello
from dstream.sdk import Secret, config_schema


class Login(msgspec.Struct):
    user: str = ""
    pin: Secret[str] | None = None


class Config(msgspec.Struct):
    word: Secret[str]
    login: Login | None = None
    logins: list[Login] = []
    by_name: dict[str, Login] = {}
    queue: str = ""


def test_a_recursive_schema_is_followed_as_deep_as_the_value() -> None:
    schema: dict[str, Any] = {
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {
                "properties": {"code": {"writeOnly": True}, "next": {"$ref": "#/$defs/Node"}},
                "allOf": [{"$ref": "#/$defs/Missing"}],
            }
        },
    }
    config: dict[str, Any] = {"code": "0"}
    for depth in range(1, 30):
        config = {"code": str(depth), "next": config}
    assert set(secret_values(config, schema)) == {str(depth) for depth in range(30)}


@pytest.mark.parametrize(
    ("schema", "config"),
    [
        ({"properties": {"a": {"$ref": "#"}, "s": {"writeOnly": True}}}, {"a": {"s": "x"}}),
        ({"properties": {"a": {"$ref": "#/$defs/x~1y"}}, "$defs": {"x/y": {"writeOnly": True}}}, {"a": "x"}),
        ({"properties": {"a": {"prefixItems": [{}, {"writeOnly": True}]}}}, {"a": ["y", "x"]}),
        ({"properties": {"a": {"oneOf": [True, {"items": {"writeOnly": True}}]}}}, {"a": ["x"]}),
    ],
)
def test_a_secret_is_found_wherever_the_schema_allows_it(schema: dict[str, Any], config: dict[str, Any]) -> None:
    assert secret_values(config, schema) == ["x"]


def test_a_circular_reference_terminates() -> None:
    schema: dict[str, Any] = {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}]}}}
    assert secret_values({"a": "b"}, schema) == []


def test_values_at_secret_paths_are_secret_whatever_their_shape() -> None:
    config = {
        "word": ["a", {"b": "c"}, 1234],
        "login": {"user": "u", "pin": "d"},
        "logins": [{"pin": "e"}, {"user": "v"}, "f"],
        "by_name": {"x": {"pin": "g"}},
        "queue": "orders",
    }
    assert sorted(secret_values(config, config_schema(Config))) == ["1234", "a", "c", "d", "e", "g"]


def test_a_provider_that_cannot_describe_itself_is_not_asked() -> None:
    spec = ProviderSpec(["/does/not/exist"], {"a": "b"}, "prog")
    assert schema_of(spec, Hello(1, "input", "prog"), "input", None) is None
