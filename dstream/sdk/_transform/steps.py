"""The seven transforms. Each changes one row, or decides that it is dropped.

`data` and `before` are changed alike, and the column names in `metadata` follow. A column of the key is never dropped,
redacted, set or flattened: two rows with equal keys would be one row for a consumer.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import msgspec

from dstream.protocol.transforms import (
    DropColumns,
    FilterRows,
    FixedValue,
    FlattenColumns,
    MaskColumns,
    RenameColumns,
    Root,
    RouteRows,
    RowField,
    SetColumns,
    Transform,
)
from dstream.sdk._transform.condition import compiled, raw_value_of, uses_columns
from dstream.sdk._transform.row import Members, RowLine, encoded, members_of
from dstream.sdk._transform.schema_record import SchemaRecord
from dstream.sdk.errors import DataError

_IMAGES: tuple[Root, ...] = ("data", "before")
_NAME_LISTS = ("Changed", "Unchanged")
_REDACTED = msgspec.Raw(b'"***"')
_decode_text: Callable[[msgspec.Raw], str] = msgspec.json.Decoder(str).decode


class TransformStep(Protocol):
    """One transform. Both methods raise DataError, and what RowLine raises."""

    def apply(self, row: RowLine) -> bool:
        """Change the row; return False to drop it."""
        ...

    def describe(self, row: RowLine) -> None:
        """Change a schema record as `apply` changes the rows that it describes."""
        ...


def step_of(transform: Transform, routed: Collection[str]) -> TransformStep:
    """Return the step. `routed`: the metadata fields that earlier routes may have set."""
    match transform:
        case FilterRows():
            return _Filter(transform)
        case RenameColumns():
            return _Rename(transform)
        case DropColumns():
            return _Drop(transform)
        case MaskColumns():
            return _Mask(transform)
        case SetColumns():
            return _Set(transform)
        case RouteRows():
            return _Route(transform, routed)
        case FlattenColumns():
            return _Flatten(transform)


class _Filter:
    def __init__(self, transform: FilterRows) -> None:
        self._keeps = compiled(transform.where)

    def apply(self, row: RowLine) -> bool:
        return self._keeps(row)

    def describe(self, row: RowLine) -> None:
        """A schema record is not a row."""


class _Rename:
    def __init__(self, transform: RenameColumns) -> None:
        self._new_names = transform.columns
        self._is_strict = transform.tables is not None

    def apply(self, row: RowLine) -> bool:
        _require(row, self._new_names, self._is_strict)
        for root in _IMAGES:
            members = row.part(root)
            if members is not None and not members.keys().isdisjoint(self._new_names):
                renamed = {self._new_name(name): value for name, value in members.items()}
                _check_distinct(len(renamed), len(members))
                row.replace(root, renamed)
        for field in ("Key", *_NAME_LISTS):
            row.change_names(field, lambda names: [self._new_name(name) for name in names])
        return True

    def describe(self, row: RowLine) -> None:
        record = SchemaRecord(row)
        _require_described(record, self._new_names, self._is_strict)
        count = len(record.names)
        record.rename(self._new_name)
        _check_distinct(len(record.names), count)
        record.write_to(row)

    def _new_name(self, name: str) -> str:
        return self._new_names.get(name, name)


class _Drop:
    def __init__(self, transform: DropColumns) -> None:
        self._columns = frozenset(transform.columns)
        self._is_strict = transform.tables is not None

    def apply(self, row: RowLine) -> bool:
        _require(row, self._columns, self._is_strict)
        _check_key(row.names("Key"), self._columns, "dropped")
        for root in _IMAGES:
            members = row.part(root)
            if members is not None and not self._columns.isdisjoint(members):
                row.replace(root, {name: value for name, value in members.items() if name not in self._columns})
        for field in _NAME_LISTS:
            row.change_names(field, lambda names: [name for name in names if name not in self._columns])
        return True

    def describe(self, row: RowLine) -> None:
        record = SchemaRecord(row)
        _require_described(record, self._columns, self._is_strict)
        _check_key(record.key, self._columns, "dropped")
        record.drop(self._columns)
        record.write_to(row)


class _Mask:
    def __init__(self, transform: MaskColumns) -> None:
        self._columns = transform.columns
        self._how = transform.with_
        self._key = transform.hash_key.encode()
        self._is_strict = transform.tables is not None

    def apply(self, row: RowLine) -> bool:
        _require(row, self._columns, self._is_strict)
        if self._how == "redact":
            _check_key(row.names("Key"), self._columns, "redacted")
        for root in _IMAGES:
            members = row.part(root)
            if members is None:
                continue
            hidden = {name: self._hidden(members[name]) for name in self._columns if not _is_null(members.get(name))}
            if hidden:
                row.replace(root, {**members, **hidden})
        return True

    def describe(self, row: RowLine) -> None:
        record = SchemaRecord(row)
        _require_described(record, self._columns, self._is_strict)
        if self._how == "redact":
            _check_key(record.key, self._columns, "redacted")
        record.hide(self._columns, self._how)
        record.write_to(row)

    def _hidden(self, raw: msgspec.Raw) -> msgspec.Raw:
        """A string is hashed without its quotes, any other value as it is written: as mssql_cdc hashes columns."""
        if self._how == "redact":
            return _REDACTED
        text = bytes(raw)
        if text.startswith(b'"'):
            text = _decode_text(raw).encode()
        return encoded(hmac.new(self._key, text, hashlib.sha256).hexdigest())


class _Set:
    def __init__(self, transform: SetColumns) -> None:
        self._plain = transform.columns
        self._values = {name: encoded(value) for name, value in transform.columns.items()}

    def apply(self, row: RowLine) -> bool:
        _check_key(row.names("Key"), self._values, "set")
        row.replace("data", {**row.data, **self._values})
        before = row.part("before")
        if before is not None:
            row.replace("before", {**before, **self._values})
        row.change_names("Unchanged", lambda names: [name for name in names if name not in self._values])
        return True

    def describe(self, row: RowLine) -> None:
        record = SchemaRecord(row)
        _check_key(record.key, self._values, "set")
        for name, value in self._plain.items():
            record.set(name, value)
        record.write_to(row)


class _Route:
    def __init__(self, transform: RouteRows, routed: Collection[str]) -> None:
        self._applies = compiled(transform.where)
        self._parts = transform.value
        self._field = transform.field
        self._is_routed = transform.field in routed
        self._uses_columns = uses_columns(transform.where) or any(uses_columns(part) for part in transform.value)

    def apply(self, row: RowLine) -> bool:
        if not self._applies(row):
            return True
        metadata = row.part("metadata") or {}
        if self._field in metadata and not self._is_routed:
            raise DataError(
                "transform.field_taken",
                f'the input sets metadata.{self._field}, which "route" would replace',
                hint="Choose another field.",
                config_path="field",
            )
        text = "".join(_text_of(row, part) for part in self._parts)
        row.replace("metadata", {**metadata, self._field: encoded(text)})
        return True

    def describe(self, row: RowLine) -> None:
        if not self._uses_columns:
            self.apply(row)


class _Flatten:
    def __init__(self, transform: FlattenColumns) -> None:
        self._columns = None if transform.columns is None else frozenset(transform.columns)
        self._separator = transform.separator
        self._is_strict = transform.tables is not None

    def apply(self, row: RowLine) -> bool:
        if self._columns is not None:
            _require(row, self._columns, self._is_strict)
        new_names: dict[str, Sequence[str]] = {}
        for root in _IMAGES:
            members = row.part(root)
            if members is not None:
                self._flatten(row, root, members, new_names)
        if new_names:
            _check_key(row.names("Key"), new_names, "flattened")
            row.change_names("Changed", lambda names: [new for name in names for new in new_names.get(name, (name,))])
        return True

    def describe(self, row: RowLine) -> None:
        """The type of a column does not say which members its values have."""

    def _flatten(self, row: RowLine, root: Root, members: Members, new_names: dict[str, Sequence[str]]) -> None:
        flat: Members = {}
        count = 0
        for name, raw in members.items():
            leaves = self._leaves(name, raw) if self._columns is None or name in self._columns else {name: raw}
            if list(leaves) != [name]:
                new_names[name] = list(dict.fromkeys([*new_names.get(name, ()), *leaves]))
            flat.update(leaves)
            count += len(leaves)
        _check_distinct(len(flat), count)
        if flat.keys() != members.keys():
            row.replace(root, flat)

    def _leaves(self, name: str, raw: msgspec.Raw) -> Members:
        if not bytes(raw).startswith(b"{"):
            return {name: raw}
        inner = members_of(raw)
        if not inner:
            return {name: raw}
        leaves: Members = {}
        count = 0
        for member, value in inner.items():
            found = self._leaves(f"{name}{self._separator}{member}", value)
            leaves.update(found)
            count += len(found)
        _check_distinct(len(leaves), count)
        return leaves


def _text_of(row: RowLine, part: RowField | FixedValue) -> str:
    if isinstance(part, FixedValue):
        return str(part.value)
    raw = raw_value_of(row, part)
    text = b"" if raw is None else bytes(raw)
    if raw is None or text[0] in b"{[":
        what = "null" if raw is None else "neither text nor a number"
        raise DataError(
            "transform.no_value",
            f'{part} is {what}, so it cannot be part of the value of "route"',
            hint=f"Exclude such rows: where = {part} != null.",
            config_path="value",
        )
    return _decode_text(raw) if text.startswith(b'"') else text.decode()


def _require(row: RowLine, names: Collection[str], is_strict: bool) -> None:
    """Raise DataError if the row lacks a column and the transform names the table."""
    data = row.data
    if not is_strict or all(name in data for name in names):
        return
    unchanged = row.names("Unchanged")
    _check_missing([name for name in names if name not in data and name not in unchanged])


def _require_described(record: SchemaRecord, names: Collection[str], is_strict: bool) -> None:
    if is_strict:
        _check_missing([name for name in names if name not in record.names])


def _check_missing(missing: Sequence[str]) -> None:
    if missing:
        raise DataError(
            "transform.column_missing",
            f'a row has no column "{missing[0]}"',
            hint="Correct the name, or remove `tables`: a transform without it passes rows that lack a column.",
            config_path="columns",
        )


def _check_key(key: Sequence[str], names: Collection[str], done: str) -> None:
    for name in key:
        if name in names:
            raise DataError(
                "transform.key_column",
                f'"{name}" is part of the key, so it cannot be {done}',
                hint="Consumers tell rows apart by their key. Hash the column, or leave it as it is.",
                config_path="columns",
            )


def _check_distinct(count: int, wanted: int) -> None:
    if count != wanted:
        raise DataError(
            "transform.column_exists",
            "two columns would have the same name",
            hint="Choose a name, or a separator, that no other column has.",
            config_path="columns",
        )


def _is_null(raw: msgspec.Raw | None) -> bool:
    return raw is None or bytes(raw) == b"null"
