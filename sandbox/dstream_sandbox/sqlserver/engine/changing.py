"""Runs change plans: fill the change log, lock, check, and update the session's overlay.

A statement works on one snapshot of the database. Rows and keys are locked once they are known. If one of them changed
between the snapshot and the lock, the statement starts over (SQL Server waits for the lock before it reads the row)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine.binder.change_plans import DELETED, INSERTED, REKEYED, UPDATED, ChangePlan
from dstream_sandbox.sqlserver.engine.catalog.model import ForeignKey, Index, Table
from dstream_sandbox.sqlserver.engine.errors import unsupported
from dstream_sandbox.sqlserver.engine.storage.connection import ci_key, collation_for
from dstream_sandbox.sqlserver.engine.storage.log_counter import BULK
from dstream_sandbox.sqlserver.engine.storage.table_files import Overlay, is_strict
from dstream_sandbox.sqlserver.engine.storage.text_joins import prepare_for_texts
from dstream_sandbox.sqlserver.engine.transactions import Transaction
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.convert import convert
from dstream_sandbox.sqlserver.engine.types.storage import Stored
from dstream_sandbox.sqlserver.session import SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.database import Database
    from dstream_sandbox.sqlserver.engine.session import SqlSession

_ESCALATE = 5000
"""Above this many rows, a statement locks the whole table (Microsoft Learn, "Lock escalation")."""


class _Busy(Exception):
    """A row or key is locked by another transaction."""

    def __init__(self, resource: Hashable, mode: str = "X") -> None:
        super().__init__()
        self.resource, self.mode = resource, mode


class _Stale(Exception):
    """Data changed after it was read and before it was locked."""


def run_change(session: SqlSession, plan: ChangePlan, bindings: dict[str, Stored]) -> tuple[int, int]:
    """Run the statement in the session's transaction. Return the number of rows and their first log position."""
    transaction = session.current_transaction()
    database, table = session.home, plan.table
    overlay = session.overlay(transaction, table)
    shared = table.storage == "main"
    connection = session.connection
    if shared:
        session.lock_table(transaction, table.id, "X" if plan.exclusive else "IX")
        if database.tables.get(table.id) is not table:
            raise unsupported("a statement whose table is redefined concurrently")
    while True:
        number = session.snapshot_number(transaction)
        connection.execute("SAVEPOINT change")
        try:
            result = _Attempt(session, transaction, database, plan, overlay, number).run(dict(bindings))
        except (_Busy, _Stale) as reason:
            _undo(connection)
            if isinstance(reason, _Busy):
                session.wait_for(transaction, reason.resource, reason.mode)
            elif transaction.isolation == "SNAPSHOT":
                raise snapshot_conflict(table, database.name) from None
            continue
        except BaseException:
            _undo(connection)
            raise
        connection.execute("RELEASE change")
        return result


def _undo(connection: sqlite3.Connection) -> None:
    connection.execute("ROLLBACK TO change")
    connection.execute("RELEASE change")


def snapshot_conflict(table: Table, database: str) -> SqlError:
    text = (
        "Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot "
        "isolation to access table "
        f"'{table.schema}.{table.name}' directly or indirectly in database '{database}' to update, "
        "delete, or insert the row that has been "
        "modified or deleted by another transaction. Retry the transaction or change the isolation level "
        "for the update/delete statement."
    )
    return SqlError(3960, text, state=2)


class _Attempt:
    """One attempt at one statement, inside a savepoint."""

    def __init__(
        self,
        session: SqlSession,
        transaction: Transaction,
        database: Database,
        plan: ChangePlan,
        overlay: Overlay,
        number: int,
    ) -> None:
        self.session, self.transaction, self.database = session, transaction, database
        self.plan, self.overlay, self.number = plan, overlay, number
        self.table = plan.table
        self.connection = session.connection
        self.base = 0

    def run(self, bindings: dict[str, Stored]) -> tuple[int, int]:
        plan = self.plan
        count = self._fill(bindings)
        if not count:
            return 0, self.base
        if plan.may_repeat_rows:
            self._check_repeats()
        if self.table.storage == "main":
            self._lock(count)
        if plan.not_null:
            self._check_not_null()
        for check in plan.checks:
            if self._one(
                f"SELECT 1 FROM {self.overlay.log} AS l WHERE l.n>=? AND l.op<>{DELETED} AND {check.sql} LIMIT 1"
            ):
                raise self._conflict("CHECK", check.name, self.table, None)
        self._apply()
        for index in plan.unique:
            self._check_unique(index)
        for key in plan.parents:
            self._check_parent(key)
        for child, key in plan.children:
            self._check_children(child, key)
        if plan.unique and plan.verb in ("UPDATE", "MERGE"):
            self._mark_rekeyed(count)
        self.overlay.latest = self.base
        if not self.transaction.begin_position:
            self.transaction.begin_position = self.base
        return count, self.base

    def _sql(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        return self.session.run_sql(sql, parameters)

    def _one(self, sql: str) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._sql(sql, (self.base,)).fetchone()
        return found

    # Fill

    def _fill(self, bindings: dict[str, Stored]) -> int:
        """Add the statement's rows to the log, numbered consecutively from `base` by SQLite's own row numbering."""
        plan, log = self.plan, self.database.log
        taken = (plan.row_count or BULK) + 1
        first = log.take(taken)
        self.base = first + 1
        bindings |= {"base": self.base, "first": self.base, "cmd": self.transaction.next_command(2)}
        if plan.needs_identity and plan.row_count is not None:
            self._identity(bindings, plan.row_count)
        if not plan.single_row:
            self._sql(f"INSERT INTO {self.overlay.log}(n,op) VALUES (?,0)", (first,))
        count = 0
        if not plan.single_row:
            prepare_for_texts(self.connection, plan.gathered.compares_text)
        for sql in plan.fills:
            count += self._sql(self.session.fill_marks(sql, self.transaction), bindings).rowcount
        if not plan.single_row:
            self._sql(f"DELETE FROM {self.overlay.log} WHERE n=?", (first,))
        log.give_back(first, taken, count + 1)
        if count > taken:
            raise unsupported(f"a statement that changes more than {BULK} rows")
        if plan.needs_identity and plan.row_count is None and count:
            self._identity(bindings, count)
        for sql in plan.completions if count else ():
            self._sql(sql, {k: bindings[k] for k in ("base", "first", "ident") if k in bindings})
        if plan.explicit_identity is not None:
            self._raise_identity(plan.explicit_identity)
        return count

    def _identity(self, bindings: dict[str, Stored], count: int) -> None:
        first = self.database.take_identities(self.table, count)
        column = self.table.identity_column
        assert column is not None
        assert column.identity is not None
        bindings["ident"] = first
        self.session.last_identity = first + (count - 1) * column.identity[1]

    def _raise_identity(self, column_id: int) -> None:
        """Advance the counter past explicit values."""
        column = self.table.column_by_id(column_id)
        found = self._one(f"SELECT max(n{column_id}) FROM {self.overlay.log} WHERE n>=?")
        if found is None or found[0] is None or column.identity is None:
            return
        change = convert(column.type, names.BIGINT)
        value = change(found[0]) if change else found[0]
        self.session.last_identity = value
        with self.database.identity_lock:
            current = self.database.identities.get(self.table.id, column.identity[0])
            self.database.identities[self.table.id] = max(current, value + column.identity[1])

    def _check_repeats(self) -> None:
        sql = f"SELECT 1 FROM {self.overlay.log} WHERE n>=? AND rid IS NOT NULL GROUP BY rid HAVING count(*)>1 LIMIT 1"
        if self._one(sql):
            raise SqlError(
                8672,
                "The MERGE statement attempted to UPDATE or DELETE the same row more than once. This "
                "happens when a target row matches more than "
                "one source row. A MERGE statement cannot UPDATE/DELETE the same row of the target table "
                "multiple times. Refine the ON clause to "
                "ensure a target row matches at most one source row, or use the GROUP BY clause to group "
                "the source rows.",
            )

    # Locks

    def _lock(self, count: int) -> None:
        transaction, table = self.transaction, self.table
        locks = self.session.engine.locks
        whole = ("table", table.id)
        held = transaction.held.get(whole, set())
        if "X" in held or (count > _ESCALATE and locks.try_acquire(transaction, whole, "X")):
            self._check_fresh([("changed", table.id)])
            return
        resources = self._resources()
        busy = locks.try_acquire_all(transaction, resources, "X")
        if busy is not None:
            raise _Busy(busy)
        self._check_fresh([*resources, whole])

    def _check_fresh(self, resources: Sequence[Hashable]) -> None:
        if self.database.changed_since(self.number, resources):
            raise _Stale

    def _resources(self) -> list[Hashable]:
        """Return the changed rows and their old and new unique keys."""
        plan, table = self.plan, self.table
        if plan.verb == "INSERT" and not plan.keys:
            return []
        columns = ["rid", "op"]
        for index in plan.keys:
            columns += [f"o{c}" for c, _ in index.columns] + [f"n{c}" for c, _ in index.columns]
        found: list[Hashable] = []
        shapes = [(index.id, len(index.columns), _normaliser(table, index)) for index in plan.keys]
        for row in self._sql(f"SELECT {','.join(columns)} FROM {self.overlay.log} WHERE n>=?", (self.base,)):
            rid, op = row[0], row[1]
            if rid is not None:
                found.append(("row", table.id, rid))
            at = 2
            for index_id, width, normal in shapes:
                old, new = normal(row[at : at + width]), normal(row[at + width : at + 2 * width])
                at += 2 * width
                if op != INSERTED and old != new:
                    found.append(("key", table.id, index_id, old))
                if op != DELETED and (op == INSERTED or old != new):
                    found.append(("key", table.id, index_id, new))
        return found

    # Checks

    def _check_not_null(self) -> None:
        columns = self.plan.not_null
        missing = " OR ".join(f"n{c} IS NULL" for c in columns)
        shown = ",".join(f"n{c} IS NULL" for c in columns)
        row = self._one(f"SELECT {shown} FROM {self.overlay.log} WHERE n>=? AND op<>{DELETED} AND ({missing}) LIMIT 1")
        if row is None:
            return
        column = self.table.column_by_id(next(c for c, is_null in zip(columns, row, strict=True) if is_null))
        text = (
            f"Cannot insert the value NULL into column '{column.name}', table '{self._qualified()}'; "
            "column does not allow nulls. "
            f"{self.plan.verb} fails."
        )
        raise SqlError(515, text, state=2)

    def _qualified(self) -> str:
        database = "tempdb" if self.table.storage == "temp" else self.database.name
        return f"{database}.{self.table.schema}.{self.table.name}"

    def _apply(self) -> None:
        log, rows, gone = self.overlay.log, self.overlay.rows, self.overlay.gone
        stored = self.table.stored_columns
        if self.plan.verb != "INSERT":
            self.overlay.hides = True
            changed = f"SELECT rid FROM {log} WHERE n>=? AND rid IS NOT NULL"
            self._sql(f"INSERT OR IGNORE INTO {gone} {changed}", (self.base,))
            self._sql(f"DELETE FROM {rows} WHERE rid IN ({changed})", (self.base,))
        if self.plan.verb == "DELETE":
            return
        columns = ",".join(f"c{c.id}" for c in stored)
        images = ",".join(f"n{c.id}" for c in stored)
        sql = (
            f"INSERT INTO {rows}(rid,{columns}) SELECT coalesce(rid,n),{images} FROM {log} WHERE n>=? AND op<>{DELETED}"
        )
        try:
            self._sql(sql, (self.base,))
        except sqlite3.IntegrityError:
            raise self._duplicate_in_overlay() from None

    def _duplicate_in_overlay(self) -> SqlError:
        """Return the error for the unique index that two of the session's own rows violate."""
        for index in self.plan.unique:
            keys = [c for c, _ in index.columns]
            mine = ",".join(f"n{c} COLLATE {self._collation(c)}" for c in keys)
            row = self._one(
                f"SELECT {mine} FROM {self.overlay.log} WHERE n>=? AND op<>{DELETED} GROUP BY {mine} "
                "HAVING count(*)>1 LIMIT 1"
            )
            if row is None:
                same = " AND ".join(f"r.c{c}=l.n{c}" for c in keys)
                shown = ",".join(f"l.n{c}" for c in keys)
                row = self._one(
                    f"SELECT {shown} FROM {self.overlay.log} AS l JOIN {self.overlay.rows} AS r ON {same} "
                    f"WHERE l.n>=? AND l.op<>{DELETED} LIMIT 1"
                )
            if row is not None:
                return self._duplicate(index, row)
        return SqlError(2627, "Violation of a unique constraint.", severity=14)

    def _collation(self, column_id: int) -> str:
        type_ = self.table.column_by_id(column_id).type
        return collation_for(type_.collation) if type_.name in names.CHARACTER else "BINARY"

    def _check_unique(self, index: Index) -> None:
        """NULL equals NULL in a SQL Server index (Microsoft Learn, "Unique constraints and check constraints")."""
        keys = [c for c, _ in index.columns]
        shown = ",".join(f"l.n{c}" for c in keys)
        strict = is_strict(self.table, index)
        same = " AND ".join(f"m.c{c}{'=' if strict else ' IS '}l.n{c}" for c in keys)
        committed = (
            f"SELECT {shown} FROM {self.overlay.log} AS l CROSS JOIN {self.table.stored_name} AS m ON {same} "
            f"WHERE l.n>=? AND l.op<>{DELETED} AND m.rid NOT IN (SELECT rid FROM {self.overlay.gone}) LIMIT 1"
        )
        row = self._one(committed)
        if row is None and not strict:
            row = self._one(
                f"SELECT {shown} FROM {self.overlay.log} AS l CROSS JOIN {self.overlay.rows} AS m ON {same} "
                f"WHERE l.n>=? AND l.op<>{DELETED} AND m.rid<>coalesce(l.rid,l.n) LIMIT 1"
            )
        if row is not None:
            raise self._duplicate(index, row)

    def _duplicate(self, index: Index, key: Sequence[Any]) -> SqlError:
        value = f"({', '.join(self._shown(index.columns[i][0], v) for i, v in enumerate(key))})"
        name = f"{self.table.schema}.{self.table.name}"
        if index.constraint:
            kind = "PRIMARY KEY" if index.primary else "UNIQUE KEY"
            text = (
                f"Violation of {kind} constraint '{index.name}'. Cannot insert duplicate key in object '{name}'. "
                f"The duplicate key value is {value}."
            )
            return SqlError(2627, text, severity=14)
        text = (
            f"Cannot insert duplicate key row in object '{name}' with unique index '{index.name}'. The "
            f"duplicate key value is {value}."
        )
        return SqlError(2601, text, severity=14)

    def _shown(self, column_id: int, value: Any) -> str:
        if value is None:
            return "<NULL>"
        change = convert(self.table.column_by_id(column_id).type, names.NVARCHAR_MAX)
        return str(change(value)) if change else str(value)

    def _check_parent(self, key: ForeignKey) -> None:
        parent = self.database.tables[key.table_id]
        pairs = list(zip(key.columns, key.references, strict=True))
        same = " AND ".join(f"p.c{r}=l.n{c}" for c, r in pairs)
        given = " AND ".join(f"l.n{c} IS NOT NULL" for c, _ in pairs)
        source = self.session.readable(parent, self.transaction)
        rows = f"FROM {self.overlay.log} AS l WHERE l.n>=? AND l.op<>{DELETED} AND {given}"
        if self._one(f"SELECT 1 {rows} AND NOT EXISTS (SELECT 1 FROM {source} AS p WHERE {same}) LIMIT 1"):
            raise self._conflict("FOREIGN KEY", key.name, parent, key.references)
        found = self._sql(
            f"SELECT DISTINCT p.rid FROM {self.overlay.log} AS l JOIN {source} AS p ON {same} WHERE "
            f"l.n>=? AND l.op<>{DELETED} LIMIT {_ESCALATE + 1}",
            (self.base,),
        ).fetchall()
        locks: list[Hashable] = [("row", parent.id, rid) for (rid,) in found]
        if len(locks) > _ESCALATE:
            locks = [("table", parent.id)]
        busy = self.session.engine.locks.try_acquire_all(self.transaction, locks, "S")
        if busy is not None:
            raise _Busy(busy, "S")
        self._check_fresh(locks)

    def _check_children(self, child: Table, key: ForeignKey) -> None:
        pairs = list(zip(key.columns, key.references, strict=True))
        same = " AND ".join(f"k.c{c}=l.o{r}" for c, r in pairs)
        still = " AND ".join(f"p.c{r}=l.o{r}" for _, r in pairs)
        children = self.session.readable(child, self.transaction)
        mine = self.session.readable(self.table, self.transaction)
        sql = (
            f"SELECT 1 FROM {self.overlay.log} AS l JOIN {children} AS k ON {same} WHERE l.n>=? AND l.op<>{INSERTED} "
            f"AND NOT EXISTS (SELECT 1 FROM {mine} AS p WHERE {still}) LIMIT 1"
        )
        if self._one(sql):
            raise self._conflict("REFERENCE", key.name, child, key.columns)

    def _conflict(self, kind: str, name: str, table: Table, columns: tuple[int, ...] | None) -> SqlError:
        shown = f", column '{table.column_by_id(columns[0]).name}'" if columns and len(columns) == 1 else ""
        text = (
            f'The {self.plan.verb} statement conflicted with the {kind} constraint "{name}". The conflict '
            "occurred in database "
            f'"{self.database.name}", table "{table.schema}.{table.name}"{shown}.'
        )
        return SqlError(547, text, state=0)

    def _mark_rekeyed(self, count: int) -> None:
        """Mark updates of a unique key as deferred updates: CDC shows them as delete and insert (KB3030352;
        debezium/debezium#7728). For one row, both have the same seqval; for many rows, the inserts' seqvals follow
        those of all deletes."""
        columns = {c for index in self.plan.unique for c, _ in index.columns}
        changed = " OR ".join(f"o{c} IS NOT n{c}" for c in sorted(columns))
        shift = 0
        if count > 1:
            shift = self.database.log.take(count) - self.base
        self._sql(
            f"UPDATE {self.overlay.log} SET op={REKEYED}, shift=? WHERE n>=? AND op={UPDATED} AND ({changed})",
            (shift, self.base),
        )


def _normaliser(table: Table, index: Index) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return a function that normalizes key values, so that equal keys are equal in Python."""
    makers = []
    for column_id, _ in index.columns:
        type_ = table.column_by_id(column_id).type
        kind = collation_for(type_.collation) if type_.name in names.CHARACTER else ""
        makers.append(kind)

    if not any(makers):
        return tuple

    def normal(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(_folded(v, kind) for v, kind in zip(values, makers, strict=True))

    return normal


def _folded(value: Any, kind: str) -> Any:
    if not isinstance(value, str) or not kind:
        return value
    if kind in ("cs", "bin"):
        return value.rstrip(" ")
    return ci_key(value) if kind == "ci" else ci_key(value)[0]
