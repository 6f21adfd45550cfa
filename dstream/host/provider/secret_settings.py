"""Finds the values in a config that the provider's schema marks, such as with `writeOnly` as secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dstream.protocol.config_schema import ConfigPath

_DEEPEST = 8
"""How many references and alternatives are followed for one value, because a schema may refer to itself."""


def secret_values(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return the secret texts in the config."""
    found = marked_settings(config, schema, "writeOnly")
    return list(dict.fromkeys(text for _, value in found for text in texts_in(value)))


def marked_settings(
    config: Mapping[str, Any], schema: Mapping[str, Any], keyword: str
) -> Iterator[tuple[ConfigPath, Any]]:
    """Yield the path and value of each setting whose schema has `keyword: true`."""
    return _marked(config, schema, schema, keyword, (), _DEEPEST)


def _marked(
    value: Any, schema: Any, document: Mapping[str, Any], keyword: str, path: ConfigPath, steps: int
) -> Iterator[tuple[ConfigPath, Any]]:
    """Yield the marked values in a value of this schema, which is part of the document."""
    if not isinstance(schema, Mapping) or not steps:
        return
    if schema.get(keyword) is True:
        yield path, value
        return
    for each in _schemas_of_the_same_value(schema, document):
        yield from _marked(value, each, document, keyword, path, steps - 1)
    if isinstance(value, Mapping):
        known, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, item in value.items():
            yield from _marked(item, known.get(name, others), document, keyword, (*path, name), _DEEPEST)
    elif isinstance(value, list):
        first, rest = schema.get("prefixItems") or (), schema.get("items")
        for number, item in enumerate(value):
            of_item = first[number] if number < len(first) else rest
            yield from _marked(item, of_item, document, keyword, (*path, number), _DEEPEST)


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


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a value, and its numbers as text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from texts_in(each)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
