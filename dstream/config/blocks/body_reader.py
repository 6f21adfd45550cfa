"""Reads the blocks that DStream defines: every name is known, every value is typed, and all errors are collected."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import TypeVar

from dstream.config.blocks.complaints import Complaints
from dstream.config.hcl.problem import did_you_mean
from dstream.config.hcl.source import SourceFile
from dstream.config.hcl.syntax import Attribute, Block, Body
from dstream.config.units import seconds, size_in_bytes
from dstream.config.values.key_vault_secret import Unread
from dstream.config.values.scope import Scope
from dstream.config.values.sensitive import SensitiveMark, mark_of, revealed
from dstream.config.values.values import Value, kind
from dstream.errors import ConfigError

_T = TypeVar("_T")


class BodyReader:
    """Reads one body. `block` is its display name: 'task "orders", input'."""

    def __init__(self, source: SourceFile, body: Body, block: str, scope: Scope, complaints: Complaints) -> None:
        self.source = source
        self.body = body
        self.block = block
        self.scope = scope
        self.complaints = complaints
        self.marks: dict[str, SensitiveMark] = {}
        """Of the attributes read so far that are sensitive."""
        self._attributes: dict[str, Attribute] = {}
        for attribute in body.attributes:
            first = self._attributes.setdefault(attribute.name, attribute)
            if first is not attribute:
                self.duplicate(f'"{attribute.name}" is set twice', attribute.at, first.at)

    def check(self, attributes: Collection[str], blocks: Collection[str]) -> None:
        """Report every unknown name."""
        for attribute in self.body.attributes:
            if attribute.name in blocks and attribute.name not in attributes:
                hint = f"Write {attribute.name} {{ ... }}, without the equals sign."
                self.complain("config.unknown_attribute", f'"{attribute.name}" is a block', attribute.at, hint)
            elif attribute.name not in attributes:
                hint = did_you_mean(attribute.name, [*attributes, *blocks]) or _known("attributes", attributes)
                self.complain("config.unknown_attribute", f'unknown attribute "{attribute.name}"', attribute.at, hint)
        for block in self.body.blocks:
            if block.name in attributes and block.name not in blocks:
                hint = f"Write {block.name} = ..."
                self.complain("config.unknown_block", f'"{block.name}" is an attribute', block.at, hint)
            elif block.name not in blocks:
                hint = did_you_mean(block.name, [*attributes, *blocks]) or _known("blocks", blocks)
                self.complain("config.unknown_block", f'unknown block "{block.name}"', block.at, hint)

    def attribute(self, name: str) -> Attribute | None:
        return self._attributes.get(name)

    def block_named(self, name: str) -> Block | None:
        """Return the block of this name; report duplicates and labels."""
        found = [block for block in self.body.blocks if block.name == name]
        for other in found[1:]:
            self.duplicate(f'duplicate block "{name}"', other.at, found[0].at)
        for block in found:
            if block.labels:
                self.complain("config.label", f'block "{name}" takes no label', block.labels[0].at)
        return found[0] if found else None

    def inner(self, block: Block, name: str) -> BodyReader:
        return BodyReader(self.source, block.body, name, self.scope, self.complaints)

    def evaluate(self, attribute: Attribute) -> Value:
        """Return the attribute's value. Raises ConfigError."""
        return self.scope.evaluate(self.source, attribute.value, self.block)

    def text(self, name: str) -> str | None:
        return self._typed(name, "a string", lambda value: value if isinstance(value, str) else None)

    def texts(self, name: str) -> tuple[str, ...] | None:
        return self._typed(name, "a list of strings", _texts)

    def text_map(self, name: str) -> dict[str, str] | None:
        """Return an object of strings; its mark is in `marks`."""
        return self._typed(name, "an object of strings", _text_map)

    def flag(self, name: str) -> bool | None:
        return self._typed(name, "true or false", lambda value: value if isinstance(value, bool) else None)

    def count(self, name: str) -> int | None:
        return self._typed(name, "a whole number of at least 0", _count)

    def duration_s(self, name: str) -> float | None:
        return self._typed(
            name,
            'a duration such as "30s" or "1m30s"',
            lambda value: seconds(value) if isinstance(value, str) else None,
        )

    def size(self, name: str) -> int | None:
        return self._typed(name, 'a positive number of bytes or a size such as "16MiB"', _size)

    def complain(self, code: str, message: str, at: int, hint: str = "") -> None:
        self.complaints.add(ConfigError(code, message, place=self.source.place(at, self.block), hint=hint))

    def duplicate(self, message: str, at: int, first: int) -> None:
        self.complain("config.duplicate", f"{message} (first at {self.source.place(first)})", at)

    def _typed(self, name: str, wanted: str, convert: Callable[[Value], _T | None]) -> _T | None:
        """Return the attribute's value; None if it is not set, null, unread, or invalid (which is reported)."""
        attribute = self.attribute(name)
        if attribute is None:
            return None
        with suppress(Unread), self.complaints.collecting():
            found = self.evaluate(attribute)
            value = revealed(found)
            if mark := mark_of(found):
                self.marks[name] = mark
            converted = None if value is None else convert(value)
            if value is not None and converted is None:
                is_shown = isinstance(found, str) and not wanted.startswith("a string")
                shown = f'"{found}"' if is_shown else kind(value)
                self.complain("config.type", f"{name} must be {wanted}, not {shown}", attribute.value.at)
            return converted
        return None


def _texts(value: Value) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return tuple(value)


def _text_map(value: Value) -> dict[str, str] | None:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        return None
    return value


def _count(value: Value) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _size(value: Value) -> int | None:
    size = size_in_bytes(value) if isinstance(value, str) else _count(value)
    return size or None


def _known(what: str, names: Iterable[str]) -> str:
    listed = ", ".join(sorted(names))
    return f"Known {what}: {listed}." if listed else f"No {what} are allowed here."
