"""Property values in the engine's events: property paths, and masking of secrets. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MASK = "***"
UNKNOWN = "(known after init)"

_SPECIAL = "4dabf18193072939515e22adb298388d"
"""Marks values that are not plain JSON (pulumi/sdk/go/common/resource/sig.go)."""
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_SECRET_TEXT = "[secret]"
_UNKNOWN_TEXTS = frozenset({"04da6b54-80e4-46f7-96ec-b56ff0331ba9", "output<string>"})
_PART = re.compile(r"""\.?([^.\[\]"]+)|\[(\d+|\*)\]|\["((?:[^"\\]|\\.)*)"\]""")
_INTERNAL = "__"


def shown(value: Any) -> Any:
    """Return the value with secrets masked, without the engine's marks and unset properties."""
    if isinstance(value, str):
        return MASK if value == _SECRET_TEXT else UNKNOWN if value in _UNKNOWN_TEXTS else value
    if isinstance(value, Mapping):
        mark = value.get(_SPECIAL)
        if mark is not None:
            return MASK if mark == _SECRET else shown(value.get("value"))
        return {
            str(key): shown(item)
            for key, item in value.items()
            if item is not None and not str(key).startswith(_INTERNAL)
        }
    if isinstance(value, Sequence):
        return [shown(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def properties(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return all properties of a resource, as `shown`."""
    found = shown(value or {})
    return found if isinstance(found, dict) else {}


def at(value: Any, path: str) -> Any:
    """Return the value at a path such as `tags.team`, `rules[0].name` or `tags["a.b"]`; None if absent."""
    for part in parts(path):
        if isinstance(value, Mapping) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return value if value == MASK else None  # everything inside a secret is secret
    return value


def parts(path: str) -> list[str | int]:
    """Split a property path (pulumi/sdk/go/common/resource/property_path.go)."""
    found: list[str | int] = []
    for name, index, quoted in _PART.findall(path):
        if name:
            found.append(name)
        elif index:
            found.append(int(index) if index != "*" else index)
        else:
            found.append(json.loads(f'"{quoted}"'))
    return found


def is_within(path: str, of: str) -> bool:
    """Whether the property is the one at the path `of`, or inside it: `tags.team` is within `tags`."""
    outer = parts(of)
    return parts(path)[: len(outer)] == outer


def leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each property that is not an object, with its path; lists stay whole."""
    for key, item in value.items():
        path = _joined(prefix, key)
        if isinstance(item, Mapping) and item:
            yield from leaves(item, path)
        else:
            yield path, item


def _joined(prefix: str, key: str) -> str:
    if re.fullmatch(r"[^.\[\]\"]+", key):
        return f"{prefix}.{key}" if prefix else key
    return f"{prefix}[{json.dumps(key)}]"
