"""What the conformance kit reads from a provider's schema."""

from __future__ import annotations

from typing import Any

import pytest

from dstream.kit.subject import settings_in

TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "settings"),
    [
        ({"properties": {"a": TEXT, "b": True}}, {"a": TEXT}),
        ({"$ref": "#/$defs/Config", "$defs": {"Config": {"properties": {"a": TEXT}}}}, {"a": TEXT}),
        ({"properties": ["a"]}, {}),
        ({}, {}),
    ],
)
def test_settings_are_found_in_any_schema(schema: dict[str, Any], settings: dict[str, Any]) -> None:
    assert settings_in(schema) == settings
