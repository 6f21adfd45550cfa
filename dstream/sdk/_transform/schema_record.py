"""The columns that a schema record describes: `{"data":{"columns":[{"name":..,"type":..}],"key":[..]}}`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec

from dstream.sdk._transform.row import Members, RowLine, encoded

_decode_columns: Callable[[msgspec.Raw], list[Members]] = msgspec.json.Decoder(list[Members]).decode
_decode_texts: Callable[[msgspec.Raw], list[str]] = msgspec.json.Decoder(list[str]).decode
_decode_text: Callable[[msgspec.Raw], str] = msgspec.json.Decoder(str).decode
_NO_LIST = msgspec.Raw(b"[]")


class SchemaRecord:
    """The record in a line. Its columns keep members that are not known here."""

    def __init__(self, row: RowLine) -> None:
        self._data = row.data
        self._columns = {_decode_text(each["name"]): each for each in _decode_columns(self._data["columns"])}
        self.key = _decode_texts(self._data.get("key", _NO_LIST))

    @property
    def names(self) -> set[str]:
        return set(self._columns)

    def rename(self, new_name: Callable[[str], str]) -> None:
        self._columns = {
            new_name(name): {**column, "name": encoded(new_name(name))} for name, column in self._columns.items()
        }
        self.key = [new_name(name) for name in self.key]

    def drop(self, names: Iterable[str]) -> None:
        for name in names:
            self._columns.pop(name, None)

    def hide(self, names: Iterable[str], how: str) -> None:
        for name in names:
            if name in self._columns:
                self._columns[name] = {**self._columns[name], "hiding": encoded(how)}

    def set(self, name: str, value: object) -> None:
        """Describe a column that has the same value in all rows."""
        self._columns[name] = {"name": encoded(name), "type": encoded(_type_of(value))}

    def write_to(self, row: RowLine) -> None:
        row.replace("data", {**self._data, "columns": encoded(list(self._columns.values())), "key": encoded(self.key)})


def _type_of(value: object) -> str:
    """Return the SQL type whose JSON form the value has."""
    if isinstance(value, bool):
        return "bit"
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return "bigint"
    if isinstance(value, (int, float, Decimal)):
        return "float"
    return "nvarchar(max)"
