"""What a checkpoint remembers: the database, the position, and the capture instances that are being read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dstream.sdk.errors import RefusedError
from dstream_mssql_cdc.position import Position

VERSION = 1


class Database(msgspec.Struct, frozen=True):
    """Tells one database from another; a restored or attached copy gets a new broker guid on request only."""

    service_broker_guid: str


class Instance(msgspec.Struct, frozen=True):
    """A capture instance, read for LSNs from `from_` up to before `to`.

    Both are hex: fixed width, so they compare as LSNs do.
    """

    name: str
    object_id: int
    """Of the change table."""
    create_date: str
    from_: str = msgspec.field(name="from")
    to: str | None = None


class Table(msgspec.Struct, frozen=True):
    """A source table; its instances in the order in which they are read."""

    object_id: int
    instances: tuple[Instance, ...]

    def instance_at(self, lsn: str) -> Instance:
        """The instance to read at an LSN; before the first begins, the first."""
        begun = [instance for instance in self.instances if instance.from_ <= lsn]
        return begun[-1] if begun else self.instances[0]


class ReaderState(msgspec.Struct, frozen=True):
    """The whole state, as in the checkpoint."""

    db: Database
    pos: tuple[str, int, str, int, int]
    tran_id: str | None
    tables: dict[str, Table]
    v: int = VERSION

    @property
    def position(self) -> Position:
        lsn, command_id, seqval, operation, object_id = self.pos
        return Position(bytes.fromhex(lsn), command_id, bytes.fromhex(seqval), operation, object_id)

    def moved(self, position: Position, tran_id: str | None) -> ReaderState:
        return msgspec.structs.replace(self, pos=stored_position(position), tran_id=tran_id)

    def stored(self) -> dict[str, Any]:
        """As plain JSON values."""
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]  # a struct becomes a dict


def stored_position(position: Position) -> tuple[str, int, str, int, int]:
    lsn, command_id, seqval, operation, object_id = position
    return lsn.hex(), command_id, seqval.hex(), operation, object_id


def load_state(stored: Mapping[str, Any]) -> ReaderState | None:
    """The state of the last checkpoint, None at the first run.

    Raises RefusedError for one that this version can't read.
    """
    if not stored:
        return None
    try:
        state = msgspec.convert(dict(stored), ReaderState)
        state.position  # noqa: B018  # raises ValueError when a part is no hex
    except (msgspec.ValidationError, ValueError) as error:
        raise RefusedError(
            "mssql.state_unreadable",
            f"the checkpoint can't be read: {error}",
            hint="It may come from another provider or a newer version. Start again with `--reset --from ..`.",
        ) from error
    if state.v != VERSION:
        raise RefusedError(
            "mssql.state_version",
            f"the checkpoint has version {state.v}, this provider reads version {VERSION}",
            hint="Use the version of the provider that wrote it.",
        )
    return state
