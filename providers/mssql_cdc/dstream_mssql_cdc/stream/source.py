"""The queries a stream needs: the seam between reading in order (`reader.py`) and T-SQL (`server/change_queries.py`).

Every result includes the watermarks as they were AFTER its rows were read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dstream_mssql_cdc.catalog.instances import CapturedTable, Watermark
from dstream_mssql_cdc.position import Floor
from dstream_mssql_cdc.records.events import ChangeRow, EventBuilder
from dstream_mssql_cdc.snapshot.source import SnapshotSource
from dstream_mssql_cdc.stream.window import Mapped


@dataclass(frozen=True, slots=True)
class Poll:
    """How far capture has progressed. `max_lsn` is None before its first scan; `now` is the server's local time.
    `is_read_only`: the database is a readable secondary, which can lag."""

    max_lsn: bytes | None
    now: datetime
    mapped: Sequence[Mapped]
    marks: Sequence[Watermark]
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """Which of the requested instances have rows, by index."""

    hits: frozenset[int]
    marks: Sequence[Watermark]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order. `is_full`: the page was limited, so there may be more rows. `marks`: those of the table read."""

    rows: list[ChangeRow]
    is_full: bool
    marks: Sequence[Watermark]


class CdcSource(SnapshotSource, Protocol):
    """Raises the errors of errors.py; ReadInterrupted if reconnecting may help."""

    def poll(self, from_lsn: bytes, limit: int) -> Poll:
        """Return at most `limit` mapping rows from `from_lsn` on."""

    def probe(self, instances: Sequence[str], from_lsn: bytes, upper: bytes) -> Probe:
        """Return which change tables have rows from `from_lsn` up to `upper`."""

    def page(
        self, instance: str, builder: EventBuilder, floor: Floor, upper: bytes, max_rows: int, max_bytes: int
    ) -> Page:
        """Return rows after `floor`, up to `upper`; at least one row if there is one."""

    def captured(self) -> list[CapturedTable]:
        """Return the configured tables from the current catalog."""

    def selects(self, name: str) -> bool:
        """Whether the config selects a table of that name."""

    def others(self) -> Mapping[int, str]:
        """Return the names of the captured tables that the last `captured` did not select, by object id."""
