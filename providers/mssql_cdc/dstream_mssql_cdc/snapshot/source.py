"""The queries that a snapshot needs: the seam between reading in chunks (reader.py) and T-SQL (statements.py)."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from dstream_mssql_cdc.records.events import EventBuilder
from dstream_mssql_cdc.snapshot.keys import KeyColumn, SourceColumn
from dstream_mssql_cdc.state import KeyValue

SourceRow = Sequence[Any]
"""The bound of the row's key, the columns, and the lengths of the large ones."""


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A source table as it is now. `name` is quoted; `rows` is approximate."""

    name: str
    object_id: int
    rows: int
    columns: tuple[SourceColumn, ...]
    unique_indexes: tuple[tuple[KeyColumn, ...], ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows in the order of the key. `now`: the server's local time after they were read."""

    rows: list[SourceRow]
    is_last: bool
    now: datetime


class TableRows(Protocol):
    """Raises the errors of errors.py; ReadInterrupted if starting over may help, or another table has the name now."""

    def scan(self, table: SourceTable, builder: EventBuilder, max_rows: int, max_bytes: int) -> Iterator[Chunk]:
        """Return all rows, in any order, without bounds."""


class Fence(TableRows, Protocol):
    """The rows that a table had after the transaction at `lsn`."""

    @property
    def lsn(self) -> bytes: ...


class SnapshotSource(TableRows, Protocol):
    """Raises the errors of errors.py; ReadInterrupted if reconnecting may help, or another table has the name now."""

    def describe(self, object_id: int) -> SourceTable:
        """Return a source table. Raises AuthError if the login cannot read it."""

    def last_key(self, table: SourceTable, key: Sequence[KeyColumn]) -> SourceRow | None:
        """Return the bound of the last row in the order of the key; None if the table is empty."""

    def chunk(
        self,
        table: SourceTable,
        key: Sequence[KeyColumn],
        builder: EventBuilder,
        after: Sequence[KeyValue] | None,
        up_to: Sequence[KeyValue] | None,
        max_rows: int,
        max_bytes: int,
    ) -> Chunk:
        """Return the rows after one bound and up to another; at least one if there is one."""

    def fence(self, table: SourceTable) -> AbstractContextManager[Fence]:
        """Fix the rows of a table and their LSN. Raises ConfigError if the server does not show it."""


def source_table(
    name: str,
    object_id: int,
    rows: int,
    columns: Sequence[dict[str, Any]],
    indexes: Sequence[Any],
    masked: Container[str],
) -> SourceTable:
    """Build the description from the results of statements.DESCRIBE and MASKED."""
    known = {
        column["name"]: SourceColumn(
            column["name"],
            column["type_name"],
            column["max_length"],
            column["precision"],
            column["scale"],
            column["collation_name"] or "",
            bool(column["is_nullable"]),
            column["name"] in masked,
        )
        for column in columns
    }
    by_index: dict[int, list[KeyColumn]] = {}
    for index_id, column, is_descending in indexes:
        by_index.setdefault(index_id, []).append(KeyColumn(known[column], bool(is_descending)))
    indexed = tuple(tuple(index) for index in by_index.values())
    return SourceTable(name, object_id, rows or 0, tuple(known.values()), indexed)
