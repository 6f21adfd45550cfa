"""CREATE, ALTER and DROP of tables, indexes, schemas, views, procedures and databases.

A definition takes effect at once, for everybody; inside a transaction a CREATE TABLE is taken back when it rolls
back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine import clock
from dstream_sandbox.sqlserver.engine.binder.changes import ChangeBinder
from dstream_sandbox.sqlserver.engine.binder.expression import Ex
from dstream_sandbox.sqlserver.engine.binder.scope import BoundSource, Scope
from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.catalog.model import (
    Check,
    Column,
    ForeignKey,
    Index,
    Procedure,
    Table,
    View,
)
from dstream_sandbox.sqlserver.engine.cdc.schema_changes import drop_tracked
from dstream_sandbox.sqlserver.engine.control import Handler
from dstream_sandbox.sqlserver.engine.errors import invalid_column, invalid_object, unsupported
from dstream_sandbox.sqlserver.engine.storage import table_files
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.syntax.batch import parse_expression
from dstream_sandbox.sqlserver.engine.table_changes import alter_table
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.rounding import to_datetime
from dstream_sandbox.sqlserver.session import Event, SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

_own_ids = itertools.count(2)


def now() -> int:
    return to_datetime(clock.now_ticks())


def already_exists(name: str) -> SqlError:
    return SqlError(2714, f"There is already an object named '{name}' in the database.", state=6)


def cannot_drop(kind: str, name: str) -> SqlError:
    return SqlError(
        3701,
        f"Cannot drop the {kind} '{name}', because it does not exist or you do not have permission.",
        severity=11,
        state=5,
    )


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
    """The table of SELECT INTO: names, types, NULLs and identity of a query's columns."""
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


def build_table(
    session: SqlSession, object_id: int, schema: str, name: str, body: st.TableBody, new_id: Callable[[], int]
) -> Table:
    """A table's definition, checked. Raises 2705, 1750-like errors."""
    created = now()
    table = Table(object_id, schema, name, [], created=created, modified=created)
    for definition in body.columns:
        add_column(session, table, definition, new_id)
    keys = [k for d in body.columns for k in d.keys] + list(body.keys)
    for key in sorted(keys, key=lambda k: not k.primary):
        add_key(table, key, new_id)
    for check in [c for d in body.columns for c in d.checks] + list(body.checks):
        add_check(session, table, check, new_id)
    for reference in [r for d in body.columns for r in d.references] + list(body.references):
        add_reference(session, table, reference, new_id)
    return table


def add_column(session: SqlSession, table: Table, definition: st.ColumnDefinition, new_id: Callable[[], int]) -> Column:
    if table.column(definition.name) is not None:
        raise SqlError(
            2705,
            f"Column names in each table must be unique. Column name '{definition.name}' in table "
            f"'{table.name}' is specified more than once.",
        )
    column = Column(table.next_column_id, definition.name, definition.type or names.INT)
    column.nullable = definition.nullable is not False
    column.identity, column.row_guid = definition.identity, definition.row_guid
    if definition.type is not None and definition.type.name == "rowversion":
        column.nullable = definition.nullable is True
    if definition.identity is not None:
        column.nullable = False
        if column.type.name not in names.INTEGERS | names.DECIMALS or (column.type.scale or 0):
            raise SqlError(
                2749,
                f"Identity column '{column.name}' must be of data type int, bigint, smallint, tinyint, or "
                "decimal or numeric with a scale of 0, unencrypted, and constrained to be nonnullable.",
            )
        if table.identity_column is not None:
            raise SqlError(
                2744,
                f"Multiple identity columns specified for table '{table.name}'. Only one identity column "
                "per table is allowed.",
            )
    if definition.default is not None:
        constraint = definition.default[0] or f"DF__{table.name[:9]}__{definition.name[:5]}__{new_id():08X}"
        column.default = (constraint, definition.default[1])
    if definition.computed is not None:
        column.computed, column.persisted = definition.computed, definition.persisted
        ex = _bind_over(session, table, definition.computed)
        column.type, column.nullable = ex.type or names.INT, definition.nullable is not False
    table.columns.append(column)
    table.next_column_id += 1
    if column.default is not None:
        ChangeBinder(session, database=session.home.name)._default(table, column)
    return column


def _bind_over(session: SqlSession, table: Table, text: str) -> Ex:
    """An expression over the table's columns, to learn its type and that it is sound."""
    binder = ChangeBinder(session, database=session.home.name)
    scope = Scope([BoundSource((table.name.lower(),), binder.table_columns(table, "t"))])
    return binder.bind_in(scope, parse_expression(text))


def add_key(table: Table, key: st.KeyDefinition, new_id: Callable[[], int]) -> Index:
    columns: list[tuple[int, bool]] = []
    for name, descending in key.columns:
        column = table.column(name)
        if column is None:
            raise SqlError(1911, f"Column name '{name}' does not exist in the target table or view.")
        if column.computed is not None:
            raise unsupported("indexes on computed columns")
        if names.is_lob(column.type):
            raise SqlError(
                1919,
                f"Column '{name}' in table '{table.name}' is of a type that is invalid for use as a key "
                "column in an index.",
            )
        if key.primary:
            if column.nullable and key.constraint and table.created != table.modified:
                raise SqlError(
                    8111, f"Cannot define PRIMARY KEY constraint on nullable column in table '{table.name}'."
                )
            column.nullable = False
        columns.append((column.id, descending))
    if key.primary and table.primary_key is not None:
        raise SqlError(1779, f"Table '{table.name}' already has a primary key defined on it.")
    prefix = "PK" if key.primary else "UQ"
    object_id = new_id() if key.constraint else 0
    name = key.name or f"{prefix}__{table.name[:9]}__{object_id & 0xFFFFFFFF:016X}"
    if any(i.name.lower() == name.lower() for i in table.indexes):
        raise SqlError(
            1913,
            f"The operation failed because an index or statistics with name '{name}' already exists on "
            f"table '{table.schema}.{table.name}'.",
        )
    taken = {i.id for i in table.indexes}
    clustered = key.clustered if key.clustered is not None else key.primary
    clustered = clustered and 1 not in taken
    index_id = 1 if clustered else next(i for i in itertools.count(2) if i not in taken)
    include = tuple(c.id for n in key.include if (c := table.column(n)) is not None)
    index = Index(
        index_id, name, tuple(columns), key.unique, key.primary, key.constraint, clustered, include, object_id
    )
    table.indexes.append(index)
    return index


def add_check(session: SqlSession, table: Table, check: st.CheckDefinition, new_id: Callable[[], int]) -> Check:
    object_id = new_id()
    binder = ChangeBinder(session, database=session.home.name)
    binder.scope = Scope([BoundSource((table.name.lower(),), binder.table_columns(table, "t"))])
    binder.predicate(parse_expression(check.expression))
    made = Check(check.name or f"CK__{table.name[:9]}__{object_id & 0xFFFFFFFF:08X}", check.expression, object_id)
    table.checks.append(made)
    return made


def add_reference(
    session: SqlSession, table: Table, reference: st.ForeignKeyDefinition, new_id: Callable[[], int]
) -> ForeignKey:
    found = table if reference.table[-1].lower() == table.name.lower() else session.find(reference.table)
    shown = ".".join(reference.table)
    if not isinstance(found, Table):
        raise SqlError(1767, f"Foreign key '{reference.name}' references invalid table '{shown}'.")
    if table.storage == "temp" or found.storage == "temp":
        raise unsupported("foreign keys of temporary tables")
    columns = tuple(_column_id(table, n) for n in reference.columns)
    wanted = reference.references
    if wanted:
        references = tuple(_column_id(found, n) for n in wanted)
    else:
        primary = found.primary_key
        references = tuple(c for c, _ in primary.columns) if primary is not None else ()
    if not any({c for c, _ in i.columns} == set(references) for i in found.unique_indexes):
        raise SqlError(
            1776,
            f"There are no primary or candidate keys in the referenced table '{shown}' that match the "
            f"referencing column list in the foreign key '{reference.name}'.",
        )
    object_id = new_id()
    name = reference.name or f"FK__{table.name[:9]}__{object_id & 0xFFFFFFFF:08X}"
    made = ForeignKey(name, columns, found.id, references, object_id)
    table.foreign_keys.append(made)
    return made


def _column_id(table: Table, name: str) -> int:
    column = table.column(name)
    if column is None:
        raise invalid_column(name)
    return column.id


def drop(session: SqlSession, statement: st.Drop) -> Iterator[Event]:
    handlers: dict[str, Callable[[SqlSession, tuple[str, ...], bool], None]] = {
        "TABLE": _drop_table,
        "VIEW": _drop_view,
        "PROCEDURE": _drop_procedure,
        "SCHEMA": _drop_schema,
        "DATABASE": _drop_database,
    }
    if statement.kind == "INDEX":
        _drop_index(session, statement)
        yield from ()
        return
    if statement.kind in ("USER", "ROLE", "LOGIN"):
        from dstream_sandbox.sqlserver.engine.catalog import principals

        for name in statement.names:
            principals.drop(session, statement.kind, name[-1], statement.if_exists)
        yield from ()
        return
    for name in statement.names:
        handlers[statement.kind](session, name, statement.if_exists)
    yield from ()


def _drop_table(session: SqlSession, name: tuple[str, ...], if_exists: bool) -> None:
    found = session.find(name)
    if not isinstance(found, Table):
        if if_exists:
            return
        raise cannot_drop("table", ".".join(name))
    if found.storage == "temp":
        session.drop_own_table(session.temp_tables.pop(name[-1].lower()))
        return
    if found.system:
        raise cannot_drop("table", ".".join(name))
    rights.require_ddl(session, "ALTER")
    for other in session.tables():
        if other.id != found.id and any(k.table_id == found.id for k in other.foreign_keys):
            raise SqlError(
                3726, f"Could not drop object '{'.'.join(name)}' because it is referenced by a FOREIGN KEY constraint."
            )
    exclusive(session, found)
    transaction = session.transaction
    if transaction is not None:
        transaction.dirty.pop(found.id, None)
    with session.home.writing() as connection:
        drop_tracked(session.home, connection, found)
        session.home.drop(connection, found)


def exclusive(session: SqlSession, table: Table) -> None:
    """Nobody else has uncommitted changes in the table, from now to the end of the transaction."""
    session.lock_table(session.current_transaction(), table.id, "X")


def _drop_view(session: SqlSession, name: tuple[str, ...], if_exists: bool) -> None:
    found = session.find(name)
    if not isinstance(found, View):
        if if_exists:
            return
        raise cannot_drop("view", ".".join(name))
    with session.home.writing() as connection:
        session.home.drop(connection, found)


def _drop_procedure(session: SqlSession, name: tuple[str, ...], if_exists: bool) -> None:
    found = session.home.find((name[-2] if len(name) > 1 else "") or "dbo", name[-1])
    if not isinstance(found, Procedure):
        if if_exists:
            return
        raise cannot_drop("procedure", ".".join(name))
    with session.home.writing() as connection:
        session.home.drop(connection, found)


def _drop_schema(session: SqlSession, name: tuple[str, ...], if_exists: bool) -> None:
    found = next((s for s in session.home.schemas if s.lower() == name[-1].lower()), None)
    if found is None or session.home.schemas[found] <= 4:
        if if_exists:
            return
        raise SqlError(
            15151, f"Cannot drop the schema '{name[-1]}', because it does not exist or you do not have permission."
        )
    database = session.home
    owned: list[Table | View | Procedure] = [*database.tables.values(), *database.views.values()]
    owned += database.procedures.values()
    for entry in owned:
        if entry.schema == found:
            raise SqlError(
                3729, f"Cannot drop schema '{found}' because it is being referenced by object '{entry.name}'."
            )
    with session.home.writing() as connection:
        session.home.drop_schema(connection, found)


def _drop_database(session: SqlSession, name: tuple[str, ...], if_exists: bool) -> None:
    rights.require_sysadmin(session, "DROP DATABASE")
    if session.engine.database(name[-1]) is None:
        if if_exists:
            return
        raise cannot_drop("database", name[-1])
    session.engine.drop_database(session, name[-1])


def create_index(session: SqlSession, statement: st.CreateIndex) -> Iterator[Event]:
    found = session.find(statement.table)
    if not isinstance(found, Table):
        raise SqlError(
            1088,
            f'Cannot find the object "{".".join(statement.table)}" because it does not exist or you do '
            "not have permissions.",
        )
    add_index(session, found, statement.key)
    yield from ()


def add_index(session: SqlSession, table: Table, key: st.KeyDefinition) -> None:
    """A new index or key constraint over the rows that are there. Raises 1505 for duplicates."""
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


def settle(session: SqlSession, table: Table) -> None:
    """A definition cannot change under rows that this very transaction has not committed."""
    transaction = session.transaction
    if transaction is not None and table.id in transaction.dirty:
        raise unsupported("changing a table's definition after changing its rows in the same transaction")


def _drop_index(session: SqlSession, statement: st.Drop) -> None:
    name = statement.names[0]
    table_name = statement.table or name[:-1]
    found = session.find(table_name)
    index = (
        next((i for i in found.indexes if i.name.lower() == name[-1].lower()), None)
        if isinstance(found, Table)
        else None
    )
    if not isinstance(found, Table) or index is None:
        if statement.if_exists:
            return
        raise cannot_drop("index", f"{'.'.join(table_name)}.{name[-1]}")
    if index.constraint:
        raise SqlError(
            3723,
            f"An explicit DROP INDEX is not allowed on index '{found.name}.{index.name}'. It is being "
            "used for constraint enforcement.",
        )
    remove_index(session, found, index)


def remove_index(session: SqlSession, table: Table, index: Index) -> None:
    if table.storage == "temp":
        session.connection.execute(table_files.drop_index(table, index))
        table.indexes.remove(index)
        session.temp_version += 1
        return
    exclusive(session, table)
    settle(session, table)
    changed = replace(
        table, indexes=[i for i in table.indexes if i is not index], shape=table.shape + 1, modified=now()
    )
    with session.home.writing() as connection:
        connection.execute(table_files.drop_index(table, index))
        session.home.store(connection, changed)


# Schemas, databases, views, procedures


def create_schema(session: SqlSession, statement: st.CreateSchema) -> Iterator[Event]:
    rights.require_ddl(session, "CREATE SCHEMA")
    if any(s.lower() == statement.name.lower() for s in session.home.schemas):
        raise already_exists(statement.name)
    with session.home.writing() as connection:
        session.home.create_schema(connection, statement.name)
    yield from ()


def create_database(session: SqlSession, statement: st.CreateDatabase) -> Iterator[Event]:
    rights.require_sysadmin(session, "CREATE DATABASE")
    if session.engine.database(statement.name) is not None:
        raise SqlError(1801, f"Database '{statement.name}' already exists. Choose a different database name.")
    session.engine.create_database(statement.name)
    yield from ()


def alter_database(session: SqlSession, statement: st.AlterDatabase) -> Iterator[Event]:
    database = session.home if statement.name is None else session.engine.database(statement.name)
    if database is None:
        raise SqlError(
            5011,
            f"User does not have permission to alter database '{statement.name}', the database does not "
            "exist, or the database is not in a state that allows access checks.",
        )
    on = statement.value == "ON"
    options = database.options
    match statement.option:
        case "ALLOW_SNAPSHOT_ISOLATION":
            options.allow_snapshot_isolation = on
        case "READ_COMMITTED_SNAPSHOT":
            if not on:
                raise unsupported("READ_COMMITTED_SNAPSHOT OFF: readers never wait for writers here")
        case "RECOVERY":
            options.recovery_model = statement.value
        case "COMPATIBILITY_LEVEL":
            options.compatibility_level = int(statement.value)
        case (
            "MULTI_USER"
            | "AUTO_CLOSE"
            | "AUTO_SHRINK"
            | "PAGE_VERIFY"
            | "QUERY_STORE"
            | "ENABLE_BROKER"
            | "TRUSTWORTHY"
        ):
            pass
        case _:
            raise unsupported(f"ALTER DATABASE SET {statement.option}")
    with database.writing() as connection:
        database.store_options(connection)
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
    """sp_rename of tables, columns, indexes."""
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
"""Definitions that stay when the transaction around them rolls back; the rollback says so."""
HANDLERS: dict[type, Handler] = {
    st.CreateTable: create_table,
    st.AlterTable: alter_table,
    st.Drop: drop,
    st.CreateIndex: create_index,
    st.CreateSchema: create_schema,
    st.CreateDatabase: create_database,
    st.AlterDatabase: alter_database,
    st.CreateProcedure: create_procedure,
    st.CreateView: create_view,
    st.CreatePrincipal: create_principal,
    st.RoleMember: role_member,
    st.Permission: permission,
}
