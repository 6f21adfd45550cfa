"""Finds the config values that `writeOnly` in a JSON schema marks as secret."""

from __future__ import annotations

from typing import Any

import msgspec

from dstream.host.provider.described import schema_of
from dstream.host.provider.secret_settings import secret_paths, secret_values
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


def test_secret_paths_are_found_through_references_lists_and_maps() -> None:
    schema = config_schema(Config)
    assert set(secret_paths(schema, schema)) == {
        ("word",),
        ("login", "pin"),
        ("logins", "*", "pin"),
        ("by_name", "*", "pin"),
    }


def test_a_recursive_schema_terminates() -> None:
    schema: dict[str, Any] = {
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {
                "properties": {"code": {"writeOnly": True}, "next": {"$ref": "#/$defs/Node"}},
                "allOf": [{"$ref": "#/$defs/Missing"}],
            }
        },
    }
    found = list(secret_paths(schema, schema))
    assert ("next", "next", "code") in found
    assert len(found) < 20


def test_a_circular_reference_terminates() -> None:
    schema: dict[str, Any] = {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}]}}}
    assert list(secret_paths(schema, schema)) == []


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
