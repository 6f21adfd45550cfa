"""CREATE, ALTER and DROP of tables, indexes, schemas, views and procedures.

A definition takes effect immediately for all sessions. Inside a transaction, a rollback undoes CREATE TABLE."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine import database_statements
from dstream_sandbox.sqlserver.engine.binder.expression import Ex
from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.catalog.model import (
    Procedure,
    Table,
    View,
)
from dstream_sandbox.sqlserver.engine.control import Handler
from dstream_sandbox.sqlserver.engine.dropping import drop, exclusive, settle
from dstream_sandbox.sqlserver.engine.errors import invalid_object, unsupported
from dstream_sandbox.sqlserver.engine.storage import table_files
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.table_building import add_key, already_exists, build_table, now
from dstream_sandbox.sqlserver.engine.table_changes import alter_table
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.session import Event, SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

_own_ids = itertools.count(2)


# Tables


def create_table(session: SqlSession, statement: st.CreateTable) -> Iterator[Event]:
    name = statement.name
    if name[-1].startswith("#"):
        _create_temp_table(session, name[-1], statement.body)
        yield from ()
        return
    schema = _schema(session, name)
    rights.require_ddl(session, "CREATE TABLE")
    if session.home.find(schema, name[-1]) is not None:
        raise already_exists(name[-1])
    table = build_table(
        session, session.home.new_object_id(), schema, name[-1], statement.body, session.home.new_object_id
    )
    add_table(session, table)
    yield from ()


def add_table(session: SqlSession, table: Table) -> None:
    database, transaction = session.home, session.transaction
    with database.writing() as connection:
        database.create(connection, table)
        if transaction is not None:
            connection.execute("INSERT INTO meta VALUES ('pending', ?, '')", (table.id,))
    if transaction is None:
        return

    def undo() -> None:
        with database.writing() as connection:
            connection.execute("DELETE FROM meta WHERE kind = 'pending' AND id = ?", (table.id,))
            if table.id in database.tables:
                database.drop(connection, table)

    transaction.created.append(table.id)
    transaction.undo.append(undo)


def _schema(session: SqlSession, name: Sequence[str]) -> str:
    if len(name) == 3 and name[0] and name[0].lower() != session.home.name.lower():
        raise unsupported("definitions in another database")
    schema = (name[-2] if len(name) > 1 else "") or "dbo"
    found = next((s for s in session.home.schemas if s.lower() == schema.lower()), None)
    if found is None:
        raise SqlError(
            2760, f'The specified schema name "{schema}" either does not exist or you do not have permission to use it.'
        )
    return found


def _create_temp_table(session: SqlSession, name: str, body: st.TableBody) -> None:
    if name.startswith("##"):
        raise unsupported("global temporary tables")
    if name.lower() in session.temp_tables:
        raise already_exists(name)
    table = _own_table(session, name, body)
    session.create_own_table(table)
    session.temp_tables[name.lower()] = table
    transaction = session.transaction
    if transaction is not None:

        def undo() -> None:
            if session.temp_tables.get(name.lower()) is table:
                session.drop_own_table(session.temp_tables.pop(name.lower()))

        transaction.undo.append(undo)


def create_table_variable(session: SqlSession, name: str, body: st.TableBody) -> None:
    table = _own_table(session, name, body)
    session.create_own_table(table)
    session.frame.tables[name] = table


def _own_table(session: SqlSession, name: str, body: st.TableBody) -> Table:
    table = build_table(session, -next(_own_ids), "dbo", name, body, lambda: -next(_own_ids))
    table.storage = "temp"
    table.id = abs(table.id) * -1
    return table


def create_table_like(session: SqlSession, name: tuple[str, ...], columns: Sequence[Ex]) -> Table:
    """Create the table of SELECT INTO: names, types, nullability and identity come from a query's columns."""
    definitions: list[st.ColumnDefinition] = []
    for column in columns:
        if not column.name:
            raise SqlError(1038, "An object or column name is missing or empty.", severity=15)
        identity = (1, 1) if column.identity else None
        definitions.append(
            st.ColumnDefinition(
                name=column.name, type=column.type or names.INT, nullable=column.nullable, identity=identity
            )
        )
    body = st.TableBody(columns=tuple(definitions))
    if name[-1].startswith("#"):
        _create_temp_table(session, name[-1], body)
        return session.temp_tables[name[-1].lower()]
    schema = _schema(session, name)
    if session.home.find(schema, name[-1]) is not None:
        raise already_exists(name[-1])
    table = build_table(session, session.home.new_object_id(), schema, name[-1], body, session.home.new_object_id)
    add_table(session, table)
    return table


def create_index(session: SqlSession, statement: st.CreateIndex) -> Iterator[Event]:
    found = session.find(statement.table)
    if not isinstance(found, Table):
        raise SqlError(
            1088,
            f'Cannot find the object "{".".join(statement.table)}" because it does not exist or you do '
            "not have permissions.",
        )
    if found.system:
        _reorder(session, found, statement.key)
    else:
        add_index(session, found, statement.key)
    yield from ()


def _reorder(session: SqlSession, table: Table, key: st.KeyDefinition) -> None:
    """CREATE INDEX .. WITH (DROP_EXISTING = ON) on a change table, e.g. in the order before KB3030352. Only the catalog
    shows it: rows are stored as before."""
    rights.require_ddl(session, "ALTER")
    columns = []
    for name, descending in key.columns:
        column = table.column(name)
        if column is None:
            raise SqlError(1911, f"Column name '{name}' does not exist in the target table or view.")
        columns.append((column.id, descending))
    with session.home.writing() as connection:
        table.indexes[0] = replace(table.indexes[0], columns=tuple(columns))
        session.home.store(connection, table)


def add_index(session: SqlSession, table: Table, key: st.KeyDefinition) -> None:
    """Add an index or key constraint over the existing rows. Raises 1505 for duplicates."""
    import sqlite3

    changed = replace(table, indexes=list(table.indexes), columns=[replace(c) for c in table.columns], modified=now())
    if table.storage == "temp":
        index = add_key(changed, key, lambda: -next(_own_ids))
        session.connection.execute(table_files.create_index(changed, index))
        table.indexes.append(index)
        session.temp_version += 1
        return
    rights.require_ddl(session, "ALTER")
    exclusive(session, table)
    index = add_key(changed, key, session.home.new_object_id)
    changed.shape += 1
    settle(session, table)
    with session.home.writing() as connection:
        try:
            connection.execute(table_files.create_index(changed, index))
        except sqlite3.IntegrityError:
            text = (
                f"The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name "
                f"'{table.schema}.{table.name}' and the index name '{index.name}'."
            )
            raise SqlError(1505, text) from None
        session.home.store(connection, changed)


# Schemas, databases, views, procedures


def create_schema(session: SqlSession, statement: st.CreateSchema) -> Iterator[Event]:
    rights.require_ddl(session, "CREATE SCHEMA")
    if any(s.lower() == statement.name.lower() for s in session.home.schemas):
        raise already_exists(statement.name)
    with session.home.writing() as connection:
        session.home.create_schema(connection, statement.name)
    yield from ()


def create_procedure(session: SqlSession, statement: st.CreateProcedure) -> Iterator[Event]:
    _create_module(session, statement, Procedure)
    yield from ()


def create_view(session: SqlSession, statement: st.CreateView) -> Iterator[Event]:
    from dstream_sandbox.sqlserver.engine.binder.queries import QueryBinder

    bound = QueryBinder(session).bind_query(statement.query)
    for i, column in enumerate(bound.columns, 1):
        if not column.name and not statement.columns:
            raise SqlError(4511, f"Create View or Function failed because no column name was specified for column {i}.")
    _create_module(session, statement, View)
    yield from ()


def _create_module(
    session: SqlSession, statement: st.CreateProcedure | st.CreateView, kind: type[Procedure] | type[View]
) -> None:
    rights.require_ddl(session, "CREATE PROCEDURE" if kind is Procedure else "CREATE VIEW")
    schema, name = _schema(session, statement.name), statement.name[-1]
    found = session.home.find(schema, name)
    if found is not None and not (isinstance(found, kind) and (statement.alter or statement.or_alter)):
        raise already_exists(name)
    if found is None and statement.alter:
        raise invalid_object(".".join(statement.name))
    object_id = found.id if found is not None else session.home.new_object_id()
    created = found.created if found is not None else now()
    entry = kind(object_id, schema, name, statement.text, created)
    with session.home.writing() as connection:
        session.home.store(connection, entry)


def rename(session: SqlSession, name: tuple[str, ...], new: str, kind: str) -> None:
    """sp_rename for tables, columns and indexes."""
    rights.require_ddl(session, "ALTER")
    if kind in ("COLUMN", "INDEX"):
        table = session.find(name[:-1])
        if not isinstance(table, Table):
            raise SqlError(
                15248,
                f"Either the parameter @objname is ambiguous or the claimed @objtype ({kind}) is wrong.",
                severity=11,
            )
        changed = replace(
            table,
            columns=[replace(c) for c in table.columns],
            indexes=[replace(i) for i in table.indexes],
            modified=now(),
        )
        target = (
            changed.column(name[-1])
            if kind == "COLUMN"
            else next((i for i in changed.indexes if i.name.lower() == name[-1].lower()), None)
        )
        if target is None:
            raise SqlError(
                15248,
                f"Either the parameter @objname is ambiguous or the claimed @objtype ({kind}) is wrong.",
                severity=11,
            )
        if kind == "COLUMN" and session.home.capture.of_source(table.id):
            raise SqlError(4928, f"Cannot alter column '{name[-1]}' because it is 'REPLICATED'.")
        target.name = new
    else:
        found = session.find(name)
        if not isinstance(found, Table):
            raise SqlError(
                15225,
                f"No item by the name of '{'.'.join(name)}' could be found in the current database "
                f"'{session.home.name}', given that @itemtype was input as '(null)'.",
                severity=11,
            )
        if session.home.find(found.schema, new) is not None:
            raise SqlError(
                15335,
                f"Error: The new name '{new}' is already in use as a OBJECT name and would cause a "
                "duplicate that is not permitted.",
                severity=11,
            )
        changed = replace(found, name=new, modified=now())
    exclusive(session, changed)
    settle(session, changed)
    with session.home.writing() as connection:
        session.home.store(connection, changed)


def create_principal(session: SqlSession, statement: st.CreatePrincipal) -> Iterator[Event]:
    from dstream_sandbox.sqlserver.engine.catalog import principals

    principals.create(session, statement)
    yield from ()


def role_member(session: SqlSession, statement: st.RoleMember) -> Iterator[Event]:
    from dstream_sandbox.sqlserver.engine.catalog import principals

    if statement.server:
        principals.change_server_member(session, statement.role, statement.member, add=statement.add)
    else:
        principals.change_member(session, statement.role, statement.member, add=statement.add)
    yield from ()


def permission(session: SqlSession, statement: st.Permission) -> Iterator[Event]:
    from dstream_sandbox.sqlserver.engine.catalog import principals

    principals.change_permission(session, statement)
    yield from ()


LASTING = frozenset(
    {
        st.AlterTable,
        st.Drop,
        st.CreateIndex,
        st.CreateSchema,
        st.CreateProcedure,
        st.CreateView,
        st.CreatePrincipal,
        st.RoleMember,
        st.Permission,
    }
)
"""Definitions that survive the rollback of their transaction; the rollback reports them."""
HANDLERS: dict[type, Handler] = {
    **database_statements.HANDLERS,
    st.CreateTable: create_table,
    st.AlterTable: alter_table,
    st.Drop: drop,
    st.CreateIndex: create_index,
    st.CreateSchema: create_schema,
    st.CreateProcedure: create_procedure,
    st.CreateView: create_view,
    st.CreatePrincipal: create_principal,
    st.RoleMember: role_member,
    st.Permission: permission,
}
