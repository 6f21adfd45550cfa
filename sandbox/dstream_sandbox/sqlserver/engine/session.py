"""A session: implements the seam's Session with one SQLite connection per database that it uses.

One thread at a time works in it; only `cancel` is called from other threads."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine import clock
from dstream_sandbox.sqlserver.engine.batch_runner import BatchRunner
from dstream_sandbox.sqlserver.engine.binder.change_plans import OutputPlan
from dstream_sandbox.sqlserver.engine.binder.closures import ErrorBox, register
from dstream_sandbox.sqlserver.engine.binder.environment import FunctionTable, SystemView
from dstream_sandbox.sqlserver.engine.binder.session_values import SESSION_VALUES
from dstream_sandbox.sqlserver.engine.catalog import rights, system_views
from dstream_sandbox.sqlserver.engine.catalog.model import Procedure, Table, View
from dstream_sandbox.sqlserver.engine.catalog.questions import answer
from dstream_sandbox.sqlserver.engine.cdc import functions as cdc_functions
from dstream_sandbox.sqlserver.engine.database import Database
from dstream_sandbox.sqlserver.engine.errors import unsupported
from dstream_sandbox.sqlserver.engine.scopes import scoped
from dstream_sandbox.sqlserver.engine.session_settings import Settings
from dstream_sandbox.sqlserver.engine.session_state import session_value
from dstream_sandbox.sqlserver.engine.session_transactions import SessionTransactions
from dstream_sandbox.sqlserver.engine.storage import table_files
from dstream_sandbox.sqlserver.engine.storage.connection import connect
from dstream_sandbox.sqlserver.engine.storage.locks import Cancelled, LockOwner
from dstream_sandbox.sqlserver.engine.storage.marks import fill
from dstream_sandbox.sqlserver.engine.storage.table_files import Overlay
from dstream_sandbox.sqlserver.engine.syntax.batch import parse_batch
from dstream_sandbox.sqlserver.engine.syntax.nodes import Query
from dstream_sandbox.sqlserver.engine.syntax.statements import CreateView
from dstream_sandbox.sqlserver.engine.transactions import Transaction
from dstream_sandbox.sqlserver.engine.types.storage import Stored, to_stored
from dstream_sandbox.sqlserver.session import (
    Column,
    DatabaseChanged,
    Event,
    Message,
    Param,
    SqlError,
)
from dstream_sandbox.sqlserver.values import Row, SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.server import SqlEngine


class Variable:
    """A T-SQL variable: its type and its value in stored form."""

    __slots__ = ("type", "value")

    def __init__(self, type_: SqlType, value: Stored = None) -> None:
        self.type, self.value = type_, value


class Frame:
    """The variables of a batch or procedure."""

    __slots__ = ("name", "tables", "variables")

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.variables: dict[str, Variable] = {}
        self.tables: dict[str, Table] = {}


class SqlSession(SessionTransactions):
    """Implements the `Session` protocol. Public attributes are for the engine's own modules."""

    def __init__(self, engine: SqlEngine, spid: int, login: str, database: Database, app: str, host: str) -> None:
        self.engine, self.spid, self.login, self.app, self.host = engine, spid, login, app, host
        self.started = clock.now_ticks()
        self.home = self._login_database = database
        self.database = database.name
        self.catalog_collation = engine.platform.catalog_collation
        self._connections: dict[str, tuple[sqlite3.Connection, ErrorBox]] = {}
        self.connection, self._box = self._connect(database)
        self.settings = Settings()
        self.transaction: Transaction | None = None
        self.nesting = 0
        self.frame = Frame()
        self.depth = 0
        self.temp_tables: dict[str, Table] = {}
        self.temp_version = 0
        self._own_tables: dict[int, Table] = {}
        self._overlays: set[tuple[str, int, int]] = set()
        self._fresh_views: dict[tuple[str, str], object] = {}
        self.undeclared_allowed = False
        self.identity_insert: int | None = None
        self.last_identity: int | None = None
        self.row_count = 0
        self.last_error = 0
        self.caught: list[tuple[SqlError, int, str]] = []
        self.application_locks = LockOwner(spid)
        self.status = "sleeping"
        self.runner = BatchRunner(self)
        self._statement_transaction: Transaction | None = None
        self._closed = False

    # The seam

    @property
    def transaction_descriptor(self) -> int:
        return self.transaction.id if self.transaction is not None else 0

    def execute(
        self, sql: str, params: Sequence[Param] = (), *, declarations: str = "", in_procedure: bool = False
    ) -> Iterator[Event]:
        if in_procedure:
            return self.runner.run(lambda: scoped(self, self.runner.batch(sql, params, declarations)))
        return self.runner.run(lambda: self.runner.batch(sql, params, declarations))

    def call(self, procedure: str, params: Sequence[Param]) -> Iterator[Event]:
        return self.runner.run(lambda: self.runner.call(procedure, params))

    def describe(self, sql: str, declarations: str = "") -> tuple[Column, ...]:
        return self.runner.describe(sql, declarations)

    def describe_parameters(self, sql: str, declarations: str = "") -> list[tuple[str, SqlType]]:
        return self.runner.describe_parameters(sql, declarations)

    def bulk_insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterator[Row],
        *,
        types: Sequence[SqlType] = (),
        check_constraints: bool = False,
    ) -> int:
        from dstream_sandbox.sqlserver.engine.bulk_load import bulk_insert

        return bulk_insert(self, table, columns, rows, types)

    def begin(self, name: str = "", isolation: str | None = None) -> Iterator[Event]:
        if isolation is not None:
            self.settings.isolation = isolation
        return self.runner.run(lambda: self.begin_events(name))

    def commit(self, name: str = "") -> Iterator[Event]:
        return self.runner.run(self.commit_events)

    def rollback(self, name: str = "") -> Iterator[Event]:
        return self.runner.run(lambda: self.rollback_events(name))

    def save(self, name: str) -> Iterator[Event]:
        return self.runner.run(lambda: self.save_events(name))

    def cancel(self) -> None:
        self.runner.cancelled.set()
        transaction = self._statement_transaction or self.transaction
        if transaction is not None:
            transaction.cancelled = True
        with contextlib.suppress(sqlite3.ProgrammingError):  # closed concurrently
            self.connection.interrupt()
        self.engine.locks.wake()

    def reset(self) -> None:
        self.abort_transaction()
        self.enter(self._login_database)
        self._drop_temp_tables()
        self.settings = Settings()
        self.frame = Frame()
        self.identity_insert = self.last_identity = None
        self.row_count = self.last_error = 0
        self.caught.clear()
        self.engine.locks.release_all(self.application_locks)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.abort_transaction()
        self.engine.locks.release_all(self.application_locks)
        self.engine.forget(self)
        for connection, _ in self._connections.values():
            connection.close()

    # Databases

    def use(self, name: str) -> Iterator[Event]:
        database = self.engine.database(name)
        if database is None:
            raise SqlError(911, f"Database '{name}' does not exist. Make sure that the name is entered correctly.")
        rights.check_access(self, database)
        old = self.home.name
        self.enter(database)
        yield DatabaseChanged(old, database.name)
        yield Message(5701, 0, 2, f"Changed database context to '{database.name}'.")

    def enter(self, database: Database) -> None:
        self.home, self.database = database, database.name
        self.connection, self._box = self._connect(database)

    def _connect(self, database: Database) -> tuple[sqlite3.Connection, ErrorBox]:
        found = self._connections.get(database.name)
        if found is not None:
            return found
        connection = connect(database.path)
        box = register(connection)

        def ask(question: str, *args: Stored) -> Stored:
            try:
                return answer(self, question, args)
            except Exception as error:
                box.error = error
                raise

        connection.create_function("ask", -1, ask, deterministic=True)  # within one statement
        connection.create_function("setv", 2, self._set_variable)
        connection.create_function("getv", 1, self._get_variable)
        self._connections[database.name] = (connection, box)
        return connection, box

    def _set_variable(self, name: str, value: Stored) -> Stored:
        self.frame.variables[name].value = value
        return value

    def _get_variable(self, name: str) -> Stored:
        return self.frame.variables[name].value

    # Running SQL

    def run_sql(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Run one SQLite statement. Exceptions of the functions it calls are raised unchanged."""
        try:
            return self.connection.execute(sql, parameters)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise self.translated(error) from error

    def translated(self, error: sqlite3.Error) -> Exception:
        """Return the exception that caused SQLite's error, or the matching SQL Server error."""
        inner = self._box.take()
        if inner is not None:
            return inner
        text = str(error)
        if "interrupted" in text:
            return Cancelled()
        if "integer overflow" in text:
            return SqlError(8115, "Arithmetic overflow error converting expression to data type int.")
        if "no such" in text and self.transaction is not None and self.transaction.snapshot_number is not None:
            return SqlError(
                3961,
                f"Snapshot isolation transaction failed in database '{self.home.name}' because the object "
                "accessed by the "
                "statement has been modified by a DDL statement in another concurrent transaction since "
                "the start of this "
                "transaction.",
            )
        if "database or disk is full" in text:
            return SqlError(
                1105,
                f"Could not allocate space for object in database '{self.home.name}' because the disk is full.",
                severity=17,
            )
        if "string or blob too big" in text:
            return SqlError(7119, "Attempting to grow LOB beyond maximum allowed size.")
        return unsupported(f"this statement: {text}")

    def fill_marks(self, sql: str, transaction: Transaction | None) -> str:
        """Resolve table names. A changed table is read through the session's view of it."""
        dirty = transaction.dirty if transaction is not None else {}

        def name_of(table_id: int) -> str:
            overlay = dirty.get(table_id)
            if overlay is not None:
                return overlay.view
            return f"main.t{table_id}" if table_id >= 0 else self._own_tables[table_id].stored_name

        return fill(sql, name_of)

    def readable(self, table: Table, transaction: Transaction) -> str:
        overlay = transaction.dirty.get(table.id)
        return overlay.view if overlay is not None else table.stored_name

    def overlay(self, transaction: Transaction, table: Table) -> Overlay:
        """Return the table's overlay, with its TEMP objects created."""
        self._bind(transaction)
        if self.home.options.read_only and table.storage == "main":
            raise SqlError(3906, f'Failed to update database "{self.home.name}" because the database is read-only.')
        overlay = transaction.overlay(table)
        key = (self.home.name, table.id, table.shape)
        if key not in self._overlays:
            for statement in overlay.create():
                self.connection.execute(statement)
            self._overlays.add(key)
        return overlay

    def refresh_views(self, views: Iterable[SystemView]) -> None:
        """Compute the rows of the system views that a statement names."""
        for view in views:
            system_views.require(self, view)
            columns = ",".join(f"k{i}" for i in range(len(view.columns)))
            name = view.stored_name
            key = (self.home.name, view.name)
            if key not in self._fresh_views:
                self.connection.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
                self._fresh_views[key] = None
            version = system_views.version_of(self, view)
            if version is not None and self._fresh_views[key] == version:
                continue
            marks = ",".join("?" for _ in view.columns)
            self.connection.execute("SAVEPOINT refresh")
            self.connection.execute(f"DELETE FROM {name}")
            self.connection.executemany(f"INSERT INTO {name} VALUES ({marks})", system_views.rows_of(self, view))
            self.connection.execute("RELEASE refresh")
            self._fresh_views[key] = version

    def bindings(self, variables: dict[str, str], session_values: dict[str, str]) -> dict[str, Stored]:
        """Return the SQLite parameters of a plan."""
        found: dict[str, Stored] = {p: self.frame.variables[name].value for name, p in variables.items()}
        for name, parameter in session_values.items():
            found[parameter] = to_stored(SESSION_VALUES[name], session_value(self, name))
        return found

    # Environment of the compiler

    def variable_type(self, name: str) -> SqlType | None:
        found = self.frame.variables.get(name)
        return found.type if found is not None else None

    def change_output_bindings(self, output: OutputPlan) -> dict[str, Stored]:
        """Return the parameters of an OUTPUT list, which shares its statement's variables."""
        return self.bindings(output.variables, output.session_values)

    def find(self, name: Sequence[str]) -> Table | View | SystemView | None:
        parts = tuple(name)
        if len(parts) == 1 and parts[0].startswith("@"):
            return self.frame.tables.get(parts[0])
        if parts[-1].startswith("#"):
            return self.temp_tables.get(parts[-1].lower())
        if len(parts) > 3:
            raise unsupported("linked servers")
        if len(parts) == 3 and parts[0] and parts[0].lower() != self.home.name.lower():
            return self._elsewhere(parts)
        schema, table = (parts[-2] or "dbo", parts[-1]) if len(parts) > 1 else ("", parts[-1])
        view = system_views.find(schema, table, self.home.name)
        if f"{schema}.{table}".lower() in self.engine.platform.missing:
            return None
        if view is not None:
            return view
        found = self.home.find(schema or "dbo", table)
        return None if isinstance(found, Procedure) else found

    def _elsewhere(self, parts: tuple[str, ...]) -> SystemView | None:
        """Find a view in another database: only system views of the whole server. A statement can read another
        database's tables only if it uses no other database."""
        if not self.engine.platform.reads_other_databases:
            shown = ".".join(parts)
            text = (
                f"Reference to database and/or server name in '{shown}' is not supported in this version of SQL Server."
            )
            raise SqlError(40515, text, severity=15)
        if self.engine.database(parts[0]) is None and parts[0].lower() not in ("msdb", "tempdb"):
            return None
        view = system_views.find(parts[1] or "dbo", parts[2], parts[0])
        if view is not None and system_views.is_server_wide(view):
            return view
        raise unsupported("tables of two databases in one statement")

    def tables(self) -> Iterable[Table]:
        return self.home.tables.values()

    def forget_database(self, database: Database) -> None:
        """Close the connection to a database that is being dropped or restored and is not this session's current
        one."""
        self._overlays = {key for key in self._overlays if key[0] != database.name}
        self._fresh_views = {key: value for key, value in self._fresh_views.items() if key[0] != database.name}
        found = self._connections.pop(database.name, None)
        if found is not None:
            found[0].close()

    def own_table(self, table: Table) -> None:
        """Register a #table or table variable."""
        self._own_tables[table.id] = table

    def view_query(self, view: View) -> tuple[Query, tuple[str, ...]]:
        (statement,) = self.engine.texts.obtain(("view", view.text), lambda: parse_batch(view.text))
        assert isinstance(statement, CreateView)
        return statement.query, statement.columns

    def function_query(self, name: Sequence[str], args: Sequence[Any]) -> FunctionTable | None:
        return cdc_functions.function_table(self, tuple(name), args)

    def require(self, permission: str, table: Table | View) -> None:
        rights.require(self, permission, table)

    def unmasks(self, table: Table) -> bool:
        return rights.allowed(self, "UNMASK", table)

    @property
    def isolation(self) -> str:
        return self.transaction.isolation if self.transaction is not None else self.settings.isolation

    def read_lock(self) -> str:
        level = self.isolation
        if level in ("REPEATABLE READ", "SERIALIZABLE"):
            return "S"
        return "s" if level == "READ COMMITTED" and not self.home.options.read_committed_snapshot else ""

    # Own tables

    def create_own_table(self, table: Table) -> None:
        for statement in table_files.create_table(table):
            self.connection.execute(statement)
        self.own_table(table)
        self.temp_version += 1
        column = table.identity_column
        if column is not None and column.identity is not None:
            self.home.identities[table.id] = column.identity[0]

    def drop_own_table(self, table: Table) -> None:
        for transaction in (self.transaction, self._statement_transaction):
            if transaction is not None:
                transaction.dirty.pop(table.id, None)
        self._overlays.discard((self.home.name, table.id, table.shape))
        overlay = Overlay(table)
        self.connection.execute(f"DROP VIEW IF EXISTS {overlay.view}")
        for name in (overlay.log, overlay.rows, overlay.gone, table.stored_name):
            self.connection.execute(f"DROP TABLE IF EXISTS {name}")
        self._own_tables.pop(table.id, None)
        self.temp_version += 1
        self.home.identities.pop(table.id, None)

    def _drop_temp_tables(self) -> None:
        for table in list(self._own_tables.values()):
            self.drop_own_table(table)
        self.temp_tables.clear()
