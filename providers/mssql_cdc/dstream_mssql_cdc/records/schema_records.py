"""Schema records: a line with a table's columns before its first row, and before the first row of another shape. Pure.

The checkpoint has the number and the digest of each table's last record. So a restart repeats a record only together
with the row after it, and a shape that returns has another number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from dstream_mssql_cdc.catalog.columns import Column
from dstream_mssql_cdc.position import ZERO_LSN
from dstream_mssql_cdc.records.events import ChangeEvent, EventBuilder, Metadata, TableShape
from dstream_mssql_cdc.state import SchemaSent, Table

_DIGEST_CHARS = 32


def due(table: Table, builder: EventBuilder, at: str) -> tuple[ChangeEvent, Table] | None:
    """The record to emit before a row at LSN `at`, and the table afterwards; None if the last record has this shape."""
    shape = builder.shape
    data = {"columns": [_described(column) for column in shape.columns], "key": shape.key}
    digest = hashlib.sha256(msgspec.json.encode([shape.name, data])).hexdigest()[:_DIGEST_CHARS]
    last = table.schema
    if last is not None and last.digest == digest:
        return None
    sent = SchemaSent(last.number + 1 if last else 1, digest)
    event = ChangeEvent(data, _metadata(shape, table.instance_at(at).from_, sent))
    return event, msgspec.structs.replace(table, schema=sent)


def with_records(events: Sequence[ChangeEvent], records: Mapping[str, ChangeEvent]) -> Iterable[ChangeEvent]:
    """The events, with each table's record before its first event."""
    left = dict(records)
    for event in events:
        record = left.pop(event.metadata.TableName, None)
        if record is not None:
            yield record
        yield event


def _metadata(shape: TableShape, lsn: str, sent: SchemaSent) -> Metadata:
    id_ = f"{shape.id_prefix}schema/{sent.number}/{sent.digest}"
    return Metadata(1, shape.name, "Schema", 0, lsn, ZERO_LSN.hex(), None, None, [], (), (), id_)


def _described(column: Column) -> dict[str, Any]:
    described = {"name": column.name, "type": declared_type(column)}
    return {**described, "hiding": column.hiding} if column.hiding else described


def declared_type(column: Column) -> str:
    """The type as in CREATE TABLE; that of an alias is its base type."""
    kind, length = column.type, column.length
    if kind in ("decimal", "numeric"):
        return f"{kind}({column.precision},{column.scale})"
    if kind in ("time", "datetime2", "datetimeoffset"):
        return f"{kind}({column.scale})"
    if kind in ("char", "varchar", "binary", "varbinary"):
        return f"{kind}({'max' if length == -1 else length})"
    if kind in ("nchar", "nvarchar"):
        return f"{kind}({'max' if length == -1 else length // 2})"
    return kind
