"""A description's schema has the shape of a JSON Schema, so that its readers can rely on it."""

from __future__ import annotations

from typing import Any

import pytest

from dstream.config.schema.check import mismatches
from dstream.config.schema.convert import converted
from dstream.config.schema.reference import settings_of
from dstream.protocol.config_schema import check_shape
from dstream.protocol.messages import BadLine


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"properties": []}, "$.properties"),
        ({"properties": {"a": 5}}, "$.properties[...]"),
        ({"properties": {"a": {"enum": 4}}}, "$.properties[...].enum"),
        ({"required": True}, "$.required"),
        ({"$defs": {"A": {"anyOf": 3}}}, "$.$defs[...].anyOf"),
        ({"properties": {"a": {"type": 7}}}, "$.properties[...].type"),
        ({"properties": {"a": {"examples": 7}}}, "$.properties[...].examples"),
    ],
)
def test_a_keyword_of_the_wrong_type_is_found(schema: dict[str, Any], place: str) -> None:
    with pytest.raises(BadLine) as caught:
        check_shape(schema)
    assert f"`{place}`" in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": True, "b": False}, "additionalProperties": True},
        {"properties": {"a": {"anyOf": [True, {"type": "string"}]}}},
        {"properties": {"a": {"items": [{"type": "string"}]}}},
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": True}},
        {"properties": {"a": {"type": "string", "x-own": [1], "if": 5, "pattern": "("}}},
        {"properties": {"a": {"type": "string"}, "$ref": {"type": "string"}, "anyOf": {"default": {"oneOf": 5}}}},
    ],
)
def test_any_other_schema_can_be_read(schema: dict[str, Any]) -> None:
    check_shape(schema)
    assert converted({"a": "1"}, schema) == {"a": "1"}
    assert mismatches({"a": "1"}, schema) == []
    assert settings_of(schema)[0].path == "a"


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"$ref": "#"}, {"type": "object"}]},
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"oneOf": [{"$ref": "#/$defs/A"}]}}},
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}},
    ],
)
def test_a_schema_that_refers_to_itself_for_the_same_value_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(BadLine, match="a schema refers to itself"):
        check_shape(schema)


def test_a_schema_may_refer_to_itself_for_an_inner_value() -> None:
    tree = {"type": "object", "properties": {"child": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]}}}
    check_shape({"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}})
