"""The shape of the JSON Schema in a description, so that no reader of it has to expect, say, a list of properties.

Covers the keywords that DStream reads, of JSON Schema 2020-12; others may have any value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dstream.protocol.messages import BadLine

_NAMES = {"defs": "$defs", "ref": "$ref", "additional_properties": "additionalProperties"}
_NAMES |= {"prefix_items": "prefixItems", "any_of": "anyOf", "one_of": "oneOf", "all_of": "allOf"}


class _Keywords(msgspec.Struct, frozen=True, rename=_NAMES):
    """The keywords of one schema. A subschema may also be true (anything) or false (nothing)."""

    defs: dict[str, _Keywords | bool] = {}
    ref: str = ""
    type: str | list[str] = ""
    description: str = ""
    properties: dict[str, _Keywords | bool] = {}
    additional_properties: _Keywords | bool = True
    required: list[str] = []
    items: _Keywords | bool | list[_Keywords | bool] = True
    """A list in drafts before 2020-12; not read."""
    prefix_items: list[_Keywords | bool] = []
    any_of: list[_Keywords | bool] = []
    one_of: list[_Keywords | bool] = []
    all_of: list[_Keywords | bool] = []
    enum: list[Any] = []
    examples: list[Any] = []


def check_shape(schema: Mapping[str, Any]) -> None:
    """Raise BadLine for a schema with a keyword of the wrong type."""
    try:
        msgspec.convert(schema, _Keywords)
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadLine(str(error)) from error
