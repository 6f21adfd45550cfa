"""What the model of a reader remembers: its config, and what belongs to a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.unit.mssql_cdc.live_database import CaptureInstance, ColumnType

Place = tuple[bytes, int, bytes, int, int]
"""As in a checkpoint: LSN, command id, seqval, operation, object id."""


@dataclass(frozen=True)
class Settings:
    """The config of a run."""

    on_gap: str
    on_table_change: str
    schema_records: bool
    snapshots_new_tables: bool
    fenced_snapshots: bool = False
    excluded: frozenset[str] = frozenset()

    def selects(self, name: str) -> bool:
        return name.startswith("dbo.") and name not in self.excluded


@dataclass
class Segment:
    """A capture instance to read from `begin` up to, but excluding, `to`, with the columns that the catalog showed."""

    instance: CaptureInstance
    columns: tuple[ColumnType, ...]
    begin: bytes
    to: bytes | None = None


@dataclass
class PendingSnapshot:
    lsn: bytes
    id: list[str] = field(default_factory=list)
    """Its id, once a line has shown it; shared by all copies, since an interrupted snapshot keeps its id."""
    after: int | None = None
    up_to: int | None = None
    """The last key of the table when the first chunk was read."""
    is_bounded: bool = False
    """Whether a checkpoint contains `up_to`."""
    rows: int = 0
    is_fenced: bool = False
    """Whether its rows are read in one pass, as of `lsn`."""
    has_gap: bool = False
    """Whether changes of rows that were read already have been lost since."""


@dataclass
class ReadTable:
    """A table as a checkpoint remembers it."""

    name: str
    object_id: int
    key: tuple[str, ...]
    first: bytes
    segments: list[Segment]
    snapshot: PendingSnapshot | None = None
    overlap: str = ""
    overlap_lsn: bytes = b""
    """After a fenced snapshot: it contains exactly the changes up to this LSN."""
    schema: tuple[int, str] = (0, "")
    """The number of the last schema record, and what it described."""
    lost: tuple[tuple[bytes, bytes], ...] = ()
    """The ranges of the gaps that were reported."""
    is_whole: bool = False
    """Whether all rows have been read by a snapshot, and no change has been lost since."""

    def copy(self) -> ReadTable:
        segments = [replace(segment) for segment in self.segments]
        return replace(self, segments=segments, snapshot=replace(self.snapshot) if self.snapshot else None)

    def segment_at(self, lsn: bytes) -> Segment:
        return next(segment for segment in self.segments if segment.to is None or lsn < segment.to)


@dataclass
class Remembered:
    """What belongs to a checkpoint."""

    place: Place
    tables: dict[int, ReadTable]
    left_out: dict[str, int]
    used_ids: set[str] = field(default_factory=set)
    """The ids of all snapshots; shared by all copies."""

    def copy(self) -> Remembered:
        tables = {object_id: table.copy() for object_id, table in self.tables.items()}
        return replace(self, tables=tables, left_out=dict(self.left_out))
