"""One database: its file, its catalog in memory, its log counter, and the lock under which changes are committed."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dstream_sandbox.sqlserver.engine.catalog import codec
from dstream_sandbox.sqlserver.engine.catalog.model import DatabaseOptions, Principal, Procedure, Table, View
from dstream_sandbox.sqlserver.engine.cdc.instances import CaptureCatalog
from dstream_sandbox.sqlserver.engine.storage import table_files
from dstream_sandbox.sqlserver.engine.storage.connection import connect
from dstream_sandbox.sqlserver.engine.storage.log_counter import LogCounter

_FILE = """
CREATE TABLE IF NOT EXISTS state (
  id INTEGER PRIMARY KEY, last_lsn INTEGER, next_object_id INTEGER, capture_limit BLOB, last_transaction INTEGER);
CREATE TABLE IF NOT EXISTS meta (kind TEXT, id INTEGER, body TEXT, PRIMARY KEY (kind, id));
CREATE TABLE IF NOT EXISTS identities (table_id INTEGER PRIMARY KEY, next INTEGER);
"""
_FIRST_OBJECT_ID, _OBJECT_IDS, _OBJECT_ID_STEP = 245_575_913, 17_000_000, 16
"""Each database has its own range of object ids, so that an id alone identifies a session's changes and locks."""
_RECENT_MAX = 200_000
_FORK_TRANSACTIONS = 1 << 20


class Database:
    """What the sessions of one database share."""

    def __init__(self, name: str, database_id: int, path: Path, now: int) -> None:
        self.name, self.database_id, self.path = name, database_id, path
        self.keeps_unchanged_lobs = False
        self.commit_lock = threading.RLock()
        self.admin = connect(path)
        self.admin.executescript(_FILE)
        first_id = _FIRST_OBJECT_ID + database_id % 100 * _OBJECT_IDS
        self.admin.execute("INSERT OR IGNORE INTO state VALUES (1, 1000, ?, NULL, 1000)", (first_id,))
        last, next_id, limit, transaction = self.admin.execute(
            "SELECT last_lsn, next_object_id, capture_limit, last_transaction FROM state"
        ).fetchone()
        self.log = LogCounter(last)
        self._next_object_id: int = next_id
        self._next_transaction: int = transaction + 1
        self.capture_limit: bytes | None = limit
        """The last LSN that capture has published; None if it publishes everything immediately."""
        self.tables: dict[int, Table] = {}
        self.views: dict[int, View] = {}
        self.procedures: dict[int, Procedure] = {}
        self.principals: dict[int, Principal] = {}
        self.schemas: dict[str, int] = {"dbo": 1, "guest": 2, "INFORMATION_SCHEMA": 3, "sys": 4}
        self._names: dict[tuple[str, str], Table | View | Procedure] = {}
        self.capture = CaptureCatalog()
        self.options = DatabaseOptions(service_broker_guid=str(uuid.uuid4()).upper(), created=now)
        self.version = 1
        """Incremented with every catalog change; plans compiled under another version are invalid."""
        self._drop_pending()
        self._load()
        self.identities: dict[int, int] = dict(self.admin.execute("SELECT table_id, next FROM identities"))
        self.identity_lock = threading.Lock()
        self.commit_number = 1
        self._recent: dict[Hashable, int] = {}
        self._recent_floor = 0

    def _drop_pending(self) -> None:
        """Drop the tables of transactions that never committed."""
        pending = [i for (i,) in self.admin.execute("SELECT id FROM meta WHERE kind = 'pending'")]
        for object_id in pending:
            self.admin.execute("BEGIN IMMEDIATE")
            self.admin.execute("DELETE FROM meta WHERE id = ? AND kind IN ('pending', 'table')", (object_id,))
            self.admin.execute("DELETE FROM identities WHERE table_id = ?", (object_id,))
            self.admin.execute(f"DROP TABLE IF EXISTS t{object_id}")
            self.admin.execute("COMMIT")

    def _load(self) -> None:
        for kind, body in self.admin.execute("SELECT kind, body FROM meta ORDER BY kind, id"):
            if kind == "table":
                self._put(codec.load_table(body))
            elif kind == "view":
                self._put(codec.load_view(body))
            elif kind == "procedure":
                self._put(codec.load_procedure(body))
            elif kind == "principal":
                principal = codec.load_principal(body)
                self.principals[principal.id] = principal
            elif kind == "options":
                self.options = codec.load_options(body)
            elif kind == "schema":
                name, schema_id = body.rsplit("|", 1)
                self.schemas[name] = int(schema_id)

    def _put(self, entry: Table | View | Procedure) -> None:
        """Maps are replaced, never changed, because other sessions may be iterating over them."""
        if isinstance(entry, Table):
            self.tables = {**self.tables, entry.id: entry}
        elif isinstance(entry, View):
            self.views = {**self.views, entry.id: entry}
        else:
            self.procedures = {**self.procedures, entry.id: entry}
        others = {k: v for k, v in self._names.items() if v.id != entry.id}
        self._names = {**others, (entry.schema.lower(), entry.name.lower()): entry}

    # Catalog

    def find(self, schema: str, name: str) -> Table | View | Procedure | None:
        return self._names.get((schema.lower(), name.lower()))

    def new_object_id(self) -> int:
        """Return an id that is never reused, even after a restart."""
        with self.commit_lock:
            found = self._next_object_id
            self._next_object_id += _OBJECT_ID_STEP
            return found

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Change the catalog or system tables: durable on exit, undone by an exception."""
        with self.commit_lock:
            self.admin.execute("BEGIN IMMEDIATE")
            try:
                yield self.admin
                self.save_state(self.admin)
                self.admin.execute("COMMIT")
            except BaseException:
                self.admin.execute("ROLLBACK")
                raise

    def save_state(self, connection: sqlite3.Connection) -> None:
        """Store the counters that must not go backwards."""
        connection.execute(
            "UPDATE state SET last_lsn = ?, next_object_id = ?, capture_limit = ?, last_transaction = ?",
            (self.log.current(), self._next_object_id, self.capture_limit, self._next_transaction),
        )

    def new_transaction_id(self) -> int:
        with self.commit_lock:
            self._next_transaction += 1
            return self._next_transaction - 1

    def start_recovery_fork(self) -> None:
        """After a RESTORE: LSNs repeat those written after the backup, transaction ids do not."""
        with self.writing():
            self._next_transaction += _FORK_TRANSACTIONS

    def create(self, connection: sqlite3.Connection, entry: Table | View | Procedure) -> None:
        """Add an object. For a table, also create its SQLite table and indexes."""
        self.store(connection, entry)
        if isinstance(entry, Table) and not entry.system:
            for statement in table_files.create_table(entry):
                connection.execute(statement)
            if entry.identity_column is not None and entry.identity_column.identity is not None:
                self.identities[entry.id] = entry.identity_column.identity[0]
                connection.execute(
                    "INSERT OR REPLACE INTO identities VALUES (?, ?)", (entry.id, self.identities[entry.id])
                )

    def store(self, connection: sqlite3.Connection, entry: Table | View | Procedure) -> None:
        """Write the definition of a new or changed object."""
        kind = type(entry).__name__.lower()
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", (kind, entry.id, codec.dump(entry)))
        self._put(entry)
        self.version += 1

    def store_principal(self, connection: sqlite3.Connection, principal: Principal) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('principal', ?, ?)", (principal.id, codec.dump(principal))
        )
        self.principals = {**self.principals, principal.id: principal}
        self.version += 1

    def drop_principal(self, connection: sqlite3.Connection, principal: Principal) -> None:
        connection.execute("DELETE FROM meta WHERE kind = 'principal' AND id = ?", (principal.id,))
        self.principals = {k: v for k, v in self.principals.items() if k != principal.id}
        self.version += 1

    def store_options(self, connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('options', 1, ?)", (codec.dump(self.options),))
        self.version += 1

    def create_schema(self, connection: sqlite3.Connection, name: str) -> None:
        schema_id = max(self.schemas.values(), default=4) + 1
        connection.execute("INSERT INTO meta VALUES ('schema', ?, ?)", (schema_id, f"{name}|{schema_id}"))
        self.schemas = {**self.schemas, name: schema_id}
        self.version += 1

    def drop_schema(self, connection: sqlite3.Connection, name: str) -> None:
        connection.execute("DELETE FROM meta WHERE kind = 'schema' AND id = ?", (self.schemas[name],))
        self.schemas = {k: v for k, v in self.schemas.items() if k != name}
        self.version += 1

    def drop(self, connection: sqlite3.Connection, entry: Table | View | Procedure) -> None:
        kind = type(entry).__name__.lower()
        connection.execute("DELETE FROM meta WHERE kind = ? AND id = ?", (kind, entry.id))
        self._names = {k: v for k, v in self._names.items() if v.id != entry.id}
        self.tables = {k: v for k, v in self.tables.items() if k != entry.id}
        self.views = {k: v for k, v in self.views.items() if k != entry.id}
        self.procedures = {k: v for k, v in self.procedures.items() if k != entry.id}
        if isinstance(entry, Table):
            connection.execute(f"DROP TABLE IF EXISTS {entry.stored_name}")
            connection.execute("DELETE FROM identities WHERE table_id = ?", (entry.id,))
            self.identities.pop(entry.id, None)
        self.version += 1

    # Recent commits

    def changed_since(self, number: int, resources: Iterable[Hashable]) -> bool:
        """Whether a commit after `number` touched one of the resources."""
        if number < self._recent_floor:
            return True
        recent = self._recent
        return any(recent.get(resource, 0) > number for resource in resources)

    def note_commit(self, resources: Iterable[Hashable]) -> None:
        """Record what a commit changed. Called under the commit lock, before the locks are released."""
        number = self.commit_number + 1
        recent = self._recent
        if len(recent) > _RECENT_MAX:
            recent.clear()
            self._recent_floor = number
        for resource in resources:
            recent[resource] = number
        self.commit_number = number

    def take_identities(self, table: Table, count: int) -> int:
        """Reserve `count` values of the table's identity column and return the first."""
        column = table.identity_column
        assert column is not None
        assert column.identity is not None
        with self.identity_lock:
            first = self.identities.get(table.id, column.identity[0])
            self.identities[table.id] = first + count * column.identity[1]
            return first

    def close(self) -> None:
        with self.commit_lock:
            self.save_state(self.admin)
            self.admin.close()
