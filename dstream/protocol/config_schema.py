"""The shape of the JSON Schema in a description, so that no reader of it has to expect, say, a list of properties, or a
schema that refers to itself.

Covers the keywords that DStream reads, of JSON Schema 2020-12; others may have any value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from dstream.protocol.messages import BadLine

_NAMES = {"defs": "$defs", "ref": "$ref", "additional_properties": "additionalProperties"}
_NAMES |= {"prefix_items": "prefixItems", "any_of": "anyOf", "one_of": "oneOf", "all_of": "allOf"}


ConfigPath: TypeAlias = tuple[str | int, ...]
"""The way to a value inside a config: names and indexes."""


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
    """Raise BadLine for a schema with a keyword of the wrong type, or one that no value can be checked against."""
    try:
        msgspec.convert(schema, _Keywords)
        for each in _all_in(schema):
            _check_end(each, schema, ())
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadLine(str(error)) from error


def referenced(reference: str, document: Mapping[str, Any]) -> Any:
    """Return what a `$ref` within the document refers to; an empty schema if there is no such place."""
    target: Any = document
    for step in reference.split("/")[1:]:
        target = target.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(target, Mapping) else {}
    return target


def _check_end(schema: Any, document: Mapping[str, Any], way: tuple[int, ...]) -> None:
    """Check that the alternatives and references for one value end. `way`: the schemas that led here, by identity.

    Source: JSON Schema 2020-12, core, 9.4.1, "Guarding Against Infinite Recursion".
    """
    if not isinstance(schema, Mapping):
        return
    if id(schema) in way:
        raise BadLine("a schema refers to itself through $ref, anyOf or oneOf, without a setting in between")
    way = (*way, id(schema))
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        _check_end(referenced(reference, document), document, way)
    for alternatives in (schema.get("anyOf"), schema.get("oneOf")):
        for each in alternatives if isinstance(alternatives, list) else ():
            _check_end(each, document, way)


def _all_in(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the schema and every object inside it: all schemas, and some that only look like one."""
    if isinstance(schema, Mapping):
        yield schema
    for each in schema.values() if isinstance(schema, Mapping) else schema if isinstance(schema, list) else ():
        yield from _all_in(each)
