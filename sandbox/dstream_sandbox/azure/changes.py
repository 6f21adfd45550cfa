"""Diff: which properties change between recorded and wanted inputs, and which changes force a replacement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from dstream_sandbox.azure.resource_types import Property, ResourceType
from dstream_sandbox.azure.values import effective, has_unknown, same

__all__ = ["Change", "changes"]

How = Literal["add", "delete", "update"]


@dataclass(frozen=True, slots=True)
class Change:
    path: str
    """A property path: `lockDuration`, `sku.name`, `tags.team`."""
    how: How
    replaces: bool


def changes(
    kind: ResourceType,
    recorded: Mapping[str, object],
    wanted: Mapping[str, object],
    defaults: Mapping[str, object] | None = None,
) -> list[Change]:
    """Return the changes. An unknown name counts as different: the engine sends one when the parent is replaced."""
    found = [
        Change(part.name, _how(recorded.get(part.name), wanted.get(part.name)), True)
        for part in kind.parts
        if not _same_name(part.name, recorded.get(part.name), wanted.get(part.name))
    ]
    return found + list(_changes("", kind.properties, recorded, wanted, defaults or {}))


def _changes(
    prefix: str,
    known: Iterable[Property],
    recorded: Mapping[str, object],
    wanted: Mapping[str, object],
    defaults: Mapping[str, object],
) -> Iterator[Change]:
    for each in known:
        old, new = recorded.get(each.name), wanted.get(each.name)
        if each.name in defaults:
            old, new = (defaults[each.name] if value is None else value for value in (old, new))
        if same(each, effective(each, old, recorded), effective(each, new, wanted)):
            continue
        path = f"{prefix}{each.name}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if each.kind == "object":
                yield from _changes(f"{path}.", each.properties, old, new, {})
            elif each.kind == "nested":
                yield from _parts(path, old, new)
            else:
                yield from _entries(path, old, new)
        else:
            yield Change(path, _how(recorded.get(each.name), wanted.get(each.name)), each.replaces)


def _entries(path: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Change]:
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield Change(f"{path}{_step(key)}", _how(old.get(key), new.get(key)), False)


def _parts(path: str, old: object, new: object) -> Iterator[Change]:
    """The changed parts of a value that is stored as it is: `template.containers[0].image`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            yield from _parts(f"{path}{_step(key)}", old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _parts(f"{path}[{index}]", one, other)
    elif old != new or has_unknown(new):
        yield Change(path, _how(old, new), False)


def _step(key: str) -> str:
    """Format a key as the engine does in a property path: quoted unless it is a plain word."""
    return f".{key}" if key.replace("_", "a").isalnum() else f'["{key}"]'


def _same_name(part: str, old: object, new: object) -> bool:
    """azure-native compares names by case, except that of the resource group (its pull request 2910)."""
    if old is None or new is None or has_unknown(new):
        return old is None and new is None
    if part == "resourceGroupName":
        return cast("str", old).lower() == cast("str", new).lower()
    return old == new


def _how(old: object, new: object) -> How:
    if old is None:
        return "add"
    return "delete" if new is None else "update"
