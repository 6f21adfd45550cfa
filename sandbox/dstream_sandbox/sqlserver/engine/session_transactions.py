"""A session's transactions: begin, commit, rollback, savepoints, snapshots, and the transaction of a single
statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine import clock
from dstream_sandbox.sqlserver.engine.binder.closures import ErrorBox
from dstream_sandbox.sqlserver.engine.database import Database
from dstream_sandbox.sqlserver.engine.errors import UNSUPPORTED, unsupported
from dstream_sandbox.sqlserver.engine.session_settings import Settings
from dstream_sandbox.sqlserver.engine.transactions import Transaction, commit, discard, flush
from dstream_sandbox.sqlserver.session import (
    Event,
    Message,
    SqlError,
    TransactionChanged,
)

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.server import SqlEngine


class SessionTransactions:
    """The part of a session that owns its transactions. Its attributes are the session's."""

    engine: SqlEngine
    spid: int
    home: Database
    connection: sqlite3.Connection
    settings: Settings
    transaction: Transaction | None
    nesting: int
    status: str
    _statement_transaction: Transaction | None

    def _connect(self, database: Database) -> tuple[sqlite3.Connection, ErrorBox]:
        raise NotImplementedError

    def current_transaction(self) -> Transaction:
        """Return the open transaction, or that of the running statement."""
        if self.transaction is not None:
            return self.transaction
        if self._statement_transaction is None:
            self._statement_transaction = self._new_transaction(explicit=False)
        return self._statement_transaction

    def _bind(self, transaction: Transaction) -> None:
        """Bind a transaction to one database: that of its first change or of its snapshot."""
        if not transaction.dirty and transaction.snapshot_number is None:
            transaction.database = self.home
        elif transaction.database is not self.home:
            raise unsupported("one transaction in two databases")

    def _connection_of(self, transaction: Transaction) -> sqlite3.Connection:
        return self._connect(transaction.database)[0]

    @property
    def reading_transaction(self) -> Transaction | None:
        return self.transaction if self.transaction is not None else self._statement_transaction

    def _new_transaction(self, *, explicit: bool) -> Transaction:
        return Transaction(self.spid, self.home, self.settings.isolation, clock.now_ticks(), explicit=explicit)

    def finish_statement(self, *, failed: bool) -> None:
        """End the statement's own transaction. Table variables keep their rows regardless of what follows."""
        transaction = self._statement_transaction
        if transaction is not None:
            self._statement_transaction = None
            try:
                if failed:
                    discard(transaction, self._connection_of(transaction))
                else:
                    commit(transaction, self._connection_of(transaction), clock.now_ticks())
            except BaseException:
                discard(transaction, self._connection_of(transaction))
                raise
            finally:
                self.engine.locks.release_all(transaction)
            return
        if self.transaction is not None:
            self._flush_variables(self.transaction)

    def _flush_variables(self, transaction: Transaction) -> None:
        for overlay in [o for o in transaction.dirty.values() if o.table.is_variable]:
            flush(overlay, self._connection_of(transaction))
            del transaction.dirty[overlay.table.id]

    def begin_events(self, name: str = "") -> Iterator[Event]:
        self.nesting += 1
        if self.transaction is not None:
            return
        self.transaction = self._new_transaction(explicit=True)
        self.transaction.name = name
        yield TransactionChanged("begin", self.transaction.id)

    def commit_events(self) -> Iterator[Event]:
        transaction = self.transaction
        if transaction is None:
            raise SqlError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        if transaction.doomed:
            raise SqlError(
                3930,
                "The current transaction cannot be committed and cannot support operations that write to "
                "the log file. Roll back the transaction.",
            )
        if self.nesting > 1:
            self.nesting -= 1
            return
        self._end_snapshot(transaction)
        try:
            commit(transaction, self._connection_of(transaction), clock.now_ticks())
        except BaseException:
            self.abort_transaction()
            raise
        self._forget_transaction(transaction)
        yield TransactionChanged("commit", transaction.id)

    def rollback_events(self, name: str = "") -> Iterator[Event]:
        transaction = self.transaction
        if transaction is None:
            raise SqlError(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        if name and name.lower() != transaction.name.lower():
            self._rollback_to(transaction, name)
            return
        self.abort_transaction()
        yield TransactionChanged("rollback", transaction.id)
        if transaction.lasting:
            kinds = ", ".join(dict.fromkeys(transaction.lasting))
            text = f"The sandbox does not roll back these definitions; they remain in force: {kinds}."
            yield Message(UNSUPPORTED, 10, 1, text)

    def _rollback_to(self, transaction: Transaction, name: str) -> None:
        from dstream_sandbox.sqlserver.engine.transactions import discard_after

        for i in range(len(transaction.savepoints) - 1, -1, -1):
            if transaction.savepoints[i].name.lower() == name.lower():
                discard_after(transaction, transaction.savepoints[i], self._connection_of(transaction))
                del transaction.savepoints[i + 1 :]
                return
        raise SqlError(6401, f"Cannot roll back {name}. No transaction or savepoint of that name was found.")

    def save_events(self, name: str) -> Iterator[Event]:
        from dstream_sandbox.sqlserver.engine.transactions import Savepoint

        transaction = self.transaction
        if transaction is None:
            raise SqlError(628, "Cannot issue SAVE TRANSACTION when there is no active transaction.")
        position = transaction.database.log.take()
        transaction.savepoints.append(Savepoint(name, position, len(transaction.undo)))
        transaction.savepoint_position = position
        return iter(())

    def abort_transaction(self) -> None:
        """Roll back the open transaction, if any."""
        for transaction in (self._statement_transaction, self.transaction):
            if transaction is not None:
                self._end_snapshot(transaction)
                discard(transaction, self._connection_of(transaction))
                self._forget_transaction(transaction)
        self._statement_transaction = None

    def _forget_transaction(self, transaction: Transaction) -> None:
        self.engine.locks.release_all(transaction)
        if self.transaction is transaction:
            self.transaction, self.nesting = None, 0

    def _end_snapshot(self, transaction: Transaction) -> None:
        connection = self._connection_of(transaction)
        if transaction.snapshot_number is not None and connection.in_transaction:
            connection.execute("COMMIT")
        transaction.snapshot_number = None

    def snapshot_number(self, transaction: Transaction) -> int:
        """The last commit that the next statement is sure to see. SNAPSHOT isolation fixes it at the first read."""
        if transaction.isolation == "SNAPSHOT" and transaction.explicit:
            self.pin_snapshot(transaction)
            assert transaction.snapshot_number is not None
            return transaction.snapshot_number
        return self.home.commit_number

    def pin_snapshot(self, transaction: Transaction) -> None:
        self._bind(transaction)
        if transaction.snapshot_number is not None:
            return
        if not self.home.options.allow_snapshot_isolation:
            raise SqlError(
                3952,
                f"Snapshot isolation transaction failed accessing database '{self.home.name}' because "
                "snapshot isolation is not allowed in this "
                "database. Use ALTER DATABASE to allow snapshot isolation.",
            )
        transaction.snapshot_number = self.home.commit_number
        self.connection.execute("BEGIN")
        self.connection.execute("SELECT last_lsn FROM main.state").fetchone()  # the first read fixes the snapshot

    def lock_table(self, transaction: Transaction, table_id: int, mode: str) -> None:
        self._locked(transaction, ("table", table_id), mode)

    def wait_for(self, transaction: Transaction, resource: object, mode: str) -> None:
        self._locked(transaction, resource, mode)

    def _locked(self, transaction: Transaction, resource: Any, mode: str) -> None:
        if mode in transaction.held.get(resource, ()):
            return
        self.status = "suspended"
        try:
            self.engine.locks.acquire(transaction, resource, mode, self.settings.lock_timeout_ms)
        finally:
            self.status = "running"
