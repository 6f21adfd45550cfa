"""Finds the values in a config that the provider's schema marks as secret (`writeOnly`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_DEEPEST = 16
"""Maximum depth in a schema, references included, because a schema may refer to itself."""
_ANY = "*"
"""In a path: each item of a list, or each value of a map."""

SettingPath = tuple[str, ...]


def secret_values(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return the secret texts in the config."""
    paths = dict.fromkeys(secret_paths(schema, schema))
    return [text for path in paths for text in _texts_at(config, path)]


def secret_paths(
    schema: Any, document: Mapping[str, Any], path: SettingPath = (), depth: int = 0
) -> Iterator[SettingPath]:
    """Yield the paths of all settings that the JSON schema marks as `writeOnly`."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    depth += 1
    if schema.get("writeOnly") is True:
        yield path
        return
    reference = schema.get("$ref")
    if isinstance(reference, str):
        yield from secret_paths(_referenced(reference, document), document, path, depth)
    for keyword in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(keyword) or ():
            yield from secret_paths(each, document, path, depth)
    for name, inner in (schema.get("properties") or {}).items():
        yield from secret_paths(inner, document, (*path, name), depth)
    for keyword in ("items", "additionalProperties"):
        yield from secret_paths(schema.get(keyword), document, (*path, _ANY), depth)


def _referenced(reference: str, document: Mapping[str, Any]) -> Any:
    """Resolve a reference such as `#/$defs/Name`."""
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _texts_at(value: Any, path: SettingPath) -> Iterator[str]:
    if path and isinstance(value, Mapping):
        for each in value.values() if path[0] == _ANY else (value.get(path[0]),):
            yield from _texts_at(each, path[1:])
    elif path and path[0] == _ANY and isinstance(value, list):
        for each in value:
            yield from _texts_at(each, path[1:])
    elif not path:
        yield from _texts_in(value)


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
