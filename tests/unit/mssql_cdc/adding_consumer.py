"""A consumer that adds up changes, as docs/reference/providers/mssql_cdc.md says under "Fenced snapshots"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class AddedUp:
    """The names of a table's rows by key: those of a fenced snapshot, and what changes have made of them."""

    snapshot: str
    lsn: str
    rows_due: int
    """Rows of the snapshot that have not arrived."""
    names: dict[int, str] = field(default_factory=dict)


class AddingConsumer:
    """Takes the rows of the newest snapshot of each table, and each change after their LSN once.

    Such a change must find the row as the changes before it left it, which a consumer that replaces rows by key would
    not notice. A table whose newest snapshot is chunked or was interrupted for good is left out.
    """

    def __init__(self) -> None:
        self._tables: dict[int, AddedUp] = {}
        self._applied: set[str] = set()

    def receive(self, event: Mapping[str, Any], row_counts: Mapping[str, int]) -> None:
        """`row_counts`: of the complete fenced snapshots, by id."""
        metadata, data = event["metadata"], event["data"]
        _, object_id, snapshot, *_ = metadata["Id"].split("/")
        if metadata["OperationType"] == "Read":
            self._read(int(object_id), AddedUp(snapshot, metadata["LSN"], row_counts.get(snapshot, 0)), data)
            return
        table = self._tables.get(int(object_id))
        if table is None or metadata["LSN"] <= table.lsn or metadata["Id"] in self._applied:
            return
        if table.rows_due:
            del self._tables[int(object_id)]
            return
        self._applied.add(metadata["Id"])
        found = {"Update": (event.get("before") or {}).get("Name"), "Delete": data["Name"]}
        assert table.names.pop(data["Id"], None) == found.get(metadata["OperationType"]), event
        if metadata["OperationType"] != "Delete":
            table.names[data["Id"]] = data["Name"]

    def leave(self, object_id: int) -> None:
        """Take no more changes of a table that was not read without gaps."""
        self._tables.pop(object_id, None)

    def names(self, object_id: int) -> dict[int, str] | None:
        """The rows of a table; None if it is left out."""
        table = self._tables.get(object_id)
        return None if table is None or table.rows_due else table.names

    def _read(self, object_id: int, begun: AddedUp, data: Mapping[str, Any]) -> None:
        table = self._tables.get(object_id)
        if table is None or table.snapshot != begun.snapshot:
            table = self._tables[object_id] = begun
        if not table.rows_due:
            del self._tables[object_id]
            return
        table.rows_due -= 1
        table.names[data["Id"]] = data["Name"]
