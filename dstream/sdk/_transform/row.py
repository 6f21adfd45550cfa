"""One data line, decoded as far as needed: the values that no transform changes keep their bytes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from dstream.protocol.transforms import Root
from dstream.sdk.errors import DataError

Members = dict[str, msgspec.Raw]
"""The members of an object, in order; each value as it is written."""

_decode_members: Callable[[bytes | msgspec.Raw], Members] = msgspec.json.Decoder(Members).decode
_decode_texts: Callable[[msgspec.Raw], list[str]] = msgspec.json.Decoder(list[str]).decode
_encode = msgspec.json.Encoder().encode
_NULL = b"null"
_NO_NAMES = (b"[]", _NULL)


class RowLine:
    """A line as an object. Each method raises what msgspec raises for bytes that are not as expected."""

    __slots__ = ("_changed", "_envelope", "_line", "_parts")

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._envelope = _decode_members(line)
        self._parts: dict[Root, Members | None] = {}
        self._changed: set[Root] = set()

    def part(self, root: Root) -> Members | None:
        """Return the members of `data`, `before` or `metadata`; None if there is none, or null."""
        if root not in self._parts:
            raw = self._envelope.get(root)
            self._parts[root] = None if raw is None or bytes(raw) == _NULL else _decode_members(raw)
        return self._parts[root]

    @property
    def data(self) -> Members:
        """The columns. Raises DataError if there are none."""
        data = self.part("data")
        if data is None:
            raise DataError("transform.bad_line", 'a row has no "data"', hint="The input must send its rows as `data`.")
        return data

    def replace(self, root: Root, members: Members) -> None:
        self._parts[root] = members
        self._changed.add(root)

    def names(self, field: str) -> list[str]:
        """Return a list of column names in the metadata, such as `Key`; empty if there is none."""
        raw = (self.part("metadata") or {}).get(field)
        return [] if raw is None or bytes(raw) in _NO_NAMES else _decode_texts(raw)

    def change_names(self, field: str, change: Callable[[list[str]], list[str]]) -> None:
        """Change a list of column names in the metadata, if there are any."""
        names = self.names(field)
        changed = change(names) if names else names
        if changed != names:
            self.replace("metadata", {**(self.part("metadata") or {}), field: encoded(changed)})

    def line(self) -> bytes:
        """Return the line: the same bytes if nothing was replaced."""
        if not self._changed:
            return self._line
        for root in self._changed:
            self._envelope[root] = encoded(self._parts[root])
        return _encode(self._envelope)


def members_of(raw: msgspec.Raw) -> Members:
    """Decode an object."""
    return _decode_members(raw)


def encoded(value: object) -> msgspec.Raw:
    """Return a value as it is written in a line."""
    return msgspec.Raw(_encode(value))
