"""Transactions: a session's uncommitted changes live in TEMP tables of its own SQLite connection (one overlay per
table). Commit applies them to the database together with their change rows, in one SQLite transaction under one short
lock.

Several sessions can therefore write concurrently, readers see committed data and their own changes, and __$start_lsn
follows the order of commits, not of writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from dstream_sandbox.sqlserver.engine.catalog.model import Table
from dstream_sandbox.sqlserver.engine.cdc.capture import capture_changes
from dstream_sandbox.sqlserver.engine.database import Database
from dstream_sandbox.sqlserver.engine.storage.locks import LockOwner
from dstream_sandbox.sqlserver.engine.storage.table_files import Overlay


@dataclass(frozen=True, slots=True)
class Savepoint:
    name: str
    position: int
    """Log counter: later writes are undone."""
    undo: int
    """Length of the undo list."""


class Transaction(LockOwner):
    """A transaction. `explicit` is False for the transaction of a single statement."""

    def __init__(self, spid: int, database: Database, isolation: str, began: int, *, explicit: bool) -> None:
        super().__init__(spid)
        self.id = database.new_transaction_id()
        self.database = database
        self.isolation, self.began, self.explicit = isolation, began, explicit
        self.name = ""
        self.dirty: dict[int, Overlay] = {}
        self.commands = 0
        self.begin_position = 0
        self.savepoints: list[Savepoint] = []
        self.savepoint_position = 0
        self.doomed = False
        self.snapshot_number: int | None = None
        """The last commit that a SNAPSHOT transaction sees; None before its first read."""
        self.undo: list[Callable[[], None]] = []
        """How to undo definitions that took effect immediately, latest last."""
        self.created: list[int] = []
        """Objects that a crash before the commit removes."""
        self.lasting: list[str] = []
        """Definitions that a rollback cannot undo."""

    def overlay(self, table: Table) -> Overlay:
        """Return the table's overlay, marking the table as dirty."""
        found = self.dirty.get(table.id)
        if found is None or found.table is not table:
            found = self.dirty[table.id] = Overlay(table)
        return found

    def next_command(self, used: int = 1) -> int:
        self.commands += used
        return self.commands - used + 1


def commit(transaction: Transaction, connection: sqlite3.Connection, now: int) -> None:
    """Make the changes and their change rows durable and visible. Locks are kept: the caller releases them."""
    database = transaction.database
    stored = [o for o in transaction.dirty.values() if o.table.storage == "main"]
    own = [o for o in transaction.dirty.values() if o.table.storage != "main"]
    if not stored:
        for overlay in own:
            flush(overlay, connection)
        transaction.dirty.clear()
        if transaction.created:
            with database.writing() as admin:
                _settle_created(transaction, admin)
        return
    with database.commit_lock:
        connection.execute("BEGIN IMMEDIATE")
        try:
            _apply(transaction, database, connection, stored, now)
            for overlay in own:
                _move(overlay, connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        database.note_commit(_touched(transaction, stored))
    transaction.dirty.clear()


def _apply(
    transaction: Transaction, database: Database, connection: sqlite3.Connection, stored: list[Overlay], now: int
) -> None:
    position = database.log.take()
    capture_changes(transaction, database, connection, stored, position, now)
    for overlay in stored:
        _move(overlay, connection)
        table = overlay.table
        if table.id in database.identities:
            connection.execute(
                "UPDATE identities SET next = ? WHERE table_id = ?", (database.identities[table.id], table.id)
            )
    _settle_created(transaction, connection)
    database.save_state(connection)


def _settle_created(transaction: Transaction, connection: sqlite3.Connection) -> None:
    """Make what the transaction created permanent."""
    connection.executemany("DELETE FROM meta WHERE kind = 'pending' AND id = ?", [(i,) for i in transaction.created])


def _move(overlay: Overlay, connection: sqlite3.Connection) -> None:
    table = overlay.table
    columns = ",".join(["rid", *(f"c{c.id}" for c in table.stored_columns)])
    if overlay.hides:
        connection.execute(f"DELETE FROM {table.stored_name} WHERE rid IN (SELECT rid FROM {overlay.gone})")
    connection.execute(f"INSERT INTO {table.stored_name}({columns}) SELECT {columns} FROM {overlay.rows}")
    for statement in overlay.clear():
        connection.execute(statement)


def flush(overlay: Overlay, connection: sqlite3.Connection) -> None:
    """Move an overlay of a session's own table into it, atomically."""
    connection.execute("SAVEPOINT flush")
    try:
        _move(overlay, connection)
    except BaseException:
        connection.execute("ROLLBACK TO flush")
        raise
    finally:
        connection.execute("RELEASE flush")


def _touched(transaction: Transaction, stored: list[Overlay]) -> list[Hashable]:
    """Return every resource held exclusively, and each changed table as a whole."""
    locks: list[Hashable] = [resource for resource, modes in transaction.held.items() if "X" in modes]
    return locks + [("changed", overlay.table.id) for overlay in stored]


def discard(transaction: Transaction, connection: sqlite3.Connection) -> None:
    """Discard all uncommitted changes."""
    for overlay in transaction.dirty.values():
        for statement in overlay.clear():
            connection.execute(statement)
    transaction.dirty.clear()
    while transaction.undo:
        transaction.undo.pop()()


def discard_after(transaction: Transaction, savepoint: Savepoint, connection: sqlite3.Connection) -> None:
    """Undo what was written after a savepoint: trim the logs and rebuild the current versions from them."""
    connection.execute("SAVEPOINT trim")
    for overlay in transaction.dirty.values():
        stored = overlay.table.stored_columns
        columns = ",".join(f"c{c.id}" for c in stored)
        images = ",".join(f"n{c.id}" for c in stored)
        connection.execute(f"DELETE FROM {overlay.log} WHERE n > ?", (savepoint.position,))
        connection.execute(f"DELETE FROM {overlay.rows}")
        connection.execute(f"DELETE FROM {overlay.gone}")
        connection.execute(f"INSERT OR IGNORE INTO {overlay.gone} SELECT rid FROM {overlay.log} WHERE rid IS NOT NULL")
        connection.execute(
            f"INSERT INTO {overlay.rows}(rid,{columns}) SELECT coalesce(rid,n),{images} FROM {overlay.log} "
            f"WHERE op<>1 AND n IN (SELECT max(n) FROM {overlay.log} GROUP BY coalesce(rid,n))"
        )
    connection.execute("RELEASE trim")
    while len(transaction.undo) > savepoint.undo:
        transaction.undo.pop()()
