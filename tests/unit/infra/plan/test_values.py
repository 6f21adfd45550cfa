"""Property paths and values in the engine's format."""

from __future__ import annotations

import pytest

from dstream.infra.plan.values import UNKNOWN, at, leaves, parts, properties, shown

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("size", ["size"]),
        ("tags.team", ["tags", "team"]),
        ("rules[0].name", ["rules", 0, "name"]),
        ('tags["a.b"]', ["tags", "a.b"]),
        ('["odd key"].x', ["odd key", "x"]),
    ],
)
def test_a_path_is_split_into_its_parts(path: str, expected: list[str | int]) -> None:
    assert parts(path) == expected


def test_a_path_resolves_to_a_value_or_none() -> None:
    value = {"tags": {"a.b": 1}, "rules": [{"name": "x"}]}
    assert at(value, 'tags["a.b"]') == 1
    assert at(value, "rules[0].name") == "x"
    for path in ("rules[1].name", "tags.c", "rules.name", "none.at.all"):
        assert at(value, path) is None
    assert at({"key": "***"}, "key.part") == "***"


def test_secrets_are_masked_and_internal_keys_omitted() -> None:
    assert shown({"a": SECRET, "b": "[secret]", "c": None, "__defaults": [], "d": [SECRET, 2.0, 2.5]}) == {
        "a": "***",
        "b": "***",
        "d": ["***", 2, 2.5],
    }
    assert shown("04da6b54-80e4-46f7-96ec-b56ff0331ba9") == UNKNOWN
    assert properties(None) == {}


def test_the_path_of_a_leaf_resolves_to_it() -> None:
    value = {"sku": {"name": "Standard"}, "tags": {"a.b": "1"}, "list": [1, 2], "empty": {}}
    found = dict(leaves(value))
    assert found == {"sku.name": "Standard", 'tags["a.b"]': "1", "list": [1, 2], "empty": {}}
    assert all(at(value, path) == item for path, item in found.items())
