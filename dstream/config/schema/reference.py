"""Describes a config's JSON Schema as a list of settings, for display."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dstream.config.schema.check import Schema, keywords_of, resolve_reference

_NAMES = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
}
_DEEPEST = 4
_BOUNDS = (("minimum", "at least"), ("exclusiveMinimum", "more than"), ("maximum", "at most"))


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `path` is its path in the HCL file: `batch.max_bytes`; `*` stands for user-defined names."""

    path: str
    type: str
    required: bool
    secret: bool
    default: str | None
    """As JSON; None if there is no default, or it is null."""
    description: str


def settings_of(schema: Schema) -> list[Setting]:
    """Return all settings, each followed by those inside it."""
    return list(_settings(schema, schema, "", 0))


def _settings(document: Schema, schema: Schema, prefix: str, depth: int) -> Iterator[Setting]:
    schema = resolve_reference(schema, document)
    required = schema.get("required", ())
    for name, given in schema.get("properties", {}).items():
        variants = _variants(given, document)
        path = f"{prefix}{name}"
        yield Setting(
            path,
            " or ".join(dict.fromkeys(_type(each, document) for each in variants)) or "anything",
            required=name in required,
            secret=any(each.get("writeOnly") is True for each in variants),
            default=_default(keywords_of(given)),
            description=_description(keywords_of(given), variants),
        )
        if depth < _DEEPEST:
            for each in variants:
                yield from _inside(document, each, path, depth)


def _inside(document: Schema, schema: Schema, path: str, depth: int) -> Iterator[Setting]:
    """Yield the settings of an object, of the objects in a list, or of the objects under user-defined names."""
    if "properties" in schema:
        yield from _settings(document, schema, f"{path}.", depth + 1)
    for keyword, step in (("items", "[]"), ("additionalProperties", ".*")):
        inner = schema.get(keyword)
        if isinstance(inner, Mapping):
            for each in _variants(inner, document):
                yield from _settings(document, each, f"{path}{step}.", depth + 1)


def _variants(schema: Schema, document: Schema) -> list[Schema]:
    """Return the schemas of `anyOf` without null, or the schema itself."""
    schema = resolve_reference(schema, document)
    alternatives = schema.get("anyOf") or schema.get("oneOf") or [schema]
    resolved = [resolve_reference(each, document) for each in alternatives]
    return [each for each in resolved if each.get("type") != "null"]


def _type(schema: Schema, document: Schema) -> str:
    if "enum" in schema or "const" in schema:
        choices = schema.get("enum", [schema.get("const")])
        return " or ".join(json.dumps(each, ensure_ascii=False) for each in choices if each is not None)
    if schema.get("examples"):
        return (
            " or ".join(_NAMES.get(each, each) for each in _kinds(schema))
            + f", e.g. {json.dumps(schema['examples'][0])}"
        )
    kinds = [_NAMES.get(each, each) for each in _kinds(schema) if each != "null"]
    text = " or ".join(kinds) or "anything"
    inner = schema.get("items")
    if kinds == ["list"] and isinstance(inner, Mapping):
        return f"list of {' or '.join(_type(each, document) for each in _variants(inner, document))}"
    bounds = [f"{words} {schema[key]:,}" for key, words in _BOUNDS if isinstance(schema.get(key), (int, float))]
    return f"{text}, {', '.join(bounds)}" if bounds else text


def _kinds(schema: Schema) -> Sequence[str]:
    kinds = schema.get("type", ())
    return [kinds] if isinstance(kinds, str) else kinds


def _default(schema: Schema) -> str | None:
    default: Any = schema.get("default")
    return None if default is None else json.dumps(default, ensure_ascii=False)


def _description(given: Schema, variants: Sequence[Schema]) -> str:
    described = [each["description"] for each in (given, *variants) if each.get("description")]
    return str(described[0]) if described else ""
