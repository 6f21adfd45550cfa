"""Converts a config to the types of a provider's JSON Schema, by HCL's rules: `"7"` to 7 for a number, 7 to `"7"` for
text, `"true"` to true. What cannot be converted stays as it is, for `check.py` to report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dstream.config.schema.check import Schema, matches, resolve_reference
from dstream.config.values.values import NotConvertible, to_bool, to_number, to_text

_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "integer": to_number,
    "number": to_number,
    "string": to_text,
    "boolean": to_bool,
}


def converted(config: Any, schema: Schema) -> Any:
    """Return the config with its values converted."""
    return _value(config, schema, schema)


def _value(value: Any, schema: Schema, document: Schema) -> Any:
    schema = resolve_reference(schema, document)
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        return _of_any(value, alternatives, document)
    if isinstance(value, dict):
        return _object(value, schema, document)
    if isinstance(value, list):
        return _list(value, schema, document)
    return _scalar(value, schema)


def _of_any(value: Any, alternatives: Sequence[Schema], document: Schema) -> Any:
    """Return the value unchanged if an alternative allows it, otherwise as the first that allows it converted."""
    if any(matches(value, each, document) for each in alternatives):
        return value
    candidates = ((_value(value, each, document), each) for each in alternatives)
    return next((found for found, each in candidates if matches(found, each, document)), value)


def _object(value: dict[str, Any], schema: Schema, document: Schema) -> dict[str, Any]:
    known: Mapping[str, Schema] = schema.get("properties", {})
    others = schema.get("additionalProperties")
    result = {}
    for name, inner in value.items():
        of_inner = known.get(name, others)
        result[name] = _value(inner, of_inner, document) if isinstance(of_inner, Mapping) else inner
    return result


def _list(value: list[Any], schema: Schema, document: Schema) -> list[Any]:
    first: Sequence[Schema] = schema.get("prefixItems", ())
    of_rest = schema.get("items")
    of_items = [*first[: len(value)], *[of_rest] * (len(value) - len(first))]
    return [
        _value(item, each, document) if isinstance(each, Mapping) else item
        for item, each in zip(value, of_items, strict=True)
    ]


def _scalar(value: Any, schema: Schema) -> Any:
    if matches(value, {key: schema[key] for key in ("const", "enum", "type") if key in schema}, schema):
        return value
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    kinds = schema.get("type", ["integer", "string", "boolean"] if choices else [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        try:
            found = _CONVERSIONS[kind](value) if kind in _CONVERSIONS else value
        except NotConvertible:
            continue
        fits = {"enum": choices} if choices else {"type": kind}
        if matches(found, fits, schema):
            return found
    return value
