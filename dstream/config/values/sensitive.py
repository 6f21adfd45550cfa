"""Marks on values that must not be shown, and how they travel. Like marks in HashiCorp's go-cty, which Terraform's
`sensitive` is built on: a value computed from a sensitive one is sensitive, whatever its type. Pure.

A list or object is sensitive as a whole (`split(",", secret)`), or only some of its items are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, repr=False)
class SensitiveMark:
    """The texts that a sensitive value consists of or was computed from."""

    secrets: frozenset[str] = frozenset()
    """Marked by the author of the file, with `secret()`, `sensitive()` or `sensitive = true`."""
    read: frozenset[str] = frozenset()
    """Read by `env()` or `file()`, or computed from that."""

    def __or__(self, other: SensitiveMark) -> SensitiveMark:
        return SensitiveMark(self.secrets | other.secrets, self.read | other.read)


@dataclass(frozen=True, slots=True, repr=False)
class Sensitive:
    """A value with a mark. `value` is never Sensitive itself, but its items can be."""

    value: Any
    mark: SensitiveMark


def opened(value: Any) -> tuple[Any, SensitiveMark | None]:
    """Return the value without its own mark; its items keep theirs."""
    return (value.value, value.mark) if isinstance(value, Sensitive) else (value, None)


def marked(value: Any, *marks: SensitiveMark | None) -> Any:
    """Return the value with these marks added."""
    mark = joined(marks)
    if mark is None:
        return value
    inner, own = opened(value)
    return Sensitive(inner, mark | own if own else mark)


def joined(marks: Iterable[SensitiveMark | None]) -> SensitiveMark | None:
    found = None
    for mark in marks:
        if mark is not None:
            found = mark if found is None else found | mark
    return found


def mark_of(value: Any) -> SensitiveMark | None:
    """Return the marks of the value and of everything in it; None if nothing is sensitive."""
    if isinstance(value, Sensitive):
        inner = mark_of(value.value)
        return value.mark | inner if inner else value.mark
    if isinstance(value, list):
        return joined(map(mark_of, value))
    return joined(map(mark_of, value.values())) if isinstance(value, dict) else None


def revealed(value: Any) -> Any:
    """Return the value without any marks. Collect them first."""
    if isinstance(value, Sensitive):
        return revealed(value.value)
    if isinstance(value, dict):
        return {key: revealed(item) for key, item in value.items()}
    return [revealed(item) for item in value] if isinstance(value, list) else value


def without_secrets(message: str, values: Iterable[Any]) -> str:
    """Mask the sensitive texts of `values` in a message that was built from them."""
    mark = joined(map(mark_of, values))
    for text in sorted(mark.secrets | mark.read if mark else (), key=len, reverse=True):
        message = message.replace(text, "***")
    return message
