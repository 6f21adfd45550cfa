"""Turns change rows into events: one per row, except that rows 3 and 4 of an update become one.

An event depends only on its change rows and its transaction's stored commit time, so reading a row again produces the
same bytes. Only `Last` depends on later rows; merge.py sets it.

Works on whole columns of a page (zip, map), since most of a reader's time is spent here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from dstream.sdk.errors import DataError
from dstream_mssql_cdc.catalog.columns import Choices, Column, form_of
from dstream_mssql_cdc.position import DELETE, INSERT, NO_COMMAND_ID, UPDATE_AFTER, UPDATE_BEFORE

Key = tuple[bytes, int, bytes, int, int]
"""A Position as a plain tuple, since one is created for every row."""

ChangeRow = Sequence[Any]
"""start_lsn, command_id, seqval, operation, update_mask, the columns, and the lengths of the large ones."""
CONTROL_COLUMNS = 5
_NARROW_BYTES = 2000


class Metadata(msgspec.Struct, gc=False):
    """Field names and their style are those of the original DStream."""

    V: int
    TableName: str
    OperationType: str
    OperationID: int
    LSN: str
    Seq: str
    CommandId: int | None
    CommitTime: str | None
    Key: list[str]
    Changed: Sequence[str]
    Unchanged: Sequence[str]
    Id: str
    Last: bool | UnsetType = UNSET
    Overlap: bool | UnsetType = UNSET


class ChangeEvent(msgspec.Struct, gc=False):
    """One output line."""

    data: Any
    metadata: Metadata
    before: Any = UNSET


Keyed = tuple[Key, ChangeEvent]


@dataclass(frozen=True, slots=True)
class TableShape:
    """What determines the form of a table's events. `id_prefix` is the part of Id that they all share."""

    name: str
    object_id: int
    key: list[str]
    columns: tuple[Column, ...]
    id_prefix: str
    max_lob_bytes: int
    choices: Choices
    skip_unchanged: bool = False
    """Whether to skip updates that set none of `columns`."""


class EventBuilder:
    """Turns a table's rows into events. Compiled once per table shape."""

    def __init__(self, shape: TableShape) -> None:
        self.shape = shape
        forms = [form_of(column, shape.choices) for column in shape.columns]
        self._forms = forms
        self._converts = [
            (at, form.convert) for at, form in enumerate(forms) if form.convert and not shape.columns[at].is_lob
        ]
        self._lobs = [(at, column) for at, column in enumerate(shape.columns) if column.is_lob]
        self._data: Callable[..., Any] = _data_class(shape.columns)
        self._masks: dict[bytes, tuple[list[str], frozenset[int]]] = {}
        self.row_bytes = self._row_bytes(min(self._declared_bytes, _NARROW_BYTES))

    def select_list(self, quote: Callable[[str], str]) -> list[str]:
        """Expressions for the columns, then for the lengths of the large ones; a value that is too large becomes
        NULL."""
        columns = self.shape.columns
        values = [form.select(quote(column.name)) for form, column in zip(self._forms, columns, strict=True)]
        for at, column in self._lobs:
            if column.hiding == "redact":
                continue
            too_large = f"DATALENGTH({quote(column.name)}) > {self.shape.max_lob_bytes}"
            values[at] = f"CASE WHEN {too_large} THEN NULL ELSE {values[at]} END"
        return values + [f"DATALENGTH({quote(column.name)})" for _, column in self._lobs]

    @property
    def has_lobs(self) -> bool:
        return bool(self._lobs)

    @property
    def is_wide(self) -> bool:
        """Whether rows can be so large that their bytes must be counted while fetching."""
        return bool(self._lobs) or self._declared_bytes > _NARROW_BYTES

    def is_within(self, rows: int, max_bytes: int) -> bool:
        """Whether the values of so many rows cannot exceed `max_bytes`."""
        return not self._lobs and rows * self._declared_bytes <= max_bytes

    def learn(self, rows: int, value_bytes: int) -> None:
        """Record the size of a wide table's rows, which determines the size of its next page."""
        if rows:
            self.row_bytes = self._row_bytes(value_bytes // rows)

    @property
    def _declared_bytes(self) -> int:
        return sum(column.length for column in self.shape.columns if column.length > 0)

    def _row_bytes(self, value_bytes: int) -> int:
        """Approximate memory of a row in bytes: objects, values as read, values as written."""
        return 600 + 100 * len(self.shape.columns) + 2 * value_bytes

    def events(self, rows: Sequence[ChangeRow], commit_times: Mapping[bytes, str]) -> list[Keyed]:
        """Build events from ordered rows; every operation 3 is followed by its 4. Raises DataError."""
        events: list[Keyed] = []
        if not rows:
            return events
        lsns, commands, seqvals, operations, masks, *selected = zip(*rows, strict=True)
        values = self.converted(selected, rows)
        datas = self.datas(values)
        lobs = [(column.name, values[at]) for at, column in self._lobs]
        table, key, prefix, object_id = self.shape.name, self.shape.key, self.shape.id_prefix, self.shape.object_id
        skip_unchanged = self.shape.skip_unchanged
        unchanged: Sequence[str] = ()
        before: Any = None
        half: tuple[bytes, int | None, bytes] | None = None
        last_lsn, lsn_text, commit_time = b"", "", None
        for at, (lsn, command, seqval, operation, mask, data) in enumerate(
            zip(lsns, commands, seqvals, operations, masks, datas, strict=True)
        ):
            if lsn != last_lsn:
                last_lsn, lsn_text, commit_time = lsn, lsn.hex(), commit_times.get(lsn)
            if half and (operation != UPDATE_AFTER or half != (lsn, command, seqval)):
                raise _half_update(table, half)
            if operation == UPDATE_BEFORE:
                before, half = data, (lsn, command, seqval)
                continue
            changed: Sequence[str] = ()
            if operation == UPDATE_AFTER:
                changed = self._mask(mask)[0]
                if skip_unchanged and not changed:
                    half = None
                    continue
            if lobs:
                unchanged = [name for name, large in lobs if large[at] is UNSET]
            position: Key = (lsn, NO_COMMAND_ID if command is None else command, seqval, operation, object_id)
            seq_text = seqval.hex()
            metadata = Metadata(
                1,
                table,
                _OPERATION_TYPES[operation],
                operation,
                lsn_text,
                seq_text,
                command,
                commit_time,
                key,
                changed,
                unchanged,
                f"{prefix}{lsn_text}/{command or 0}/{seq_text}/{operation}",
            )
            if half:
                events.append((position, ChangeEvent(data, metadata, before)))
                half = None
            else:
                events.append((position, ChangeEvent(data, metadata)))
        if half:
            raise _half_update(table, half)
        return events

    def converted(self, selected: Sequence[Sequence[Any]], rows: Sequence[ChangeRow] = ()) -> list[Sequence[Any]]:
        """Convert whole columns, as selected by `select_list`, to their JSON forms. `rows`: the change rows they come
        from; empty for rows of the source table, which hold every value. Raises DataError."""
        values = self._without_lobs(list(selected), rows) if self._lobs else list(selected)
        for at, convert in self._converts:
            values[at] = convert(values[at])
        return values

    def datas(self, values: Sequence[Sequence[Any]]) -> Iterable[Any]:
        """The `data` of each row, from converted columns."""
        return map(self._data, *values)

    def _mask(self, mask: bytes) -> tuple[list[str], frozenset[int]]:
        """The names and indexes of the columns whose bits are set. Cached, since most rows share a few masks."""
        known = self._masks.get(mask)
        if known is None:
            if len(self._masks) > 1000:
                self._masks.clear()
            places = [at for at, column in enumerate(self.shape.columns) if is_bit_set(mask, column.ordinal)]
            known = self._masks[mask] = ([self.shape.columns[at].name for at in places], frozenset(places))
        return known

    def _without_lobs(self, columns: list[Any], rows: Sequence[ChangeRow]) -> list[Any]:
        """Replace large values that the change row does not hold by UNSET: the event omits them instead of using null.

        "cdc.<capture_instance>_CT", Remarks: for (max) types and xml, the value of an update is NULL unless the column
        changed; for text, ntext and image, it is NULL in every delete and before image.
        """
        wanted = len(self.shape.columns)
        lengths = columns[wanted:]
        columns = columns[:wanted]
        for (at, column), sizes in zip(self._lobs, lengths, strict=True):
            values = list(columns[at])
            for row_at, value in enumerate(values):
                if value is not None:
                    continue
                size = sizes[row_at]
                if size is not None and size > self.shape.max_lob_bytes:
                    lsn = rows[row_at][0] if rows else b""
                    raise self._too_large(column, self.key_text([each[row_at] for each in columns], lsn), size)
                if rows and self._is_unknown(at, column, rows[row_at]):
                    values[row_at] = UNSET
            columns[at] = values
            convert = self._forms[at].convert
            if convert:
                columns[at] = _around_unset(convert, values)
        return columns

    def _is_unknown(self, at: int, column: Column, row: ChangeRow) -> bool:
        operation, mask = row[3], row[4]
        if operation == UPDATE_AFTER:
            return at not in self._mask(mask)[1]
        if operation == UPDATE_BEFORE:
            return column.is_old_lob or at not in self._mask(mask)[1]
        return operation == DELETE and column.is_old_lob

    def key_text(self, values: Sequence[Any], lsn: bytes = b"") -> str:
        """The key among a row's values, for a message, without hidden values; else its LSN."""
        key = ", ".join(
            f"{known.name}={'***' if known.hiding else values[at]}"
            for at, known in enumerate(self.shape.columns)
            if known.name in self.shape.key
        )
        return key or (f"LSN {lsn.hex()}" if lsn else "a row without a key")

    def _too_large(self, column: Column, key: str, size: int) -> DataError:
        return DataError(
            "mssql.value_too_large",
            f"{self.shape.name}.{column.name} has {size:,} bytes at {key}; the limit is half "
            f"of max_line, {self.shape.max_lob_bytes:,} bytes",
            hint=f"Increase max_line in the task to more than {2 * size:,} bytes, or exclude the column: "
            f'columns = {{ "{self.shape.name}" = {{ exclude = ["{column.name}"] }} }}.',
            config_path="columns",
        )


def is_bit_set(mask: bytes, ordinal: int) -> bool:
    """Return the same as sys.fn_cdc_is_bit_set: ordinal 1 is the lowest bit of the LAST byte."""
    at = len(mask) - 1 - (ordinal - 1) // 8
    return at >= 0 and bool(mask[at] >> ((ordinal - 1) % 8) & 1)


_OPERATION_TYPES = {DELETE: "Delete", INSERT: "Insert", UPDATE_AFTER: "Update"}


_ESCAPED = frozenset(['"', "\\", *map(chr, range(0x20)), "\x7f"])


def _data_class(columns: Sequence[Column]) -> Callable[..., Any]:
    """A struct, which is faster to create and encode than a dict, unless a name has characters that structs do not
    escape."""
    if any(set(column.name) & _ESCAPED for column in columns):
        keys = [column.name for column in columns]
        return lambda *values: {key: value for key, value in zip(keys, values, strict=True) if value is not UNSET}
    fields = [(f"c{at}", Any) for at in range(len(columns))]
    names = {f"c{at}": column.name for at, column in enumerate(columns)}
    return msgspec.defstruct("Data", fields, rename=names, gc=False)


def _around_unset(convert: Callable[[Sequence[Any]], Sequence[Any]], values: Sequence[Any]) -> list[Any]:
    converted = convert([None if value is UNSET else value for value in values])
    return [UNSET if value is UNSET else done for value, done in zip(values, converted, strict=True)]


def _half_update(table: str, half: tuple[bytes, int | None, bytes]) -> DataError:
    lsn, _, seqval = half
    return DataError(
        "mssql.half_update",
        f"{table} has a before image without its after image at LSN {lsn.hex()}, seqval {seqval.hex()}",
        hint="The change table was modified by hand or is damaged. Run DBCC CHECKTABLE, or disable and re-enable "
        "capture for the table.",
    )
