"""The fields of templates: reads those that a task's templates use from its events, and fills the templates in. Pure.

A field is a setting (`source_host`), the event's table (`table`), a key of its metadata (`OperationType`), or a column
of its data (`data.CustomerId`). Only the fields that are used are decoded; msgspec skips the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from dstream_stacks.naming import COLUMN, NameTemplate, kebab_table

Columns = tuple[str | None, ...]
"""The texts of the columns that templates use; None for a column that is missing or null."""


class TemplateFields:
    """The fields of some templates. `metadata` is passed as an object with the attributes `metadata_keys`."""

    def __init__(self, names: Iterable[str], constants: Mapping[str, str]) -> None:
        """`names`: of the fields; `constants`: those that are the same for every event."""
        read = [name for name in dict.fromkeys(names) if name not in constants]
        columns = [name for name in read if name.startswith(COLUMN)]
        self.metadata_keys = {_key_of(name) for name in read if not name.startswith(COLUMN)}
        self._constants = constants
        self._places = {name: at for at, name in enumerate(columns)}
        self._decode = _columns_decoder([name.removeprefix(COLUMN) for name in columns]) if columns else None

    @property
    def column_count(self) -> int:
        return len(self._places)

    def columns(self, data: bytes) -> Columns:
        """Read the columns from an event's data, in the order of the names. Raises msgspec's and UnicodeDecodeError."""
        decode = self._decode
        found = decode(data) if decode and data else None
        if found is None:
            return (None,) * len(self._places)
        return tuple(map(_column_text, msgspec.structs.astuple(found)))

    def render(
        self, template: NameTemplate, metadata: Any, columns: Columns, escape: Callable[[str], str] = str
    ) -> str | None:
        """Fill in a template; None if the event lacks a field. `escape` is applied to the values of fields."""
        if not template.fields:
            return template.text
        values = {name: self._value(name, metadata, columns) for name in template.fields}
        filled = {name: escape(value) for name, value in values.items() if value is not None}
        return template.render(filled) if len(filled) == len(values) else None

    def _value(self, name: str, metadata: Any, columns: Columns) -> str | None:
        if name in self._constants:
            return self._constants[name]
        if name in self._places:
            return columns[self._places[name]]
        value = text_of(getattr(metadata, _key_of(name)))
        return kebab_table(value) if name == "table" and value is not None else value


def text_of(value: object) -> str | None:
    """Return text as it is, and other values as JSON; None for null."""
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _key_of(name: str) -> str:
    return "TableName" if name == "table" else name


def _columns_decoder(names: list[str]) -> Callable[[bytes], Any]:
    """Raw values, so that numbers keep their digits."""
    fields: list[tuple[str, Any, Any]] = [(f"c{at}", msgspec.Raw, msgspec.Raw()) for at in range(len(names))]
    shape = msgspec.defstruct("Columns", fields, rename={f"c{at}": name for at, name in enumerate(names)})
    return msgspec.json.Decoder(shape | None).decode


def _column_text(raw: msgspec.Raw) -> str | None:
    value = bytes(raw)
    if value in (b"", b"null"):
        return None
    if value.startswith(b'"'):
        return msgspec.json.decode(value, type=str)
    return value.decode()
