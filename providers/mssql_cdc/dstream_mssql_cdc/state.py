"""The contents of a checkpoint: the database, the position, and the capture instances being read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dstream.sdk.errors import RefusedError
from dstream_mssql_cdc.position import Position

VERSION = 1
SNAPSHOT_VERSION = 2
"""While a table needs a snapshot: a provider without snapshots refuses the checkpoint instead of skipping rows."""

KeyValue = str | int | float | None


class Database(msgspec.Struct, frozen=True):
    """Identifies a database. A restored or attached copy gets a new broker GUID only on request."""

    service_broker_guid: str
    first_guid: str | None = None
    """The GUID that events' ids are derived from, if the database has got a new one since the first run."""

    @property
    def id_prefix(self) -> str:
        """The first part of events' ids. It does not change with the GUID, since rows already sent keep their ids."""
        return (self.first_guid or self.service_broker_guid)[:8]

    def with_guid(self, guid: str) -> Database:
        """The same database after `ALTER DATABASE .. SET NEW_BROKER`."""
        return Database(guid, self.first_guid or self.service_broker_guid)


class Instance(msgspec.Struct, frozen=True):
    """A capture instance, read for LSNs from `from_` up to, but excluding, `to`. Both are fixed-width hex, so they
    compare like LSNs."""

    name: str
    object_id: int
    """The object id of the change table."""
    create_date: str
    from_: str = msgspec.field(name="from")
    to: str | None = None


class TableSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """A snapshot that is not complete. snapshot/keys.py explains the form of a key."""

    id: str
    lsn: str
    """The stream's LSN when the snapshot began, as hex."""
    after: tuple[KeyValue, ...] | None = None
    """The key of the last row read; None before the first row, and for tables that are read in one pass."""
    up_to: tuple[KeyValue, ...] | None = None
    """The key of the last row that the table had when its first chunk was read. If it is missing, as after an older
    version, the reader determines it again, and older versions read to the end of the index: nothing is lost."""
    order: tuple[str, ...] = ()
    """The columns of the key, as in ORDER BY; something else for a fenced snapshot."""
    rows: int = 0
    latest: str = ""
    """The latest server time at which rows were read."""


class SchemaSent(msgspec.Struct, frozen=True):
    """The last schema record of a table: how many it has had, and a digest of its shape."""

    number: int
    digest: str


class Table(msgspec.Struct, frozen=True, omit_defaults=True):
    """A source table, with its instances in reading order."""

    object_id: int
    instances: tuple[Instance, ...]
    snapshot: TableSnapshot | None = None
    overlap: str | None = None
    """After a snapshot: it may contain changes committed up to this server time."""
    overlap_lsn: str | None = None
    """After a fenced snapshot: it contains exactly the changes up to this LSN, as hex."""
    schema: SchemaSent | None = None

    def instance_at(self, lsn: str) -> Instance:
        """The instance to read at an LSN. A gap raises `from_`, but does not move the switch to the next instance."""
        return next(instance for instance in self.instances if instance.to is None or lsn < instance.to)


class NetWindow(msgspec.Struct, frozen=True):
    """The window of net changes that begins at the position: where it ends, and its id (stream/net_changes.py)."""

    end: tuple[str, int, str, int, int]
    id: str

    @property
    def position(self) -> Position:
        """The position after the window."""
        return _loaded_position(self.end)


class ReaderState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The complete state, as stored in the checkpoint."""

    db: Database
    pos: tuple[str, int, str, int, int]
    tran_id: str | None
    tables: dict[str, Table]
    v: int = VERSION
    skipped: dict[str, int] = {}
    """Tables that are not read, since they are gone (on_table_change): object ids by name. They are read again when
    they, or others of these names, are captured again."""
    net: NetWindow | None = None
    """The window whose net changes may have been sent."""

    @property
    def position(self) -> Position:
        return _loaded_position(self.pos)

    def moved(self, position: Position, tran_id: str | None) -> ReaderState:
        net = self.net if self.net is not None and position < self.net.position else None
        return msgspec.structs.replace(self, pos=stored_position(position), tran_id=tran_id, net=net)

    def stored(self) -> dict[str, Any]:
        """The state as plain JSON values."""
        has_snapshot = any(table.snapshot for table in self.tables.values())
        stored: dict[str, Any] = msgspec.to_builtins(self)
        return {**stored, "v": SNAPSHOT_VERSION if has_snapshot else VERSION}


def stored_position(position: Position) -> tuple[str, int, str, int, int]:
    lsn, command_id, seqval, operation, object_id = position
    return lsn.hex(), command_id, seqval.hex(), operation, object_id


def _loaded_position(stored: tuple[str, int, str, int, int]) -> Position:
    lsn, command_id, seqval, operation, object_id = stored
    return Position(bytes.fromhex(lsn), command_id, bytes.fromhex(seqval), operation, object_id)


def load_state(stored: Mapping[str, Any]) -> ReaderState | None:
    """The state of the last checkpoint; None on the first run. Raises RefusedError if this version cannot read it."""
    if not stored:
        return None
    try:
        state = msgspec.convert(dict(stored), ReaderState)
        state = state.moved(state.position, state.tran_id)  # Without a window that a position set by hand is past.
    except (msgspec.ValidationError, ValueError) as error:
        raise RefusedError(
            "mssql.state_unreadable",
            f"cannot read the checkpoint: {error}",
            hint="It may come from another provider or a newer version. Start over with `--reset --from POSITION`.",
        ) from error
    if state.v not in (VERSION, SNAPSHOT_VERSION):
        raise RefusedError(
            "mssql.state_version",
            f"the checkpoint has version {state.v}; this provider reads versions {VERSION} and {SNAPSHOT_VERSION}",
            hint="Use the version of the provider that wrote it.",
        )
    return msgspec.structs.replace(state, v=VERSION)
