"""Alters plan files: every field in turn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

SEAL = ("digest", "fingerprints", "signature")
SAID = {
    "command": "is a plan for `dstream",
    "stack": "belongs to stack",
    "tasks[0].task": "unknown task",
}
"""What messages say instead of the path."""


def altered(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the document with one thing altered: a value, a key or item that is added or removed. The path is that of
    what an error must name."""
    for key, value in list(document.items() if isinstance(document, dict) else enumerate(document)):
        name = named(path, key)
        for inner, changed in altered(value, name) if isinstance(value, (dict, list)) else others(value, name):
            yield inner, with_item(document, key, changed)
        removed = deepcopy(document)
        del removed[key]
        yield name, removed
    if isinstance(document, dict):
        yield named(path, "unknown"), {**document, "unknown": 1}
    else:
        yield named(path, len(document)), [*document, deepcopy(document[0]) if document else "more"]


def others(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield values of the same type, so that only their meaning can be refused, and one of another type."""
    if isinstance(value, bool):
        yield from ((path, not value), (path, int(value)))
    elif isinstance(value, str):
        yield from ((path, f"{value}x"), (path, 7))
        if value in ("create", "update", "replace", "same", "delete"):
            yield path, "delete" if value != "delete" else "create"
        if value in ("init", "destroy"):
            yield path, "destroy" if value == "init" else "init"
    elif value is None:
        yield path, "x"
    else:
        yield from ((path, value + 1), (path, value - 1), (path, str(value)))


def with_item(document: Any, key: Any, changed: Any) -> Any:
    copy = deepcopy(document)
    copy[key] = changed
    return copy


def named(path: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    inner = json.dumps(key)
    return f"{path}[{inner}]" if "." in key else f"{path}.{key}" if path else key


def names(message: str, path: str) -> bool:
    """Whether a message names the field, or for a key or item that is not there (any more) what it is in."""
    outer = path.rpartition("[")[0] if path.endswith("]") else path.rpartition(".")[0]
    leaf = path.rpartition(".")[2]
    if path.startswith("tasks[0].settings") and "the configuration has changed" in message:
        return leaf in message or "config" in message
    said = (path, f"`{leaf}`", f".{leaf}`", SAID.get(path, path), outer or path)
    return any(each in message for each in said)
