"""Compares a resource's settings, and turns actual settings into inputs that show drift. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dstream.infra.attached.types import Property, Values
from dstream.infra.attached.values import is_default, same

ChangeKind = Literal["add", "delete", "update"]

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_ABSENT = object()
_ANY = Property("map")


@dataclass(frozen=True, slots=True)
class Change:
    """A change at a property path in the engine's form: `sqlFilter.sqlExpression`, `properties["a.b"]`, `hosts[1]`."""

    path: str
    kind: ChangeKind
    replaces: bool


def changes(properties: Mapping[str, Property], olds: Values, news: Values) -> list[Change]:
    """Return the changes from old to new settings.

    An absent setting equals its default. An UNKNOWN setting counts as changed, so that replacing a resource also
    replaces its dependents, as the engine requires.
    """
    found: list[Change] = []
    for name in sorted(olds.keys() | news.keys()):
        known = properties.get(name, _ANY)
        found += [
            Change(path, kind, known.replaces)
            for path, kind in _changes(known, olds.get(name, _ABSENT), news.get(name, _ABSENT), inside("", name))
        ]
    return found


def real_inputs(properties: Mapping[str, Property], settings: Values, recorded: Values, baseline: Values) -> Values:
    """Return the actual settings as inputs that differ from `recorded` only by drift.

    Equal values keep their recorded spelling. A setting that is not recorded appears only if it differs from its
    default and from the value at creation (`baseline`), because defaults depend on tiers and versions.
    """
    kept = {name: value for name, value in recorded.items() if _is_kept(properties, settings, name, value)}
    for name, real in settings.items():
        if name in kept or real is None:
            continue
        known = properties.get(name, _ANY)
        if name in recorded:
            kept[name] = _merged(known, real, recorded[name])
        elif not is_default(known, real) and not same(known, real, baseline.get(name)):
            kept[name] = real
    return kept


def inside(within: str, name: str | int) -> str:
    """Return the path of `name` within `within`."""
    if isinstance(name, int):
        return f"{within}[{name}]"
    if not _PLAIN.fullmatch(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'{within}["{escaped}"]'
    return f"{within}.{name}" if within else name


def _changes(known: Property, old: Any, new: Any, path: str) -> Iterator[tuple[str, ChangeKind]]:
    if old is _ABSENT:
        if not is_default(known, new):
            yield path, "add"
    elif new is _ABSENT:
        if not is_default(known, old):
            yield path, "delete"
    elif same(known, old, new):
        return
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            field = known.fields.get(name, _ANY)
            yield from _changes(field, old.get(name, _ABSENT), new.get(name, _ABSENT), inside(path, name))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before, after = (each[index] if index < len(each) else _ABSENT for each in (old, new))
            yield from _changes(_ANY, before, after, inside(path, index))
    else:
        yield path, "update"


def _is_kept(properties: Mapping[str, Property], settings: Values, name: str, value: Any) -> bool:
    if name not in settings:
        return True  # cannot be read
    known, real = properties.get(name, _ANY), settings[name]
    return is_default(known, value) if real is None else same(known, value, real)


def _merged(known: Property, real: Any, recorded: Any) -> Any:
    if known.fields and isinstance(real, Mapping) and isinstance(recorded, Mapping):
        return real_inputs(known.fields, real, recorded, {})
    return real
