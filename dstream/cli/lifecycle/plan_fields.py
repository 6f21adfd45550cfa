"""The fields of a plan file as JSON: what each is called, and where two files differ. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

ABSENT: Any = object()
"""Stands for the value of a field that is not there."""
_PLAIN = re.compile(r"""[^.\[\]"]+""")
_IDENTIFYING = ("urn", "type", "name", "path", "task")
_MAX_CHARS = 60


class FieldChange(NamedTuple):
    """A field with different values; `saved` or `now` can be ABSENT."""

    path: str
    """`tasks[0].resources[2].op`; a list item that is new has its new index."""
    saved: Any
    now: Any

    def __str__(self) -> str:
        if self.saved is ABSENT:
            return f"{self.path}: {_short(self.now)} was not planned"
        if self.now is ABSENT:
            return f"{self.path}: {_short(self.saved)} is no longer planned"
        return f"{self.path}: planned {_short(self.saved)}, now {_short(self.now)}"


def canonical(value: Any) -> bytes:
    """Return JSON that is the same for the same content: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def nodes(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every field with its path; of an object only its keys, of a list only its length."""
    if isinstance(value, Mapping):
        yield path, {"keys": sorted(value)}
        for key in sorted(value):
            yield from nodes(value[key], _inner(path, key))
    elif isinstance(value, list):
        yield path, {"length": len(value)}
        for index, item in enumerate(value):
            yield from nodes(item, f"{path}[{index}]")
    else:
        yield path, value


def differences(saved: Any, now: Any, path: str = "") -> Iterator[FieldChange]:
    """Yield the fields that differ. Items of lists are matched by what identifies them, then by position."""
    if isinstance(saved, Mapping) and isinstance(now, Mapping):
        for key in {**saved, **now}:
            yield from differences(saved.get(key, ABSENT), now.get(key, ABSENT), _inner(path, key))
    elif isinstance(saved, list) and isinstance(now, list):
        yield from _in_lists(saved, now, path)
    elif ABSENT in (saved, now) or canonical(saved) != canonical(now):
        yield FieldChange(path, saved, now)


def _in_lists(saved: list[Any], now: list[Any], path: str) -> Iterator[FieldChange]:
    found = list(_matched(saved, now, path))
    yield from found
    if not found and canonical(saved) != canonical(now):  # only their order differs
        yield FieldChange(path, saved, now)


def _matched(saved: list[Any], now: list[Any], path: str) -> Iterator[FieldChange]:
    old, new = _positions(saved), _positions(now)
    if old is None or new is None:
        for index, (was, is_) in enumerate(zip_longest(saved, now, fillvalue=ABSENT)):
            yield from differences(was, is_, f"{path}[{index}]")
        return
    unmatched = {index for identity, index in new.items() if identity not in old}
    for identity, index in old.items():
        other = new.get(identity, index if index in unmatched else None)
        unmatched.discard(index if identity not in new else -1)
        yield from differences(saved[index], ABSENT if other is None else now[other], f"{path}[{index}]")
    for index in sorted(unmatched):
        yield FieldChange(f"{path}[{index}]", ABSENT, now[index])


def _positions(items: Sequence[Any]) -> dict[bytes, int] | None:
    """Return the position of each item by what identifies it; None unless all are objects and all identities differ."""
    found = {
        canonical([each[key] for key in _IDENTIFYING if key in each]): index
        for index, each in enumerate(items)
        if isinstance(each, Mapping)
    }
    return found if len(found) == len(items) else None


def _inner(path: str, key: str) -> str:
    if not _PLAIN.fullmatch(key):
        return f"{path}[{json.dumps(key)}]"
    return f"{path}.{key}" if path else key


def _short(value: Any) -> str:
    if isinstance(value, Mapping) and (told := [str(value[key]) for key in ("op", "name", "path") if key in value]):
        return " ".join(told)
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}.."
