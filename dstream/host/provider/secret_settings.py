"""Finds the values in a config that the provider's schema marks as secret (`writeOnly`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_DEEPEST = 8
"""How many references and alternatives are followed for one value, because a schema may refer to itself."""


def secret_values(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return the secret texts in the config."""
    return list(dict.fromkeys(_secrets(config, schema, schema, _DEEPEST)))


def _secrets(value: Any, schema: Any, document: Mapping[str, Any], steps: int) -> Iterator[str]:
    """Yield the secret texts in a value of this schema, which is part of the document."""
    if not isinstance(schema, Mapping) or not steps:
        return
    if schema.get("writeOnly") is True:
        yield from _texts_in(value)
        return
    for each in _schemas_of_the_same_value(schema, document):
        yield from _secrets(value, each, document, steps - 1)
    if isinstance(value, Mapping):
        known, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, item in value.items():
            yield from _secrets(item, known.get(name, others), document, _DEEPEST)
    elif isinstance(value, list):
        first, rest = schema.get("prefixItems") or (), schema.get("items")
        for number, item in enumerate(value):
            yield from _secrets(item, first[number] if number < len(first) else rest, document, _DEEPEST)


def _schemas_of_the_same_value(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[Any]:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        yield _referenced(reference, document)
    for keyword in ("anyOf", "oneOf", "allOf"):
        yield from schema.get(keyword) or ()


def _referenced(reference: str, document: Mapping[str, Any]) -> Any:
    """Resolve a reference such as `#/$defs/Name`; `#` is the document."""
    found: Any = document
    for step in reference.split("/")[1:]:
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found


def _texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a secret, whatever its type."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts_in(each)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
